//! Which worker runs where: a pure function from machine, limits and wish to a plan.
//!
//! Nothing here asks the operating system, so every policy is tested on machines nobody here owns.

use super::cpuset::{CpuSet, CpuSetError};
use super::limits::Limits;
use super::machine::Machine;
use super::places::{self, Places};
use super::steal;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The largest number of workers of a pool.
pub const MAX_WORKERS: usize = 4096;
/// A worker has at most this many threads.
const MAX_THREADS: usize = 4096;

/// Where workers go.
///
/// With several threads per worker, a place is that many neighbouring cores (or PUs) instead of one, within
/// one L3, node or package if they fit.
///
/// Text forms: `per-core`, `per-pu`, `compact`, `scatter`, `per-l3`, `per-node`, `cpus:0-3,8`, `unbound`.
///
/// # Examples
/// ```
/// use phalanx::topology::Placement;
/// assert_eq!("per-l3".parse::<Placement>()?, Placement::PerL3);
/// assert_eq!("cpus:4,0-1".parse::<Placement>()?, Placement::Cpus(vec![4, 0, 1]));
/// assert_eq!(Placement::default().to_string(), "per-core");
/// # Ok::<(), phalanx::topology::PlacementError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Placement {
    /// One worker per physical core, in topology order; the fastest kind of core first.
    #[default]
    PerCore,
    /// One worker per PU. If there are fewer workers than PUs, every core gets one worker before any gets a
    /// second.
    PerPu,
    /// One worker per PU, nearest first: all PUs of a core, then the cores of its L3, node, package; the
    /// fastest kind of core first.
    Compact,
    /// One worker per physical core, as far apart as possible: round robin over packages, then over nodes, L3
    /// and L2 caches; the fastest kind of core first.
    Scatter,
    /// One worker per L3 cache, bound to all its PUs. Cores without an L3 form one place per package.
    PerL3,
    /// One worker per NUMA node that has PUs, bound to all of them.
    PerNode,
    /// These PUs, given by operating-system index, with worker 0 on the first.
    Cpus(Vec<u32>),
    /// As many workers as `PerCore`, each free to run on every allowed PU.
    Unbound,
}

/// The input of a placement plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Where workers go.
    pub placement: Placement,
    /// The number of workers; `None` for as many as there are places within the CPU quota.
    pub workers: Option<usize>,
    /// The number of threads each worker will run.
    pub threads_per_worker: usize,
}

impl Default for Request {
    fn default() -> Self {
        Self { placement: Placement::PerCore, workers: None, threads_per_worker: 1 }
    }
}

/// The place of every worker, and the reason for their number.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Plan {
    /// The workers, indexed by rank.
    pub workers: Vec<WorkerPlace>,
    /// One sentence that explains the number of workers.
    pub reason: String,
    /// The number of distinct places. If there are more workers than places, they share them round robin.
    pub places: usize,
    /// Whether workers are bound.
    pub is_bound: bool,
}

/// The place of one worker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct WorkerPlace {
    /// The PUs that the worker may run on.
    pub cpuset: CpuSet,
    /// The operating-system index of the NUMA node that contains all these PUs; `None` if no single node
    /// does.
    pub node: Option<u32>,
    /// The node to allocate from: `node`, or the nearest one with memory that this process may use.
    pub memory_node: Option<u32>,
    /// The worker's first core, as an index into [`Machine::cores`]; `None` for an unbound worker.
    pub core: Option<usize>,
    /// All other ranks, nearest first: same core, L2, L3, node, package, then by NUMA distance. Equally near
    /// ranks are listed in ring order, starting after this worker, so that thieves spread out.
    pub steal_order: Vec<usize>,
}

