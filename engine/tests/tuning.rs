//! The profile of a machine, between real programs: one stores it, others start from it.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use phalanx::tuning::{Profile, TUNE_VARIABLE, Tuning};
use phalanx::{Machine, Pool};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Tells a copy of this program what to do.
const PART: &str = "PHALANX_TEST_TUNING";

/// Runs the part in a program of its own whose cache folder is this one; returns what it tells.
fn part_of(name: &str, cache: &Path, variables: &[(&str, &str)]) -> String {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "part", "--ignored", "--nocapture", "--test-threads=1"]);
    command.env(PART, name).env("XDG_CACHE_HOME", cache).env_remove(TUNE_VARIABLE);
    let output = command.envs(variables.iter().copied()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.split_once("TOLD ").unwrap().1.split_once('\n').unwrap().0.to_owned()
}

fn tuned() -> Tuning {
    let mut tuning = Tuning::default();
    (tuning.spin, tuning.inline) = (Duration::from_micros(30), Duration::ZERO);
    tuning
}

#[test]
#[ignore = "a program of its own, run by the other tests"]
fn part() {
    let Ok(name) = std::env::var(PART) else { return };
    let machine = Machine::detect().unwrap();
    let told = match name.as_str() {
        "store" => match Profile::new(tuned(), ["a note".into()]).store(&machine) {
            Ok(path) => path.display().to_string(),
            Err(error) => error.to_string(),
        },
        "load" => match Profile::load(&machine) {
            Ok(found) => format!("{:?}", found.map(|own| (own.tuning() == tuned(), own.notes().to_vec()))),
            Err(error) => error.to_string(),
        },
        "forget" => format!("{:?}", Profile::forget(&machine).unwrap()),
        "own" => {
            let mut own = Tuning::default();
            own.task_chunk = Duration::MAX;
            let pool = Pool::builder().workers(2).tuning(own).build().unwrap();
            assert_eq!(pool.tuning(), own.clamped());
            pool.reason().to_owned()
        }
        backend => {
            let pool = Pool::builder().workers(2).backend(backend.parse().unwrap()).build().unwrap();
            let is_used = pool.tuning() == tuned();
            assert!(is_used || pool.tuning() == Tuning::default());
            // Once the cost of a function is known, a short map stays in the caller, unless none is to.
            let stays = |_| pool.map(|_: u64| std::process::id(), 0..4).unwrap() == [std::process::id(); 4];
            let is_right = if is_used { !(0..5).any(stays) } else { (0..10_000).any(stays) };
            assert!(is_right, "{}", pool.reason());
            pool.reason().to_owned()
        }
    };
    println!("TOLD {told}");
}

#[test]
fn a_stored_profile_is_what_pools_start_from() {
    let cache = tempfile::tempdir().unwrap();
    let cache = cache.path();
    assert_eq!(part_of("load", cache, &[]), "None");
    let path = PathBuf::from(part_of("store", cache, &[]));
    assert!(path.starts_with(cache.join("phalanx")), "{path:?}");
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o077, 0, "others may not read it");
    assert_eq!(part_of("load", cache, &[]), r#"Some((true, ["a note"]))"#);
    let used =
        "; by the stored profile, workers stay awake for 30µs, maps of less than 0ns stay in the caller";
    let reason = part_of("processes", cache, &[]);
    assert!(reason.ends_with(used), "{reason}");
    assert!(!part_of("processes", cache, &[(TUNE_VARIABLE, "off")]).contains("profile"));
    assert!(part_of("processes", cache, &[(TUNE_VARIABLE, "on")]).contains("profile"));
    assert!(!part_of("inline", cache, &[(TUNE_VARIABLE, "off")]).contains("profile"));
    assert!(!part_of("own", cache, &[]).contains("profile"), "the builder's settings come first");
    assert_eq!(part_of("forget", cache, &[]), "true");
    assert_eq!(part_of("forget", cache, &[]), "false");
    assert!(!part_of("processes", cache, &[]).contains("profile"));
}

#[test]
fn a_profile_that_cannot_be_used_is_ignored() {
    let cache = tempfile::tempdir().unwrap();
    let cache = cache.path();
    let path = PathBuf::from(part_of("store", cache, &[]));
    let whole = fs::read_to_string(&path).unwrap();
    let ignored = |text: &str, why: &str| {
        fs::write(&path, text).unwrap();
        assert!(!part_of("processes", cache, &[]).contains("profile"), "{text:?}");
        let said = part_of("load", cache, &[]);
        assert!(said.contains(why), "{said}");
    };
    ignored(&whole[..whole.len() / 2], "cut off");
    ignored("", "not a profile");
    ignored(&whole.replace("30000", "90000"), "damaged");
    ignored(&whole.replace("profile 1", "profile 0"), "version 0");
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert!(!part_of("processes", cache, &[]).contains("profile"));
    assert!(part_of("load", cache, &[]).contains("not a short file"));
}

#[test]
fn where_nothing_can_be_written_it_is_said() {
    let cache = tempfile::tempdir().unwrap();
    let file = cache.path().join("a file");
    fs::write(&file, "").unwrap();
    assert!(part_of("store", &file, &[]).contains("cannot write"));
    assert!(!part_of("processes", &file, &[]).contains("profile"));
    let said = part_of("store", Path::new("relative"), &[("HOME", "")]);
    assert!(said.contains("no folder for profiles"), "{said}");
    // The rights of a folder stop everybody but root.
    if !rustix::process::geteuid().is_root() {
        fs::set_permissions(cache.path(), fs::Permissions::from_mode(0o500)).unwrap();
        assert!(part_of("store", cache.path(), &[]).contains("cannot write"));
        fs::set_permissions(cache.path(), fs::Permissions::from_mode(0o700)).unwrap();
    }
}
