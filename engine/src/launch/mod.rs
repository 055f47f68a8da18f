//! Launches: all members run one kernel on some operands. Chunks are claimed, run and recorded; what a dead
//! member left is repaired. A region runs one body on all members at once. README.md beside this file
//! describes the protocol.

mod answer;
mod builder;
pub(crate) mod cancel;
mod ctrl_c;
pub(crate) mod driver;
mod element_wise;
mod error;
mod fallible;
mod fold;
pub mod grant;
mod grid;
mod lowest;
pub(crate) mod member;
mod operand;
mod options;
pub mod region;
mod reserve;
pub(crate) mod schedule;
mod search;
mod try_error;

pub use builder::Launch;
pub use cancel::CancelToken;
pub use element_wise::{Elements, MapOutput, With};
pub use error::{Death, LaunchError};
pub use grant::{Captured, Edge, PerWorker};

pub use operand::{Operand, Plain, Val};
pub use options::Progress;
pub use region::{Region, RegionError, Team};
pub use schedule::Schedule;
pub use try_error::TryError;
