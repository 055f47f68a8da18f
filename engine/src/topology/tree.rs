//! Prints a machine as a tree, with alike neighbours merged into one line.

use super::cpuset::CpuSet;
use super::machine::{Core, Machine};
use super::placement::counted;
use std::fmt;

/// One line and what hangs below it.
struct Branch {
    /// The lowest PU, by which branches are ordered; those without PUs come last.
    first: u32,
    line: String,
    below: Vec<Branch>,
}

/// An object that can have others inside: its PUs, and a rank that puts equal sets outermost first.
struct Holder<'a> {
    cpuset: &'a CpuSet,
    rank: u8,
    line: String,
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let memory: u64 = self.nodes.iter().filter_map(|node| node.memory_bytes).sum();
        write!(
            f,
            "Machine with {}, {}, {}, {}",
            counted(self.packages.len(), "package"),
            counted(self.nodes.len(), "NUMA node"),
            counted(self.cores.len(), if self.is_core_known() { "core" } else { "assumed core" }),
            counted(self.pus.len(), "PU"),
        )?;
        if memory > 0 {
            write!(f, ", {}", size(memory))?;
        }
        writeln!(f, " (from {})", self.source)?;
        write_branches(f, &self.branches(), "")?;
        for note in &self.notes {
            writeln!(f, "Note: {note}")?;
        }
        Ok(())
    }
}

fn write_branches(f: &mut fmt::Formatter<'_>, branches: &[Branch], indent: &str) -> fmt::Result {
    for (at, branch) in branches.iter().enumerate() {
        let is_last = at + 1 == branches.len();
        let (tick, bar) = if is_last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
        writeln!(f, "{indent}{tick}{}", branch.line)?;
        write_branches(f, &branch.below, &format!("{indent}{bar}"))?;
    }
    Ok(())
}

impl Machine {
    fn branches(&self) -> Vec<Branch> {
        let mut holders: Vec<Holder> = Vec::new();
        for (at, package) in self.packages.iter().enumerate() {
            let number = package.os_index.map_or_else(|| at.to_string(), |index| index.to_string());
            let line = format!("Package {number}: PUs {}", package.cpuset);
            holders.push(Holder { cpuset: &package.cpuset, rank: 0, line });
        }
        for node in &self.nodes {
            let memory = match node.memory_bytes {
                None => String::new(),
                Some(0) => " without memory".to_owned(),
                Some(bytes) => format!(" with {}", size(bytes)),
            };
            let pus =
                if node.cpuset.is_empty() { "no PUs".to_owned() } else { format!("PUs {}", node.cpuset) };
            let line = format!("NUMA node {}{memory}: {pus}", node.os_index);
            holders.push(Holder { cpuset: &node.cpuset, rank: 1, line });
        }
        for cache in self.caches.iter().filter(|cache| self.is_shared(&cache.cpuset)) {
            let line = format!("L{} {}: PUs {}", cache.level, size(cache.size_bytes), cache.cpuset);
            holders.push(Holder { cpuset: &cache.cpuset, rank: 10 - cache.level.min(8), line });
        }
        // Outermost first, so that everything's parent stands before it.
        holders.sort_by_key(|holder| {
            (std::cmp::Reverse(holder.cpuset.len()), holder.rank, holder.cpuset.first())
        });
        let parents: Vec<Option<usize>> =
            holders.iter().enumerate().map(|(at, h)| innermost(&holders[..at], h.cpuset, h.rank)).collect();
        let mut cores_of: Vec<Vec<&Core>> = vec![Vec::new(); holders.len()];
        for core in &self.cores {
            if let Some(at) = innermost(&holders, &core.cpuset, u8::MAX) {
                cores_of[at].push(core);
            }
        }
        let mut branches: Vec<Option<Branch>> = holders
            .iter()
            .zip(cores_of)
            .map(|(holder, cores)| {
                let first = holder.cpuset.first().unwrap_or(u32::MAX);
                let below = self.core_branches(&cores);
                Some(Branch { first, line: holder.line.clone(), below })
            })
            .collect();
        let mut top = Vec::new();
        for at in (0..holders.len()).rev() {
            if let Some(mut branch) = branches[at].take() {
                branch.below.sort_by_key(|below| below.first);
                match parents[at].and_then(|parent| branches[parent].as_mut()) {
                    Some(parent) => parent.below.insert(0, branch),
                    None => top.insert(0, branch),
                }
            }
        }
        top.sort_by_key(|branch| branch.first);
        top
    }

    /// Says whether the PUs are more than one core.
    fn is_shared(&self, cpuset: &CpuSet) -> bool {
        let mut cores = cpuset.iter().filter_map(|pu| Some(self.pu(pu)?.core));
        let first = cores.next();
        cores.any(|core| Some(core) != first)
    }

    /// Lines for cores; neighbours that look alike share one.
    fn core_branches(&self, cores: &[&Core]) -> Vec<Branch> {
        let mut rows: Vec<(String, usize, CpuSet)> = Vec::new();
        for core in cores {
            let look = self.look(core);
            match rows.last_mut() {
                Some((last, count, pus)) if *last == look => {
                    *count += 1;
                    pus.extend(core.cpuset.iter());
                }
                _ => rows.push((look, 1, core.cpuset.clone())),
            }
        }
        rows.into_iter()
            .map(|(look, count, pus)| Branch {
                first: pus.first().unwrap_or(u32::MAX),
                line: format!("{}: PUs {pus}{look}", counted(count, "core")),
                below: Vec::new(),
            })
            .collect()
    }

    /// What is known about one core beside its PUs.
    fn look(&self, core: &Core) -> String {
        let mut look = String::new();
        if core.cpuset.len() > 1 {
            look += &format!(", {} each", core.cpuset.len());
        }
        for cache in self.caches.iter().rev() {
            if cache.cpuset == core.cpuset {
                look += &format!(", L{} {}", cache.level, size(cache.size_bytes));
            }
        }
        if self.is_hybrid() {
            look += &format!(", efficiency {}", core.efficiency);
        }
        look
    }
}

/// The last of `holders` around the set; of equal sets only one of lower rank counts.
fn innermost(holders: &[Holder], cpuset: &CpuSet, rank: u8) -> Option<usize> {
    let is_around = |holder: &Holder| {
        !cpuset.is_empty()
            && cpuset.is_subset(holder.cpuset)
            && (holder.rank < rank || holder.cpuset.len() > cpuset.len())
    };
    // Nodes of one set stand side by side: the first of them holds what is inside.
    let at = holders.iter().rposition(is_around)?;
    let found = &holders[at];
    holders.iter().position(|holder| holder.rank == found.rank && holder.cpuset == found.cpuset)
}

/// Bytes in the largest binary unit that leaves at least one whole.
fn size(bytes: u64) -> String {
    const UNITS: [(&str, u64); 4] = [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    match UNITS.iter().find(|(_, unit)| bytes >= *unit) {
        None if bytes == 0 => "of unknown size".to_owned(),
        None => format!("{bytes} B"),
        Some((name, unit)) if bytes.is_multiple_of(*unit) => format!("{} {name}", bytes / unit),
        Some((name, unit)) => format!("{:.1} {name}", bytes as f64 / *unit as f64),
    }
}
