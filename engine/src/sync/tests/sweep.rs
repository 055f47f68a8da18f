//! The kill sweep: an operation is run again and again, single-stepped, and killed one instruction later each
//! time; after each death the object is repaired and must serve the next comer.
//!
//! # Safety
//! Runs in a process of one thread, so that `fork` copies a consistent process; the child touches only words
//! in a shared mapping and system calls, or, for a list, its copy of the allocator. All pointers come from
//! one mapping that lives until the process ends.
#![allow(unsafe_code)]

use crate::base::member::{self, MemberId, Owner};
use crate::shared::SharedList;
use crate::sync::barrier_word::{BarrierWord, Missed};
use crate::sync::event::EventWord;
use crate::sync::lock_word::{Acquired, LockWord};
use crate::sync::place::{Place, Remote, SyncWire};
use crate::sync::rlock::RLockWord;
use crate::sync::rw_word::RwWord;
use crate::sync::semaphore_word::SemaphoreWord;
use crate::sync::wait::Patience;
use std::ptr::NonNull;

/// The exit code that says: could not be done here.
pub(crate) const SKIPPED: i32 = 77;

/// Steps at which the operation is killed, at most: beyond that every n-th. Unoptimised code takes ten times
/// the steps, so there it is a sample; in a release build every instruction has its turn.
const POINTS: usize = if cfg!(debug_assertions) { 40 } else { 4_000 };

/// One primitive under test: what the victim does, and what must hold after its death and repair.
struct Case<W: 'static> {
    name: &'static str,
    init: fn(&W),
    victim: fn(&W, Owner),
    /// Whether the victim left something behind: shows that the sweep met what it is for.
    holds: fn(&W, Owner) -> bool,
    repair: fn(&W, MemberId),
    /// Panics if a newcomer is not served.
    check: fn(&W, Owner),
}

pub(super) fn run() -> i32 {
    let threads = std::fs::read_dir("/proc/self/task").map_or(0, Iterator::count);
    if threads != 1 {
        println!("SKIPPED: kill sweep: the helper has {threads} threads, forking it would be wrong");
        return SKIPPED;
    }
    let ran = sweep(&LOCK) && sweep(&RLOCK) && sweep(&READ) && sweep(&WRITE);
    let ran = ran && sweep(&SEMAPHORE) && sweep(&BARRIER) && sweep(&EVENT) && sweep(&LIST);
    if ran { 0 } else { SKIPPED }
}

const LOCK: Case<LockWord> = Case {
    name: "lock, unlock",
    init: |_| (),
    victim: |word, me| {
        let _ = word.lock(me, Patience::Forever);
        let _ = word.unlock(me);
    },
    holds: |word, me| word.is_mine(me),
    repair: LockWord::repair,
    check: |word, me| {
        if word.lock(me, Patience::Try).unwrap() == Acquired::OwnerDied {
            word.clear_poison();
        }
        let _ = word.unlock(me);
        assert_eq!(word.lock(me, Patience::Try), Ok(Acquired::Clean));
    },
};

const RLOCK: Case<RLockWord> = Case {
    name: "RLock lock, lock, unlock, unlock",
    init: |_| (),
    victim: |word, me| {
        let _ = word.lock(me, Patience::Forever);
        let _ = word.lock(me, Patience::Forever);
        word.unlock(me);
        word.unlock(me);
    },
    holds: |word, me| word.holder() == Some(me),
    repair: RLockWord::repair,
    check: |word, me| {
        let _ = word.lock(me, Patience::Try).unwrap();
        word.unlock(me);
        let _ = word.lock(MEMBER_9, Patience::Try).unwrap();
    },
};

const MEMBER_9: Owner = Owner { member: MemberId(9), thread: 1 };

const READ: Case<RwWord> = Case {
    name: "RwLock read, leave",
    init: |_| (),
    victim: |word, me| {
        let (_, slot) = word.read(me, Patience::Forever).unwrap();
        let _ = word.unlock_read(me, slot);
    },
    holds: |word, _| {
        let blocked = word.write(MEMBER_9, Patience::Try).is_err();
        let _ = word.unlock_write(MEMBER_9);
        blocked
    },
    repair: RwWord::repair,
    check: |word, me| assert_eq!(word.write(me, Patience::Try), Ok(Acquired::Clean)),
};

