//! Launches: all workers run one kernel, once for each chunk of its operands.
//!
//! [`Pool::for_each`](crate::Pool::for_each) and its relatives start one with all defaults; [`Launch`]
//! has the options. An [`Operand`] is what a kernel receives: [grants](grant) of arrays, ranges,
//! [plain](Plain) values, [`Captured`] values, states of [`PerWorker`], locks. [Regions](region) run one
//! body on all workers at once.
//!
//! ```
//! use phalanx::{Pool, Schedule};
//!
//! let pool = Pool::builder().workers(2).build()?;
//! let mut y = pool.zeros::<u64>(10_000)?;
//! let launch = pool.launch().chunk(500).schedule(Schedule::Guided).retry(1);
//! launch.for_each((y.split_out(), 0..10_000), |(y, rows)| {
//!     y.iter_mut().zip(rows).for_each(|(y, row)| *y = row as u64);
//! })?;
//! assert_eq!(y.as_slice()[777], 777);
//! # Ok::<(), phalanx::Error>(())
//! ```

// Chunks are claimed, run and recorded; what a dead member left is repaired: README.md beside this file.

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
mod leaves;
pub(crate) mod member;
pub(crate) mod operand;
mod options;
pub mod region;
mod reserve;
pub(crate) mod schedule;

pub use answer::TryError;
pub use builder::Launch;
pub use cancel::CancelToken;
pub(crate) use element_wise::Prefix;
pub use element_wise::{Elements, MapOutput, With};
pub use error::{Death, LaunchError};
pub use grant::{Captured, Edge, PerWorker};

pub use operand::{Operand, Plain, Val};
pub use options::Progress;
pub use region::{BodyError, Region, RegionError, Team};
pub use schedule::Schedule;
