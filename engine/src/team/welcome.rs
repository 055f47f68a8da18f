//! What a new worker of a team receives first.

use crate::team::exit_function::ExitWire;
use crate::team::initializer::InitializerWire;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A worker's place in its team.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Welcome {
    pub(crate) rank: u32,
    pub(crate) size: u32,
    pub(crate) member: u32,
    pub(crate) arena: u64,
    pub(crate) arena_len: u64,
    /// CPUs to run on; empty means all.
    pub(crate) cpus: Vec<u32>,
    /// NUMA node for its memory.
    pub(crate) node: Option<u32>,
    /// Other ranks, nearest first.
    pub(crate) victims: Vec<u32>,
    pub(crate) threads: u32,
    /// Members outnumber cores: do not spin.
    pub(crate) crowded: bool,
    /// How long to look for work before sleeping.
    pub(crate) spin: Duration,
    /// Bytes of the trace's segment, whose descriptor comes next; 0 if there is none.
    pub(crate) trace_len: u64,
    /// Bytes of the tasks' segment, whose descriptor comes next, and the function that opens it; zeros if
    /// there is none.
    pub(crate) idle_work: (u64, u64),
    /// What to run before serving.
    pub(crate) initializer: Option<InitializerWire>,
    /// What to run before it ends.
    pub(crate) exit: Option<ExitWire>,
    /// Most verbose level that the driver's subscriber takes, 0 (off) to 5 (trace).
    pub(crate) log_level: u8,
}
