//! What of the machine this process may use: affinity mask, cpuset, memory nodes and CPU quota.
//!
//! The mask is asked from the kernel, since `/sys` ignores cpusets. The quota is the smallest on the way from
//! this process's cgroup up to the root of its hierarchy, v1 or v2.

use super::cpuset::{CpuSet, NodeSet};
use crate::sys::{affinity, descriptor};
use std::path::{Path, PathBuf};

/// The resources of the machine that a process may use.
///
/// # Examples
/// ```
/// use phalanx::topology::Limits;
/// let limits = Limits::detect();
/// assert!(!limits.allowed.is_empty());
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Limits {
    /// The PUs that the process may run on: the affinity mask, which the kernel keeps within the cpuset.
    pub allowed: CpuSet,
    /// The PUs of the cgroup's cpuset, if one is set and readable.
    pub cpuset: Option<CpuSet>,
    /// The NUMA nodes that the process may allocate from; `None` if the query is refused, as by Docker's
    /// default profile.
    pub nodes: Option<NodeSet>,
    /// The CPU quota of the cgroups: 1.5 means 150 ms of CPU time in every 100 ms. `None` without a quota.
    pub quota_cpus: Option<f64>,
    /// The PUs that other pools have reserved. [`plan`](super::plan) leaves them out as long as others
    /// suffice. Empty after [`Limits::detect`]: only pools that
    /// [reserve](crate::PoolBuilder::reserve) their own cores look for those of others.
    pub reserved: CpuSet,
    /// Queries that failed, and why.
    pub notes: Vec<String>,
}

impl Limits {
    /// Detects the limits of the calling thread.
    ///
    /// Makes about ten system calls and reads some small files. Queries that are refused are left out and
    /// noted.
    pub fn detect() -> Self {
        let mut limits = Self::from_cgroup(Path::new("/"));
        match affinity::affinity() {
            Ok(words) => limits.allowed = CpuSet::from_words(words),
            Err(errno) => {
                limits.notes.push(format!("the affinity mask cannot be read ({errno})"));
                let count = std::thread::available_parallelism().map_or(1, |count| count.get() as u32);
                limits.allowed = limits.cpuset.clone().unwrap_or_else(|| (0..count).collect());
            }
        }
        match affinity::allowed_nodes() {
            Ok(words) => limits.nodes = Some(NodeSet::from_words(words)).filter(|nodes| !nodes.is_empty()),
            Err(errno) => limits.notes.push(format!("the allowed NUMA nodes cannot be asked ({errno})")),
        }
        limits
    }

    /// Creates the limits of a process that may run on these PUs, without a quota.
    pub fn of(allowed: CpuSet) -> Self {
        Self { allowed, ..Self::default() }
    }

    /// Reads the quota and cpuset of this process's cgroups below `root` (`/` for the real ones).
    ///
    /// `allowed` is set to the cpuset, or left empty: only [`Limits::detect`] asks the kernel.
    pub fn from_cgroup(root: &Path) -> Self {
        let mut limits = Self::default();
        let read = |path: &str| descriptor::read_text(root.join(path)).unwrap_or_default();
        let (memberships, mounts) = (read("proc/self/cgroup"), read("proc/self/mountinfo"));
        for line in memberships.lines() {
            let mut fields = line.splitn(3, ':');
            let (Some(id), Some(controllers), Some(path)) = (fields.next(), fields.next(), fields.next())
            else {
                continue;
            };
            if id == "0" && controllers.is_empty() {
                if let Some(place) = Hierarchy::find(root, &mounts, "cgroup2", None, path) {
                    limits
                        .take_quota(place.folders().iter().filter_map(|dir| quota_v2(dir)).reduce(f64::min));
                    limits.take_cpuset(place.nearest(&["cpuset.cpus.effective"]));
                }
                continue;
            }
            for controller in controllers.split(',') {
                let find = || Hierarchy::find(root, &mounts, "cgroup", Some(controller), path);
                match controller {
                    "cpu" => {
                        let quotas = find().map_or(Vec::new(), |place| place.folders());
                        limits.take_quota(quotas.iter().filter_map(|dir| quota_v1(dir)).reduce(f64::min));
                    }
                    "cpuset" => {
                        let names = ["cpuset.effective_cpus", "cpuset.cpus"];
                        limits.take_cpuset(find().and_then(|place| place.nearest(&names)));
                    }
                    _ => {}
                }
            }
        }
        limits.allowed = limits.cpuset.clone().unwrap_or_default();
        limits
    }

