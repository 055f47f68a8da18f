//! Why a launch failed.

use crate::base::Span;
use crate::code::NoEntry;
use crate::memory::AllocError;
use crate::spawn::{ExitCause, StartError};
use std::fmt;
use std::time::Duration;

/// A worker's death during a launch.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Death {
    /// The worker's rank.
    pub rank: usize,
    /// Its process id.
    pub pid: u32,
    /// How it ended.
    pub cause: ExitCause,
    /// Whether the kernel killed something for want of memory at that time.
    pub oom: bool,
    /// The indices it was working on; `None` if it was between chunks, so that nothing was lost, and in
    /// regions.
    pub span: Option<Span>,
}

impl fmt::Display for Death {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let was = if matches!(self.cause, ExitCause::Signal { .. }) { "was " } else { "" };
        write!(f, "worker {} (pid {}) {was}{}", self.rank, self.pid, self.cause)?;
        if let Some(span) = self.span {
            write!(f, " in {span}")?;
        }
        if self.oom {
            write!(f, ", probably because memory ran out")?;
        }
        Ok(())
    }
}

fn death_texts(list: &[Death]) -> String {
    list.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

impl From<NoEntry> for LaunchError {
    fn from(error: NoEntry) -> LaunchError {
        LaunchError::Start(error.into())
    }
}

/// Why a launch did not succeed. When it is returned, no worker touches the operands any more.
///
/// After all but the argument errors, the elements of chunks that were running hold unspecified values;
/// chunks that were done keep theirs.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LaunchError {
    /// Operands that are cut together have different lengths. Nothing was run.
    #[error(
        "{what} has length {len}, but {other} has length {other_len}: operands that are split together must agree"
    )]
    Lengths {
        /// The operand that disagrees.
        what: &'static str,
        /// Its length in units of the split axis.
        len: usize,
        /// The first operand with a length.
        other: &'static str,
        /// Its length.
        other_len: usize,
    },
    /// No operand has a length, so there is nothing to cut into chunks. Nothing was run.
    #[error(
        "no operand of the launch at {site} is split: give an array's split(), an index range 0..n, or use region()"
    )]
    NoLength {
        /// Where the launch was called.
        site: String,
    },
    /// The chunk size asked for is 0. Nothing was run.
    #[error("a chunk of 0 elements makes no progress; ask for at least 1, or leave the chunk size out")]
    ChunkZero,
    /// The chunk size asked for gives too many chunks. Nothing was run.
    #[error(
        "chunks of {chunk} cut {len} elements into {chunks} chunks, more than the {limit} of one launch; ask for chunks of at least {least}"
    )]
    TooManyChunks {
        /// The chunk size asked for.
        chunk: usize,
        /// The launch's length.
        len: usize,
        /// Chunks that would result.
        chunks: usize,
        /// Chunks possible.
        limit: usize,
        /// The smallest possible chunk size.
        least: usize,
    },
    /// A grant does not fit its array. Nothing was run.
    #[error("{what}: {why}")]
    BadGrant {
        /// The operand.
        what: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// A retry was asked for, but an operand is changed in place. Nothing was run.
    #[error(
        "chunks with a split_mut operand cannot be run again, since the lost attempt may have changed part of it: use split_out(), or retry_in_place() if your kernel does not depend on earlier contents"
    )]
    NotRepeatable,
    /// The pool was resized by another thread while a broadcast or region was being prepared for its ranks.
    /// Nothing was run.
    #[error(
        "the pool was resized while the launch at {site} was being prepared for each of its workers; make it again"
    )]
    Resized {
        /// Where the launch was called.
        site: String,
    },
    /// A kernel panicked; the other workers stopped at their next chunk.
    #[error("the kernel at {site} panicked in worker {rank} on {span}: {message}{}", at(.location))]
    Panicked {
        /// Where the launch was called.
        site: String,
        /// The worker.
        rank: usize,
        /// The indices it was working on.
        span: Span,
        /// What the panic said.
        message: String,
        /// Where it was raised, as far as known.
        location: String,
    },
    /// Workers died. All other chunks are done; `lost` lists those that are not. Of a region all is lost, and
    /// `lost` is empty.
    #[error("the launch at {site} {}: {}", loss_text(.lost), death_texts(.deaths))]
    WorkerDied {
        /// Where the launch was called.
        site: String,
        /// The deaths.
        deaths: Vec<Death>,
        /// Indices whose chunk was running when its worker died; also the rest, where workers died again and
        /// again without a chunk done in between.
        lost: Vec<Span>,
    },
    /// A worker died, or left its team, and with it went the state of a [`PerWorker`](crate::PerWorker)
    /// operand: whatever earlier launches, or chunks of this one, had left in it. Told once; the next launch
    /// goes on with states made anew.
    #[error(
        "{states} worker states of an operand of the launch at {site} are lost, as their workers died or left; {}: start again what was gathered in them; PerWorker::scratch makes states that nobody misses",
        if *.done { "the launch has done all its chunks" } else { "nothing was run" }
    )]
    StateLost {
        /// Where the launch was called.
        site: String,
        /// How many states were lost since the last launch with these operands.
        states: u64,
        /// Whether all chunks of this launch are done; otherwise nothing was run.
        done: bool,
    },
    /// The time limit passed.
    #[error("the launch at {site} did not end within {limit:?}{}", killed_text(.killed))]
    TimedOut {
        /// Where the launch was called.
        site: String,
        /// The limit.
        limit: Duration,
        /// Workers that did not stop by themselves and were killed.
        killed: Vec<usize>,
    },
    /// Another thread cancelled it.
    #[error("the launch at {site} was cancelled{}", killed_text(.killed))]
    Cancelled {
        /// Where the launch was called.
        site: String,
        /// Workers that did not stop by themselves and were killed.
        killed: Vec<usize>,
    },
    /// A region's ranks disagreed, or its body returned an error.
    #[error("the region at {site} failed on rank {rank}: {message}")]
    Region {
        /// Where the region was called.
        site: String,
        /// The rank that failed first, as far as known.
        rank: usize,
        /// Why.
        message: String,
    },
    /// The pool was joined, terminated or dropped, before the launch began or while it ran.
    #[error("the pool is closed and runs nothing more; make another, or end this one later")]
    PoolClosed,
    /// This process was forked from one that uses phalanx: the pool is the parent's.
    #[error("nothing can be launched here: {}", crate::memory::AllocError::Forked)]
    Forked,
    /// The pool serves no more.
    #[error("the pool can run nothing more: {reason}; make a new one")]
    PoolBroken {
        /// Why.
        reason: String,
    },
    /// A kernel lies where workers cannot find it.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The launch's working memory could not be made. Nothing was run.
    #[error(transparent)]
    Alloc(#[from] AllocError),
    /// A worker could not use what the driver sent.
    #[error("worker {rank} could not take part in the launch at {site}: {what}")]
    Corrupt {
        /// Where the launch was called.
        site: String,
        /// The worker.
        rank: usize,
        /// What was wrong.
        what: String,
    },
}

fn at(location: &str) -> String {
    if location.is_empty() { String::new() } else { format!(" ({location})") }
}

fn loss_text(lost: &[Span]) -> String {
    match lost {
        // A region: all of it.
        [] => "failed".into(),
        many => format!("lost {}", many.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")),
    }
}

fn killed_text(killed: &[usize]) -> String {
    match killed {
        [] => "; all workers stopped by themselves".into(),
        [one] => format!("; worker {one} did not stop and was killed"),
        many => format!("; workers {many:?} did not stop and were killed"),
    }
}
