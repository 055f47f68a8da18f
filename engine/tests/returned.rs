//! Handles that tasks return: the driver gets the very object, whatever becomes of the worker, and nothing is
//! kept of those that nobody takes.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

mod common;

use common::send;
use phalanx::sync::{Counter, Lock};
use phalanx::{Backend, FrozenArray, Pool, Queue, QueueError, Receiver, Sender, SharedArray, TaskError};
use rustix::process::Signal;
use std::sync::Mutex;
use std::time::{Duration, Instant};

const LONG: Duration = Duration::from_secs(60);

fn pools() -> Vec<Pool> {
    vec![
        Pool::builder().workers(2).build().unwrap(),
        Pool::builder().workers(2).backend(Backend::Threads).build().unwrap(),
        Pool::builder().backend(Backend::Inline).build().unwrap(),
    ]
}

fn processes() -> Pool {
    Pool::builder().workers(1).build().unwrap()
}

fn frozen(first: u64) -> FrozenArray<u64> {
    SharedArray::from_fn(1000, |i| first + i as u64).unwrap().freeze().unwrap()
}

/// Gives the array back for writing, once whoever had it has let go.
#[track_caller]
fn thaw_soon(mut array: FrozenArray<u64>) {
    let limit = Instant::now() + LONG;
    while let Err(again) = array.thaw() {
        assert!(Instant::now() < limit, "it is never given back");
        array = again;
        std::thread::yield_now();
    }
}

#[track_caller]
fn ends<T: phalanx::channel::Message + std::fmt::Debug>(receiver: &Receiver<T>) {
    let end = receiver.recv_timeout(LONG);
    assert!(matches!(end, Err(QueueError::EndOfFile { .. })), "{end:?}");
}

fn die() -> ! {
    rustix::process::kill_process(rustix::process::getpid(), Signal::KILL).unwrap();
    unreachable!("it is dead")
}

#[test]
fn a_handle_comes_back_as_the_object_it_was() {
    for pool in pools() {
        let (counter, lock) = (Counter::new(1).unwrap(), Lock::new([7u64; 2]).unwrap());
        let queue = Queue::<String>::new().unwrap();
        let all = |(counter, lock, queue, text): (Counter, Lock<[u64; 2]>, Queue<String>, String)| {
            counter.add(1);
            lock.lock().unwrap()[1] = 8;
            queue.put(&text).unwrap();
            Some((queue, vec![(text, lock)], counter))
        };
        let argument = (counter.clone(), lock.clone(), queue.clone(), "text".to_owned());
        let (same_queue, locks, same_counter) = pool.apply(all, argument).unwrap().unwrap();
        same_counter.add(5);
        assert_eq!((counter.get(), same_queue.get().unwrap()), (7, "text".to_owned()), "{pool:?}");
        assert_eq!(*locks[0].1.lock().unwrap(), [7, 8]);
        assert_eq!(*lock.lock().unwrap(), [7, 8]);
        // The only handles that are left, and clones of them by any number of items.
        drop((queue, counter, lock));
        same_queue.put(&"more".into()).unwrap();
        assert_eq!(same_counter.get(), 7);
        let many = pool
            .map(
                |(n, queue): (usize, Queue<String>)| (queue.put(&n.to_string()), queue).1,
                (0..300).map(|n| (n, same_queue.clone())),
            )
            .unwrap();
        drop(same_queue);
        assert_eq!(many.len(), 300);
        assert_eq!(many[299].try_iter().count(), 301);
    }
}

#[test]
fn the_only_handle_of_an_array_goes_there_and_back() {
    for pool in pools() {
        for round in 0..50 {
            let there = pool.apply_async(|array: FrozenArray<u64>| (array[0], array), frozen(round));
            let (first, array) = there.get().unwrap();
            assert_eq!((first, array[999]), (round, round + 999), "{pool:?}");
            thaw_soon(array);
        }
    }
}

#[test]
fn large_results_and_results_in_pieces_bring_their_handles() {
    for pool in pools() {
        let counter = Counter::new(0).unwrap();
        let big = |(n, counter): (usize, Counter)| (vec![n as u8; n], counter, vec![1u8; n]);
        let sizes = [1usize, 100_000, 10, 3_000_000, 0];
        let results = pool.imap(big, sizes.map(|n| (n, counter.clone())));
        for (result, n) in results.zip(sizes) {
            let (bytes, same, ones) = result.unwrap();
            same.add(1);
            assert!(bytes.len() == n && ones.len() == n && bytes.iter().all(|byte| *byte == n as u8));
        }
        assert_eq!(counter.get(), 5);
    }
}

#[test]
fn results_that_nobody_takes_keep_nothing() {
    for pool in pools() {
        let (sender, receiver) = Queue::<u64>::pair().unwrap();
        let results: Vec<_> =
            (0..10).map(|_| pool.apply_async(|end: Sender<u64>| end, sender.clone())).collect();
        drop(sender);
        drop(results);
        ends(&receiver);
        // Taken, it counts until it is dropped.
        let (sender, receiver) = Queue::<u64>::pair().unwrap();
        let result = pool.apply_async(|end: Sender<u64>| end, sender);
        result.wait();
        assert!(matches!(receiver.recv_timeout(Duration::from_millis(30)), Err(QueueError::Empty)));
        let sender = result.get().unwrap();
        sender.send(&3).unwrap();
        assert_eq!(receiver.recv().unwrap(), 3);
        drop(sender);
        ends(&receiver);
    }
}

