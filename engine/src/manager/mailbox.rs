//! The mailbox: words in shared memory through which callers pass requests to a server and receive answers.
//! README.md describes the protocol.
//!
//! # Safety
//! Bytes of a slot are touched by the one whose turn it is: the owner, or the server. The turn passes by a
//! release and is taken by an acquire.
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use crate::base::MemberId;
use crate::base::atomic::{AtomicU32, AtomicU64, Ordering, spin_loop};
use crate::base::member::{self, Owner};
use crate::sync::place::{self, CreateError, Place, Remote, remote};
use crate::sync::{ALL, EventCount};
use crate::sys::{fork, futex};
use std::ptr::NonNull;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

/// Calls that can be at the mailbox at one time; further callers wait for a slot.
pub(super) const SLOTS: usize = if cfg!(any(loom, miri)) { 1 } else { 32 };
/// Bytes passed per turn.
pub(super) const PIECE_BYTES: usize = if cfg!(any(loom, miri)) { 8 } else { 8 << 10 };
/// Longest sleep: a backstop in case a stray write overwrites a word.
const SLICE: Duration = Duration::from_secs(1);
/// Looks at a word before sleeping.
const SPINS: u32 = if cfg!(loom) { 0 } else { 200 };

/// In `MailboxSlot::owner`: the owner is dead or has gone; only the server may free the slot.
const ABANDONED: u64 = 1 << 63;
/// In `MailboxSlot::turn`: the server's turn, else the owner's.
const SERVER: u32 = 1;
/// In `MailboxSlot::turn`: the owner sleeps on the word, or is about to.
const ASLEEP: u32 = 2;
/// In `MailboxSlot::turn`: the mailbox is closed.
const SHUT: u32 = 4;

/// In `MailboxSlot::piece`: the owner wrote it, a part of a request.
const REQUEST: u32 = 2;
/// In `MailboxSlot::piece`: the server wrote it, a part of an answer.
const ANSWER: u32 = 4;
/// In `MailboxSlot::piece`: another follows.
const MORE: u32 = 1;

/// `Mailbox::state` of a mailbox that serves.
const OPEN: u32 = 0;
/// The server has left in good order.
const CLOSED: u32 = 1;
/// The server's process has died.
const DEAD: u32 = 2;

/// The words. All zero: open, no server yet, no call.
#[derive(Debug)]
#[cfg_attr(loom, derive(Default))]
#[repr(C, align(128))]
pub(super) struct Words {
    state: AtomicU32,
    /// Member whose death is the server's.
    server: AtomicU32,
    /// Counts the events that the server should look at; it sleeps on this.
    bell: EventCount,
    /// Counts slots given back; callers without one sleep on this.
    freed: EventCount,
    _pad: [u32; 26],
    slots: [MailboxSlot; SLOTS],
}

#[derive(Debug)]
#[cfg_attr(loom, derive(Default))]
#[repr(C, align(128))]
struct MailboxSlot {
    /// 0 when free; else the owner, and [`ABANDONED`].
    owner: AtomicU64,
    turn: AtomicU32,
    len: AtomicU32,
    /// Who wrote the contents of `bytes`, and whether more follows; no other value is accepted.
    piece: AtomicU32,
    _pad: [u32; 27],
    bytes: [AtomicU64; PIECE_BYTES / 8],
}

#[cfg(not(loom))]
const _: () = {
    assert!(std::mem::offset_of!(Words, bell) == 8 && std::mem::offset_of!(Words, freed) == 16);
    assert!(std::mem::offset_of!(Words, slots) == 128 && std::mem::offset_of!(MailboxSlot, bytes) == 128);
    assert!(size_of::<MailboxSlot>() == (128 + PIECE_BYTES).next_multiple_of(128));
};

/// Why a call ended at the mailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    TimedOut,
    Closed,
    Died,
    Corrupt,
    Forked,
}

/// A handle of the words.
pub(super) struct Mailbox {
    place: Place,
}

remote!([] Mailbox, "manager", Words, (), |this| this.place, |place| Mailbox { place });

impl Mailbox {
    pub(super) fn new() -> Result<Mailbox, CreateError> {
        let len = place::len_of::<Words, ()>();
        Ok(Mailbox { place: place::make::<Mailbox>("manager", len, |_| (), Some(repair))? })
    }

    fn words(&self) -> &Words {
        Remote::words(self)
    }

    /// Distinguishes this mailbox from others in this process.
    pub(super) fn key(&self) -> usize {
        self.place.base().addr().get()
    }

