//! Counters: plain, one word for all; sharded, one line for each of many writers.
//!
//! # Safety
//! A counter's block is atomics from end to end; `word` and `lanes` view it as that.
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use crate::base::Line;
use crate::base::atomic::{AtomicU64, Ordering};
use crate::base::member;
use crate::sync::place::{self, CreateError, Place, Remote, remote};

/// A 64-bit counter in shared memory that any number of threads and processes change concurrently.
///
/// No call blocks. A death loses nothing: an addition has either happened or not. The operations on one
/// counter are totally ordered, and order no other memory accesses; sums wrap at 2^64. If many workers add
/// all the time, [`ShardedCounter`] is faster.
///
/// ```
/// use phalanx::sync::Counter;
///
/// let next = Counter::new(10)?;
/// assert_eq!(next.add(5), 10);
/// assert_eq!(next.get(), 15);
/// # Ok::<(), phalanx::sync::CreateError>(())
/// ```
pub struct Counter {
    place: Place,
}

impl Counter {
    /// Makes a counter that starts at `value`.
    ///
    /// # Errors
    /// - [`CreateError`] if shared memory cannot be allocated.
    pub fn new(value: u64) -> Result<Counter, CreateError> {
        let place = place::make::<Counter>("counter", size_of::<AtomicU64>(), |_| (), None)?;
        let counter = Counter { place };
        counter.set(value);
        Ok(counter)
    }

    /// Adds, and returns the old value: each caller of `add(1)` gets a different number.
    #[doc(alias = "fetch_add")]
    #[inline]
    pub fn add(&self, amount: u64) -> u64 {
        self.word().fetch_add(amount, Ordering::Relaxed)
    }

    /// Subtracts, and returns the old value.
    #[inline]
    pub fn sub(&self, amount: u64) -> u64 {
        self.word().fetch_sub(amount, Ordering::Relaxed)
    }

    /// Returns the current value.
    #[inline]
    pub fn get(&self) -> u64 {
        self.word().load(Ordering::Relaxed)
    }

    /// Sets the value and returns the old one.
    pub fn set(&self, value: u64) -> u64 {
        self.word().swap(value, Ordering::Relaxed)
    }

    fn word(&self) -> &AtomicU64 {
        Remote::words(self)
    }
}

impl std::fmt::Debug for Counter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Counter").field(&self.get()).finish()
    }
}

/// Lanes of a sharded counter; a power of two. More than this many writers share lanes, which costs only
/// speed.
const LANES: usize = 64;

/// A counter split over cache lines, so that an addition never waits for a line on another core.
///
/// Adding is cheap and scales. Reading sums all lanes; while others add, the sum may be a value that the
/// counter never had at any single instant, but it includes every addition that happened before the call.
///
/// ```
/// use phalanx::sync::ShardedCounter;
///
/// let hits = ShardedCounter::new()?;
/// std::thread::scope(|s| {
///     for _ in 0..4 {
///         s.spawn(|| (0..1000).for_each(|_| hits.add(1)));
///     }
/// });
/// assert_eq!(hits.sum(), 4000);
/// # Ok::<(), phalanx::sync::CreateError>(())
/// ```
pub struct ShardedCounter {
    place: Place,
}

type Lanes = [Line<AtomicU64>; LANES];

impl ShardedCounter {
    /// Makes a counter that starts at 0. It takes 8 KiB.
    ///
    /// # Errors
    /// - [`CreateError`] if shared memory cannot be allocated.
    pub fn new() -> Result<ShardedCounter, CreateError> {
        let place = place::make::<ShardedCounter>("sharded counter", size_of::<Lanes>(), |_| (), None)?;
        Ok(ShardedCounter { place })
    }

    /// Adds to the calling thread's lane: one atomic instruction, nearly always on a line that is in the
    /// core's own cache.
    #[inline]
    pub fn add(&self, amount: u64) {
        let me = member::current();
        // Members and threads both count up from one, so neighbours get lanes of their own.
        let lane = (me.member.get().wrapping_add(me.thread)) as usize % LANES;
        self.lanes()[lane].fetch_add(amount, Ordering::Relaxed);
    }

    /// Returns the sum over all lanes.
    pub fn sum(&self) -> u64 {
        self.lanes().iter().fold(0, |sum, lane| sum.wrapping_add(lane.load(Ordering::Relaxed)))
    }

    /// Sets every lane to 0 and returns the sum. A concurrent addition is in this sum or in the next.
    pub fn take(&self) -> u64 {
        self.lanes().iter().fold(0, |sum, lane| sum.wrapping_add(lane.swap(0, Ordering::Relaxed)))
    }

    fn lanes(&self) -> &Lanes {
        Remote::words(self)
    }
}

impl std::fmt::Debug for ShardedCounter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("ShardedCounter").field(&self.sum()).finish()
    }
}

remote!([] Counter, "counter", AtomicU64, (), |this| this.place, |place| Counter { place });
remote!([] ShardedCounter, "sharded counter", Lanes, (), |this| this.place, |place| ShardedCounter { place });
