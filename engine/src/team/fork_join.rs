//! The fork-join barrier: how a launch is announced, joined, finished and waited for.
//!
//! Every member of the team has one *attendance* word. The driver opens it, the member enters, and whoever
//! finds that nothing is left to do may skip a member that has not entered yet, so that one preempted worker
//! does not delay a launch whose chunks are all done. README.md beside this file describes the protocol step
//! by step, with what a kill after each step leaves behind.
//!
//! The text is generic over where the words live: shared memory between processes, the heap under the model
//! checker.

use crate::base::Line;
use crate::base::atomic::{AtomicU32, AtomicU64, Ordering, fence, in_total_order, spin_loop};
use crate::sys::cache;
use crate::sys::futex::{self, Woken};
use std::time::Instant;

/// Ranks whose bits share one word.
pub(crate) const RANKS_PER_WORD: usize = 64;

/// One bit a rank, 64 to a word. No allocation up to 64 ranks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RankSet {
    first: u64,
    rest: Vec<u64>,
}

impl RankSet {
    /// No rank of a team of `size`.
    pub(crate) fn empty(size: usize) -> RankSet {
        RankSet { first: 0, rest: vec![0; size.div_ceil(RANKS_PER_WORD).saturating_sub(1)] }
    }

    /// Every rank of a team of `size`.
    pub(crate) fn full(size: usize) -> RankSet {
        let mut set = RankSet::empty(size);
        (0..size).for_each(|rank| set.insert(rank));
        set
    }

    fn from_words(mut words: impl Iterator<Item = u64>) -> RankSet {
        RankSet { first: words.next().unwrap_or(0), rest: words.collect() }
    }

    fn words(&self) -> impl Iterator<Item = u64> + '_ {
        std::iter::once(self.first).chain(self.rest.iter().copied())
    }

    fn word_mut(&mut self, rank: usize) -> &mut u64 {
        match rank / RANKS_PER_WORD {
            0 => &mut self.first,
            index => &mut self.rest[index - 1],
        }
    }

    pub(crate) fn insert(&mut self, rank: usize) {
        *self.word_mut(rank) |= 1 << (rank % RANKS_PER_WORD);
    }

    pub(crate) fn remove(&mut self, rank: usize) {
        *self.word_mut(rank) &= !(1 << (rank % RANKS_PER_WORD));
    }

    pub(crate) fn contains(&self, rank: usize) -> bool {
        self.words().nth(rank / RANKS_PER_WORD).is_some_and(|word| word >> (rank % RANKS_PER_WORD) & 1 == 1)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.words().all(|word| word == 0)
    }

    /// The ranks in ascending order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        self.words()
            .enumerate()
            .flat_map(|(index, word)| Bits(word).map(move |bit| index * RANKS_PER_WORD + bit))
    }
}

/// The positions of a word's set bits, lowest first.
struct Bits(u64);

impl Iterator for Bits {
    type Item = usize;
    fn next(&mut self) -> Option<usize> {
        if self.0 == 0 {
            return None;
        }
        let bit = self.0.trailing_zeros() as usize;
        self.0 &= self.0 - 1;
        Some(bit)
    }
}

/// Looks for the end of a launch that are made without a pause.
const CLOSE_LOOKS: u32 = 64;

/// States of an attendance word; the launch's epoch stands above these two bits.
const OPEN: u64 = 0; // may be entered, may be skipped
const ENTERED: u64 = 1; // the member runs the order
const SKIPPED: u64 = 2; // the launch went on without the member
const REQUIRED: u64 = 3; // may be entered, never skipped: the order needs every rank

fn word(epoch: u64, state: u64) -> u64 {
    epoch << 2 | state
}

/// A member's attendance: epoch and state of the launch that is open to it.
#[derive(Debug, Default)]
#[repr(C)]
pub(crate) struct Attendance {
    word: AtomicU64,
    /// Mixed from the epoch by the driver: a stray write to the word alone opens no launch.
    seal: AtomicU64,
}

impl std::ops::Deref for Attendance {
    type Target = AtomicU64;
    fn deref(&self) -> &AtomicU64 {
        &self.word
    }
}

fn seal_of(epoch: u64) -> u64 {
    !epoch.wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// Whether members that have not entered may be left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Presence {
    /// Any member may do any part: a late one is skipped.
    Optional,
    /// Every rank has its own part (regions, static schedules).
    Required,
}

/// What the words say of a member that has not finished a launch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It is called, and may enter.
    Called,
    /// The launch goes on without it; who found that is about to strike it off.
    Skipped,
    /// Neither, and it has not entered: nothing there lets it come.
    Astray,
}

/// How large a team is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TeamSize {
    /// Ranks below this serve launches and tasks.
    pub(crate) serving: usize,
    /// Ranks from there up to this are parked.
    pub(crate) there: usize,
}

