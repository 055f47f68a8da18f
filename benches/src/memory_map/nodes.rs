//! Which CPUs look at the memory of which node.

use super::ladder::one_per_core;
use phalanx::topology::{CpuSet, Limits, Machine};

/// CPUs that are alike to all memory, and the node that they belong to.
#[derive(Clone, Debug, PartialEq)]
pub struct Origin {
    /// The node.
    pub node: u32,
    /// One CPU of each core that may be used.
    pub cpus: Vec<u32>,
}

/// Every origin is measured with every target.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Where loads come from: one for each set of CPUs that has a node. Nodes may share CPUs.
    pub origins: Vec<Origin>,
    /// Where they go to: nodes with memory that may be used.
    pub targets: Vec<u32>,
}

impl Plan {
    /// For a machine, and what of it may be used.
    pub fn of(machine: &Machine, limits: &Limits) -> Plan {
        let mut known: Vec<CpuSet> = Vec::new();
        let mut origins = Vec::new();
        for node in machine.nodes() {
            let cpus = node.cpuset.intersection(&limits.allowed);
            if !cpus.is_empty() && !known.contains(&cpus) {
                origins.push(Origin { node: node.os_index, cpus: one_per_core(machine, &cpus) });
                known.push(cpus);
            }
        }
        let may_use = |node: u32| limits.nodes.as_ref().is_none_or(|nodes| nodes.contains(node));
        let with_memory = machine.nodes().iter().filter(|node| node.has_memory() && may_use(node.os_index));
        Plan { origins, targets: with_memory.map(|node| node.os_index).collect() }
    }

    /// All pairs: the place of an origin, and a target.
    pub fn pairs(&self) -> Vec<(usize, u32)> {
        let origins = 0..self.origins.len();
        origins.flat_map(|origin| self.targets.iter().map(move |target| (origin, *target))).collect()
    }

    /// Lines for people.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for Origin { node, cpus } in &self.origins {
            let set: CpuSet = cpus.iter().copied().collect();
            let targets: Vec<String> = self.targets.iter().map(ToString::to_string).collect();
            text +=
                &format!("  from CPUs {set} of node {node} to the memory of node {}\n", targets.join(", "));
        }
        if self.pairs().len() == 1 {
            text += "  one NUMA node: no memory is farther than its own\n";
        } else if self.pairs().is_empty() {
            text += "  no NUMA node is known here\n";
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::{Path, PathBuf};

    fn all_of(machine: &Machine) -> Plan {
        Plan::of(machine, &Limits::of(machine.cpuset().clone()))
    }

    /// Shapes that the engine's tests keep, and recorded machines where they are.
    fn files() -> Vec<PathBuf> {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let recorded = std::env::var_os("PHALANX_RECORDED_MACHINES")
            .map_or(here.join("../../shared/machines"), PathBuf::from);
        let in_folder = |folder: PathBuf| {
            let entries = std::fs::read_dir(folder).into_iter().flatten();
            entries.filter_map(|entry| Some(entry.ok()?.path())).collect::<Vec<_>>()
        };
        let mut files = in_folder(here.join("../engine/tests/shapes"));
        assert!(files.len() >= 7, "the shapes are gone");
        files.extend(in_folder(recorded.join("xml")));
        files
    }

    #[test]
    fn every_machine_has_a_sane_plan() {
        for file in files() {
            let name = file.display();
            let machine = Machine::from_xml_file(&file).unwrap_or_else(|error| panic!("{name}: {error}"));
            let plan = all_of(&machine);
            let mut used = CpuSet::new();
            for Origin { node, cpus } in &plan.origins {
                let own = &machine.node(*node).expect("a node of the machine").cpuset;
                assert!(!cpus.is_empty() && cpus.iter().all(|cpu| own.contains(*cpu)), "{name}");
                used = used.union(&cpus.iter().copied().collect());
            }
            assert!(used.len() <= machine.cores().len(), "{name}: one CPU of a core");
            assert!(plan.targets.iter().all(|node| machine.node(*node).unwrap().has_memory()), "{name}");
            assert_eq!(plan.pairs().len(), plan.origins.len() * plan.targets.len(), "{name}");
            assert!(!plan.text().is_empty(), "{name}");
        }
    }

    #[test]
    fn memory_without_cpus_is_a_target_and_cpus_without_memory_are_an_origin() {
        let shape = |name: &str| {
            let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../engine/tests/shapes").join(name);
            all_of(&Machine::from_xml_file(&file).unwrap())
        };
        let cpu_less = shape("cpu-less.xml");
        assert!(cpu_less.targets.len() > cpu_less.origins.len(), "{cpu_less:?}");
        let memory_less = shape("memory-less.xml");
        assert!(memory_less.origins.len() > memory_less.targets.len(), "{memory_less:?}");
    }

    #[test]
    fn what_may_not_be_used_is_left_out() {
        let machine = Machine::from_synthetic("package:2 numa:2 core:2 pu:2").unwrap();
        assert_eq!(all_of(&machine).pairs().len(), 16);
        assert_eq!(all_of(&machine).origins[1], Origin { node: 1, cpus: vec![4, 6] });
        let one = Plan::of(&machine, &Limits::of("5-6".parse().unwrap()));
        assert_eq!(one.origins, [Origin { node: 1, cpus: vec![5, 6] }]);
        assert_eq!(one.targets, [0, 1, 2, 3]);
        let single = all_of(&Machine::from_synthetic("core:4").unwrap());
        assert!(single.pairs().len() <= 1 && single.text().lines().count() >= 1, "{single:?}");
    }
}