    /// Names the member whose death is the server's.
    pub(super) fn set_server(&self, server: MemberId) {
        // Release pairs with nothing: `repair` runs in the process that calls this.
        self.words().server.store(server.get(), Ordering::Release);
    }

    /// The server has left in good order. Idempotent.
    pub(super) fn close(&self) {
        shut(self.words(), CLOSED);
    }

    /// The server's death was noticed by other means.
    pub(super) fn mark_dead(&self) {
        shut(self.words(), DEAD);
    }

    /// Sends a request, waits for its answer, and has it read. What the answer refers to is kept until then.
    pub(super) fn exchange<R>(
        &self,
        request: &[u8],
        deadline: Option<Instant>,
        read: impl FnOnce(&[u8]) -> R,
    ) -> Result<R, Stop> {
        if fork::is_foreign() {
            return Err(Stop::Forked);
        }
        let (words, me) = (self.words(), member::current());
        let slot = &words.slots[words.claim(me, deadline)?];
        let done = words.converse(slot, me, request, deadline);
        match done {
            Ok(answer) => {
                let _returned = Returned { words, slot };
                Ok(read(&answer))
            }
            Err(stop) => {
                words.abandon(slot);
                Err(stop)
            }
        }
    }

    /// Its words from the first on, for tests that overwrite them.
    #[cfg(test)]
    pub(super) fn as_words(&self) -> &[AtomicU32] {
        let words = std::ptr::from_ref(self.words()).cast::<AtomicU32>();
        // SAFETY: the same memory, and atomics of half the size or the same.
        unsafe { std::slice::from_raw_parts(words, size_of::<Words>() / 4) }
    }

    /// Slots that are not free.
    #[cfg(test)]
    pub(super) fn busy(&self) -> usize {
        self.words().slots.iter().filter(|slot| slot.owner.load(Ordering::Acquire) != 0).count()
    }

    /// Leaves a call as `dead` would if it was killed after this step: claimed; passed the only piece; passed
    /// the first of two; freed in part.
    #[cfg(test)]
    pub(super) fn abandon_after(&self, step: u32, dead: MemberId) {
        let owner = Owner { member: dead, thread: 1 }.pack();
        let is_claimed = |slot: &&MailboxSlot| {
            slot.owner.compare_exchange(0, owner, Ordering::AcqRel, Ordering::Relaxed).is_ok()
        };
        let slot = self.words().slots.iter().find(is_claimed).expect("a slot is free");
        match step {
            0 => {}
            1 | 2 => {
                slot.put(b"dead", REQUEST, step == 2);
                self.words().pass_to_server(slot).expect("the mailbox is open");
            }
            _ => {
                slot.turn.fetch_and(SHUT, Ordering::Relaxed);
            }
        }
    }

    /// Whose death is the server's.
    pub(super) fn server(&self) -> MemberId {
        MemberId(self.words().server.load(Ordering::Acquire))
    }

    /// Makes the server look.
    pub(super) fn ring(&self) {
        self.words().ring();
    }

    /// As [`Words::serve`].
    pub(super) fn serve(&self, is_over: &AtomicBool, on: impl FnMut(usize, Visit<'_>)) {
        self.words().serve(is_over, on);
    }
}

impl Words {
    /// Whether it is closed, and how.
    fn is_shut(&self) -> Option<Stop> {
        match self.state.load(Ordering::Acquire) {
            OPEN => None,
            CLOSED => Some(Stop::Closed),
            DEAD => Some(Stop::Died),
            _ => Some(Stop::Corrupt),
        }
    }

    /// Takes a free slot.
    fn claim(&self, me: Owner, deadline: Option<Instant>) -> Result<usize, Stop> {
        loop {
            // Before the state: the mailbox is shut first, and counted afterwards.
            let freed = self.freed.seen();
            if let Some(stop) = self.is_shut() {
                return Err(stop);
            }
            // Threads begin at different slots.
            let first = me.thread as usize;
            let found = (0..SLOTS).map(|i| first.wrapping_add(i) % SLOTS).find(|index| {
                let owner = &self.slots[*index].owner;
                owner.load(Ordering::Relaxed) == 0
                    // Acquire pairs with the release in `free`.
                    && owner.compare_exchange(0, me.pack(), Ordering::AcqRel, Ordering::Relaxed).is_ok()
            });
            if let Some(index) = found {
                return Ok(index);
            }
            self.freed.sleep(freed, Some(slice(deadline)?), || false);
        }
    }

