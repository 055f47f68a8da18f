//! [`Cluster`]: a driver's view of all drivers.
#![deny(clippy::arithmetic_side_effects)]

use super::error::ClusterError;
use super::link::Link;
use super::meeting::Call;
use super::rows::Rows;
use super::share::{self, Rule};
use crate::base::{Output, notation};
use crate::handle::travel;
use crate::pool::{Pool, PoolBuilder};
use crate::spawn;
use crate::topology::{CpuSet, Limits, Machine};
use serde::{Deserialize, Serialize};
use std::any::type_name;
use std::cell::Cell;
use std::ops::Range;
use std::panic::Location;
use std::rc::Rc;
use std::time::Duration;

/// The drivers of one job, as one of them sees them. Made by [`run`](super::run).
///
/// Methods that say so are **called by all drivers together**: each waits for the others, and drivers that
/// make different calls get [`ClusterError::Disagree`], which names both lines. They may be called from
/// different lines, as in two branches of an `if`. A call costs one message to and from every other driver.
///
/// Only the thread that called `run` can use it.
pub struct Cluster {
    /// `None` without a launcher.
    pub(super) link: Option<Rc<Link>>,
    hosts: Vec<String>,
    /// The PUs of this driver's pool, and its part of the machine's CPU quota.
    cpus: CpuSet,
    drivers_here: usize,
    reason: String,
    /// How many exchanges there were.
    pub(super) exchanges: Cell<u64>,
}

/// What drivers tell each other first.
#[derive(Serialize, Deserialize)]
struct Greeting {
    host: String,
    /// Tells machines with the same host name apart.
    boot: String,
    build: (u64, u64),
    mask: CpuSet,
}

/// What drivers tell each other when they know their shares.
#[derive(Serialize, Deserialize)]
struct Share {
    cores: usize,
}

impl Cluster {
    /// A cluster without MPI.
    pub(super) fn of_one() -> Result<Cluster, ClusterError> {
        Ok(Cluster {
            link: None,
            hosts: vec![host_name()],
            cpus: Limits::detect().allowed,
            drivers_here: 1,
            reason: "1 driver, started without a launcher".into(),
            exchanges: Cell::new(0),
        })
    }

