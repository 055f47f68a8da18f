//! Leases: who still has something of a message, and how its sender learns of the end.
//!
//! A message that leads to objects of its sender comes with a [`Hold`]: a word of the sender's arena, which
//! says that the receiver has something, from before the message is handed over. The receiver counts its
//! handles in a [`Tally`], which belongs to whoever reads the message and to every lease that comes of it;
//! when the last of these is gone, the tally's drop clears the word. Nothing else does. So whatever way
//! reading, running and dropping come to an end, by a panic too, the sender finds the word set while anybody
//! there can reach the objects; and where the receiver dies, or never says a thing, the word stays set until
//! its death is confirmed.
//!
//! # Safety
//! The word of a hold lies in the arena, which every process that gets messages maps for its whole life. It
//! is written through the tally once, and the sender gives its block back only when it has read that, knows
//! that the receiver is dead, or nobody was given the message.
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use crate::base::atomic::{AtomicU32, Ordering};
use crate::base::member;
use crate::memory::AllocError;
use crate::memory::arena::{self, Block};
use crate::sys::fork;
use std::ptr::NonNull;
use std::sync::Arc;
// Plain on purpose: process-local counts.
use std::sync::atomic::AtomicUsize;

/// The receiver has something, or has not said.
const HELD: u32 = 1;

/// Where this process maps segment `.0`, made writable if `.1`: base and length. It stays mapped while leases
/// live (`travel`, T1).
pub(crate) type Resolver<'a> = &'a mut dyn FnMut(u64, bool) -> Result<(NonNull<u8>, usize), String>;

/// What is done when the last handle of a lease goes.
pub(crate) type OnLastDrop = Box<dyn Fn() + Send + Sync>;

static LEASES: AtomicUsize = AtomicUsize::new(0);

/// How many leased handles are alive in this process, from all messages.
#[cfg(all(test, not(loom)))]
pub(crate) fn leases_alive() -> usize {
    LEASES.load(Ordering::Acquire)
}

/// The sender's side.
pub(super) struct Hold {
    block: Block,
}

/// How the receiver finds it.
#[derive(Clone, Copy, Debug, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub(super) struct HoldWire {
    segment: u64,
    /// Bytes from its base, plus one; 0 where there is no hold.
    place: u64,
    maker: u64,
}

impl Hold {
    /// One that is set.
    pub(super) fn new() -> Result<Hold, AllocError> {
        let hold = Hold { block: arena::allocate(size_of::<AtomicU32>(), align_of::<AtomicU32>())? };
        hold.word().store(HELD, Ordering::Relaxed);
        Ok(hold)
    }

    fn word(&self) -> &AtomicU32 {
        // SAFETY: the block is ours and as long; any bytes are an atomic.
        unsafe { self.block.ptr().cast().as_ref() }
    }

    pub(super) fn is_set(&self) -> bool {
        // Acquire: pairs with the Release in `Tally::drop`; what was done there is done.
        self.word().load(Ordering::Acquire) != 0
    }

    pub(super) fn wire(&self) -> HoldWire {
        HoldWire {
            segment: self.block.segment().id().0,
            place: (self.block.offset() as u64).wrapping_add(1),
            maker: member::current_member().0.into(),
        }
    }
}

impl HoldWire {
    pub(super) const NONE: HoldWire = HoldWire { segment: 0, place: 0, maker: 0 };

    /// The word in this process; `None` where there is none, or it cannot be reached: then nobody clears it.
    fn find(&self, resolver: Resolver<'_>) -> Option<NonNull<AtomicU32>> {
        let offset = usize::try_from(self.place.checked_sub(1)?).ok()?;
        let (base, len_bytes) = if self.maker == u64::from(member::current_member().0) {
            let segment = arena::global().ok()?.segment();
            (segment.id().0 == self.segment).then(|| (segment.base(), segment.len_bytes()))?
        } else {
            resolver(self.segment, true).ok()?
        };
        let is_inside = offset.checked_add(size_of::<AtomicU32>()).is_some_and(|end| end <= len_bytes);
        // SAFETY: inside the mapping, says the check.
        let word = is_inside.then(|| unsafe { base.add(offset) }.cast::<AtomicU32>())?;
        word.is_aligned().then_some(word)
    }
}

/// What one message gave out in this process.
#[derive(Debug)]
struct Tally {
    alive: AtomicUsize,
    word: Option<NonNull<AtomicU32>>,
}

