//! `Claimed`: an item that was taken but is not done.
//!
//! # Safety
//! Buffers are read only as far as they were written.
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use super::codec::{self, Message};
use super::core::{Claim, Core};
use super::error::{QueueError, Refused, corrupt};
use super::hand::Hand;
use super::queue::{Queue, with_scratch};
use super::word::{HEADER, stride};
use crate::sync::{GRACE, Patience};
use crate::sys::fork;

/// A claim that returns its item when dropped.
pub(super) struct Held<'a, T: Message> {
    pub(super) queue: &'a Queue<T>,
    pub(super) core: &'a Core,
    pub(super) claim: Option<Claim>,
}

impl<'a, T: Message> Held<'a, T> {
    /// The item's length. Only a record that was overwritten has no memory behind all of its bytes, and
    /// reading it would take as much memory as its length says.
    fn len_backed(&self, claim: &Claim) -> Result<usize, QueueError> {
        if self.core.base.is_backed(claim.position, stride(claim.len)) {
            Ok(claim.len as usize)
        } else {
            Err(self.queue.error(corrupt("length of an item", claim.len)))
        }
    }

    /// Copies the item's bytes out.
    pub(super) fn bytes(&self, to: &mut Vec<u8>) -> Result<(), QueueError> {
        let Some(claim) = &self.claim else { return Ok(()) };
        let len = self.len_backed(claim)?;
        to.clear();
        let no_room = |error| Refused::NoMemory { item: claim.len, source: std::io::Error::other(error) };
        to.try_reserve(len).map_err(|error| self.queue.error(no_room(error)))?;
        // SAFETY: there is room for `len` bytes.
        let read = unsafe { self.core.base.read(claim.position.wrapping_add(HEADER), len, to.as_mut_ptr()) };
        read.map_err(|refused| self.queue.error(refused))?;
        // SAFETY: the read wrote so many.
        unsafe { to.set_len(len) };
        Ok(())
    }

    /// The item; the inner error is that of decoding it.
    pub(super) fn read(&self) -> Result<Result<T, QueueError>, QueueError> {
        let Some(claim) = &self.claim else { return Err(QueueError::Empty) };
        if codec::plain_element::<T>().is_some() {
            let len = self.len_backed(claim)?;
            let fill = |to| {
                // SAFETY: `plain` gives an address with room for `len` bytes.
                let read = unsafe { self.core.base.read(claim.position.wrapping_add(HEADER), len, to) };
                read.map_err(|refused| self.queue.error(refused))
            };
            // SAFETY: a successful read writes `len` bytes.
            return Ok(unsafe { self.queue.plain(len, fill) });
        }
        with_scratch(|scratch| {
            self.bytes(scratch)?;
            Ok(codec::decode(scratch))
        })
    }

    /// Removes the item; it is in hand until the result is dropped.
    pub(super) fn finish_get(mut self, patience: Patience) -> Result<Option<Hand<'a>>, QueueError> {
        let Some(claim) = self.claim.take() else { return Ok(None) };
        self.core.finish_get(&claim, patience).map(Some).map_err(|refused| self.queue.error(refused))
    }

    pub(super) fn finish(mut self, patience: Patience) -> Result<(), QueueError> {
        self.queue.core()?;
        let Some(claim) = self.claim.take() else { return Ok(()) };
        self.core.finish(&claim, true, patience).map_err(|refused| self.queue.error(refused))
    }
}

impl<T: Message> Drop for Held<'_, T> {
    fn drop(&mut self) {
        if let Some(claim) = self.claim.take().filter(|_| !fork::is_foreign()) {
            // Where it fails the claim was given up, and the item goes back all the same.
            let _ = self.core.finish(&claim, false, Patience::of(GRACE));
        }
    }
}

/// An item that was taken from a queue but is not done yet. Dropping it returns the item to the front of the
/// queue; [`Claimed::done`] completes it.
#[must_use = "dropping it returns the item to the queue"]
pub struct Claimed<'a, T: Message> {
    pub(super) item: T,
    pub(super) held: Held<'a, T>,
}

impl<T: Message> Claimed<'_, T> {
    /// Marks the item as done and returns it.
    ///
    /// # Errors
    /// - [`QueueError::Corrupt`]: the words in shared memory were overwritten.
    pub fn done(self) -> Result<T, QueueError> {
        self.held.finish(Patience::Forever)?;
        Ok(self.item)
    }
}

impl<T: Message> std::ops::Deref for Claimed<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.item
    }
}

impl<T: Message + std::fmt::Debug> std::fmt::Debug for Claimed<'_, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.item.fmt(f)
    }
}