    /// Learns who the others are, and divides this machine with those on it.
    pub(super) fn greet(link: Link, library: &str, site: &Location<'_>) -> Result<Cluster, ClusterError> {
        let (machine, mask) = (Machine::detect()?, Limits::detect().allowed);
        let boot = crate::sys::descriptor::read_text("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let own = Greeting { host: host_name(), boot, build: spawn::build_id(), mask };
        let greetings: Vec<Greeting> = exchange(&link, Call::Start, &own, site)?;
        link.set_hosts(greetings.iter().map(|greeting| greeting.host.clone()).collect());
        if let Some(driver) = greetings.iter().position(|greeting| greeting.build != own.build) {
            return Err(ClusterError::MixedBuilds { driver, host: link.host(driver) });
        }
        let is_here = |greeting: &Greeting| greeting.host == own.host && greeting.boot == own.boot;
        let masks: Vec<CpuSet> = greetings.iter().filter(|g| is_here(g)).map(|g| g.mask.clone()).collect();
        let me = greetings.iter().take(link.me).filter(|g| is_here(g)).count();
        let Some((cpus, rule)) = share::share(&machine, &masks, me) else {
            let masks = masks.iter().map(|mask| format!("[{mask}]")).collect::<Vec<_>>().join(" ");
            return Err(ClusterError::Masks { host: own.host, masks });
        };
        let cores = machine.cores().iter().filter(|core| core.cpuset.intersects(&cpus)).count();
        let shares: Vec<Share> = exchange(&link, Call::Start, &Share { cores }, site)?;
        let reason = reason(&link, library, &greetings, &shares, (&cpus, rule), &machine);
        let hosts = greetings.into_iter().map(|greeting| greeting.host).collect();
        let (drivers_here, exchanges) = (masks.len(), Cell::new(0));
        Ok(Cluster { link: Some(Rc::new(link)), hosts, cpus, drivers_here, reason, exchanges })
    }

    /// Returns this driver's number, from 0.
    #[doc(alias = "MPI_Comm_rank")]
    pub fn me(&self) -> usize {
        self.link.as_ref().map_or(0, |link| link.me)
    }

    /// Returns the number of drivers.
    #[doc(alias = "MPI_Comm_size")]
    pub fn size(&self) -> usize {
        self.link.as_ref().map_or(1, |link| link.size)
    }

    /// Returns the host name of a driver, or an empty text if there is no such driver.
    #[doc(alias = "MPI_Get_processor_name")]
    pub fn host(&self, driver: usize) -> &str {
        self.hosts.get(driver).map_or("", String::as_str)
    }

    /// Returns one line that says how many drivers there are, where, which MPI joins them, and which cores
    /// this driver has and why.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// Makes a pool with one worker on each core of this driver's share of its machine.
    ///
    /// # Errors
    /// [`ClusterError::Pool`]; see [`PoolBuilder::build`].
    pub fn pool(&self) -> Result<Pool, ClusterError> {
        Ok(self.pool_builder().build()?)
    }

    /// Returns a builder whose pool stays within this driver's share of its machine. Leave a core to the
    /// driver (`workers(n - 1)`) if it talks to others while its workers compute.
    pub fn pool_builder(&self) -> PoolBuilder {
        Pool::builder().within(self.cpus.clone(), self.drivers_here)
    }

    /// Returns this driver's part of the indices `0..len`: neighbouring ones, nearly as many for each driver.
    ///
    /// They are dealt out in leaves, of which there are at most 4096 and whose length follows from `len` alone.
    /// So a [`reduce`](Self::reduce) over them has the same bits on any number of drivers.
    pub fn part(&self, len: usize) -> Range<usize> {
        Rows::new(len).of(self.me(), self.size()).range()
    }

    /// Sets how long this driver waits for others in a call before it ends the job, with status 101. `None`,
    /// the default, is for ever: computing may take long. Either way the driver says on standard error after
    /// a minute for whom it waits. `PHALANX_CLUSTER_LIMIT` (seconds) sets the limit from outside, also for the
    /// start.
    pub fn limit(&self, limit: Option<Duration>) {
        if let Some(link) = &self.link {
            link.set_limit(limit);
        }
    }

    /// Returns when all drivers have called it. Called by all drivers together.
    ///
    /// # Errors
    /// [`ClusterError::Disagree`].
    #[doc(alias = "MPI_Barrier")]
    #[track_caller]
    pub fn barrier(&self) -> Result<(), ClusterError> {
        let Some(link) = &self.link else { return Ok(()) };
        link.say(Call::Barrier, 0, &[], Location::caller(), |_, _| false).map(drop)
    }

    /// Calls `value` on driver `from` alone, and returns what it returned on every driver. Called by all
    /// drivers together.
    ///
    /// # Errors
    /// - [`ClusterError::NoDriver`] if there is no driver `from`.
    /// - [`ClusterError::Value`] if the value cannot be sent, or not be read. Handles of shared memory lead to
    ///   memory of one machine and cannot be sent.
    /// - [`ClusterError::Disagree`].
    ///
    /// ```
    /// # use phalanx::cluster::{self, ClusterError};
    /// # cluster::run(|cluster| {
    /// let settings = cluster.broadcast(0, || std::fs::read_to_string("settings.toml").ok())?;
    /// # assert_eq!(settings, None);
    /// # Ok::<(), ClusterError>(())
    /// # })?;
    /// # Ok::<(), ClusterError>(())
    /// ```
    #[doc(alias = "MPI_Bcast")]
    #[track_caller]
    pub fn broadcast<T: Output>(&self, from: usize, value: impl FnOnce() -> T) -> Result<T, ClusterError> {
        self.known(from)?;
        let Some(link) = &self.link else { return Ok(value()) };
        let value = (link.me == from).then(value);
        let bytes = value.as_ref().map_or(Ok(Vec::new()), write)?;
        let said =
            link.say(Call::Broadcast, from, &bytes, Location::caller(), |speaker, _| speaker == from)?;
        match value {
            Some(value) => Ok(value),
            None => read(said.get(from).map_or(&[], Vec::as_slice)),
        }
    }

    /// Returns the values of all drivers, in their order, on driver `to`, and `None` on the others. Called by
    /// all drivers together.
    ///
    /// # Errors
    /// As [`Self::broadcast`].
    #[doc(alias = "MPI_Gather")]
    #[track_caller]
    pub fn gather<T: Output>(&self, to: usize, value: &T) -> Result<Option<Vec<T>>, ClusterError> {
        self.known(to)?;
        let bytes = write(value)?;
        let said = match &self.link {
            None => vec![bytes],
            Some(link) => {
                link.say(Call::Gather, to, &bytes, Location::caller(), |_, listener| listener == to)?
            }
        };
        if self.me() != to {
            return Ok(None);
        }
        said.iter().map(|bytes| read(bytes)).collect::<Result<_, _>>().map(Some)
    }

    /// Returns the values of all drivers, in their order, on every driver. Called by all drivers together.
    ///
    /// # Errors
    /// As [`Self::broadcast`].
    #[doc(alias = "MPI_Allgather")]
    #[track_caller]
    pub fn all_gather<T: Output>(&self, value: &T) -> Result<Vec<T>, ClusterError> {
        self.of_all(Call::AllGather, value, Location::caller())
    }

    /// Folds the values of all drivers in their order, and returns the result on every driver: the same bits
    /// on all. For another number of drivers, floating-point results may differ in their last bits. Called by
    /// all drivers together.
    ///
    /// # Errors
    /// As [`Self::broadcast`].
    #[doc(alias = "MPI_Allreduce")]
    #[track_caller]
    pub fn all_reduce<T: Output>(&self, value: &T, fold: impl Fn(T, T) -> T) -> Result<T, ClusterError> {
        let values = self.of_all(Call::AllReduce, value, Location::caller())?;
        let why = "no driver has one".into();
        values.into_iter().reduce(fold).ok_or(ClusterError::Value { type_name: type_name::<T>(), why })
    }

    pub(super) fn of_all<T: Output>(
        &self,
        call: Call,
        value: &T,
        site: &Location<'_>,
    ) -> Result<Vec<T>, ClusterError> {
        match &self.link {
            None => Ok(vec![read(&write(value)?)?]),
            Some(link) => exchange(link, call, value, site),
        }
    }

    fn known(&self, driver: usize) -> Result<(), ClusterError> {
        let size = self.size();
        if driver < size { Ok(()) } else { Err(ClusterError::NoDriver { driver, size }) }
    }
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Cluster({} of {}, {})", self.me(), self.size(), self.host(self.me()))
    }
}

