//! Deaths of real processes.
//!
//! A peer is this test executable again: a constructor sees the environment variable, plays its role on the
//! arena of the test that started it, and never reaches the test harness. So it has one thread, and may fork.
//!
//! # Safety
//! Peers map the starter's arena whole, at any address, and rebuild handles from offsets that the starter's
//! live handles gave them; the starter keeps those handles until the peer is gone.
#![allow(unsafe_code)]

use super::{sweep, travel};
use crate::base::member::{self, MemberId, next_member};
use crate::memory::arena;
use crate::sync::wait::Patience;
use crate::sync::*;
use std::io::Read;
use std::os::fd::AsRawFd;
use std::process::{Child, Command, Stdio};
use std::ptr::NonNull;
use std::time::Duration;

const ROLE: &str = "PHALANX_SYNC_TEST_PEER";
const LONG: Duration = Duration::from_secs(20);

/// A process playing a role; killed and reaped when dropped.
pub(super) struct Peer {
    child: Child,
    member: MemberId,
}

impl Peer {
    pub(super) fn start(role: &str, objects: &[SyncWire]) -> Peer {
        Peer::start_with(role, objects, &[])
    }

    /// Starts a peer that is also given a message.
    pub(super) fn start_with(role: &str, objects: &[SyncWire], message: &[u8]) -> Peer {
        let segment = arena::global().unwrap().segment();
        let member = next_member().unwrap();
        let offsets: Vec<String> = objects.iter().map(|wire| wire.offset.to_string()).collect();
        let path = format!("/proc/{}/fd/{}", std::process::id(), segment.fd().as_raw_fd());
        let len = segment.len_bytes();
        let part = format!("{role}|{path}|{len}|{}|{}|{}", member.get(), offsets.join(","), hex(message));
        let child = Command::new(std::env::current_exe().unwrap())
            .env(ROLE, part)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        Peer { child, member }
    }

    /// Kills it, sees the death confirmed, and repairs.
    fn kill(mut self) -> MemberId {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        super::dies(self.member);
        self.member
    }

    /// Waits for its end; exit code and what it printed. A role that hangs hangs the test: that is the
    /// finding.
    pub(super) fn finish(mut self) -> (Option<i32>, String) {
        let mut text = String::new();
        self.child.stdout.take().unwrap().read_to_string(&mut text).unwrap();
        let code = self.child.wait().unwrap().code();
        super::dies(self.member);
        (code, text)
    }

    /// Whether the kernel has put it to sleep.
    fn is_asleep(&self) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('S'))
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a peer was given.
pub(super) struct Given {
    base: NonNull<u8>,
    len_bytes: usize,
    message: Vec<u8>,
    offsets: Vec<usize>,
}

impl Given {
    fn at(&self, i: usize) -> NonNull<u8> {
        // SAFETY: offsets of live blocks lie inside the arena, which is mapped whole.
        unsafe { self.base.add(self.offsets[i]) }
    }

    /// Leads to the arena, under whatever number the message has for it.
    fn resolver(&self) -> impl FnMut(u64, bool) -> Result<(NonNull<u8>, usize), String> {
        move |_segment, _writable| Ok((self.base, self.len_bytes))
    }

    fn ready(&self) {
        // SAFETY: by convention the first object is an event of the starter.
        unsafe { Event::from_base(self.at(0), SyncWire::default()) }.set();
    }

