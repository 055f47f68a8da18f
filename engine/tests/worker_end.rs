//! The orderly end of workers and processes: what they still do, and what reaches the program of it.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

mod common;

use phalanx::sync::{Counter, Event};
use phalanx::{Backend, Manager, PerWorker, Pool, Process, Schedule};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};

/// A launch in which every rank is given one chunk.
macro_rules! on_every_rank {
    ($pool:expr, $state:expr, $counter:expr, $body:expr) => {
        let all = $pool.launch().chunk(1).schedule(Schedule::Static);
        all.for_each((0..$pool.workers(), $state, $counter), $body).unwrap();
    };
}

/// Counts its drop in shared memory.
struct Counts(Option<Counter>);

impl Drop for Counts {
    fn drop(&mut self) {
        self.0.iter().for_each(|counter| {
            counter.add(1);
        });
    }
}

#[test]
fn states_with_handles_are_dropped_while_what_they_name_is_mapped() {
    for backend in [Backend::Processes, Backend::Threads] {
        let pool = Pool::builder().workers(3).backend(backend).build().unwrap();
        let counter = Counter::new(0).unwrap();
        let state = PerWorker::new(|_| Counts(None));
        on_every_rank!(&pool, &state, &counter, |(_, state, counter)| state.0 = Some(counter.clone()));
        drop(pool);
        assert_eq!(counter.get(), 3, "{backend}");
    }
}

#[test]
fn the_drop_of_one_state_that_panics_keeps_no_other_from_its_own() {
    struct Bad;
    impl Drop for Bad {
        fn drop(&mut self) {
            panic!("a bad drop")
        }
    }
    for backend in [Backend::Processes, Backend::Threads] {
        let pool = Pool::builder().workers(2).backend(backend).build().unwrap();
        let counter = Counter::new(0).unwrap();
        // In whatever order they are dropped, some stand behind a bad one.
        let states: Vec<_> =
            (0..8).map(|_| (PerWorker::new(|_| Bad), PerWorker::new(|_| Counts(None)))).collect();
        for (bad, good) in &states {
            on_every_rank!(&pool, bad, &counter, |_| ());
            on_every_rank!(&pool, good, &counter, |(_, state, counter)| state.0 = Some(counter.clone()));
        }
        drop(pool);
        assert_eq!(counter.get(), 16, "{backend}");
    }
}

/// Beats of the thread that a worker's task left running.
static BEATS: AtomicU64 = AtomicU64::new(0);

/// Its drop waits until the thread has gone on for a while, and only then tells that it could.
struct Waits(Option<Counter>);

impl Drop for Waits {
    fn drop(&mut self) {
        let Some(counter) = &self.0 else { return };
        let until = BEATS.load(Ordering::Relaxed) + 1000;
        while BEATS.load(Ordering::Relaxed) < until {
            std::thread::yield_now();
        }
        counter.add(1_000_000_000_000);
    }
}

#[test]
fn threads_that_were_left_running_use_shared_objects_until_the_end() {
    let pool = Pool::builder().workers(2).backend(Backend::Processes).build().unwrap();
    let counter = Counter::new(0).unwrap();
    let state = PerWorker::new(|_| Waits(None));
    on_every_rank!(&pool, &state, &counter, |(_, state, counter)| {
        state.0 = Some(counter.clone());
        let counter = counter.clone();
        std::thread::spawn(move || {
            loop {
                counter.add(1);
                BEATS.fetch_add(1, Ordering::Relaxed);
            }
        });
    });
    drop(pool);
    assert_eq!(counter.get() / 1_000_000_000_000, 2, "both drops saw their thread go on");
}

#[test]
fn hosted_objects_are_dropped_one_by_one_when_their_manager_ends() {
    #[derive(serde::Serialize, serde::Deserialize)]
    struct Bad;
    impl Drop for Bad {
        fn drop(&mut self) {
            panic!("a bad drop")
        }
    }
    struct Good(Counter);
    impl Drop for Good {
        fn drop(&mut self) {
            self.0.add(1);
        }
    }
    let counter = Counter::new(0).unwrap();
    for manager in [Manager::new().unwrap(), Manager::in_process().unwrap()] {
        for _ in 0..4 {
            std::mem::forget(manager.host_with(|()| Bad, ()).unwrap());
            std::mem::forget(manager.host_with(Good, counter.clone()).unwrap());
        }
        drop(manager);
    }
    assert_eq!(counter.get(), 8);
}

