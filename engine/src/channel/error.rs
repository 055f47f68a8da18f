//! Why an item could not be put, taken, sent or received.

use crate::base::MemberId;

/// Why an item could not be put, taken, sent or received. Unless stated otherwise the queue is as it was
/// before the call.
#[non_exhaustive]
#[derive(thiserror::Error)]
pub enum QueueError {
    /// There was no room in time, or, for `try_` calls, there is none now.
    #[error(
        "the queue stayed full: {items} items wait in it (at most {maxsize} may), {bytes} of {capacity} bytes are \
         taken; its readers may be slow, stopped or gone"
    )]
    Full {
        /// Items that wait, including those being written.
        items: u64,
        /// The limit on items; `u64::MAX` if there is none.
        maxsize: u64,
        /// Bytes in use.
        bytes: u64,
        /// Bytes in total.
        capacity: u64,
    },
    /// No item came in time, or, for `try_` calls, none is there now.
    #[error(
        "the queue stayed empty for as long as the call waited; its writers may be slow, stopped or gone"
    )]
    Empty,
    /// The queue was closed: nothing more can be put. A reader gets this once everything in the queue
    /// has been taken.
    #[error("the queue is closed: nothing more can be put, and readers get only what was already in it")]
    Closed,
    /// The other end of a pair or pipe is gone: it was closed or dropped, or its processes died. A receiver
    /// gets this once everything that was sent has been received; a sender keeps its item.
    #[error("the other end is gone{}: nothing more can be sent, and only what was sent before can be received", name_of(.died))]
    EndOfFile {
        /// The process that died, if that was the reason.
        died: Option<MemberId>,
    },
    /// This end of a one-way pipe is for the opposite direction.
    #[error("this end of the one-way pipe only {can}; use the other end")]
    WrongWay {
        /// What this end does: `receives` or `sends`.
        can: &'static str,
    },
    /// The item can never fit.
    #[error(
        "an item of {item} bytes does not fit into a queue of {capacity} bytes; make the queue with a larger \
         capacity_bytes, or put a handle of a SharedArray instead"
    )]
    TooBig {
        /// Size of the encoded item in bytes, including its header.
        item: u64,
        /// Size of the largest possible item in bytes.
        capacity: u64,
    },
    /// There is no memory for the item. A writer has not put it; for a reader it stays in the queue.
    #[error("no memory for an item of {item} bytes: {source}; take items out, or make the queue smaller")]
    NoMemory {
        /// Size of the encoded item in bytes.
        item: u64,
        /// The kernel's error, or that of the check that found too little memory.
        source: std::io::Error,
    },
    /// The item contains a handle of a shared object; nothing was put. Nothing would keep the object alive
    /// while the item waits: its sender may end, and the item may never be taken.
    #[error(
        "an item of type {type_name} contains a {what}, and nothing would keep that alive in a queue; pass it as an \
         argument or result of a task or process, and put a number or a name that says which is meant"
    )]
    Handle {
        /// The handle.
        what: &'static str,
        /// The item's type.
        type_name: &'static str,
    },
    /// The item cannot be encoded; nothing was put.
    #[error("an item of type {type_name} cannot be put into a queue: {why}")]
    Encode {
        /// The item's type.
        type_name: &'static str,
        /// The encoder's message.
        why: String,
    },
    /// The bytes are not an item of the queue's type, or there is no memory for a vector of plain numbers.
    /// The item is gone from the queue.
    #[error(
        "the {bytes} bytes taken from the queue are not a {type_name}: {why}; the type's Serialize and Deserialize must \
         agree"
    )]
    Decode {
        /// Size of the item in bytes.
        bytes: usize,
        /// The type of the queue's items.
        type_name: &'static str,
        /// The decoder's message.
        why: String,
    },
    /// `task_done` was called more often than items were taken.
    #[error(
        "task_done was called once more than items were taken from the queue; call it once for each item"
    )]
    TooManyDone,
    /// All items are done, but some only because the process that had taken them died, or because it could
    /// not be determined whether they were seen.
    #[error(
        "all items are done, but {items} of them were held by processes that died before task_done; put them again \
         if needed, then call take_lost()"
    )]
    Lost {
        /// The number of such items.
        items: u64,
    },
    /// This process was forked from one that uses phalanx: the queue belongs to the parent.
    #[error("the queue cannot be used here: {}", crate::memory::AllocError::Forked)]
    Forked,
    /// The words in shared memory hold a value that no queue operation writes.
    #[error(
        "the queue's {what} in shared memory is {seen:#x}, which no queue operation writes; unsafe code in some process \
         wrote past its data; make a new queue"
    )]
    Corrupt {
        /// The word.
        what: &'static str,
        /// Its value.
        seen: u64,
    },
}

crate::base::debug_is_display!(QueueError);

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
