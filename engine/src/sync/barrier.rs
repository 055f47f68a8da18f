//! `Barrier`: no party continues before all have arrived.
//!
//! # Safety
//! A barrier's block is one `BarrierWord` at its base.
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use crate::base::member::{self, MemberId};
use crate::sync::barrier_word::{BarrierWord, MAX_PARTIES, Missed};
use crate::sync::place::{self, CreateError, OnLastDrop, Place, Remote, SyncWire, remote};
use crate::sync::record::RECORDS;
use crate::sync::wait::Patience;
use crate::sys::fork;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::ptr::NonNull;
use std::time::Duration;

/// Why a barrier did not let a party through.
#[derive(Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BarrierError {
    /// A party died, timed out or aborted, and the barrier stays broken until [`Barrier::reset`]; or a reset
    /// came while this party waited.
    #[error("{}", broken(.by))]
    Broken {
        /// The process that broke it; [`MemberId::NOBODY`] if it was a reset.
        by: MemberId,
    },
    /// The time ran out before all parties had arrived; the barrier is broken now.
    #[error("only {arrived} of {parties} parties arrived at the barrier in time; it is broken until `reset`")]
    TimedOut {
        /// The number of parties that had arrived, including the caller.
        arrived: u32,
        /// The number of parties the barrier waits for.
        parties: u32,
    },
    /// More processes take part than the barrier has records for.
    #[error("{RECORDS} processes take part in the barrier already, the most it can keep records of")]
    TableFull,
    /// This process was forked from one that uses phalanx: the barrier belongs to the parent.
    #[error("the barrier cannot be used here: {}", crate::memory::AllocError::Forked)]
    Forked,
    /// The words in shared memory hold a value that no barrier operation writes.
    #[error(
        "the barrier's state in shared memory is {seen:#018x}, which no barrier operation writes; unsafe code in \
         some process wrote past its data; make a new barrier"
    )]
    Corrupt {
        /// The value.
        seen: u64,
    },
}

crate::base::debug_is_display!(BarrierError);

fn broken(by: &MemberId) -> String {
    if *by == MemberId::NOBODY {
        return "the barrier was reset while this party waited; it works again: let all parties wait anew"
            .into();
    }
    format!(
        "the barrier is broken by {by}, which died, timed out or aborted; to use it again, call `reset` once no \
         party waits any more"
    )
}

/// A point where a fixed number of parties, threads of any processes, wait for each other, again and again.
///
/// What each party did before it arrived is visible to all parties after the wait. **If a party dies** (a
/// process that has waited at this barrier before or was given its handle), all others receive
/// [`BarrierError::Broken`] until [`Barrier::reset`] is called.
///
/// ```
/// use phalanx::sync::Barrier;
///
/// let barrier = Barrier::new(3)?;
/// let firsts = std::thread::scope(|s| {
///     let parties: Vec<_> = (0..3).map(|_| s.spawn(|| barrier.wait().unwrap())).collect();
///     parties.into_iter().map(|party| party.join().unwrap()).filter(|&index| index == 0).count()
/// });
/// assert_eq!(firsts, 1);
/// # Ok::<(), phalanx::sync::CreateError>(())
/// ```
pub struct Barrier {
    place: Place,
}

impl Barrier {
    /// Makes a barrier for `parties` parties, 1 to 65 535; other numbers are clamped to this range.
    ///
    /// # Errors
    /// - [`CreateError`] if shared memory cannot be allocated.
    pub fn new(parties: u32) -> Result<Barrier, CreateError> {
        let parties = parties.clamp(1, MAX_PARTIES);
        // SAFETY: the block is long enough, zeroed, and all zero is a valid word.
        let init = |base: NonNull<u8>| unsafe { base.cast::<BarrierWord>().as_ref() }.init(parties);
        let place =
            place::make::<Barrier>("barrier", size_of::<BarrierWord>(), init, Some(BarrierWord::repair))?;
        Ok(Barrier { place })
    }

    /// Blocks until all parties have arrived. Returns the number of parties that arrived before this one, so
    /// exactly one of them receives 0.
    ///
    /// # Errors
    /// - [`BarrierError::Broken`]: a party died, timed out or aborted, before or during the call.
    /// - [`BarrierError::TableFull`], [`BarrierError::Corrupt`]: see [`BarrierError`].
    pub fn wait(&self) -> Result<u32, BarrierError> {
        self.wait_with(Patience::Forever)
    }

