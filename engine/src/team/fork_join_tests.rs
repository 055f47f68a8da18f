//! The fork-join barrier between threads, and under the model checker.
//!
//! # Safety
//! What the protocol guards are loom cells, so every access said to be exclusive is checked to be.
#![allow(unsafe_code)]

use super::*;
use Presence::{Optional, Required};

/// The words of a team, on the heap.
pub(super) struct Words {
    bell: AtomicU32,
    attendance: Vec<Line<Attendance>>,
    pending: Vec<Line<AtomicU64>>,
    asleep: Vec<Line<AtomicU64>>,
    news: AtomicU32,
    driver_asleep: AtomicU32,
}

impl Words {
    pub(super) fn new(size: usize) -> Words {
        let words = |count: usize| (0..count).map(|_| Line(AtomicU64::new(0))).collect();
        Words {
            bell: AtomicU32::new(0),
            attendance: (0..size).map(|_| Line(Attendance::default())).collect(),
            pending: words(size.div_ceil(RANKS_PER_WORD)),
            asleep: words(size.div_ceil(RANKS_PER_WORD)),
            news: AtomicU32::new(0),
            driver_asleep: AtomicU32::new(0),
        }
    }

    pub(super) fn fork_join(&self) -> ForkJoin<'_> {
        ForkJoin {
            bell: &self.bell,
            attendance: &self.attendance,
            pending: &self.pending,
            asleep: &self.asleep,
            news: &self.news,
            driver_asleep: &self.driver_asleep,
        }
    }

    /// As a member's loop does it, without the looks before sleep.
    pub(super) fn await_launch(&self, rank: usize, last: u64) -> u64 {
        let fork_join = self.fork_join();
        loop {
            let bell = fork_join.bell();
            if let Some(epoch) = fork_join.poll(rank, last) {
                return epoch;
            }
            fork_join.sleep(rank, last, bell, None, || false);
        }
    }

    /// As the driver does it, without the looks before sleep.
    pub(super) fn await_end(&self) {
        let fork_join = self.fork_join();
        loop {
            let news = fork_join.news();
            if fork_join.is_over() {
                return;
            }
            fork_join.wait(news, None);
        }
    }

    /// What the engine does for a member whose death the kernel has confirmed.
    fn reap_dead(&self, rank: usize) {
        let fork_join = self.fork_join();
        fork_join.forget(rank);
        fork_join.strike(rank);
        fork_join.notify();
    }
}

fn of(size: usize, ranks: &[usize]) -> RankSet {
    let mut set = RankSet::empty(size);
    ranks.iter().for_each(|rank| set.insert(*rank));
    set
}

#[cfg(not(loom))]
mod threads {
    use super::*;
    use std::sync::atomic::AtomicU64 as Plain;

    #[test]
    fn rank_sets_hold_what_was_put_in() {
        let mut set = RankSet::full(130);
        assert_eq!(set.iter().count(), 130);
        set.remove(64);
        assert!(!set.contains(64) && set.contains(129) && !set.contains(4000));
        assert_eq!(of(130, &[129, 3]).iter().collect::<Vec<_>>(), [3, 129]);
        assert!(RankSet::empty(130).is_empty());
    }

    #[test]
    fn a_launch_is_entered_once_and_ends_with_its_last_member() {
        let words = Words::new(2);
        let fork_join = words.fork_join();
        assert_eq!(fork_join.poll(0, 0), None, "nothing was opened");
        fork_join.open(1, &RankSet::full(2), Optional);
        assert_eq!(fork_join.poll(0, 0), Some(1));
        assert_eq!(fork_join.poll(0, 1), None, "a member enters a launch once");
        assert_eq!(fork_join.poll(1, 0), Some(1));
        fork_join.finish(0, 1, Optional);
        assert!(!fork_join.is_over());
        assert_eq!(fork_join.unfinished(), of(2, &[1]));
        fork_join.finish(1, 1, Optional);
        assert!(fork_join.is_over());
    }

    #[test]
    fn a_late_member_is_skipped_only_where_nobody_needs_it() {
        let words = Words::new(2);
        let fork_join = words.fork_join();
        fork_join.open(1, &RankSet::full(2), Optional);
        assert_eq!(fork_join.poll(0, 0), Some(1));
        fork_join.finish(0, 1, Optional);
        assert!(fork_join.is_over(), "rank 1 was skipped");
        assert_eq!(fork_join.poll(1, 0), None, "and stays out");
        fork_join.open(2, &RankSet::full(2), Required);
        assert_eq!(fork_join.poll(0, 1), Some(2));
        fork_join.finish(0, 2, Required);
        assert!(!fork_join.is_over());
        assert_eq!(fork_join.poll(1, 0), Some(2));
        fork_join.finish(1, 2, Required);
        assert!(fork_join.is_over());
    }

