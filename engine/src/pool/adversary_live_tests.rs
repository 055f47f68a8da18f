//! A stray writer over the words of queues, pipes, locks and the like while threads of the driver and worker
//! processes use them: no call lasts longer than its limit, nothing is read outside, no process dies, drops
//! end. (What comes out is worth nothing.)
//!
//! # Safety
//! An object's words and what follows them are mapped as long as the object lives, and may be read and
//! written as atomics.
#![allow(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use crate::base::atomic::{AtomicU32, Ordering};
use crate::base::random_tests::Random;
use crate::channel::{JoinableQueue, Pipe, Queue, QueueError, QueueOptions, Receiver, Sender};
use crate::shared::SharedList;
use crate::sync::{Barrier, BoundedSemaphore, Condition, Event, Lock, RLock, Remote, RwLock, Semaphore};
use crate::{Backend, Operand, Pool};
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::time::{Duration, Instant};

/// Words overwritten with each seed.
const SCRIBBLES: usize = 300;
/// Those after which the objects are made anew.
const ROUND: usize = 10;
/// What each call may take.
const LIMIT: Duration = Duration::from_millis(20);
/// How long a caller keeps what it got.
const DWELL: Duration = Duration::from_micros(300);
/// Far above any limit of a call.
const FAR: Duration = Duration::from_secs(20);
/// Far above what all rounds take: a hang.
const HANG: Duration = Duration::from_secs(300);
/// Calls of a thread or a worker in a round.
const CALLS: usize = 80;
/// Failures after which it gives a round up.
const FAILURES: usize = 4;

/// The words of an object, and what follows them.
fn words<H: Remote>(handle: &H) -> &[AtomicU32] {
    let place = handle.place();
    // SAFETY: the object's own bytes, which are mapped, and aligned to 4 as all words are.
    unsafe { std::slice::from_raw_parts(place.words().cast().as_ptr(), place.len_bytes() / 4) }
}

/// Overwrites a word or two: mostly among the first, which are used the most, else among the first `near`.
fn scribble(random: &mut Random, words: &[AtomicU32], near: usize) {
    let span = [2, 16, 48, near][random.below(4)].min(words.len());
    let (at, value) = (random.below(span), random.word());
    let at = if random.below(2) == 0 { at } else { at & !1 };
    words[at].store(value as u32, Ordering::Relaxed);
    if random.below(2) == 0 && at + 1 < words.len() {
        words[at + 1].store((value >> 32) as u32, Ordering::Relaxed);
    }
}

/// Holds what it holds for a moment, in which its words may be overwritten.
fn dwell() {
    let began = Instant::now();
    while began.elapsed() < DWELL {
        std::hint::spin_loop();
    }
}

/// Makes calls at random until so many are made or have failed; each must end in time. Returns how many did
/// and how many failed.
fn call(seed: u64, mut one: impl FnMut(&mut Random) -> bool) -> [usize; 2] {
    let mut random = Random(seed | 1);
    let mut failures = 0;
    for made in 0..CALLS {
        let began = Instant::now();
        failures += usize::from(!one(&mut random));
        let took = began.elapsed();
        assert!(took < FAR, "a call with a limit of {LIMIT:?} took {took:?}");
        if failures == FAILURES {
            return [made + 1 - failures, failures];
        }
    }
    [CALLS - failures, failures]
}

/// Objects, how they are used, and their words.
struct Scene<O> {
    make: fn() -> O,
    use_one: fn(&O, &mut Random) -> bool,
    scribble: fn(&O, &mut Random),
}

/// Rounds on objects of their own, with two threads here and what `work` has the workers do, until all was
/// scribbled.
fn torment<O: Sync>(seed: u64, scene: &Scene<O>, work: impl Fn(&Pool, &O)) {
    let mut random = Random(seed);
    let (mut left, mut total) = (SCRIBBLES, [0; 2]);
    let pool = Pool::builder().workers(2).backend(Backend::Processes).build().unwrap();
    while left > 0 {
        let objects = (scene.make)();
        let (is_over, written) = (AtomicBool::new(false), AtomicUsize::new(0));
        let seeds = [random.next(), random.next()];
        std::thread::scope(|scope| {
            let (random, objects, is_over, written) = (&mut random, &objects, &is_over, &written);
            scope.spawn(move || {
                while !is_over.load(Ordering::Relaxed) && written.load(Ordering::Relaxed) < ROUND {
                    std::thread::sleep(Duration::from_micros(random.below(1500) as u64));
                    (scene.scribble)(objects, random);
                    written.fetch_add(1, Ordering::Relaxed);
                }
            });
            let callers =
                seeds.map(|seed| scope.spawn(move || call(seed, |random| (scene.use_one)(objects, random))));
            work(&pool, objects);
            for caller in callers {
                let [right, failed] = caller.join().unwrap();
                (total[0], total[1]) = (total[0] + right, total[1] + failed);
            }
            is_over.store(true, Ordering::Relaxed);
        });
        left = left.saturating_sub(written.into_inner().max(1));
        drop(objects);
    }
    eprintln!("seed {seed}: {} calls of the driver came to something, {} failed", total[0], total[1]);
    assert_eq!(pool.stats().respawns, 0, "seed {seed}: a worker died");
}

