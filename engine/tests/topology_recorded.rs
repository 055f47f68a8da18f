//! Machines nobody here owns: the shapes kept beside this file, and recordings of real machines where they
//! are (hwloc's test suite, BSD-3-Clause), in the folder that `PHALANX_RECORDED_MACHINES` names or in
//! `../shared/machines` beside the workspace. On every one of them every policy must make a sane plan.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use phalanx::topology::{
    CpuSet, Limits, MAX_WORKERS, Machine, Placement, Plan, Request, TopologyError, plan,
};
use std::path::{Path, PathBuf};
use std::process::Command;

fn shapes() -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/shapes");
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(dir).expect("the shapes").map(|entry| entry.expect("a file").path()).collect();
    files.sort();
    assert!(files.len() >= 7, "the shapes are gone");
    files
}

/// The recorded machines of one kind, or nothing and a word about it.
fn recorded(kind: &str) -> Vec<PathBuf> {
    let dir = match std::env::var_os("PHALANX_RECORDED_MACHINES") {
        Some(dir) => PathBuf::from(dir),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/machines"),
    };
    let dir = dir.join(kind);
    let Ok(entries) = std::fs::read_dir(&dir) else {
        println!("SKIPPED: no recorded machines in {} (set PHALANX_RECORDED_MACHINES)", dir.display());
        return Vec::new();
    };
    let mut files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.sort();
    assert!(!files.is_empty(), "{} is empty", dir.display());
    files
}

/// Unpacks a recorded /sys; gives the folder that stands for `/`.
fn unpacked(tarball: &Path) -> Option<(tempfile::TempDir, PathBuf)> {
    let dir = tempfile::tempdir().expect("a folder");
    match Command::new("tar").arg("xf").arg(tarball).arg("-C").arg(dir.path()).status() {
        Ok(status) if status.success() => {}
        other => {
            println!("SKIPPED: {} cannot be unpacked ({other:?})", tarball.display());
            return None;
        }
    }
    let root = std::fs::read_dir(dir.path()).expect("the folder").next()?.ok()?.path();
    Some((dir, root))
}

fn placements(machine: &Machine) -> Vec<Placement> {
    vec![
        Placement::PerCore,
        Placement::PerPu,
        Placement::Compact,
        Placement::Scatter,
        Placement::PerL3,
        Placement::PerNode,
        Placement::Unbound,
        Placement::Cpus(machine.cpuset().iter().collect()),
    ]
}

/// What holds for every plan on every machine.
fn check_plan(machine: &Machine, limits: &Limits, plan: &Plan) {
    assert!(!plan.workers.is_empty() && plan.workers.len() <= MAX_WORKERS);
    let mut used = CpuSet::new();
    for (rank, worker) in plan.workers.iter().enumerate() {
        assert!(worker.cpuset.is_subset(&limits.allowed) && !worker.cpuset.is_empty());
        if plan.is_bound && rank < plan.places {
            assert!(!worker.cpuset.intersects(&used), "PUs {} are used twice", worker.cpuset);
            used = used.union(&worker.cpuset);
        }
        for pu in worker.cpuset.iter() {
            let pu = machine.pu(pu).expect("a PU of the machine");
            assert!(worker.node.is_none_or(|node| pu.node == Some(node)), "the node is the core's");
        }
        if let Some(node) = worker.memory_node {
            assert!(machine.node(node).expect("a node of the machine").has_memory());
        }
        let others: CpuSet = worker.steal_order.iter().map(|&other| other as u32).collect();
        assert!(worker.steal_order.len() == plan.workers.len() - 1 && others.len() == plan.workers.len() - 1);
        assert!(!others.contains(rank as u32), "nobody steals from himself");
    }
}

