//! Serial numbers, which distinguish an object in shared memory from another that was at its address before.
//!
//! A process that notes something about an object in a table of its own uses the serial number as the key.
//! Addresses and offsets are reused when an object is gone, and notes about the old object would pass for
//! notes about the new one.

use crate::base::atomic::{AtomicU32, AtomicU64, Ordering};
use crate::base::member;
// A plain atomic on purpose: this is process-local bookkeeping outside every checked protocol.
use std::sync::atomic::AtomicU64 as Count;

static LAST: Count = Count::new(0);

/// A serial number in the object's words, written once, before any other process knows the object; all zero
/// until then.
#[derive(Debug, Default)]
#[repr(C)]
pub(crate) struct SerialWord {
    maker: AtomicU32,
    _pad: AtomicU32,
    number: AtomicU64,
}

/// A number that no other object has or had while the driver lives: the maker's member ID and the maker's own
/// count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Serial {
    maker: u32,
    number: u64,
}

impl SerialWord {
    /// Gives the object its number.
    pub(crate) fn init(&self) {
        self.maker.store(member::current_member().get(), Ordering::Relaxed);
        // 64 bits: no process lives long enough to wrap them.
        let number = LAST.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        self.number.store(number, Ordering::Relaxed);
    }

    #[inline]
    pub(crate) fn get(&self) -> Serial {
        Serial { maker: self.maker.load(Ordering::Relaxed), number: self.number.load(Ordering::Relaxed) }
    }
}