fn survives<O: Sync + 'static>(seeds: std::ops::Range<u64>, scene: Scene<O>, work: fn(&Pool, &O)) {
    let scene = std::sync::Arc::new(scene);
    for seed in seeds {
        let (done, ended) = std::sync::mpsc::channel();
        let scene = scene.clone();
        // In a thread of its own, so that a hang is a failure with a name.
        let driver = std::thread::spawn(move || {
            torment(seed, &scene, work);
            done.send(()).unwrap();
        });
        ended.recv_timeout(HANG).unwrap_or_else(|_| panic!("seed {seed}: a call failed or hung"));
        driver.join().unwrap();
    }
}

/// Runs `body` on every worker; none may die, panic or hang.
fn on_workers<O: Operand, K>(pool: &Pool, operands: O, body: K)
where
    K: for<'w> Fn(usize, O::View<'w>) + Copy + Send + Sync + 'static,
{
    pool.launch().timeout(HANG).broadcast(operands, body).unwrap();
}

/// What channels are tried with.
type Channels = (Queue<Vec<u64>>, JoinableQueue<(u64, String)>, Sender<Vec<u8>>, Receiver<Vec<u8>>);

fn channels() -> Channels {
    let options = QueueOptions { capacity_bytes: 1 << 16, maxsize: 12, ..QueueOptions::default() };
    let (sender, receiver) = Pipe::ends().unwrap();
    (Queue::with_options(options).unwrap(), JoinableQueue::with_options(options).unwrap(), sender, receiver)
}

fn scribble_channels((queue, joinable, sender, _): &Channels, random: &mut Random) {
    // Hot and control words, tables, and the whole of a small area; of the pipe's, as far as its items reach.
    match random.below(3) {
        0 => scribble(random, words(queue), usize::MAX),
        1 => scribble(random, words(&**joinable), usize::MAX),
        _ => scribble(random, words(sender), 28_000),
    }
}

/// One call on channels; whether it came to anything.
fn use_channel(
    queue: &Queue<Vec<u64>>,
    joinable: &JoinableQueue<(u64, String)>,
    sender: &Sender<Vec<u8>>,
    receiver: &Receiver<Vec<u8>>,
    random: &mut Random,
) -> bool {
    // Small items, and ones that are copied outside the lock.
    let len = [3, 100, 900][random.below(3)];
    let outcome = match random.below(9) {
        0 => queue.put_timeout(&vec![7; len], LIMIT),
        1 => queue.get_timeout(LIMIT).map(drop),
        2 => queue.claim_timeout(LIMIT).map(|_claimed| dwell()),
        3 => joinable.put_timeout(&(1, "item".repeat(len)), LIMIT),
        4 => joinable.get_timeout(LIMIT).and_then(|_| joinable.task_done()),
        5 => joinable.join_timeout(LIMIT).map(drop),
        6 => sender.send_timeout(&vec![1; len * 8], LIMIT),
        7 => receiver.recv_timeout(LIMIT).map(drop),
        _ => {
            let _ = (queue.len(), joinable.unfinished(), queue.memory_bytes(), joinable.lost());
            receiver.poll(LIMIT).map(drop)
        }
    };
    if let Err(error) = &outcome {
        assert!(!error.to_string().is_empty());
    }
    !matches!(outcome, Err(QueueError::Full { .. } | QueueError::Corrupt { .. }))
}

#[test]
fn channels_keep_their_limits_while_their_words_are_overwritten() {
    let scene = Scene {
        make: channels,
        use_one: |(queue, joinable, sender, receiver), random| {
            use_channel(queue, joinable, sender, receiver, random)
        },
        scribble: scribble_channels,
    };
    survives(1..3, scene, |pool, (queue, joinable, sender, receiver)| {
        on_workers(pool, (queue, joinable, sender, receiver), |rank, (queue, joinable, sender, receiver)| {
            call(rank as u64 + 99, |random| use_channel(queue, joinable, sender, receiver, random));
        });
    });
}

/// What the sync floor is tried with. The last lock's words stay as they are: a condition's wait ends with
/// taking it, which has no limit.
type Tools = (
    Lock<[u64; 4]>,
    RLock<u64>,
    RwLock<u64>,
    Semaphore,
    BoundedSemaphore,
    Barrier,
    Event,
    (Condition, Lock<u64>),
);

