//! Schedules: which member gets which claim unit.
//!
//! A claim unit is a chunk or, for reductions, a leaf of several chunks. Units are only *claimed* here. That
//! each unit is done exactly once is recorded in the bitmap, which repair after a death relies on.
#![deny(clippy::arithmetic_side_effects)]

use crate::base::atomic::{AtomicU64, Ordering, spin_loop};
use crate::base::{Line, Span};
use crate::launch::grid::block;
use crate::sys::clock::ticks;

/// How the chunks of a launch are assigned to workers.
///
/// ```
/// use phalanx::{Pool, Schedule};
/// # fn main() -> Result<(), phalanx::Error> {
/// let pool = Pool::builder().workers(2).build()?;
/// let mut y = pool.zeros::<f64>(10_000)?;
/// pool.launch().schedule(Schedule::Static).for_each(y.split_mut(), |y| y.fill(1.0))?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Schedule {
    /// Each worker runs only its own block of neighbouring chunks, the same in every launch.
    Static,
    /// Workers take this many neighbouring chunks at a time from one shared counter. 0 counts as 1.
    Dynamic(u32),
    /// Like `Dynamic`, with steps that shrink as less work is left.
    Guided,
    /// Each worker starts on its own block. When that is done, it takes half of what is left of another
    /// worker's block, nearest in the machine first.
    #[default]
    Stealing,
}

impl Schedule {
    pub(crate) fn to_wire(self) -> (u32, u32) {
        match self {
            Schedule::Static => (0, 0),
            Schedule::Dynamic(step) => (1, step),
            Schedule::Guided => (2, 0),
            Schedule::Stealing => (3, 0),
        }
    }

    pub(crate) fn from_wire(code: u32, arg: u32) -> Option<Schedule> {
        Some(match code {
            0 => Schedule::Static,
            1 => Schedule::Dynamic(arg),
            2 => Schedule::Guided,
            3 => Schedule::Stealing,
            _ => return None,
        })
    }
}

/// Packs a range of units into one word, so that owner and thief agree by one compare-and-swap.
fn pack(lo: u64, hi: u64) -> u64 {
    lo << 32 | hi
}

fn unpack(word: u64) -> (u64, u64) {
    (word >> 32, word & u64::from(u32::MAX))
}

/// Initialises the words that claims are made on. Driver only, before the launch opens.
pub(crate) fn reset(
    schedule: Schedule,
    units: usize,
    size: usize,
    ranges: &[Line<AtomicU64>],
    cursor: &AtomicU64,
) {
    match schedule {
        Schedule::Static => {}
        Schedule::Dynamic(_) | Schedule::Guided => cursor.store(0, Ordering::Relaxed),
        Schedule::Stealing => {
            for (rank, range) in ranges.iter().enumerate() {
                let own = block(units, rank, size);
                range.store(pack(own.lo as u64, own.hi as u64), Ordering::Relaxed);
            }
        }
    }
}

/// Claims by one member in one launch.
pub(crate) struct Claims<'a> {
    pub(crate) schedule: Schedule,
    pub(crate) units: u64,
    pub(crate) rank: usize,
    pub(crate) size: usize,
    pub(crate) ranges: &'a [Line<AtomicU64>],
    pub(crate) cursor: &'a AtomicU64,
    /// Other ranks, nearest first.
    pub(crate) victims: &'a [u32],
    /// Whether the own block of a static schedule was taken.
    pub(crate) taken: bool,
    /// Units taken from others, counted in claims.
    pub(crate) steals: u64,
    /// A shared word held a range that no member can have written.
    pub(crate) nonsense: bool,
    /// When this member began, in ticks, and units it has run since.
    pub(crate) since: u64,
    pub(crate) run: u64,
    /// Work of so many ticks is worth being stolen from a member that is at it.
    pub(crate) worth: u64,
}