#[test]
fn cancelled_and_failing_tasks_keep_nothing() {
    for pool in pools().into_iter().take(2) {
        let (sender, receiver) = Queue::<u64>::pair().unwrap();
        let slow = |end: Sender<u64>| {
            end.send(&1).unwrap();
            while !phalanx::is_cancelled() {
                std::thread::sleep(Duration::from_millis(1));
            }
            end
        };
        let result = pool.apply_async(slow, sender.clone());
        assert_eq!(receiver.recv_timeout(LONG).unwrap(), 1);
        result.cancel();
        let panics = |end: Sender<u64>| -> Sender<u64> { panic!("with {end:?}") };
        assert!(matches!(pool.apply(panics, sender.clone()), Err(TaskError::Panicked { .. })));
        drop((sender, result));
        ends(&receiver);
    }
}

#[test]
fn a_worker_that_is_killed_takes_no_result_with_it_and_leaves_no_end() {
    let pool = processes();
    let (sender, receiver) = Queue::<u64>::pair().unwrap();
    let second_dies = |(n, end): (u32, Sender<u64>)| {
        if n == 1 {
            die();
        }
        end
    };
    for chunk in [1, 3] {
        let items = (0..3).map(|n| (n, sender.clone()));
        let outcomes = pool.tasks().chunksize(chunk).try_map(second_dies, items).unwrap();
        assert!(matches!(outcomes[1], Err(TaskError::WorkerDied { .. })), "{outcomes:?}");
        for n in [0, 2] {
            outcomes[n].as_ref().unwrap().send(&(n as u64)).unwrap();
            assert_eq!(receiver.recv_timeout(LONG).unwrap(), n as u64);
        }
    }
    drop(sender);
    ends(&receiver);
    // Killed while its result waits to be collected, idle, or anywhere in between.
    for round in 0..30 {
        let array = frozen(round);
        let result = pool.apply_async(|array: FrozenArray<u64>| array, array);
        std::thread::sleep(Duration::from_micros(20 * round));
        send(pool.worker_pids()[0], Signal::KILL);
        match result.get() {
            Ok(array) => {
                assert_eq!(array[1], round + 1);
                thaw_soon(array);
            }
            Err(error) => assert!(matches!(error, TaskError::WorkerDied { .. }), "{error}"),
        }
    }
}

static SAFE: Mutex<Option<FrozenArray<u64>>> = Mutex::new(None);

#[test]
fn what_a_worker_put_aside_can_be_returned_later() {
    let pool = processes();
    for round in 0..20 {
        pool.apply(|array: FrozenArray<u64>| *SAFE.lock().unwrap() = Some(array), frozen(round)).unwrap();
        // Taken out of the static, the last lease ends with the task that returns it.
        let array = pool.apply(|()| SAFE.lock().unwrap().take(), ()).unwrap().unwrap();
        assert_eq!((array[0], array[999]), (round, round + 999));
    }
}

#[test]
fn what_a_worker_made_is_refused_and_what_a_thread_made_arrives() {
    let make = |n: u64| {
        let counter = Counter::new(n).unwrap();
        (counter.clone(), counter)
    };
    for pool in pools().into_iter().skip(1) {
        let made = pool.map(make, 0..200u64).unwrap();
        for (n, (one, other)) in made.iter().enumerate() {
            one.add(1);
            assert_eq!(other.get(), n as u64 + 1, "{pool:?}");
        }
    }
    let refused = processes().apply(make, 1).unwrap_err();
    assert!(
        matches!(&refused, TaskError::Codec { what: "the result", why, .. }
        if why.contains("made by a worker") && why.contains("make it in the driver")),
        "{refused}"
    );
}

#[test]
fn time_limits_and_retries_go_with_handles() {
    for pool in pools().into_iter().take(2) {
        let counter = Counter::new(0).unwrap();
        let third_is_slow = |(n, counter): (u32, Counter)| {
            counter.add(1);
            if n == 2 && counter.get() < 100 {
                std::thread::sleep(Duration::from_millis(600));
            }
            (n, counter, Counter::new(7).is_ok())
        };
        let items = (0..4).map(|n| (n, counter.clone()));
        let tasks = pool.tasks().chunksize(4).timeout(Duration::from_millis(200));
        let outcomes = tasks.try_map(third_is_slow, items).unwrap();
        assert!(matches!(outcomes[2], Err(TaskError::TimedOut { .. })), "{outcomes:?}");
        let good = [0, 1, 3].map(|n| outcomes[n].as_ref().unwrap());
        good.iter().for_each(|(_, counter, _)| _ = counter.add(100));
        assert!(counter.get() >= 303);
    }
    let pool = processes();
    let tries = Counter::new(0).unwrap();
    let second_try = |tries: Counter| {
        tries.add(1);
        if tries.get() == 1 {
            die();
        }
        tries
    };
    let same = pool.tasks().retry(1).map(second_try, [tries.clone()]).unwrap();
    assert_eq!((same[0].get(), tries.get()), (2, 2));
}

#[test]
fn nothing_is_left_of_many_rounds() {
    let open = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    for pool in pools().into_iter().take(2) {
        let round = |n: u64| {
            let array = pool.apply(|array: FrozenArray<u64>| array, frozen(n)).unwrap();
            assert_eq!(array[0], n);
            drop(pool.apply_async(|array: FrozenArray<u64>| array, array));
        };
        (0..20).for_each(round);
        let before = open();
        (0..300).for_each(round);
        let limit = Instant::now() + LONG;
        while open() > before + 8 {
            assert!(Instant::now() < limit, "{} descriptors, then {}", before, open());
            round(1);
        }
    }
}
