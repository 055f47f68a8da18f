//! The team: members (worker processes, threads, or the driver itself), how a launch is announced to them and
//! ends, and what happens when one dies. README.md beside this file describes the protocol; `spawn` is how
//! worker processes come to be.

mod astray;
pub(crate) mod board;
mod breakdown;
pub(crate) mod control;
pub(crate) mod crew;
pub(crate) mod current;
mod delivery;
pub(crate) mod end;
pub(crate) mod engine;
pub(crate) mod exit_function;
pub(crate) mod fault;
pub(crate) mod fork_join;
pub(crate) mod gate;
pub(crate) mod idle_work;
pub(crate) mod in_process;
pub(crate) mod initializer;
mod leave;
mod lifecycle;
pub(crate) mod member;
mod member_thread;
pub(crate) mod orders;
pub(crate) mod plate;
pub(crate) mod program;
mod reaping;
mod record;
mod register;
pub(crate) mod roster;
pub(crate) mod state;
pub(crate) mod step_state;
mod succession;
mod threads;
pub(crate) mod trace;
mod welcome;
pub(crate) mod worker;