const WRITE: Case<RwWord> = Case {
    name: "RwLock write, leave",
    init: |_| (),
    victim: |word, me| {
        let _ = word.write(me, Patience::Forever);
        let _ = word.unlock_write(me);
    },
    holds: |word, me| word.writer() == Some(me),
    repair: RwWord::repair,
    check: |word, me| {
        let (_, slot) = word.read(me, Patience::Try).unwrap();
        let _ = word.unlock_read(me, slot);
        assert!(word.write(me, Patience::Try).is_ok());
    },
};

const SEMAPHORE: Case<SemaphoreWord> = Case {
    name: "semaphore acquire, release, grow, consume",
    init: |word| word.init(2),
    victim: |word, me| {
        let slot = word.acquire(me, 2, Patience::Forever).unwrap();
        let _ = word.release(me, slot, 1);
        let _ = word.grow(me, 1);
        let _ = word.consume(me, slot, 1);
    },
    holds: |word, _| word.free() != 2,
    repair: SemaphoreWord::repair,
    check: |word, me| {
        // Two at first, three once grown, two again once one is used up.
        let slot = word.acquire(me, 2, Patience::Try).unwrap();
        word.release(me, slot, 2).unwrap();
        assert!((2..=3).contains(&word.free()), "{} permits", word.free());
    },
};

const BARRIER: Case<BarrierWord> = Case {
    name: "barrier wait, alone of two",
    init: |word| word.init(2),
    victim: |word, me| {
        let _ = word.wait(me, Patience::Try);
    },
    holds: |word, _| word.waiting() > 0,
    repair: BarrierWord::repair,
    check: |word, me| {
        // Before it took part its death means nothing; from then on it breaks the barrier.
        if word.is_broken().is_some() {
            assert!(matches!(word.wait(me, Patience::Forever), Err(Missed::Broken(_))));
            word.reset();
        }
        assert_eq!((word.waiting(), word.is_broken()), (0, None));
    },
};

const EVENT: Case<EventWord> = Case {
    name: "event set, clear, set",
    init: |_| (),
    victim: |word, _| {
        word.set();
        word.clear();
        word.set();
    },
    holds: |word, _| word.is_set(),
    repair: EventWord::repair,
    check: |word, _| {
        word.set();
        assert!(word.wait(Patience::Try));
    },
};

