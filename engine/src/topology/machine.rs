//! The shape of a machine, as plain owned values.

use super::cpuset::CpuSet;
use super::error::TopologyError;
use serde::Serialize;
use std::fmt;

/// The source of a machine's description.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub enum Source {
    /// libhwloc, loaded at run time under this name.
    Hwloc(String),
    /// A topology in hwloc's XML format.
    Xml,
    /// The files under `/sys`.
    Sysfs,
    /// A synthetic description.
    Synthetic,
    /// The affinity mask alone: `/sys` could not be read, so physical cores are unknown and every PU counts
    /// as a core.
    AffinityMask,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hwloc(library) => write!(f, "{library}"),
            Self::Xml => f.write_str("hwloc XML"),
            Self::Sysfs => f.write_str("/sys"),
            Self::Synthetic => f.write_str("a synthetic description"),
            Self::AffinityMask => f.write_str("the affinity mask; physical cores unknown"),
        }
    }
}

/// A package: one processor chip in one socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
#[doc(alias = "HWLOC_OBJ_PACKAGE")]
pub struct Package {
    /// Its operating-system index; `None` if it has none.
    pub os_index: Option<u32>,
    /// The PUs in it.
    pub cpuset: CpuSet,
}

/// A NUMA node: a part of memory and the PUs nearest to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
#[doc(alias = "HWLOC_OBJ_NUMANODE")]
pub struct NumaNode {
    /// Its operating-system index, as used by memory policies.
    pub os_index: u32,
    /// The PUs local to it: empty for a node that only has memory. Nodes may share PUs (DRAM and HBM of one
    /// package).
    pub cpuset: CpuSet,
    /// Its memory in bytes: 0 for a node without memory, `None` if unknown.
    pub memory_bytes: Option<u64>,
    /// Relative distance to every node, in the order of [`Machine::nodes`] (10 = local, as reported by the
    /// firmware); empty if unknown.
    pub distances: Vec<u32>,
}

impl NumaNode {
    /// Returns true if the node has memory. A node whose size is unknown counts as having memory.
    pub fn has_memory(&self) -> bool {
        self.memory_bytes != Some(0)
    }
}

/// A physical core.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
#[doc(alias = "HWLOC_OBJ_CORE")]
pub struct Core {
    /// Its operating-system index (which may repeat across packages); `None` if it has none.
    pub os_index: Option<u32>,
    /// The PUs in it: more than one with SMT.
    pub cpuset: CpuSet,
    /// Its package, as an index into [`Machine::packages`].
    pub package: usize,
    /// The kind of core as a rank: 0 is the slowest kind. On hybrid machines E cores are 0 and P cores 1; if
    /// all cores are alike, all are 0.
    #[doc(alias = "hwloc_cpukinds_get_info")]
    pub efficiency: u32,
}

/// A processing unit: what the kernel calls a CPU, one hardware thread.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
#[doc(alias = "HWLOC_OBJ_PU")]
pub struct Pu {
    /// Its operating-system index, as used by affinity masks.
    pub os_index: u32,
    /// Its core, as an index into [`Machine::cores`].
    pub core: usize,
    /// Its package, as an index into [`Machine::packages`].
    pub package: usize,
    /// The operating-system index of its NUMA node. Of several nodes around it, this is the smallest; ties go
    /// to a node with memory, then to the lowest index. `None` if no node contains it.
    pub node: Option<u32>,
    /// Its L2 cache, as an index into [`Machine::caches`].
    pub l2: Option<usize>,
    /// Its L3 cache, as an index into [`Machine::caches`].
    pub l3: Option<usize>,
}

/// A data or unified cache.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Cache {
    /// The cache level; 1 is nearest to the core.
    pub level: u8,
    /// Its size in bytes; 0 if unknown.
    pub size_bytes: u64,
    /// The PUs that share it.
    pub cpuset: CpuSet,
}

