//! What is read back of a journal that was cut off or damaged anywhere.
#![allow(clippy::unwrap_used, clippy::arithmetic_side_effects, reason = "a test may fail by panicking")]

use super::JournalError;
use super::file::{Identity, JournalFile, Recorded};
use std::path::Path;
use std::time::Duration;

const NEVER: Duration = Duration::MAX;

fn identity() -> Identity {
    Identity { build: 7, code: 9, items: 1 << 100, count: 20, function: "f (u64 -> u64)".into() }
}

fn open(path: &Path) -> Result<(JournalFile, Vec<Recorded>), JournalError> {
    JournalFile::resume(path, &identity(), false, NEVER)
}

fn result(item: u64) -> Vec<u8> {
    vec![item as u8 + 1; item as usize * 3 % 11]
}

/// A journal of twenty records, and where each ends.
fn whole(path: &Path) -> (Vec<u8>, Vec<usize>) {
    let (mut file, records) = open(path).unwrap();
    assert!(records.is_empty());
    let mut ends = vec![std::fs::metadata(path).unwrap().len() as usize];
    for item in 0..20 {
        file.add(item, &result(item)).unwrap();
        file.flush().unwrap();
        ends.push(std::fs::metadata(path).unwrap().len() as usize);
    }
    file.finish().unwrap();
    (std::fs::read(path).unwrap(), ends)
}

#[test]
fn wherever_it_is_cut_off_the_whole_records_are_read_and_the_rest_is_written_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let (bytes, ends) = whole(&path);
    for cut in 0..=bytes.len() {
        std::fs::write(&path, &bytes[..cut]).unwrap();
        let (mut file, records) = open(&path).unwrap();
        let there = ends.iter().filter(|end| **end <= cut).count().saturating_sub(1);
        assert_eq!(records, (0..there as u64).map(|item| (item, result(item))).collect::<Vec<_>>(), "{cut}");
        (there as u64..20).for_each(|item| file.add(item, &result(item)).unwrap());
        file.finish().unwrap();
        assert!(std::fs::read(&path).unwrap() == bytes, "cut off at {cut}");
    }
}

#[test]
fn a_journal_that_ended_is_free_though_a_forked_process_has_its_descriptor() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let (file, _) = open(&path).unwrap();
    let copy = file.copy_of_descriptor();
    assert!(matches!(open(&path), Err(JournalError::InUse { .. })));
    file.finish().unwrap();
    assert!(open(&path).is_ok());
    drop(copy);
}

#[test]
fn whatever_byte_is_damaged_no_record_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let (bytes, ends) = whole(&path);
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1 << (at % 8);
        std::fs::write(&path, &damaged).unwrap();
        match open(&path) {
            Err(JournalError::NotAJournal { .. }) => {
                assert!(at < ends[0], "{at}");
                assert!(std::fs::read(&path).unwrap() == damaged, "it is left as it was");
            }
            Err(error) => panic!("{at}: {error}"),
            Ok((_, records)) => {
                assert!(at >= ends[0], "{at}: a damaged head");
                assert!(records.iter().all(|(item, bytes)| *bytes == result(*item)), "{at}");
                // The records before it, and those after it if their places are known.
                let hit = ends.iter().filter(|end| **end <= at).count() - 1;
                let is_length = (16..24).contains(&(at - ends[hit]));
                assert!(records.len() == 19 || is_length && records.len() >= hit, "{at}: {}", records.len());
            }
        }
    }
}

#[test]
fn zeros_and_the_beginning_of_a_head_are_a_new_journal_and_other_files_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    std::fs::write(&path, [0; 5000]).unwrap();
    let (bytes, ends) = whole(&path);
    assert_eq!(bytes.len(), ends[20]);
    for other in [&b"some text"[..], &bytes[1..]] {
        std::fs::write(&path, other).unwrap();
        assert!(matches!(open(&path), Err(JournalError::NotAJournal { .. })));
        assert_eq!(std::fs::read(&path).unwrap(), other);
    }
    // A record of another journal is none of this one.
    let other = Identity { items: 5, ..identity() };
    let second = folder.path().join("second");
    drop(JournalFile::resume(&second, &other, false, NEVER).unwrap());
    let mut spliced = std::fs::read(&second).unwrap();
    spliced.extend(&bytes[ends[0]..]);
    std::fs::write(&second, &spliced).unwrap();
    let (_, records) = JournalFile::resume(&second, &other, false, NEVER).unwrap();
    assert!(records.is_empty(), "{records:?}");
}

#[test]
fn a_journal_of_something_else_is_refused_by_what_differs() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let (bytes, _) = whole(&path);
    let refused = |call: Identity, any_build: bool| {
        let error = JournalFile::resume(&path, &call, any_build, NEVER).err();
        assert!(std::fs::read(&path).unwrap() == bytes, "it is left as it was");
        error
    };
    let build = Identity { build: 8, code: 1, ..identity() };
    assert!(matches!(refused(build.clone(), false), Some(JournalError::OtherBuild { .. })));
    assert!(refused(build, true).is_none(), "the same name in another build");
    let code = Identity { code: 1, ..identity() };
    assert!(
        matches!(refused(code, true), Some(JournalError::OtherFunction { .. })),
        "another closure of one function"
    );
    let function = Identity { function: "g".into(), build: 8, ..identity() };
    assert!(matches!(refused(function, true), Some(JournalError::OtherFunction { .. })));
    for items in [Identity { items: 3, ..identity() }, Identity { count: 3, ..identity() }] {
        assert!(matches!(refused(items, true), Some(JournalError::OtherItems { .. })));
    }
    let held = open(&path).unwrap();
    assert!(matches!(refused(identity(), false), Some(JournalError::InUse { .. })));
    drop(held);
    assert!(refused(identity(), false).is_none());
}