/// What an ignored test of this file, run as a program, writes to its standard output.
fn output_of(program: &str) -> String {
    let run = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", program, "--ignored", "--nocapture"])
        .output()
        .unwrap();
    assert!(run.status.success(), "{run:?}");
    String::from_utf8(run.stdout).unwrap()
}

#[test]
fn what_was_printed_without_the_end_of_a_line_is_not_lost() {
    let text = output_of("prints");
    for part in ["<launch>", "<task>", "<process>", "<thread>"] {
        assert_eq!(text.matches(part).count(), 1, "{part} in {text:?}");
    }
}

#[test]
#[ignore = "a program of its own for the test above"]
fn prints() {
    let pool = Pool::builder().workers(1).backend(Backend::Processes).build().unwrap();
    pool.for_each(0..1, |_| print!("<launch>")).unwrap();
    pool.apply(|()| print!("<task>"), ()).unwrap();
    drop(pool);
    Process::spawn(|()| print!("<process>"), ()).unwrap().join().unwrap();
    let held = Pool::builder().workers(1).backend(Backend::Processes).build().unwrap();
    // A thread that holds the stream forever does not hold up the end.
    held.apply(
        |()| {
            let (ready, is_ready) = std::sync::mpsc::sync_channel(1);
            std::thread::spawn(move || {
                let _held = std::io::stdout().lock();
                ready.send(()).unwrap();
                loop {
                    std::thread::park();
                }
            });
            is_ready.recv().unwrap();
        },
        (),
    )
    .unwrap();
    drop(held);
    print!("<thread>");
    std::io::Write::flush(&mut std::io::stdout()).unwrap();
}

/// Stops its process when it is dropped.
struct Stops;

impl Drop for Stops {
    fn drop(&mut self) {
        let _stopped =
            rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::STOP);
    }
}

#[test]
fn a_worker_that_may_end_and_does_not_is_killed() {
    let retires = || {
        let pool = Pool::builder().workers(1).max_tasks_per_worker(1).build().unwrap();
        let state = PerWorker::scratch(|_| Stops);
        pool.broadcast(&state, |_, _| ()).unwrap();
        for n in 0..3u64 {
            assert_eq!(pool.tasks().always_out().apply(|n| n + 1, n).unwrap(), n + 1);
        }
        // Its successor.
        pool.broadcast(0..1, |_, _| ()).unwrap();
    };
    let shrinks = || {
        let pool = Pool::builder().workers(2).build().unwrap();
        common::send(pool.worker_pids()[1], rustix::process::Signal::STOP);
        pool.resize(1).unwrap();
        common::assert_right(&pool);
        pool.resize(2).unwrap();
        common::assert_right(&pool);
    };
    common::within(common::LONG, move || {
        std::thread::scope(|scope| {
            scope.spawn(retires);
            shrinks();
        });
    });
}

#[test]
fn a_rank_that_is_wanted_again_goes_on_with_its_task() {
    for backend in [Backend::Processes, Backend::Threads] {
        common::within(common::LONG, move || {
            let pool = Pool::builder().workers(2).backend(backend).build().unwrap();
            let (begun, go) = (Counter::new(0).unwrap(), Event::new().unwrap());
            let body = |(begun, go): (Counter, Event)| {
                begun.add(1);
                go.wait();
                phalanx::current_rank()
            };
            let tasks: Vec<_> = (0..2).map(|_| pool.apply_async(body, (begun.clone(), go.clone()))).collect();
            while begun.get() < 2 {
                std::thread::yield_now();
            }
            let pids = pool.worker_pids();
            for _ in 0..3 {
                pool.resize(1).unwrap();
                assert_eq!(pool.workers(), 1);
                pool.resize(2).unwrap();
            }
            assert_eq!(pool.worker_pids(), pids);
            go.set();
            let mut ranks: Vec<_> = tasks.into_iter().map(|task| task.get().unwrap()).collect();
            ranks.sort();
            assert_eq!(ranks, [Some(0), Some(1)]);
            common::assert_right(&pool);
            assert_eq!(pool.map(|n: u64| n + 1, 0..100).unwrap(), (1..101).collect::<Vec<_>>());
        });
    }
}
