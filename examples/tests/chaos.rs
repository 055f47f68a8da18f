//! What the program `chaos` refuses.
#![allow(clippy::unwrap_used, reason = "helpers of tests may panic as the tests may")]

use std::process::Command;

#[test]
fn options_that_make_no_sense_are_refused() {
    for arguments in [["--workers", "0"], ["--every", "1"], ["--seconds", "soon"]] {
        let output = Command::new(env!("CARGO_BIN_EXE_chaos")).args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    }
}
