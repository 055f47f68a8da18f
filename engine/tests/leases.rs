//! What is lent stays lent while anybody has it, whatever way a call ends, and is given back soon after; and
//! a handle is worth what its own message leads to, no more.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use phalanx::sync::Lock;
use phalanx::{FrozenArray, ListProxy, Manager, Pool, Process, SharedArray, TaskError};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::sync::Mutex;
use std::time::{Duration, Instant};

fn frozen(first: u64) -> FrozenArray<u64> {
    SharedArray::from_fn(1000, |i| first + i as u64).unwrap().freeze().unwrap()
}

fn pool() -> Pool {
    Pool::builder().workers(1).build().unwrap()
}

/// Gives the array back for writing, once whoever had it has let go.
#[track_caller]
fn thaw_soon(mut array: FrozenArray<u64>) {
    let limit = Instant::now() + Duration::from_secs(60);
    while let Err(again) = array.thaw() {
        assert!(Instant::now() < limit, "it is never given back");
        array = again;
        std::thread::yield_now();
    }
}

/// What a worker, or a server, has kept.
static STOLEN: Mutex<Vec<FrozenArray<u64>>> = Mutex::new(Vec::new());

fn steal(array: &FrozenArray<u64>) {
    STOLEN.lock().unwrap().push(array.clone());
}

/// Looks at what was kept, gives it back, and says its first element.
fn give_back(_: ()) -> Option<u64> {
    STOLEN.lock().unwrap().pop().map(|array| array[0])
}

/// Keeps what it is made of, and then panics or fails while it is read.
#[derive(Debug)]
struct Thief;

#[derive(Serialize)]
struct Bait(FrozenArray<u64>, bool);

impl Serialize for Thief {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let bait = BAIT.lock().unwrap();
        let (array, panics) = bait.as_ref().unwrap();
        Bait(array.clone(), *panics).serialize(to)
    }
}

static BAIT: Mutex<Option<(FrozenArray<u64>, bool)>> = Mutex::new(None);
static ONE_BAIT: Mutex<()> = Mutex::new(());

impl<'de> Deserialize<'de> for Thief {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Thief, D::Error> {
        let (array, panics) = <(FrozenArray<u64>, bool)>::deserialize(from)?;
        steal(&array);
        assert!(!panics, "after it was kept");
        Err(serde::de::Error::custom("after it was kept"))
    }
}

#[test]
fn what_a_deserialize_keeps_before_it_fails_stays_lent() {
    let _one = ONE_BAIT.lock();
    let (pool, manager) = (pool(), Manager::in_process().unwrap());
    let hosted = manager.value(0u8).unwrap();
    for panics in [true, false] {
        let array = frozen(7);
        *BAIT.lock().unwrap() = Some((array.clone(), panics));
        let outcome = pool.apply(|_: Thief| (), Thief).unwrap_err();
        assert!(outcome.to_string().contains("after it was kept"), "{outcome}");
        let outcome = hosted.hosted().call(|_, _: Thief| (), Thief).unwrap_err();
        assert!(outcome.to_string().contains("after it was kept"), "{outcome}");
        *BAIT.lock().unwrap() = None;
        let array = array.thaw().expect_err("the worker and the server have it");
        assert_eq!(pool.apply(give_back, ()).unwrap(), Some(7));
        let array = array.thaw().expect_err("the server has it");
        assert_eq!(hosted.hosted().call(|_, ()| give_back(()), ()).unwrap(), Some(7));
        thaw_soon(array);
    }
}

/// Keeps nothing itself, and panics where it is told to.
#[derive(Debug, Deserialize)]
struct Bad {
    in_drop: bool,
}

impl Drop for Bad {
    fn drop(&mut self) {
        assert!(!self.in_drop, "in its drop");
    }
}

impl Serialize for Bad {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        assert!(self.in_drop, "in its serialize");
        to.serialize_unit()
    }
}