/// A placement plan could not be made.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlacementError {
    /// Zero workers were requested.
    #[error("a pool of 0 workers can do nothing; ask for at least 1, or leave the number out")]
    NoWorkers,
    /// Zero threads were requested.
    #[error("0 threads per worker can do nothing; ask for at least 1")]
    NoThreads,
    /// Too many workers were requested.
    #[error("{asked} workers are more than the {limit} that a pool can hold")]
    TooManyWorkers {
        /// The requested number.
        asked: usize,
        /// The largest possible number.
        limit: usize,
    },
    /// Too many threads were requested.
    #[error("{asked} threads are more than the {limit} that a worker can have")]
    TooManyThreads {
        /// The requested number.
        asked: usize,
        /// The largest possible number.
        limit: usize,
    },
    /// The limits leave no PU of this machine.
    #[error("none of the machine's PUs {machine} is allowed: the affinity mask holds '{allowed}'")]
    NothingAllowed {
        /// The machine's PUs.
        machine: CpuSet,
        /// The allowed PUs.
        allowed: CpuSet,
    },
    /// The list of PUs is empty.
    #[error("the list of CPUs to place workers on is empty")]
    EmptyList,
    /// The list contains a PU twice.
    #[error("CPU {cpu} is twice in the list; ask for more workers than CPUs to share them")]
    RepeatedCpu {
        /// The PU.
        cpu: u32,
    },
    /// Listed PUs do not exist.
    #[error("there is no CPU {cpus} on this machine, or it is offline; it has {machine}")]
    UnknownCpus {
        /// The unknown PUs.
        cpus: CpuSet,
        /// The machine's PUs.
        machine: CpuSet,
    },
    /// Listed PUs are outside the affinity mask.
    #[error("CPU {cpus} is outside the affinity mask {allowed} of this process; list only CPUs in it")]
    ForbiddenCpus {
        /// The PUs outside.
        cpus: CpuSet,
        /// The allowed PUs.
        allowed: CpuSet,
    },
    /// A text names no placement.
    #[error(
        "'{text}' is no placement; use per-core, per-pu, compact, scatter, per-l3, per-node, cpus:LIST or unbound"
    )]
    UnknownPlacement {
        /// The text, shortened.
        text: String,
    },
    /// The list of CPUs in a text is invalid.
    #[error(transparent)]
    List(#[from] CpuSetError),
}

crate::base::debug_is_display!(PlacementError);

/// Places workers on a machine.
///
/// A pure function: the same arguments return the same plan, and the system is neither queried nor changed.
///
/// The default number of workers is the number of places within `limits.allowed`, capped by the CPU quota
/// rounded up. A requested number is used as it is, up to [`MAX_WORKERS`]; workers beyond the number of
/// places share them round robin, and the reason says so. PUs in `limits.reserved` are left out; if no other
/// is left, or not as many places as the requested number, they are used too, after all others. Listed PUs
/// ([`Placement::Cpus`]) are used as listed, and `Unbound` ignores reservations.
///
/// # Errors
/// A [`PlacementError`] for an invalid argument. Nothing is clipped silently.
///
/// # Examples
/// ```
/// use phalanx::topology::{Limits, Machine, Request, plan};
/// let machine = Machine::from_synthetic("package:1 core:4 pu:2")?;
/// let limits = Limits::of("0-3".parse()?);
/// let plan = plan(&machine, &limits, &Request::default())?;
/// assert_eq!(plan.workers.len(), 2);
/// assert_eq!(
///     plan.reason,
///     "2 workers: 2 physical cores, 4 of 8 PUs allowed by the affinity mask, no CPU quota"
/// );
/// assert_eq!(plan.workers[0].steal_order, [1]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn plan(machine: &Machine, limits: &Limits, request: &Request) -> Result<Plan, PlacementError> {
    if request.workers == Some(0) {
        return Err(PlacementError::NoWorkers);
    }
    if request.threads_per_worker == 0 {
        return Err(PlacementError::NoThreads);
    }
    if let Some(asked) = request.workers.filter(|&asked| asked > MAX_WORKERS) {
        return Err(PlacementError::TooManyWorkers { asked, limit: MAX_WORKERS });
    }
    if request.threads_per_worker > MAX_THREADS {
        let asked = request.threads_per_worker;
        return Err(PlacementError::TooManyThreads { asked, limit: MAX_THREADS });
    }
    let allowed = limits.allowed.intersection(machine.cpuset());
    if allowed.is_empty() {
        return Err(PlacementError::NothingAllowed {
            machine: machine.cpuset().clone(),
            allowed: limits.allowed.clone(),
        });
    }
    let places = places::find_beside(machine, &allowed, &limits.reserved, request)?;
    let threads = request.threads_per_worker as f64;
    let within_quota = limits.quota_cpus.map(|quota| ((quota / threads).ceil() as usize).max(1));
    let default = places.natural.min(within_quota.unwrap_or(usize::MAX)).min(MAX_WORKERS);
    let count = request.workers.unwrap_or(default);
    let chosen = places.choose(machine, count);

    let seats: Vec<usize> = (0..count).map(|rank| rank % chosen.len()).collect();
    let orders = steal::orders(machine, &chosen, &seats);
    let templates: Vec<WorkerPlace> = chosen
        .iter()
        .map(|cpuset| worker(machine, limits, cpuset, request.placement != Placement::Unbound))
        .collect();
    let workers = seats
        .iter()
        .zip(orders)
        .map(|(&seat, steal_order)| WorkerPlace { steal_order, ..templates[seat].clone() })
        .collect();
    let reason = reason(machine, limits, request, &allowed, &places, count);
    Ok(Plan { workers, reason, places: chosen.len(), is_bound: request.placement != Placement::Unbound })
}

