//! Tasks: calls of functions on workers, with arguments and results that travel.
//!
//! [`Pool::map`](crate::Pool::map) and its relatives start them with all defaults; [`Tasks`] has the
//! options: time limits, retries, [journals](Journal), progress. [`AsyncResult`] and [`Imap`] are results
//! that arrive later.
//!
//! ```
//! use std::time::Duration;
//!
//! let pool = phalanx::Pool::builder().workers(2).build()?;
//! let squares = pool.tasks().timeout(Duration::from_secs(60)).retry(1).map(|n: u64| n * n, 1..=4)?;
//! assert_eq!(squares, [1, 4, 9, 16]);
//! # Ok::<(), phalanx::Error>(())
//! ```

// README.md beside this file describes the board's protocol.

mod arrivals;
mod audit;
#[cfg(feature = "indicatif")]
mod bar;
pub(crate) mod board;
mod calls;
mod cancel;
pub(crate) mod codec;
mod collect;
mod completion;
mod cost;
mod deaths;
pub(crate) mod entry;
pub(crate) mod error;
mod executor;
mod heap;
mod here;
mod imap;
mod insight;
mod job;
mod journal;
pub(crate) mod leading;
#[cfg(not(feature = "indicatif"))]
mod no_bar;
mod options;
pub(crate) mod queue;
pub(crate) mod queued;
pub(crate) mod remote;
mod result;
mod results;
mod retry;
mod serve;
mod settle;
pub(crate) mod slot;
mod star;
mod tasks;
mod waiting;

pub use entry::{Argument, Output};
pub use error::{Failure, TaskError};
pub use executor::{AsCompleted, as_completed, wait_all, wait_first};
pub use imap::Imap;
pub use insight::{Insights, SlowTask, WorkerInsight};
pub use journal::{Journal, JournalError, JournaledTasks};
pub use options::Tasks;
pub use result::AsyncResult;
pub use star::Star;
