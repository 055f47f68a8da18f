//! The program `stats`, run as users run it.
#![allow(clippy::unwrap_used, reason = "helpers of tests may panic as the tests may")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const PROGRAM: &str = env!("CARGO_BIN_EXE_stats");

fn flights() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("data/flights_arr_delay_f32.npy")
}

fn stats(arguments: &[&str]) -> Output {
    Command::new(PROGRAM).args(arguments).output().unwrap()
}

/// A header as NumPy writes it, followed by `data` zero bytes.
fn npy(descr: &str, order: &str, shape: &str, data: usize) -> Vec<u8> {
    let text = format!("{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}");
    let mut bytes = b"\x93NUMPY\x01\x00\x76\x00".to_vec();
    bytes.extend(format!("{text:<117}\n").bytes());
    bytes.resize(bytes.len() + data, 0);
    bytes
}

/// The file must be refused with exit code 2 and one line that holds all of `words` and the path.
fn refused(path: &Path, arguments: &[&str], words: &[&str]) {
    let text = path.to_str().unwrap();
    let output = stats(&[&[text], arguments].concat());
    let line = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{line}");
    assert_eq!((line.lines().count(), output.stdout.len()), (1, 0), "{line}");
    for word in words.iter().chain(&[text]) {
        assert!(line.contains(word), "{word:?} is not in: {line}");
    }
}

#[test]
fn wrong_files_are_refused_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    };
    refused(&folder.path().join("missing.npy"), &[], &["no such file"]);
    refused(folder.path(), &[], &["directory"]);
    refused(&file("empty", b""), &[], &["empty"]);
    refused(&file("text.npy", b"1,2,3\n4,5,6\n"), &[], &["not a .npy file", "--raw"]);
    refused(&file("short.npy", b"\x93NUM"), &[], &["truncated"]);
    refused(&file("cut.npy", &npy("'<f8'", "False", "(100,)", 799)), &[], &["truncated"]);
    refused(&file("head.npy", &npy("'<f8'", "False", "(100,)", 0)[..50]), &[], &["truncated"]);
    refused(
        &file("fortran.npy", &npy("'<f8'", "True", "(5, 2)", 80)),
        &[],
        &["Fortran", "ascontiguousarray"],
    );
    refused(&file("big.npy", &npy("'>f8'", "False", "(5,)", 40)), &[], &["big-endian"]);
    refused(&file("record.npy", &npy("[('a', '<f8')]", "False", "(5,)", 40)), &[], &["field"]);
    refused(&file("none.npy", &npy("'<f8'", "False", "(0, 3)", 0)), &[], &["no elements"]);
    refused(&file("bool.npy", &npy("'|b1'", "False", "(5,)", 5)), &[], &["bool"]);
    refused(&file("complex.npy", &npy("'<c16'", "False", "(5,)", 80)), &[], &["complex"]);
    refused(&file("object.npy", &npy("'|O'", "False", "(5,)", 80)), &[], &["numbers"]);
    refused(&file("huge.npy", &npy("'<f8'", "False", "(9223372036854775807, 4)", 80)), &[], &[]);
    refused(&file("ragged.bin", &[0; 10]), &["--raw", "f32"], &["--raw", "10 bytes"]);
}

#[test]
fn pipes_are_refused_without_waiting() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    refused(&path, &[], &["pipe"]);
}

#[test]
fn unreadable_files_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret.npy");
    fs::write(&path, npy("'<f8'", "False", "(5,)", 40)).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
    if fs::File::open(&path).is_ok() {
        println!("SKIPPED: this user may read every file");
        return;
    }
    refused(&path, &[], &["permission"]);
}

#[test]
fn one_dimensional_arrays_may_be_in_either_order() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("one.npy");
    fs::write(&path, npy("'<f8'", "True", "(5,)", 40)).unwrap();
    assert!(stats(&[path.to_str().unwrap()]).status.success());
}

#[test]
fn the_flights_have_their_known_figures() {
    let output = stats(&["--json", flights().to_str().unwrap()]);
    let got: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    for (key, value) in [("count", 336_776), ("nan", 9_430), ("argmin", 199_668), ("argmax", 7_072)] {
        assert_eq!(got[key].as_u64(), Some(value), "{key}");
    }
    let near = |key: &str, value: f64| assert!((got[key].as_f64().unwrap() - value).abs() < 1e-12, "{key}");
    near("mean", 6.895_376_757_314_89);
    near("std", 44.633_223_515_654_24);
    near("min", -86.0);
    near("max", 1272.0);
    for (key, value) in [("1", -44), ("5", -32), ("25", -17), ("50", -5), ("75", 14), ("95", 91), ("99", 190)]
    {
        assert_eq!(got["percentiles"][key].as_f64(), Some(f64::from(value)), "percentile {key}");
    }
    for key in
        ["histogram", "workers", "seconds", "bytes_per_second", "speedup", "delivery_bytes", "memory_ratio"]
    {
        assert!(!got[key].is_null(), "{key}");
    }
}

