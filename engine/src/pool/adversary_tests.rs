//! A stray or hostile writer on the board: whatever stands in its words, the driver never panics, reads
//! outside or hangs. (What the workers compute meanwhile is worth nothing: a writer that can reach the board
//! can reach the arrays.)
//!
//! # Safety
//! The heap board lives as long as its view.
#![allow(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use crate::base::Line;
use crate::base::atomic::{AtomicU32, AtomicU64, Ordering};
use crate::base::random_tests::Random;
use crate::launch::member::bitmap::Bitmap;
use crate::launch::region::step::{StepStates, left_with};
use crate::launch::schedule::{Claims, Schedule};
use crate::sys::clock::ticks;
use crate::team::board::{Board, BoardLayout};
use crate::team::fork_join::{ForkJoin, Presence, RankSet};
use crate::{Backend, LaunchError, Pool};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::time::Duration;

/// Overwrites one word of one part of the board, each part as likely as any other.
fn scribble(random: &mut Random, board: &Board) {
    let parts = board.parts();
    let part = parts[random.below(parts.len())];
    // Near the start more often: most of the bitmap is never used.
    let index =
        if random.below(2) == 0 { random.below(part.len()) } else { random.below(part.len().min(64)) };
    part[index].store(random.word(), Ordering::Relaxed);
}

/// A board on the heap.
fn with_heap_board(size: usize, body: impl FnOnce(&Board)) {
    let layout = BoardLayout::new(size);
    let mut memory: Vec<Line<[u64; 16]>> = Vec::new();
    memory.resize_with(layout.len_bytes.div_ceil(128), || Line([0; 16]));
    let base = NonNull::from(memory.as_mut_slice()).cast::<u8>();
    // SAFETY: `memory` outlives the view and is as long as the layout; lines are aligned as all parts need
    // it.
    body(&unsafe { Board::new(base, layout) });
}

#[test]
fn nothing_in_a_board_leads_outside_or_panics() {
    for size in [1, 2, 5, 70] {
        with_heap_board(size, |board| {
            let mut random = Random(size as u64 + 77);
            let bell = AtomicU32::new(0);
            for _ in 0..2000 {
                (0..20).for_each(|_| scribble(&mut random, board));
                look_at_everything(board, size, &bell, &mut random);
            }
        });
    }
}

/// Calls whatever reads the board.
fn look_at_everything(board: &Board, size: usize, bell: &AtomicU32, random: &mut Random) {
    let fork_join: ForkJoin<'_> = board.fork_join_with(bell);
    let epoch = random.below(200) as u64;
    let _ = (fork_join.is_over(), fork_join.unfinished(), fork_join.astray(epoch), fork_join.poll(0, epoch));
    assert!(fork_join.unfinished().iter().all(|rank| rank < size));
    fork_join.skip_absent(epoch);
    let _ = fork_join.finish(size - 1, epoch, Presence::Optional);
    fork_join.open(epoch, &RankSet::full(size), Presence::Optional);
    let rank = random.below(size);
    let _ = board.fault(rank).read(board.stop().load(Ordering::Relaxed));
    if let Some(fault) = board.fault(rank).read(0) {
        assert!(fault.message.len() < 4096);
    }
    let units = 1 + random.below(5000);
    let bitmap = Bitmap::new(board.bitmap(), units, size);
    assert!(bitmap.holes().count() <= units);
    let _ = bitmap.count();
    let victims: Vec<u32> = (0..size as u32 + 3).filter(|victim| *victim as usize != rank).collect();
    for schedule in [Schedule::Static, Schedule::Dynamic(3), Schedule::Guided, Schedule::Stealing] {
        let mut claims = Claims {
            schedule,
            units: units as u64,
            rank,
            size,
            ranges: board.ranges(),
            cursor: board.cursor(),
            victims: &victims,
            taken: false,
            steals: 0,
            nonsense: false,
            since: ticks(),
            run: 0,
            worth: 0,
        };
        let mut claimed = 0;
        while let Some(span) = claims.next() {
            assert!(span.hi <= units);
            claimed += span.len();
            assert!(claimed <= units * (size + 1), "claims end");
        }
    }
    let _: [u64; 3] = left_with(StepStates::of(board), rank);
}

/// Words overwritten with each seed.
const SCRIBBLES: usize = 300;
/// Far above any limit of a launch: a hang.
const FAR: Duration = Duration::from_secs(120);

#[test]
fn the_driver_outlives_a_scribbler() {
    (1..4).for_each(|seed| ends(seed, torment));
    // And nothing of it stays in this process.
    let pool = Pool::builder().workers(2).build().unwrap();
    let x = pool.from_fn(10_000, |i| i as u64).unwrap();
    assert_eq!(pool.reduce(x.split(), 0, |x| x.iter().sum::<u64>(), |a, b| a + b).unwrap(), 49_995_000);
}

/// Runs `torment` as a driver, in a thread of its own, so that a hang is a failure with a name.
fn ends(seed: u64, torment: fn(u64)) {
    let (done, ended) = std::sync::mpsc::channel();
    let driver = std::thread::spawn(move || {
        torment(seed);
        done.send(()).unwrap();
    });
    ended.recv_timeout(FAR).unwrap_or_else(|_| panic!("seed {seed}: the driver panicked or hung"));
    driver.join().unwrap();
}

