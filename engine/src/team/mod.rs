//! The team. Members (worker processes, threads, or the driver itself), how they start, how a launch is
//! announced to them and ends, and what happens when one dies. README.md beside this file tells the protocol.

pub(crate) mod assignment;
pub(crate) mod board;
mod breakdown;
mod burial;
pub(crate) mod control;
pub(crate) mod crew;
pub(crate) mod current;
mod delivery;
pub(crate) mod end;
pub(crate) mod engine;
pub(crate) mod errand;
mod farewell;
mod leave;
pub(crate) mod log;
pub(crate) mod mail;
pub(crate) mod member;
mod member_thread;
pub(crate) mod muster;
pub(crate) mod oom;
pub(crate) mod opening;
pub(crate) mod panic_note;
pub(crate) mod program;
mod register;
pub(crate) mod roster;
pub(crate) mod start;
pub(crate) mod state;
mod succession;
pub(crate) mod text;
pub(crate) mod trace;
pub(crate) mod worker;