/// The JSON of a run over a file.
fn json(path: &Path, arguments: &[&str]) -> serde_json::Value {
    let output = stats(&[&["--json", path.to_str().unwrap()], arguments].concat());
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stderr.is_empty(), "nothing is drawn where nobody looks");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn bits_do_not_depend_on_workers_or_backend() {
    let mut seen = std::collections::BTreeSet::new();
    for backend in ["processes", "threads", "inline"] {
        for workers in ["1", "2", "3", "7"] {
            let mut got = json(&flights(), &["--no-verify", "--backend", backend, "--workers", workers]);
            let got = got.as_object_mut().unwrap();
            assert_eq!(got["workers"], if backend == "inline" { 1 } else { workers.parse().unwrap() });
            let sent = got["delivery_bytes"].as_u64().unwrap();
            assert_eq!(sent > 0, backend == "processes", "{sent}");
            assert!(sent < 10_000, "the data themselves are not sent: {sent}");
            assert!(got["speedup"].is_null(), "without the serial pass there is nothing to compare with");
            for key in ["workers", "seconds", "bytes_per_second", "delivery_bytes", "memory_ratio"] {
                assert!(got.remove(key).is_some(), "{key}");
            }
            seen.insert(format!("{got:?}"));
        }
    }
    assert_eq!(seen.len(), 1, "{seen:#?}");
}

#[test]
fn the_object_has_the_promised_keys() {
    let got = json(&flights(), &[]);
    let keys: std::collections::BTreeSet<&str> =
        got.as_object().unwrap().keys().map(String::as_str).collect();
    let promised = "count nan mean std min argmin max argmax percentiles histogram workers seconds bytes_per_second \
        speedup delivery_bytes memory_ratio";
    assert_eq!(keys, promised.split_whitespace().collect());
    assert!(got["speedup"].as_f64().unwrap() > 0.0);
}

#[test]
fn raw_files_are_read_as_any_of_the_four_types() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("numbers");
    let check = |name: &str, bytes: Vec<u8>| {
        fs::write(&path, bytes).unwrap();
        let got = json(&path, &["--raw", name]);
        assert_eq!((got["count"].as_u64(), got["argmax"].as_u64()), (Some(10_000), Some(9_999)), "{name}");
        assert_eq!((got["mean"].as_f64(), got["min"].as_f64()), (Some(4999.5), Some(0.0)), "{name}");
        assert_eq!(got["percentiles"]["25"].as_f64(), Some(2499.75), "{name}");
    };
    check("f32", (0..10_000).flat_map(|i| (i as f32).to_le_bytes()).collect());
    check("f64", (0..10_000).flat_map(|i| f64::from(i).to_le_bytes()).collect());
    check("i32", (0..10_000i32).flat_map(i32::to_le_bytes).collect());
    check("i64", (0..10_000i64).flat_map(i64::to_le_bytes).collect());
}

#[test]
fn help_and_wrong_options_say_how_to_use_it() {
    let help = stats(&["--help"]);
    let text = String::from_utf8(help.stdout).unwrap();
    assert!(help.status.success());
    for word in ["FILE", "--raw", "--workers", "--backend", "--json", "--no-verify", "Exit codes"] {
        assert!(text.contains(word), "{word}");
    }
    for wrong in
        [vec!["--workers", "0"], vec!["--backend", "cloud"], vec!["--raw", "f32"], vec!["--raw", "c8", "x"]]
    {
        assert_eq!(stats(&wrong).status.code(), Some(2), "{wrong:?}");
    }
}

#[test]
fn the_text_fits_eighty_columns() {
    let output = stats(&[flights().to_str().unwrap(), "--no-verify"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && text.contains('█'), "{text}");
    // Paths and the sentence on cores may be as long as they are.
    let body = text.lines().filter(|line| !line.starts_with("data") && !line.starts_with("cores"));
    for line in body {
        assert!(line.chars().count() <= 80, "{line}");
    }
}

#[test]
fn numbers_are_numpys() {
    let python = std::env::var("PHALANX_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let has_numpy = Command::new(&python).args(["-c", "import numpy"]).output();
    if !has_numpy.is_ok_and(|output| output.status.success()) {
        println!(
            "SKIPPED: {python} with numpy is not there (pip install numpy, or name one in PHALANX_PYTHON)"
        );
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/stats_numpy.py");
    let output =
        Command::new(python).arg(script).arg(PROGRAM).arg(folder.path()).arg(flights()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    print!("{}", String::from_utf8_lossy(&output.stdout));
}
