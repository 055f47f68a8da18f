//! The program `weather`: files good and bad, and what it leaves behind.
#![allow(clippy::unwrap_used, reason = "helpers of tests may panic as the tests may")]

use std::fs;
use std::path::Path;
use std::process::Command;

/// Exit code, standard output and standard error.
fn weather(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_weather")).args(arguments).output().unwrap();
    let [text, errors] = [output.stdout, output.stderr].map(|it| String::from_utf8_lossy(&it).into_owned());
    (output.status.code(), text, errors)
}

fn of_file(path: &Path, text: &[u8]) -> (Option<i32>, String, String) {
    fs::write(path, text).unwrap();
    weather(&[path.to_str().unwrap(), "--workers", "2"])
}

#[test]
fn files_give_the_official_line_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("measurements.txt");
    let (code, text, errors) = of_file(&path, "Oslo;-0.0\r\nÉvora;99.9\r\nOslo;-99.9".as_bytes());
    assert_eq!((code, &*text), (Some(0), "{Oslo=-99.9/-49.9/0.0, Évora=99.9/99.9/99.9}\n"), "{errors}");
    assert!(errors.contains("speed-up") && errors.contains("rows        3 of 2 stations"), "{errors}");
    let (code, text, errors) = of_file(&path, b"");
    assert_eq!((code, &*text, &*errors), (Some(0), "{}\n", ""));
}

#[test]
fn bad_input_is_one_line_and_two() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("measurements.txt");
    let mut text = b"Oslo;1.0\n".repeat(100_000);
    text.extend_from_slice(&b"x".repeat(1 << 20));
    text.extend_from_slice(&b"\nOslo;1.0\n".repeat(100_000));
    let (code, out, errors) = of_file(&path, &text);
    assert_eq!((code, &*out), (Some(2), ""));
    assert_eq!(errors, "weather: the line at byte 900000: the station's name is longer than 100 bytes\n");
    let missing = folder.path().join("missing");
    for arguments in [&[missing.to_str().unwrap()][..], &[folder.path().to_str().unwrap()]] {
        let (code, out, errors) = weather(arguments);
        assert_eq!((code, &*out, errors.lines().count()), (Some(2), "", 1), "{errors}");
    }
    for arguments in
        [&[][..], &["--rows", "10", "--stations", "10001"], &["--rows", "10", "file"], &["generate"]]
    {
        assert_eq!(weather(arguments).0, Some(2), "{arguments:?}");
    }
}

#[test]
fn generated_files_are_the_same_for_any_team() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let mut files = Vec::new();
    for workers in ["1", "2", "3"] {
        let file = path(workers);
        let arguments = ["generate", "200k", &file, "--stations", "1000", "--workers", workers];
        assert_eq!(weather(&arguments).0, Some(0));
        files.push((fs::read(&file).unwrap(), weather(&[&file, "--workers", workers]).1));
    }
    assert!(files[0] == files[1] && files[1] == files[2]);
    assert_eq!(files[0].1, weather(&["--rows", "200k", "--stations", "1000"]).1);
    assert_eq!(files[0].1.matches('=').count(), 1000);
    let (code, _, errors) = weather(&["generate", "10", &path("no/such/folder")]);
    assert_eq!((code, errors.lines().count()), (Some(2), 1), "{errors}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3, "something was left behind");
}