    fn converse(
        &self,
        slot: &MailboxSlot,
        me: Owner,
        request: &[u8],
        deadline: Option<Instant>,
    ) -> Result<Vec<u8>, Stop> {
        let mut pieces = request.chunks(PIECE_BYTES).peekable();
        while let Some(piece) = pieces.next() {
            slot.put(piece, REQUEST, pieces.peek().is_some());
            self.pass_to_server(slot)?;
            self.await_turn(slot, me, deadline)?;
        }
        let mut answer = Vec::new();
        loop {
            if !slot.take(&mut answer, ANSWER).ok_or(Stop::Corrupt)? {
                return Ok(answer);
            }
            self.pass_to_server(slot)?;
            self.await_turn(slot, me, deadline)?;
        }
    }

    /// Leaves a slot to the server, which may be at work for its owner.
    fn abandon(&self, slot: &MailboxSlot) {
        slot.owner.fetch_or(ABANDONED, Ordering::AcqRel);
        self.ring();
    }

    fn give_back(&self, slot: &MailboxSlot) {
        slot.free();
        self.freed.count_by(1, 1);
    }

    fn pass_to_server(&self, slot: &MailboxSlot) -> Result<(), Stop> {
        // Release pairs with the acquire in `serve`. A set bit means that the mailbox was shut meanwhile.
        let passed = slot.turn.compare_exchange(0, SERVER, Ordering::AcqRel, Ordering::Acquire);
        if passed.is_err() {
            return Err(self.is_shut().unwrap_or(Stop::Corrupt));
        }
        self.ring();
        Ok(())
    }

    fn await_turn(&self, slot: &MailboxSlot, me: Owner, deadline: Option<Instant>) -> Result<(), Stop> {
        let mut spins = SPINS;
        loop {
            // Acquire pairs with the release in `answer`.
            let turn = slot.turn.load(Ordering::Acquire);
            if turn & SHUT != 0 {
                return Err(self.is_shut().unwrap_or(Stop::Corrupt));
            }
            if turn & SERVER == 0 {
                return Ok(());
            }
            if spins > 0 {
                spins = spins.saturating_sub(1);
                spin_loop();
                continue;
            }
            let asleep = turn | ASLEEP;
            if turn == asleep
                || slot.turn.compare_exchange(turn, asleep, Ordering::AcqRel, Ordering::Relaxed).is_ok()
            {
                futex::wait(&slot.turn, asleep, Some(slice(deadline)?));
            }
            // Neither can happen while we wait, unless the words were overwritten: then no answer would come.
            if let Some(stop) = self.is_shut() {
                return Err(stop);
            }
            if slot.owner.load(Ordering::Relaxed) != me.pack() {
                return Err(Stop::Corrupt);
            }
        }
    }

    /// Makes the server look.
    fn ring(&self) {
        self.bell.count_by(1, ALL);
    }

    /// The server's loop: calls `on` with every slot that waits for it. Returns when the mailbox is shut, or
    /// when `is_over` says so, which no stray write into the mailbox can change.
    fn serve(&self, is_over: &AtomicBool, mut on: impl FnMut(usize, Visit<'_>)) {
        let mut spins = SPINS;
        loop {
            // Before the state: the mailbox is shut first, and the bell rings afterwards.
            let bell = self.bell.seen();
            if self.is_shut().is_some() || is_over.load(Ordering::Acquire) {
                break;
            }
            let mut found = false;
            for (index, slot) in self.slots.iter().enumerate() {
                let owner = slot.owner.load(Ordering::Acquire);
                if owner & ABANDONED != 0 {
                    on(index, Visit::Abandoned);
                    self.give_back(slot);
                    found = true;
                } else if owner == 0 {
                    on(index, Visit::Free);
                } else if slot.turn.load(Ordering::Acquire) & SERVER != 0 {
                    on(index, Visit::Turn(Turn { slot }));
                    found = true;
                }
            }
            if found {
                spins = SPINS;
            } else if spins > 0 {
                spins = spins.saturating_sub(1);
                spin_loop();
            } else {
                self.bell.sleep(bell, slice(None).ok(), || false);
            }
        }
        // No caller waits for a server that has left, for whatever reason.
        shut(self, CLOSED);
    }
}

/// A slot that its owner has finished with; freed when this is dropped.
struct Returned<'a> {
    words: &'a Words,
    slot: &'a MailboxSlot,
}

impl Drop for Returned<'_> {
    fn drop(&mut self) {
        self.words.give_back(self.slot);
    }
}

/// What the server finds at a slot.
pub(super) enum Visit<'a> {
    /// Its owner is dead or gone; discard what was gathered for it.
    Abandoned,
    /// The slot is free.
    Free,
    Turn(Turn<'a>),
}

