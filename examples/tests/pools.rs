//! The example of pools prints the same with threads as with processes, but for what threads do not do.
#![allow(clippy::unwrap_used, reason = "helpers of tests may panic as the tests may")]

mod example;

use example::{Example, Expected};

#[test]
fn threads_print_what_processes_do() {
    let pools = Example::new("pools");
    let (of_processes, of_threads) =
        ("20 tasks ran in 4 processes, at most 5 in each.", "Threads stay for as long as their pool.");
    let expected = pools.text("expected.txt");
    assert!(expected.contains(of_processes), "{expected}");
    let expected = Expected::parse(&expected.replace(of_processes, of_threads));
    let printed = pools.output(&format!("--backend threads {}", pools.runs()[0])).unwrap();
    expected.compare(&printed).unwrap_or_else(|why| panic!("{why}"));
}
