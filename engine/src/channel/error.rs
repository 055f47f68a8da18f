//! Why an item could not be put, taken, sent or received.

use crate::base::MemberId;

/// An item did not go in or come out. Unless said otherwise the queue is as it was before the call.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// There was no room in time; for `try_` calls: now.
    #[error(
        "the queue was full in time: {items} items wait in it (at most {maxsize} may), {bytes} of {capacity} bytes are \
         taken; its readers may be slow, stopped or gone"
    )]
    Full {
        /// Items that wait, those being written included.
        items: u64,
        /// The bound on items; `u64::MAX` where there is none.
        maxsize: u64,
        /// Bytes taken.
        bytes: u64,
        /// Bytes there are.
        capacity: u64,
    },
    /// Nothing came in time; for `try_` calls: nothing is there now.
    #[error(
        "the queue stayed empty for as long as the call was to wait; its writers may be slow, stopped or gone"
    )]
    Empty,
    /// The queue was closed: nothing can be put, and all that was in it has been taken.
    #[error("the queue is closed; nothing can be put any more, and what was in it has been taken")]
    Closed,
    /// The other side of a pipe is gone: closed, dropped, or its process has died; all that it sent has been
    /// received.
    #[error("the other side of the pipe is gone{}; all that it had sent has been received", name_of(.died))]
    EndOfFile {
        /// Who died, if that was the reason.
        died: Option<MemberId>,
    },
    /// This end of a one-way pipe is for the other direction.
    #[error("this end of the one-way pipe only {can}; use the other end")]
    WrongWay {
        /// What it is for: `receives` or `sends`.
        can: &'static str,
    },
    /// The item can never fit.
    #[error(
        "an item of {item} bytes does not fit into a queue of {capacity} bytes; make the queue with a larger \
         capacity_bytes, or put a handle of a SharedArray instead"
    )]
    TooBig {
        /// Bytes of the item as encoded, its header included.
        item: u64,
        /// Bytes that the largest item may have.
        capacity: u64,
    },
    /// The system has no memory for the item; it was not put.
    #[error("no memory for an item of {item} bytes: {source}; take items out, or make the queue smaller")]
    NoMemory {
        /// Bytes of the item as encoded.
        item: u64,
        /// What the kernel said, or who counted.
        source: std::io::Error,
    },
    /// The item cannot be turned into bytes; nothing was put. Handles of shared objects inside of items are
    /// refused, too, as nobody would keep the object alive on the way.
    #[error("an item of type {type_name} cannot be put into a queue: {why}")]
    Encode {
        /// The item's type.
        type_name: &'static str,
        /// What the encoder said.
        why: String,
    },
    /// The bytes are no item of the queue's type. The item is gone from the queue.
    #[error(
        "the {bytes} bytes taken from the queue are no {type_name}: {why}; the type's Serialize and Deserialize must \
         agree"
    )]
    Decode {
        /// Bytes of the item.
        bytes: usize,
        /// The type asked for.
        type_name: &'static str,
        /// What the decoder said.
        why: String,
    },
    /// `task_done` was called more often than items were taken.
    #[error(
        "task_done was called once more than items were taken from the queue; call it once for each item"
    )]
    TooManyDone,
    /// Every item is done, but some are so because the process that had taken them died, or because nobody
    /// could be asked whether they were seen.
    #[error(
        "all items are done, but {items} of them were in the hands of processes that died before task_done; put them \
         again where needed, then call take_lost()"
    )]
    Lost {
        /// How many.
        items: u64,
    },
    /// This process was forked from one that uses phalanx: the queue is the parent's.
    #[error("the queue cannot be used here: {}", crate::memory::AllocError::Forked)]
    Forked,
    /// The words in shared memory hold what no queue operation writes.
    #[error(
        "the queue's {what} in shared memory is {seen:#x}, which no queue operation writes; unsafe code in some process \
         wrote past its data; make a new queue"
    )]
    Corrupt {
        /// Which word.
        what: &'static str,
        /// What it holds.
        seen: u64,
    },
}

fn name_of(died: &Option<MemberId>) -> String {
    died.map_or(String::new(), |member| format!(" ({member}, the last process to use it, has died)"))
}

/// What the core answers; the handles make errors of it.
#[derive(Debug)]
pub(super) enum Refused {
    Full,
    Empty,
    Closed,
    TooBig { item: u64, capacity: u64 },
    NoMemory { item: u64, source: std::io::Error },
    TooManyDone,
    Corrupt { what: &'static str, seen: u64 },
}

pub(super) fn corrupt(what: &'static str, seen: u64) -> Refused {
    Refused::Corrupt { what, seen }
}