    fn take_quota(&mut self, quota: Option<f64>) {
        self.quota_cpus = [self.quota_cpus, quota].into_iter().flatten().reduce(f64::min);
    }

    fn take_cpuset(&mut self, cpuset: Option<CpuSet>) {
        if let Some(cpuset) = cpuset {
            self.cpuset = Some(match &self.cpuset {
                None => cpuset,
                Some(known) => known.intersection(&cpuset),
            });
        }
    }
}

/// The folder of one cgroup, and the mount point it hangs below.
struct Hierarchy {
    mount: PathBuf,
    folder: PathBuf,
}

impl Hierarchy {
    /// Finds the folder of the cgroup `path` in the mount of that kind and controller.
    fn find(root: &Path, mounts: &str, kind: &str, controller: Option<&str>, path: &str) -> Option<Self> {
        mounts.lines().find_map(|line| {
            // mountinfo: id parent device root mount-point options [optional ...] - kind source super-options
            let (left, right) = line.split_once(" - ")?;
            let mut left = left.split(' ').skip(3);
            let (mount_root, mount) = (unescaped(left.next()?), unescaped(left.next()?));
            let mut right = right.split(' ');
            if right.next() != Some(kind) {
                return None;
            }
            let options = right.nth(1).unwrap_or("");
            if controller.is_some_and(|name| !options.split(',').any(|option| option == name)) {
                return None;
            }
            let mount = root.join(mount.trim_start_matches('/'));
            // Inside a container that shares the host's cgroup namespace the mount shows only the container's
            // part, while the path is the host's.
            let below = match path.strip_prefix(mount_root.trim_end_matches('/')) {
                Some(below) if below.is_empty() || below.starts_with('/') => below.trim_start_matches('/'),
                _ => "",
            };
            let is_plain = !below.split('/').any(|part| part == "..");
            let folder = if is_plain { mount.join(below) } else { mount.clone() };
            Some(Self { folder: if folder.is_dir() { folder } else { mount.clone() }, mount })
        })
    }

    /// This cgroup and everything above it, nearest first.
    fn folders(&self) -> Vec<PathBuf> {
        self.folder
            .ancestors()
            .take_while(|dir| dir.starts_with(&self.mount))
            .map(Path::to_path_buf)
            .collect()
    }

    /// The first cpuset set on the way up.
    fn nearest(&self, names: &[&str]) -> Option<CpuSet> {
        let read = |path: PathBuf| descriptor::read_text(path).ok()?.parse::<CpuSet>().ok();
        self.folders()
            .iter()
            .find_map(|dir| names.iter().find_map(|name| read(dir.join(name)).filter(|set| !set.is_empty())))
    }
}

/// Undoes the octal escapes of mountinfo (space, tab, newline, backslash).
fn unescaped(field: &str) -> String {
    field.replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n").replace("\\134", "\\")
}

/// `max 100000` or `150000 100000`.
#[doc(alias = "cpu.max")]
fn quota_v2(dir: &Path) -> Option<f64> {
    let text = descriptor::read_text(dir.join("cpu.max")).ok()?;
    let mut fields = text.split_whitespace();
    let quota_us: f64 = fields.next()?.parse().ok()?;
    let period_us: f64 = fields.next().and_then(|period| period.parse().ok()).unwrap_or(100_000.0);
    positive(quota_us / period_us)
}

#[doc(alias = "cpu.cfs_quota_us")]
fn quota_v1(dir: &Path) -> Option<f64> {
    let read = |name| descriptor::read_text(dir.join(name)).ok()?.trim().parse::<f64>().ok();
    // -1 means no quota.
    positive(read("cpu.cfs_quota_us")? / read("cpu.cfs_period_us")?)
}

fn positive(quota_cpus: f64) -> Option<f64> {
    (quota_cpus.is_finite() && quota_cpus > 0.0).then_some(quota_cpus)
}

#[cfg(test)]
mod tests;
