//! The successor of a member that died before it had entered a launch that needs every rank, in a model:
//! `reaping.rs` keeps the dead one's bit, and the successor enters in its place, unless it is given up first.
//!
//! # Safety
//! What the protocol guards are cells of the model, so every access said to be exclusive is checked to be.
#![allow(unsafe_code)]

use super::*;
use crate::base::model::{self, Arc, Condvar, Mutex, UnsafeCell, beside};
use Presence::Required;

/// What the roster says of rank 1.
#[derive(Default)]
struct Roster {
    epoch: u64,
    is_dead: bool,
    /// The launch in progress waits for its successor.
    is_owed: bool,
    /// The successor's process is there.
    is_started: bool,
    /// The launch in progress does without its successor.
    is_given_up: bool,
}

/// A team of two, of which rank 1 dies.
struct Team {
    words: tests::Words,
    /// The launch that rank 1 has entered, as its status tells.
    entered: AtomicU64,
    order: UnsafeCell<u64>,
    results: [UnsafeCell<u64>; 2],
    roster: Mutex<Roster>,
    changed: Condvar,
}

// SAFETY: the model's checker watches the accesses to the cells.
unsafe impl Sync for Team {}
// SAFETY: as above.
unsafe impl Send for Team {}

/// How far rank 1 comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dies {
    /// On its way to sleep.
    Dozing,
    /// Having found the launch, before it says so.
    Called,
    /// In the launch.
    Entered,
    /// Its part is ended, and the driver is not told.
    Struck,
}

impl Team {
    fn new() -> Arc<Team> {
        Arc::new(Team {
            words: tests::Words::new(2),
            entered: AtomicU64::new(0),
            order: UnsafeCell::new(0),
            results: [UnsafeCell::new(0), UnsafeCell::new(0)],
            roster: Mutex::new(Roster::default()),
            changed: Condvar::new(),
        })
    }

    /// A member's part of the launch that it has found.
    fn work(&self, rank: usize, epoch: u64) {
        // SAFETY: in the launch; checked.
        let order = self.order.with(|order| unsafe { *order });
        assert_eq!(order, epoch, "a member runs the order of the launch that it entered");
        // SAFETY: as above.
        self.results[rank].with_mut(|result| unsafe { *result = epoch });
    }

    fn serve(&self, rank: usize, mut last: u64, until: u64) {
        while last < until {
            last = self.words.await_launch(rank, last);
            self.work(rank, last);
            self.words.fork_join().finish(rank, last, Required);
        }
    }

    /// The first member of rank 1.
    fn serve_up_to(&self, dies: Dies) {
        let fork_join = self.words.fork_join();
        if dies == Dies::Dozing {
            fork_join.asleep[0].fetch_or(2, Ordering::Relaxed);
            return;
        }
        let epoch = self.words.await_launch(1, 0);
        if dies == Dies::Called {
            return;
        }
        self.entered.store(epoch, Ordering::Relaxed);
        self.work(1, epoch);
        if dies == Dies::Struck {
            fork_join.strike(1);
        }
    }

    /// As `reaping::record`.
    fn reap_dead(&self) {
        let mut roster = self.roster.lock().unwrap();
        let fork_join = self.words.fork_join();
        let has_entered = self.entered.load(Ordering::Relaxed) == roster.epoch;
        let may_come = fork_join.awaits(1) && !fork_join.astray(roster.epoch).contains(1);
        roster.is_owed = !has_entered && may_come;
        roster.is_dead = true;
        fork_join.forget(1);
        if !roster.is_owed {
            fork_join.strike(1);
            fork_join.notify();
        }
    }

    /// The second member of rank 1: started under the lock, it looks at the board outside it, and then is
    /// ready.
    fn succeed(&self) {
        self.roster.lock().unwrap().is_started = true;
        let last = self.words.fork_join().last_seen(1);
        let mut roster = self.roster.lock().unwrap();
        (roster.is_dead, roster.is_owed) = (false, false);
        self.changed.notify_all();
        drop(roster);
        self.serve(1, last, 2);
    }

    /// Opens a launch once rank 1 serves.
    fn open(&self, epoch: u64) {
        let mut roster = self.roster.lock().unwrap();
        while roster.is_dead {
            roster = self.changed.wait(roster).unwrap();
        }
        roster.epoch = epoch;
        // SAFETY: nobody is in a launch; checked.
        self.order.with_mut(|order| unsafe { *order = epoch });
        self.words.fork_join().open(epoch, &RankSet::full(2), Required);
    }

    /// As `reaping::release`.
    fn release(&self) {
        let mut roster = self.roster.lock().unwrap();
        if !roster.is_started && std::mem::take(&mut roster.is_owed) {
            roster.is_given_up = true;
            self.words.fork_join().strike(1);
            self.words.fork_join().notify();
        }
    }

    /// Waits for the end, and uses what the launch lent, as its caller may from then on.
    fn close(&self) -> [u64; 2] {
        self.words.await_end();
        // SAFETY: nobody is in a launch; checked.
        [0, 1].map(|rank| self.results[rank].with_mut(|result| unsafe { *result }))
    }
}

/// Rank 1 dies at `dies` while rank 0 serves; the driver waits, or gives the successor up where none is there
/// yet.
fn rank_1_is_succeeded(dies: Dies, gives_up: bool) {
    model::check(Some(1), move || {
        let team = Team::new();
        let members = [
            beside(&team, move |team| team.serve(0, 0, 2)),
            // The kernel's word comes after the last step, and the successor after the reaping.
            beside(&team, move |team| {
                team.serve_up_to(dies);
                team.reap_dead();
                team.succeed();
            }),
        ];
        team.open(1);
        if gives_up {
            team.release();
        }
        let has_all = team.close() == [1, 1];
        let is_given_up = team.roster.lock().unwrap().is_given_up;
        assert_ne!(has_all, is_given_up, "every rank had its part, or the launch hears of the death");
        team.open(2);
        assert_eq!(team.close(), [2, 2]);
        members.into_iter().for_each(|member| member.join().unwrap());
    });
}

#[test]
fn loom_fork_join_successor_of_a_dozing_member_enters() {
    rank_1_is_succeeded(Dies::Dozing, false);
}

#[test]
fn loom_fork_join_successor_of_a_member_that_was_called_enters() {
    rank_1_is_succeeded(Dies::Called, false);
}

#[test]
fn loom_fork_join_successor_of_a_member_inside_does_not_enter_again() {
    rank_1_is_succeeded(Dies::Entered, false);
}

#[test]
fn loom_fork_join_successor_of_a_member_that_was_done_does_not_enter_again() {
    rank_1_is_succeeded(Dies::Struck, false);
}

#[test]
fn loom_fork_join_successor_is_given_up_or_enters() {
    rank_1_is_succeeded(Dies::Called, true);
}
