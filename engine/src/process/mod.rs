//! Single processes, each of which runs one function: the counterpart of `multiprocessing.Process`.
//!
//! ```
//! use phalanx::Process;
//!
//! let process = Process::spawn(|name: String| format!("hello {name}"), "you".to_owned())?;
//! assert_eq!(process.join()?, "hello you");
//! # Ok::<(), phalanx::Error>(())
//! ```

// README.md beside this file describes the protocol.

mod builder;
mod call_block;
mod child;
mod current;
mod entry;
mod error;
mod handle;
mod watch;
pub(crate) mod worker;

pub use builder::ProcessBuilder;
pub use current::{
    ActiveChild, CpuCount, CurrentProcess, ProcessKind, active_children, cpu_count, current_process,
};
pub use error::{JoinError, SpawnError};
pub use handle::{Process, ProcessResult};
