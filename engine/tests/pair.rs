//! A queue of two ends ends by itself: when its last sender returns, panics or dies, whatever it was doing.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

mod common;

use common::{LONG, send, state_of, within};
use phalanx::channel::{Queue, QueueError, QueueOptions, Receiver, Sender};
use phalanx::sync::Counter;
use phalanx::{Backend, Pool, Process, TaskError};
use rustix::process::Signal;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::sync::Mutex;

const BACKENDS: [Backend; 3] = [Backend::Processes, Backend::Threads, Backend::Inline];

fn pool(workers: usize, backend: Backend) -> Pool {
    Pool::builder().workers(workers).backend(backend).build().unwrap()
}

fn kill_me() {
    send(std::process::id(), Signal::KILL);
    std::thread::park();
}

/// What is left in the queue, up to its end, which must come by itself.
fn rest<T: phalanx::channel::Message + Send + 'static>(receiver: Receiver<T>) -> Vec<T> {
    within(LONG, move || {
        let rest: Result<Vec<T>, QueueError> = receiver.iter().collect();
        assert!(matches!(receiver.recv(), Err(QueueError::EndOfFile { .. })), "and it stays so");
        rest.unwrap()
    })
}

/// Kills whoever reads it.
#[derive(Debug)]
struct Deadly;

impl Serialize for Deadly {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_unit()
    }
}

impl<'de> Deserialize<'de> for Deadly {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Deadly, D::Error> {
        kill_me();
        Err(serde::de::Error::custom("dead"))
    }
}

#[test]
fn it_ends_when_the_mappers_have_returned() {
    for backend in BACKENDS {
        let pool = pool(2, backend);
        let (sender, receiver) = Queue::<u32>::pair().unwrap();
        let mapper = |(sender, from): (Sender<u32>, u32)| {
            (from..from + 100).for_each(|i| sender.send(&i).unwrap());
        };
        let mappers: Vec<_> = (0..4).map(|i| pool.apply_async(mapper, (sender.clone(), i * 100))).collect();
        drop(sender);
        let mut all = rest(receiver);
        all.sort_unstable();
        assert_eq!(all, (0..400).collect::<Vec<_>>(), "{backend:?}");
        mappers.into_iter().for_each(|mapper| mapper.get().unwrap());
    }
}

#[test]
fn it_ends_when_the_mapper_panics() {
    for backend in BACKENDS {
        let pool = pool(1, backend);
        let (sender, receiver) = Queue::<u32>::pair().unwrap();
        let mapper = pool.apply_async(
            |sender: Sender<u32>| {
                sender.send(&1).unwrap();
                sender.send(&2).and(Err::<(), _>(QueueError::Empty)).expect("on purpose");
            },
            sender,
        );
        assert_eq!(rest(receiver), [1, 2], "{backend:?}");
        assert!(matches!(mapper.get(), Err(TaskError::Panicked { .. })));
    }
}

#[test]
fn it_ends_when_the_mapper_is_killed_holding_its_sender() {
    let pool = pool(1, Backend::Processes);
    let (sender, receiver) = Queue::<Vec<u8>>::pair().unwrap();
    let mapper = pool.apply_async(
        |sender: Sender<Vec<u8>>| {
            (0..5).for_each(|i| sender.send(&vec![i; 10_000]).unwrap());
            kill_me()
        },
        sender,
    );
    assert!(matches!(mapper.get(), Err(TaskError::WorkerDied { .. })));
    let all = within(LONG, move || {
        let all: Vec<_> = receiver.iter().map(Result::unwrap).collect();
        assert!(matches!(receiver.recv(), Err(QueueError::EndOfFile { died: Some(_) })), "it says who died");
        all
    });
    assert_eq!(all, (0..5).map(|i| vec![i; 10_000]).collect::<Vec<_>>());
}

#[test]
fn it_ends_when_the_mapper_is_killed_before_it_has_its_sender() {
    let pool = pool(1, Backend::Processes);
    let (sender, receiver) = Queue::<u32>::pair().unwrap();
    // The arguments are read in order: the worker is dead before it comes to the sender.
    let mapper =
        pool.apply_async(|(_, sender): (Deadly, Sender<u32>)| sender.send(&1).unwrap(), (Deadly, sender));
    assert_eq!(rest(receiver), [0; 0]);
    assert!(mapper.get().is_err());
    // And after it has it, but before the task begins.
    let (sender, receiver) = Queue::<u32>::pair().unwrap();
    let mapper =
        pool.apply_async(|(sender, _): (Sender<u32>, Deadly)| sender.send(&1).unwrap(), (sender, Deadly));
    assert_eq!(rest(receiver), [0; 0]);
    assert!(mapper.get().is_err());
}

