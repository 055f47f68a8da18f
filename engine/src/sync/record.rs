//! A table of what each member holds of an object, with one 64-bit record per member, so that a dead member's
//! share can be told apart and taken back.
//!
//! Record: bits 32 to 63 are the member, bits 0 to 31 the amount it holds. All zero: free. A record with
//! amount zero stays with its member as a hint; a member that finds no free record may take it over. Every
//! change is one compare-and-swap, so a death leaves a record either before or after the change, never in
//! between.
#![deny(clippy::arithmetic_side_effects)]

use crate::base::atomic::{AtomicU32, AtomicU64, Ordering};
use crate::base::member::MemberId;

/// Records per table: the number of members that may hold something at one time.
#[cfg(not(loom))]
pub(crate) const RECORDS: usize = 256;
#[cfg(loom)]
pub(crate) const RECORDS: usize = 3;

/// The records of one object.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Table {
    /// Records below this index have been in use at some time; only grows.
    used: AtomicU32,
    _pad: AtomicU32,
    records: [AtomicU64; RECORDS],
}

impl Default for Table {
    fn default() -> Table {
        Table {
            used: AtomicU32::new(0),
            _pad: AtomicU32::new(0),
            records: std::array::from_fn(|_| AtomicU64::new(0)),
        }
    }
}

/// Where a member's share is kept: an index below `RECORDS`, so it can be used without another check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot(usize);

const fn record(member: MemberId, amount: u32) -> u64 {
    (member.0 as u64) << 32 | amount as u64
}

const fn member_of(record: u64) -> u32 {
    (record >> 32) as u32
}

const fn amount_of(record: u64) -> u32 {
    record as u32
}

impl Table {
    /// Adds to what `me` holds. `None` if every record belongs to another member that holds something.
    pub(crate) fn add(&self, me: MemberId, amount: u32) -> Option<Slot> {
        loop {
            let slot = self.find(me)?;
            // Before the record itself, so that whoever sees the record also looks that far. And before the
            // look at it, so that a caller that finds it taken has seen a newer length and looks elsewhere.
            if self.used() <= slot.0 {
                self.used.fetch_max((slot.0 as u32).wrapping_add(1), Ordering::Relaxed);
            }
            let record_word = &self.records[slot.0];
            let now = record_word.load(Ordering::Relaxed);
            let held = match now {
                _ if member_of(now) == me.0 => amount_of(now),
                _ if amount_of(now) == 0 => 0,
                _ => continue,
            };
            let next = record(me, held.checked_add(amount)?);
            if record_word.compare_exchange(now, next, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
                return Some(slot);
            }
        }
    }

    /// Adds to what `me` holds, if it holds anything at that instant.
    pub(crate) fn add_to_held(&self, me: MemberId, amount: u32) -> Option<Slot> {
        let slot = self.slot_of(me)?;
        let word = &self.records[slot.0];
        let mut now = word.load(Ordering::Relaxed);
        while member_of(now) == me.0 && amount_of(now) > 0 {
            let next = record(me, amount_of(now).checked_add(amount)?);
            match word.compare_exchange(now, next, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => return Some(slot),
                Err(seen) => now = seen,
            }
        }
        None
    }

    /// `me`'s record, or else a free one, or else another member's empty one.
    #[inline]
    fn find(&self, me: MemberId) -> Option<Slot> {
        let used = self.used();
        let mut free = None;
        for (i, word) in self.records[..used].iter().enumerate() {
            let now = word.load(Ordering::Relaxed);
            if member_of(now) == me.0 {
                return Some(Slot(i));
            }
            if now == 0 && free.is_none() {
                free = Some(Slot(i));
            }
        }
        let fresh = || (used < RECORDS).then_some(Slot(used));
        let empty = || {
            let is_empty = |word: &AtomicU64| amount_of(word.load(Ordering::Relaxed)) == 0;
            self.records.iter().position(is_empty).map(Slot)
        };
        free.or_else(fresh).or_else(empty)
    }

    /// Subtracts from what `me` holds in `slot`. Returns false, and does nothing, if it holds less, or
    /// nothing there.
    #[inline]
    pub(crate) fn sub(&self, me: MemberId, slot: Slot, amount: u32) -> bool {
        let word = &self.records[slot.0];
        let mut now = word.load(Ordering::Relaxed);
        loop {
            if member_of(now) != me.0 || amount_of(now) < amount {
                return false;
            }
            // Release pairs with the acquire in `total`: what the member did before is over.
            match word.compare_exchange(
                now,
                now.wrapping_sub(amount as u64),
                Ordering::AcqRel,
                Ordering::Relaxed,
            ) {
                Ok(_) => return true,
                Err(seen) => now = seen,
            }
        }
    }

    /// Takes one from what `me` holds, or else from what any member holds; false if no member holds anything.
    pub(crate) fn take_one(&self, me: MemberId) -> bool {
        let mine = self.slot_of(me).is_some_and(|slot| self.sub(me, slot, 1));
        mine || (0..self.used()).any(|i| {
            let now = self.records[i].load(Ordering::Relaxed);
            amount_of(now) > 0 && self.sub(MemberId(member_of(now)), Slot(i), 1)
        })
    }

    /// Whether any member other than `member` holds anything.
    pub(crate) fn is_held_beside(&self, member: MemberId) -> bool {
        let held = |word: &AtomicU64| word.load(Ordering::Acquire);
        self.records[..self.used()]
            .iter()
            .map(held)
            .any(|now| amount_of(now) > 0 && member_of(now) != member.0)
    }

    /// `me`'s record, if it holds anything.
    pub(crate) fn slot_of(&self, me: MemberId) -> Option<Slot> {
        self.records[..self.used()].iter().position(|word| holds(word, me)).map(Slot)
    }

    /// Empties every record of `dead`. Returns what it held. Twice is harmless: the second time finds
    /// nothing.
    pub(crate) fn remove(&self, dead: MemberId) -> u64 {
        let mut held = 0;
        for word in &self.records[..self.used()] {
            let mut now = word.load(Ordering::Acquire);
            // A failure means that another member took one of them meanwhile (`take_one`), that another
            // repair was here first, or that the empty record was taken over.
            while member_of(now) == dead.0 {
                match word.compare_exchange(now, 0, Ordering::AcqRel, Ordering::Acquire) {
                    Ok(_) => {
                        held = u64::saturating_add(held, amount_of(now).into());
                        break;
                    }
                    Err(seen) => now = seen,
                }
            }
        }
        held
    }

    /// What all hold together.
    pub(crate) fn total(&self) -> u64 {
        // Acquire pairs with the release in `sub`.
        let amounts = self.records[..self.used()].iter().map(|word| amount_of(word.load(Ordering::Acquire)));
        amounts.map(u64::from).sum()
    }

    /// Which members hold how much; a snapshot.
    pub(crate) fn holders(&self) -> Vec<(MemberId, u32)> {
        let records = self.records[..self.used()].iter().map(|word| word.load(Ordering::Relaxed));
        records
            .filter(|&now| amount_of(now) > 0)
            .map(|now| (MemberId(member_of(now)), amount_of(now)))
            .collect()
    }

    #[inline]
    fn used(&self) -> usize {
        // From shared memory, so never above the real length.
        (self.used.load(Ordering::Relaxed) as usize).min(RECORDS)
    }
}

fn holds(word: &AtomicU64, me: MemberId) -> bool {
    let now = word.load(Ordering::Relaxed);
    member_of(now) == me.0 && amount_of(now) > 0
}
