//! The limits of the cgroups that this process is in, version 1 or 2.

use super::host::Host;

/// A limit, and how much of it is used.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bound {
    pub limit: u64,
    pub used: u64,
}

impl Bound {
    /// What is left.
    pub fn room(&self) -> u64 {
        self.limit.saturating_sub(self.used)
    }
}

/// Limits that no machine reaches: version 1 says so where there is none.
const NO_LIMIT: u64 = 1 << 60;

/// The bound with the least room, from this process's cgroup of a controller up to the root. `files` are the names of
/// limit and use, of version 2 and of version 1.
pub fn tightest(host: &Host, controller: &str, files: [[&str; 2]; 2]) -> Option<Bound> {
    let memberships = host.text("proc/self/cgroup").unwrap_or_default();
    let paths = memberships.lines().filter_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        Some((fields.next()?, fields.next()?))
    });
    let mut bounds = Vec::new();
    let mut look = |folder: &str, path: &str, [limit, used]: [&str; 2]| {
        // Below the root of the hierarchy or, in a container, of what is mounted there.
        for up in path.match_indices('/').map(|(at, _)| &path[..at]).chain([path]) {
            let of = |file| host.number(&format!("{folder}/{}/{file}", up.trim_matches('/')));
            if let Some(limit) = of(limit).filter(|limit| *limit < NO_LIMIT) {
                bounds.push(Bound { limit, used: of(used).unwrap_or(0) });
            }
        }
    };
    for (controllers, path) in paths {
        let path = path.trim_end_matches('/');
        if controllers.is_empty() {
            look("sys/fs/cgroup", path, files[0]);
            look("sys/fs/cgroup/unified", path, files[0]);
        } else if controllers.split(',').any(|own| own == controller) {
            look(&format!("sys/fs/cgroup/{controllers}"), path, files[1]);
            look(&format!("sys/fs/cgroup/{controller}"), path, files[1]);
        }
    }
    bounds.into_iter().min_by_key(Bound::room)
}

/// That of memory, in bytes.
pub fn memory(host: &Host) -> Option<Bound> {
    let second = ["memory.max", "memory.current"];
    tightest(host, "memory", [second, ["memory.limit_in_bytes", "memory.usage_in_bytes"]])
}

/// That of processes and threads.
pub fn processes(host: &Host) -> Option<Bound> {
    tightest(host, "pids", [["pids.max", "pids.current"]; 2])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(files: &[(&str, &str)]) -> [Option<Bound>; 2] {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let host = Host::at(root.path());
        [memory(&host), processes(&host)]
    }

    #[test]
    fn the_tightest_cgroup_on_the_way_counts() {
        let [memory, processes] = of(&[
            ("proc/self/cgroup", "0::/user.slice/job\n"),
            ("sys/fs/cgroup/user.slice/memory.max", "1000"),
            ("sys/fs/cgroup/user.slice/memory.current", "950"),
            ("sys/fs/cgroup/user.slice/job/memory.max", "500"),
            ("sys/fs/cgroup/user.slice/job/memory.current", "100"),
            ("sys/fs/cgroup/user.slice/job/pids.max", "max"),
        ]);
        assert_eq!((memory, processes), (Some(Bound { limit: 1000, used: 950 }), None));
    }

    #[test]
    fn the_first_version_has_a_folder_for_each_controller() {
        let [memory, processes] = of(&[
            ("proc/self/cgroup", "9:cpu,cpuacct:/a\n8:pids:/job\n4:memory:/job/step\n0::/\n"),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712"),
            ("sys/fs/cgroup/memory/job/memory.limit_in_bytes", "700"),
            ("sys/fs/cgroup/memory/job/step/memory.limit_in_bytes", "9223372036854771712"),
            ("sys/fs/cgroup/pids/job/pids.max", "40"),
            ("sys/fs/cgroup/pids/job/pids.current", "3"),
        ]);
        assert_eq!(memory, Some(Bound { limit: 700, used: 0 }));
        assert_eq!(processes, Some(Bound { limit: 40, used: 3 }));
    }

    #[test]
    fn a_container_sees_its_own_group_as_the_root() {
        let [memory, processes] = of(&[
            ("proc/self/cgroup", "0::/docker/123\n"),
            ("sys/fs/cgroup/memory.max", "64000"),
            ("sys/fs/cgroup/memory.current", "1"),
        ]);
        assert_eq!((memory, processes), (Some(Bound { limit: 64000, used: 1 }), None));
        assert_eq!(of(&[]), [None, None]);
    }
}