/// The bits of word `index` that stand for ranks below `rank`.
#[inline]
fn ranks_below(rank: usize, index: usize) -> u64 {
    match rank.saturating_sub(index * RANKS_PER_WORD) {
        ranks if ranks >= RANKS_PER_WORD => u64::MAX,
        ranks => (1 << ranks) - 1,
    }
}

/// The words of one team. All-zero is the initial state.
#[derive(Clone, Copy)]
pub(crate) struct ForkJoin<'a> {
    /// Counts wake-ups; sleeping members wait on it. Written by the driver only.
    pub(crate) bell: &'a AtomicU32,
    /// One word a rank: epoch and state.
    pub(crate) attendance: &'a [Line<Attendance>],
    /// One bit a rank: set by the driver when it opens the launch, cleared when that member can no longer
    /// touch it.
    pub(crate) pending: &'a [Line<AtomicU64>],
    /// One bit a rank: the member sleeps on the bell, or is about to.
    pub(crate) asleep: &'a [Line<AtomicU64>],
    /// The driver waits on it; bumped whenever the driver must look again.
    pub(crate) news: &'a AtomicU32,
    /// Nonzero while the driver sleeps, or is about to.
    pub(crate) driver_asleep: &'a AtomicU32,
}

impl ForkJoin<'_> {
    // ------------------------------------------------------------------------------------------- driver

    /// Opens launch `epoch` for `members`; returns the number of system calls made (0 when all were awake).
    ///
    /// Everything the order refers to must have been written before.
    pub(crate) fn open(&self, epoch: u64, members: &RankSet, presence: Presence) -> u32 {
        for (pending, bits) in self.pending.iter().zip(members.words()) {
            pending.store(bits, Ordering::Relaxed);
        }
        let state = if presence == Presence::Required { REQUIRED } else { OPEN };
        for rank in members.iter() {
            self.attendance[rank].seal.store(seal_of(epoch), Ordering::Relaxed);
            // Release: pairs with the Acquire in `poll`; a member that sees the launch sees its order.
            self.attendance[rank].store(word(epoch, state), Ordering::Release);
        }
        // Pairs with the fence in `sleep`: either the member sees its launch, or we see its bit.
        fence(Ordering::SeqCst);
        let sleepers = self
            .asleep
            .iter()
            .zip(members.words())
            .any(|(asleep, bits)| asleep.load(Ordering::Relaxed) & bits != 0);
        if sleepers { self.ring() } else { 0 }
    }

    /// Wakes up to `count` sleeping members for something else than a launch, which was written before;
    /// returns whether a system call was made. `team` says, when it is called, which ranks serve and how many
    /// there are: where some are parked, all are woken, since nobody can choose whom the bell wakes.
    pub(crate) fn call_out(&self, count: u32, team: impl FnOnce() -> TeamSize) -> bool {
        // Pairs with the fence in `sleep`: either the member sees what is there, or we see its bit. And with
        // the fence in `ring_for_all`: either we see that members were parked, or they look after that ring.
        fence(Ordering::SeqCst);
        let team = team();
        let sleepers = (self.asleep.iter().enumerate())
            .any(|(index, asleep)| asleep.load(Ordering::Relaxed) & ranks_below(team.serving, index) != 0);
        if sleepers {
            self.bell.fetch_add(1, Ordering::SeqCst);
            futex::wake(self.bell, if team.serving < team.there { u32::MAX } else { count });
        }
        sleepers
    }

    /// Wakes every sleeping member, so that it looks at what was written before: who serves now.
    pub(crate) fn ring_for_all(&self) -> u32 {
        fence(Ordering::SeqCst);
        self.ring()
    }

    /// Wakes every sleeping member; returns the number of system calls made.
    pub(crate) fn ring(&self) -> u32 {
        self.bell.fetch_add(1, Ordering::SeqCst);
        futex::wake(self.bell, u32::MAX);
        1
    }

    /// The bits of `pending[index]` that stand for ranks of this team. Nobody would ever clear another bit,
    /// and no table has a place for it, so whatever a stray write left there is not looked at (README.md,
    /// rule 6).
    fn pending(&self, index: usize, ordering: Ordering) -> u64 {
        let valid = ranks_below(self.attendance.len(), index);
        self.pending[index].load(ordering) & valid
    }

    /// Whether every member has finished, was skipped or was struck off.
    pub(crate) fn is_over(&self) -> bool {
        // Acquire: pairs with the SeqCst in `strike`; what the members wrote is visible afterwards.
        (0..self.pending.len()).all(|index| self.pending(index, Ordering::Acquire) == 0)
    }

    /// The members that have not finished.
    pub(crate) fn unfinished(&self) -> RankSet {
        RankSet::from_words((0..self.pending.len()).map(|index| self.pending(index, Ordering::Acquire)))
    }

    /// The unfinished members whose attendance does not speak of launch `epoch`: somebody overwrote it, and
    /// they may never come.
    pub(crate) fn astray(&self, epoch: u64) -> RankSet {
        let mut set = self.unfinished();
        for (rank, attendance) in self.attendance.iter().enumerate() {
            if attendance.load(Ordering::Relaxed) >> 2 == epoch {
                set.remove(rank);
            }
        }
        set
    }

    /// What the words say of `rank`, which has not entered launch `epoch`.
    pub(crate) fn standing(&self, rank: usize, epoch: u64) -> Standing {
        let seen = self.attendance[rank].load(Ordering::Acquire);
        match seen & 3 {
            _ if seen >> 2 != epoch => Standing::Astray,
            SKIPPED => Standing::Skipped,
            OPEN | REQUIRED if self.is_called(rank, epoch) => Standing::Called,
            _ => Standing::Astray,
        }
    }

    /// Calls `rank` to launch `epoch` again, into which it goes once at most, and from which nobody skips it
    /// any more.
    pub(crate) fn recall(&self, rank: usize, epoch: u64) {
        self.attendance[rank].seal.store(seal_of(epoch), Ordering::Relaxed);
        // Release: as in `open`.
        self.attendance[rank].store(word(epoch, REQUIRED), Ordering::Release);
    }

    /// The count of news, to be read before the last look at whatever else the driver waits for (a
    /// cancellation, a death) and handed to [`Self::wait`].
    pub(crate) fn news(&self) -> u32 {
        self.news.load(Ordering::Acquire)
    }

    /// Spins up to `spins` times for the end of the launch.
    pub(crate) fn spin_until_over(&self, spins: u32) -> bool {
        for look in 0..spins {
            if self.is_over() {
                return true;
            }
            // The first looks follow each other closely: a short launch ends between two pauses.
            if look > CLOSE_LOOKS {
                spin_loop();
            }
        }
        self.is_over()
    }

    /// Sleeps until the launch is over, there is news since `seen_news` was read with [`Self::news`], or the
    /// deadline passes. One system call at most.
    pub(crate) fn wait(&self, seen_news: u32, deadline: Option<Instant>) -> Woken {
        self.driver_asleep.store(1, Ordering::Relaxed);
        // Pairs with the fence in `notify`: either we see the launch over, or the notifier sees us asleep.
        fence(Ordering::SeqCst);
        let woken =
            if self.is_over() { Woken::LookAgain } else { futex::wait(self.news, seen_news, deadline) };
        self.driver_asleep.store(0, Ordering::Relaxed);
        woken
    }

    /// Makes the driver look again; for the engine thread after a death, and for the last member to finish.
    /// Returns whether a system call was made.
    pub(crate) fn notify(&self) -> bool {
        self.news.fetch_add(1, Ordering::Release);
        // Pairs with the fence in `wait`.
        fence(Ordering::SeqCst);
        let asleep = self.driver_asleep.load(Ordering::Relaxed) != 0;
        if asleep {
            futex::wake(self.news, 1);
        }
        asleep
    }

    /// Takes `rank` out of the running launch: it finished, was skipped, or its death is confirmed.
    /// Idempotent. Returns whether nobody is left.
    ///
    /// Only for who keeps the launch from ending or the next from opening: a member that is pending itself,
    /// the driver, and the engine under the roster's lock (README.md, rule 3).
    pub(crate) fn strike(&self, rank: usize) -> bool {
        let bit = 1 << (rank % RANKS_PER_WORD);
        // SeqCst: publishes this member's writes, and of two members that clear the last bits of two words at
        // once at least one sees both clear.
        let before = self.pending[rank / RANKS_PER_WORD].fetch_and(!bit, Ordering::SeqCst);
        if self.pending.len() == 1 && before & !bit == 0 {
            return true;
        }
        in_total_order();
        (0..self.pending.len()).all(|index| self.pending(index, Ordering::SeqCst) == 0)
    }

    /// Clears what a dead member left in the words: its bit among the sleepers, and the strike that it owed
    /// if it died between skipping somebody and striking that one off. Called before its rank is given to a
    /// successor, and under the lock under which launches are opened.
    pub(crate) fn forget(&self, rank: usize) {
        self.asleep[rank / RANKS_PER_WORD].fetch_and(!(1 << (rank % RANKS_PER_WORD)), Ordering::SeqCst);
        for absent in self.unfinished().iter() {
            if self.attendance[absent].load(Ordering::Acquire) & 3 == SKIPPED {
                self.strike(absent);
            }
        }
    }

    // ------------------------------------------------------------------------------------------- member

    /// Looks for a launch newer than `last` that is open to `rank`, and enters it. Never blocks.
    pub(crate) fn poll(&self, rank: usize, last: u64) -> Option<u64> {
        let seen = self.attendance[rank].load(Ordering::Acquire);
        let epoch = seen >> 2;
        if epoch == last {
            return None;
        }
        match seen & 3 {
            REQUIRED => Some(epoch),
            // Acquire: pairs with the Release in `open`.
            OPEN => self.attendance[rank]
                .compare_exchange(seen, word(epoch, ENTERED), Ordering::Acquire, Ordering::Relaxed)
                .ok()
                .map(|_| epoch),
            _ => None,
        }
    }

    /// Whether the driver opened launch `epoch` to `rank`: not so if the attendance was overwritten.
    pub(crate) fn is_called(&self, rank: usize, epoch: u64) -> bool {
        // Acquire is not needed: `open` wrote the seal before the word that `poll` has read.
        self.attendance[rank].seal.load(Ordering::Relaxed) == seal_of(epoch)
    }

    /// Fetches the word that [`Self::finish`] will write, while the member works.
    #[inline]
    pub(crate) fn expect_finish(&self, rank: usize) {
        cache::prefetch_for_writing(&*self.pending[rank / RANKS_PER_WORD]);
    }

    /// The newest launch that a member of `rank` is done with that begins: it serves later ones only. One
    /// that needs the rank and still waits for it is later, since the predecessor died before it had entered.
    pub(crate) fn last_seen(&self, rank: usize) -> u64 {
        let newest = self.attendance[rank].load(Ordering::Acquire) >> 2;
        newest.saturating_sub(u64::from(self.awaits(rank)))
    }

    /// Whether the launch in progress needs `rank` and still waits for it.
    pub(crate) fn awaits(&self, rank: usize) -> bool {
        let is_required = self.attendance[rank].load(Ordering::Acquire) & 3 == REQUIRED;
        is_required && self.unfinished().contains(rank)
    }

    /// Sleeps until the bell rings, unless a launch or a ring came since `seen_bell` was read with
    /// [`Self::bell`], or `otherwise` says that there is something else to do.
    pub(crate) fn sleep(
        &self,
        rank: usize,
        last: u64,
        seen_bell: u32,
        deadline: Option<Instant>,
        otherwise: impl FnOnce() -> bool,
    ) -> Woken {
        let (asleep, bit) = (&self.asleep[rank / RANKS_PER_WORD], 1 << (rank % RANKS_PER_WORD));
        asleep.fetch_or(bit, Ordering::Relaxed);
        // Pairs with the fences in `open` and `call_out`.
        fence(Ordering::SeqCst);
        let attendance = self.attendance[rank].load(Ordering::Relaxed);
        let called = attendance >> 2 != last && attendance & 3 != SKIPPED;
        let called = called || otherwise();
        let woken = if called { Woken::LookAgain } else { futex::wait(self.bell, seen_bell, deadline) };
        asleep.fetch_and(!bit, Ordering::Relaxed);
        woken
    }

    /// The bell's count, to be read before the last look and handed to [`Self::sleep`].
    pub(crate) fn bell(&self) -> u32 {
        self.bell.load(Ordering::Acquire)
    }

    /// Ends this member's part of launch `epoch`; with `Presence::Optional` nothing claimable may be left,
    /// and members that have not entered are skipped. Returns whether the driver had to be woken (one system
    /// call).
    ///
    /// The member skips others while it is itself pending. Were it to strike itself off first, the launch
    /// could end, and the next be opened, between its claim of an absent member and the strike, which would
    /// then hit the next launch.
    pub(crate) fn finish(&self, rank: usize, epoch: u64, presence: Presence) -> bool {
        if presence == Presence::Optional {
            self.skip_absent(epoch);
        }
        self.strike(rank) && self.notify()
    }

    /// Skips every member that has not entered. See [`Self::strike`] for who may.
    pub(crate) fn skip_absent(&self, epoch: u64) {
        for index in 0..self.pending.len() {
            for bit in Bits(self.pending(index, Ordering::Relaxed)) {
                let rank = index * RANKS_PER_WORD + bit;
                let open = word(epoch, OPEN);
                let attendance = &self.attendance[rank];
                if attendance.load(Ordering::Relaxed) == open
                    && attendance
                        .compare_exchange(open, word(epoch, SKIPPED), Ordering::AcqRel, Ordering::Relaxed)
                        .is_ok()
                {
                    self.strike(rank);
                }
            }
        }
    }
}

#[cfg(test)]
#[path = "fork_join_death_tests.rs"]
mod death_tests;
#[cfg(test)]
#[path = "fork_join_end_tests.rs"]
mod end_tests;
#[cfg(test)]
#[path = "fork_join_successor_models.rs"]
mod successor_models;
#[cfg(test)]
#[path = "fork_join_tests.rs"]
mod tests;
