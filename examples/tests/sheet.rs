//! The program `sheet`: its times, its options, and numbers of rows that are unusual.

use std::process::{Command, Output};

fn sheet(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_sheet")).args(arguments).output().expect("the example starts")
}

fn printed(arguments: &[&str]) -> (String, String) {
    let output = sheet(arguments);
    let [text, errors] =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    assert!(output.status.success(), "{arguments:?}: {errors}");
    (text, errors)
}

#[test]
fn short_expressions_are_compared_in_all_ways() {
    let (text, times) = printed(&["--short", "--always-out"]);
    assert!(text.ends_with("the pool: the same 100 results\nalways out: the same 100 results\n"), "{text}");
    assert!(times.contains("pool, always out") && times.contains("times the serial time"), "{times}");
}

#[test]
fn few_rows_and_no_rows_do_as_well() {
    let (text, times) = printed(&["--rows", "3", "--workers", "1"]);
    assert!(text.ends_with("a process each: the same 3 results\n"), "{text}");
    for row in ["serial", "pool", "a process each"] {
        assert!(times.lines().any(|line| line.starts_with(row)), "no time for {row}: {times}");
    }
    assert!(printed(&["--rows", "0", "--workers", "1"]).0.contains("0 values, 0 faults"));
}

#[test]
fn what_makes_no_sense_is_refused() {
    for arguments in [&["--workers", "0"][..], &["--always-out"], &["--short", "--rows", "5"]] {
        assert_eq!(sheet(arguments).status.code(), Some(2), "{arguments:?}");
    }
}
