//! Errors of launches.

use crate::base::Span;
use crate::base::panicked::whence;
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
    /// How the process ended.
    pub cause: ExitCause,
    /// Whether the operating system killed a process for lack of memory around that time.
    pub oom: bool,
    /// The indices it was working on. `None` if it was between chunks, so that nothing was lost, and always
    /// in broadcasts and regions.
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

/// Why a launch did not succeed. Once it is returned, no worker touches the operands any more.
///
/// Errors marked "Nothing was run" leave the operands unchanged. After all others, the elements of chunks
/// that were running hold unspecified values, and chunks that were done keep their results.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum LaunchError {
    /// Operands that are split together have different lengths. Nothing was run.
    #[error(
        "{what} has length {len}, but {other} has length {other_len}: operands that are split together must agree"
    )]
    Lengths {
        /// The operand whose length differs.
        what: &'static str,
        /// Its length, in units of the split axis.
        len: usize,
        /// The first operand that has a length.
        other: &'static str,
        /// Its length.
        other_len: usize,
    },
    /// No operand is split, so there is nothing to cut into chunks. Nothing was run.
    #[error(
        "no operand of the launch at {site} is split: pass an array's split(), an index range 0..n, or use region()"
    )]
    NoLength {
        /// Where the launch was called.
        site: String,
    },
    /// The requested chunk size is 0. Nothing was run.
    #[error("a chunk of 0 elements makes no progress; ask for at least 1, or leave the chunk size out")]
    ChunkZero,
    /// The requested chunk size yields too many chunks. Nothing was run.
    #[error(
        "chunks of {chunk} cut {len} elements into {chunks} chunks, more than the {limit} of one launch; ask for chunks of at least {least}"
    )]
    TooManyChunks {
        /// The requested chunk size.
        chunk: usize,
        /// The launch's length.
        len: usize,
        /// The resulting number of chunks.
        chunks: usize,
        /// The largest possible number of chunks.
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
    /// Ghost rows of an array over a cluster are older than its rows. Nothing was run.
    #[error(
        "the ghost rows of an array over a cluster are older than its rows, which were written at {written}: call exchange() before a launch that reads them"
    )]
    StaleGhosts {
        /// Where the rows were granted for writing, or the array was made.
        written: String,
    },
    /// A value cannot be encoded for the workers. Nothing was run.
    #[error("a captured {type_name} cannot be encoded: {why}")]
    Encode {
        /// The value's type.
        type_name: &'static str,
        /// The encoder's message.
        why: String,
    },
    /// A worker could not decode a captured value.
    #[error("the launch at {site} failed in worker {rank}: {why}")]
    Decode {
        /// Where the launch was called.
        site: String,
        /// The worker.
        rank: usize,
        /// The type and the decoder's message.
        why: String,
    },
    /// A retry was requested, but an operand is changed in place. Nothing was run.
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
    /// A kernel panicked. The other workers stopped at their next chunk.
    #[error("the kernel at {site} panicked in worker {rank} on {span}: {message}{}", whence(.location, .backtrace))]
    Panicked {
        /// Where the launch was called.
        site: String,
        /// The worker.
        rank: usize,
        /// The indices it was working on.
        span: Span,
        /// The panic's message.
        message: String,
        /// Where the panic was raised; empty if unknown.
        location: String,
        /// The calls that led there, innermost first, one or two lines each. Empty unless the worker is a
        /// process and `RUST_BACKTRACE` is set; with `full`, the engine's own calls are among them.
        backtrace: Box<str>,
    },
    /// Workers died. All other chunks are done; `lost` lists those that are not. For a broadcast or region,
    /// consider everything lost; `lost` is then empty.
    #[error("the launch at {site} {}: {}", loss_text(.lost), death_texts(.deaths))]
    WorkerDied {
        /// Where the launch was called.
        site: String,
        /// The deaths.
        deaths: Vec<Death>,
        /// Indices whose chunk was running when its worker died. Includes the rest of the launch if workers
        /// died again and again without completing a chunk in between.
        lost: Vec<Span>,
    },
    /// A worker died or left the team, and its state of a [`PerWorker`](crate::PerWorker) operand was lost
    /// with everything that earlier launches, or chunks of this one, had stored in it. Reported once; the
    /// next launch continues with new states.
    #[error(
        "{states} worker states of an operand of the launch at {site} were lost, because their workers died or left; {}: gather what they held again, or use PerWorker::scratch for state that may be lost",
        if *.done { "the launch has done all its chunks" } else { "nothing was run" }
    )]
    StateLost {
        /// Where the launch was called.
        site: String,
        /// How many states have been lost since the last launch with these operands.
        states: u64,
        /// Whether all chunks of this launch are done. If not, nothing was run.
        done: bool,
    },
    /// The time limit passed.
    #[error("the launch at {site} did not end within {limit:?}{}", killed_text(.killed))]
    TimedOut {
        /// Where the launch was called.
        site: String,
        /// The limit.
        limit: Duration,
        /// Ranks of workers that did not stop by themselves and were killed.
        killed: Vec<usize>,
    },
    /// The launch's [`CancelToken`](crate::CancelToken) was cancelled.
    #[error("the launch at {site} was cancelled{}", killed_text(.killed))]
    Cancelled {
        /// Where the launch was called.
        site: String,
        /// Ranks of workers that did not stop by themselves and were killed.
        killed: Vec<usize>,
    },
    /// The ranks of a region made different steps, or a body returned an error.
    #[error("the region at {site} failed on rank {rank}: {message}")]
    Region {
        /// Where the region was called.
        site: String,
        /// The rank that failed first, if known.
        rank: usize,
        /// Why.
        message: String,
    },
    /// A result or an error of the kernel cannot be turned into bytes, or back, or memory has no room for it.
    #[error("what the kernel at {site} returned for {span} cannot travel: {why}")]
    Codec {
        /// Where the launch was called.
        site: String,
        /// The indices that it was computed from.
        span: Span,
        /// The message of the encoder or decoder.
        why: String,
    },
    /// The pool was joined, terminated or dropped before or during the launch.
    #[error("the pool is closed and runs nothing more; make another, or end this one later")]
    PoolClosed,
    /// This process was forked from one that uses phalanx. The pool belongs to the parent.
    #[error("nothing can be launched here: {}", crate::memory::AllocError::Forked)]
    Forked,
    /// The pool is broken and cannot run anything more.
    #[error("the pool can run nothing more: {reason}; make a new one")]
    PoolBroken {
        /// Why.
        reason: String,
    },
    /// Workers cannot find the kernel's code.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The launch's working memory could not be allocated. Nothing was run.
    #[error(transparent)]
    Alloc(#[from] AllocError),
    /// A worker could not use what the driver sent.
    #[error("worker {rank} could not take part in the launch at {site}: {what}")]
    Corrupt {
        /// Where the launch was called.
        site: String,
        /// The worker.
        rank: usize,
        /// What went wrong.
        what: String,
    },
}

crate::base::debug_is_display!(LaunchError);

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
