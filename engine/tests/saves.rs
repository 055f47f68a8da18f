//! A program that is killed while it saves.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use phalanx::sync::Counter;
use phalanx::{Process, SharedArray};
use std::path::PathBuf;

const LEN: usize = 300_000;

/// Saves arrays over one file forever, each of one number only, and counts them.
fn save((path, saved, from): (PathBuf, Counter, u64)) {
    for number in from.. {
        SharedArray::from_fn(LEN, |_| number).unwrap().save_npy(&path).unwrap();
        saved.add(1);
    }
}

#[test]
fn a_kill_while_saving_leaves_the_old_file_or_the_new_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("numbers.npy");
    let saved = Counter::new(0).unwrap();
    for round in 0..20 {
        let before = saved.get();
        let saver = Process::spawn(save, (path.clone(), saved.clone(), before)).unwrap();
        // A save or two, and a part of another that no two rounds have in common.
        while saved.get() < before + 1 + round % 2 {
            std::thread::yield_now();
        }
        for _ in 0..round * 100_000 {
            std::hint::spin_loop();
        }
        saver.kill();
        let _killed = saver.join();
        let numbers = SharedArray::<u64>::load_npy(&path).unwrap();
        let first = numbers.as_slice()[0];
        assert_eq!(numbers.len(), LEN);
        assert!(numbers.as_slice().iter().all(|number| *number == first), "a mixture after round {round}");
        assert!(first + 1 >= saved.get(), "a save that was over is there: {first} of {}", saved.get());
    }
    let left = std::fs::read_dir(dir.path())
        .unwrap()
        .filter(|name| !name.as_ref().unwrap().file_name().to_string_lossy().starts_with(".phalanx-"));
    assert_eq!(left.count(), 1, "the file, and at worst a whole one beside it");
}
