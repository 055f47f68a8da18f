//! The kill sweep: a put or get is run again and again, single-stepped, and killed one instruction later each
//! time; after each death the queue is repaired, holds what it must, and serves the next comer.
//!
//! # Safety
//! Runs in a process of one thread, so that `fork` copies a consistent process; the child touches no
//! allocator, only words in a shared mapping and system calls.
#![allow(unsafe_code)]

use super::Bare;
use crate::base::atomic::Ordering;
use crate::base::member::{self, MemberId};
use crate::channel::core::{Core, SMALL, Taken};
use crate::channel::word::{HEADER, JOINABLE, REDELIVER};
use crate::sync::Patience;
use crate::sync::tests::sweep::{SKIPPED, length_of, step_and_kill};
use std::mem::MaybeUninit;

const ROLE: &str = "PHALANX_CHANNEL_TEST_SWEEP";

/// Instructions at which an operation is killed, at most: in a release build every one has its turn.
const POINTS: usize = if cfg!(debug_assertions) { 6 } else { 4_000 };

/// Instructions by which the same step may lie apart in two runs.
const JITTER: usize = 32;

/// Spans two chunks of a page, so that it is copied under a claim.
const LARGE: usize = 2100;

struct Case {
    name: &'static str,
    flags: u32,
    /// Lengths of the items that are there before.
    before: &'static [usize],
    victim: fn(&Core, &[u8]),
    /// What may be there afterwards, as numbers of items left out at the front and added at the end.
    outcomes: &'static [(usize, usize)],
    /// Length of the added item.
    adds: usize,
}

const CASES: &[Case] = &[
    Case {
        name: "put",
        flags: REDELIVER,
        before: &[10, 20],
        victim: put,
        outcomes: &[(0, 0), (0, 1)],
        adds: 100,
    },
    Case {
        name: "put into the next chunk",
        flags: 0,
        before: &[2000, 2000],
        victim: put,
        outcomes: &[(0, 0), (0, 1)],
        adds: 300,
    },
    Case {
        name: "put large",
        flags: REDELIVER,
        before: &[10],
        victim: put,
        outcomes: &[(0, 0), (0, 1)],
        adds: LARGE,
    },
    Case {
        name: "get",
        flags: REDELIVER,
        before: &[10, 20],
        victim: get,
        outcomes: &[(0, 0), (1, 0)],
        adds: 0,
    },
    Case {
        name: "get large",
        flags: REDELIVER,
        before: &[LARGE, 20],
        victim: get,
        outcomes: &[(0, 0), (1, 0)],
        adds: 0,
    },
    Case {
        name: "get large, at most once",
        flags: 0,
        before: &[LARGE, 20],
        victim: get,
        outcomes: &[(0, 0), (1, 0)],
        adds: 0,
    },
    Case {
        name: "get, task_done",
        flags: JOINABLE,
        before: &[10, 20],
        victim: get_done,
        outcomes: &[(0, 0), (1, 0)],
        adds: 0,
    },
    Case {
        name: "claim, give back",
        flags: REDELIVER,
        before: &[10, 20],
        victim: give_back,
        outcomes: &[(0, 0)],
        adds: 0,
    },
];

fn put(core: &Core, data: &[u8]) {
    core.put(data, Patience::Forever).unwrap();
}

fn get(core: &Core, _data: &[u8]) {
    let mut buffer = [MaybeUninit::uninit(); SMALL];
    if let Taken::Claimed(claim) = core.take(&mut buffer, false, Patience::Forever).unwrap() {
        let mut out = [0u8; LARGE];
        // SAFETY: the item has so many bytes.
        unsafe { core.base.read(claim.position + HEADER, LARGE, out.as_mut_ptr()) }.unwrap();
        drop(core.finish_get(&claim, Patience::Forever).unwrap());
    }
}

fn get_done(core: &Core, data: &[u8]) {
    get(core, data);
    core.task_done().unwrap();
}

fn give_back(core: &Core, _data: &[u8]) {
    let mut buffer = [MaybeUninit::uninit(); SMALL];
    let Taken::Claimed(claim) = core.take(&mut buffer, true, Patience::Forever).unwrap() else { return };
    core.finish(&claim, false, Patience::Forever).unwrap();
}

#[used]
#[unsafe(link_section = ".init_array")]
static DIVERT: extern "C" fn() = divert;

extern "C" fn divert() {
    if std::env::var_os(ROLE).is_some() {
        std::process::exit(run())
    }
}

fn run() -> i32 {
    let threads = std::fs::read_dir("/proc/self/task").map_or(0, Iterator::count);
    if threads != 1 {
        println!("SKIPPED: kill sweep: the helper has {threads} threads, forking it would be wrong");
        return SKIPPED;
    }
    if CASES.iter().all(sweep) { 0 } else { SKIPPED }
}

