//! From what a source reports to a machine without contradictions.
//!
//! Every reader (XML, sysfs, synthetic) fills a [`Draft`]; [`Draft::finish`] is the one place that orders the
//! parts, repairs what firmware and kernels are known to report wrongly, and notes what it did.

use super::cpuset::CpuSet;
use super::error::TopologyError;
use super::machine::{Cache, Core, Machine, NumaNode, Package, Pu, Source};

/// The parts as a source reports them: possibly overlapping, repeated, in any order.
#[derive(Debug, Default)]
pub(super) struct Draft {
    /// The PUs that exist; everything else is cut down to these.
    pub pus: CpuSet,
    pub packages: Vec<Part>,
    pub cores: Vec<Part>,
    pub nodes: Vec<NumaNode>,
    /// Distances with the operating-system indices of their rows and columns.
    pub distances: Option<(Vec<u32>, Vec<u32>)>,
    pub caches: Vec<Cache>,
    /// Kinds of PUs with a rank, higher is faster; ranks need not be dense.
    pub kinds: Vec<(CpuSet, u32)>,
    pub notes: Vec<String>,
}

/// A package or a core.
#[derive(Debug)]
pub(super) struct Part {
    pub os_index: Option<u32>,
    pub cpuset: CpuSet,
}

/// No more packages, cores, caches or nodes than this are read: quadratic steps stay short on hostile input.
const MAX_PARTS: usize = CpuSet::LIMIT as usize;
const MAX_NODES: usize = 4096;

impl Draft {
    /// Makes the machine.
    pub fn finish(mut self, source: Source, place: &str) -> Result<Machine, TopologyError> {
        if self.pus.is_empty() {
            return Err(TopologyError::NoPu { place: place.to_owned() });
        }
        if self.packages.len().max(self.cores.len()).max(self.caches.len() / 8) > MAX_PARTS {
            return Err(TopologyError::TooLarge { what: "parts of the machine", limit: MAX_PARTS });
        }
        if self.nodes.len() > MAX_NODES {
            return Err(TopologyError::TooLarge { what: "NUMA nodes", limit: MAX_NODES });
        }
        let all = self.pus.clone();
        let mut packages = disjoint(std::mem::take(&mut self.packages), &all, "packages", &mut self.notes);
        let left: CpuSet = remainder(&packages, &all);
        if !left.is_empty() {
            packages.push(Part { os_index: None, cpuset: left });
        }
        let mut cores = disjoint(std::mem::take(&mut self.cores), &all, "cores", &mut self.notes);
        for pu in remainder(&cores, &all).iter() {
            cores.push(Part { os_index: None, cpuset: CpuSet::single(pu) });
        }
        packages.sort_by_key(|package| package.cpuset.first());
        let packages: Vec<Package> =
            packages.into_iter().map(|p| Package { os_index: p.os_index, cpuset: p.cpuset }).collect();
        let caches = self.finish_caches(&all);
        let nodes = self.finish_nodes(&all);
        let mut machine = Machine {
            source,
            cpuset: all,
            packages,
            nodes,
            caches,
            cores: Vec::new(),
            pus: Vec::new(),
            notes: Vec::new(),
        };
        self.finish_cores(&mut machine, cores);
        machine.notes = self.notes;
        machine.validate()?;
        Ok(machine)
    }

    /// Orders caches by level and first PU; of two that overlap on one level the first stays.
    fn finish_caches(&mut self, all: &CpuSet) -> Vec<Cache> {
        let mut caches = std::mem::take(&mut self.caches);
        for cache in &mut caches {
            cache.cpuset = cache.cpuset.intersection(all);
        }
        caches.retain(|cache| !cache.cpuset.is_empty() && cache.level > 0);
        caches.sort_by(|a, b| {
            (a.level, a.cpuset.first(), &a.cpuset).cmp(&(b.level, b.cpuset.first(), &b.cpuset))
        });
        caches.dedup_by(|a, b| a.level == b.level && a.cpuset == b.cpuset);
        let (mut level, mut seen) = (0, CpuSet::new());
        let mut dropped = CpuSet::new();
        caches.retain(|cache| {
            if cache.level != level {
                (level, seen) = (cache.level, CpuSet::new());
            }
            let is_apart = !cache.cpuset.intersects(&seen);
            if is_apart {
                seen.extend(cache.cpuset.iter());
            } else {
                dropped.extend(cache.cpuset.iter());
            }
            is_apart
        });
        if !dropped.is_empty() {
            self.notes.push(format!("caches of one level overlap at PUs {dropped}; the first was kept"));
        }
        caches
    }