#[test]
fn what_is_kept_by_a_task_that_ends_badly_stays_lent() {
    let (pool, manager) = (pool(), Manager::in_process().unwrap());
    let hosted = manager.value(0u8).unwrap();
    let array = frozen(3);
    let of_serialize = |array: FrozenArray<u64>| {
        steal(&array);
        Bad { in_drop: false }
    };
    let of_drop = |array: FrozenArray<u64>| {
        steal(&array);
        Bad { in_drop: true }
    };
    assert!(matches!(pool.apply(of_serialize, array.clone()), Err(TaskError::Panicked { .. })));
    assert!(matches!(pool.apply(of_drop, array.clone()), Err(TaskError::Panicked { .. })));
    fn panics(_: &mut u8, array: FrozenArray<u64>) {
        steal(&array);
        panic!("in the function");
    }
    hosted.hosted().call(panics, array.clone()).unwrap_err();
    let array = array.thaw().expect_err("all three have it");
    assert_eq!(pool.apply(give_back, ()).unwrap(), Some(3));
    assert_eq!(hosted.hosted().call(|_, ()| give_back(()), ()).unwrap(), Some(3));
    let array = array.thaw().expect_err("the worker has one more");
    assert_eq!(pool.apply(give_back, ()).unwrap(), Some(3));
    thaw_soon(array);
}

#[test]
fn what_a_call_has_when_its_manager_is_dropped_stays_lent_until_it_has_ended() {
    let manager = Manager::in_process().unwrap();
    let hosted = manager.value(0u8).unwrap();
    let array = frozen(1);
    let (at_work, go_on) = (phalanx::sync::Event::new().unwrap(), phalanx::sync::Event::new().unwrap());
    std::thread::scope(|scope| {
        let sent = (array.clone(), at_work.clone(), go_on.clone());
        let call = scope.spawn(|| {
            hosted.hosted().call(
                |_, (array, at_work, go_on): (FrozenArray<u64>, phalanx::sync::Event, phalanx::sync::Event)| {
                    at_work.set();
                    go_on.wait();
                    array[0]
                },
                sent,
            )
        });
        at_work.wait();
        let end = scope.spawn(move || drop(manager));
        call.join().unwrap().unwrap_err();
        // The caller has its error; the server is still at work, or was killed.
        let server_is_gone = end.is_finished();
        let array = match array.thaw() {
            Err(array) => Some(array),
            Ok(_) => {
                assert!(server_is_gone || end.is_finished(), "thawed while the server may read");
                None
            }
        };
        go_on.set();
        end.join().unwrap();
        array.into_iter().for_each(thaw_soon);
    });
}

#[test]
fn what_a_worker_replaces_is_given_back_while_the_pool_lives() {
    let pool = pool();
    let keep_one = |array: FrozenArray<u64>| {
        *STOLEN.lock().unwrap() = vec![array];
    };
    let arrays: Vec<_> = (0..20).map(frozen).collect();
    for array in &arrays {
        pool.apply(keep_one, array.clone()).unwrap();
    }
    let mut arrays = arrays.into_iter();
    let last = arrays.next_back().unwrap();
    arrays.for_each(thaw_soon);
    let last = last.thaw().expect_err("the worker has it");
    assert_eq!(pool.apply(give_back, ()).unwrap(), Some(19));
    thaw_soon(last);
    // And at the end of the pool, whatever is left.
    let left = frozen(0);
    pool.apply(keep_one, left.clone()).unwrap();
    drop(pool);
    thaw_soon(left);
}

#[test]
fn handles_go_into_hosted_objects_and_come_back() {
    for manager in [Manager::new().unwrap(), Manager::in_process().unwrap()] {
        let list = manager.list::<FrozenArray<u64>>().unwrap();
        let array = frozen(5);
        list.push(array.clone()).unwrap();
        let array = array.thaw().expect_err("it is in the list");
        let came = list.pop().unwrap().unwrap();
        assert_eq!(came[999], 1004);
        drop(came);
        thaw_soon(array);
        // Dropped there, it is given back as well.
        let array = frozen(6);
        list.push(array.clone()).unwrap();
        list.clear().unwrap();
        thaw_soon(array);
    }
}

#[test]
fn hosted_objects_in_hosted_objects_come_back_to_everybody() {
    for manager in [Manager::new().unwrap(), Manager::in_process().unwrap()] {
        let outer = manager.list::<ListProxy<u32>>().unwrap();
        for n in 0..3 {
            let inner = manager.list::<u32>().unwrap();
            inner.push(n).unwrap();
            outer.push(inner).unwrap();
        }
        assert_eq!(outer.get(0).unwrap().unwrap().to_vec().unwrap(), [0]);
        assert_eq!(outer.pop().unwrap().unwrap().pop().unwrap(), Some(2));
        let elsewhere = |outer: ListProxy<ListProxy<u32>>| {
            let inner = outer.pop().unwrap().unwrap();
            inner.push(10).unwrap();
            inner.to_vec().unwrap()
        };
        assert_eq!(Process::spawn(elsewhere, outer.clone()).unwrap().join().unwrap(), [1, 10]);
        assert_eq!(
            pool().apply(|outer: ListProxy<ListProxy<u32>>| outer.len().unwrap(), outer.clone()).unwrap(),
            1
        );
        assert_eq!(outer.pop().unwrap().unwrap().to_vec().unwrap(), [0]);
        assert!(outer.pop().unwrap().is_none());
    }
}