/// The items as they are taken out, one after the other.
fn drain(core: &Core) -> Vec<Vec<u8>> {
    let mut items = Vec::new();
    let mut buffer = [MaybeUninit::uninit(); SMALL];
    while let Ok(taken) = core.take(&mut buffer, false, Patience::Try) {
        items.push(match taken {
            // SAFETY: so many bytes were written.
            Taken::Copied(len, _) => buffer[..len].iter().map(|byte| unsafe { byte.assume_init() }).collect(),
            Taken::Claimed(claim) => {
                let mut item = vec![0; claim.len as usize];
                // SAFETY: the vector has so many bytes.
                unsafe { core.base.read(claim.position + HEADER, item.len(), item.as_mut_ptr()) }.unwrap();
                core.finish(&claim, true, Patience::Forever).unwrap();
                item
            }
        });
        if core.base.shape.flags & JOINABLE != 0 {
            core.task_done().unwrap();
        }
    }
    items
}

fn item(number: usize, len: usize) -> Vec<u8> {
    vec![number as u8 + 1; len]
}

/// By step, whether an item was gone that no death had counted. Once its reader has let go of it that is so
/// forever; but for deaths that came a few instructions earlier than the same step did at other times: an
/// instruction that copies many bytes is stepped through unevenly.
fn check_counts(name: &str, mut uncounted: Vec<(usize, bool)>) {
    uncounted.sort_unstable();
    let Some(&(first, _)) = uncounted.iter().find(|&&(_, is_uncounted)| is_uncounted) else { return };
    let far = first.saturating_add(JITTER);
    let goes_back = uncounted.iter().find(|&&(step, is_uncounted)| step >= far && !is_uncounted);
    assert!(goes_back.is_none(), "{name}: an item went uncounted, step {first}, {goes_back:?}");
}

/// False, with the reason printed, where tracing is refused.
fn sweep(case: &Case) -> bool {
    let bare = Bare::new(1 << 16, u64::MAX, case.flags);
    let core = &bare.core;
    let before: Vec<_> = case.before.iter().enumerate().map(|(i, &len)| item(i, len)).collect();
    let added = item(before.len(), case.adds);
    let (mut serial, mut seen) = (10, vec![0; case.outcomes.len()]);
    let mut uncounted = Vec::new();
    let mut trial = |steps: usize| {
        serial += 1;
        let victim = MemberId(serial);
        bare.wipe();
        before.iter().for_each(|item| core.put(item, Patience::Try).unwrap());
        let died = step_and_kill(steps, || {
            member::set_current_member(victim);
            (case.victim)(core, &added);
        })?;
        bare.dies(victim);
        let control = core.base.control();
        let lost = control.lost.load(Ordering::Relaxed);
        let waiting = {
            let _recounted = core.enter(Patience::Try).unwrap().expect("the lock is free");
            control.hot.ready.load(Ordering::Relaxed) as usize
        };
        let items = drain(core);
        assert_eq!(items.len(), waiting, "{}, step {steps}", case.name);
        let outcome = case.outcomes.iter().position(|&(gone, more)| {
            let expected: Vec<_> = before[gone..].iter().chain(std::iter::repeat_n(&added, more)).collect();
            items.iter().collect::<Vec<_>>() == expected
        });
        let outcome = outcome.unwrap_or_else(|| panic!("{}, step {steps}: {} items", case.name, items.len()));
        seen[outcome] += 1;
        let lost = lost.max(control.lost.load(Ordering::Relaxed)) as usize;
        // What is gone is counted until its reader has let go of it; nothing else is, but by a queue that
        // counts items in hand.
        let gone = before.len() + case.outcomes[outcome].1 - items.len();
        assert!(lost <= gone || case.flags & JOINABLE != 0, "{}, step {steps}: {lost} lost", case.name);
        assert!(lost <= 1);
        uncounted.push((steps, gone > lost));
        // Nothing is kept by the dead: no claim, no chunk, no item in hand, and the largest item fits.
        assert!(control.claims.iter().all(|claim| claim.load(Ordering::Relaxed) == 0));
        assert_eq!(core.unfinished(), 0);
        let largest = vec![7; core.base.shape.capacity() as usize - HEADER as usize];
        core.put(&largest, Patience::Try).unwrap_or_else(|e| panic!("{}, step {steps}: {e:?}", case.name));
        assert!(drain(core) == [largest]);
        Some(died)
    };
    let Some(length) = length_of(&mut trial) else {
        println!("SKIPPED: kill sweep: no process can be stepped here: {}", std::io::Error::last_os_error());
        return false;
    };
    let stride = length.div_ceil(POINTS).max(1);
    for steps in (0..length).step_by(stride) {
        trial(steps);
    }
    check_counts(case.name, uncounted);
    println!("{}: killed at every {stride}. of {length} instructions, outcomes {seen:?}", case.name);
    assert!(seen.iter().all(|&n| n > 0), "{}: the sweep never met what it is for: {seen:?}", case.name);
    true
}

#[test]
fn a_death_at_any_instruction_leaves_a_sound_queue() {
    let output =
        std::process::Command::new(std::env::current_exe().unwrap()).env(ROLE, "1").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    println!("{text}");
    let code = output.status.code();
    assert!(code == Some(0) || code == Some(SKIPPED), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
}
