//! Settings of the engine that depend on the machine, and the profile that `phalanx-bench tune` stores of them.
//!
//! A [`Tuning`] says how long workers stay awake, which maps stay in the caller, how long a chunk of a map should
//! take, and from which length on kernels write past the caches. A pool has the one that it was built with
//! ([`PoolBuilder::tuning`](crate::PoolBuilder::tuning)), else that of this machine's stored [`Profile`], else the
//! default. None of them changes a result: chunks of launches are cut by lengths alone.
//!
//! # Examples
//! ```
//! use phalanx::tuning::{Profile, Tuning};
//! use std::time::Duration;
//!
//! # fn main() -> Result<(), phalanx::Error> {
//! let mut tuning = Tuning::default();
//! tuning.spin = Duration::from_micros(20);
//! let pool = phalanx::Pool::builder().workers(2).tuning(tuning).build()?;
//! assert_eq!(pool.tuning(), tuning);
//!
//! let machine = phalanx::Machine::detect()?;
//! if let Some(profile) = Profile::load(&machine)? {
//!     println!("{} says {}", Profile::path(&machine)?.display(), profile.tuning());
//! }
//! # Ok(())
//! # }
//! ```

mod error;
mod host;
mod profile;
mod settings;
mod text;

pub use error::ProfileError;
pub use profile::{Profile, TUNE_VARIABLE};
pub use settings::Tuning;

#[cfg(all(test, not(loom)))]
mod tests;
