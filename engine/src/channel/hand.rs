//! The item that a reader has removed but not returned to its caller yet. It is noted beside the reader's
//! claim before it is removed, so that the reader's death counts it as lost.
//!
//! `taking[i]` is the position of the item that the owner of claim `i` is removing, plus one; 0 if there is
//! none. Positions are never used twice, so a recount can tell whether the item was removed: then no record
//! is at that position.
#![deny(clippy::arithmetic_side_effects)]

use super::core::{Claim, Core};
use super::error::Refused;
use super::inside::Inside;
use super::word::{CLAIMS, Control, JOINABLE};
use crate::base::atomic::Ordering;
use crate::sync::Patience;

/// A claim on an item that is no longer in the queue. Dropped when the reader's caller has the item.
#[derive(Debug)]
pub(super) struct Hand<'a> {
    control: &'a Control,
    index: usize,
}

impl Drop for Hand<'_> {
    #[inline]
    fn drop(&mut self) {
        if let Some(claim) = self.control.claims.get(self.index) {
            // Release: what was done with the item is not moved behind it.
            claim.store(0, Ordering::Release);
        }
    }
}

impl Core {
    /// What the claim of that number holds.
    #[inline]
    pub(super) fn hand(&self, index: usize) -> Hand<'_> {
        Hand { control: self.base.control(), index }
    }

    /// Removes a claimed item, which is then in the caller's hand.
    #[cold]
    pub(super) fn finish_get(&self, claim: &Claim, patience: Patience) -> Result<Hand<'_>, Refused> {
        let (index, after) = self.end(claim, patience, Refused::Empty, |inside| {
            let index = inside.hold_claimed(claim.position, claim.index);
            let mut after = inside.remove(claim.position, claim.len)?;
            inside.uncount_claim(&mut after);
            Ok((index, after))
        })?;
        let hand = self.hand(index);
        self.follow_up(after);
        Ok(hand)
    }
}

impl Inside<'_> {
    /// Notes that the caller is about to remove the item at that position. Returns the number of the claim;
    /// none, a number that belongs to no claim, if all are taken or if another table counts items in hand.
    #[inline]
    pub(super) fn hold(&self, position: u64) -> usize {
        let control = self.core.base.control();
        let free = if self.core.base.shape.flags & JOINABLE == 0 { self.free_claim() } else { None };
        let Some(index) = free else { return CLAIMS };
        control.taking[index].store(position.wrapping_add(1), Ordering::Relaxed);
        // Release: a recount that finds the claim finds what it is for.
        control.claims[index].store(self.me.member.get(), Ordering::Release);
        index
    }

    /// As [`Self::hold`], with the claim that the caller has.
    pub(super) fn hold_claimed(&self, position: u64, index: usize) -> usize {
        if self.core.base.shape.flags & JOINABLE == 0 {
            self.core.base.control().taking[index].store(position.wrapping_add(1), Ordering::Release);
        }
        index
    }
}