#[test]
fn it_ends_when_the_mapper_is_killed_waiting_for_room() {
    let pool = pool(1, Backend::Processes);
    let (tell, told) = Queue::<u32>::pair().unwrap();
    let (sender, receiver) =
        Queue::<u32>::pair_with(QueueOptions { maxsize: 2, ..QueueOptions::default() }).unwrap();
    let mapper = pool.apply_async(
        |(tell, sender): (Sender<u32>, Sender<u32>)| {
            tell.send(&std::process::id()).unwrap();
            while sender.send(&7).is_ok() {}
        },
        (tell, sender),
    );
    let pid = told.recv_timeout(LONG).unwrap();
    kill_asleep(pid, || receiver.len() == 2);
    assert_eq!(rest(receiver), [7, 7]);
    assert!(matches!(mapper.get(), Err(TaskError::WorkerDied { .. })));
}

#[test]
fn senders_hear_that_the_last_receiver_was_killed_waiting() {
    let pool = pool(2, Backend::Processes);
    let (tell, told) = Queue::<u32>::pair().unwrap();
    let (sender, receiver) = Queue::<String>::pair().unwrap();
    let reader = pool.apply_async(
        |(tell, receiver): (Sender<u32>, Receiver<String>)| {
            tell.send(&std::process::id()).unwrap();
            receiver.recv().is_ok()
        },
        (tell, receiver),
    );
    kill_asleep(told.recv_timeout(LONG).unwrap(), || true);
    assert!(matches!(reader.get(), Err(TaskError::WorkerDied { .. })));
    let item = "still mine".to_owned();
    while sender.send(&item).is_ok() {
        std::thread::yield_now();
    }
    assert!(matches!(sender.send(&item), Err(QueueError::EndOfFile { died: Some(_) })));
    assert_eq!(item, "still mine");
}

/// Kills a process once it sleeps, and `is_full` holds.
fn kill_asleep(pid: u32, is_full: impl Fn() -> bool) {
    while !is_full() || state_of(pid) != Some('S') {
        std::thread::yield_now();
    }
    send(pid, Signal::KILL);
}

#[test]
fn handles_of_tasks_that_never_begin_count_until_the_pool_gives_them_up() {
    let pool = pool(1, Backend::Processes);
    let (go, gone) = Queue::<()>::pair().unwrap();
    let first = pool.apply_async(|gone: Receiver<()>| gone.recv().is_err(), gone);
    let (sender, receiver) = Queue::<u32>::pair().unwrap();
    let waiting = pool.apply_async(|sender: Sender<u32>| sender.send(&1).unwrap(), sender);
    assert!(matches!(receiver.try_recv(), Err(QueueError::Empty)), "its sender is on its way");
    pool.terminate();
    assert_eq!(rest(receiver), [0; 0]);
    assert!(waiting.get().is_err());
    drop((go, first));
}

#[test]
fn more_handles_than_there_are_processes_are_counted() {
    let pool = pool(2, Backend::Processes);
    let (sender, receiver) = Queue::<u32>::pair().unwrap();
    let tasks: Vec<_> = (0..1000)
        .map(|i| {
            pool.apply_async(|(sender, i): (Sender<u32>, u32)| sender.send(&i).unwrap(), (sender.clone(), i))
        })
        .collect();
    drop(sender);
    let mut all = rest(receiver);
    all.sort_unstable();
    assert_eq!(all, (0..1000).collect::<Vec<_>>());
    tasks.into_iter().for_each(|task| task.get().unwrap());
}

/// What a worker has kept.
static KEPT: Mutex<Option<Sender<u32>>> = Mutex::new(None);

#[test]
fn a_sender_that_a_task_has_kept_counts_until_it_is_dropped() {
    let pool = pool(1, Backend::Processes);
    let (sender, receiver) = Queue::<u32>::pair().unwrap();
    pool.apply(|sender: Sender<u32>| *KEPT.lock().unwrap() = Some(sender), sender).unwrap();
    // The task has ended, and its argument lives on.
    pool.apply(|()| KEPT.lock().unwrap().as_ref().unwrap().send(&3).unwrap(), ()).unwrap();
    assert_eq!(receiver.recv().unwrap(), 3);
    assert!(matches!(receiver.try_recv(), Err(QueueError::Empty)));
    pool.apply(|()| drop(KEPT.lock().unwrap().take()), ()).unwrap();
    assert_eq!(rest(receiver), [0; 0]);
}

