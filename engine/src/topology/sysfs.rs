//! The machine as Linux describes it under `/sys`, for machines without libhwloc.
//!
//! A missing file means "not known" and never an error, since containers hide parts of `/sys` and old kernels
//! lack some of it; only a machine without a single CPU is refused.

use super::cpuset::CpuSet;
use super::draft::{Draft, Part};
use super::error::TopologyError;
use super::machine::{Cache, Machine, NumaNode, Source};
use crate::sys::descriptor;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Kinds of cores are told apart by their highest frequency only if it differs by more than this many
/// percent: "favoured" cores of one kind differ by a few (Intel Turbo Boost Max 3.0), P and E cores by 20 and
/// more (the recorded Alder Lake machine in hwloc's test suite: 5.0 and 3.9 GHz).
const SAME_KIND_PERCENT: u64 = 10;

/// Reads the machine below `root` (`/` for this one).
pub(super) fn read(root: &Path) -> Result<Machine, TopologyError> {
    let cpu_dir = root.join("sys/devices/system/cpu");
    let node_dir = root.join("sys/devices/system/node");
    let place = format!("{}", cpu_dir.display());
    let online = match list(&cpu_dir.join("online")) {
        Some(online) if !online.is_empty() => online,
        _ => {
            numbered(&cpu_dir, "cpu").into_iter().filter(|(_, dir)| is_online(dir)).map(|(n, _)| n).collect()
        }
    };
    // A CPU that is online has a topology folder; where a recording lists more than it holds, believe the
    // folders.
    let with_folder: CpuSet =
        online.iter().filter(|pu| cpu_dir.join(format!("cpu{pu}/topology")).is_dir()).collect();
    let pus = if with_folder.is_empty() { online } else { with_folder };

    let mut draft = Draft { pus: pus.clone(), ..Draft::default() };
    for pu in pus.iter() {
        let dir = cpu_dir.join(format!("cpu{pu}"));
        add_core_and_package(&mut draft, pu, &dir.join("topology"));
        add_caches(&mut draft, &dir.join("cache"));
    }
    draft.kinds = kinds(root, &cpu_dir, &pus);
    add_nodes(&mut draft, &node_dir);
    draft.finish(Source::Sysfs, &place)
}

fn add_core_and_package(draft: &mut Draft, pu: u32, topology: &Path) {
    // The first name of each pair is the one of kernels since 5.3.
    let siblings = |names: [&str; 2]| {
        names.iter().find_map(|name| list(&topology.join(name)).filter(|set| set.contains(pu)))
    };
    if let Some(cpuset) = siblings(["core_cpus_list", "thread_siblings_list"])
        && is_first(&cpuset, &draft.pus, pu)
    {
        draft.cores.push(Part { os_index: index(&topology.join("core_id")), cpuset });
    }
    let package = index(&topology.join("physical_package_id"));
    if let Some(cpuset) = siblings(["package_cpus_list", "core_siblings_list"])
        && is_first(&cpuset, &draft.pus, pu)
    {
        draft.packages.push(Part { os_index: package, cpuset });
    }
}

/// Says whether `pu` is the one of its siblings that reports for them all.
fn is_first(siblings: &CpuSet, online: &CpuSet, pu: u32) -> bool {
    siblings.intersection(online).first() == Some(pu)
}

fn add_caches(draft: &mut Draft, dir: &Path) {
    for (_, dir) in numbered(dir, "index") {
        let is_data = text(&dir.join("type")).is_some_and(|kind| kind != "Instruction");
        let shared = list(&dir.join("shared_cpu_list"))
            .or_else(|| CpuSet::from_bitmap(&text(&dir.join("shared_cpu_map"))?).ok());
        let level = text(&dir.join("level")).and_then(|level| level.parse().ok());
        if let (true, Some(cpuset), Some(level)) = (is_data, shared, level) {
            let size_bytes = text(&dir.join("size")).and_then(|size| bytes(&size)).unwrap_or(0);
            // Every sharer reports the cache; it is taken up once.
            let is_known = draft.caches.iter().rev().any(|c| c.level == level && c.cpuset == cpuset);
            if !is_known {
                draft.caches.push(Cache { level, size_bytes, cpuset });
            }
        }
    }
}

fn add_nodes(draft: &mut Draft, dir: &Path) {
    let online = list(&dir.join("online"));
    let mut rows: Vec<(u32, Vec<u32>)> = Vec::new();
    for (os_index, dir) in numbered(dir, "node") {
        if online.as_ref().is_some_and(|online| !online.contains(os_index)) {
            continue;
        }
        let cpuset = list(&dir.join("cpulist"))
            .or_else(|| CpuSet::from_bitmap(&text(&dir.join("cpumap"))?).ok())
            .unwrap_or_default();
        let row = text(&dir.join("distance")).unwrap_or_default();
        rows.push((os_index, row.split_whitespace().map_while(|value| value.parse().ok()).collect()));
        // The kernel puts a CPU in one node; firmware has been seen that puts all CPUs in all nodes.
        if draft.nodes.iter().any(|before| before.cpuset.intersects(&cpuset)) {
            draft.notes.push(format!("NUMA node {os_index} claims PUs of another node and was left out"));
            continue;
        }
        draft.nodes.push(NumaNode {
            os_index,
            cpuset,
            memory_bytes: text(&dir.join("meminfo")).and_then(|info| mem_total(&info)),
            distances: Vec::new(),
        });
    }
    // The kernel prints one column per online node, in order.
    if rows.iter().any(|(_, row)| !row.is_empty()) {
        let indices = rows.iter().map(|(index, _)| *index).collect();
        let is_square = rows.iter().all(|(_, row)| row.len() == rows.len());
        let values = if is_square { rows.into_iter().flat_map(|(_, row)| row).collect() } else { Vec::new() };
        draft.distances = Some((indices, values));
    }
}

