//! A started process, as the driver keeps track of it.
//!
//! # Safety
//! The call block lies in a block that the child's job holds; see `call_block.rs` for who uses it when.
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use super::call_block::{Left, View};
use crate::base::MemberId;
use crate::handle::travel::{self, KeepAlive};
use crate::memory::arena::Block;
use crate::memory::{MapAccess, MapOptions, Mapping};
use crate::spawn::log::Speaker;
use crate::spawn::panic_note::ToldPanic;
use crate::spawn::{ExitCause, WorkerProcess};
use crate::sys::fork;
use parking_lot::{Condvar, Mutex};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
// Plain atomics on purpose: bookkeeping of this process alone.
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// Bytes that a process left.
#[derive(Debug)]
pub(super) enum Bytes {
    Copied(Vec<u8>),
    /// A segment of its own. Its process is dead, so it no longer changes.
    Mapped(Mapping),
}

impl Bytes {
    pub(super) fn as_slice(&self) -> &[u8] {
        match self {
            Bytes::Copied(bytes) => bytes,
            // SAFETY: mapped with this length for as long as `self` lives, of a file as long (`take_far`);
            // its only writer was the dead process.
            Bytes::Mapped(mapping) => unsafe {
                std::slice::from_raw_parts(mapping.base().as_ptr(), mapping.len_bytes())
            },
        }
    }
}

/// What a process reported before it ended.
#[derive(Debug)]
pub(super) enum Said {
    Nothing,
    Value(Bytes),
    Panic(ToldPanic),
    BadArguments(String),
    BadValue(String),
    CannotBegin(String),
    Corrupt,
}

/// A process's end.
#[derive(Debug)]
pub(super) struct End {
    pub(super) cause: ExitCause,
    pub(super) oom: bool,
    pub(super) said: Said,
    /// Keeps alive what the handles in its result refer to: the objects of its arguments.
    _keep_alive: Option<KeepAlive>,
}

impl End {
    /// The exit status, or the negative number of the signal; `None` if it is unknown.
    pub(super) fn exit_code(&self) -> Option<i32> {
        match (self.cause, &self.said) {
            (ExitCause::Exit(code), _) => Some(code),
            (ExitCause::Signal { number, .. }, _) => Some(number.wrapping_neg()),
            // A host that reaps its children itself has taken the answer away; the call block may still know.
            (_, Said::Value(_)) => Some(0),
            (_, Said::Nothing | Said::Corrupt) => None,
            _ => Some(crate::spawn::worker::FAILED),
        }
    }
}

/// What a process works from; returned when it has ended.
pub(super) struct ProcessJob {
    pub(super) block: Block,
    /// Keeps alive what the handles among its arguments refer to.
    pub(super) keep_alive: KeepAlive,
}

impl ProcessJob {
    /// The call block of this job.
    pub(super) fn view(&self) -> View {
        // SAFETY: the block is mapped while the job lives. Whoever calls this is the driver before the start,
        // or the watch after the confirmed death.
        unsafe { View::new(self.block.ptr(), self.block.len()) }
    }
}

/// One process, shared by its handle and the thread that watches it.
pub(super) struct Child {
    pub(super) name: Arc<str>,
    pub(super) is_daemon: bool,
    pub(super) member: MemberId,
    pub(super) process: WorkerProcess,
    /// The process that started it.
    pub(super) owner: u32,
    /// Whether this program asked it to end.
    pub(super) is_dismissed: AtomicBool,
    job: Mutex<Option<ProcessJob>>,
    /// An outcome too long for the call block.
    far: Mutex<Option<Mapping>>,
    refusal: Mutex<Option<String>>,
    ending: Arc<Ending>,
}

/// Where a process's end is awaited.
#[derive(Default)]
pub(super) struct Ending {
    end: Mutex<Option<Arc<End>>>,
    ended: Condvar,
}

impl Ending {
    /// Announces the end to all waiting threads. The caller no longer holds the child: a thread that learns
    /// of the end and drops the last handle closes the last descriptor.
    pub(super) fn announce(&self, end: End) {
        *self.end.lock() = Some(Arc::new(end));
        self.ended.notify_all();
    }
}

