//! Who am I, who are my children, how many CPUs are there.

use super::watch;
use crate::process::worker;
use crate::spawn::worker_name;
use crate::sys::process;
use crate::topology::{Limits, Machine, Request, TopologyError, plan};

/// What kind of process runs the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ProcessKind {
    /// The one that was started by somebody else and runs `main`.
    Main,
    /// A [`Process`](crate::Process).
    Process,
    /// A worker of a pool.
    Worker,
}

/// The process that runs the caller, as [`current_process`] found it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CurrentProcess {
    /// The name it was started with; `MainProcess` for the main one, `worker 3` for a worker.
    pub name: String,
    /// Its process number.
    pub pid: u32,
    /// The process number of its parent.
    pub parent_pid: u32,
    /// What it is.
    pub kind: ProcessKind,
    /// Whether dropping its handle kills it.
    pub is_daemon: bool,
}

/// The process that runs the caller.
///
/// ```
/// use phalanx::{Process, current_process};
///
/// let process = Process::builder().name("mapper").spawn(|()| current_process().name, ())?;
/// assert_eq!(process.join()?, "mapper");
/// assert_eq!(current_process().name, "MainProcess");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn current_process() -> CurrentProcess {
    let (name, kind, is_daemon) = match (worker::me(), worker_name()) {
        (Some(me), _) => (me.name.clone(), ProcessKind::Process, me.is_daemon),
        (None, Some(name)) => (name.to_string(), ProcessKind::Worker, true),
        (None, None) => ("MainProcess".to_string(), ProcessKind::Main, false),
    };
    CurrentProcess { name, pid: process::own_pid(), parent_pid: process::parent_pid(), kind, is_daemon }
}

/// A running [`Process`](crate::Process), as [`active_children`] found it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ActiveChild {
    /// Its name.
    pub name: String,
    /// Its process number.
    pub pid: u32,
    /// Whether dropping its handle kills it.
    pub is_daemon: bool,
}

/// The processes that this program has started and that have not ended, oldest first. Workers of pools are
/// not among them.
///
/// ```
/// use phalanx::{Process, active_children};
///
/// let daemon = Process::builder().daemon(true).spawn(|()| loop { std::thread::park() }, ())?;
/// assert!(active_children().iter().any(|child| child.pid == daemon.pid()));
/// # let _: Process<()> = daemon;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn active_children() -> Vec<ActiveChild> {
    let children = watch::present().map(|watch| watch.children()).unwrap_or_default();
    let describe = |child: &std::sync::Arc<super::child::Child>| ActiveChild {
        name: child.name.to_string(),
        pid: child.process.pid,
        is_daemon: child.is_daemon,
    };
    children.iter().map(describe).collect()
}

/// Numbers of CPUs, as [`cpu_count`] counted them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct CpuCount {
    /// CPUs that the system schedules on (hardware threads): what Python's `os.cpu_count()` tells.
    pub logical: usize,
    /// Physical cores of the machine; equal to `logical` where that cannot be found out.
    pub physical: usize,
    /// Physical cores that this process may keep busy, inside its affinity mask and CPU quota: what a pool
    /// takes by default.
    pub usable: usize,
}

/// Counts the machine's CPUs, and those of them that are for this process.
///
/// Reads the topology anew each time (some files, or libhwloc), so keep the answer.
///
/// # Errors
/// - [`TopologyError`] if no source tells the topology.
///
/// ```
/// let count = phalanx::cpu_count()?;
/// assert!(count.usable >= 1 && count.physical <= count.logical);
/// # Ok::<(), phalanx::topology::TopologyError>(())
/// ```
pub fn cpu_count() -> Result<CpuCount, TopologyError> {
    let machine = Machine::detect()?;
    let usable = plan(&machine, &Limits::detect(), &Request::default()).map_or(1, |plan| plan.workers.len());
    Ok(CpuCount { logical: machine.pus().len(), physical: machine.cores().len(), usable })
}