// SAFETY: the word is an atomic, mapped for the life of the process (module documentation).
unsafe impl Send for Tally {}
// SAFETY: as for `Send`.
unsafe impl Sync for Tally {}

impl Drop for Tally {
    fn drop(&mut self) {
        // In a fork of the program it is the parent that has something.
        if let Some(word) = self.word.filter(|_| !fork::is_foreign()) {
            // SAFETY: in the arena, which stays mapped; its sender keeps the block until it reads what we
            // write.
            let word = unsafe { word.as_ref() };
            // Release: pairs with the Acquire in `is_set`. All leases are gone: their drops come before, by
            // the count of the tally.
            word.store(0, Ordering::Release);
        }
    }
}

/// A share in the tally of a message. While one lives the sender keeps what the message leads to.
#[derive(Clone, Debug)]
pub(crate) struct Leases(Arc<Tally>);

impl Leases {
    pub(super) fn of(wire: HoldWire, resolver: Resolver<'_>) -> Leases {
        Leases(Arc::new(Tally { alive: AtomicUsize::new(0), word: wire.find(resolver) }))
    }

    /// How many leased handles of the message are alive in this process, clones of one counted once.
    #[cfg(all(test, not(loom)))]
    pub(crate) fn alive(&self) -> usize {
        self.0.alive.load(Ordering::Acquire)
    }

    /// Whether a lease is of this very message.
    pub(super) fn gave(&self, lease: &Lease) -> bool {
        Arc::ptr_eq(&self.0, &lease.leases.0)
    }

    /// Counts one more handle.
    pub(super) fn lease(&self, on_last_drop: Option<OnLastDrop>) -> Arc<Lease> {
        LEASES.fetch_add(1, Ordering::Relaxed);
        self.0.alive.fetch_add(1, Ordering::Relaxed);
        Arc::new(Lease { on_last_drop, leases: self.clone() })
    }
}

/// A right to use an object that another process keeps alive.
pub(crate) struct Lease {
    on_last_drop: Option<OnLastDrop>,
    /// Last: whoever reads that the tally is gone must find that the last-drop hook has run.
    leases: Leases,
}

impl Drop for Lease {
    fn drop(&mut self) {
        if fork::is_foreign() {
            return;
        }
        if let Some(on_last_drop) = self.on_last_drop.take() {
            on_last_drop();
        }
        self.leases.0.alive.fetch_sub(1, Ordering::Release);
        LEASES.fetch_sub(1, Ordering::Release);
    }
}

#[cfg(all(test, not(loom)))]
mod models {
    use super::*;
    use crate::base::model::{self, UnsafeCell, thread};

    /// What is lent, and the word of its hold.
    struct Lent {
        word: AtomicU32,
        value: UnsafeCell<u64>,
    }

    /// A receiver reads the message, hands a lease to a thread of its own, and ends by a panic; the sender
    /// writes as soon as the hold is let go. Miri and ThreadSanitizer tell if that meets a read.
    #[test]
    fn who_finds_the_hold_let_go_is_alone() {
        model::check(None, || {
            let lent = Arc::new(Lent { word: AtomicU32::new(HELD), value: UnsafeCell::new(7) });
            let there = lent.clone();
            let receiver = thread::spawn(move || {
                let tally = Tally { alive: AtomicUsize::new(0), word: Some(NonNull::from(&there.word)) };
                let leases = Leases(Arc::new(tally));
                let lease = leases.lease(None);
                let again = lease.clone();
                let reads = there.clone();
                let other = thread::spawn(move || {
                    // SAFETY: nobody writes while a lease lives.
                    reads.value.with(|value| assert_eq!(unsafe { *value }, 7));
                    drop(again);
                });
                let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
                    let _held = (lease, leases);
                    // SAFETY: as above.
                    there.value.with(|value| assert_eq!(unsafe { *value }, 7));
                    std::panic::resume_unwind(Box::new("on purpose"));
                }));
                assert!(panicked.is_err());
                other.join().expect("it only reads");
            });
            while lent.word.load(Ordering::Acquire) != 0 {
                thread::yield_now();
            }
            // SAFETY: the hold is let go, so nobody has a lease.
            lent.value.with_mut(|value| unsafe { *value = 8 });
            receiver.join().expect("its panics are caught");
        });
    }
}