impl Child {
    pub(super) fn new(
        name: Arc<str>,
        is_daemon: bool,
        member: MemberId,
        process: WorkerProcess,
        job: ProcessJob,
    ) -> Child {
        Child {
            name,
            is_daemon,
            member,
            process,
            owner: crate::sys::process::own_pid(),
            is_dismissed: AtomicBool::new(false),
            job: Mutex::new(Some(job)),
            far: Mutex::default(),
            refusal: Mutex::default(),
            ending: Arc::default(),
        }
    }

    pub(super) fn speaker(&self) -> Speaker {
        Speaker::Process { name: self.name.clone(), pid: self.process.pid }
    }

    /// How it ended, if it has.
    pub(super) fn end(&self) -> Option<Arc<End>> {
        if fork::is_foreign() {
            // The lock may be held by a thread that is not here.
            return None;
        }
        self.ending.end.lock().clone()
    }

    /// Waits for its end.
    pub(super) fn wait(&self, deadline: Option<Instant>) -> Option<Arc<End>> {
        let Ending { end, ended } = &*self.ending;
        let mut end = end.lock();
        loop {
            if let Some(end) = &*end {
                return Some(end.clone());
            }
            match deadline {
                None => ended.wait(&mut end),
                Some(at) if Instant::now() >= at => return None,
                Some(at) => drop(ended.wait_until(&mut end, at)),
            }
        }
    }

    /// Sends a signal because this program asked for it.
    pub(super) fn dismiss(&self, number: i32) {
        self.is_dismissed.store(true, Ordering::Relaxed);
        self.process.signal(number);
    }

    /// Whether this process is the one that started it, and not a fork of that one.
    pub(super) fn is_ours(&self) -> bool {
        self.owner == crate::sys::process::own_pid()
    }

    /// Notes that the process reports it cannot begin.
    pub(super) fn refuse(&self, why: String) {
        self.refusal.lock().get_or_insert(why);
    }

    /// Takes an outcome that came in a segment of its own.
    pub(super) fn take_far(&self, len_bytes: u64, fd: Option<&OwnedFd>) {
        let len = usize::try_from(len_bytes).ok();
        let Some((fd, len)) = fd.zip(len) else { return };
        // A mapping beyond the file's end would be a fault to touch.
        let is_long_enough = rustix::fs::fstat(fd).is_ok_and(|stat| stat.st_size as u64 >= len_bytes);
        if is_long_enough
            && let Ok(mapping) = Mapping::map(fd.as_fd(), len, MapAccess::ReadOnly, MapOptions::default())
        {
            *self.far.lock() = Some(mapping);
        }
    }

    /// Records its end, after its death was confirmed and repaired; the result is to be announced.
    pub(super) fn reap_dead(&self, cause: ExitCause, oom: bool) -> (Arc<Ending>, End) {
        let job = self.job.lock().take();
        let said = match self.refusal.lock().take() {
            Some(why) => Said::CannotBegin(why),
            None => job.as_ref().map_or(Said::Nothing, |job| self.read(&job.view())),
        };
        // What the process worked from is released before its end is announced, unless the result needs it.
        let keeps = matches!(&said, Said::Value(bytes) if travel::has_handles(bytes.as_slice()));
        let keep_alive = job.map(|job| job.keep_alive).filter(|_| keeps);
        (self.ending.clone(), End { cause, oom, said, _keep_alive: keep_alive })
    }

    fn read(&self, call_block: &View) -> Said {
        let Some((left, bytes)) = call_block.left() else { return Said::Corrupt };
        let text = || String::from_utf8_lossy(bytes).into_owned();
        match left {
            Left::Nothing => Said::Nothing,
            Left::Value => Said::Value(Bytes::Copied(bytes.to_vec())),
            Left::FarValue => {
                self.far.lock().take().map_or(Said::Corrupt, |far| Said::Value(Bytes::Mapped(far)))
            }
            Left::Panic => panic_of(bytes),
            Left::FarPanic => match self.far.lock().take() {
                Some(far) => panic_of(Bytes::Mapped(far).as_slice()),
                None => Said::Corrupt,
            },
            Left::BadArguments => Said::BadArguments(text()),
            Left::BadValue => Said::BadValue(text()),
        }
    }
}

/// The panic that a process has written down.
fn panic_of(bytes: &[u8]) -> Said {
    ToldPanic::from_bytes(bytes).map_or(Said::Corrupt, Said::Panic)
}
