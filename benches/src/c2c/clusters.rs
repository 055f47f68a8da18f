//! Cores that are near each other, as the times show it, and what the topology says of them.

use super::map::Matrix;
use phalanx::topology::{CpuSet, Machine};

/// Times that differ by less are not told apart.
const GAP: f64 = 1.4;

/// Groups of CPUs within which a line travels fast.
#[derive(Debug, PartialEq)]
pub struct Clusters {
    groups: Vec<CpuSet>,
    /// The longest time inside, and the shortest between two.
    times: Option<(f64, f64)>,
}

/// Finds the largest step between one time and the next longer one; pairs below it belong together.
pub fn clusters(matrix: &Matrix) -> Clusters {
    let cpus = matrix.cpus();
    let mut times: Vec<f64> = matrix.times().collect();
    times.sort_unstable_by(f64::total_cmp);
    let steps = times.windows(2).map(|two| (two[1] / two[0], two[0], two[1]));
    let largest = steps.max_by(|a, b| a.0.total_cmp(&b.0)).filter(|(step, ..)| *step >= GAP);
    let Some((_, inside, between)) = largest else {
        return Clusters { groups: vec![cpus.iter().copied().collect()], times: None };
    };
    let mut groups: Vec<CpuSet> = Vec::new();
    for (at, &cpu) in cpus.iter().enumerate() {
        let near = |group: &CpuSet| {
            cpus.iter()
                .enumerate()
                .any(|(other, &with)| group.contains(with) && matrix.time(at, other) <= inside)
        };
        // A CPU near two groups joins them.
        let (mut own, others): (Vec<CpuSet>, Vec<CpuSet>) = groups.into_iter().partition(near);
        own.push(CpuSet::single(cpu));
        groups = others;
        groups.push(own.iter().fold(CpuSet::new(), |sum, group| sum.union(group)));
    }
    groups.sort_by_key(CpuSet::first);
    Clusters { groups, times: Some((inside, between)) }
}

impl Clusters {
    /// One line: the groups, and which level of the topology they are.
    pub fn compared_with(&self, machine: &Machine) -> String {
        let Some((inside, between)) = self.times else {
            return "clusters: none, all CPUs are about as near to each other".into();
        };
        let names: Vec<String> = self.groups.iter().map(ToString::to_string).collect();
        let found =
            format!("clusters: {} ({inside:.0} ns inside, {between:.0} ns between)", names.join(" | "));
        match self.level(machine) {
            Some(level) => format!("{found}: {level}, as the topology says"),
            None => format!("{found}: NOT what the topology says; no level of it groups the CPUs so"),
        }
    }

    /// The level of the topology whose sets are the groups.
    fn level(&self, machine: &Machine) -> Option<&'static str> {
        let caches = |level: u8| {
            let own = machine.caches().iter().filter(move |cache| cache.level == level);
            own.map(|cache| &cache.cpuset).collect::<Vec<_>>()
        };
        let levels: [(&str, Vec<&CpuSet>); 5] = [
            ("cores", machine.cores().iter().map(|core| &core.cpuset).collect()),
            ("L2 caches", caches(2)),
            ("L3 caches", caches(3)),
            ("NUMA nodes", machine.nodes().iter().map(|node| &node.cpuset).collect()),
            ("packages", machine.packages().iter().map(|package| &package.cpuset).collect()),
        ];
        let all = self.groups.iter().fold(CpuSet::new(), |sum, group| sum.union(group));
        let is_level = |sets: &[&CpuSet]| {
            let mut own: Vec<CpuSet> =
                sets.iter().map(|set| set.intersection(&all)).filter(|set| !set.is_empty()).collect();
            own.sort_by_key(CpuSet::first);
            own.dedup();
            own == self.groups
        };
        levels.iter().find(|(_, sets)| is_level(sets)).map(|(name, _)| *name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Times of a machine where the time of a pair depends on the first of these sizes that both fit.
    fn matrix(cpus: u32, levels: &[(u32, f64)]) -> Matrix {
        let mut matrix = Matrix::new((0..cpus).collect());
        for a in 0..cpus {
            for b in a + 1..cpus {
                let own = levels.iter().find(|(size, _)| a / size == b / size);
                // Noise that is the same each time.
                let noise = 1.0 + f64::from((a * 31 + b * 17) % 13) / 100.0;
                matrix.set(a as usize, b as usize, own.map_or(300.0, |(_, time)| *time) * noise);
            }
        }
        matrix
    }

    #[test]
    fn clusters_are_found_and_compared_with_the_topology() {
        let machine = Machine::from_synthetic("package:2 l3:2 core:4 pu:1").unwrap();
        let found = clusters(&matrix(16, &[(4, 30.0), (8, 40.0)]));
        assert_eq!(found.groups.len(), 2);
        assert!(found.compared_with(&machine).contains("packages, as the topology says"), "{found:?}");
        let found = clusters(&matrix(16, &[(4, 30.0), (8, 250.0)]));
        assert_eq!(found.groups.len(), 4);
        assert!(found.compared_with(&machine).contains("L3 caches, as the topology says"));
    }

    #[test]
    fn a_topology_that_says_otherwise_is_a_finding() {
        let machine = Machine::from_synthetic("package:1 l3:1 core:8 pu:1").unwrap();
        let text = clusters(&matrix(8, &[(4, 30.0)])).compared_with(&machine);
        assert!(
            text.starts_with("clusters: 0-3 | 4-7 (") && text.contains("NOT what the topology says"),
            "{text}"
        );
    }

    #[test]
    fn alike_pairs_are_one_cluster() {
        let found = clusters(&matrix(8, &[(8, 50.0)]));
        assert_eq!(found, Clusters { groups: vec!["0-7".parse().unwrap()], times: None });
        let two = clusters(&matrix(2, &[(2, 50.0)]));
        assert!(two.compared_with(&Machine::from_synthetic("core:2").unwrap()).contains("none"));
    }
}
