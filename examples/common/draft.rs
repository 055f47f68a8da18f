//! Files that appear under their name only when they are whole.

use crate::run::{Result, refuse};
use rustix::fs::{AtFlags, CWD, Mode, OFlags, linkat, open};
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// A file in the making. Until it is [finished](Draft::finish) it has no name; so nothing is left of it if
/// the program ends before, by whatever. (File systems that cannot do that give it another name in the same
/// folder, which is removed when it is dropped.)
#[derive(Debug)]
pub struct Draft {
    file: Kind,
    path: PathBuf,
}

#[derive(Debug)]
enum Kind {
    Unnamed(File),
    Named(NamedTempFile),
}

impl Draft {
    /// Begins the file that is to be at `path`. What is there stays until the new one is whole.
    ///
    /// # Errors
    /// [`Refused`](crate::Refused) if the folder cannot be written to.
    pub fn create(path: &Path) -> Result<Self> {
        let folder = folder_of(path);
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        let file = match open(folder, flags, Mode::from_raw_mode(0o644)) {
            Ok(file) => Ok(Kind::Unnamed(file.into())),
            Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::ISDIR) => named(folder).map(Kind::Named),
            Err(error) => Err(error.into()),
        };
        let file = file.map_err(|error| cannot_be_written(path, &error))?;
        Ok(Self { file, path: path.to_owned() })
    }

    /// The open file, for this process.
    pub fn file(&mut self) -> &mut File {
        match &mut self.file {
            Kind::Unnamed(file) => file,
            Kind::Named(file) => file.as_file_mut(),
        }
    }

    /// The path by which workers open it.
    pub fn path(&self) -> PathBuf {
        match &self.file {
            Kind::Unnamed(file) => format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd()).into(),
            Kind::Named(file) => file.path().to_owned(),
        }
    }

    /// Gives the file its name, in the place of what was there.
    ///
    /// # Errors
    /// If it cannot be written to the end, or not be renamed.
    pub fn finish(mut self) -> Result<()> {
        let path = self.path.clone();
        self.file().sync_all().and_then(|()| self.publish()).map_err(|error| cannot_be_written(&path, &error))
    }

    fn publish(self) -> io::Result<()> {
        match self.file {
            Kind::Unnamed(file) => {
                let from = format!("/proc/self/fd/{}", file.as_raw_fd());
                let link = |to: &Path| linkat(CWD, &from, CWD, to, AtFlags::SYMLINK_FOLLOW);
                // A link never takes the place of another file, so it gets a name beside that first.
                match link(&self.path) {
                    Err(rustix::io::Errno::EXIST) => {
                        let folder = folder_of(&self.path);
                        let place = tempfile::Builder::new().prefix(".draft-").tempdir_in(folder)?;
                        let beside = place.path().join("whole");
                        link(&beside)?;
                        std::fs::rename(beside, &self.path)
                    }
                    linked => Ok(linked?),
                }
            }
            Kind::Named(file) => {
                let permissions = std::os::unix::fs::PermissionsExt::from_mode(0o644);
                file.as_file().set_permissions(permissions)?;
                file.persist(&self.path).map(drop).map_err(|error| error.error)
            }
        }
    }
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn named(folder: &Path) -> io::Result<NamedTempFile> {
    tempfile::Builder::new().prefix(".draft-").tempfile_in(folder)
}

fn cannot_be_written(path: &Path, why: &io::Error) -> Box<dyn std::error::Error> {
    refuse(format!("{} cannot be written: {why}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::{Draft, Kind, named};
    use std::fs;
    use std::io::Write as _;
    use std::path::{Path, PathBuf};

    /// A draft of each kind; the second is for file systems that know no files without a name.
    fn drafts(path: &Path) -> [Draft; 2] {
        let file = Kind::Named(named(path.parent().unwrap()).unwrap());
        [Draft::create(path).unwrap(), Draft { file, path: path.to_owned() }]
    }

    #[test]
    fn a_file_appears_when_it_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        let entries = || fs::read_dir(folder.path()).unwrap().count();
        for kind in 0..2 {
            let draft = || drafts(&path).into_iter().nth(kind).unwrap();
            fs::write(&path, "old").unwrap();
            let mut half = draft();
            half.file().write_all(b"half").unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), "old");
            drop(half);
            assert_eq!(entries(), 1, "what is not finished leaves nothing behind");
            let mut whole = draft();
            whole.file().write_all(b"new").unwrap();
            // As a worker does it.
            fs::OpenOptions::new().append(true).open(whole.path()).unwrap().write_all(b"er").unwrap();
            whole.finish().unwrap();
            assert_eq!((fs::read_to_string(&path).unwrap().as_str(), entries()), ("newer", 1));
        }
        let nowhere = Draft::create(&folder.path().join("no/such/folder")).unwrap_err().to_string();
        assert!(
            nowhere.ends_with("no/such/folder cannot be written: No such file or directory (os error 2)"),
            "{nowhere}"
        );
        let fresh: PathBuf = folder.path().join("fresh");
        Draft::create(&fresh).unwrap().finish().unwrap();
        assert_eq!(fs::read(fresh).unwrap(), b"");
    }
}