/// Whatever numbers are read as a handle.
#[derive(Clone)]
struct Forged(u32);

impl Serialize for Forged {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(to)
    }
}

impl<'de> Deserialize<'de> for Forged {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Forged, D::Error> {
        FrozenArray::<u64>::deserialize(from).map(|array| Forged(array[0] as u32))
    }
}

#[test]
fn a_forged_handle_leads_to_what_its_message_keeps_or_nowhere() {
    let pool = pool();
    let (array, value) = (frozen(42), Lock::new(9u64).unwrap());
    let function = |(_, _, forged): (FrozenArray<u64>, Lock<u64>, Forged)| forged.0;
    let send = |forged| pool.apply(function, (array.clone(), value.clone(), Forged(forged)));
    assert_eq!(send(0).unwrap(), 42, "the array of this message");
    let error = send(1).unwrap_err().to_string();
    assert!(error.contains("no frozen array of this type"), "{error}");
    for number in [2, 3, u32::MAX] {
        let error = send(number).unwrap_err().to_string();
        assert!(error.contains("leads to 2 objects"), "{error}");
    }
    let error = pool.apply(|forged: Forged| forged.0, Forged(0)).unwrap_err().to_string();
    assert!(error.contains("travels only"), "{error}");
}

/// No task comes after it that would notice: launches alone, or nothing at all.
#[test]
fn what_a_dead_worker_kept_is_given_back_by_its_death() {
    let pool = pool();
    let array = frozen(0);
    pool.tasks().always_out().apply(|array: FrozenArray<u64>| steal(&array), array.clone()).unwrap();
    let array = array.thaw().expect_err("the worker has it");
    pool.for_each(0..1, |_| std::process::abort()).unwrap_err();
    thaw_soon(array);
    // Nobody thaws: the memory goes when the death is noted.
    let kept_by_pool = Kept::new();
    pool.tasks().always_out().apply(|array: FrozenArray<u64>| steal(&array), kept_by_pool.lend()).unwrap();
    pool.for_each(0..1, |_| std::process::abort()).unwrap_err();
    kept_by_pool.is_gone_soon();
}

/// Launches are told nothing of what workers let go of; who needs memory looks.
#[test]
fn what_a_worker_lets_go_of_in_a_launch_is_given_back_when_memory_is_wanted() {
    let pool = pool();
    let kept = Kept::new();
    pool.tasks().always_out().apply(|array: FrozenArray<u64>| steal(&array), kept.lend()).unwrap();
    pool.for_each(0..1, |_| STOLEN.lock().unwrap().clear()).unwrap();
    // Large enough for a segment of its own: small arrays come from what is there.
    let _more = SharedArray::<u64>::zeros(1 << 18).unwrap();
    kept.is_gone_soon();
}

fn maps() -> String {
    std::fs::read_to_string("/proc/self/maps").unwrap()
}

/// An array that lies in a segment of its own, which the memory map of this process shows.
struct Kept {
    array: std::cell::Cell<Option<FrozenArray<u64>>>,
    line: String,
}

impl Kept {
    fn new() -> Kept {
        let array = SharedArray::from_fn(1 << 20, |i| i as u64).unwrap().freeze().unwrap();
        let start = format!("{:x}-", array.as_slice().as_ptr().addr() & !0xfff);
        // With the file's number: others may come to lie where it lay.
        let line = maps().lines().find(|line| line.starts_with(&start)).unwrap().into();
        Kept { array: Some(array).into(), line }
    }

    /// The only handle.
    fn lend(&self) -> FrozenArray<u64> {
        self.array.take().unwrap()
    }

    #[track_caller]
    fn is_gone_soon(&self) {
        let limit = Instant::now() + Duration::from_secs(60);
        while maps().contains(&self.line) {
            assert!(Instant::now() < limit, "it is never given back");
            std::thread::yield_now();
        }
    }
}
