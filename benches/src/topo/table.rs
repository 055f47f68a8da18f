//! Cores and their workers as text, and as records.

use super::planned::Planned;
use phalanx::topology::{CpuSet, Machine};
use serde::Serialize;
use std::fmt::Write as _;

/// The workers that may run on some of these PUs, as `w0 w3`; `-` for none.
pub fn workers_on(planned: &Planned, cpus: &CpuSet) -> String {
    let places = planned.plan.workers.iter().enumerate();
    let here = places.filter(|(_, place)| place.cpuset.intersects(cpus));
    let names: Vec<String> = here.map(|(rank, _)| format!("w{rank}")).collect();
    if names.is_empty() { "-".into() } else { names.join(" ") }
}

/// A table with a row for each core and a column for each placement, and the reasons for the numbers of
/// workers.
pub fn text(machine: &Machine, plans: &[Planned]) -> String {
    let mut rows = vec![["core", "PUs", "node", "L3"].map(String::from).to_vec()];
    rows[0].extend(plans.iter().map(|planned| planned.policy.clone()));
    for (number, core) in machine.cores().iter().enumerate() {
        let pu = core.cpuset.first().and_then(|first| machine.pu(first));
        let or_dash = |index: Option<String>| index.unwrap_or("-".into());
        let mut row = vec![
            number.to_string(),
            core.cpuset.to_string(),
            or_dash(pu.and_then(|pu| pu.node).map(|node| node.to_string())),
            or_dash(pu.and_then(|pu| pu.l3).map(|l3| number_of_l3(machine, l3).to_string())),
        ];
        row.extend(plans.iter().map(|planned| workers_on(planned, &core.cpuset)));
        rows.push(row);
    }
    let widths: Vec<usize> = (0..rows[0].len())
        .map(|at| rows.iter().map(|row| row[at].chars().count()).max().unwrap_or(0))
        .collect();
    let mut text = String::new();
    for row in rows {
        let cells: Vec<String> =
            row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:<width$}")).collect();
        let _ = writeln!(text, "{}", cells.join("  ").trim_end());
    }
    text.push('\n');
    for planned in plans {
        let _ = writeln!(text, "{}: {}", planned.policy, planned.plan.reason);
    }
    text
}

/// The number of a cache among those of level 3.
fn number_of_l3(machine: &Machine, at: usize) -> usize {
    machine.caches().iter().take(at).filter(|cache| cache.level == 3).count()
}

/// A plan, for other programs.
#[derive(Serialize)]
pub struct Record<'a> {
    bench: &'static str,
    policy: &'a str,
    reason: &'a str,
    bound: bool,
    workers: Vec<Worker<'a>>,
}

#[derive(Serialize)]
struct Worker<'a> {
    rank: usize,
    cpus: String,
    core: Option<usize>,
    node: Option<u32>,
    memory_node: Option<u32>,
    steal_order: &'a [usize],
}

/// The record of a plan.
pub fn record(planned: &Planned) -> Record<'_> {
    let workers = planned.plan.workers.iter().enumerate().map(|(rank, place)| Worker {
        rank,
        cpus: place.cpuset.to_string(),
        core: place.core,
        node: place.node,
        memory_node: place.memory_node,
        steal_order: &place.steal_order,
    });
    Record {
        bench: "topo",
        policy: &planned.policy,
        reason: &planned.plan.reason,
        bound: planned.plan.is_bound,
        workers: workers.collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use phalanx::Placement;
    use phalanx::topology::{Limits, Request, plan};

    fn planned(machine: &Machine, policy: &str) -> Planned {
        let placement: Placement = policy.parse().unwrap();
        let request = Request { placement, ..Request::default() };
        let plan = plan(machine, &Limits::of(machine.cpuset().clone()), &request).unwrap();
        Planned { policy: policy.into(), plan }
    }

    #[test]
    fn every_core_has_its_workers_side_by_side() {
        let machine = Machine::from_synthetic("package:2 numa:1 l3:1 core:2 pu:2").unwrap();
        let plans = ["per-core", "per-pu", "per-l3"].map(|policy| planned(&machine, policy));
        let text = text(&machine, &plans);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "core  PUs  node  L3  per-core  per-pu  per-l3");
        assert_eq!(
            lines[1].split_whitespace().collect::<Vec<_>>(),
            ["0", "0-1", "0", "0", "w0", "w0", "w1", "w0"]
        );
        assert_eq!(
            lines[4].split_whitespace().collect::<Vec<_>>(),
            ["3", "6-7", "1", "1", "w3", "w6", "w7", "w1"]
        );
        assert!(lines[6].starts_with("per-core: 4 workers"));
    }
}
