//! A file that all drivers write, each its rows, and that appears whole or not at all.
//!
//! Driver 0 makes `NAME.part` beside the target. A nonce behind its data tells the others that theirs is the
//! same file and no older one. What a kill leaves behind:
//!
//! | killed | what is there |
//! |---|---|
//! | before the rename | what was there before, and `NAME.part`, which the next save overwrites |
//! | after it | the new file |
//!
//! Where a driver fails, driver 0 removes `NAME.part`. A lock on it, which the kernel frees, keeps two programs
//! from writing it at once.
#![deny(clippy::arithmetic_side_effects)]

use super::error::ClusterError;
use crate::memory::check_file_limit;
use crate::memory::draft::{folder_of, inherit, sync_folder, target_of};
use crate::sys::{descriptor, file_lock};
use std::fs::{self, File, Metadata, OpenOptions};
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Distinguishes one save from all others.
pub(super) type Nonce = [u8; 16];

/// The file as driver 0 has it.
pub(super) struct Draft {
    pub(super) file: File,
    name: PathBuf,
    /// What it will be called.
    target: PathBuf,
    earlier: Option<Metadata>,
    len: u64,
    pub(super) nonce: Nonce,
}

/// An error of the file that is to be.
pub(super) fn failed(path: &Path, doing: &'static str) -> impl FnOnce(io::Error) -> ClusterError {
    move |source| ClusterError::File { path: path.to_owned(), doing, source }
}

/// What the file is called until it is whole.
fn name_of(target: &Path) -> PathBuf {
    let mut name = target.as_os_str().to_owned();
    name.push(".part");
    name.into()
}

impl Draft {
    /// A file of `len` bytes that will replace `path`.
    pub(super) fn create(path: &Path, len: u64) -> Result<Draft, ClusterError> {
        let doing = "cannot be written";
        let earlier = earlier(path).map_err(failed(path, doing))?;
        let whole = usize::try_from(len).ok().filter(|len| isize::try_from(*len).is_ok());
        let limit = whole.ok_or_else(|| io::Error::from(io::ErrorKind::FileTooLarge));
        let limit = limit.and_then(|len| check_file_limit(len).map_err(io::Error::other));
        limit.map_err(failed(path, doing))?;
        let target = target_of(path);
        let name = name_of(&target);
        let file = open_locked(&name).map_err(failed(&name, doing))?;
        let nonce = (RandomState::new().hash_one(len), RandomState::new().hash_one(std::process::id()));
        let nonce = bytemuck::cast([nonce.0, nonce.1]);
        let draft = Draft { file, name, target, earlier, len, nonce };
        let begun = draft.file.set_len(0).and_then(|()| draft.file.set_len(len));
        let begun = begun.and_then(|()| draft.file.write_all_at(&nonce, len));
        begun.and_then(|()| draft.file.sync_all()).map_err(failed(&draft.name, doing))?;
        Ok(draft)
    }

    /// Gives it its name. All drivers have written their parts.
    pub(super) fn publish(self) -> Result<(), ClusterError> {
        let doing = "cannot be replaced by what was written";
        let made = self.file.set_len(self.len);
        let made = made.and_then(|()| self.earlier.as_ref().map_or(Ok(()), |meta| inherit(&self.file, meta)));
        let made = made.and_then(|()| self.file.sync_all());
        let made = made.and_then(|()| fs::rename(&self.name, &self.target));
        let made = made.and_then(|()| sync_folder(folder_of(&self.target)));
        made.map_err(failed(&self.target, doing))
    }
}

impl Drop for Draft {
    /// A draft that has no name yet goes.
    fn drop(&mut self) {
        let is_it = |meta: Metadata| self.file.metadata().is_ok_and(|own| own.ino() == meta.ino());
        if fs::metadata(&self.name).is_ok_and(is_it) {
            let _ = fs::remove_file(&self.name);
        }
    }
}

/// The file as another driver has it; `None` if it is not that of driver 0.
pub(super) fn open(path: &Path, len: u64, nonce: Nonce) -> Result<Option<File>, ClusterError> {
    let name = name_of(&target_of(path));
    let file = match descriptor::open(OpenOptions::new().read(true).write(true), &name) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file.map_err(failed(&name, "cannot be written"))?,
    };
    let mut found = Nonce::default();
    let is_it = file.read_exact_at(&mut found, len).is_ok() && found == nonce;
    Ok(is_it.then_some(file))
}

/// The file that is replaced. Who may not write it shall not replace it either.
fn earlier(path: &Path) -> io::Result<Option<Metadata>> {
    match fs::metadata(path) {
        Ok(meta) if !meta.is_file() => {
            Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no plain file"))
        }
        Ok(meta) => descriptor::open(OpenOptions::new().write(true), path).map(|_| Some(meta)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Opens a draft, perhaps an earlier one, that no other program writes.
fn open_locked(name: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o666);
    loop {
        let file = descriptor::open(&options, name)?;
        // Some filesystems have no locks.
        if file_lock::try_lock(file.as_fd(), 0).is_ok_and(|is_ours| !is_ours) {
            return Err(io::Error::new(io::ErrorKind::ResourceBusy, "another program writes it"));
        }
        // Another program may have given it its name, or removed it, in between.
        let is_it = fs::metadata(name)
            .map(|meta| Ok(meta.ino()) == file.metadata().map(|own| own.ino()).map_err(drop));
        if is_it.unwrap_or(false) {
            return Ok(file);
        }
    }
}
