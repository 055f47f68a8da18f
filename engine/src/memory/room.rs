//! How much memory may still be taken. Past a memory cgroup's limit the kernel does not fail `fallocate`: it
//! kills the caller. So the room is looked up first.

use super::AllocError;
use crate::sys::descriptor;
use std::path::{Path, PathBuf};

/// Bytes that can be taken, and who says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Room {
    pub(crate) free: u64,
    pub(crate) source: String,
}

/// The tightest of: every memory cgroup above this process, and the system's available memory.
pub(crate) fn probe() -> Room {
    probe_at(Path::new("/"))
}

/// Refuses what does not fit into the room there is now.
pub(crate) fn check(asked: usize) -> Result<(), AllocError> {
    let room = probe();
    if asked as u64 > room.free {
        return Err(AllocError::NoSpace { asked: asked as u64, free: room.free, source_name: room.source });
    }
    Ok(())
}

/// The limit on open files of the whole system.
pub(crate) fn system_files() -> u64 {
    read_number(Path::new("/proc/sys/fs/file-max")).unwrap_or(u64::MAX)
}

/// As [`probe`], with /proc and /sys below `root`, for recorded trees.
fn probe_at(root: &Path) -> Room {
    let mut rooms = Vec::new();
    if let Some(free) = available_memory(root) {
        rooms.push(Room { free, source: "the system (MemAvailable and free swap)".into() });
    }
    for (dir, version) in cgroup_dirs(root) {
        rooms.extend(cgroup_room(&dir, version));
    }
    rooms.into_iter().min_by_key(|room| room.free).unwrap_or(Room {
        free: u64::MAX,
        source: "nothing known (no /proc/meminfo, no memory cgroup)".into(),
    })
}

/// MemAvailable plus free swap, which shared memory may go to.
fn available_memory(root: &Path) -> Option<u64> {
    let text = descriptor::read_text(root.join("proc/meminfo")).ok()?;
    let field = |name: &str| -> Option<u64> {
        let line = text.lines().find_map(|l| l.strip_prefix(name))?;
        line.trim_start_matches(':').split_whitespace().next()?.parse::<u64>().ok()?.checked_mul(1024)
    };
    Some(field("MemAvailable")?.saturating_add(field("SwapFree").unwrap_or(0)))
}

/// Which interface a cgroup folder has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    V1,
    V2,
}

/// The memory cgroup folders of this process, from its own up to the mount.
fn cgroup_dirs(root: &Path) -> Vec<(PathBuf, Version)> {
    let (Ok(groups), Ok(mounts)) = (
        descriptor::read_text(root.join("proc/self/cgroup")),
        descriptor::read_text(root.join("proc/self/mountinfo")),
    ) else {
        return Vec::new();
    };
    let mut dirs = Vec::new();
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':');
        let (Some(_), Some(controllers), Some(path)) = (parts.next(), parts.next(), parts.next()) else {
            continue;
        };
        let version = if controllers.is_empty() {
            Version::V2
        } else if controllers.split(',').any(|c| c == "memory") {
            Version::V1
        } else {
            continue;
        };
        let Some((mount_root, mount_point)) = mounts.lines().find_map(|l| parse_mount(l, version)) else {
            continue;
        };
        // Inside a container the path may lie outside what is mounted; then the mount itself is ours.
        let below = Path::new(path).strip_prefix(&mount_root).unwrap_or(Path::new(""));
        let below = if below.components().any(|c| c.as_os_str() == "..") { Path::new("") } else { below };
        let top = root.join(mount_point.strip_prefix("/").unwrap_or(&mount_point));
        let mut dir = top.join(below);
        loop {
            dirs.push((dir.clone(), version));
            if dir == top || !dir.pop() {
                break;
            }
        }
    }
    dirs
}