fn check_machine(name: &str, machine: &Machine) {
    machine.validate().unwrap_or_else(|error| panic!("{name}: {error}"));
    let tree = machine.to_string();
    assert!(tree.lines().count() >= 3, "{name}: a tree has branches:\n{tree}");
    let everything = Limits::of(machine.cpuset().clone());
    let every_third = Limits::of(machine.cpuset().iter().step_by(3).collect());
    let quota = Limits { quota_cpus: Some(3.5), ..everything.clone() };
    for limits in [everything, every_third, quota] {
        for placement in placements(machine) {
            if matches!(placement, Placement::Cpus(_)) && limits.allowed != *machine.cpuset() {
                continue;
            }
            for (workers, threads_per_worker) in [(None, 1), (Some(50), 1), (None, 4)] {
                let request = Request { placement: placement.clone(), workers, threads_per_worker };
                let plan = plan(machine, &limits, &request)
                    .unwrap_or_else(|error| panic!("{name}, {placement}: {error}"));
                check_plan(machine, &limits, &plan);
            }
        }
    }
}

#[test]
fn kept_shapes_have_sane_plans() {
    for path in shapes() {
        let machine = Machine::from_xml_file(&path).expect("a shape");
        check_machine(&path.display().to_string(), &machine);
    }
    let large = Machine::from_synthetic("package:4 numa:2 l3:3 core:4 pu:2").expect("192 PUs");
    assert_eq!(large.pus().len(), 192);
    check_machine("192 PUs", &large);
}

#[test]
fn trees_are_readable() {
    let tree = |name: &str| {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/shapes");
        Machine::from_xml_file(&dir.join(name)).expect("a shape").to_string()
    };
    assert_eq!(
        tree("hybrid.xml"),
        "\
Machine with 1 package, 1 NUMA node, 12 cores, 16 PUs, 32 GiB (from hwloc XML)
└─ Package 0: PUs 0-15
   └─ NUMA node 0 with 32 GiB: PUs 0-15
      └─ L3 24 MiB: PUs 0-15
         ├─ 4 cores: PUs 0-7, 2 each, L2 1.2 MiB, L1 32 KiB, efficiency 1
         ├─ L2 2 MiB: PUs 8-11
         │  └─ 4 cores: PUs 8-11, L1 32 KiB, efficiency 0
         └─ L2 2 MiB: PUs 12-15
            └─ 4 cores: PUs 12-15, L1 32 KiB, efficiency 0
"
    );
    assert_eq!(
        tree("cpu-less.xml"),
        "\
Machine with 2 packages, 3 NUMA nodes, 4 cores, 4 PUs, 80 GiB (from hwloc XML)
├─ Package 0: PUs 0-1
│  └─ NUMA node 0 with 8 GiB: PUs 0-1
│     └─ L3 8 MiB: PUs 0-1
│        └─ 2 cores: PUs 0-1, L2 1 MiB, L1 32 KiB
├─ Package 1: PUs 2-3
│  └─ NUMA node 1 with 8 GiB: PUs 2-3
│     └─ L3 8 MiB: PUs 2-3
│        └─ 2 cores: PUs 2-3, L2 1 MiB, L1 32 KiB
└─ NUMA node 2 with 64 GiB: no PUs
"
    );
    assert!(tree("memory-less.xml").contains("NUMA node 0 without memory: PUs 0-1"));
}