#[test]
fn what_a_launch_lends_counts_as_long_as_the_drivers_own() {
    for backend in BACKENDS {
        let pool = pool(2, backend);
        let (sender, receiver) = Queue::<usize>::pair().unwrap();
        pool.for_each((0..100, &sender), |(range, sender)| {
            range.for_each(|i| sender.send(&i).unwrap());
        })
        .unwrap();
        pool.region(&sender, |team, sender| {
            sender.send(&(1000 + team.rank())).unwrap();
            Ok(0u64)
        })
        .unwrap();
        drop(sender);
        let mut all = rest(receiver);
        all.sort_unstable();
        assert_eq!(all.len(), 100 + pool.workers(), "{backend:?}");
        assert_eq!(all[..100], (0..100).collect::<Vec<_>>());
    }
}

#[test]
fn a_clone_of_what_a_launch_lent_counts_for_the_worker_until_it_dies() {
    let pool = pool(1, Backend::Processes);
    let (sender, receiver) = Queue::<u32>::pair().unwrap();
    pool.broadcast(&sender, |_, sender| *KEPT.lock().unwrap() = Some(sender.clone())).unwrap();
    drop(sender);
    assert!(matches!(receiver.try_recv(), Err(QueueError::Empty)));
    assert!(pool.broadcast((), |_, ()| kill_me()).is_err());
    assert_eq!(rest(receiver), [0; 0]);
}

#[test]
fn it_ends_with_the_process_that_has_the_sender() {
    let (sender, receiver) = Queue::<u32>::pair().unwrap();
    let returns = |sender: Sender<u32>| (0..3).for_each(|i| sender.send(&i).unwrap());
    let process = Process::spawn(returns, sender).unwrap();
    assert_eq!(rest(receiver), [0, 1, 2]);
    process.join().unwrap();

    let (sender, receiver) = Queue::<u32>::pair().unwrap();
    let (tell, told) = Queue::<u32>::pair().unwrap();
    let (_keep, never) = Queue::<u32>::pair().unwrap();
    let waits = |(sender, tell, never): (Sender<u32>, Sender<u32>, Receiver<u32>)| {
        sender.send(&1).unwrap();
        tell.send(&0).unwrap();
        let _ = never.recv();
    };
    let process = Process::spawn(waits, (sender, tell, never)).unwrap();
    told.recv_timeout(LONG).unwrap();
    process.kill();
    assert_eq!(rest(receiver), [1]);
}

#[test]
fn ends_of_threads_count_too() {
    let (sender, receiver) = Queue::<u32>::pair().unwrap();
    let reader = std::thread::spawn(move || receiver.into_iter().map(Result::unwrap).sum::<u32>());
    let writers: Vec<_> = (0..3)
        .map(|i| {
            let sender = sender.clone();
            std::thread::spawn(move || sender.send(&i).unwrap())
        })
        .collect();
    drop(sender);
    assert_eq!(within(LONG, move || reader.join().unwrap()), 3);
    writers.into_iter().for_each(|writer| writer.join().unwrap());
}

#[test]
fn a_sender_without_receivers_keeps_its_item() {
    let (sender, receiver) = Queue::<String>::pair().unwrap();
    let second = receiver.clone();
    let item = "mine".to_owned();
    sender.send(&item).unwrap();
    drop(receiver);
    assert_eq!(second.try_iter().map(Result::unwrap).collect::<Vec<_>>(), ["mine"]);
    drop(second);
    assert!(matches!(sender.try_send(&item), Err(QueueError::EndOfFile { died: None })));
    assert_eq!(item, "mine");
}

#[test]
fn a_map_whose_worker_dies_half_way_goes_on_with_the_same_senders() {
    let pool = pool(2, Backend::Processes);
    let (sender, receiver) = Queue::<u32>::pair().unwrap();
    let deaths = Counter::new(0).unwrap();
    let items: Vec<_> = (0..500).map(|i| (sender.clone(), deaths.clone(), i)).collect();
    drop(sender);
    let mapped = pool.tasks().retry(1).map_async(
        |(sender, deaths, i): (Sender<u32>, Counter, u32)| {
            if i == 250 && deaths.add(1) == 0 {
                kill_me();
            }
            sender.send(&i).unwrap();
        },
        items,
    );
    let mut all = rest(receiver);
    all.sort_unstable();
    assert_eq!(all, (0..500).collect::<Vec<_>>());
    assert_eq!(mapped.get().unwrap().len(), 500);
    assert_eq!(deaths.get(), 2);
}