/// False, with the reason printed, where tracing is refused.
fn sweep<W: Default>(case: &Case<W>) -> bool {
    assert!(align_of::<W>() <= 8);
    let access = libc::PROT_READ | libc::PROT_WRITE;
    let kind = libc::MAP_SHARED | libc::MAP_ANONYMOUS;
    // SAFETY: a fresh mapping at a place the kernel chooses.
    let words = unsafe { libc::mmap(std::ptr::null_mut(), size_of::<W>(), access, kind, -1, 0) };
    assert_ne!(words, libc::MAP_FAILED);
    let words = words.cast::<W>();
    let (mut serial, mut held) = (10, 0);
    let mut trial = |steps: usize| {
        serial += 2;
        let (victim, heir) = (Owner { member: MemberId(serial), thread: 1 }, MemberId(serial + 1));
        // SAFETY: page-aligned, long enough, and no process looks at it now.
        unsafe { words.write(W::default()) };
        // SAFETY: just written; atomics from here on.
        let word = unsafe { &*words };
        (case.init)(word);
        let died = step_and_kill(steps, || (case.victim)(word, victim))?;
        held += usize::from((case.holds)(word, victim));
        (case.repair)(word, victim.member);
        (case.check)(word, Owner { member: heir, thread: 1 });
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
    println!(
        "{}: killed at every {stride}. of {length} instructions, {held} times inside, nothing stuck",
        case.name
    );
    assert!(held > 0, "{}: the sweep never met what it is for", case.name);
    true
}

/// How many instructions the operation takes.
pub(crate) fn length_of(trial: &mut impl FnMut(usize) -> Option<Died>) -> Option<usize> {
    match trial(usize::MAX)? {
        Died::Finished(steps) => Some(steps),
        Died::Killed => None,
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Died {
    Killed,
    /// It came to its end after so many instructions.
    Finished(usize),
}

/// Forks a child that does `operation`, lets it go `steps` instructions into it, and kills it. `None`: ptrace
/// is refused, or could not get past a change of a word, since the pair of instructions by which a processor
/// without atomic ones makes it never succeeds when a tracer stops between them.
pub(crate) fn step_and_kill(steps: usize, operation: impl FnOnce()) -> Option<Died> {
    #[cfg(target_arch = "aarch64")]
    if !std::arch::is_aarch64_feature_detected!("lse") {
        return None;
    }
    // SAFETY: this process has one thread.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0);
    if pid == 0 {
        // SAFETY: plain system call.
        if unsafe { libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0) } != 0 {
            // SAFETY: ends the child without running anything of the parent's.
            unsafe { libc::_exit(1) }
        }
        // SAFETY: plain system call; the tracer goes on from here.
        unsafe { libc::raise(libc::SIGSTOP) };
        operation();
        // SAFETY: as above.
        unsafe { libc::_exit(0) }
    }
    if !libc::WIFSTOPPED(wait_for(pid)) {
        return None;
    }
    for step in 0..steps {
        // SAFETY: the child is stopped and traced by this thread.
        let rc = unsafe { libc::ptrace(libc::PTRACE_SINGLESTEP, pid, 0, 0) };
        assert_eq!(rc, 0, "{}", std::io::Error::last_os_error());
        if libc::WIFEXITED(wait_for(pid)) {
            return Some(Died::Finished(step + 1));
        }
    }
    // SAFETY: our own child, not reaped yet.
    unsafe { libc::kill(pid, libc::SIGKILL) };
    assert!(libc::WIFSIGNALED(wait_for(pid)));
    Some(Died::Killed)
}

fn wait_for(pid: i32) -> i32 {
    let mut status = 0;
    // SAFETY: the status outlives the call.
    let rc = unsafe { libc::waitpid(pid, &mut status, 0) };
    assert_eq!(rc, pid, "{}", std::io::Error::last_os_error());
    status
}

/// A list of two small items with room before it for its tag, and nothing but words.
#[repr(C, align(8))]
struct ListRegion([u64; LIST_WORDS]);

const LIST_ITEM: usize = 8;
const LIST_WORDS: usize = 4 + 4 + 2 * (16 + 2 * LIST_ITEM) / 8;

impl Default for ListRegion {
    fn default() -> ListRegion {
        ListRegion([0; LIST_WORDS])
    }
}

fn list_words(region: &ListRegion) -> NonNull<u8> {
    // SAFETY: behind the four words of the tag, inside the region.
    unsafe { NonNull::from(&region.0).cast::<u8>().add(32) }
}

fn list(region: &ListRegion) -> SharedList<[u8; 4]> {
    let wire = SyncWire { len_bytes: (LIST_WORDS as u64 - 4) * 8, ..SyncWire::default() };
    // SAFETY: the region outlives every use of the handle, has room for words and slots, and is zero or
    // theirs.
    SharedList::of(unsafe { Place::borrowed(list_words(region), wire) })
}

fn list_lock(region: &ListRegion) -> &LockWord {
    // SAFETY: a list begins with its lock.
    unsafe { list_words(region).cast().as_ref() }
}

const LIST: Case<ListRegion> = Case {
    name: "list set, push",
    init: |region| {
        for (word, value) in [(2, 2), (3, LIST_ITEM as u64)] {
            // SAFETY: capacity and size of an item are the third and fourth word.
            unsafe { list_words(region).cast::<u64>().add(word).write_volatile(value) };
        }
        list(region).push(&[1; 4]).unwrap();
    },
    victim: |region, me| {
        member::set_current_member(me.member);
        let _ = list(region).set(0, &[2; 4]);
        let _ = list(region).push(&[3; 4]);
    },
    holds: |region, me| list_lock(region).holder().is_some_and(|holder| holder.member == me.member),
    repair: |region, dead| list_lock(region).repair(dead),
    check: |region, _| {
        let list = list(region);
        match list.to_vec().unwrap().as_slice() {
            [[1, 1, 1, 1]] | [[2, 2, 2, 2]] | [[2, 2, 2, 2], [3, 3, 3, 3]] => {}
            torn => panic!("{torn:?}"),
        }
        list.set(0, &[4; 4]).unwrap();
        assert_eq!(list.get(0).unwrap(), [4; 4]);
    },
};
