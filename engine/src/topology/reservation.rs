//! Cores that a pool keeps for itself among the pools of one user.
//!
//! All pools of a user that reserve cores open one file and lock a byte of it for each PU: byte `n` for the
//! PU of operating-system index `n`. The bytes themselves mean nothing, and the file stays empty. A lock
//! belongs to the open file description of the driver, which neither workers nor other children get, so the
//! kernel frees it when the driver's process ends in whatever way. There are no entries that could be stale.
//!
//! | a kill of the driver after | leaves |
//! |---|---|
//! | the file is made | an empty file, which the next pool uses |
//! | some or all bytes are locked | nothing: all are free when the kernel has closed the descriptor |
//! | bytes are freed, at the pool's end | nothing |
//!
//! The driver's workers get their SIGKILL in the same moment (`spawn/README.md`), so a pool that takes the
//! cores at once may share them with a dying worker for as long as the kernel needs for that.
//!
//! Locks are tried and never waited for, so no stopped or hanging process makes another wait.

use super::cpuset::CpuSet;
use super::machine::Machine;
use crate::sys::fork::OwnFile;
use crate::sys::{descriptor, file_lock};
use std::ffi::OsString;
use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The file's name in a folder of this user alone; with the user's number behind it elsewhere.
const NAME: &str = "phalanx-cores";

/// Cores that this process keeps for one pool. Dropping it frees them.
#[derive(Debug)]
pub(crate) struct Reservation {
    file: OwnFile,
}

impl Reservation {
    /// Opens this user's file, and makes it if there is none. No core is reserved yet.
    ///
    /// # Errors
    /// In words: no folder is fit for it, or what is there is not this user's own file.
    pub(crate) fn open() -> Result<Reservation, String> {
        let path = place(std::env::var_os("XDG_RUNTIME_DIR"));
        Reservation::open_at(&path).map_err(|error| format!("{}: {error}", path.display()))
    }

    fn open_at(path: &Path) -> io::Result<Reservation> {
        let file = OwnFile::made_by(|| {
            let mut options = OpenOptions::new();
            // Neither follows a link that somebody put there, nor waits for the other end of a pipe.
            let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY;
            options.read(true).write(true).create(true).truncate(false).mode(0o600).custom_flags(flags);
            let file = descriptor::open(&options, path)?;
            check(&file.metadata()?)?;
            Ok(file)
        })?;
        // Where locks are unknown, it shows here.
        file_lock::is_locked_elsewhere(file.as_fd(), 0)?;
        Ok(Reservation { file })
    }

    /// The PUs of the machine that other pools keep now.
    pub(crate) fn taken(&self, machine: &Machine) -> io::Result<CpuSet> {
        let mut taken = CpuSet::new();
        for pu in machine.cpuset().iter() {
            if file_lock::is_locked_elsewhere(self.fd(), pu)? {
                taken.insert(pu);
            }
        }
        Ok(taken)
    }

    /// Reserves the cores to which these PUs belong, all of them or none. Returns false if another pool has
    /// one of them by now.
    pub(crate) fn take(&self, machine: &Machine, pus: &CpuSet) -> io::Result<bool> {
        for pu in whole_cores(machine, pus).iter() {
            // In ascending order: of two that want the same ones, one gets the first.
            let taken = file_lock::try_lock(self.fd(), pu);
            if !matches!(taken, Ok(true)) {
                file_lock::unlock_all(self.fd())?;
                return taken;
            }
        }
        Ok(true)
    }

    fn fd(&self) -> std::os::fd::BorrowedFd<'_> {
        File::as_fd(&self.file)
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if self.file.is_ours() {
            // Closing does it too, unless a child of a bare `clone` has a copy of the descriptor.
            let _closing_does_it = file_lock::unlock_all(self.fd());
        }
    }
}

/// The PUs, and their siblings: a core is not shared by halves.
fn whole_cores(machine: &Machine, pus: &CpuSet) -> CpuSet {
    let cores = machine.cores().iter().filter(|core| core.cpuset.intersects(pus));
    cores.fold(pus.clone(), |all, core| all.union(&core.cpuset))
}

/// Refuses what another user, or a link to another file of this one, could have put there.
fn check(found: &Metadata) -> io::Result<()> {
    let refused = |why| Err(io::Error::other(why));
    match found {
        found if !found.is_file() => refused("it is not a regular file"),
        found if found.uid() != own_user() => refused("it belongs to another user"),
        found if found.mode() & 0o077 != 0 => refused("other users may open it"),
        found if found.nlink() > 1 => refused("it has several names"),
        _ => Ok(()),
    }
}

/// Where the file lies: in the first folder there is that only this user can write to, else where everybody
/// can.
fn place(runtime_folder: Option<OsString>) -> PathBuf {
    let user = own_user();
    let runtime_folder = runtime_folder.map(PathBuf::from).filter(|path| path.is_absolute());
    let own = runtime_folder.into_iter().chain([PathBuf::from(format!("/run/user/{user}"))]);
    let is_own = |path: &PathBuf| {
        let found = std::fs::metadata(path);
        found.is_ok_and(|found| found.is_dir() && found.uid() == user && found.mode() & 0o022 == 0)
    };
    match own.into_iter().find(is_own) {
        Some(folder) => folder.join(NAME),
        // Not in /dev/shm, where nothing of a program is ever left.
        None => std::env::temp_dir().join(format!("{NAME}-{user}")),
    }
}

fn own_user() -> u32 {
    rustix::process::geteuid().as_raw()
}

#[cfg(all(test, not(loom)))]
mod tests;
