//! A profile's life: written, read, damaged, of another host or version.

use super::host::Host;
use super::profile::{load_at, store_at};
use super::{Tuning, text};
use std::time::Duration;

fn host(key: u64) -> Host {
    Host { key, name: "a machine\nof two lines".into() }
}

fn tuned() -> Tuning {
    Tuning { spin: Duration::from_micros(80), past_caches_bytes: 2 << 20, ..Tuning::default() }
}

fn notes() -> Vec<String> {
    vec!["spin: 12 % less time on tune_gaps".into()]
}

#[test]
fn what_is_stored_is_read_again_on_the_same_host_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("made/for/it/profile");
    assert_eq!(load_at(&path, &host(7)).unwrap(), None);
    store_at(&path, &text::write(&host(7), &tuned(), &notes())).unwrap();
    let found = load_at(&path, &host(7)).unwrap().unwrap();
    assert_eq!((found.tuning(), found.notes()), (tuned(), &notes()[..]));
    assert!(load_at(&path, &host(8)).unwrap_err().to_string().contains("another machine"));
    let others = std::fs::read_dir(path.parent().unwrap()).unwrap().count();
    assert_eq!(others, 1, "nothing is left beside it");
    store_at(&path, &text::write(&host(7), &Tuning::default(), &[])).unwrap();
    assert_eq!(load_at(&path, &host(7)).unwrap().unwrap().tuning(), Tuning::default());
}

#[test]
fn every_damage_is_seen() {
    let whole = text::write(&host(7), &tuned(), &notes());
    assert!(text::read(&whole, 7).is_ok());
    for len in 0..whole.len() {
        assert!(text::read(&whole[..len], 7).is_err(), "cut off after {len} bytes: {:?}", &whole[..len]);
    }
    let mut bytes = whole.clone().into_bytes();
    for at in 0..bytes.len() {
        let was = std::mem::replace(&mut bytes[at], b'5');
        let changed = String::from_utf8(bytes.clone()).unwrap();
        assert_eq!(text::read(&changed, 7).is_ok(), was == b'5', "byte {at} was {:?}", char::from(was));
        bytes[at] = was;
    }
    assert!(text::read(&format!("{whole}spin_ns 1\n"), 7).is_err());
}

#[test]
fn other_versions_unknown_settings_and_wild_values_are_refused() {
    let signed = |body: &str| {
        let check = twox_hash::XxHash3_64::oneshot(body.as_bytes());
        text::read(&format!("{body}check {check:016x}\n"), 7).map(|(tuning, _)| tuning)
    };
    let good = "phalanx profile 1\nhost 7\nspin_ns 3000\n";
    assert_eq!(signed(good).unwrap().spin, Duration::from_micros(3));
    for (bad, why) in [
        (good.replace("profile 1", "profile 2"), "version 2"),
        (good.replace("profile 1", "profile 0"), "version 0"),
        (good.replace("phalanx", "another"), "not a profile"),
        (good.replace("spin_ns", "chunk_bytes"), "nobody knows"),
        (good.replace("3000", "10000001"), "not within"),
        (good.replace("3000", "-1"), "not within"),
        (good.replace("spin_ns 3000", "task_chunk_ns 0"), "not within"),
        (good.replace("host 7\n", ""), "another machine"),
    ] {
        assert!(signed(&bad).unwrap_err().contains(why), "{bad}: {:?}", signed(&bad));
    }
}

#[test]
fn what_is_no_file_of_this_user_is_refused_without_waiting() {
    let folder = tempfile::tempdir().unwrap();
    assert!(load_at(folder.path(), &host(7)).unwrap_err().to_string().contains("not a short file"));
    let long = folder.path().join("long");
    std::fs::File::create(&long).unwrap().set_len(1 << 20).unwrap();
    assert!(load_at(&long, &host(7)).is_err());
    let pipe = folder.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    assert!(load_at(&pipe, &host(7)).unwrap_err().to_string().contains("not a short file"));
    std::fs::write(folder.path().join("bytes"), [0xff; 10]).unwrap();
    assert!(load_at(&folder.path().join("bytes"), &host(7)).unwrap_err().to_string().contains("not text"));
    let inside = long.join("profile");
    assert!(store_at(&inside, "x").unwrap_err().to_string().contains("cannot write"));
}

#[test]
fn settings_are_clamped_and_told() {
    let wild = Tuning {
        spin: Duration::MAX,
        inline: Duration::from_secs(9),
        task_chunk: Duration::ZERO,
        past_caches_bytes: 0,
    };
    let found = wild.clamped();
    assert_eq!((found.spin, found.inline), (Duration::from_millis(10), Duration::from_millis(100)));
    assert_eq!((found.task_chunk, found.past_caches_bytes), (Duration::from_micros(1), 64 << 10));
    assert_eq!(Tuning::default().clamped(), Tuning::default());
    assert_eq!(Tuning::default().changes(), "");
    assert_eq!(tuned().changes(), "workers stay awake for 80µs, results go past the caches from 2048 KiB on");
    assert!(Tuning::default().to_string().contains("chunks of maps take 200µs"));
}
