//! From the start of a driver to its end.
#![deny(clippy::arithmetic_side_effects)]

use super::error::ClusterError;
use super::launcher::Launcher;
use super::link::Link;
use super::meeting::Call;
use super::member::Cluster;
use super::mpi;
use crate::spawn::is_worker;
use std::fmt::Display;
use std::panic::{AssertUnwindSafe, Location, catch_unwind, resume_unwind};
use std::time::Duration;

/// Status of a job in which a driver panicked: that of a program that panics.
const PANICKED: i32 = 101;

/// Runs `body` as a driver of the cluster that the launcher has started, and returns what it returns.
///
/// Every driver calls this once, usually as all of `main`. Without a launcher, `body` runs in a cluster of one.
/// Blocks until all drivers have called it, and at the end until all bodies have returned.
///
/// If the body of one driver of several returns an error or panics, the driver prints what happened and its
/// number and host, and the whole job ends with a status that is not 0; `run` does not return. The same
/// happens when MPI itself fails in the middle of a call, and when a driver waits longer than
/// [`Cluster::limit`] allows.
///
/// # Errors
/// - The error of `body`, in a cluster of one.
/// - [`ClusterError`] if MPI cannot be loaded or started, if the launcher and the library do not belong
///   together, if drivers run different builds, or if the masks of drivers on one machine overlap in part.
///
/// ```
/// use phalanx::cluster;
///
/// let hosts = cluster::run(|cluster| cluster.all_gather(&cluster.host(cluster.me()).to_owned()))?;
/// println!("{} drivers on {hosts:?}", hosts.len());
/// # Ok::<(), cluster::ClusterError>(())
/// ```
#[track_caller]
pub fn run<T, E>(body: impl FnOnce(&Cluster) -> Result<T, E>) -> Result<T, E>
where
    E: From<ClusterError> + Display,
{
    let site = Location::caller();
    let cluster = join(site).map_err(E::from)?;
    let result = catch_unwind(AssertUnwindSafe(|| body(&cluster)));
    let Some(link) = cluster.link.as_ref() else {
        return result.unwrap_or_else(|panic| resume_unwind(panic));
    };
    let name = || format!("driver {} of {} on {}", link.me, link.size, link.host(link.me));
    match result {
        Ok(Ok(value)) => {
            match link.say(Call::End, 0, &[], site, |_, _| false) {
                Ok(_) => link.end(),
                Err(error) => link.abort(1, &format!("{}: {error}", name())),
            }
            Ok(value)
        }
        Ok(Err(error)) if link.size == 1 => {
            link.end();
            Err(error)
        }
        Ok(Err(error)) => link.abort(1, &format!("{} failed: {error}", name())),
        Err(panic) if link.size == 1 => {
            link.end();
            resume_unwind(panic)
        }
        // The panic's own message is out already.
        Err(_) => link.abort(PANICKED, &format!("{} panicked, so the job ends", name())),
    }
}

/// Starts MPI if a launcher started this process, and meets the other drivers.
fn join(site: &Location<'_>) -> Result<Cluster, ClusterError> {
    let launcher = Launcher::detect(|name| std::env::var_os(name)).filter(|_| !is_worker());
    let Some(launcher) = launcher else { return Cluster::of_one() };
    let (mpi, library) = mpi::start(&launcher)?;
    let limit = std::env::var("PHALANX_CLUSTER_LIMIT").ok().and_then(|text| text.parse::<f64>().ok());
    let limit = limit.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let link = Link::new(mpi, limit.filter(|limit| !limit.is_zero()))?;
    if let Some(told) = launcher.size.filter(|told| *told != link.size) {
        return Err(ClusterError::SizeMismatch { launcher: launcher.name, told, library, found: link.size });
    }
    Cluster::greet(link, &library, site)
}
