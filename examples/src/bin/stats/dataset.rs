//! The dataset used when no file is given: made once, kept under target/.

use crate::sweep::Result;
use crate::synthetic::{READINGS, SEED, fill};
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// Bytes of the header: one page, so that the data begins on a page.
const HEADER_BYTES: usize = 4096;

/// The dataset's path; makes it if it is not there. `say` is called before that takes time.
///
/// # Errors
/// If target/ cannot be written or has no room.
pub fn synthetic(say: impl Fn(&Path)) -> Result<PathBuf> {
    let folder = target_folder();
    let path = folder.join("phalanx-sensor-readings-1GiB.npy");
    if fs::metadata(&path)
        .is_ok_and(|about| about.len() == (HEADER_BYTES + READINGS * size_of::<f64>()) as u64)
    {
        return Ok(path);
    }
    say(&path);
    let explain = |e: std::io::Error| {
        format!("{}: cannot be made: {e}; make room for 1 GiB there, or give a file", path.display())
    };
    fs::create_dir_all(&folder).map_err(explain)?;
    // Under another name until it is whole, so that an interrupted run leaves nothing that looks finished.
    let draft = folder.join(format!("phalanx-sensor-readings.{}.part", std::process::id()));
    let made = write(&draft).and_then(|()| fs::rename(&draft, &path));
    if made.is_err() {
        let _ = fs::remove_file(&draft);
    }
    made.map_err(explain)?;
    Ok(path)
}

/// The cargo target folder this program lies in, or ./target.
fn target_folder() -> PathBuf {
    let exe = std::env::current_exe().unwrap_or_default();
    let target = exe.ancestors().find(|folder| folder.join("CACHEDIR.TAG").exists());
    target.map_or_else(|| PathBuf::from("target"), Path::to_owned)
}

fn write(path: &Path) -> std::io::Result<()> {
    let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path)?;
    let dict = format!("{{'descr': '<f8', 'fortran_order': False, 'shape': ({READINGS},), }}");
    let mut header = b"\x93NUMPY\x01\x00".to_vec();
    header.extend(((HEADER_BYTES - 10) as u16).to_le_bytes());
    header.extend(dict.as_bytes());
    header.resize(HEADER_BYTES - 1, b' ');
    header.push(b'\n');
    file.write_all(&header)?;
    // Chunk by chunk through one buffer for now; a mapping could meet a full disk as SIGBUS.
    let mut buffer = vec![0.0f64; 1 << 20];
    for first in (0..READINGS).step_by(buffer.len()) {
        fill(&mut buffer, first as u64, SEED);
        file.write_all(bytemuck::cast_slice(&buffer))?;
    }
    Ok(())
}
