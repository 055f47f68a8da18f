//! The example of pools prints what stands in expected/, with processes and with threads.

use std::collections::BTreeSet;
use std::process::Command;

fn output(arguments: &[&str]) -> String {
    let output =
        Command::new(env!("CARGO_BIN_EXE_pools")).args(arguments).output().expect("the example starts");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {errors}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Which process or thread did what, and how long it took, differs from run to run.
fn masked(text: &str) -> Vec<String> {
    let mask = |line: &str| {
        if let Some((processing, _)) = line.split_once(" in process ") {
            return format!("{processing} in process N");
        }
        if line.starts_with("Thread Thread-") {
            return "Thread Thread-N finished computing N".into();
        }
        if let (true, Some((workers, _))) = (line.starts_with("  "), line.rsplit_once(' ')) {
            return format!("{workers} N");
        }
        if line.starts_with("Best pool size: ") {
            return "Best pool size: N".into();
        }
        if line.starts_with("This machine now: ") {
            return "This machine now: N workers".into();
        }
        if line.starts_with("Function squares took ") {
            return "Function squares took N seconds".into();
        }
        line.to_owned()
    };
    text.lines().map(mask).collect()
}

fn check(backend: &str, change: impl Fn(&str) -> String) {
    let text = output(&["--backend", backend, "--workers", "8", "--unit-ms", "200"]);
    let expected: Vec<String> = include_str!("../expected/pools.txt").lines().map(change).collect();
    assert_eq!(masked(&text), expected, "{backend}");
    let told: Vec<_> = text.lines().filter_map(|line| line.split_once(" in process ")).collect();
    let pids: BTreeSet<_> = told.iter().map(|(_, pid)| pid).collect();
    assert!(told.len() == 10 && (1..=4).contains(&pids.len()), "{backend}: {told:?}");
    // Each of the eight numbers was computed, whoever it was.
    let finished = text.lines().filter_map(|line| line.strip_prefix("Thread Thread-"));
    let numbers: BTreeSet<_> =
        finished.filter_map(|line| line.split_once(" finished computing ")).map(|(_, n)| n).collect();
    assert_eq!(numbers.len(), 8, "{backend}");
}

#[test]
fn processes_give_what_is_expected() {
    check("processes", str::to_owned);
}

#[test]
fn threads_give_the_same() {
    check("threads", |line| match line.starts_with("20 tasks ran in ") {
        true => "Threads stay for as long as their pool.".into(),
        false => line.to_owned(),
    });
}