#[test]
fn recorded_xml_has_sane_plans() {
    for path in recorded("xml") {
        let machine =
            Machine::from_xml_file(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        println!("{}\n{machine}", path.display());
        check_machine(&path.display().to_string(), &machine);
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or("");
        let counts =
            (machine.packages().len(), machine.nodes().len(), machine.cores().len(), machine.pus().len());
        let known = match name {
            "192em64t-24n8c2t.xml" => (24, 24, 192, 384),
            "16em64t-4s2c2t-offlines.xml" => (4, 1, 6, 7),
            "24em64t-2n6c2t-pci.xml" => (2, 2, 12, 24),
            "fakecpukinds.xml" => (1, 1, 2, 4),
            "64intel64-heteromem.xml" => (counts.0, 8, counts.2, 64),
            "cxlmem+dax.v3.xml" => (1, 1, 4, 4),
            _ => continue,
        };
        assert_eq!(counts, known, "{name}");
        if name == "64intel64-heteromem.xml" {
            // Every PU has DRAM and faster memory beside it; home is the DRAM, which the kernel also takes
            // first.
            assert!(machine.pus().iter().all(|pu| pu.node.is_some_and(|node| node < 4)));
        }
    }
}

#[test]
fn recorded_sysfs_has_sane_plans() {
    for path in recorded("sysfs") {
        let Some((_dir, root)) = unpacked(&path) else {
            continue;
        };
        let machine =
            Machine::from_sysfs(&root).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        println!("{}\n{machine}", path.display());
        check_machine(&path.display().to_string(), &machine);
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or("");
        if name.starts_with("20em64t-hybrid") {
            let fast = machine.cores().iter().filter(|core| core.efficiency == 1).count();
            assert_eq!((fast, machine.cores().len()), (6, 14), "six fast cores and eight slow ones");
        }
        if name.starts_with("offline") {
            assert_eq!(machine.cpuset().to_string(), "4-20");
            assert!(machine.node(0).is_none(), "node 0 is offline");
        }
    }
}

/// Set in the child of the test below: the folder that both readers are to describe.
const ROOT_VARIABLE: &str = "PHALANX_TEST_RECORDED_ROOT";

/// hwloc is told by the environment to describe a recording, so each recording has a process of its own.
#[test]
fn hwloc_and_sysfs_agree_on_recordings() {
    if let Some(root) = std::env::var_os(ROOT_VARIABLE) {
        return compare(Path::new(&root));
    }
    if let Err(error @ TopologyError::NoLibrary { .. }) = Machine::from_hwloc() {
        println!("SKIPPED: {error}");
        return;
    }
    for path in recorded("sysfs") {
        let Some((_dir, root)) = unpacked(&path) else {
            continue;
        };
        let output = Command::new(std::env::current_exe().expect("this program"))
            .args(["--exact", "hwloc_and_sysfs_agree_on_recordings", "--nocapture"])
            .env(ROOT_VARIABLE, &root)
            .env("HWLOC_FSROOT", &root)
            .env("HWLOC_COMPONENTS", "linux,stop")
            .env("HWLOC_HIDE_ERRORS", "2")
            .output()
            .expect("a child");
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(output.status.success(), "{}:\n{text}", path.display());
        assert!(text.contains("both agree"), "{}: the child compared nothing:\n{text}", path.display());
    }
}

fn compare(root: &Path) {
    let (theirs, ours) = (Machine::from_hwloc().expect("hwloc"), Machine::from_sysfs(root).expect("sysfs"));
    assert_eq!(ours.cpuset(), theirs.cpuset());
    assert_eq!(
        of(&ours, |m| m.packages().iter().map(|p| p.cpuset.clone()).collect()),
        of(&theirs, |m| m.packages().iter().map(|p| p.cpuset.clone()).collect()),
        "packages"
    );
    assert_eq!(of(&ours, cores), of(&theirs, cores), "cores with their efficiency");
    assert_eq!(of(&ours, caches), of(&theirs, caches), "caches");
    let nodes =
        |m: &Machine| m.nodes().iter().map(|n| (n.os_index, n.cpuset.clone(), n.memory_bytes)).collect();
    assert_eq!(of(&ours, nodes), of(&theirs, nodes), "NUMA nodes");
    let homes = |m: &Machine| m.pus().iter().map(|pu| (pu.os_index, pu.node)).collect();
    assert_eq!(of(&ours, homes), of(&theirs, homes), "home nodes");
    println!("both agree");
}

fn of<T: Ord>(machine: &Machine, list: impl Fn(&Machine) -> Vec<T>) -> Vec<T> {
    let mut list = list(machine);
    list.sort();
    list
}

fn cores(machine: &Machine) -> Vec<(CpuSet, u32)> {
    machine.cores().iter().map(|core| (core.cpuset.clone(), core.efficiency)).collect()
}

fn caches(machine: &Machine) -> Vec<(u8, CpuSet)> {
    machine.caches().iter().map(|cache| (cache.level, cache.cpuset.clone())).collect()
}
