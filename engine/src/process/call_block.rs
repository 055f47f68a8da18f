//! The call block: the block of the arena through which a process gets its arguments and returns its outcome.
//!
//! A head of six words, then room for bytes: first the arguments, later, over them, the outcome. The driver
//! writes before the process learns of the call block and reads after the process's death is confirmed; the
//! process uses the block in between. So it never has two users at a time.
//!
//! # Safety
//! A [`View`] spans a block of at least [`HEAD_BYTES`], aligned to 8, initialised, and mapped read-write
//! while it is used, and by the above its user has it for itself.
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use crate::base::atomic::{AtomicU64, Ordering};
use crate::code;
use std::ptr::NonNull;

/// Bytes before the arguments.
pub(super) const HEAD_BYTES: usize = 64;
/// Minimum number of bytes for an outcome; a longer one comes in a segment of its own.
pub(super) const ROOM_BYTES: usize = 4096 - HEAD_BYTES;

/// The words. All zero: nothing has been left yet.
#[repr(C)]
struct Head {
    /// Hash of the types of function, arguments and result.
    layout: AtomicU64,
    /// The function: its distance from the anchor.
    function: AtomicU64,
    /// Checksum of these two.
    seal: AtomicU64,
    args_len: AtomicU64,
    /// What the process left: a [`Left`], written last.
    left: AtomicU64,
    left_len: AtomicU64,
}

#[cfg(not(loom))]
const _: () = {
    assert!(size_of::<Head>() <= HEAD_BYTES);
    assert!(std::mem::offset_of!(Head, left) == 32);
};

/// What a process left in its call block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub(super) enum Left {
    /// The process did not get that far.
    Nothing = 0,
    /// What the function returned.
    Value = 1,
    /// The same, in a segment that was sent.
    FarValue = 2,
    /// The function panicked: message, location and backtrace.
    Panic = 3,
    /// The arguments could not be read: why.
    BadArguments = 4,
    /// The function's return value cannot be handed over: why.
    BadValue = 5,
    /// As [`Left::Panic`], in a segment that was sent.
    FarPanic = 6,
}

impl Left {
    fn of(word: u64) -> Option<Left> {
        use Left::*;
        [Nothing, Value, FarValue, Panic, BadArguments, BadValue, FarPanic]
            .into_iter()
            .find(|left| *left as u64 == word)
    }
}

/// A call block as one process maps it.
#[derive(Clone, Copy)]
pub(super) struct View {
    base: NonNull<u8>,
    len_bytes: usize,
}

/// What the driver writes into the head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ProcessCall {
    pub(super) layout: u64,
    pub(super) function: u64,
}

impl ProcessCall {
    fn seal(self) -> u64 {
        code::seal_of(&[self.layout, self.function])
    }
}

impl View {
    /// A view of the block at `base`.
    ///
    /// # Safety
    /// As the module says.
    pub(super) unsafe fn new(base: NonNull<u8>, len_bytes: usize) -> View {
        debug_assert!(len_bytes >= HEAD_BYTES);
        View { base, len_bytes }
    }

    fn head(&self) -> &Head {
        // SAFETY: the block starts with the head, is aligned for it, and its words are atomics.
        unsafe { self.base.cast::<Head>().as_ref() }
    }

    fn room(&self) -> usize {
        self.len_bytes.saturating_sub(HEAD_BYTES)
    }

    fn area(&self) -> NonNull<u8> {
        // SAFETY: the block is no shorter than the head.
        unsafe { self.base.add(HEAD_BYTES) }
    }

    fn write(&self, bytes: &[u8]) -> bool {
        if bytes.len() > self.room() {
            return false;
        }
        // SAFETY: fits, compared above, and nobody else uses the block now; `bytes` are not of the block:
        // what `read` gives is copied or decoded before anything is left.
        unsafe { self.area().copy_from_nonoverlapping(NonNull::from(bytes).cast(), bytes.len()) };
        true
    }

