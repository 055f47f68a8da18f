//! What every worker runs at its end, where the pool has such a function, and how its result gets to the
//! driver.
//!
//! The function runs between a member's last launch or task and the drop of its states. A worker process
//! sends what came of it in parts, since a packet is small; the engine thread puts them together. A worker
//! that ends before its last part has arrived has no result, and the driver notes why. So every worker that
//! has served has one line in [`Exits::ended`].
//!
//! # Safety
//! A worker calls the entry that [`Exits::wire`] names; it runs the same build as the driver (checked at
//! start, before the welcome).
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use crate::base::atomic::{AtomicU64, Ordering};
use crate::base::notation;
use crate::base::panicked::whence;
use crate::code::{self, conjure};
use crate::handle::travel;
use crate::memory::AllocError;
use crate::spawn::panic_note::{self, ToldPanic};
use crate::spawn::{ExitCause, StartError, last_words};
use crate::team::current;
use crate::team::member::Member;
use crate::team::state::{HandleId, States};
use parking_lot::Mutex;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::any::{TypeId, type_name};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long an exit function may take, unless the pool's builder says otherwise.
pub(crate) const EXIT_WITHIN: Duration = Duration::from_secs(60);
/// The longest limit that moments can be reckoned with.
const LONGEST: Duration = Duration::from_secs(1 << 32);
/// Bytes of a part: packets hold twice as many.
const PART_BYTES: usize = 32 << 10;
/// The number of a member's run of the function, see `Member::within`.
const NUMBER: u64 = 1;
/// What [`Exits::wanted`] is until the pool is terminated.
const WANTED: u64 = 1;

/// Why a worker has no exit result, or why a pool has none.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExitError {
    /// The pool was built without [`at_exit`](crate::PoolBuilder::at_exit).
    #[error("the pool has no exit function; give it one by at_exit when it is built")]
    NotSet,
    /// The pool has not ended: its workers still serve, or run their exit functions, or a caller's seat is
    /// taken.
    #[error(
        "the pool has not ended, so its workers have no exit results yet; drop its seats and join it first, outside of its work"
    )]
    NotOver,
    /// The exit function returns another type than the one asked for.
    #[error("the exit function returns {returned}, but its results were asked for as {asked}")]
    WrongType {
        /// The type that it returns.
        returned: &'static str,
        /// The type that was asked for.
        asked: &'static str,
    },
    /// The results were asked for in a process that was forked from the pool's.
    #[error("{}", AllocError::Forked)]
    Forked,
    /// The worker died before its exit function had returned: in a launch or task, while it was idle, or in
    /// the function itself.
    #[error("worker {rank} (pid {pid}) was lost before its exit function had returned: it {}{}", was(.cause), of_memory(.oom))]
    Died {
        /// The worker's rank.
        rank: usize,
        /// The worker's process ID.
        pid: u32,
        /// How it ended.
        cause: ExitCause,
        /// Whether the kernel killed a process at that time because memory ran out.
        oom: bool,
    },
    /// The exit function panicked.
    #[error("the exit function of worker {rank} panicked: {message}{}", whence(.location, .backtrace))]
    Panicked {
        /// The worker's rank.
        rank: usize,
        /// The panic's message.
        message: String,
        /// File, line and column of the panic; empty where workers are not processes, since Rust prints it
        /// there.
        location: String,
        /// The calls that led to the panic, one a line, if the environment variable `RUST_BACKTRACE` asks for
        /// them; empty otherwise. Looking up their names counts against the limit.
        backtrace: Box<str>,
    },
    /// The exit function took longer than its [limit](crate::PoolBuilder::exit_timeout). A worker process was
    /// killed.
    #[error(
        "the exit function of worker {rank} took longer than {limit:?}; set another limit by exit_timeout"
    )]
    TimedOut {
        /// The worker's rank.
        rank: usize,
        /// The limit.
        limit: Duration,
    },
    /// The pool was terminated before the worker's exit function had returned.
    #[error("the pool was terminated before the exit function of worker {rank} had returned")]
    Terminated {
        /// The worker's rank.
        rank: usize,
    },
    /// The exit function returned a value that cannot be sent to the driver, or be read there.
    #[error("the exit result of worker {rank} cannot be handed over: {why}")]
    Codec {
        /// The worker's rank.
        rank: usize,
        /// What serde says of it.
        why: String,
    },
}

crate::base::debug_is_display!(ExitError);

