//! Errors of clusters.

use crate::launch::LaunchError;
use crate::pool::PoolError;
use crate::topology::{PlacementError, TopologyError};

/// Why a driver cannot join a cluster, or a call over the cluster failed.
///
/// A call that fails while messages are under way ends the job instead: see [`run`](super::run).
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum ClusterError {
    /// A launcher of MPI started the program, but no library of MPI can be loaded that can talk to it.
    #[error(
        "{launcher} started this program, but none of {tried} can be loaded ({reason}); set LD_LIBRARY_PATH to where MPI is installed, or PHALANX_MPI to the file"
    )]
    NoLibrary {
        /// The launcher.
        launcher: &'static str,
        /// The libraries that were tried.
        tried: String,
        /// What the dynamic loader said of the first.
        reason: String,
    },
    /// A function of MPI is missing or has failed.
    #[error("{call} of {library} failed: {reason}")]
    Library {
        /// The library.
        library: String,
        /// The function.
        call: String,
        /// What the library said.
        reason: String,
    },
    /// The launcher and the library do not belong together: every process is alone.
    #[error(
        "{launcher} started {told} processes, but {library} sees {found}: the launcher is of another MPI; use the one that belongs to the library"
    )]
    SizeMismatch {
        /// The launcher.
        launcher: &'static str,
        /// How many processes it started.
        told: usize,
        /// The library.
        library: String,
        /// How many processes it sees.
        found: usize,
    },
    /// The program has ended MPI already.
    #[error("MPI was finalized already, and cannot start again in this process; call cluster::run once")]
    Finalized,
    /// A driver runs another build of the program.
    #[error("driver {driver} on {host} runs another build of this program; install the same file everywhere")]
    MixedBuilds {
        /// The other driver.
        driver: usize,
        /// Its host.
        host: String,
    },
    /// Drivers on one machine may run on some of the same cores.
    #[error(
        "drivers on {host} share some cores but not all: {masks}; start them with masks that are equal or apart (mpirun --bind-to none, or --map-by ppr:1:numa:pe=N)"
    )]
    Masks {
        /// The machine.
        host: String,
        /// The cores of each driver.
        masks: String,
    },
    /// Drivers made different calls at the same time.
    #[error("this driver calls {mine}, but driver {driver} on {host} calls {theirs}")]
    Disagree {
        /// The call of this driver, and where it is.
        mine: String,
        /// The other driver.
        driver: usize,
        /// Its host.
        host: String,
        /// Its call.
        theirs: String,
    },
    /// This driver leads the others ([`Cluster::lead`](super::Cluster::lead)), which serve it and make no other
    /// call meanwhile.
    #[error(
        "this driver calls {call} while it leads the others, which only run its tasks; call it before or after"
    )]
    Leads {
        /// The call, and where it is.
        call: String,
    },
    /// The batch system's variables do not say which part of an array job this task is; see
    /// [`array_part`](super::array_part).
    #[error("{variable} is {value}: {why}")]
    ArrayTask {
        /// The variable.
        variable: &'static str,
        /// Its value.
        value: String,
        /// What is wrong with it.
        why: String,
    },
    /// A driver cannot make the pool that it serves with.
    #[error("driver {driver} on {host} cannot make its pool: {why}")]
    NoPool {
        /// The other driver.
        driver: usize,
        /// Its host.
        host: String,
        /// What went wrong.
        why: String,
    },
    /// A value cannot be sent to other drivers, or be read from them.
    #[error("a value of type {type_name} cannot go between drivers: {why}")]
    Value {
        /// The value's type.
        type_name: &'static str,
        /// What serde says of it.
        why: String,
    },
    /// A driver is asked for that the cluster does not have.
    #[error("there is no driver {driver} in a cluster of {size}")]
    NoDriver {
        /// The driver.
        driver: usize,
        /// The cluster's size.
        size: usize,
    },
    /// Rows are not dealt out as they are over a cluster.
    #[error(
        "driver {driver} on {host} has {found} of {len} rows, but {due} are its own: deal them out with cluster.part({len})"
    )]
    NotDealtOut {
        /// The driver.
        driver: usize,
        /// Its host.
        host: String,
        /// How many rows it has.
        found: usize,
        /// How many all drivers have.
        len: usize,
        /// How many it must have.
        due: usize,
    },
    /// The launch of this driver failed.
    #[error(transparent)]
    Launch(#[from] LaunchError),
    /// The launch of another driver failed.
    #[error("driver {driver} on {host} failed in {call}: {why}")]
    Driver {
        /// The driver.
        driver: usize,
        /// Its host.
        host: String,
        /// The call.
        call: &'static str,
        /// What its error says.
        why: String,
    },
    /// The machine's topology cannot be detected.
    #[error(transparent)]
    Topology(#[from] TopologyError),
    /// No core is left for this driver.
    #[error(transparent)]
    Placement(#[from] PlacementError),
    /// The pool of this driver cannot be made.
    #[error(transparent)]
    Pool(#[from] PoolError),
}

crate::base::debug_is_display!(ClusterError);
