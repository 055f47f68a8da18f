//! The worker's side of an assignment: a process outside any team that calls one function and ends.
//!
//! # Safety
//! The driver runs the same build (checked at start, before the assignment) and sends the distance of an
//! [`ProcessEntry`]; that it lies in this program's code is checked.
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use crate::base::MemberId;
use crate::code;
use crate::spawn::mail::{self, FromWorker};
use crate::spawn::segments::{Mapped, Segments, resolve_arena, resolver};
use crate::spawn::worker::{FAILED, Given};
use crate::spawn::{exit, log, panic_note};
use crate::sys::process;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::ffi::OsStr;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::ptr::NonNull;
use std::sync::{Arc, OnceLock};

/// What a process outside any team is started for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Assignment {
    pub(crate) member: u32,
    pub(crate) name: String,
    pub(crate) is_daemon: bool,
    /// The driver's working directory, since that of a fork server may differ; empty if the driver has none.
    pub(crate) folder: Vec<u8>,
    pub(crate) arena: u64,
    pub(crate) arena_len: u64,
    /// Most verbose level that the driver's subscriber takes, 0 (off) to 5 (trace).
    pub(crate) log_level: u8,
    /// What to call: the distance of a [`ProcessEntry`] from the anchor.
    pub(crate) entry: u64,
    /// The block of the arena that the entry is given.
    pub(crate) offset: u64,
    pub(crate) len_bytes: u64,
}

/// What an entry works with.
pub(crate) struct Site {
    socket: Arc<OwnedFd>,
    /// Its block of the arena, writable, and the block's length.
    pub(crate) block: NonNull<u8>,
    pub(crate) len_bytes: usize,
}

impl Site {
    /// Hands over to the driver what did not fit into the block.
    pub(crate) fn send_outcome(&self, len_bytes: usize, fd: BorrowedFd<'_>) -> io::Result<()> {
        mail::send(&*self.socket, &FromWorker::Outcome { len_bytes: len_bytes as u64 }, &[fd]).map(drop)
    }
}

/// What is called; the result is the process's exit status.
///
/// # Safety
/// Called with a site over the block of the assignment that names this entry.
pub(crate) type ProcessEntry = unsafe fn(&mut Site) -> i32;

/// What this process is.
#[derive(Debug)]
pub(crate) struct Me {
    pub(crate) name: String,
    pub(crate) is_daemon: bool,
}

static ME: OnceLock<Me> = OnceLock::new();

/// What this process was started as, if it was started for an assignment.
pub(crate) fn me() -> Option<&'static Me> {
    ME.get()
}

/// The segments that this process can reach, for as long as it lives.
static SEGMENTS: Mutex<Option<Mapped>> = Mutex::new(None);

/// Where a segment of the driver's is mapped in this process, for `travel`: any, if it is here for an
/// assignment; in a worker of a pool, the arena.
pub(crate) fn resolve(segment: u64, writable: bool) -> Result<(NonNull<u8>, usize), String> {
    let mut segments = SEGMENTS.lock();
    match segments.as_mut() {
        Some(segments) => resolver(segments)(segment, writable),
        // A worker of a pool, or the driver itself.
        None => resolve_arena(segment),
    }
}

/// The life of a process that was started for an assignment.
pub(crate) fn main(given: Given) -> ! {
    let socket = given.socket.clone();
    let begun = given.read().and_then(|assignment| begin(&socket, assignment, &given.fds, given.segments));
    drop(given.fds);
    let status = match begun {
        Ok((entry, mut site)) => {
            // SAFETY: the assignment named it, for this site.
            unsafe { entry(&mut site) }
        }
        Err(why) => {
            let _gone = mail::send(&*socket, &FromWorker::Failed { why }, &[]);
            FAILED
        }
    };
    exit::flush_and_exit(status)
}

fn begin(
    socket: &Arc<OwnedFd>,
    assignment: Assignment,
    fds: &[OwnedFd],
    mut segments: Mapped,
) -> Result<(ProcessEntry, Site), String> {
    // `terminate` means this process, whatever its driver does with the signal.
    process::default_signal(libc::SIGTERM);
    if !assignment.folder.is_empty() {
        // If it is gone or no longer accessible, relative paths fail and report that themselves.
        let _gone = std::env::set_current_dir(OsStr::from_bytes(&assignment.folder));
    }
    panic_note::install_hook_beside();
    log::install(socket.clone(), assignment.log_level);
    crate::base::member::set_current_member(MemberId(assignment.member));
    let arena = fds.first().ok_or("the assignment came without the arena's descriptor")?;
    segments.map(assignment.arena, assignment.arena_len as usize, arena)?;
    let extent = segments.attach(assignment.arena, true)?;
    let len_bytes = assignment.len_bytes as usize;
    let end = (assignment.offset as usize).checked_add(len_bytes);
    let block = NonNull::new(extent.base.wrapping_add(assignment.offset as usize));
    let block = block.filter(|_| end.is_some_and(|end| end <= extent.len_bytes));
    let block = block.ok_or("the assignment's block lies outside the arena")?;
    // SAFETY: the driver sent the distance of a `ProcessEntry` in this same build.
    let entry = unsafe { code::function_at::<ProcessEntry>(assignment.entry) };
    let entry = entry.ok_or("the assignment names an entry outside this program's code")?;
    let _once = ME.set(Me { name: assignment.name, is_daemon: assignment.is_daemon });
    *SEGMENTS.lock() = Some(segments);
    Ok((entry, Site { socket: socket.clone(), block, len_bytes }))
}