/// The topology of a machine: its online packages, NUMA nodes, caches, cores and PUs.
///
/// Plain owned values that do not reference libhwloc. Created by [`Machine::detect`], [`Machine::from_xml`],
/// [`Machine::from_sysfs`] or [`Machine::from_synthetic`]. `Display` prints a tree.
///
/// # Examples
/// ```
/// use phalanx::topology::Machine;
/// let machine = Machine::from_synthetic("package:2 l3:1 core:4 pu:2")?;
/// assert_eq!((machine.packages().len(), machine.cores().len(), machine.pus().len()), (2, 8, 16));
/// println!("{machine}");
/// # Ok::<(), phalanx::topology::TopologyError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[doc(alias = "hwloc_topology_t")]
pub struct Machine {
    pub(super) source: Source,
    pub(super) cpuset: CpuSet,
    pub(super) packages: Vec<Package>,
    pub(super) nodes: Vec<NumaNode>,
    pub(super) caches: Vec<Cache>,
    pub(super) cores: Vec<Core>,
    pub(super) pus: Vec<Pu>,
    pub(super) notes: Vec<String>,
}

impl Machine {
    /// Returns the source of the description.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// Returns all online PUs.
    pub fn cpuset(&self) -> &CpuSet {
        &self.cpuset
    }

    /// Returns the packages, ordered by their first PU.
    pub fn packages(&self) -> &[Package] {
        &self.packages
    }

    /// Returns the NUMA nodes, ordered by operating-system index, including those without PUs or memory.
    pub fn nodes(&self) -> &[NumaNode] {
        &self.nodes
    }

    /// Returns the data and unified caches, innermost level first.
    pub fn caches(&self) -> &[Cache] {
        &self.caches
    }

    /// Returns the physical cores in topology order: cores that share a package, node or cache are adjacent.
    pub fn cores(&self) -> &[Core] {
        &self.cores
    }

    /// Returns the PUs, ordered by operating-system index.
    pub fn pus(&self) -> &[Pu] {
        &self.pus
    }

    /// Returns remarks about oddities in the description and how they were handled.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Returns true if the physical cores are known, and not only the PUs.
    pub fn is_core_known(&self) -> bool {
        self.source != Source::AffinityMask
    }

    /// Returns true if the machine has several kinds of cores.
    pub fn is_hybrid(&self) -> bool {
        self.cores.iter().any(|core| core.efficiency != self.cores[0].efficiency)
    }

    /// Returns the PU with this operating-system index.
    pub fn pu(&self, os_index: u32) -> Option<&Pu> {
        let at = self.pus.binary_search_by_key(&os_index, |pu| pu.os_index).ok()?;
        Some(&self.pus[at])
    }

    /// Returns the NUMA node with this operating-system index.
    pub fn node(&self, os_index: u32) -> Option<&NumaNode> {
        self.node_at(os_index).map(|at| &self.nodes[at])
    }

    /// Returns the distance between two NUMA nodes, given by operating-system index; `None` if unknown.
    #[doc(alias = "hwloc_distances_get")]
    pub fn distance(&self, from: u32, to: u32) -> Option<u32> {
        let to = self.node_at(to)?;
        self.node(from)?.distances.get(to).copied()
    }

    /// Returns the node to allocate from when running on node `from`: `from` itself, or the nearest node with
    /// memory if it has none.
    pub fn memory_node(&self, from: u32) -> Option<u32> {
        self.nearest_memory(from, |_| true)
    }

    /// Like [`Machine::memory_node`], among the nodes that `may_use` lets through.
    pub(super) fn nearest_memory(&self, from: u32, may_use: impl Fn(u32) -> bool) -> Option<u32> {
        let usable = |node: &&NumaNode| node.has_memory() && may_use(node.os_index);
        let distance = |node: &NumaNode| {
            if node.os_index == from { 0 } else { self.distance(from, node.os_index).unwrap_or(u32::MAX) }
        };
        let nearest = self.nodes.iter().filter(usable).min_by_key(|node| (distance(node), node.os_index))?;
        Some(nearest.os_index)
    }

