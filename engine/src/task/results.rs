//! A task's room as its member fills it: results from the front, in the order of the items, and faults from
//! the end.
//!
//! Every outcome lies in shared memory before it is counted, so that it outlives the member. A room that is
//! too small is exchanged for a larger one, which the driver provides, and what is there moves.
//!
//! # Safety
//! A room is the member's to write while it runs the task. The driver may look at what has been counted
//! meanwhile, where the member is a thread; so a `&mut` covers the free part only, and counted bytes are
//! never written again.
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use crate::handle::travel::{KeepAlive, Manifest};
use crate::task::codec::{self, WriteError};
use crate::task::error::ItemFault;
use serde::Serialize;
use std::marker::PhantomData;

/// A room's bytes.
#[derive(Clone, Copy)]
pub(crate) struct Room<'a> {
    base: *mut u8,
    size: usize,
    lent: PhantomData<&'a [u8]>,
}

impl Room<'_> {
    /// # Safety
    /// `size` bytes at `base` are readable and writable for as long as the result says, and nobody else
    /// writes there.
    pub(crate) unsafe fn new<'a>(base: *mut u8, size: usize) -> Room<'a> {
        Room { base, size, lent: PhantomData }
    }
}

/// The room of one task, and how much of it is used.
pub(crate) struct Results<'a> {
    room: Room<'a>,
    /// Bytes of results.
    len: usize,
    /// Bytes of faults. Never more than the room, with those of results.
    faulted: usize,
}

impl<'a> Results<'a> {
    pub(crate) fn new(room: Room<'a>) -> Results<'a> {
        Results { room, len: 0, faulted: 0 }
    }

    /// Bytes of results so far.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Bytes of faults so far.
    pub(crate) fn faulted(&self) -> usize {
        self.faulted
    }

    #[inline]
    #[expect(
        clippy::arithmetic_side_effects,
        reason = "results and faults lie in the room, and end before they meet"
    )]
    fn free(&mut self) -> &mut [u8] {
        // SAFETY: `len` is at most the room's size.
        let base = unsafe { self.room.base.add(self.len) };
        // SAFETY: between results and faults, hence inside the room; the member's alone, borrowed from
        // `self`.
        unsafe { std::slice::from_raw_parts_mut(base, self.room.size - self.faulted - self.len) }
    }

    /// Writes a result behind the others. Returns what must be kept until it has been read, if it has
    /// handles.
    #[inline]
    #[expect(
        clippy::arithmetic_side_effects,
        reason = "results and faults lie in the room, and end before they meet"
    )]
    pub(crate) fn push<R: Serialize + 'static>(
        &mut self,
        value: &R,
        question: Option<&Manifest>,
    ) -> Result<Option<KeepAlive>, WriteError> {
        let (len, keep_alive) = codec::write(value, question, self.free())?;
        self.len += len;
        Ok(keep_alive)
    }

    /// Writes a result's bytes behind the others; false if they do not fit.
    #[expect(
        clippy::arithmetic_side_effects,
        reason = "results and faults lie in the room, and end before they meet"
    )]
    pub(crate) fn put(&mut self, bytes: &[u8]) -> bool {
        let Some(place) = self.free().get_mut(..bytes.len()) else { return false };
        place.copy_from_slice(bytes);
        self.len += bytes.len();
        true
    }

    /// Writes a fault before the others, and `filler` in the place of its result; false, and nothing done, if
    /// there is no room.
    #[expect(
        clippy::arithmetic_side_effects,
        reason = "results and faults lie in the room, and end before they meet"
    )]
    pub(crate) fn put_fault(&mut self, fault: &[u8], filler: &[u8]) -> bool {
        let free = self.free();
        if free.len() < fault.len() + filler.len() {
            return false;
        }
        let at = free.len() - fault.len();
        free[at..].copy_from_slice(fault);
        free[..filler.len()].copy_from_slice(filler);
        self.faulted += fault.len();
        self.len += filler.len();
        true
    }

    /// Drops what a failed item has written.
    pub(crate) fn back_to(&mut self, len: usize) {
        self.len = len;
    }

    /// Goes on in another room; false, and nothing done, if it has no space for what is here.
    #[expect(
        clippy::arithmetic_side_effects,
        reason = "results and faults lie in the room, and end before they meet"
    )]
    pub(crate) fn move_to(&mut self, room: Room<'a>) -> bool {
        if room.size < self.len + self.faulted {
            return false;
        }
        // SAFETY: the first `len` bytes of two rooms.
        unsafe { room.base.copy_from_nonoverlapping(self.room.base, self.len) };
        // SAFETY: no room is smaller than its faults.
        let to = unsafe { room.base.add(room.size - self.faulted) };
        // SAFETY: as above.
        let from = unsafe { self.room.base.add(self.room.size - self.faulted) };
        // SAFETY: the last `faulted` bytes of two rooms.
        unsafe { to.copy_from_nonoverlapping(from, self.faulted) };
        self.room = room;
        true
    }
}

/// The faults at the end of a room, in the order of the items.
pub(crate) fn read_faults(mut bytes: &[u8]) -> Option<Vec<ItemFault>> {
    let mut faults = Vec::new();
    while !bytes.is_empty() {
        faults.push(codec::read(codec::split::<ItemFault>(&mut bytes)?).ok()?);
    }
    faults.reverse();
    Some(faults)
}

#[cfg(all(test, not(loom)))]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
    use super::*;
    use crate::task::error::ItemFaultKind;

    fn fault(item: u32) -> (ItemFault, Vec<u8>) {
        let fault = ItemFault {
            item,
            kind: ItemFaultKind::Panic,
            message: format!("number {item}"),
            location: String::new(),
            backtrace: String::new(),
        };
        let mut bytes = Vec::new();
        codec::append(&fault, &mut bytes).unwrap();
        (fault, bytes)
    }

    #[test]
    fn results_and_faults_meet_and_move() {
        let one = fault(1).1.len();
        let (mut small, mut large) = (vec![0u8; one + 24], vec![0u8; 2 * one + 40]);
        // SAFETY: two arrays of this function, which nobody else uses until they are read.
        let room = |bytes: &mut [u8]| unsafe { Room::new(bytes.as_mut_ptr(), bytes.len()) };
        let mut results = Results::new(room(&mut small));
        results.push(&7u64, None).unwrap();
        assert!(results.put_fault(&fault(1).1, &[0; 8]));
        let before = results.len();
        assert!(!results.put_fault(&fault(2).1, &[0; 8]) && results.len() == before);
        assert!(matches!(results.push(&"far too long for what is left", None), Err(WriteError::NoRoom)));
        assert!(!results.move_to(room(&mut large[..10])));
        assert!(results.move_to(room(&mut large)));
        assert!(results.put_fault(&fault(2).1, &[0; 8]));
        assert!(results.put(&9u64.to_ne_bytes()));
        let (len, faulted) = (results.len(), results.faulted());
        assert_eq!(large[..len], [7u64, 0, 0, 9].map(u64::to_ne_bytes).concat());
        let faults = read_faults(&large[2 * one + 40 - faulted..]).unwrap();
        assert_eq!(faults.iter().map(|fault| fault.item).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(faults[1].message, "number 2");
    }

    #[test]
    fn bytes_that_are_no_faults_are_nothing() {
        assert!(read_faults(&[0xff; 64]).is_none());
        assert!(read_faults(&[0; 3]).is_none());
        assert!(read_faults(&[]).is_some_and(|faults| faults.is_empty()));
    }
}
