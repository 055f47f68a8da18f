//! This machine, as every source describes it.

use phalanx::topology::{
    Limits, Machine, Placement, Request, Source, TOPOLOGY_VARIABLE, TopologyError, plan,
};
use std::path::Path;
use std::process::Command;

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

/// Set in the children of the test below.
const CHILD_VARIABLE: &str = "PHALANX_TEST_DETECT_CHILD";

#[test]
fn the_environment_can_force_a_source() {
    if std::env::var_os(CHILD_VARIABLE).is_some() {
        match Machine::detect() {
            Ok(machine) => println!("source: {:?}, PUs: {}", machine.source(), machine.pus().len()),
            Err(error) => println!("error: {error}"),
        }
        return;
    }
    let shape = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/shapes/hybrid.xml");
    let answer = |choice: &Path| {
        let output = Command::new(std::env::current_exe().expect("this program"))
            .args(["--exact", "the_environment_can_force_a_source", "--nocapture"])
            .env(CHILD_VARIABLE, "1")
            .env(TOPOLOGY_VARIABLE, choice)
            .output()
            .expect("a child");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    assert!(answer(&shape).contains(&format!("source: {:?}, PUs: 16", Source::Xml)));
    assert!(
        answer(Path::new("/nonexistent/machine.xml")).contains("error: cannot read /nonexistent/machine.xml")
    );
    let sysfs = answer(Path::new("sysfs"));
    assert!(sysfs.contains("source: Sysfs") || sysfs.contains("error: "), "{sysfs}");
    let by_default = answer(Path::new(""));
    assert!(by_default.contains("source: "), "{by_default}");
}