fn was(cause: &ExitCause) -> String {
    let verb = if matches!(cause, ExitCause::Signal { .. }) { "was " } else { "" };
    format!("{verb}{cause}")
}

fn of_memory(oom: &bool) -> &'static str {
    if *oom { ", probably because memory ran out" } else { "" }
}

/// The monomorphised part: calls the function with the state of that handle, and writes its result down.
type ExitEntry = fn(&mut States, u64) -> Result<Vec<u8>, String>;

/// An exit function, as the pool's builder has it.
#[derive(Clone, Debug)]
pub(crate) struct ExitFunction {
    entry: ExitEntry,
    /// The handle of the state that it is given. Kept, so that no worker drops the state before.
    state: Option<Arc<HandleId>>,
    returned: TypeId,
    returned_name: &'static str,
}

impl ExitFunction {
    pub(crate) fn new<R, F>() -> ExitFunction
    where
        R: Serialize + 'static,
        F: Fn() -> R + Copy + Send + Sync + 'static,
    {
        let entry: ExitEntry = |_, _| written(&conjure::<F>()());
        ExitFunction { entry, state: None, returned: TypeId::of::<R>(), returned_name: type_name::<R>() }
    }

    /// One that is given the state of this handle, which is a `T`.
    pub(crate) fn with_state<T, R, F>(state: Arc<HandleId>) -> ExitFunction
    where
        T: Send + 'static,
        R: Serialize + 'static,
        F: Fn(Option<T>) -> R + Copy + Send + Sync + 'static,
    {
        let entry: ExitEntry = |states, id| written(&conjure::<F>()(states.take(id)));
        let (returned, returned_name) = (TypeId::of::<R>(), type_name::<R>());
        ExitFunction { entry, state: Some(state), returned, returned_name }
    }
}

fn written<R: Serialize>(value: &R) -> Result<Vec<u8>, String> {
    match travel::without_handles(|| notation::to_vec(value)) {
        (Ok(bytes), _) => Ok(bytes),
        (Err(_), Some(what)) => Err(format!(
            "there is a {what} in it, which nobody would keep alive; return what it holds instead"
        )),
        (Err(error), None) => Err(error.to_string()),
    }
}

/// How a worker finds it.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct ExitWire {
    entry: u64,
    state: u64,
    limit: Duration,
}

impl ExitWire {
    /// Runs the function in a worker process.
    pub(crate) fn run(self, member: &mut Member) -> ExitReport {
        // SAFETY: `wire` put the distance of an `ExitEntry` there, in a process of the same build.
        let entry = unsafe { code::function_at::<ExitEntry>(self.entry) };
        match entry {
            Some(entry) => run(entry, self.state, self.limit, member, &AtomicU64::new(WANTED)),
            None => ExitReport::Unfit("the welcome names a function outside this program's code".into()),
        }
    }
}

/// Runs the function as this member's last piece of work. The limit is for cooperation: who watches the
/// member has one of its own.
fn run(entry: ExitEntry, state: u64, limit: Duration, member: &mut Member, wanted: &AtomicU64) -> ExitReport {
    let (rank, size, began) = (member.rank, member.board.size(), Instant::now());
    let (stop, deadline) = (AtomicU64::new(0), began.checked_add(limit));
    last_words::set_chunk(rank as u32, 0, 0);
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        member.within(&stop, NUMBER, |member| {
            let _current = current::enter(rank, size, &stop, NUMBER, deadline);
            let _wanted = current::want_from(wanted, WANTED);
            entry(&mut member.states, state)
        })
    }));
    match outcome {
        Ok(_) if began.elapsed() >= limit => ExitReport::TimedOut,
        Ok(Ok(bytes)) => ExitReport::Value(bytes),
        Ok(Err(why)) => ExitReport::Unfit(why),
        Err(payload) => {
            let fault = panic_note::take(payload);
            let location = fault.location.as_str();
            // The pool may be dropped, and then nobody asks for its results.
            tracing::error!(rank, location, "the exit function panicked: {}", fault.message);
            ExitReport::Panicked(fault.told())
        }
    }
}

/// What a worker says of its exit function.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum ExitReport {
    /// What it returned, written down.
    Value(#[serde(with = "crate::base::bytes")] Vec<u8>),
    /// Why what it returned cannot be written down.
    Unfit(String),
    Panicked(ToldPanic),
    TimedOut,
}