    #[test]
    fn the_dead_are_struck_off_and_the_others_repair() {
        let words = Words::new(2);
        let fork_join = words.fork_join();
        fork_join.open(1, &RankSet::full(2), Required);
        assert_eq!(fork_join.poll(0, 0), Some(1));
        words.reap_dead(0);
        words.reap_dead(0); // twice is once
        assert_eq!(fork_join.unfinished(), of(2, &[1]));
        assert_eq!(fork_join.poll(1, 0), Some(1));
        fork_join.finish(1, 1, Required);
        assert!(fork_join.is_over());
        fork_join.open(2, &of(2, &[1]), Optional);
        assert_eq!(fork_join.poll(0, 1), None, "the dead have no part in the repair");
        assert_eq!(fork_join.poll(1, 1), Some(2));
        fork_join.finish(1, 2, Optional);
        assert!(fork_join.is_over());
        assert_eq!(fork_join.last_seen(0), 1, "a successor starts after what its predecessor saw");
    }

    #[test]
    fn bits_beyond_the_team_are_not_looked_at() {
        for size in [1, 2, 63, 64, 65] {
            let words = Words::new(size);
            let fork_join = words.fork_join();
            fork_join.open(1, &of(size, &[0]), Optional);
            for pending in &words.pending {
                pending.fetch_or(0, Ordering::Relaxed);
            }
            if size % RANKS_PER_WORD != 0 {
                words.pending[size / RANKS_PER_WORD]
                    .fetch_or(!0 << (size % RANKS_PER_WORD), Ordering::Relaxed);
            }
            assert_eq!(fork_join.unfinished(), of(size, &[0]));
            assert_eq!(fork_join.poll(0, 0), Some(1));
            fork_join.finish(0, 1, Optional);
            assert!(fork_join.is_over(), "{size}");
        }
    }

    #[test]
    fn a_thousand_launches_wake_sleepers_and_lose_none() {
        const LAUNCHES: u64 = 1000;
        for (size, presence) in [(1, Required), (3, Required), (3, Optional), (70, Optional)] {
            let words = Words::new(size);
            let order = Plain::new(0);
            std::thread::scope(|scope| {
                for rank in 0..size {
                    let (words, order) = (&words, &order);
                    scope.spawn(move || {
                        let mut last = 0;
                        // The last launch needs everybody, so that everybody hears of it.
                        while last < LAUNCHES {
                            last = words.await_launch(rank, last);
                            assert_eq!(order.load(Ordering::Relaxed), last, "the order is the launch's");
                            let presence = if last == LAUNCHES { Required } else { presence };
                            words.fork_join().finish(rank, last, presence);
                        }
                    });
                }
                for epoch in 1..=LAUNCHES {
                    order.store(epoch, Ordering::Relaxed);
                    let presence = if epoch == LAUNCHES { Required } else { presence };
                    words.fork_join().open(epoch, &RankSet::full(size), presence);
                    words.await_end();
                }
            });
        }
    }
}

mod models {
    use super::*;
    use crate::base::model::{self, Arc, Condvar, Mutex, UnsafeCell, beside, thread};

    /// All interleavings with at most so many involuntary switches.
    fn check(preemptions: usize, f: impl Fn() + Sync + Send + 'static) {
        model::check(Some(preemptions), f);
    }

    /// A team of two with an order that the driver writes between launches, and a result that each rank
    /// writes in them. Loom reports any access that is not ordered against another.
    struct Team {
        words: Words,
        order: UnsafeCell<u64>,
        results: [UnsafeCell<u64>; 2],
        /// Launches are opened and deaths are recorded under it; it holds what has become of rank 1.
        roster: Mutex<Rank1>,
        changed: Condvar,
    }

    #[derive(Clone, Copy, PartialEq)]
    enum Rank1 {
        Serves,
        Dead,
        Succeeded,
    }

    // SAFETY: loom checks the accesses to the cells.
    unsafe impl Sync for Team {}
    // SAFETY: as above.
    unsafe impl Send for Team {}

    impl Team {
        fn new() -> Arc<Team> {
            Arc::new(Team {
                words: Words::new(2),
                order: UnsafeCell::new(0),
                results: [UnsafeCell::new(0), UnsafeCell::new(0)],
                roster: Mutex::new(Rank1::Serves),
                changed: Condvar::new(),
            })
        }