/// The server's turn at a slot; [`Turn::answer`] or [`Turn::ask_more`] ends it.
pub(super) struct Turn<'a> {
    slot: &'a MailboxSlot,
}

impl Turn<'_> {
    /// The caller.
    pub(super) fn caller(&self) -> MemberId {
        Owner::unpack(self.slot.owner.load(Ordering::Relaxed) & !ABANDONED).member
    }

    /// Appends the piece that is there. Returns whether more follow, or `None` if the piece makes no sense.
    pub(super) fn take(&self, to: &mut Vec<u8>) -> Option<bool> {
        self.slot.take(to, REQUEST)
    }

    /// Passes the turn back without an answer yet.
    pub(super) fn ask_more(self) {
        self.pass();
    }

    /// Passes a piece of the answer.
    pub(super) fn answer(self, piece: &[u8], more: bool) {
        self.slot.put(piece, ANSWER, more);
        self.pass();
    }

    fn pass(self) {
        // Release pairs with the acquire in `await_turn`.
        let before = self.slot.turn.fetch_and(!(SERVER | ASLEEP), Ordering::AcqRel);
        if before & ASLEEP != 0 {
            futex::wake(&self.slot.turn, u32::MAX);
        }
    }
}

impl MailboxSlot {
    fn put(&self, piece: &[u8], from: u32, more: bool) {
        let len = piece.len().min(PIECE_BYTES);
        let to = NonNull::from(&self.bytes).cast::<u8>();
        // SAFETY: it is the caller's turn, and the piece fits.
        unsafe { to.copy_from_nonoverlapping(NonNull::from(piece).cast(), len) };
        self.len.store(len as u32, Ordering::Relaxed);
        self.piece.store(from | u32::from(more), Ordering::Relaxed);
    }

    /// Appends the piece that `from` wrote. Returns whether more follow, or `None` if there is none.
    fn take(&self, to: &mut Vec<u8>, from: u32) -> Option<bool> {
        let len = self.len.load(Ordering::Relaxed) as usize;
        let piece = self.piece.load(Ordering::Relaxed);
        if len > PIECE_BYTES || piece & !MORE != from {
            return None;
        }
        // SAFETY: it is the caller's turn, and the length was compared.
        let bytes = unsafe { std::slice::from_raw_parts((&raw const self.bytes).cast::<u8>(), len) };
        to.extend_from_slice(bytes);
        Some(piece & MORE != 0)
    }

    fn free(&self) {
        // A shut mailbox stays shut.
        self.turn.fetch_and(SHUT, Ordering::Relaxed);
        // Release pairs with the acquire in `claim`.
        self.owner.store(0, Ordering::Release);
    }
}

/// How long to sleep at most before another look.
#[expect(clippy::arithmetic_side_effects, reason = "a constant moment from now")]
fn slice(deadline: Option<Instant>) -> Result<Instant, Stop> {
    let now = Instant::now();
    if deadline.is_some_and(|at| at <= now) {
        return Err(Stop::TimedOut);
    }
    let slice = now + SLICE;
    Ok(deadline.map_or(slice, |at| at.min(slice)))
}

fn shut(words: &Words, state: u32) {
    // The first writer wins.
    let _earlier = words.state.compare_exchange(OPEN, state, Ordering::AcqRel, Ordering::Relaxed);
    for slot in &words.slots {
        // After the state, so that whoever sees the bit finds the reason. The change also keeps callers from
        // falling asleep.
        slot.turn.fetch_or(SHUT, Ordering::AcqRel);
        futex::wake(&slot.turn, u32::MAX);
    }
    words.freed.rouse();
    words.bell.rouse();
}

/// After a confirmed death: a dead server shuts the mailbox, a dead caller's slots are left to the server.
fn repair(words: &Words, dead: MemberId) {
    if words.server.load(Ordering::Acquire) == dead.get() {
        return shut(words, DEAD);
    }
    for slot in &words.slots {
        let owner = slot.owner.load(Ordering::Acquire);
        if Owner::unpack(owner & !ABANDONED).member == dead {
            // Fails if the server freed it just now, which is as good.
            let marked = owner | ABANDONED;
            let _freed = slot.owner.compare_exchange(owner, marked, Ordering::AcqRel, Ordering::Relaxed);
        }
    }
    words.bell.rouse();
    // A wake-up may have died with its receiver, and its count of waiters with it.
    words.freed.rouse();
}

#[cfg(test)]
#[path = "models.rs"]
mod models;
