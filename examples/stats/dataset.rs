//! The dataset used when no file is given: made once by the workers, kept under target/.
//!
//! # Safety
//!
//! The array over the new file is ours alone: the file is made anew, by a name that only this process uses
//! until it is whole, and the array is dropped before it gets its lasting name.
#![allow(unsafe_code)]

use crate::sweep::Result;
use crate::synthetic::{READINGS, SEED, fill};
use common::Meter;
use phalanx::array::npy::{Header, Kind};
use phalanx::{Pool, SharedArray};
use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// Name of the dataset, of which drafts have the process id as suffix.
const NAME: &str = "phalanx-sensor-readings-1GiB.npy";

/// Returns the dataset's path. If it does not exist, `pool` makes it, after a call of `say`.
///
/// # Errors
/// If target/ cannot be written or has no room.
pub fn synthetic(pool: &Pool, say: impl Fn(&Path)) -> Result<PathBuf> {
    let folder = target_folder();
    let path = folder.join(NAME);
    let whole = |header: Header| {
        header.shape() == [READINGS] && (header.dtype().kind(), header.dtype().width()) == (Kind::Float, 8)
    };
    if Header::read(&path).is_ok_and(whole) {
        return Ok(path);
    }
    say(&path);
    let explain =
        |why: String| format!("{}: cannot be made: {why}; or give a file of your own", path.display());
    fs::create_dir_all(&folder).map_err(|e| explain(e.to_string()))?;
    remove_orphans(&folder);
    // Under another name until it is whole and on the disk: an interrupted run or a power failure must not
    // leave a file that looks finished.
    let draft = folder.join(format!("{NAME}.{}", std::process::id()));
    let settle = || File::open(&draft)?.sync_all().and_then(|()| fs::rename(&draft, &path));
    let made =
        write(pool, &draft).map_err(|e| e.to_string()).and_then(|()| settle().map_err(|e| e.to_string()));
    if made.is_err() {
        // The failure is reported; that a draft may be left is not worth a second message.
        let _ = fs::remove_file(&draft);
    }
    made.map_err(explain)?;
    Ok(path)
}

/// Removes drafts of processes that no longer exist.
fn remove_orphans(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let maker =
            name.to_str().and_then(|name| name.strip_prefix(NAME)?.strip_prefix('.')?.parse::<u32>().ok());
        if maker.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists()) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// The cargo target folder this program lies in, or ./target.
fn target_folder() -> PathBuf {
    let exe = std::env::current_exe().unwrap_or_default();
    let target = exe.ancestors().find(|folder| folder.join("CACHEDIR.TAG").exists());
    target.map_or_else(|| PathBuf::from("target"), Path::to_owned)
}

/// Makes the file with its disk space reserved, and lets the workers fill it in place.
fn write(pool: &Pool, path: &Path) -> std::result::Result<(), phalanx::Error> {
    // SAFETY: nobody else uses a file of this name; see the module.
    let mut readings = unsafe { SharedArray::<f64>::create_npy(path, READINGS) }?;
    let bytes = readings.len_bytes() as u64;
    let meter = Meter::new("make", bytes);
    let tell = meter.follow(bytes);
    pool.launch()
        .chunk(1 << 18)
        .progress(&tell)
        .for_each((readings.split_out(), 0..READINGS, SEED), |(part, at, seed)| {
            fill(part, at.start as u64, seed)
        })?;
    Ok(())
}
