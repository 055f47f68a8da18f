use super::*;
use std::fs;

/// A root folder with files.
fn root(files: &[(&str, &str)]) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    root
}

const V2: &str = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";
const V1: &str = "31 23 0:28 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n\
                  32 23 0:29 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n";

#[test]
fn v2_quota_is_the_smallest_on_the_way_up() {
    let root = root(&[
        ("proc/self/mountinfo", V2),
        ("proc/self/cgroup", "0::/system.slice/job/worker\n"),
        ("sys/fs/cgroup/system.slice/cpu.max", "400000 100000\n"),
        ("sys/fs/cgroup/system.slice/job/cpu.max", "150000 100000\n"),
        ("sys/fs/cgroup/system.slice/job/worker/cpu.max", "max 100000\n"),
        ("sys/fs/cgroup/system.slice/job/cpuset.cpus.effective", "2-5\n"),
    ]);
    let limits = Limits::from_cgroup(root.path());
    assert_eq!(limits.quota_cpus, Some(1.5));
    assert_eq!(limits.cpuset, Some("2-5".parse().unwrap()));
}

#[test]
fn v1_quota_and_cpuset_are_read() {
    let files = [
        ("proc/self/mountinfo", V1),
        ("proc/self/cgroup", "4:cpu,cpuacct:/a/b\n3:cpuset:/a\n0::/\n"),
        ("sys/fs/cgroup/cpu,cpuacct/a/b/cpu.cfs_quota_us", "-1\n"),
        ("sys/fs/cgroup/cpu,cpuacct/a/b/cpu.cfs_period_us", "100000\n"),
        ("sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_quota_us", "50000\n"),
        ("sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_period_us", "100000\n"),
        ("sys/fs/cgroup/cpuset/a/cpuset.cpus", "0-1\n"),
    ];
    let limits = Limits::from_cgroup(root(&files).path());
    assert_eq!(limits.quota_cpus, Some(0.5));
    assert_eq!(limits.cpuset, Some("0-1".parse().unwrap()));
}

#[test]
fn a_container_in_the_hosts_namespace_sees_its_own_part() {
    // The mount shows only /docker/ID, while /proc/self/cgroup gives the host's path.
    let root = root(&[
        (
            "proc/self/mountinfo",
            "31 23 0:28 /docker/0abc /sys/fs/cgroup/cpu ro master:11 - cgroup cgroup rw,cpu\n",
        ),
        ("proc/self/cgroup", "4:cpu:/docker/0abc\n"),
        ("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "200000\n"),
        ("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n"),
    ]);
    assert_eq!(Limits::from_cgroup(root.path()).quota_cpus, Some(2.0));
}

#[test]
fn a_path_outside_the_mount_counts_as_its_root() {
    let root = root(&[
        ("proc/self/mountinfo", V2),
        ("proc/self/cgroup", "0::/../../elsewhere\n"),
        ("sys/fs/cgroup/cpu.max", "300000 100000\n"),
    ]);
    assert_eq!(Limits::from_cgroup(root.path()).quota_cpus, Some(3.0));
}

#[test]
fn a_path_that_shares_only_letters_with_the_mount_is_not_inside_it() {
    let root = root(&[
        ("proc/self/mountinfo", "31 23 0:28 /job /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"),
        ("proc/self/cgroup", "0::/jobs\n"),
        ("sys/fs/cgroup/cpu.max", "100000 100000\n"),
        ("sys/fs/cgroup/s/cpu.max", "50000 100000\n"),
    ]);
    assert_eq!(Limits::from_cgroup(root.path()).quota_cpus, Some(1.0));
}

#[test]
fn no_quota_and_nonsense_are_no_limit() {
    for text in ["max 100000\n", "max\n", "", "-1 100000", "0 100000", "5 0", "nan nan", "inf 1", "x y"] {
        let files = [
            ("proc/self/mountinfo", V2),
            ("proc/self/cgroup", "0::/\nrubbish\n::\n"),
            ("sys/fs/cgroup/cpu.max", text),
        ];
        assert_eq!(Limits::from_cgroup(root(&files).path()).quota_cpus, None, "{text}");
    }
    assert_eq!(Limits::from_cgroup(root(&[]).path()), Limits::default());
}

#[test]
fn this_process_has_limits() {
    let limits = Limits::detect();
    assert!(!limits.allowed.is_empty());
    assert!(limits.quota_cpus.is_none_or(|quota| quota > 0.0));
}
