//! Worker processes, whatever they are for: how one is started (by executing this program again, or by
//! forking from a clean process that was), the messages between it and its driver, which segments it can
//! reach, and how it ends.
//!
//! README.md beside this file describes the protocol.

mod constructor;
mod error;
mod executable;
pub(crate) mod exit;
mod fingerprint;
mod fork_server;
mod handshake;
pub(crate) mod last_words;
pub(crate) mod log;
pub(crate) mod mail;
mod method;
pub(crate) mod oom;
pub(crate) mod panic_note;
mod process;
pub(crate) mod segments;
mod setup;
mod starter;
mod starting;
#[cfg(test)]
mod tests;
pub(crate) mod watching;
pub(crate) mod worker;

pub use error::StartError;
pub(crate) use fingerprint::build_id;
pub use method::StartMethod;
pub use process::ExitCause;
pub(crate) use process::WorkerProcess;
pub(crate) use setup::{OUTSIDE_TEAMS, is_worker, worker_name};
pub(crate) use starter::{Started, Starter};
pub(crate) use starting::Wish;
