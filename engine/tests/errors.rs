//! Every public error reads the same wherever it is printed, and `?` turns it into `phalanx::Error`.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

mod sources;

use phalanx::channel::Queue;
use phalanx::cluster::ClusterError;
use phalanx::npy::NpyError;
use phalanx::observe::ObserveError;
use phalanx::shared::{BlockError, ListError};
use phalanx::sync::{Barrier, BarrierError, CreateError, Lock, LockError, SemaphoreError};
use phalanx::topology::{CpuSetError, PlacementError, TopologyError};
use phalanx::tuning::ProfileError;
use phalanx::{
    AllocError, ArrayParts, AttachError, BodyError, CallError, ExitCause, ExitError, JoinError, JournalError,
    LaunchError, ManagerError, PartsError, PoolError, QueueError, RegionError, SharedArray, Span, SpawnError,
    StartError, TaskError, TraceError, TryError,
};
use std::collections::BTreeSet;
use std::error::Error;
use std::path::Path;
use std::time::Duration;

/// Checks one error, and returns its type's name.
fn check<E: Error + Into<phalanx::Error>>(error: E) -> String {
    let text = error.to_string();
    assert_eq!(format!("{error:?}"), text);
    let name = std::any::type_name::<E>().split('<').next().unwrap().rsplit("::").next().unwrap().to_owned();
    assert!(!text.contains(&name) && !text.starts_with(char::is_uppercase), "{name} says: {text}");
    let error: phalanx::Error = error.into();
    assert_eq!((error.to_string(), format!("{error:?}")), (text.clone(), text), "{name} as phalanx::Error");
    name
}

fn parts_error() -> PartsError<ArrayParts<u8>> {
    let parts = SharedArray::<u8>::zeros(4).unwrap().into_chunks(2).unwrap();
    let part = parts[1].clone();
    let _held = part.lock().map(std::mem::forget);
    parts.join().unwrap_err()
}

fn create_error() -> CreateError {
    Queue::<u8>::with_capacity_bytes(usize::MAX / 4).unwrap_err()
}

#[test]
fn every_error_prints_its_text_and_becomes_an_error_of_the_crate() {
    let path = Path::new("x.npy").to_owned();
    let checked: BTreeSet<String> = [
        check(AllocError::Forked),
        check(AttachError::Alloc(AllocError::Forked)),
        check(BarrierError::TableFull),
        check(BlockError::Alloc(AllocError::Forked)),
        check(BodyError::Own(TraceError::Off)),
        check(CallError::ServerDied),
        check(ClusterError::NoDriver { driver: 3, size: 2 }),
        check(create_error()),
        check("3-1".parse::<phalanx::CpuSet>().unwrap_err()),
        check(ExitError::Died { rank: 1, pid: 7, cause: ExitCause::Exit(0), oom: true }),
        check(JoinError::TimedOut { name: "p".into(), pid: 7, waited: Duration::from_secs(1) }),
        check(JournalError::NotAJournal { path: path.clone() }),
        check(LaunchError::PoolClosed),
        check(ListError::Create(create_error())),
        check(LockError::<()>::WouldDeadlock),
        check(ManagerError::Memory(create_error())),
        check(NpyError::NotFound { path }),
        check(ObserveError::NoPool { pid: 1 }),
        check(parts_error()),
        check(PlacementError::NoWorkers),
        check(PoolError::PoolClosed),
        check(ProfileError::NoFolder),
        check(QueueError::Closed),
        check(RegionError::Body("the reason".into())),
        check(SemaphoreError::TableFull),
        check(SpawnError::Start { name: "p".into(), source: StartError::NoEntry }),
        check(StartError::NoEntry),
        check(TaskError::PoolClosed),
        check(TopologyError::Set {
            place: "a list".into(),
            source: CpuSetError::TooLarge { index: 1 << 40 },
        }),
        check(TraceError::Off),
        check(TryError::Kernel {
            site: "a.rs:1:1".into(),
            span: Span { lo: 0, hi: 9 },
            error: TraceError::Off,
        }),
    ]
    .into();
    let public = public_errors();
    assert!(public.len() > 20, "only {} errors were found: this test has lost its way", public.len());
    assert_eq!(checked, public, "the public error types of the crate");
}

/// The names of all public error types in the sources, but `Error` itself.
fn public_errors() -> BTreeSet<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut names = BTreeSet::new();
    for file in sources::files(&root, ".rs") {
        let text = std::fs::read_to_string(file).unwrap();
        for line in text.lines() {
            let item = line.strip_prefix("pub enum ").or_else(|| line.strip_prefix("pub struct "));
            let name = item.and_then(|item| item.split(|c: char| !c.is_alphanumeric()).next());
            names.extend(name.filter(|name| name.ends_with("Error") && *name != "Error").map(str::to_owned));
        }
    }
    names
}

/// A lock's error borrows from the lock, and still leaves the function.
#[test]
fn an_error_with_a_guard_can_be_returned() {
    fn twice() -> Result<(), phalanx::Error> {
        let lock = Lock::new(1u32)?;
        let _held = lock.lock()?;
        let _again = lock.lock()?;
        Ok(())
    }
    let text = twice().unwrap_err().to_string();
    assert!(text.starts_with("this thread holds the lock already"), "{text}");
}

#[test]
fn an_error_of_the_program_fits_in_as_it_is() {
    let error = phalanx::Error::other("no such column");
    assert_eq!(format!("{error} {error:?}"), "no such column no such column");
}

#[test]
fn a_reset_is_not_blamed_on_anybody() {
    let barrier = Barrier::new(2).unwrap();
    let error = std::thread::scope(|s| {
        let party = s.spawn(|| barrier.wait());
        while barrier.waiting() == 0 {
            std::thread::yield_now();
        }
        barrier.reset();
        party.join().unwrap().unwrap_err()
    });
    assert!(error.to_string().starts_with("the barrier was reset while this party waited"), "{error}");
}