impl Claims<'_> {
    /// The next units to run, in order; `None` when nothing claimable is left.
    pub(crate) fn next(&mut self) -> Option<Span> {
        match self.schedule {
            Schedule::Static => {
                let own = block(self.units as usize, self.rank, self.size);
                (!std::mem::replace(&mut self.taken, true) && !own.is_empty()).then_some(own)
            }
            Schedule::Dynamic(step) => {
                let step = u64::from(step.max(1));
                // The cursor may run past the end by at most one step per member, since each stops at its
                // first miss.
                let lo = self.cursor.fetch_add(step, Ordering::Relaxed);
                self.checked(lo, lo.saturating_add(step).min(self.units))
            }
            Schedule::Guided => self.guided(),
            Schedule::Stealing => self.own().or_else(|| self.steal()),
        }
    }

    /// The units `lo..hi`, which came from a shared word, if there are any in this launch.
    fn checked(&self, lo: u64, hi: u64) -> Option<Span> {
        (lo < hi && hi <= self.units).then(|| Span::new(lo as usize, hi as usize))
    }

    /// The range that a copy of a shared word stands for. A range outside the launch is noted and counts as
    /// empty.
    fn range_of(&mut self, word: u64) -> Option<(u64, u64)> {
        let (lo, hi) = unpack(word);
        self.nonsense |= lo > hi || hi > self.units;
        (lo < hi && hi <= self.units).then_some((lo, hi))
    }

    #[expect(clippy::arithmetic_side_effects, reason = "a member is of a team, and lo < hi <= units")]
    fn guided(&mut self) -> Option<Span> {
        let mut lo = self.cursor.load(Ordering::Relaxed);
        loop {
            let left = self.units.checked_sub(lo).filter(|left| *left > 0)?;
            let hi = lo + (left / (2 * self.size as u64)).max(1);
            match self.cursor.compare_exchange_weak(lo, hi, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return self.checked(lo, hi),
                Err(seen) => lo = seen,
            }
        }
    }

    /// Takes from the front of the own range: a few units while many are left, then one at a time.
    #[expect(clippy::arithmetic_side_effects, reason = "a member is of a team, and lo < hi <= units")]
    fn own(&mut self) -> Option<Span> {
        let range = &self.ranges[self.rank];
        let mut seen = range.load(Ordering::Relaxed);
        loop {
            let (lo, hi) = self.range_of(seen)?;
            let step = ((hi - lo) / 16).clamp(1, 8);
            match range.compare_exchange_weak(seen, pack(lo + step, hi), Ordering::Relaxed, Ordering::Relaxed)
            {
                Ok(_) => return self.checked(lo, lo + step),
                Err(now) => seen = now,
            }
        }
    }

    /// Steals units that are worth it. What the others will have done soon is left to them for as long as it
    /// would take, since its data lies in their caches: to fetch it from there can take longer than the work
    /// (README.md, "The end of a launch"). One that has not begun, or does not get on, is helped.
    #[cold]
    fn steal(&mut self) -> Option<Span> {
        let idle_since = ticks();
        let pace = idle_since.wrapping_sub(self.since).checked_div(self.run).unwrap_or(u64::MAX);
        loop {
            let has_time = ticks().wrapping_sub(idle_since) < self.worth;
            // Members keep rests of up to so many units; none, while nobody knows how long a unit takes.
            let kept = if has_time { self.worth.checked_div(pace).unwrap_or(u64::MAX) } else { 0 };
            let mut is_soon_done = false;
            if let Some(span) = self.steal_from_any(kept, &mut is_soon_done) {
                return Some(span);
            }
            if !is_soon_done {
                return None;
            }
            spin_loop();
        }
    }

    /// Takes the back half of the nearest range that has more than `kept` left, or whose member has not
    /// begun; runs its first unit, and offers the rest as the own range, where others may steal again. A kill
    /// in between loses no unit: the bitmap shows it as not done. Says whether there was a shorter rest.
    #[expect(clippy::arithmetic_side_effects, reason = "a member is of a team, and lo < hi <= units")]
    fn steal_from_any(&mut self, kept: u64, is_soon_done: &mut bool) -> Option<Span> {
        let (victims, size) = (self.victims, self.size);
        for victim in victims.iter().filter(|victim| (**victim as usize) < size) {
            let Some(range) = self.ranges.get(*victim as usize) else { continue };
            let begins = block(self.units as usize, *victim as usize, size).lo as u64;
            let mut seen = range.load(Ordering::Relaxed);
            while let Some((lo, hi)) = self.range_of(seen) {
                if hi - lo <= kept && lo != begins {
                    *is_soon_done = true;
                    break;
                }
                let cut = hi - (hi - lo).div_ceil(2);
                match range.compare_exchange_weak(seen, pack(lo, cut), Ordering::Relaxed, Ordering::Relaxed) {
                    Ok(_) => {
                        self.steals += 1;
                        let span = self.checked(cut, cut + 1)?;
                        self.ranges[self.rank].store(pack(cut + 1, hi), Ordering::Relaxed);
                        return Some(span);
                    }
                    Err(now) => seen = now,
                }
            }
        }
        None
    }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects, reason = "a test may fail by panicking")]
#[path = "schedule_tests.rs"]
mod tests;
