//! The calling process, its children, and the number of CPUs.

use super::watch;
use crate::process::worker;
use crate::spawn::worker_name;
use crate::sys::process;
use crate::topology::{Limits, Machine, Request, TopologyError, plan};

/// The kind of the calling process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ProcessKind {
    /// The main process: it runs `main` and was not started by this crate.
    Main,
    /// A [`Process`](crate::Process).
    Process,
    /// A worker of a pool.
    Worker,
}

/// The calling process, as reported by [`current_process`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CurrentProcess {
    /// Its name: the one it was started with, `MainProcess` for the main process, `worker 3` for a worker.
    pub name: String,
    /// Its process ID.
    pub pid: u32,
    /// The process ID of its parent.
    pub parent_pid: u32,
    /// Its kind.
    pub kind: ProcessKind,
    /// Whether dropping its handle kills it.
    pub is_daemon: bool,
}

/// Returns a description of the calling process.
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

/// A running [`Process`](crate::Process), as reported by [`active_children`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ActiveChild {
    /// Its name.
    pub name: String,
    /// Its process ID.
    pub pid: u32,
    /// Whether dropping its handle kills it.
    pub is_daemon: bool,
}

/// Returns the processes that this program has started and that have not ended, oldest first. Workers of
/// pools are not included.
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

/// Numbers of CPUs, as counted by [`cpu_count`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct CpuCount {
    /// CPUs that the system schedules on (hardware threads), as returned by Python's `os.cpu_count()`.
    pub logical: usize,
    /// Physical cores of the machine; equal to `logical` if they cannot be determined.
    pub physical: usize,
    /// Physical cores that this process may keep busy, within its affinity mask and CPU quota: the default
    /// size of a pool.
    pub usable: usize,
}

/// Counts the machine's CPUs, and those available to this process.
///
/// Reads the topology on every call (some files, or libhwloc), so keep the result.
///
/// # Errors
/// - [`TopologyError`] if no source reports the topology.
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