/// Launches on worker processes, in pools of their own, while a thread writes what it likes over their board,
/// until all was scribbled.
fn torment(seed: u64) {
    let mut random = Random(seed);
    let left = AtomicUsize::new(SCRIBBLES);
    let (mut right, mut wrong) = (0, 0);
    while left.load(Ordering::Relaxed) > 0 {
        let pool = Pool::builder().workers(2).backend(Backend::Processes).build().unwrap();
        let is_over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let (random, left, is_over, pool) = (&mut random, &left, &is_over, &pool);
            scope.spawn(move || {
                while !is_over.load(Ordering::Relaxed) && left.load(Ordering::Relaxed) > 0 {
                    scribble(random, &pool.core.launcher.crew.board());
                    left.fetch_sub(1, Ordering::Relaxed);
                    std::thread::sleep(Duration::from_micros(random.below(3000) as u64));
                }
            });
            for round in 0..16 {
                match launch(pool, round % 4) {
                    Ok(()) => right += 1,
                    Err(error) => {
                        assert!(!error.to_string().is_empty());
                        wrong += 1;
                    }
                }
            }
            let _ = pool.stats();
            is_over.store(true, Ordering::Relaxed);
        });
        drop(pool);
    }
    eprintln!("seed {seed}: {right} launches returned Ok, {wrong} an error");
}

/// The words that call members to a launch, tell of its end, and let them sleep and leave; the first members'
/// mostly.
fn scribble_fork_join(random: &mut Random, pool: &Pool) {
    let (board, orders) = (pool.core.launcher.crew.board(), pool.core.launcher.crew.orders);
    let words: &[AtomicU64] = match random.below(8) {
        // Without the cursor, which says who does what.
        0 => &board.parts()[0][..48],
        1 => board.parts()[2],
        2 => board.parts()[3],
        3 => return orders.bell().store(random.word() as u32, Ordering::Relaxed),
        4 => return board.status(random.below(board.size())).leave.overwrite(random.word()),
        // Attendance.
        _ => board.parts()[1],
    };
    let newest = pool.core.launcher.crew.roster.lock().epoch;
    // Anything near what is there, but no call to this very launch: only its driver knows whether a member
    // may still enter.
    let near = [newest + 1, newest + 2, newest.saturating_sub(1), 0][random.below(4)];
    let likely = match random.below(4) {
        0 => newest << 2 | (1 + random.below(2) as u64),
        state => near << 2 | state as u64,
    };
    let value = if random.below(2) == 0 { random.word() } else { likely };
    // A line is 16 words, of which the first two are used, if any.
    words[(random.below(words.len().div_ceil(16)) * 16 + random.below(2)).min(words.len() - 1)]
        .store(value, Ordering::Relaxed);
}

/// How often each unit was run.
static RAN: [AtomicU64; 64] = [const { AtomicU64::new(0) }; 64];

fn count(range: std::ops::Range<usize>) {
    range.for_each(|i| {
        RAN[i].fetch_add(1, Ordering::Relaxed);
    });
}

/// Threads cannot be killed: launches on them end all the same, and those that return `Ok` have run
/// everything.
fn torment_threads(seed: u64) {
    let mut random = Random(seed);
    let (mut left, mut right, mut wrong) = (SCRIBBLES, 0, 0);
    while left > 0 {
        let pool = Pool::builder().workers(1 + random.below(2)).backend(Backend::Threads).build().unwrap();
        for round in 0..24 {
            let times = 1 + random.below(3);
            left = left.saturating_sub(times);
            RAN.iter().for_each(|ran| ran.store(0, Ordering::Relaxed));
            let outcome = std::thread::scope(|scope| {
                let (random, pool) = (&mut random, &pool);
                scope.spawn(move || {
                    for _ in 0..times {
                        scribble_fork_join(random, pool);
                        (0..random.below(20)).for_each(|_| std::thread::yield_now());
                    }
                });
                match round % 4 {
                    0 => pool.launch().chunk(1).for_each(0..64, count),
                    1 => pool.launch().schedule(Schedule::Static).for_each(0..64, count),
                    2 => pool.launch().region(0u64, |team, _| {
                        count(0..64);
                        team.barrier()
                    }),
                    _ => pool.broadcast(0..64, |_, range| count(range)),
                }
            });
            let ran: Vec<u64> = RAN.iter().map(|ran| ran.load(Ordering::Relaxed)).collect();
            match outcome {
                Ok(()) => {
                    right += 1;
                    let each = if round % 4 == 2 { pool.workers() as u64 } else { 1 };
                    assert!(ran.iter().all(|ran| *ran == each), "seed {seed}, round {round}: {ran:?}");
                }
                Err(error) => {
                    assert!(!error.to_string().is_empty());
                    wrong += 1;
                }
            }
        }
    }
    eprintln!("seed {seed}: {right} launches on threads returned Ok, {wrong} an error");
}

#[test]
fn launches_on_threads_end_while_the_words_that_call_them_are_overwritten() {
    for seed in 1..3 {
        ends(seed, torment_threads);
    }
}

/// One launch with a limit. No arrays: a unit run twice at once, as overwritten claims may ask for, must not
/// be a data race in this test.
fn launch(pool: &Pool, kind: u32) -> Result<(), LaunchError> {
    let launch = pool.launch().timeout(Duration::from_millis(100)).grace(Duration::from_millis(20));
    match kind {
        0 => launch.for_each(0..10_000, |range| {
            std::hint::black_box(range.sum::<usize>());
        }),
        1 => launch.reduce(0..10_000, 0, |range| range.sum::<usize>(), |a, b| a.wrapping_add(b)).map(drop),
        2 => launch
            .region(0u64, |team, _| {
                (0..50).try_for_each(|_| team.barrier())?;
                team.broadcast(0, 7u64)?;
                team.all_reduce(1u64, |a, b| a.wrapping_add(b))
            })
            .map(drop),
        _ => launch.broadcast(0u64, |rank, _| {
            std::hint::black_box(rank);
        }),
    }
}