    fn node_at(&self, os_index: u32) -> Option<usize> {
        self.nodes.binary_search_by_key(&os_index, |node| node.os_index).ok()
    }

    /// Checks that the description is consistent: every PU is in one core, every core in one package, caches
    /// of one level are disjoint, and distances are complete.
    ///
    /// # Errors
    /// [`TopologyError::Inconsistent`] with the first inconsistency found.
    pub fn validate(&self) -> Result<(), TopologyError> {
        self.check().map_err(|what| TopologyError::Inconsistent { what })
    }

    fn check(&self) -> Result<(), String> {
        let all: CpuSet = self.pus.iter().map(|pu| pu.os_index).collect();
        if all != self.cpuset || all.len() != self.pus.len() || all.is_empty() {
            return Err(format!("the PUs {all} are not the machine's {}", self.cpuset));
        }
        if !self.pus.is_sorted_by_key(|pu| pu.os_index) || !self.nodes.is_sorted_by_key(|node| node.os_index)
        {
            return Err("PUs or nodes are not in order".to_owned());
        }
        check_partition("cores", self.cores.iter().map(|core| &core.cpuset), &all, true)?;
        check_partition("packages", self.packages.iter().map(|package| &package.cpuset), &all, true)?;
        for level in 1..=u8::MAX {
            let of_level = self.caches.iter().filter(|cache| cache.level == level);
            check_partition("caches of one level", of_level.map(|cache| &cache.cpuset), &all, false)?;
        }
        for (at, core) in self.cores.iter().enumerate() {
            if !self.packages.get(core.package).is_some_and(|package| core.cpuset.is_subset(&package.cpuset))
            {
                return Err(format!("core {at} with PUs {} is not inside its package", core.cpuset));
            }
        }
        self.pus.iter().try_for_each(|pu| self.check_pu(pu))?;
        for node in &self.nodes {
            if !node.cpuset.is_subset(&all) {
                return Err(format!("NUMA node {} has PUs that do not exist", node.os_index));
            }
            if !node.distances.is_empty() && node.distances.len() != self.nodes.len() {
                return Err(format!("NUMA node {} has {} distances", node.os_index, node.distances.len()));
            }
        }
        Ok(())
    }

    fn check_pu(&self, pu: &Pu) -> Result<(), String> {
        let index = pu.os_index;
        let in_core = self.cores.get(pu.core).is_some_and(|core| core.cpuset.contains(index));
        let in_package = self.packages.get(pu.package).is_some_and(|package| package.cpuset.contains(index));
        let in_node = pu.node.is_none_or(|node| self.node(node).is_some_and(|n| n.cpuset.contains(index)));
        let in_cache = |at: Option<usize>, level| {
            at.is_none_or(|at| {
                self.caches.get(at).is_some_and(|cache| cache.level == level && cache.cpuset.contains(index))
            })
        };
        if in_core && in_package && in_node && in_cache(pu.l2, 2) && in_cache(pu.l3, 3) {
            return Ok(());
        }
        Err(format!("PU {index} is not inside its core, package, node or caches"))
    }
}

fn check_partition<'a>(
    what: &str,
    parts: impl Iterator<Item = &'a CpuSet>,
    all: &CpuSet,
    has_to_cover: bool,
) -> Result<(), String> {
    let mut seen = CpuSet::new();
    for part in parts {
        if part.is_empty() || part.intersects(&seen) || !part.is_subset(all) {
            return Err(format!("{what}: PUs {part} are empty, taken twice or unknown"));
        }
        seen = seen.union(part);
    }
    if has_to_cover && seen != *all {
        return Err(format!("{what} hold PUs {seen}, not {all}"));
    }
    Ok(())
}