/// Kinds of cores: as the kernel names them on Intel's hybrid processors, else by the capacity that ARM
/// kernels report, else by highest frequency.
fn kinds(root: &Path, cpu_dir: &Path, pus: &CpuSet) -> Vec<(CpuSet, u32)> {
    let named: Vec<(CpuSet, u32)> = [("cpu_lowpower", 0), ("cpu_atom", 1), ("cpu_core", 2)]
        .iter()
        .filter_map(|(name, rank)| Some((list(&root.join("sys/devices").join(name).join("cpus"))?, *rank)))
        .collect();
    if !named.is_empty() {
        return named;
    }
    for (name, tolerance) in [("cpu_capacity", 0), ("cpufreq/cpuinfo_max_freq", SAME_KIND_PERCENT)] {
        let speeds: Vec<(u32, u64)> = pus
            .iter()
            .filter_map(|pu| Some((pu, text(&cpu_dir.join(format!("cpu{pu}")).join(name))?.parse().ok()?)))
            .collect();
        let kinds = if speeds.len() == pus.len() { ranked(speeds, tolerance) } else { Vec::new() };
        if kinds.len() > 1 {
            return kinds;
        }
    }
    // Recordings keep the frequencies in the policies only.
    let policies = numbered(&cpu_dir.join("cpufreq"), "policy");
    let speeds: Vec<(u32, u64)> = policies
        .iter()
        .filter_map(|(_, dir)| {
            let speed = text(&dir.join("cpuinfo_max_freq"))?.parse().ok()?;
            let related = text(&dir.join("related_cpus"))?;
            let related: CpuSet = related.split_whitespace().filter_map(|pu| pu.parse().ok()).collect();
            Some(related.intersection(pus).iter().map(|pu| (pu, speed)).collect::<Vec<_>>())
        })
        .flatten()
        .collect();
    if speeds.len() == pus.len() { ranked(speeds, SAME_KIND_PERCENT) } else { Vec::new() }
}

/// Groups PUs whose speeds are within `tolerance` percent of the slowest of the group.
fn ranked(mut speeds: Vec<(u32, u64)>, tolerance: u64) -> Vec<(CpuSet, u32)> {
    speeds.sort_by_key(|&(_, speed)| speed);
    let mut kinds: Vec<(CpuSet, u32)> = Vec::new();
    let mut slowest = 0;
    for (pu, speed) in speeds {
        if kinds.is_empty() || u128::from(speed) * 100 > u128::from(slowest) * u128::from(100 + tolerance) {
            slowest = speed;
            kinds.push((CpuSet::new(), kinds.len() as u32));
        }
        if let Some((cpuset, _)) = kinds.last_mut() {
            cpuset.insert(pu);
        }
    }
    kinds
}

/// The folders `prefix0`, `prefix1`, ... in `dir`, by number.
fn numbered(dir: &Path, prefix: &str) -> Vec<(u32, PathBuf)> {
    let Ok(entries) = std::fs::read_dir(dir) else {
        return Vec::new();
    };
    let mut found: Vec<(u32, PathBuf)> = entries
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let number = entry.file_name().to_str()?.strip_prefix(prefix)?.parse().ok()?;
            (number < CpuSet::LIMIT && entry.path().is_dir()).then(|| (number, entry.path()))
        })
        .collect();
    found.sort();
    found
}

fn is_online(dir: &Path) -> bool {
    text(&dir.join("online")).is_none_or(|value| value == "1")
}

/// What is read of a file at most.
const MOST_TEXT_BYTES: u64 = 1 << 20;

fn text(path: &Path) -> Option<String> {
    let mut text = String::new();
    let file = descriptor::open_to_read(path).ok()?;
    // The kernel writes at most a page; a recording may hold anything.
    file.take(MOST_TEXT_BYTES).read_to_string(&mut text).ok()?;
    // Some kernels end lists with a NUL (seen in a recorded ARM machine).
    Some(text.trim_matches(|c: char| c.is_whitespace() || c == '\0').to_owned())
}

fn list(path: &Path) -> Option<CpuSet> {
    text(path)?.parse().ok()
}

/// A number that the kernel may print as -1 for "none".
fn index(path: &Path) -> Option<u32> {
    text(path)?.parse().ok()
}

/// A cache size such as `32K`.
fn bytes(size: &str) -> Option<u64> {
    let digits = size.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &size[digits.len()..] {
        "" => 1,
        "K" => 1 << 10,
        "M" => 1 << 20,
        "G" => 1u64 << 30,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(unit)
}

/// `Node 0 MemTotal:  2096684 kB` in bytes.
fn mem_total(info: &str) -> Option<u64> {
    let line = info.lines().find(|line| line.contains("MemTotal:"))?;
    let kib: u64 = line.split_once("MemTotal:")?.1.split_whitespace().next()?.parse().ok()?;
    kib.checked_mul(1024)
}

#[cfg(test)]
mod tests;
