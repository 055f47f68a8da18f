//! Files that appear whole or not at all.
//!
//! A draft is written without a name and gets one when it is done. What a kill leaves behind:
//!
//! | killed | what is there |
//! |---|---|
//! | while the draft is written | what was there before; the kernel takes back a file without a name |
//! | while a draft replaces a file | the old file or the new one; at worst the new one beside it too, as `.phalanx-PID-N` |
//!
//! Filesystems without unnamed files (FAT, some overlays) give the draft such a name from the start.
#![deny(clippy::arithmetic_side_effects)]

use super::check_file_limit;
use crate::sys::{descriptor, file};
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// The folder that a file of this path lies in.
pub(crate) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A new file that is not what it will be called.
pub(crate) struct Draft {
    file: File,
    folder: PathBuf,
    /// Where the filesystem wants one. It goes with the draft.
    name: Option<PathBuf>,
}

impl Draft {
    /// A new file for `folder`, of a mode that the process's mask narrows.
    pub(crate) fn new(folder: &Path, mode: u32) -> io::Result<Draft> {
        let folder = folder.to_owned();
        // Without /proc the file could not be given a name later.
        if Path::new("/proc/self/fd").exists()
            && let Ok(file) = file::open_unnamed(&folder, mode)
        {
            return Ok(Draft { file, folder, name: None });
        }
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true).mode(mode);
        let (name, file) = with_own_name(&folder, |name| descriptor::open(&options, name))?;
        Ok(Draft { file, folder, name: Some(name) })
    }

    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// Gives it a name that must be free.
    pub(crate) fn publish(mut self, path: &Path) -> io::Result<File> {
        match &self.name {
            None => file::give_name(&self.file, path)?,
            Some(name) => {
                file::rename_new(name, path).or_else(|error| match error.kind() {
                    ErrorKind::AlreadyExists => Err(error),
                    // The filesystem cannot rename like that. The name that is left goes with the draft.
                    _ => fs::hard_link(name, path),
                })?;
            }
        }
        let file = self.file.try_clone();
        if self.name.as_ref().is_some_and(|name| !name.exists()) {
            self.name = None;
        }
        file
    }

    /// Gives it a name that may be another file's, which loses it.
    fn replace(mut self, path: &Path) -> io::Result<()> {
        let name = match self.name.take() {
            Some(name) => name,
            None => with_own_name(&self.folder, |name| file::give_name(&self.file, name))?.0,
        };
        self.name = Some(name.clone());
        fs::rename(&name, path)?;
        self.name = None;
        Ok(())
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if let Some(name) = &self.name {
            let _ = fs::remove_file(name);
        }
    }
}

/// Does something with a hidden name in `folder` that is free.
fn with_own_name<R>(folder: &Path, mut make: impl FnMut(&Path) -> io::Result<R>) -> io::Result<(PathBuf, R)> {
    let mut number = 0u32;
    loop {
        let name = folder.join(format!(".phalanx-{}-{number}", std::process::id()));
        match make(&name) {
            Ok(made) => return Ok((name, made)),
            Err(error) if error.kind() != ErrorKind::AlreadyExists || number > 9999 => return Err(error),
            Err(_) => number = number.saturating_add(1),
        }
    }
}

/// Puts a file of these bytes in the place of `path`, at once and for good: the bytes are on the disk before
/// the name is theirs.
///
/// Permissions of an earlier file are kept, and its owner and group where that is allowed. A symbolic link
/// stays, and what it leads to is replaced. What is no plain file (a pipe, a terminal) is written to.
pub(crate) fn replace(path: &Path, parts: &[&[u8]]) -> io::Result<()> {
    let write = |mut file: &File| parts.iter().try_for_each(|part| file.write_all(part));
    let earlier = match fs::metadata(path) {
        Ok(meta) if !meta.is_file() => {
            return write(&descriptor::open(OpenOptions::new().write(true), path)?);
        }
        Ok(meta) => {
            // A user who may not write the file may not replace it either.
            descriptor::open(OpenOptions::new().write(true), path)?;
            Some(meta)
        }
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    // Past the limit the kernel would send a deadly signal.
    let len = parts.iter().fold(0usize, |len, part| len.saturating_add(part.len()));
    check_file_limit(len).map_err(io::Error::other)?;
    let path = target_of(path);
    let draft = Draft::new(folder_of(&path), 0o666)?;
    write(draft.file())?;
    if let Some(meta) = earlier {
        inherit(draft.file(), &meta)?;
    }
    draft.file().sync_all()?;
    draft.replace(&path)?;
    sync_folder(folder_of(&path))
}

/// Gives a file the permissions of an earlier one.
pub(crate) fn inherit(file: &File, earlier: &fs::Metadata) -> io::Result<()> {
    // Somebody else's file becomes ours where the kernel does not let us give it away.
    let _ = std::os::unix::fs::fchown(file, Some(earlier.uid()), Some(earlier.gid()));
    file.set_permissions(Permissions::from_mode(earlier.mode() & 0o777))
}

/// Where a chain of symbolic links ends, whether there is a file or not.
pub(crate) fn target_of(path: &Path) -> PathBuf {
    let mut path = path.to_owned();
    // As many as the kernel follows.
    for _ in 0..40 {
        match fs::read_link(&path) {
            Ok(next) => path = folder_of(&path).join(next),
            Err(_) => break,
        }
    }
    path
}

/// Brings a new name to the disk, where the filesystem knows how.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    let Ok(folder) = descriptor::open_to_read(folder) else { return Ok(()) };
    match folder.sync_all() {
        Err(error) if !matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::Unsupported) => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_is_replaced_with_its_permissions_and_through_links() {
        let dir = tempfile::tempdir().unwrap();
        let (file, link) = (dir.path().join("file"), dir.path().join("link"));
        symlink("file", &link).unwrap();
        replace(&link, &[b"first"]).unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"first", "a link that led nowhere");
        fs::set_permissions(&file, Permissions::from_mode(0o640)).unwrap();
        let open = File::open(&file).unwrap();
        replace(&link, &[b"sec", b"ond"]).unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"second");
        assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o640);
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(io::read_to_string(open).unwrap(), "first", "who has the old file open keeps it");
        assert_eq!(names(dir.path()), ["file", "link"]);
        assert!(replace(dir.path(), &[b"no"]).is_err(), "a folder");
        assert!(replace(&dir.path().join("no/folder"), &[b"no"]).is_err());
        replace(Path::new("/dev/null"), &[b"gone"]).unwrap();
        assert!(!fs::metadata("/dev/null").unwrap().is_file());
    }

    #[test]
    fn a_draft_with_a_name_of_its_own_does_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let named = || {
            let mut options = OpenOptions::new();
            options.write(true).create_new(true);
            let (name, file) = with_own_name(dir.path(), |name| options.open(name)).unwrap();
            Draft { file, folder: dir.path().to_owned(), name: Some(name) }
        };
        let path = dir.path().join("file");
        drop(named());
        assert!(names(dir.path()).is_empty(), "given up");
        named().publish(&path).unwrap();
        assert_eq!(names(dir.path()), ["file"]);
        assert_eq!(named().publish(&path).unwrap_err().kind(), ErrorKind::AlreadyExists);
        named().replace(&path).unwrap();
        assert_eq!(names(dir.path()), ["file"]);
    }
}
