//! Handles in messages: who gets what, who keeps what alive, and what is refused.

use super::process::Peer;
use crate::array::{FrozenArray, FrozenValue, SharedArray, SharedValue};
use crate::base::member::MemberId;
use crate::base::notation;
use crate::handle::lease::leases_alive;
use crate::handle::lease::{Leases, Resolver};
use crate::handle::travel::{self, decode, encode, encode_answer, without_hold};
use crate::sync::*;
use ndarray::Ix2;
use std::ptr::NonNull;
use std::sync::Mutex;

type Message = (Lock<[u64; 2]>, Counter, Option<Barrier>);

/// This process made the objects, so nothing is to be resolved.
fn here() -> impl FnMut(u64, bool) -> Result<(NonNull<u8>, usize), String> {
    |segment, _| Err(format!("segment {segment} was asked for in the process that made it"))
}

fn message() -> Message {
    (Lock::new([3, 4]).unwrap(), Counter::new(10).unwrap(), Some(Barrier::new(2).unwrap()))
}

/// The part of the worker: uses all, then lets all go.
pub(super) fn unpack_all(bytes: &[u8], resolver: Resolver<'_>) -> i32 {
    let (handles, leases): (Message, Leases) = decode(bytes, resolver).unwrap();
    let (lock, counter, barrier) = handles;
    assert_eq!((leases.alive(), leases_alive()), (3, 3));
    let again = lock.clone();
    lock.lock().unwrap()[0] += 100;
    drop(lock);
    counter.add(5);
    drop((counter, barrier));
    assert_eq!(leases.alive(), 1, "a clone keeps the lease");
    again.lock().unwrap()[1] += 100;
    drop(again);
    assert_eq!((leases.alive(), leases_alive()), (0, 0));
    // Another type than was sent, at the same place.
    let wrong = decode::<(Lock<[u32; 4]>, Counter, Option<Barrier>)>(bytes, resolver).unwrap_err();
    assert!(wrong.to_string().contains("no lock of this type"), "{wrong}");
    let outside = decode::<Message>(bytes, &mut |_, _| Ok((NonNull::dangling(), 64))).unwrap_err();
    assert!(outside.to_string().contains("outside its segment"), "{outside}");
    assert_eq!(leases_alive(), 0, "nothing of a refused message lives on");
    0
}

/// The part of a worker that hands a handle to somebody else than the one it has it from.
pub(super) fn pass_on(bytes: &[u8], resolver: Resolver<'_>) -> i32 {
    let (handles, leases): (Message, _) = decode(bytes, resolver).unwrap();
    let (_bytes, keep_alive) = encode(&handles.0).unwrap();
    assert!(keep_alive.is_empty() && keep_alive.has_handles(), "only its maker can keep it");
    drop(handles);
    assert_eq!(leases.alive(), 0);
    0
}

/// The part of a worker that gets arrays to read.
pub(super) fn read_frozen(bytes: &[u8], resolver: Resolver<'_>) -> i32 {
    let mut asked = Vec::new();
    let mut noting = |segment, writable| {
        asked.push(writable);
        resolver(segment, writable)
    };
    let ((array, value), leases): ((FrozenArray<f64, Ix2>, FrozenValue<u32>), _) =
        decode(bytes, &mut noting).unwrap();
    assert_eq!((array.shape(), array.view()[(2, 1)], *value), (&[3, 2][..], 21.0, 42));
    assert_eq!(
        (leases.alive(), asked),
        (2, vec![true, true, false, true, false]),
        "the arena for the hold, and elements for reading alone"
    );
    assert!(array.as_array().is_none());
    let array = array.thaw().unwrap_err();
    drop((array, value));
    assert_eq!(leases.alive(), 0);
    0
}

#[test]
fn a_worker_reads_what_the_driver_froze() {
    let array = SharedArray::from_shape_fn((3, 2), |(i, j)| (10 * i + j) as f64).unwrap().freeze().unwrap();
    let value = SharedValue::new(42u32).unwrap().freeze().unwrap();
    let (bytes, keep_alive) = encode(&(&array, &value)).unwrap();
    let ready = Event::new().unwrap();
    assert_eq!(Peer::start_with("read frozen", &[ready.wire(), ready.wire()], &bytes).finish().0, Some(0));
    drop((value, keep_alive));
    assert!(array.thaw().is_ok());
}

#[test]
fn the_maker_of_an_object_gets_it_back_as_a_co_owner() {
    let sent = message();
    let (bytes, keep_alive) = encode(&sent).unwrap();
    let (got, leases): (Message, _) = decode(&bytes, &mut here()).unwrap();
    assert_eq!(leases.alive(), 0, "nothing is leased here");
    drop((leases, sent, keep_alive));
    got.0.lock().unwrap()[1] = 9;
    got.1.add(1);
    assert_eq!((*got.0.lock().unwrap(), got.1.get()), ([3, 9], 11));
    assert!(!got.0.is_poisoned() && got.2.unwrap().parties() == 2);
}

#[test]
fn keep_alive_keeps_what_is_on_its_way() {
    let (bytes, keep_alive) = encode(&message()).unwrap();
    assert!(keep_alive.segments().all(|(_, writable)| writable) && keep_alive.segments().count() == 3);
    assert_eq!(decode::<Message>(&bytes, &mut here()).unwrap().0.1.get(), 10);
    drop(keep_alive);
    let gone = decode::<Message>(&without_hold(&bytes), &mut here()).unwrap_err();
    assert!(gone.to_string().contains("does not exist any more"), "{gone}");
}

