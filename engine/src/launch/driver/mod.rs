//! The driver's side of a launch: what the calling thread does from the call to its return.
//!
//! `launcher` takes a [`Job`](job::Job) through the pool's gate. `active` runs it in rounds; `equip` opens
//! each round, `wait` waits for its end, and `outcome` evaluates it.

mod active;
mod equip;
pub(crate) mod job;
pub(crate) mod launcher;
mod outcome;
pub(crate) mod profile;
pub(crate) mod scratch;
pub(crate) mod spill;
pub(crate) mod totals;
mod wait;