    /// Orders nodes, cuts them to existing PUs, attaches distances.
    fn finish_nodes(&mut self, all: &CpuSet) -> Vec<NumaNode> {
        let mut nodes = std::mem::take(&mut self.nodes);
        nodes.sort_by_key(|node| node.os_index);
        nodes.dedup_by_key(|node| node.os_index);
        for node in &mut nodes {
            node.cpuset = node.cpuset.intersection(all);
        }
        // The kernel puts a PU in one node. A node around smaller ones that hold all its PUs is memory beside
        // them: hwloc shows it with the PUs of the object it hangs at, the kernel without any.
        let is_beside = |node: &NumaNode| {
            let smaller = nodes.iter().filter(|other| other.cpuset.len() < node.cpuset.len());
            let inside = smaller.fold(CpuSet::new(), |set, other| set.union(&other.cpuset));
            node.cpuset.is_subset(&inside)
        };
        let beside: Vec<bool> = nodes.iter().map(is_beside).collect();
        for (node, is_beside) in nodes.iter_mut().zip(beside) {
            if is_beside {
                node.cpuset = CpuSet::new();
            }
        }
        // A source that gives no node any memory does not know their sizes (old recordings, some containers).
        if nodes.iter().all(|node| !node.has_memory()) {
            nodes.iter_mut().for_each(|node| node.memory_bytes = None);
        }
        if let Some((indices, values)) = self.distances.take() {
            let at: Option<Vec<usize>> =
                nodes.iter().map(|node| indices.iter().position(|&index| index == node.os_index)).collect();
            match at {
                Some(at) if values.len() == indices.len() * indices.len() => {
                    for (node, &row) in nodes.iter_mut().zip(&at) {
                        node.distances = at.iter().map(|col| values[row * indices.len() + col]).collect();
                    }
                }
                _ => self.notes.push("the NUMA distances are incomplete and were left out".to_owned()),
            }
        }
        nodes
    }

    /// Places every PU, and puts the cores in topology order.
    fn finish_cores(&mut self, machine: &mut Machine, parts: Vec<Part>) {
        let limit = machine.cpuset.last().map_or(0, |last| last as usize + 1);
        let mut package_of = vec![0; limit];
        for (at, package) in machine.packages.iter().enumerate() {
            package.cpuset.iter().for_each(|pu| package_of[pu as usize] = at);
        }
        let node_of = homes(machine, limit);
        let cache_of = |level| {
            let mut table = vec![None; limit];
            for (at, cache) in machine.caches.iter().enumerate().filter(|(_, cache)| cache.level == level) {
                cache.cpuset.iter().for_each(|pu| table[pu as usize] = Some(at));
            }
            table
        };
        let (l2_of, l3_of) = (cache_of(2), cache_of(3));
        let rank_of = self.ranks(limit);

        // A core that straddles two packages belongs to neither: it is cut into one core per package.
        let mut cores: Vec<Core> = Vec::new();
        for part in parts {
            let mut left = part.cpuset;
            while let Some(first) = left.first() {
                let package = package_of[first as usize];
                let cpuset = left.intersection(&machine.packages[package].cpuset);
                left = left.difference(&cpuset);
                let efficiency = cpuset.iter().map(|pu| rank_of[pu as usize]).max().unwrap_or(0);
                cores.push(Core { os_index: part.os_index, cpuset, package, efficiency });
            }
        }
        cores.sort_by_cached_key(|core| {
            let pu = core.cpuset.first().unwrap_or(0) as usize;
            (core.package, node_of[pu], l3_of[pu], l2_of[pu], pu)
        });
        let mut pus: Vec<Pu> = Vec::with_capacity(machine.cpuset.len());
        for (at, core) in cores.iter().enumerate() {
            pus.extend(core.cpuset.iter().map(|os_index| {
                let pu = os_index as usize;
                Pu {
                    os_index,
                    core: at,
                    package: core.package,
                    node: node_of[pu],
                    l2: l2_of[pu],
                    l3: l3_of[pu],
                }
            }));
        }
        pus.sort_by_key(|pu| pu.os_index);
        machine.cores = cores;
        machine.pus = pus;
    }

    /// A dense rank per PU. PUs of no kind get rank 0, as do all where there is only one kind.
    fn ranks(&self, limit: usize) -> Vec<u32> {
        let mut known: Vec<u32> = self
            .kinds
            .iter()
            .filter(|(cpuset, _)| cpuset.intersects(&self.pus))
            .map(|(_, rank)| *rank)
            .collect();
        known.sort_unstable();
        known.dedup();
        let mut table = vec![0; limit];
        for (cpuset, rank) in &self.kinds {
            let dense = known.binary_search(rank).unwrap_or(0) as u32;
            for pu in cpuset.intersection(&self.pus).iter() {
                table[pu as usize] = dense;
            }
        }
        table
    }
}

/// The home node of every PU: the smallest around it, with memory before without, then the lowest index.
fn homes(machine: &Machine, limit: usize) -> Vec<Option<u32>> {
    let mut order: Vec<&NumaNode> = machine.nodes.iter().collect();
    order.sort_by_key(|node| (node.cpuset.len(), !node.has_memory(), node.os_index));
    let mut table = vec![None; limit];
    for node in order {
        for pu in node.cpuset.iter() {
            table[pu as usize].get_or_insert(node.os_index);
        }
    }
    table
}

/// Cuts parts down to existing PUs and to what no earlier part holds.
fn disjoint(parts: Vec<Part>, all: &CpuSet, what: &str, notes: &mut Vec<String>) -> Vec<Part> {
    let mut seen = CpuSet::new();
    let mut twice = CpuSet::new();
    let mut kept = Vec::with_capacity(parts.len());
    for part in parts {
        let inside = part.cpuset.intersection(all);
        let cpuset = inside.difference(&seen);
        if cpuset.len() != inside.len() {
            twice.extend(inside.difference(&cpuset).iter());
        }
        if !cpuset.is_empty() {
            seen.extend(cpuset.iter());
            kept.push(Part { os_index: part.os_index, cpuset });
        }
    }
    if !twice.is_empty() {
        notes.push(format!("{what} overlap at PUs {twice}; each PU was left with the first"));
    }
    kept
}

fn remainder(parts: &[Part], all: &CpuSet) -> CpuSet {
    let mut left = all.clone();
    for part in parts {
        left = left.difference(&part.cpuset);
    }
    left
}