    fn lock(&self) -> Borrowed<'static, Lock<[u64; 2]>> {
        // SAFETY: the role's second object is such a lock, mapped until the process ends.
        unsafe { Lock::from_base(self.at(1), SyncWire::default()) }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn park() -> ! {
    loop {
        std::thread::park();
    }
}

#[used]
#[unsafe(link_section = ".init_array")]
static DIVERT: extern "C" fn() = divert;

extern "C" fn divert() {
    let Ok(part) = std::env::var(ROLE) else { return };
    let parts: Vec<&str> = part.split('|').collect();
    let file = std::fs::File::options().read(true).write(true).open(parts[1]).unwrap();
    let map = memmap2::MmapOptions::new().len(parts[2].parse().unwrap()).map_raw(&file).unwrap();
    member::set_current_member(MemberId(parts[3].parse().unwrap()));
    let base = NonNull::new(map.as_mut_ptr()).unwrap();
    std::mem::forget(map);
    let offsets = parts[4].split(',').filter(|s| !s.is_empty()).map(|s| s.parse().unwrap()).collect();
    let bytes = |i| u8::from_str_radix(&parts[5][i..i + 2], 16).unwrap();
    let message = (0..parts[5].len()).step_by(2).map(bytes).collect();
    let len_bytes = parts[2].parse().unwrap();
    let code = play(parts[0], &Given { base, len_bytes, message, offsets });
    std::process::exit(code)
}

fn play(role: &str, given: &Given) -> i32 {
    match role {
        "lock and stay" => {
            let lock = given.lock();
            let mut guard = lock.lock().unwrap();
            guard[0] = 7;
            given.ready();
            park()
        }
        "recover and stay" => {
            let lock = given.lock();
            let _guard = lock.lock().unwrap_err().into_guard().unwrap();
            given.ready();
            park()
        }
        "lock and exit" => {
            std::mem::forget(given.lock().lock().unwrap());
            0
        }
        "wait for lock" => {
            let lock = given.lock();
            given.ready();
            match lock.lock() {
                Ok(_) => 43,
                Err(LockError::OwnerDied(mut guard)) => {
                    guard.clear_poison();
                    42
                }
                Err(_) => 1,
            }
        }
        "count" => count(&given.lock()),
        "sweep" => sweep::run(),
        "unpack" => travel::unpack_all(&given.message, &mut given.resolver()),
        "read frozen" => travel::read_frozen(&given.message, &mut given.resolver()),
        "pass on" => travel::pass_on(&given.message, &mut given.resolver()),
        role => play_others(role, given),
    }
}

fn play_others(role: &str, given: &Given) -> i32 {
    let (at, wire) = (given.at(1), SyncWire::default());
    // SAFETY (all below): the role's second object is of this kind, mapped until the process ends.
    match role {
        "read and stay" => {
            // SAFETY: as said above.
            let lock = unsafe { RwLock::<u64>::from_base(at, wire) };
            let _guard = lock.read().unwrap();
            given.ready();
            park()
        }
        "write and stay" => {
            // SAFETY: as said above.
            let lock = unsafe { RwLock::<u64>::from_base(at, wire) };
            let _guard = lock.write().unwrap();
            given.ready();
            park()
        }
        "nest and stay" => {
            // SAFETY: as said above.
            let lock = unsafe { RLock::<u64>::from_base(at, wire) };
            let _guards = (lock.lock().unwrap(), lock.lock().unwrap());
            given.ready();
            park()
        }
        "acquire and stay" => {
            // SAFETY: as said above.
            let semaphore = unsafe { BoundedSemaphore::from_base(at, wire) };
            semaphore.acquire_many(2).unwrap().keep();
            given.ready();
            park()
        }
        _ => play_waiters(role, given),
    }
}

fn play_waiters(role: &str, given: &Given) -> i32 {
    let (at, wire) = (given.at(1), SyncWire::default());
    // SAFETY (all below): as in `play_others`.
    match role {
        "come to barrier" => {
            // SAFETY: as said above.
            let barrier = unsafe { Barrier::from_base(at, wire) };
            given.ready();
            match barrier.wait() {
                Ok(_) => 0,
                Err(BarrierError::Broken { .. }) => 42,
                Err(_) => 1,
            }
        }
        "take part and stay" => {
            // SAFETY: as said above.
            let _barrier = unsafe { Barrier::from_base(at, wire) };
            given.ready();
            park()
        }
        "wait for condition" => {
            // SAFETY: as said above.
            let changed = unsafe { Condition::from_base(given.at(2), wire) };
            let lock = given.lock();
            let guard = lock.lock().unwrap();
            given.ready();
            let _guard = changed.wait_while(guard, |value| value[0] == 0).unwrap();
            0
        }
        "wait for event" => {
            // SAFETY: as said above.
            let event = unsafe { Event::from_base(at, wire) };
            given.ready();
            event.wait();
            0
        }
        _ => 99,
    }
}

/// Adds one to both halves under the lock, forever; puts a torn pair right.
fn count(lock: &Lock<[u64; 2]>) -> i32 {
    loop {
        match lock.lock() {
            Ok(mut pair) => {
                if pair[0] != pair[1] {
                    return 1;
                }
                pair[0] += 1;
                pair[1] += 1;
            }
            Err(LockError::OwnerDied(mut pair)) => {
                pair[1] = pair[0];
                pair.clear_poison();
            }
            Err(_) => return 2,
        }
    }
}

#[test]
fn a_blocked_waiter_learns_that_the_owner_was_killed() {
    let (ready, lock) = (Event::new().unwrap(), Lock::new([1u64, 1]).unwrap());
    let owner = Peer::start("lock and stay", &[ready.wire(), lock.wire()]);
    assert!(ready.wait_timeout(LONG));
    assert_eq!(lock.holder().unwrap().member, owner.member);
    ready.clear();
    let waiter = Peer::start("wait for lock", &[ready.wire(), lock.wire()]);
    assert!(ready.wait_timeout(LONG));
    while !waiter.is_asleep() {
        std::thread::yield_now();
    }
    owner.kill();
    assert_eq!(waiter.finish().0, Some(42));
    assert_eq!(*lock.lock().unwrap(), [7, 1], "cleared by the waiter, and half changed as the dead left it");
}

#[test]
fn recoverers_may_die_too() {
    let (ready, lock) = (Event::new().unwrap(), Lock::new([1u64, 1]).unwrap());
    for role in ["lock and stay", "recover and stay", "recover and stay"] {
        let owner = Peer::start(role, &[ready.wire(), lock.wire()]);
        assert!(ready.wait_timeout(LONG), "{role}");
        ready.clear();
        owner.kill();
        let suspect = lock.lock().unwrap_err().into_guard();
        assert!(suspect.is_some(), "not cleared, so still suspect");
    }
    lock.lock().unwrap_err().into_guard().unwrap().clear_poison();
    assert_eq!(Peer::start("lock and exit", &[ready.wire(), lock.wire()]).finish().0, Some(0));
    assert!(lock.lock().unwrap_err().into_guard().is_some(), "an exit is a death");
}

#[test]
fn a_wake_up_reaches_another_process() {
    let (ready, lock, event) = (Event::new().unwrap(), Lock::new([0u64; 2]).unwrap(), Event::new().unwrap());
    let guard = lock.lock().unwrap();
    let waiter = Peer::start("wait for lock", &[ready.wire(), lock.wire()]);
    assert!(ready.wait_timeout(LONG));
    drop(guard);
    assert_eq!(waiter.finish().0, Some(43));
    ready.clear();
    let waiter = Peer::start("wait for event", &[ready.wire(), event.wire()]);
    assert!(ready.wait_timeout(LONG));
    event.set();
    assert_eq!(waiter.finish().0, Some(0));
}

#[test]
fn dead_readers_go_unnoticed_and_dead_writers_do_not() {
    let (ready, lock) = (Event::new().unwrap(), RwLock::new(0u64).unwrap());
    let reader = Peer::start("read and stay", &[ready.wire(), lock.wire()]);
    assert!(ready.wait_timeout(LONG));
    assert!(lock.try_read().is_ok() && lock.try_write().is_err());
    ready.clear();
    std::thread::scope(|s| {
        let writer = s.spawn(|| *lock.write().unwrap() = 1);
        while lock.writer().is_none() {
            std::thread::yield_now();
        }
        reader.kill();
        writer.join().unwrap();
    });
    let writer = Peer::start("write and stay", &[ready.wire(), lock.wire()]);
    assert!(ready.wait_timeout(LONG));
    assert!(lock.try_read().is_err());
    writer.kill();
    assert_eq!(*lock.read().unwrap_err().into_guard().unwrap(), 1);
    lock.write().unwrap_err().into_guard().unwrap().clear_poison();
    assert!(lock.read().is_ok());
}

#[test]
fn a_nested_owner_dies_at_any_depth() {
    let (ready, lock) = (Event::new().unwrap(), RLock::new(3u64).unwrap());
    let owner = Peer::start("nest and stay", &[ready.wire(), lock.wire()]);
    assert!(ready.wait_timeout(LONG));
    owner.kill();
    let guard = lock.lock().unwrap_err().into_guard().unwrap();
    guard.clear_poison();
    drop(guard);
    assert_eq!((lock.holder(), lock.lock().unwrap().get()), (None, 3));
}

#[test]
fn permits_of_the_dead_are_free_again() {
    let (ready, semaphore) = (Event::new().unwrap(), BoundedSemaphore::new(2).unwrap());
    let holder = Peer::start("acquire and stay", &[ready.wire(), semaphore.wire()]);
    assert!(ready.wait_timeout(LONG));
    assert!(matches!(semaphore.try_acquire(), Err(SemaphoreError::TimedOut { asked: 1, free: 0 })));
    std::thread::scope(|s| {
        let waiter = s.spawn(|| semaphore.acquire_many(2).map(|permit| permit.count()));
        holder.kill();
        assert_eq!(waiter.join().unwrap(), Ok(2));
    });
    assert_eq!((semaphore.available(), semaphore.release(1)), (2, Err(SemaphoreError::NotHeld { asked: 1 })));
}

#[test]
fn a_dead_party_breaks_the_barrier_for_all() {
    let (ready, barrier) = (Event::new().unwrap(), Barrier::new(3).unwrap());
    let stays = Peer::start("take part and stay", &[ready.wire(), barrier.wire()]);
    assert!(ready.wait_timeout(LONG));
    let waits = Peer::start("come to barrier", &[ready.wire(), barrier.wire()]);
    while barrier.waiting() == 0 {
        std::thread::yield_now();
    }
    let by = stays.kill();
    assert_eq!(waits.finish().0, Some(42));
    assert_eq!(barrier.wait(), Err(BarrierError::Broken { by }));
}

#[test]
fn notifying_does_not_mind_a_dead_waiter() {
    let (ready, lock) = (Event::new().unwrap(), Lock::new([0u64; 2]).unwrap());
    let changed = Condition::new().unwrap();
    let objects = [ready.wire(), lock.wire(), changed.wire()];
    let dies = Peer::start("wait for condition", &objects);
    assert!(ready.wait_timeout(LONG));
    ready.clear();
    let lives = Peer::start("wait for condition", &objects);
    assert!(ready.wait_timeout(LONG));
    // Both gave the lock up, or this would not get it.
    drop(lock.lock().unwrap());
    dies.kill();
    // Killed between its wake-up and its wait, it may have held the lock.
    let mut value = lock.lock().or_else(|e| e.into_guard().ok_or("not held")).unwrap();
    value.clear_poison();
    value[0] = 1;
    drop(value);
    changed.notify_one();
    assert_eq!(lives.finish().0, Some(0));
    changed.notify_all();
}

#[test]
fn killing_counters_at_random_loses_nothing() {
    let (ready, lock) = (Event::new().unwrap(), Lock::new([0u64; 2]).unwrap());
    let start = || Peer::start("count", &[ready.wire(), lock.wire()]);
    let read = || loop {
        match lock.lock_with(Patience::of(LONG)) {
            Ok(pair) => break pair[0],
            Err(LockError::OwnerDied(mut pair)) => {
                pair[1] = pair[0];
                pair.clear_poison();
            }
            Err(other) => panic!("stuck: {}", other.map(|_| ())),
        }
    };
    let mut peers = vec![start(), start()];
    let mut last = 0;
    for round in 0..40usize {
        // A different moment each time: as many steps on as the round says.
        let goal = last + 1 + (round as u64 * 37) % 101;
        while last < goal {
            last = read();
        }
        peers.remove(round % 2).kill();
        peers.push(start());
    }
    assert!(read() >= last);
    for mut peer in peers {
        assert_eq!(peer.child.try_wait().unwrap(), None, "a counter found a torn pair that nobody reported");
        peer.kill();
    }
}

/// FAULTS: an owner killed at any instruction.
#[test]
fn a_kill_at_any_instruction_leaves_nothing_stuck() {
    let ready = Event::new().unwrap();
    let (code, text) = Peer::start("sweep", &[ready.wire(), ready.wire()]).finish();
    println!("{text}");
    assert!(code == Some(0) || code == Some(sweep::SKIPPED), "{text}");
}
