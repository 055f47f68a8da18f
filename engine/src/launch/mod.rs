//! Launches. One kernel, some operands, all members: chunks are claimed, run and recorded; deaths are
//! repaired; regions run one body on all members at once. README.md beside this file tells the protocol.

pub(crate) mod bitmap;
mod cancel;
mod chunk;
mod describe;
mod drive;
pub(crate) mod driver;
mod element_wise;
mod error;
pub mod grant;
mod grid;
#[allow(clippy::module_inception)]
mod launch;
mod operand;
mod options;
pub mod region;
mod reserve;
pub(crate) mod schedule;
mod scratch;
mod settle;
mod stock;
mod tally;
pub(crate) mod watch;

pub use cancel::CancelToken;
pub use element_wise::{Inlined, Output};
pub use error::{Death, LaunchError};
pub use grant::{Edge, PerWorker};
pub use launch::Launch;
pub use operand::{Operand, Plain, Val};
pub use options::Progress;
pub use region::{Region, RegionError, Team};
pub use schedule::Schedule;
