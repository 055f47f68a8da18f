//! After a death inside the lock, or of a claim's owner: recomputes derived words, and disposes of what the
//! dead had claimed according to the queue's policy.
#![deny(clippy::arithmetic_side_effects)]

use super::core::Core;
use super::error::{Refused, corrupt};
use super::inside::add;
use super::word::{CLAIMS, DEAD, HEADER, QueueKind, REDELIVER, Record};
use crate::base::atomic::Ordering;

/// What a walk over all records counts.
#[derive(Default)]
struct Counts {
    ready: u64,
    writing: u32,
    claimed: u32,
    next: Option<u64>,
}

impl Core {
    /// Inside the lock, which was poisoned. A death of the recounter poisons it again, and the next one
    /// starts over.
    #[cold]
    #[expect(
        clippy::arithmetic_side_effects,
        reason = "positions are checked first, and records end before the tail"
    )]
    pub(super) fn recount(&self) -> Result<(), Refused> {
        let control = self.base.control();
        let hot = &control.hot;
        // First, so that claims marked from now on ask for another recount.
        hot.lock.clear_poison();
        let marks: Vec<(usize, u32)> = control.claims.iter().enumerate().filter_map(mark_of).collect();
        let (head, tail) = (hot.head.load(Ordering::Relaxed), hot.tail.load(Ordering::Relaxed));
        let capacity = self.base.shape.capacity();
        if head > tail
            || tail - head > capacity
            || tail > u64::MAX / 4
            || !(head | tail).is_multiple_of(HEADER)
        {
            return Err(corrupt("position", tail));
        }
        // What the dead were taking out; it is gone unless its record is still there.
        let taking = marks.iter().map(|&(i, _)| control.taking[i].load(Ordering::Relaxed));
        let mut taken: Vec<u64> = taking.filter(|&at| at != 0).collect();
        let counts = self.walk(head, tail, &mut taken, |claim| marks.iter().any(|&(i, _)| i == claim))?;
        // Before the claims are free: a death in between counts them twice, never not at all.
        add(&control.lost, taken.len() as u64);
        add(&control.lost_untold, taken.len() as u64);
        self.base.recount_chunks(head, tail)?;
        hot.ready.store(counts.ready, Ordering::Relaxed);
        hot.writing.store(counts.writing, Ordering::Relaxed);
        hot.claimed.store(counts.claimed, Ordering::Relaxed);
        hot.next.store(counts.next.unwrap_or(tail), Ordering::Relaxed);
        // Free only now that no record names them.
        for (i, mark) in marks {
            let _ = control.claims[i].compare_exchange(mark, 0, Ordering::Relaxed, Ordering::Relaxed);
        }
        for bell in [&hot.food, &hot.room, &control.done] {
            let wake = bell.ring_all();
            bell.wake(wake);
        }
        Ok(())
    }

    /// Settles what the dead had claimed, and counts. Leaves in `taken` the positions, plus one, that have no
    /// record.
    #[expect(
        clippy::arithmetic_side_effects,
        reason = "positions are checked first, and records end before the tail"
    )]
    fn walk(
        &self,
        head: u64,
        tail: u64,
        taken: &mut Vec<u64>,
        is_dead: impl Fn(usize) -> bool,
    ) -> Result<Counts, Refused> {
        let control = self.base.control();
        let mut counts = Counts::default();
        let mut position = head;
        while position < tail {
            let word = self.base.header(position)?;
            let record = Record(word.load(Ordering::Relaxed));
            let kind = record.kind().filter(|_| record.stride() <= tail - position);
            let Some(kind) = kind else { return Err(corrupt("record", record.0)) };
            if kind != QueueKind::Hole {
                taken.retain(|&at| at != position + 1);
            }
            let now = match kind {
                QueueKind::Writing(claim) | QueueKind::Claimed(claim) if is_dead(claim) => {
                    kind.without_owner(self.base.shape.flags & REDELIVER != 0)
                }
                same => same,
            };
            if matches!(kind, QueueKind::Claimed(_)) && now == QueueKind::Hole {
                // Before the record: a death in between counts it twice, never not at all.
                add(&control.lost, 1);
                add(&control.lost_untold, 1);
            }
            if now != kind {
                word.store(Record::new(now, record.len()).0, Ordering::Relaxed);
            }
            match now {
                QueueKind::Hole => {}
                QueueKind::Ready => counts.ready += 1,
                QueueKind::Writing(_) => counts.writing = counts.writing.saturating_add(1),
                QueueKind::Claimed(_) => counts.claimed = counts.claimed.saturating_add(1),
            }
            if matches!(now, QueueKind::Ready | QueueKind::Writing(_)) {
                counts.next.get_or_insert(position);
            }
            position += record.stride();
        }
        Ok(counts)
    }
}

/// The mark on a claim whose owner is dead, or has given it up.
pub(super) fn mark_of((i, claim): (usize, &crate::base::atomic::AtomicU32)) -> Option<(usize, u32)> {
    debug_assert!(i < CLAIMS);
    // Acquire pairs with the release of the mark in `repair`.
    let seen = claim.load(Ordering::Acquire);
    (seen & DEAD != 0).then_some((i, seen))
}
