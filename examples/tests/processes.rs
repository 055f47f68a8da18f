//! The example of processes prints what stands in expected/, whatever the order, with every start method.

use std::process::Command;

/// Its lines, sorted: processes that run at the same time write in no particular order.
fn lines(arguments: &[&str]) -> Vec<String> {
    let output =
        Command::new(env!("CARGO_BIN_EXE_processes")).args(arguments).output().expect("the example starts");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {errors}");
    sorted(&String::from_utf8_lossy(&output.stdout))
}

fn sorted(text: &str) -> Vec<String> {
    // How many cores there are is this machine's own matter.
    let is_count =
        |line: &&str| line.strip_prefix("Number of cores is ").is_some_and(|rest| rest.ends_with('.'));
    let mut lines: Vec<String> = text.lines().filter(|line| !is_count(line)).map(str::to_owned).collect();
    assert_eq!(text.lines().count(), lines.len() + 1, "one line tells the cores: {text}");
    lines.sort();
    lines
}

#[test]
fn every_start_method_gives_what_is_expected() {
    let expected = sorted(include_str!("../expected/processes.txt"));
    for method in ["fork-server", "spawn", "fork"] {
        assert_eq!(lines(&["--start-method", method]), expected, "{method}");
    }
}