/// Every driver's value, on every driver.
fn exchange<T: Output>(
    link: &Link,
    call: Call,
    value: &T,
    site: &Location<'_>,
) -> Result<Vec<T>, ClusterError> {
    link.say(call, 0, &write(value)?, site, |_, _| true)?.iter().map(|bytes| read(bytes)).collect()
}

pub(super) fn write<T: Output>(value: &T) -> Result<Vec<u8>, ClusterError> {
    let (written, handle) = travel::without_handles(|| notation::to_vec(value));
    let type_name = type_name::<T>();
    if let Some(what) = handle {
        let why = format!("a {what} leads to memory of one machine");
        return Err(ClusterError::Value { type_name, why });
    }
    written.map_err(|error| ClusterError::Value { type_name, why: error.to_string() })
}

pub(super) fn read<T: Output>(bytes: &[u8]) -> Result<T, ClusterError> {
    notation::read(bytes)
        .map_err(|error| ClusterError::Value { type_name: type_name::<T>(), why: error.to_string() })
}

fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// The line of [`Cluster::reason`].
fn reason(
    link: &Link,
    library: &str,
    greetings: &[Greeting],
    shares: &[Share],
    (cpus, rule): (&CpuSet, Rule),
    machine: &Machine,
) -> String {
    let mut machines: Vec<(&str, &str)> =
        greetings.iter().map(|greeting| (greeting.host.as_str(), greeting.boot.as_str())).collect();
    machines.sort_unstable();
    machines.dedup();
    let (size, count) = (link.size, machines.len());
    let cores = shares.iter().map(|share| share.cores).sum::<usize>();
    let plural = |count: usize| if count == 1 { "" } else { "s" };
    let mut text = format!(
        "{size} driver{} on {count} machine{}, {cores} core{} in all; {} ({library}); driver {} has cpus {cpus}: {}",
        plural(size),
        plural(count),
        plural(cores),
        link.version(),
        link.me,
        rule.text(),
    );
    let all = machine.cores().len();
    if matches!(rule, Rule::Alone | Rule::Private) && cpus.len() == 1 && all > 1 {
        text.push_str(&format!(
            "; THE LAUNCHER BOUND THIS DRIVER TO ONE OF {all} CORES: start it with --bind-to none, or with more cores a process"
        ));
    }
    text
}
