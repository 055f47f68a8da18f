//! The profile of a host: a file in this user's cache folder.

use super::error::ProfileError;
use super::host::Host;
use super::settings::Tuning;
use super::text;
use crate::sys::{descriptor, process};
use crate::topology::Machine;
use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The environment variable that makes pools ignore the profile, if it is `off`.
pub const TUNE_VARIABLE: &str = "PHALANX_TUNE";

/// A profile is some lines of text.
const MOST_BYTES: u64 = 64 << 10;

/// What was measured on a host: a [`Tuning`], and notes on what it gained.
///
/// It is stored in `$XDG_CACHE_HOME/phalanx`, or `~/.cache/phalanx`, in one file for each host: topology, kernel
/// release and kind of processor are its name. Pools read it as they are built. A file that is damaged, of another
/// version or of another host is ignored, and so is every file if `PHALANX_TUNE` is `off` ([`TUNE_VARIABLE`]) or the
/// program has raised privileges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    tuning: Tuning,
    notes: Vec<String>,
}

impl Profile {
    /// Makes a profile of these settings, [clamped](Tuning::clamped), and what there is to say of each.
    pub fn new(tuning: Tuning, notes: impl IntoIterator<Item = String>) -> Profile {
        Profile { tuning: tuning.clamped(), notes: notes.into_iter().collect() }
    }

    /// Returns the settings.
    pub fn tuning(&self) -> Tuning {
        self.tuning
    }

    /// Returns the notes, for people.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Returns where the profile of this host is stored, if there is one. `machine` is what
    /// [`Machine::detect`] returns.
    ///
    /// # Errors
    /// [`ProfileError::NoFolder`] if neither `XDG_CACHE_HOME` nor `HOME` is an absolute path.
    pub fn path(machine: &Machine) -> Result<PathBuf, ProfileError> {
        let folder = folder(std::env::var_os("XDG_CACHE_HOME"), std::env::var_os("HOME"));
        Ok(folder.ok_or(ProfileError::NoFolder)?.join(name(&Host::of(machine))))
    }

    /// Reads the profile of this host, whatever `PHALANX_TUNE` says; `None` if there is none.
    ///
    /// # Errors
    /// - [`ProfileError::NoFolder`]: as for [`Self::path`].
    /// - [`ProfileError::Unusable`]: the file is not a profile of this host that this version can use.
    /// - [`ProfileError::Io`]: it cannot be read.
    pub fn load(machine: &Machine) -> Result<Option<Profile>, ProfileError> {
        load_at(&Profile::path(machine)?, &Host::of(machine))
    }

    /// Stores the profile for this host, in place of one that is there. Makes the folder if it is missing. The
    /// file is complete or not there at any moment.
    ///
    /// # Errors
    /// [`ProfileError::NoFolder`], and [`ProfileError::Io`] if the folder or the file cannot be written.
    pub fn store(&self, machine: &Machine) -> Result<PathBuf, ProfileError> {
        let path = Profile::path(machine)?;
        store_at(&path, &text::write(&Host::of(machine), &self.tuning, &self.notes))?;
        Ok(path)
    }

    /// Removes the profile of this host. Returns whether there was one.
    ///
    /// # Errors
    /// [`ProfileError::NoFolder`], and [`ProfileError::Io`] if it cannot be removed.
    pub fn forget(machine: &Machine) -> Result<bool, ProfileError> {
        let path = Profile::path(machine)?;
        match std::fs::remove_file(&path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(ProfileError::Io { what: "remove", path, error }),
        }
    }

    /// The settings that a pool on this machine starts from, if a profile of it is to be used.
    pub(crate) fn in_use(machine: &Machine) -> Option<Tuning> {
        if std::env::var_os(TUNE_VARIABLE).is_some_and(|choice| choice == "off") || process::is_secure() {
            return None;
        }
        let folder = folder(std::env::var_os("XDG_CACHE_HOME"), std::env::var_os("HOME"))?;
        // Most hosts have none, and then this is all it costs.
        if !folder.is_dir() {
            return None;
        }
        let host = Host::of(machine);
        let profile = load_at(&folder.join(name(&host)), &host);
        profile.ok().flatten().map(|profile| profile.tuning)
    }
}

fn folder(cache: Option<OsString>, home: Option<OsString>) -> Option<PathBuf> {
    let absolute = |path: OsString| Some(PathBuf::from(path)).filter(|path| path.is_absolute());
    let cache = cache.and_then(absolute);
    cache.or_else(|| Some(home.and_then(absolute)?.join(".cache"))).map(|cache| cache.join("phalanx"))
}

fn name(host: &Host) -> String {
    format!("profile-{:016x}", host.key)
}

pub(super) fn load_at(path: &Path, host: &Host) -> Result<Option<Profile>, ProfileError> {
    let failed = |error| ProfileError::Io { what: "read", path: path.to_owned(), error };
    let unusable = |why: String| ProfileError::Unusable { path: path.to_owned(), why };
    let mut options = OpenOptions::new();
    // Waits for nobody, should it be a pipe.
    options.read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY);
    let file = match descriptor::open(&options, path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let found = file.metadata().map_err(failed)?;
    if !found.is_file() || found.len() > MOST_BYTES {
        return Err(unusable("it is not a short file".into()));
    }
    if found.uid() != rustix::process::geteuid().as_raw() {
        return Err(unusable("it belongs to another user".into()));
    }
    let mut bytes = Vec::new();
    file.take(MOST_BYTES).read_to_end(&mut bytes).map_err(failed)?;
    let written = String::from_utf8(bytes).map_err(|_| unusable("it is not text".into()))?;
    let (tuning, notes) = text::read(&written, host.key).map_err(unusable)?;
    Ok(Some(Profile { tuning, notes }))
}

/// Writes a file beside it and gives it the name.
pub(super) fn store_at(path: &Path, text: &str) -> Result<(), ProfileError> {
    let failed = |path: &Path, error| ProfileError::Io { what: "write", path: path.to_owned(), error };
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(|error| failed(folder, error))?;
    }
    let new = path.with_extension(format!("new-{}", std::process::id()));
    let written = (|| {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600).custom_flags(libc::O_NOFOLLOW);
        let mut file = descriptor::open(&options, &new)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&new, path)
    })();
    written.map_err(|error| {
        let _best_effort = std::fs::remove_file(&new);
        failed(path, error)
    })
}

#[cfg(all(test, not(loom)))]
mod folder_tests {
    use super::*;

    #[test]
    fn the_folder_is_the_users_cache() {
        let text = |text: &str| Some(OsString::from(text));
        assert_eq!(folder(text("/c"), text("/h")), Some("/c/phalanx".into()));
        assert_eq!(folder(text("c"), text("/h")), Some("/h/.cache/phalanx".into()));
        assert_eq!(folder(None, text("/h")), Some("/h/.cache/phalanx".into()));
        assert_eq!((folder(text(""), text("")), folder(None, None)), (None, None));
    }
}
