//! This machine, as every source describes it.

use phalanx::topology::{Limits, Machine, Placement, Request, TopologyError, plan};
use std::path::Path;

#[test]
fn this_machine_has_a_plan() {
    let machine = Machine::detect().expect("a machine");
    machine.validate().expect("no contradictions");
    let limits = Limits::detect();
    for placement in [Placement::PerCore, Placement::PerPu, Placement::Scatter, Placement::PerNode] {
        let request = Request { placement, ..Request::default() };
        let plan = plan(&machine, &limits, &request).expect("a plan");
        println!("{}", plan.reason);
        assert!(plan.workers.iter().all(|worker| worker.cpuset.is_subset(&limits.allowed)));
    }
    println!("{machine}");
}

#[test]
fn hwloc_and_sysfs_agree_here() {
    let theirs = match Machine::from_hwloc() {
        Ok(machine) => machine,
        Err(error @ TopologyError::NoLibrary { .. }) => {
            println!("SKIPPED: {error}");
            return;
        }
        Err(error) => panic!("{error}"),
    };
    let ours = match Machine::from_sysfs(Path::new("/")) {
        Ok(machine) => machine,
        Err(error) => {
            println!("SKIPPED: {error}");
            return;
        }
    };
    assert_eq!(ours.cpuset(), theirs.cpuset());
    let cores =
        |machine: &Machine| machine.cores().iter().map(|core| core.cpuset.clone()).collect::<Vec<_>>();
    assert_eq!(cores(&ours), cores(&theirs));
    let homes = |machine: &Machine| machine.pus().iter().map(|pu| pu.node).collect::<Vec<_>>();
    assert_eq!(homes(&ours), homes(&theirs));
}