/// Root and mount point of a mountinfo line, if it is the memory controller's (v1) or the unified (v2) tree.
fn parse_mount(line: &str, version: Version) -> Option<(PathBuf, PathBuf)> {
    let (left, right) = line.split_once(" - ")?;
    let mut left = left.split(' ');
    let (mount_root, mount_point) = (left.nth(3)?, left.next()?);
    let mut right = right.split(' ');
    let (kind, _source, options) = (right.next()?, right.next()?, right.next().unwrap_or(""));
    let ours = match version {
        Version::V2 => kind == "cgroup2",
        Version::V1 => kind == "cgroup" && options.split(',').any(|o| o == "memory"),
    };
    ours.then(|| (PathBuf::from(mount_root), PathBuf::from(mount_point)))
}

/// What one cgroup has left: limit less usage, plus file cache, which the kernel drops before it kills.
fn cgroup_room(dir: &Path, version: Version) -> Option<Room> {
    let (limit, usage, prefix) = match version {
        Version::V2 => ("memory.max", "memory.current", ""),
        Version::V1 => ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_"),
    };
    let limit = read_number(&dir.join(limit))?;
    let usage = read_number(&dir.join(usage))?;
    let stat = descriptor::read_text(dir.join("memory.stat")).unwrap_or_default();
    let cache: u64 = stat
        .lines()
        .filter_map(|l| l.split_once(' '))
        .filter(|(name, _)| matches!(name.strip_prefix(prefix), Some("inactive_file" | "active_file")))
        .filter_map(|(_, value)| value.trim().parse::<u64>().ok())
        .sum();
    let free = limit.saturating_sub(usage.saturating_sub(cache));
    Some(Room { free, source: format!("the memory cgroup {} (limit {limit})", dir.display()) })
}

/// A number alone in a file; `max` and unreadable files are `None`.
fn read_number(path: &Path) -> Option<u64> {
    descriptor::read_text(path).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        root
    }

    const MEMINFO: (&str, &str) =
        ("proc/meminfo", "MemTotal: 9 kB\nMemAvailable:  8192 kB\nSwapTotal: 9 kB\nSwapFree: 1024 kB\n");

    #[test]
    fn without_cgroups_the_systems_memory_counts() {
        let root = tree(&[MEMINFO]);
        assert_eq!(probe_at(root.path()).free, 9 << 20);
        assert_eq!(probe_at(tree(&[]).path()).free, u64::MAX);
    }

    #[test]
    fn the_tightest_v2_group_up_to_the_root_counts_without_file_cache() {
        let root = tree(&[
            MEMINFO,
            ("proc/self/cgroup", "0::/a/b\n"),
            ("proc/self/mountinfo", "30 24 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"),
            ("sys/fs/cgroup/a/memory.max", "3000000\n"),
            ("sys/fs/cgroup/a/memory.current", "2000000\n"),
            ("sys/fs/cgroup/a/memory.stat", "anon 1\ninactive_file 300000\nactive_file 200000\n"),
            ("sys/fs/cgroup/a/b/memory.max", "max\n"),
            ("sys/fs/cgroup/a/b/memory.current", "1\n"),
        ]);
        let room = probe_at(root.path());
        assert_eq!(room.free, 1_500_000);
        assert!(room.source.contains("cgroup/a (limit 3000000)"), "{}", room.source);
    }

    #[test]
    fn v1_groups_count_also_where_a_container_mounts_only_its_own() {
        let root = tree(&[
            MEMINFO,
            ("proc/self/cgroup", "5:cpu:/x\n4:hugetlb,memory:/docker/abc\n0::/\n"),
            (
                "proc/self/mountinfo",
                "1 0 0:1 / / rw - ext4 /dev/root rw\n\
                 40 30 0:33 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n",
            ),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "5000"),
            ("sys/fs/cgroup/memory/memory.usage_in_bytes", "6000"),
            ("sys/fs/cgroup/memory/memory.stat", "cache 9\ntotal_inactive_file 500\ninactive_file 7\n"),
        ]);
        assert_eq!(probe_at(root.path()).free, 0);
        fs::write(root.path().join("sys/fs/cgroup/memory/memory.usage_in_bytes"), "4500").unwrap();
        assert_eq!(probe_at(root.path()).free, 1000);
    }
}