/// The place of a worker on these PUs, without the steal order.
fn worker(machine: &Machine, limits: &Limits, cpuset: &CpuSet, is_bound: bool) -> WorkerPlace {
    let mut nodes = cpuset.iter().map(|pu| machine.pu(pu).and_then(|pu| pu.node));
    let first = nodes.next().flatten();
    let node = first.filter(|_| nodes.all(|node| node == first));
    let may_use = |node: u32| limits.nodes.as_ref().is_none_or(|nodes| nodes.contains(node));
    let core = cpuset.iter().filter_map(|pu| Some(machine.pu(pu)?.core)).min();
    WorkerPlace {
        cpuset: cpuset.clone(),
        node,
        memory_node: node.and_then(|node| machine.nearest_memory(node, may_use)),
        core: core.filter(|_| is_bound),
        steal_order: Vec::new(),
    }
}

/// The sentence that says why there are that many workers.
fn reason(
    machine: &Machine,
    limits: &Limits,
    request: &Request,
    allowed: &CpuSet,
    places: &Places,
    count: usize,
) -> String {
    let threads = request.threads_per_worker;
    let mut text = format!("{}: {}", counted(count, "worker"), places.what);
    let by_cpuset = limits.cpuset.as_ref().is_some_and(|set| set.intersection(machine.cpuset()) == *allowed);
    let is_narrowed = allowed != machine.cpuset();
    let whom = if is_narrowed && by_cpuset { "cpuset" } else { "affinity mask" };
    text += &format!(", {} of {} allowed by the {whom}", allowed.len(), counted(machine.pus().len(), "PU"));
    match limits.quota_cpus {
        None => text += ", no CPU quota",
        Some(quota) => {
            let quota_text = format!("{} CPUs", (quota * 100.0).round() / 100.0);
            let busy = count * threads;
            if request.workers.is_none() && count < places.natural {
                text += &format!(", capped by a CPU quota of {quota_text}");
            } else if busy as f64 > quota.ceil() {
                text += &format!(", more than the CPU quota of {quota_text} lets run at once");
            } else {
                text += &format!(", within a CPU quota of {quota_text}");
            }
        }
    }
    if request.workers.is_some() {
        text += ", as asked for";
        if count > places.sets.len() && request.placement != Placement::Unbound {
            text += &format!(
                "; {} shared round robin, up to {} workers each",
                counted_is(places.sets.len(), "place"),
                count.div_ceil(places.sets.len())
            );
        }
    } else if count == MAX_WORKERS && places.natural > MAX_WORKERS {
        text += &format!(", capped at {MAX_WORKERS}");
    }
    for note in &places.notes {
        text += "; ";
        text += note;
    }
    text
}

/// `1 worker`, `2 workers`.
pub(super) fn counted(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

fn counted_is(count: usize, what: &str) -> String {
    counted(count, what) + if count == 1 { " is" } else { " are" }
}

impl fmt::Display for Placement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PerCore => f.write_str("per-core"),
            Self::PerPu => f.write_str("per-pu"),
            Self::Compact => f.write_str("compact"),
            Self::Scatter => f.write_str("scatter"),
            Self::PerL3 => f.write_str("per-l3"),
            Self::PerNode => f.write_str("per-node"),
            Self::Unbound => f.write_str("unbound"),
            Self::Cpus(list) => {
                let list: Vec<String> = list.iter().map(u32::to_string).collect();
                write!(f, "cpus:{}", list.join(","))
            }
        }
    }
}

impl FromStr for Placement {
    type Err = PlacementError;

    fn from_str(text: &str) -> Result<Self, PlacementError> {
        let text = text.trim();
        if let Some(list) = text.strip_prefix("cpus:") {
            return Ok(Self::Cpus(CpuSet::parse_ordered(list)?));
        }
        [Self::PerCore, Self::PerPu, Self::Compact, Self::Scatter, Self::PerL3, Self::PerNode, Self::Unbound]
            .into_iter()
            .find(|placement| placement.to_string() == text)
            .ok_or_else(|| PlacementError::UnknownPlacement { text: super::cpuset::shortened(text) })
    }
}

#[cfg(test)]
mod tests;