        /// Enters the next launch and does its part.
        fn work(&self, rank: usize, last: u64) -> u64 {
            let epoch = self.words.await_launch(rank, last);
            // SAFETY: in the launch; checked.
            let order = self.order.with(|order| unsafe { *order });
            assert_eq!(order, epoch, "a member runs the order of the launch that it entered");
            // SAFETY: as above.
            self.results[rank].with_mut(|result| unsafe { *result = epoch });
            epoch
        }

        /// Serves up to launch `until`, which needs everybody.
        fn serve(&self, rank: usize, mut last: u64, until: u64) {
            while last < until {
                last = self.work(rank, last);
                let presence = if last == until { Required } else { Optional };
                self.words.fork_join().finish(rank, last, presence);
            }
        }

        /// Opens a launch for those of `members` that are not dead.
        fn open(&self, epoch: u64, members: &[usize], presence: Presence) {
            let roster = self.roster.lock().unwrap();
            let members = if *roster == Rank1::Dead { &members[..1] } else { members };
            // SAFETY: nobody is in a launch; checked.
            self.order.with_mut(|order| unsafe { *order = epoch });
            self.words.fork_join().open(epoch, &of(2, members), presence);
        }

        /// Waits for the end, and uses what the launch lent, as its caller may from then on.
        fn close(&self) -> [u64; 2] {
            self.words.await_end();
            // SAFETY: nobody is in a launch; checked.
            [0, 1].map(|rank| self.results[rank].with_mut(|result| unsafe { *result }))
        }

        /// What the engine does.
        fn reap_dead(&self, rank: usize) {
            let mut roster = self.roster.lock().unwrap();
            *roster = Rank1::Dead;
            self.words.reap_dead(rank);
        }
    }

    /// Members fall asleep while a launch is opened, the driver while they finish.
    #[test]
    fn loom_fork_join_loses_no_wake_up() {
        check(2, || {
            let team = Team::new();
            let members: Vec<_> = [0, 1].map(|rank| beside(&team, move |team| team.serve(rank, 0, 1))).into();
            team.open(1, &[0, 1], Required);
            assert_eq!(team.close(), [1, 1]);
            members.into_iter().for_each(|member| member.join().unwrap());
        });
    }

    /// One member, two launches: the second finds it asleep, about to sleep, or awake.
    #[test]
    fn loom_fork_join_two_launches_in_a_row() {
        check(3, || {
            let team = Team::new();
            let member = beside(&team, move |team| team.serve(0, 0, 2));
            team.open(1, &[0], Optional);
            assert_eq!(team.close(), [1, 0]);
            team.open(2, &[0], Required);
            assert_eq!(team.close(), [2, 0]);
            member.join().unwrap();
        });
    }

    /// A member that comes late is skipped or enters, never both; skipped, it sees the next launch only.
    #[test]
    fn loom_fork_join_skips_or_admits_the_late() {
        check(2, || {
            let team = Team::new();
            let members: Vec<_> = [0, 1].map(|rank| beside(&team, move |team| team.serve(rank, 0, 2))).into();
            team.open(1, &[0, 1], Optional);
            assert!(team.close().contains(&1));
            team.open(2, &[0, 1], Required);
            assert_eq!(team.close(), [2, 2]);
            members.into_iter().for_each(|member| member.join().unwrap());
        });
    }

    /// The driver with a seat does the work itself and skips whoever has not come.
    #[test]
    fn loom_fork_join_driver_skips_from_its_seat() {
        check(3, || {
            let team = Team::new();
            let member = beside(&team, move |team| team.serve(1, 0, 2));
            team.open(1, &[1], Optional);
            team.words.fork_join().skip_absent(1);
            team.close();
            team.open(2, &[1], Required);
            assert_eq!(team.close()[1], 2);
            member.join().unwrap();
        });
    }

    /// Where a member stops forever.
    #[derive(Clone, Copy, Debug)]
    enum Dies {
        Dozing,
        Entered,
        Skipping,
        HavingSkipped,
        Struck,
    }