impl ExitReport {
    /// Calls `send` with each part of it in turn, and whether that is the last, until one cannot be sent.
    pub(crate) fn send<E>(&self, mut send: impl FnMut(Vec<u8>, bool) -> Result<(), E>) -> Result<(), E> {
        // Bytes and texts can always be written.
        let bytes = postcard::to_stdvec(self).unwrap_or_default();
        let mut parts = bytes.chunks(PART_BYTES).peekable();
        while let Some(part) = parts.next() {
            send(part.to_vec(), parts.peek().is_none())?;
        }
        Ok(())
    }
}

/// How far the exit function of a rank's present worker process has come, as the driver knows.
#[derive(Debug, Default)]
pub(crate) struct ExitProgress {
    has_begun: bool,
    /// Parts so far.
    bytes: Vec<u8>,
    report: Option<ExitReport>,
    /// It was killed since it took too long.
    pub(crate) is_overdue: bool,
}

impl ExitProgress {
    /// Takes in a part. The first is empty: the function begins.
    pub(crate) fn receive(&mut self, part: &[u8], is_last: bool) {
        self.has_begun = true;
        self.bytes.extend_from_slice(part);
        if is_last {
            let report = postcard::from_bytes(&std::mem::take(&mut self.bytes));
            self.report = Some(report.unwrap_or_else(|error| ExitReport::Unfit(error.to_string())));
        }
    }

    /// Whether the function has begun and is not over.
    pub(crate) fn is_running(&self) -> bool {
        self.has_begun && self.report.is_none()
    }
}

/// What became of the exit function in one worker.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExitOutcome<R> {
    /// The worker's rank.
    pub rank: usize,
    /// What the function returned, or why there is no result.
    pub result: Result<R, ExitError>,
}

/// A result as it was written down.
type Written = Result<Arc<[u8]>, ExitError>;

/// A pool's exit function, and what became of it in each worker that has ended.
#[derive(Debug)]
pub(crate) struct Exits {
    function: ExitFunction,
    limit: Duration,
    /// Below [`WANTED`] when member threads are to give up.
    wanted: AtomicU64,
    /// Callers' seats that are taken.
    seats: AtomicU64,
    /// By rank, in the order in which workers ended.
    ended: Mutex<Vec<(usize, Written)>>,
}

impl Exits {
    pub(crate) fn new(function: ExitFunction, limit: Duration) -> Exits {
        let limit = limit.min(LONGEST);
        let (wanted, seats) = (AtomicU64::new(WANTED), AtomicU64::new(0));
        Exits { function, limit, wanted, seats, ended: Mutex::default() }
    }

    fn state(&self) -> u64 {
        // Handles are counted from one.
        self.function.state.as_ref().map_or(0, |state| state.get())
    }

    pub(crate) fn wire(&self) -> Result<ExitWire, StartError> {
        let entry = code::offset_of(self.function.entry as usize)?;
        Ok(ExitWire { entry, state: self.state(), limit: self.limit })
    }

    /// Runs the function for a member of this process, and notes what became of it.
    pub(crate) fn run_here(&self, member: &mut Member) {
        let rank = member.rank;
        let is_wanted = self.wanted.load(Ordering::Relaxed) >= WANTED;
        let outcome = if is_wanted {
            let report = run(self.function.entry, self.state(), self.limit, member, &self.wanted);
            self.outcome(rank, report)
        } else {
            Err(ExitError::Terminated { rank })
        };
        self.ended.lock().push((rank, outcome));
    }

    /// A caller takes a seat, and is a member until it gives it up.
    pub(crate) fn take_seat(&self) {
        self.seats.fetch_add(1, Ordering::Relaxed);
    }

    /// A caller gives its seat up.
    pub(crate) fn leave_seat(&self, member: &mut Member) {
        self.run_here(member);
        // Release: pairs with the Acquire in `has_seats`; who sees no seat sees its outcome.
        self.seats.fetch_sub(1, Ordering::Release);
    }

    /// Whether outcomes of seats are still to come.
    pub(crate) fn has_seats(&self) -> bool {
        self.seats.load(Ordering::Acquire) != 0
    }

    /// There is no member in this process that could run it.
    pub(crate) fn fail_here(&self, why: String) {
        self.ended.lock().push((0, Err(ExitError::Codec { rank: 0, why })));
    }

    /// The pool is terminated: no function begins any more, and those that run are told.
    pub(crate) fn cancel(&self) {
        self.wanted.store(0, Ordering::Relaxed);
    }