    /// Like [`Barrier::wait`], but waits at most `timeout`. A timeout breaks the barrier for all parties.
    ///
    /// # Errors
    /// As [`Barrier::wait`], and [`BarrierError::TimedOut`].
    pub fn wait_timeout(&self, timeout: Duration) -> Result<u32, BarrierError> {
        self.wait_with(Patience::of(timeout))
    }

    fn wait_with(&self, patience: Patience) -> Result<u32, BarrierError> {
        if fork::is_foreign() {
            return Err(BarrierError::Forked);
        }
        self.word().wait(member::current(), patience).map_err(|missed| match missed {
            Missed::Broken(by) => BarrierError::Broken { by },
            Missed::TimedOut => BarrierError::TimedOut { arrived: self.waiting(), parties: self.parties() },
            Missed::TableFull => BarrierError::TableFull,
            Missed::Corrupt(seen) => BarrierError::Corrupt { seen },
        })
    }

    /// Breaks the barrier: all parties that wait now or arrive later receive [`BarrierError::Broken`]. Never
    /// blocks.
    pub fn abort(&self) {
        self.word().abort(member::current_member());
    }

    /// Resets the barrier to its initial state, in which no party has arrived. Parties that wait now receive
    /// [`BarrierError::Broken`]. Never blocks.
    pub fn reset(&self) {
        self.word().reset();
    }

    /// Returns the number of parties.
    pub fn parties(&self) -> u32 {
        self.word().parties()
    }

    /// Returns the number of parties waiting now; a snapshot.
    pub fn waiting(&self) -> u32 {
        self.word().waiting()
    }

    /// Returns the process that broke the barrier, if it is broken.
    pub fn broken_by(&self) -> Option<MemberId> {
        self.word().is_broken()
    }

    /// Registers `member` as taking part before it first waits; the driver calls this when it sends the
    /// handle.
    #[allow(dead_code, reason = "the launch floor calls it")]
    pub(crate) fn enroll(&self, member: MemberId) -> bool {
        self.word().enroll(member)
    }

    /// Unregisters `member`, so that its end no longer breaks the barrier; a worker calls this when it
    /// returns its handle.
    #[allow(dead_code, reason = "the launch floor calls it")]
    pub(crate) fn withdraw(&self, member: MemberId) {
        self.word().withdraw(member);
    }

    /// Whether `member` takes part, so that its end would break the barrier.
    #[cfg(all(test, not(loom)))]
    pub(crate) fn takes_part(&self, member: MemberId) -> bool {
        self.word().takes_part(member)
    }

    fn word(&self) -> &BarrierWord {
        Remote::words(self)
    }
}

impl std::fmt::Debug for Barrier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Barrier").field("parties", &self.parties()).field("waiting", &self.waiting()).finish()
    }
}

/// Leased handles of barriers in this process, by segment and offset: a process takes part as long as it has
/// one. Handles of a launch, and forgotten ones, are counted but never uncounted, so a count may belong to a
/// barrier that was here before.
type Handles = BTreeMap<(u64, u64), usize>;
static HANDLES: Mutex<Handles> = Mutex::new(Handles::new());

/// Takes part from now on; stops when the last handle that came in a message is dropped.
fn arrived(place: Place) -> Option<OnLastDrop> {
    let (barrier, key) = (Barrier { place }, |wire: SyncWire| (wire.segment, wire.offset));
    let key = key(barrier.place.wire());
    let me = member::current_member();
    let mut handles = HANDLES.lock();
    let count = handles.entry(key).or_insert(0);
    // The words are right: with handles of this barrier, this process would be in them.
    *count = if barrier.word().takes_part(me) { count.saturating_add(1) } else { 1 };
    // A full table is reported by `wait`.
    barrier.word().enroll(me);
    drop(handles);
    Some(Box::new(move || {
        let mut handles = HANDLES.lock();
        if let Some(count) = handles.get_mut(&key) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                handles.remove(&key);
                barrier.word().withdraw(member::current_member());
            }
        }
    }))
}

remote!(
    [] Barrier, "barrier", BarrierWord, (), |this| this.place, |place| Barrier { place }, arrived: arrived
);