    fn read(&self, len: u64) -> Option<&[u8]> {
        let len = usize::try_from(len).ok().filter(|len| *len <= self.room())?;
        // SAFETY: inside the block, compared above; initialised since the arena hands out zeros; nobody
        // writes now.
        Some(unsafe { std::slice::from_raw_parts(self.area().as_ptr(), len) })
    }

    /// The driver's part.
    pub(super) fn fill(&self, call: ProcessCall, args: &[u8]) -> bool {
        let head = self.head();
        head.layout.store(call.layout, Ordering::Relaxed);
        head.function.store(call.function, Ordering::Relaxed);
        head.seal.store(call.seal(), Ordering::Relaxed);
        head.args_len.store(args.len() as u64, Ordering::Relaxed);
        // The packet that announces the call block orders all this before what the process reads.
        self.write(args)
    }

    /// The call; `None` if something was written over it.
    pub(super) fn call(&self) -> Option<ProcessCall> {
        let head = self.head();
        let (layout, function) = (head.layout.load(Ordering::Relaxed), head.function.load(Ordering::Relaxed));
        let call = ProcessCall { layout, function };
        (head.seal.load(Ordering::Relaxed) == call.seal()).then_some(call)
    }

    /// The arguments; `None` if the length makes no sense.
    pub(super) fn args(&self) -> Option<&[u8]> {
        self.read(self.head().args_len.load(Ordering::Relaxed))
    }

    /// Leaves an outcome. Returns false, and does nothing, if it does not fit.
    pub(super) fn leave(&self, left: Left, bytes: &[u8]) -> bool {
        if !self.write(bytes) {
            return false;
        }
        self.head().left_len.store(bytes.len() as u64, Ordering::Relaxed);
        // Release: a process that is killed before this line has left nothing, and after it everything.
        self.head().left.store(left as u64, Ordering::Release);
        true
    }

    /// What was left, and its bytes; `None` if the words make no sense.
    pub(super) fn left(&self) -> Option<(Left, &[u8])> {
        // Acquire: pairs with the release in `leave`.
        let left = Left::of(self.head().left.load(Ordering::Acquire))?;
        let len = if left == Left::Nothing { 0 } else { self.head().left_len.load(Ordering::Relaxed) };
        Some((left, self.read(len)?))
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn nothing_in_a_slip_leads_outside(words in proptest::collection::vec((0..16usize, any::<u64>(), 0..4096u64), 0..6)) {
            let mut memory = [0u64; 32];
            let base = NonNull::from(&mut memory).cast::<u8>();
            // SAFETY: the array is this test's own, lives on, and is longer than a head.
            let call_block = unsafe { View::new(base, 256) };
            let call = ProcessCall { layout: 7, function: 9 };
            prop_assert!(call_block.fill(call, b"args") && !call_block.fill(call, &[0; 200]));
            for (place, value, small) in words {
                // SAFETY: a word of the array.
                let word = unsafe { AtomicU64::from_ptr(base.cast::<u64>().as_ptr().add(place)) };
                word.store(if value % 2 == 0 { value } else { small }, Ordering::Relaxed);
            }
            let _ = call_block.call();
            prop_assert!(call_block.args().is_none_or(|args| args.len() <= 192));
            prop_assert!(call_block.left().is_none_or(|(_, bytes)| bytes.len() <= 192));
        }

        #[test]
        fn an_overwritten_function_is_not_called(place in 0..3usize, value in any::<u64>()) {
            let mut memory = [0u64; 16];
            let base = NonNull::from(&mut memory).cast::<u8>();
            // SAFETY: as above.
            let call_block = unsafe { View::new(base, 128) };
            let call = ProcessCall { layout: 7, function: 9 };
            call_block.fill(call, &[]);
            prop_assert_eq!(call_block.call(), Some(call));
            // SAFETY: a word of the array.
            let word = unsafe { AtomicU64::from_ptr(base.cast::<u64>().as_ptr().add(place)) };
            if word.swap(value, Ordering::Relaxed) != value {
                prop_assert_eq!(call_block.call(), None);
            }
        }
    }
}