    /// Rank 1 stops at `dies`; the engine, told by the kernel, puts right what it left; the survivor ends the
    /// launch and serves a repair round.
    fn a_member_dies(dies: Dies) {
        check(2, move || {
            let team = Team::new();
            let survivor = beside(&team, move |team| team.serve(0, 0, 2));
            // What follows the death in this thread is the engine's: the kernel's word comes after the last
            // step.
            let dying = beside(&team, move |team| {
                let fork_join = team.words.fork_join();
                match dies {
                    Dies::Dozing => {
                        team.words.asleep[0].fetch_or(2, Ordering::Relaxed);
                    }
                    Dies::Entered => {
                        team.work(1, 0);
                    }
                    Dies::Skipping => {
                        let epoch = team.work(1, 0);
                        let _ = team.words.attendance[0].compare_exchange(
                            word(epoch, OPEN),
                            word(epoch, SKIPPED),
                            Ordering::AcqRel,
                            Ordering::Relaxed,
                        );
                    }
                    Dies::HavingSkipped => {
                        let epoch = team.work(1, 0);
                        fork_join.skip_absent(epoch);
                    }
                    Dies::Struck => {
                        team.work(1, 0);
                        fork_join.strike(1);
                    }
                }
                team.reap_dead(1);
            });
            // Where the launch needs nobody in particular, the survivor may skip rank 1 first, which then
            // dies in the next.
            let presence = if matches!(dies, Dies::Dozing | Dies::Skipping | Dies::HavingSkipped) {
                Optional
            } else {
                Required
            };
            team.open(1, &[0, 1], presence);
            team.close();
            team.open(2, &[0, 1], Required);
            assert_eq!(team.close()[0], 2);
            survivor.join().unwrap();
            dying.join().unwrap();
            assert!(team.words.fork_join().is_over());
            assert_eq!(team.words.asleep[0].load(Ordering::Relaxed), 0, "the dead do not sleep");
        });
    }

    #[test]
    fn loom_fork_join_death_of_a_dozing_member() {
        a_member_dies(Dies::Dozing);
    }

    #[test]
    fn loom_fork_join_death_of_a_member_inside() {
        a_member_dies(Dies::Entered);
    }

    #[test]
    fn loom_fork_join_death_between_skip_and_strike() {
        a_member_dies(Dies::Skipping);
    }

    #[test]
    fn loom_fork_join_death_between_skip_and_own_strike() {
        a_member_dies(Dies::HavingSkipped);
    }

    #[test]
    fn loom_fork_join_death_between_strike_and_notice() {
        a_member_dies(Dies::Struck);
    }

    /// Rank 0 finishes and skips rank 1, while rank 1 dies without having entered, is reaped and replaced,
    /// and the successor serves the next launch: rank 0 must not strike it off that one.
    #[test]
    fn loom_fork_join_a_skip_never_reaches_the_next_launch() {
        check(2, || {
            let team = Team::new();
            let member = beside(&team, move |team| team.serve(0, 0, 2));
            let successor = beside(&team, move |team| {
                let mut roster = team.roster.lock().unwrap();
                team.words.reap_dead(1);
                let last = team.words.fork_join().last_seen(1);
                *roster = Rank1::Succeeded;
                team.changed.notify_all();
                drop(roster);
                team.serve(1, last, 2);
            });
            team.open(1, &[0, 1], Optional);
            team.close();
            {
                let mut roster = team.roster.lock().unwrap();
                while *roster != Rank1::Succeeded {
                    roster = team.changed.wait(roster).unwrap();
                }
            }
            team.open(2, &[0, 1], Required);
            assert_eq!(team.close(), [2, 2]);
            successor.join().unwrap();
            member.join().unwrap();
        });
    }

    /// Of two members that finish last in two words of a large team, at least one tells the driver.
    #[test]
    fn loom_fork_join_last_of_two_words_is_noticed() {
        check(3, || {
            let words = Arc::new(Words::new(RANKS_PER_WORD + 1));
            words.pending[0].store(1, Ordering::Relaxed);
            words.pending[1].store(1, Ordering::Relaxed);
            let other = beside(&words, move |words| words.fork_join().strike(RANKS_PER_WORD));
            let mine = words.fork_join().strike(0);
            assert!(mine | other.join().unwrap());
        });
    }

    /// A cancellation between the driver's look and its sleep wakes it.
    #[test]
    fn loom_fork_join_news_is_not_slept_through() {
        check(3, || {
            let words = Arc::new(Words::new(1));
            let cancelled = Arc::new(AtomicU32::new(0));
            words.pending[0].store(1, Ordering::Relaxed);
            let canceller = {
                let (words, cancelled) = (words.clone(), cancelled.clone());
                thread::spawn(move || {
                    cancelled.store(1, Ordering::SeqCst);
                    words.fork_join().notify();
                })
            };
            loop {
                let news = words.fork_join().news();
                if cancelled.load(Ordering::SeqCst) == 1 {
                    break;
                }
                words.fork_join().wait(news, None);
            }
            canceller.join().unwrap();
        });
    }
}
