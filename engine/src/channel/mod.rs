//! Queues and pipes through shared memory, for items of any serde type.
//!
//! | to | use |
//! |---|---|
//! | pass items between any number of writers and readers | [`Queue`] |
//! | end the readers when all writers are gone, including dead ones | [`Queue::pair`]: [`Sender`], [`Receiver`] |
//! | keep an item until it has been worked on | [`Queue::claim`] |
//! | wait until all items have been worked on | [`JoinableQueue`] |
//! | talk both ways between two processes | [`Pipe`]: two [`Connection`]s |
//!
//! No call waits for a dead process, and no reader sees half an item; [`Delivery`] says what becomes of an
//! item whose reader dies.

// README.md beside this file describes the words, what each step does, and what a kill after it leaves.

mod bell;
mod claimed;
mod codec;
mod core;
mod ends;
mod error;
mod hand;
mod inside;
mod joinable;
mod pages;
mod pipe;
mod queue;
mod recount;
mod word;

#[cfg(test)]
mod models;
#[cfg(test)]
#[path = "tests/position_models.rs"]
mod position_models;
#[cfg(test)]
#[cfg(not(loom))]
mod tests;

pub use claimed::Claimed;
pub use codec::Message;
pub use ends::{Received, Receiver, Sender};
pub use error::QueueError;
pub use joinable::{JoinableQueue, SimpleQueue};
pub use pipe::{Connection, Pipe};
pub use queue::{Delivery, Iter, Queue, QueueOptions};