#[test]
fn a_worker_uses_what_the_driver_made() {
    let sent = message();
    let (bytes, keep_alive) = encode(&sent).unwrap();
    assert!(keep_alive.is_held(), "before anybody has it");
    let ready = Event::new().unwrap();
    let peer = Peer::start_with("unpack", &[ready.wire(), sent.0.wire()], &bytes);
    assert_eq!(peer.finish().0, Some(0));
    assert!(!keep_alive.is_held(), "it has said that it let go");
    assert_eq!((*sent.0.lock().unwrap(), sent.1.get()), ([103, 104], 15));
    assert_eq!(sent.2.unwrap().broken_by(), None, "who has let its handle go breaks nothing by ending");
}

#[test]
fn a_handle_passed_on_keeps_its_memory_and_can_come_home() {
    let sent = message();
    sent.0.lock().unwrap()[0] = 77;
    let (bytes, keep_alive) = encode(&sent).unwrap();
    let ready = Event::new().unwrap();
    assert_eq!(Peer::start_with("pass on", &[ready.wire(), ready.wire()], &bytes).finish().0, Some(0));
    drop((sent, keep_alive));
    // As whoever got it would send it back; the barrier was not passed on, so it is gone.
    let bytes = without_hold(&bytes);
    let whole = decode::<Message>(&bytes, &mut here()).unwrap_err();
    assert!(whole.to_string().contains("does not exist any more"), "{whole}");
    type First = (Lock<[u64; 2]>, serde::de::IgnoredAny, serde::de::IgnoredAny);
    let (lock, _, _) = decode::<First>(&bytes, &mut here()).unwrap().0;
    assert_eq!(*lock.lock().unwrap(), [77, 4]);
}

#[test]
fn handles_are_refused_outside_of_messages_and_in_foreign_ones() {
    let lock = Lock::new(1u64).unwrap();
    let error = serde_json::to_string(&lock).unwrap_err();
    assert!(error.to_string().contains("travels only as an argument or result of a task"), "{error}");
    let error = notation::to_vec(&lock).unwrap_err();
    assert!(error.to_string().contains("a lock travels only"));

    let (bytes, _keep_alive) = encode(&lock).unwrap();
    let error = notation::read::<Lock<u64>>(&bytes[8..]).unwrap_err();
    assert!(error.to_string().contains("a lock travels only"));
    // Made up, or put aside and read inside of another message: only what that one leads to can be found, and
    // only as what it is.
    let (none, _) = encode(&0u32).unwrap();
    let made_up = decode::<Lock<u64>>(&none, &mut here()).unwrap_err();
    assert!(made_up.to_string().contains("leads to 0 objects, and not to number 0"), "{made_up}");
    let (counters, _keep_alive) = encode(&(Counter::new(1).unwrap(), 1u32, 0u32)).unwrap();
    let strange = decode::<(u32, Lock<u64>, u32)>(&counters, &mut here()).unwrap_err();
    assert!(strange.to_string().contains("leads to 1 objects, and not to number 1"), "{strange}");
    let strange = decode::<(u32, u32, Lock<u64>)>(&counters, &mut here()).unwrap_err();
    assert!(strange.to_string().contains("no lock of this type"), "{strange}");
    assert!(decode::<(u32, u32, Counter)>(&counters, &mut here()).is_ok(), "the very object that was sent");
    let other = decode::<Lock<u32>>(&bytes, &mut here()).unwrap_err();
    assert!(other.to_string().contains("no lock of this type"), "{other}");
}

#[test]
fn a_message_that_outlived_its_object_leads_to_no_other_in_its_place() {
    let first = Counter::new(1).unwrap();
    let wire = first.wire();
    let (bytes, keep_alive) = encode(&first).unwrap();
    drop((first, keep_alive));
    // As many as it takes to have one in the very place, known to the table of what was sent.
    let mut others = Vec::new();
    let second = loop {
        let other = Counter::new(2).unwrap();
        if other.wire() == wire {
            break other;
        }
        assert!(others.len() < 100_000, "its place is never used again");
        others.push(other);
    };
    let (again, _kept) = encode(&second).unwrap();
    let stale = decode::<Counter>(&without_hold(&bytes), &mut here()).unwrap_err();
    assert!(stale.to_string().contains("does not exist any more"), "{stale}");
    assert_eq!(decode::<Counter>(&again, &mut here()).unwrap().0.get(), 2);
}

#[test]
fn contexts_nest_and_survive_panics() {
    let (outer, inner) = (Counter::new(1).unwrap(), Counter::new(2).unwrap());
    let ((inside, outside), keep_alive) = travel::pack(|| {
        let inside = encode_answer(MemberId::DRIVER, &inner).unwrap();
        let caught = std::panic::catch_unwind(|| travel::pack(|| panic!("on purpose")));
        assert!(caught.is_err());
        (inside, notation::to_vec(&outer).unwrap())
    });
    assert!(inside.1.has_handles() && inside.1.segments().count() == 1);
    assert!(!outside.is_empty() && keep_alive.segments().count() == 1);
    assert!(notation::to_vec(&outer).is_err(), "all contexts are left");
}

#[test]
fn clones_share_the_object_and_the_last_one_frees_it() {
    static KEPT: Mutex<Option<Lock<u64>>> = Mutex::new(None);
    let lock = Lock::new(5u64).unwrap();
    let wire = lock.wire();
    *KEPT.lock().unwrap() = Some(lock.clone());
    drop(lock);
    let kept = KEPT.lock().unwrap().take().unwrap();
    *kept.lock().unwrap() += 1;
    let again = kept.clone();
    drop(kept);
    assert_eq!((*again.lock().unwrap(), again.wire()), (6, wire));
}
