//! This machine, as every source describes it.
use phalanx::topology::{Limits, Machine, Request, plan};

#[test]
fn this_machine_has_a_plan() {
    let machine = Machine::detect().expect("a machine");
    machine.validate().expect("no contradictions");
    let limits = Limits::detect();
    let plan = plan(&machine, &limits, &Request::default()).expect("a plan");
    println!("{machine}{}\n{plan:?}\n{limits:?}", plan.reason);
    assert!(!plan.workers.is_empty());
}
