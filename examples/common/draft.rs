//! Files that appear under their name only when they are whole.

use crate::run::{Result, refuse};
use std::fs::File;
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// A file in the making. Until it is [finished](Draft::finish) it has another name in the same folder; dropped
/// before, it is removed.
#[derive(Debug)]
pub struct Draft {
    file: NamedTempFile,
    path: PathBuf,
}

impl Draft {
    /// Begins the file that is to be at `path`. What is there stays until the new one is whole.
    ///
    /// # Errors
    /// [`Refused`](crate::Refused) if the folder cannot be written to.
    pub fn create(path: &Path) -> Result<Self> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let file = tempfile::Builder::new().prefix(".draft-").tempfile_in(folder);
        let file = file.map_err(|error| refuse(format!("{} cannot be written: {error}", path.display())))?;
        Ok(Self { file, path: path.to_owned() })
    }

    /// The open file, for this process.
    pub fn file(&mut self) -> &mut File {
        self.file.as_file_mut()
    }

    /// The name that it has so far, by which workers open it.
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// Gives the file its name, in the place of what was there.
    ///
    /// # Errors
    /// If it cannot be written to the end, or not be renamed.
    pub fn finish(self) -> Result<()> {
        let fails =
            |error: std::io::Error| refuse(format!("{} cannot be written: {error}", self.path.display()));
        self.file.as_file().sync_all().map_err(fails)?;
        let permissions = std::os::unix::fs::PermissionsExt::from_mode(0o644);
        self.file.as_file().set_permissions(permissions).map_err(fails)?;
        let path = self.path.clone();
        self.file
            .persist(&self.path)
            .map_err(|error| refuse(format!("{} cannot be written: {}", path.display(), error.error)))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Draft;
    use std::fs;
    use std::io::Write as _;

    #[test]
    fn a_file_appears_when_it_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        fs::write(&path, "old").unwrap();
        let entries = || fs::read_dir(folder.path()).unwrap().count();
        let mut draft = Draft::create(&path).unwrap();
        draft.file().write_all(b"half").unwrap();
        assert_eq!((fs::read_to_string(&path).unwrap().as_str(), entries()), ("old", 2));
        drop(draft);
        assert_eq!(entries(), 1, "what is not finished leaves nothing behind");
        let mut draft = Draft::create(&path).unwrap();
        draft.file().write_all(b"new").unwrap();
        draft.finish().unwrap();
        assert_eq!((fs::read_to_string(&path).unwrap().as_str(), entries()), ("new", 1));
        let nowhere = Draft::create(&folder.path().join("no/such/folder")).unwrap_err().to_string();
        assert!(nowhere.contains("no/such/folder cannot be written"), "{nowhere}");
    }
}
