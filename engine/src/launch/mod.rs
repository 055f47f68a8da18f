//! Launches: all members run one kernel on some operands. Chunks are claimed, run and recorded; what a dead
//! member left is repaired. A region runs one body on all members at once. README.md beside this file
//! describes the protocol.

mod answer;
mod builder;
pub(crate) mod cancel;
mod ctrl_c;
pub(crate) mod done_units;
pub(crate) mod driver;
mod element_wise;
mod error;
pub mod grant;
mod grid;
pub(crate) mod member;
mod operand;
mod options;
pub mod region;
mod reserve;
pub(crate) mod schedule;

pub use answer::TryError;
pub use builder::Launch;
pub use cancel::CancelToken;
pub use element_wise::{Elements, MapOutput, With};
pub use error::{Death, LaunchError};
pub use grant::{Captured, Edge, PerWorker};

pub use operand::{Operand, Plain, Val};
pub use options::Progress;
pub use region::{BodyError, Region, RegionError, Team};
pub use schedule::Schedule;
