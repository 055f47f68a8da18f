use super::*;
use proptest::prelude::*;
use std::fs;

fn put(path: PathBuf, text: impl AsRef<str>) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text.as_ref()).unwrap();
}

/// Writes a machine the way Linux shows it.
fn record(machine: &Machine, root: &Path) {
    let cpu_dir = root.join("sys/devices/system/cpu");
    put(cpu_dir.join("online"), format!("{}\n", machine.cpuset()));
    for pu in machine.pus() {
        let dir = cpu_dir.join(format!("cpu{}", pu.os_index));
        let core = &machine.cores()[pu.core];
        let package = &machine.packages()[pu.package];
        put(dir.join("topology/core_cpus_list"), format!("{}\n", core.cpuset));
        put(dir.join("topology/package_cpus_list"), format!("{}\n", package.cpuset));
        put(dir.join("topology/physical_package_id"), format!("{}\n", package.os_index.unwrap()));
        put(dir.join("topology/core_id"), format!("{}\n", core.os_index.unwrap()));
        let around = machine.caches().iter().filter(|cache| cache.cpuset.contains(pu.os_index));
        for (at, cache) in around.enumerate() {
            let dir = dir.join(format!("cache/index{at}"));
            put(dir.join("level"), format!("{}\n", cache.level));
            put(dir.join("type"), "Unified\n");
            put(dir.join("size"), format!("{}K\n", cache.size_bytes / 1024));
            put(dir.join("shared_cpu_list"), format!("{}\n", cache.cpuset));
        }
    }
    for node in machine.nodes() {
        let dir = root.join(format!("sys/devices/system/node/node{}", node.os_index));
        put(dir.join("cpulist"), format!("{}\n", node.cpuset));
        let kib = node.memory_bytes.unwrap_or(0) / 1024;
        put(
            dir.join("meminfo"),
            format!("Node {} MemTotal:   {kib} kB\nNode 0 MemFree: 5 kB\n", node.os_index),
        );
        let row: Vec<_> = node.distances.iter().map(u32::to_string).collect();
        put(dir.join("distance"), row.join(" ") + "\n");
    }
    let kinds: std::collections::BTreeMap<u32, CpuSet> =
        machine.cores().iter().fold(Default::default(), |mut kinds, core| {
            kinds.entry(core.efficiency).or_insert_with(CpuSet::new).extend(core.cpuset.iter());
            kinds
        });
    if kinds.len() == 2 {
        put(root.join("sys/devices/cpu_atom/cpus"), kinds[&0].to_string());
        put(root.join("sys/devices/cpu_core/cpus"), kinds[&1].to_string());
    }
}

fn without_source(mut machine: Machine) -> Machine {
    machine.source = Source::Sysfs;
    machine
}

#[test]
fn every_shape_survives_a_recording() {
    for name in ["smt", "eight-nodes", "hybrid", "memory-less", "cpu-less", "holes", "one-pu"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/shapes/{name}.xml"));
        let machine = Machine::from_xml_file(&path).unwrap();
        let root = tempfile::tempdir().unwrap();
        record(&machine, root.path());
        assert_eq!(read(root.path()).unwrap(), without_source(machine), "{name}");
    }
}

#[test]
fn an_empty_root_has_no_pu() {
    let root = tempfile::tempdir().unwrap();
    assert!(matches!(read(root.path()), Err(TopologyError::NoPu { .. })));
}

#[test]
fn missing_files_leave_the_pus() {
    let root = tempfile::tempdir().unwrap();
    put(root.path().join("sys/devices/system/cpu/online"), "0-3\n");
    let machine = read(root.path()).unwrap();
    assert_eq!((machine.cores().len(), machine.packages().len(), machine.nodes().len()), (4, 1, 0));
    assert_eq!(machine.pus()[0].node, None);
}

#[test]
fn favoured_cores_of_one_kind_are_one_kind() {
    let kinds = |speeds: &[u64]| {
        let speeds = speeds.iter().enumerate().map(|(pu, &speed)| (pu as u32, speed)).collect();
        ranked(speeds, SAME_KIND_PERCENT).len()
    };
    assert_eq!(kinds(&[4_700_000, 4_800_000, 5_000_000]), 1);
    assert_eq!(kinds(&[5_000_000, 5_000_000, 3_900_000]), 2);
    assert_eq!(kinds(&[u64::MAX, 1]), 2);
}

#[test]
fn endless_files_of_a_recording_are_not_read_to_their_end() {
    let root = tempfile::tempdir().unwrap();
    let cpu = root.path().join("sys/devices/system/cpu");
    put(cpu.join("online"), "0-1");
    put(cpu.join("cpu0/topology/core_id"), "0");
    let endless = std::fs::File::create(cpu.join("cpu0/topology/core_cpus_list")).unwrap();
    if endless.set_len(1 << 40).is_ok() {
        assert!(read(root.path()).unwrap().validate().is_ok());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// Whatever the files hold, the reader neither panics nor contradicts itself.
    #[test]
    fn nonsense_files_never_panic(texts in prop::collection::vec("[0-9,\\-a-zK \n]{0,12}", 24)) {
        let root = tempfile::tempdir().unwrap();
        let cpu = root.path().join("sys/devices/system/cpu");
        let node = root.path().join("sys/devices/system/node");
        put(cpu.join("online"), "0-1");
        let names = ["topology/core_cpus_list", "topology/package_cpus_list", "topology/core_id",
            "topology/physical_package_id", "cache/index0/level", "cache/index0/size",
            "cache/index0/shared_cpu_list", "cache/index0/type"];
        for (at, text) in texts.iter().enumerate() {
            match at / 8 {
                2 => put(node.join(format!("node{}", at % 2)).join(["cpulist", "distance", "meminfo", "x"][at % 4]), text),
                pu => put(cpu.join(format!("cpu{pu}")).join(names[at % 8]), text),
            }
        }
        let machine = read(root.path()).unwrap();
        prop_assert!(machine.validate().is_ok());
    }
}