    /// How long a worker may take from the last news of it until it is gone; once its function is over,
    /// `gone_within`.
    pub(crate) fn patience(&self, progress: &ExitProgress, gone_within: Duration) -> Duration {
        match progress {
            ExitProgress { report: Some(_), .. } => gone_within,
            ExitProgress { has_begun: true, .. } => self.limit,
            // It is on its way there.
            _ => self.limit.max(gone_within),
        }
    }

    /// Notes what became of the function in a worker process that has ended; where it has not said, the
    /// worker `died`, unless it was this program's will.
    pub(crate) fn settle(&self, rank: usize, progress: ExitProgress, died: ExitError) {
        let is_wanted = self.wanted.load(Ordering::Relaxed) >= WANTED;
        let outcome = match progress.report {
            Some(report) => self.outcome(rank, report),
            None if !is_wanted => Err(ExitError::Terminated { rank }),
            None if progress.is_overdue => Err(ExitError::TimedOut { rank, limit: self.limit }),
            None => Err(died),
        };
        self.ended.lock().push((rank, outcome));
    }

    fn outcome(&self, rank: usize, report: ExitReport) -> Written {
        match report {
            ExitReport::Value(bytes) => Ok(bytes.into()),
            ExitReport::Unfit(why) => Err(ExitError::Codec { rank, why }),
            ExitReport::Panicked(ToldPanic { message, location, backtrace }) => {
                Err(ExitError::Panicked { rank, message, location, backtrace: backtrace.into() })
            }
            ExitReport::TimedOut => Err(ExitError::TimedOut { rank, limit: self.limit }),
        }
    }

    /// Whether its results are of this type.
    pub(crate) fn check_type<R: 'static>(&self) -> Result<(), ExitError> {
        if self.function.returned == TypeId::of::<R>() {
            return Ok(());
        }
        Err(ExitError::WrongType { returned: self.function.returned_name, asked: type_name::<R>() })
    }

    /// What became of it so far, by rank. The type was [checked](Self::check_type).
    pub(crate) fn read<R: DeserializeOwned>(&self) -> Vec<ExitOutcome<R>> {
        // Reading runs the program's code: not under the lock.
        let mut ended = self.ended.lock().clone();
        ended.sort_by_key(|(rank, _)| *rank);
        let read = |(rank, written): (usize, Written)| {
            let read = |bytes: Arc<[u8]>| {
                notation::read(&bytes).map_err(|error| ExitError::Codec { rank, why: error.to_string() })
            };
            ExitOutcome { rank, result: written.and_then(read) }
        };
        ended.into_iter().map(read).collect()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn received(report: &ExitReport) -> (usize, ExitProgress) {
        let (mut sent_parts, mut progress) = (Vec::new(), ExitProgress::default());
        progress.receive(&[], false);
        let sent = report.send(|part, is_last| {
            assert!(progress.is_running() && part.len() <= PART_BYTES);
            sent_parts.push(part.len());
            progress.receive(&part, is_last);
            Ok::<(), ()>(())
        });
        assert_eq!(sent, Ok(()));
        (sent_parts.len(), progress)
    }

    #[test]
    fn reports_of_any_length_arrive_whole() {
        for len in [0, 1, PART_BYTES - 3, PART_BYTES, PART_BYTES + 1, 3 * PART_BYTES + 7] {
            let report = ExitReport::Value((0..len).map(|i| i as u8).collect());
            let (parts, progress) = received(&report);
            assert!(parts >= len.div_ceil(PART_BYTES).max(1), "{len}");
            assert_eq!(progress.report, Some(report), "{len}");
        }
        let (message, location) = ("x".repeat(100_000), "a.rs:1:1".into());
        let panicked = ExitReport::Panicked(ToldPanic { message, location, backtrace: "main".into() });
        assert_eq!(received(&panicked).1.report, Some(panicked));
    }

    #[test]
    fn a_report_that_was_cut_off_is_none() {
        let report = ExitReport::Value(vec![7; 3 * PART_BYTES]);
        let mut progress = ExitProgress::default();
        let sent = report.send(|part, is_last| {
            progress.receive(&part, is_last);
            if is_last { Ok(()) } else { Err(()) }
        });
        assert_eq!(sent, Err(()));
        assert!(progress.is_running());
        let mut strange = ExitProgress::default();
        strange.receive(&[0xff; 9], true);
        assert!(matches!(strange.report, Some(ExitReport::Unfit(_))));
    }
}