fn tools() -> Tools {
    (
        Lock::new([0; 4]).unwrap(),
        RLock::new(0).unwrap(),
        RwLock::new(0).unwrap(),
        Semaphore::new(3).unwrap(),
        BoundedSemaphore::new(3).unwrap(),
        Barrier::new(2).unwrap(),
        Event::new().unwrap(),
        (Condition::new().unwrap(), Lock::new(0).unwrap()),
    )
}

fn scribble_tools(tools: &Tools, random: &mut Random) {
    let (lock, rlock, rwlock, semaphore, bounded, barrier, event, (condition, _)) = tools;
    let words = [
        words(lock),
        words(rlock),
        words(rwlock),
        words(semaphore),
        words(bounded),
        words(barrier),
        words(event),
        words(condition),
    ];
    let one = random.below(words.len());
    scribble(random, words[one], usize::MAX);
}

/// One call on locks and the like; whether it came to anything. No guard is used for touching a value: an
/// overwritten lock may let two in.
#[rustfmt::skip]
fn use_tool(
    (lock, rlock, rwlock, semaphore): (&Lock<[u64; 4]>, &RLock<u64>, &RwLock<u64>, &Semaphore),
    (bounded, barrier, event, condition, beside): (&BoundedSemaphore, &Barrier, &Event, &Condition, &Lock<u64>),
    random: &mut Random,
) -> bool {
    match random.below(11) {
        0 => lock.lock_timeout(LIMIT).map(|_held| dwell()).is_ok(),
        1 => rlock.lock_timeout(LIMIT).is_ok_and(|_held| rlock.lock_timeout(LIMIT).map(|_again| dwell()).is_ok()),
        2 => rwlock.read_timeout(LIMIT).map(|_held| dwell()).is_ok(),
        3 => rwlock.write_timeout(LIMIT).map(|_held| dwell()).is_ok(),
        4 => semaphore.acquire_timeout(LIMIT).map(|_held| dwell()).is_ok(),
        5 => {
            let taken = semaphore.acquire_many_timeout(2, LIMIT);
            dwell();
            taken.is_ok_and(|permits| permits.consume().is_ok()) && semaphore.release(2).is_ok()
        }
        6 => {
            let kept = bounded.acquire_timeout(LIMIT).map(|permit| permit.keep());
            dwell();
            kept.is_ok() && bounded.release(1).is_ok()
        }
        7 => {
            let _ = barrier.wait_timeout(LIMIT);
            barrier.reset();
            true
        }
        8 => {
            let _ = event.wait_timeout(LIMIT / 4);
            if event.is_set() { event.clear() } else { event.set() }
            true
        }
        9 => {
            condition.notify_one();
            beside.lock().is_ok_and(|guard| condition.wait_timeout(guard, LIMIT / 4).0.is_ok())
        }
        _ => {
            condition.notify_all();
            let _ = (lock.holder(), rwlock.readers(), semaphore.available(), semaphore.holders(), barrier.waiting());
            true
        }
    }
}

#[test]
fn locks_and_the_like_keep_their_limits_while_their_words_are_overwritten() {
    let scene = Scene {
        make: tools,
        use_one: |(lock, rlock, rwlock, semaphore, bounded, barrier, event, (condition, beside)), random| {
            use_tool((lock, rlock, rwlock, semaphore), (bounded, barrier, event, condition, beside), random)
        },
        scribble: scribble_tools,
    };
    survives(
        1..3,
        scene,
        |pool, (lock, rlock, rwlock, semaphore, bounded, barrier, event, (condition, beside))| {
            let operands = ((lock, rlock, rwlock, semaphore), (bounded, barrier, event, condition, beside));
            on_workers(pool, operands, |rank, (first, second)| {
                call(rank as u64 + 99, |random| use_tool(first, second, random));
            });
        },
    );
}

/// A list's calls have no limit, so the lock stays as it is; all else makes no sense in turn.
#[test]
fn a_list_whose_words_are_overwritten_gives_errors() {
    for seed in 1..SCRIBBLES as u64 {
        let mut random = Random(seed);
        let list = SharedList::<String>::new(20, 100).unwrap();
        (0..10).for_each(|n| assert_eq!(list.push(&"item".repeat(n)).unwrap(), n));
        let behind_the_lock = &words(&list)[2..];
        (0..3).for_each(|_| scribble(&mut random, behind_the_lock, usize::MAX));
        for index in [0, 9, 19, usize::MAX] {
            let _ = (list.get(index), list.set(index, &"other".to_owned()));
        }
        let _ =
            (list.push(&String::new()), list.pop(), list.to_vec(), list.len(), list.clear(), list.is_empty());
    }
}
