//! The operations inside the lock: finding, claiming, writing and removing records.
#![deny(clippy::arithmetic_side_effects)]

use super::bell::Wake;
use super::core::{After, Claim, Core};
use super::error::{Refused, corrupt};
use super::word::{CLAIMS, HEADER, JOINABLE, QueueKind, REDELIVER, Record, SENDING, stride};
use crate::base::atomic::{AtomicU64, Ordering};
use crate::base::member::Owner;

/// Proof that the caller is inside the lock; dropping it leaves the lock.
pub(super) struct Inside<'a> {
    pub(super) core: &'a Core,
    pub(super) me: Owner,
    pub(super) spots: Spots,
}

/// Positions, copied once and checked to be in order.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spots {
    pub(super) head: u64,
    pub(super) next: u64,
    pub(super) tail: u64,
}

impl Drop for Inside<'_> {
    #[inline]
    fn drop(&mut self) {
        // Not the owner only if something wrote over the word; the next to enter sees that.
        let _ = self.core.base.control().hot.lock.unlock(self.me);
    }
}

pub(super) fn add(word: &AtomicU64, n: u64) {
    word.store(word.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
}

fn sub(word: &AtomicU64, n: u64) {
    word.store(word.load(Ordering::Relaxed).saturating_sub(n), Ordering::Relaxed);
}

impl Inside<'_> {
    /// Items that count towards the limit.
    pub(super) fn waiting_items(&self) -> u64 {
        let hot = &self.core.base.control().hot;
        hot.ready.load(Ordering::Relaxed).saturating_add(hot.writing.load(Ordering::Relaxed).into())
    }

    /// Whether no more items will come.
    pub(super) fn is_finished(&self) -> bool {
        let control = self.core.base.control();
        let hot = &control.hot;
        // A claimed item may come back.
        let returning =
            self.core.base.shape.flags & REDELIVER != 0 && hot.claimed.load(Ordering::Relaxed) > 0;
        self.core.is_closed(SENDING) && hot.writing.load(Ordering::Relaxed) == 0 && !returning
    }

    /// Items in the queue, being read, or in hand.
    pub(super) fn unfinished(&self) -> u64 {
        let control = self.core.base.control();
        let claimed = control.hot.claimed.load(Ordering::Relaxed);
        self.waiting_items().saturating_add(claimed.into()).saturating_add(control.in_hand.total())
    }

    pub(super) fn set(&self, position: u64, record: Record) -> Result<(), Refused> {
        self.core.base.header(position)?.store(record.0, Ordering::Relaxed);
        Ok(())
    }

    /// The record at a position, checked to end before the tail.
    fn record(&self, position: u64) -> Result<(QueueKind, Record), Refused> {
        let record = self.core.base.record(position)?;
        match record.kind() {
            Some(kind) if record.stride() <= self.spots.tail.saturating_sub(position) => Ok((kind, record)),
            _ => Err(corrupt("record", record.0)),
        }
    }

    /// Whether a record of this many bytes fits. An empty queue first moves to the start of a chunk, so that
    /// the largest item fits.
    #[expect(
        clippy::arithmetic_side_effects,
        reason = "positions are checked on entry to lie far below the end, and lengths are at most the capacity"
    )]
    pub(super) fn has_bytes(&mut self, need: u64) -> Result<bool, Refused> {
        let base = &self.core.base;
        let Spots { head, tail, .. } = self.spots;
        if base.has_bytes(head, tail, need) {
            return Ok(true);
        }
        let rest = tail.next_multiple_of(base.shape.chunk_bytes() as u64) - tail;
        if head != tail || rest == 0 {
            return Ok(false);
        }
        let item = need - HEADER;
        base.back(tail, HEADER).map_err(|source| Refused::NoMemory { item, source })?;
        self.set(tail, Record::new(QueueKind::Hole, rest - HEADER))?;
        self.advance_tail(rest);
        self.reclaim()?;
        Ok(base.has_bytes(self.spots.head, self.spots.tail, need))
    }

    #[expect(
        clippy::arithmetic_side_effects,
        reason = "positions are checked on entry to lie far below the end, and lengths are at most the capacity"
    )]
    fn advance_tail(&mut self, by: u64) {
        self.spots.tail += by;
        self.core.base.control().hot.tail.store(self.spots.tail, Ordering::Relaxed);
    }

    /// Writes a whole record at the tail.
    #[inline]
    #[expect(
        clippy::arithmetic_side_effects,
        reason = "positions are checked on entry to lie far below the end, and lengths are at most the capacity"
    )]
    pub(super) fn put_small(&mut self, data: &[u8]) -> Result<Wake, Refused> {
        let (base, len) = (&self.core.base, data.len() as u64);
        let (tail, need) = (self.spots.tail, stride(len));
        self.make_room(tail, need, need)?;
        self.set(tail, Record::new(QueueKind::Ready, len))?;
        base.write(tail + HEADER, data)?;
        self.advance_tail(need);
        let hot = &base.control().hot;
        add(&hot.ready, 1);
        Ok(hot.food.ring())
    }

    /// Chunks for `need` bytes at the tail, and memory behind the first `backed` of them; else as it was.
    #[inline]
    #[expect(
        clippy::arithmetic_side_effects,
        reason = "positions are checked on entry to lie far below the end, and lengths are at most the capacity"
    )]
    fn make_room(&self, tail: u64, need: u64, backed: u64) -> Result<(), Refused> {
        let base = &self.core.base;
        base.map_chunks(tail, need)?;
        base.back(tail, backed).map_err(|source| {
            base.unmap_chunks(tail, need);
            Refused::NoMemory { item: need - HEADER, source }
        })
    }

    /// Claims a record at the tail for a large item. `None`: all claims are taken.
    pub(super) fn claim_room(&mut self, len: u64) -> Result<Option<Claim>, Refused> {
        let (tail, need) = (self.spots.tail, stride(len));
        let Some(index) = self.free_claim() else { return Ok(None) };
        let control = self.core.base.control();
        // The header alone: memory for the rest comes outside the lock.
        self.make_room(tail, need, HEADER)?;
        control.taking[index].store(0, Ordering::Relaxed);
        control.claims[index].store(self.me.member.get(), Ordering::Relaxed);
        self.set(tail, Record::new(QueueKind::Writing(index), len))?;
        self.advance_tail(need);
        let writing = &control.hot.writing;
        writing.store(writing.load(Ordering::Relaxed).saturating_add(1), Ordering::Relaxed);
        Ok(Some(Claim { position: tail, len, index }))
    }

    /// Ends the writing of a large record, which then is ready or a hole. Returns whom to wake. The claim is
    /// removed last: until then a failure gives it up.
    pub(super) fn end_writing(&mut self, claim: &Claim, kind: QueueKind) -> Result<After, Refused> {
        self.set(claim.position, Record::new(kind, claim.len))?;
        let control = self.core.base.control();
        let hot = &control.hot;
        let mut after = After::default();
        if kind == QueueKind::Ready {
            hot.next.store(self.spots.next.min(claim.position), Ordering::Relaxed);
            add(&hot.ready, 1);
            after.food = hot.food.ring();
        } else {
            self.reclaim()?;
            // The last one being written may be what waiters for the end of a closed queue, or for all to be
            // done, wait for.
            (after.food, after.room, after.done) =
                (hot.food.ring_all(), hot.room.ring_all(), control.done.ring_all());
        }
        hot.writing.store(hot.writing.load(Ordering::Relaxed).saturating_sub(1), Ordering::Relaxed);
        control.claims[claim.index].store(0, Ordering::Relaxed);
        Ok(after)
    }

    /// Ends a claim on an item, which then is gone or back in its place. Returns whom to wake.
    pub(super) fn end_reading(&mut self, claim: &Claim, is_taken: bool) -> Result<After, Refused> {
        let control = self.core.base.control();
        let mut after = After::default();
        if is_taken {
            after = self.remove(claim.position, claim.len)?;
        } else {
            self.set(claim.position, Record::new(QueueKind::Ready, claim.len))?;
            control.hot.next.store(self.spots.next.min(claim.position), Ordering::Relaxed);
            add(&control.hot.ready, 1);
            after.food = control.hot.food.ring();
        }
        control.claims[claim.index].store(0, Ordering::Relaxed);
        self.uncount_claim(&mut after);
        Ok(after)
    }

    /// Notes that one item less is claimed.
    pub(super) fn uncount_claim(&self, after: &mut After) {
        let hot = &self.core.base.control().hot;
        hot.claimed.store(hot.claimed.load(Ordering::Relaxed).saturating_sub(1), Ordering::Relaxed);
        if self.core.is_closed(SENDING) {
            // Readers of a closed queue wait for claimed items, which may come back.
            after.food = hot.food.ring_all();
        }
    }

    #[expect(clippy::arithmetic_side_effects, reason = "members and threads are small numbers")]
    pub(super) fn free_claim(&self) -> Option<usize> {
        let claims = &self.core.base.control().claims;
        let start = (self.me.member.get() as usize * 8 + self.me.thread as usize) % CLAIMS;
        (start..start + CLAIMS).map(|i| i % CLAIMS).find(|&i| claims[i].load(Ordering::Relaxed) == 0)
    }

    /// The first ready record. Joins neighbouring holes on the way, so that one slow writer or reader does
    /// not make every search long.
    #[inline]
    #[expect(
        clippy::arithmetic_side_effects,
        reason = "positions are checked on entry to lie far below the end, and lengths are at most the capacity"
    )]
    pub(super) fn find_ready(&mut self) -> Result<Option<(u64, u64)>, Refused> {
        let hot = &self.core.base.control().hot;
        let mut position = self.spots.next;
        let (mut passes, mut hole) = (true, None);
        while position < self.spots.tail {
            let (kind, record) = self.record(position)?;
            match (kind, hole) {
                (QueueKind::Ready, _) => return Ok(Some((position, record.len()))),
                (QueueKind::Hole, Some((start, len))) if !passes => {
                    let len: u64 = len + record.stride();
                    self.set(start, Record::new(QueueKind::Hole, len))?;
                    hole = Some((start, len));
                }
                (QueueKind::Hole, _) => hole = Some((position, record.stride() - HEADER)),
                (QueueKind::Writing(_), _) => (passes, hole) = (false, None),
                (QueueKind::Claimed(_), _) => hole = None,
            }
            position += record.stride();
            if passes {
                self.spots.next = position;
                hot.next.store(position, Ordering::Relaxed);
            }
        }
        Ok(None)
    }

    /// Claims the ready record for reading. `None`: all claims are taken.
    pub(super) fn claim(&mut self, position: u64, len: u64) -> Result<Option<Claim>, Refused> {
        let Some(index) = self.free_claim() else { return Ok(None) };
        let control = self.core.base.control();
        control.taking[index].store(0, Ordering::Relaxed);
        control.claims[index].store(self.me.member.get(), Ordering::Relaxed);
        self.set(position, Record::new(QueueKind::Claimed(index), len))?;
        sub(&control.hot.ready, 1);
        let claimed = &control.hot.claimed;
        claimed.store(claimed.load(Ordering::Relaxed).saturating_add(1), Ordering::Relaxed);
        Ok(Some(Claim { position, len, index }))
    }

    /// Removes a record of this many bytes, ready or claimed by the caller. Returns whom to wake.
    #[inline]
    #[expect(
        clippy::arithmetic_side_effects,
        reason = "positions are checked on entry to lie far below the end, and lengths are at most the capacity"
    )]
    pub(super) fn remove(&mut self, position: u64, len: u64) -> Result<After, Refused> {
        let control = self.core.base.control();
        let (kind, record) = self.record(position)?;
        if record.len() != len {
            return Err(corrupt("record", record.0));
        }
        let was_ready = kind == QueueKind::Ready;
        if self.core.base.shape.flags & JOINABLE != 0 {
            // Before the item goes: a death in between counts it as lost although it is still there, never
            // the reverse.
            if control.in_hand.add(self.me.member, 1).is_none() {
                return Err(corrupt("table of items in hand", self.me.member.get().into()));
            }
        }
        if position == self.spots.head {
            // The head's move is the taking; and the writer's line need not come here for writing.
            self.move_head(position + stride(len));
        } else {
            self.set(position, Record::new(QueueKind::Hole, len))?;
        }
        if was_ready {
            sub(&control.hot.ready, 1);
        }
        self.reclaim()?;
        let emptied = self.spots.head == self.spots.tail;
        Ok(After { room: control.hot.room.ring(), emptied, ..After::default() })
    }

    /// Moves the head past all holes and frees what they took.
    #[inline]
    #[expect(
        clippy::arithmetic_side_effects,
        reason = "positions are checked on entry to lie far below the end, and lengths are at most the capacity"
    )]
    pub(super) fn reclaim(&mut self) -> Result<(), Refused> {
        let mut head = self.spots.head;
        while head < self.spots.tail {
            match self.record(head)? {
                (QueueKind::Hole, record) => head += record.stride(),
                _ => break,
            }
        }
        if head != self.spots.head {
            self.move_head(head);
        }
        Ok(())
    }

    #[inline]
    fn move_head(&mut self, head: u64) {
        let hot = &self.core.base.control().hot;
        let old = std::mem::replace(&mut self.spots.head, head);
        hot.head.store(head, Ordering::Relaxed);
        self.core.base.leave_chunks(old, head);
        if self.spots.next < head {
            self.spots.next = head;
            hot.next.store(head, Ordering::Relaxed);
        }
    }
}
