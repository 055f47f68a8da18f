//! The program `chaos`, for a short while.
#![allow(clippy::unwrap_used, reason = "helpers of tests may panic as the tests may")]

use std::process::Command;

#[test]
fn three_seconds_of_chaos_hang_nothing_and_give_no_wrong_result() {
    let arguments = ["--seconds", "3", "--seed", "1", "--workers", "3"];
    let output = Command::new(env!("CARGO_BIN_EXE_chaos")).args(arguments).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("wrong results 0, pools broken 0, leaks 0"), "{text}");
}

#[test]
fn options_that_make_no_sense_are_refused() {
    for arguments in [["--workers", "0"], ["--every", "1"], ["--seconds", "soon"]] {
        let output = Command::new(env!("CARGO_BIN_EXE_chaos")).args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    }
}
