//! Observing the pools of another program, as `phalanx-bench top` does.
//!
//! A driver keeps its counters in shared memory, since its workers write them there. An [`Observer`] opens
//! these segments through `/proc/PID/fd`, for reading, and copies words out of them. It maps nothing, writes
//! nothing and sends no signal: the program does not notice, and nothing that it does harms the observer.
//! Every word is checked before it is used, since it may be overwritten or half written.
//!
//! # Examples
//! ```
//! use phalanx::observe::{self, WorkerState};
//!
//! # fn main() -> Result<(), phalanx::Error> {
//! let pool = phalanx::Pool::builder().workers(2).name("watched").build()?;
//! pool.map(|n: u64| n + 1, 0..1000)?;
//! let observers = observe::pools_of(std::process::id())?;
//! // Other pools of this program may end meanwhile.
//! let mut views = observers.iter().filter_map(|observer| observer.look().ok());
//! let view = views.find(|view| view.name == "watched").expect("the pool runs");
//! assert!(view.workers.iter().all(|worker| worker.state != WorkerState::Dead));
//! # Ok(())
//! # }
//! ```

mod error;
mod find;
mod process;
mod words;

pub use error::ObserveError;
pub use find::{pools, pools_of};
pub use process::ProcessView;

use crate::spawn::ExitCause;
use std::fs::File;
use std::time::{Duration, Instant};

/// Looks at one pool of a running program.
#[derive(Debug)]
pub struct Observer {
    pid: u32,
    name: String,
    is_threads: bool,
    size: usize,
    plate: File,
    orders: File,
    board: File,
    tasks: Option<File>,
    /// The plate's descriptor in the program, and the object that it leads to.
    number: String,
    inode: u64,
}

/// What a worker does at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum WorkerState {
    /// It takes part in a launch or region. Threads show this only while they run a chunk.
    Kernel,
    /// It runs a task.
    Task,
    /// It waits awake for the next launch or task.
    Idle,
    /// It sleeps until it is woken for a launch or task.
    Asleep,
    /// It is parked, see [`Pool::park`](crate::Pool::park).
    Parked,
    /// It is stopped, by a signal or a debugger.
    Stopped,
    /// It is being started.
    Starting,
    /// It was allowed to end.
    Leaving,
    /// It has died or ended, and its replacement is not being started yet.
    Dead,
}

/// How a worker died.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct DeathView {
    /// How it ended.
    pub cause: ExitCause,
    /// When, in seconds since 1970.
    pub at: u64,
}

/// One rank of a pool, at one moment. Counters are of all its workers since the pool was made.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct WorkerView {
    /// Its rank.
    pub rank: usize,
    /// What its worker does.
    pub state: WorkerState,
    /// The worker's process as the kernel sees it; `None` for threads, and while there is none.
    pub process: Option<ProcessView>,
    /// Launches that it took part in.
    pub launches: u64,
    /// Chunks that it ran.
    pub chunks: u64,
    /// Times it took chunks from another worker's block.
    pub steals: u64,
    /// Tasks that it ran.
    pub tasks: u64,
    /// Faults of its kernels.
    pub faults: u64,
    /// Times it went to sleep.
    pub sleeps: u64,
    /// Workers of this rank that have died.
    pub deaths: u64,
    /// How the last of them died.
    pub last_death: Option<DeathView>,
}

/// The progress of the present launch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct LaunchProgress {
    /// The launch's number; two views with the same one see the same round of the same launch.
    pub launch: u64,
    /// Units of work that are done: chunks, or groups of chunks in a reduction.
    pub done: u64,
    /// Units of work of the launch. 0 for regions and broadcasts, which are not divided into chunks.
    pub units: u64,
}

/// One pool, at one moment.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PoolView {
    /// When this was read.
    pub at: Instant,
    /// The pool's name, see [`PoolBuilder::name`](crate::PoolBuilder::name).
    pub name: String,
    /// The driver.
    pub driver: ProcessView,
    /// The program, as its command line names it.
    pub program: String,
    /// The workers by rank, without ranks that the pool does not use now.
    pub workers: Vec<WorkerView>,
    /// Rounds of launches so far: one for each launch, and one more each time that work was repeated.
    pub launches: u64,
    /// The present launch, if one is running.
    pub present: Option<LaunchProgress>,
    /// Tasks on the board that no worker has taken.
    pub queued: u64,
    /// Whether more tasks wait than the board has room for.
    pub has_backlog: bool,
}

impl Observer {
    /// Returns the driver's process number.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Looks at the pool once. Makes a few system calls per worker.
    ///
    /// The words are read one after the other while the program runs: a view may show a worker in a launch
    /// that has just ended.
    ///
    /// # Errors
    /// - [`ObserveError::Ended`]: the pool or its program has ended.
    /// - [`ObserveError::Denied`], [`ObserveError::Io`]: reading is refused or fails.
    pub fn look(&self) -> Result<PoolView, ObserveError> {
        let driver = ProcessView::of(self.pid).ok_or(ObserveError::Ended { pid: self.pid })?;
        self.check_life()?;
        let words = self.words()?;
        let program = crate::sys::descriptor::read_text(format!("/proc/{}/cmdline", self.pid));
        let program = program.unwrap_or_default().split('\0').next().unwrap_or_default().to_owned();
        Ok(PoolView {
            at: Instant::now(),
            name: self.name.clone(),
            driver,
            program,
            launches: words.launches(),
            present: words.present(),
            queued: words.queued,
            has_backlog: words.has_backlog,
            workers: (0..self.size).filter_map(|rank| words.worker(rank, self.is_threads)).collect(),
        })
    }

    /// Whether the program still has the plate open: its pages outlive it while we have it open too.
    fn check_life(&self) -> Result<(), ObserveError> {
        use std::os::unix::fs::MetadataExt;
        let found = std::fs::metadata(format!("/proc/{}/fd/{}", self.pid, self.number));
        match found {
            Ok(found) if found.ino() == self.inode => Ok(()),
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
                Err(ObserveError::of_reading(self.pid, error))
            }
            _ => Err(ObserveError::Ended { pid: self.pid }),
        }
    }
}

impl PoolView {
    /// Estimates how long the present launch will still take, from what it did since an earlier view. Returns
    /// `None` if that view saw another launch, or if nothing was done since.
    pub fn remaining(&self, earlier: &PoolView) -> Option<Duration> {
        let (now, then) = (self.present?, earlier.present?);
        (now.launch == then.launch).then_some(())?;
        let done = now.done.checked_sub(then.done).filter(|done| *done > 0)?;
        let left = now.units.checked_sub(now.done)?;
        let passed = self.at.checked_duration_since(earlier.at)?;
        let seconds = passed.as_secs_f64() * left as f64 / done as f64;
        Duration::try_from_secs_f64(seconds).ok()
    }
}
