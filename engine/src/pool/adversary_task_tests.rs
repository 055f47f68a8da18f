//! A stray writer on the task board and in the tasks' bytes: no call lasts longer than its limit, dropping
//! the pool ends, and the driver neither panics nor reads outside. (What the workers compute meanwhile is
//! worth nothing.)
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use crate::base::atomic::{AtomicU8, Ordering};
use crate::base::random_tests::Random;
use crate::task::queue::TaskQueue;
use crate::task::queued::Store;
use crate::{Backend, Pool, TaskError};
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::time::Duration;

/// Words overwritten with each seed.
const SCRIBBLES: usize = 300;
/// Far above any limit of a call: a hang.
const FAR: Duration = Duration::from_secs(120);

/// Overwrites one word of the board, the first slots more often, or one byte of a task's block.
fn scribble(random: &mut Random, queue: &TaskQueue) {
    let parts = queue.board.parts();
    let part = random.below(parts.len() + 1);
    let Some(part) = parts.get(part) else { return scribble_block(random, queue) };
    let near = if random.below(4) == 0 { part.len() } else { part.len().min(300) };
    part[random.below(near)].store(random.word(), Ordering::Relaxed);
}

#[allow(unsafe_code)]
fn scribble_block(random: &mut Random, queue: &TaskQueue) {
    let books = queue.books.lock();
    let blocks =
        books.in_flight.iter().flatten().filter_map(|in_flight| match &in_flight.queued_task.packed.store {
            Store::Block(block) => Some(block),
            Store::Inline(_) => None,
        });
    let blocks: Vec<_> = blocks.collect();
    if blocks.is_empty() {
        return;
    }
    let block = blocks[random.below(blocks.len())];
    let at = block.ptr().as_ptr().wrapping_add(random.below(block.len().min(512)));
    // SAFETY: a byte of the block, which the task in flight holds while the books are locked.
    unsafe { AtomicU8::from_ptr(at) }.store(random.word() as u8, Ordering::Relaxed);
}

/// Calls on pools of their own, each with limits, until all was scribbled.
fn torment(seed: u64, backend: Backend) {
    let mut random = Random(seed);
    let left = AtomicUsize::new(SCRIBBLES);
    let mut broken = 0;
    while left.load(Ordering::Relaxed) > 0 {
        let pool = Pool::builder().workers(2).backend(backend).build().unwrap();
        let queue = pool.core.queue.clone().unwrap();
        let is_over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let (random, left, is_over) = (&mut random, &left, &is_over);
            scope.spawn(move || {
                while !is_over.load(Ordering::Relaxed) && left.load(Ordering::Relaxed) > 0 {
                    scribble(random, &queue);
                    left.fetch_sub(1, Ordering::Relaxed);
                    std::thread::sleep(Duration::from_micros(random.below(3000) as u64));
                }
            });
            for round in 0..12 {
                let tasks = pool.tasks().always_out().timeout(Duration::from_millis(200)).chunksize(5);
                let outcome = match round % 3 {
                    0 => tasks.try_map(|n: u64| n.wrapping_mul(n), 0..100).map(drop),
                    1 => tasks.try_map(|text: String| text.repeat(20), texts()).map(drop),
                    _ => {
                        let slow = tasks.map_async(|text: String| text.len(), texts());
                        slow.get_timeout(Duration::from_secs(20)).map(drop)
                    }
                };
                if let Err(TaskError::PoolBroken { reason }) = outcome {
                    assert!(!reason.is_empty());
                    broken += 1;
                    break;
                }
            }
            is_over.store(true, Ordering::Relaxed);
        });
        drop(pool);
    }
    eprintln!("seed {seed}: {broken} pools told that their board was overwritten");
}

fn texts() -> impl Iterator<Item = String> {
    (0..60).map(|n: usize| "word ".repeat(n))
}

fn survives(backend: Backend, seeds: std::ops::Range<u64>) {
    for seed in seeds {
        let (done, ended) = std::sync::mpsc::channel();
        // The driver in a thread of its own, so that a hang is a failure with a name.
        let driver = std::thread::spawn(move || {
            torment(seed, backend);
            done.send(()).unwrap();
        });
        ended.recv_timeout(FAR).unwrap_or_else(|_| panic!("seed {seed}: the driver panicked or hung"));
        driver.join().unwrap();
    }
    let pool = Pool::builder().workers(2).build().unwrap();
    assert_eq!(pool.map(|n: u64| n + 1, 0..10).unwrap(), (1..11).collect::<Vec<_>>());
}

#[test]
fn calls_keep_their_limits_while_the_task_board_is_overwritten() {
    survives(Backend::Processes, 1..4);
}

#[test]
fn so_they_do_where_workers_are_threads() {
    survives(Backend::Threads, 1..3);
}

#[test]
fn a_task_that_no_member_can_find_breaks_the_pool_and_says_why() {
    for backend in [Backend::Processes, Backend::Threads] {
        let pool = Pool::builder().workers(1).backend(backend).build().unwrap();
        let queue = pool.core.queue.clone().unwrap();
        // The only worker is busy, so that the next task stays queued until its word is overwritten.
        let until_told = |()| {
            while !crate::is_cancelled() {
                std::thread::yield_now()
            }
        };
        let busy = pool.apply_async(until_told, ());
        while pool.stats().workers[0].tasks == 0 {
            std::thread::yield_now();
        }
        let lost = pool.apply_async(|n: u64| n, 7);
        let index = queue.books.lock().in_flight.iter().rposition(Option::is_some).unwrap();
        queue.board.slot(index).state.store(7, Ordering::Relaxed);
        busy.cancel();
        let error = lost.get_timeout(FAR).unwrap_err();
        let TaskError::PoolBroken { reason } = &error else { panic!("{error}") };
        assert!(reason.contains("task board") && reason.contains("unsafe code"), "{reason}");
        let refused = pool.apply(|n: u64| n, 7).unwrap_err();
        assert!(matches!(refused, TaskError::PoolBroken { .. }), "{refused}");
    }
}
