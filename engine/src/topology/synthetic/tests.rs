use super::super::error::TopologyError;
use super::super::hwloc::{self, Subject};
use super::super::machine::{Machine, Source};
use super::super::xml;
use super::*;
use proptest::prelude::*;

#[test]
fn levels_nest_from_the_outside_in() {
    let machine = read("package:2 numa:2(memory=16GiB) l3:1(size=32MiB) core:4 l2:1 pu:2").unwrap();
    assert_eq!(machine.packages().len(), 2);
    assert_eq!(machine.nodes().len(), 4);
    assert_eq!(machine.nodes()[3].cpuset.to_string(), "24-31");
    assert_eq!(machine.nodes()[3].memory_bytes, Some(16 << 30));
    assert_eq!(machine.cores().len(), 16);
    assert_eq!(machine.pu(31).unwrap().node, Some(3));
    assert!(machine.caches().iter().any(|cache| cache.level == 3 && cache.size_bytes == 32 << 20));
}

#[test]
fn indexes_number_the_pus_as_linux_does() {
    let machine = read("core:2 pu:2(indexes=0,2,1,3)").unwrap();
    assert_eq!(machine.cores()[0].cpuset.to_string(), "0,2");
    assert_eq!(machine.cores()[1].cpuset.to_string(), "1,3");
}

#[test]
fn home_is_the_smallest_node_with_memory() {
    let home = |text: &str| read(text).unwrap().pus()[0].node;
    assert_eq!(home("package:2 [numa] [numa] core:2"), Some(0), "the lowest index");
    assert_eq!(home("package:1 [numa(memory=0)] [numa] core:2"), Some(1), "one with memory");
    assert_eq!(home("[numa] package:2 [numa] core:2"), Some(1), "the nearer one");
    let machine = read("[numa(memory=9GB)] package:2 [numa] core:2").unwrap();
    assert!(machine.node(0).unwrap().cpuset.is_empty(), "memory beside the nodes of the packages");
}

#[test]
fn wrong_descriptions_name_the_part_at_fault() {
    for (text, part) in [
        ("", ""),
        ("package", "package"),
        ("package:0", "package:0"),
        ("package:x", "package:x"),
        ("chip:2", "chip:2"),
        ("pu:2 core:2", "core:2"),
        ("core:2 core:2", "core:2"),
        ("core:2 pu:2(indexes=0,1,1,2)", "core:2"),
        ("core:2 pu:2(indexes=0)", "pu:2(indexes=0)"),
        ("core:2(memory=1GB)", "core:2(memory=1GB)"),
        ("numa:1(memory=much)", "numa:1(memory=much)"),
        ("core:2 (", "core:2 ("),
        ("core:2)", ")"),
        ("[core]", "[core]"),
    ] {
        match read(text) {
            Err(TopologyError::Synthetic { part: found, .. }) => {
                assert!(found.starts_with(part), "{text}: {found}")
            }
            other => panic!("{text}: {other:?}"),
        }
    }
    assert!(matches!(read("core:70000"), Err(TopologyError::TooLarge { .. })));
    assert!(matches!(read("core:4294967295 pu:4294967295 "), Err(TopologyError::TooLarge { .. })));
}

/// What both readings have to agree on.
fn shape(machine: &Machine) -> impl PartialEq + std::fmt::Debug {
    let cores: Vec<_> = machine.cores().iter().map(|core| core.cpuset.clone()).collect();
    let nodes: Vec<_> =
        machine.nodes().iter().map(|node| (node.os_index, node.cpuset.clone(), node.memory_bytes)).collect();
    let caches: Vec<_> = machine.caches().iter().map(|cache| (cache.level, cache.cpuset.clone())).collect();
    let homes: Vec<_> = machine.pus().iter().map(|pu| (pu.os_index, pu.node)).collect();
    (cores, nodes, caches, homes)
}

#[test]
fn hwloc_reads_synthetic_machines_the_same_way() {
    for text in [
        "package:2 numa:2(memory=16GiB) l3:1(size=32MiB) l2:4 l1d:1 core:1 pu:2",
        "package:1 l3:2 core:3 pu:1",
        "package:2 [numa(memory=4GB)] core:2 pu:2(indexes=0,4,1,5,2,6,3,7)",
        "numa:8 core:24 pu:1",
    ] {
        let export = match hwloc::export(Subject::Synthetic(text)) {
            Ok((export, _)) => export,
            Err(error @ TopologyError::NoLibrary { .. }) => {
                println!("SKIPPED: {error}");
                return;
            }
            Err(error) => panic!("{text}: {error}"),
        };
        let theirs = xml::read(&export, Source::Xml).unwrap();
        let ours = read(text).unwrap();
        assert_eq!(shape(&ours), shape(&theirs), "{text}");
    }
}

proptest! {
    #[test]
    fn no_text_panics(text in "([a-z0-9]{0,5}[:()= \\[\\],]?){0,8}") {
        let _ = read(&text);
    }
}
