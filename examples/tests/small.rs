//! The small examples print what stands in expected/.

use std::path::Path;
use std::process::Command;

fn check(name: &str, program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).output().expect("the example starts");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name}: {errors}");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("expected").join(name).with_extension("txt");
    let expected = std::fs::read_to_string(&path).expect("the expected output is there");
    assert_eq!(String::from_utf8_lossy(&output.stdout), expected, "{name} {arguments:?}");
}

#[test]
fn heat() {
    check("heat", env!("CARGO_BIN_EXE_heat"), &["31"]);
}

#[test]
fn primes() {
    check("primes", env!("CARGO_BIN_EXE_primes"), &[]);
}

#[test]
fn hybrid() {
    check("hybrid", env!("CARGO_BIN_EXE_hybrid"), &[]);
}

#[test]
fn hello() {
    let output = Command::new(env!("CARGO_BIN_EXE_hello")).output().expect("the example starts");
    let text = String::from_utf8_lossy(&output.stdout);
    let (cores, rest) = text.split_once('\n').expect("two lines");
    assert!(cores.contains("worker") && cores.contains("core"), "{cores}");
    assert_eq!(rest, include_str!("../expected/hello.txt"));
}
