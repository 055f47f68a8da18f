//! Queues and pipes through shared memory. A [`Queue`] is for any number of writers and readers, a
//! [`Pipe`] for two.
//!
//! README.md beside this file describes the words, what each step does, and what a kill after it leaves.

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
