//! What a kill in the middle of a member's steps leaves, and whether the engine's repair ends the launch.

use super::*;

struct Words {
    bell: AtomicU32,
    news: AtomicU32,
    driver_asleep: AtomicU32,
    attendance: Vec<Line<Attendance>>,
    groups: [Vec<Line<AtomicU64>>; 2],
}

fn lines(count: usize) -> Vec<Line<AtomicU64>> {
    (0..count).map(|_| Line(AtomicU64::new(0))).collect()
}

impl Words {
    fn new(size: usize) -> Words {
        let groups = size.div_ceil(RANKS_PER_WORD);
        Words {
            bell: AtomicU32::new(0),
            news: AtomicU32::new(0),
            driver_asleep: AtomicU32::new(0),
            attendance: (0..size).map(|_| Line(Attendance::default())).collect(),
            groups: [lines(groups), lines(groups)],
        }
    }

    fn fork_join(&self) -> ForkJoin<'_> {
        ForkJoin {
            bell: &self.bell,
            attendance: &self.attendance,
            pending: &self.groups[0],
            asleep: &self.groups[1],
            news: &self.news,
            driver_asleep: &self.driver_asleep,
        }
    }
}

/// What the engine does for a dead rank.
fn reap_dead(fork_join: &ForkJoin<'_>, rank: usize) {
    fork_join.forget(rank);
    fork_join.strike(rank);
    fork_join.notify();
}

#[test]
fn killed_between_skipping_a_member_and_striking_it_off() {
    for size in [3, 70] {
        let words = Words::new(size);
        let fork_join = words.fork_join();
        fork_join.open(1, &RankSet::full(size), Presence::Optional);
        assert_eq!(fork_join.poll(0, 0), Some(1));
        // Rank 0 gets so far with the last rank, and dies.
        words.attendance[size - 1].store(word(1, SKIPPED), Ordering::SeqCst);
        assert_eq!(fork_join.poll(size - 1, 0), None, "the skipped one never enters");
        reap_dead(&fork_join, 0);
        assert!(!fork_join.unfinished().contains(size - 1));
        assert!(fork_join.unfinished().contains(1), "those that may still enter are waited for");
        assert_eq!(fork_join.poll(1, 0), Some(1));
        fork_join.finish(1, 1, Presence::Optional);
        assert!(fork_join.is_over());
    }
}

#[test]
fn killed_before_entering_inside_and_after_finishing() {
    let words = Words::new(2);
    let fork_join = words.fork_join();
    for epoch in 1..=3 {
        fork_join.open(epoch, &RankSet::full(2), Presence::Required);
        if epoch > 1 {
            assert_eq!(fork_join.poll(0, epoch - 1), Some(epoch));
        }
        if epoch > 2 {
            fork_join.finish(0, epoch, Presence::Required);
        }
        reap_dead(&fork_join, 0);
        assert!(!fork_join.is_over());
        assert_eq!(fork_join.poll(1, epoch - 1), Some(epoch));
        fork_join.finish(1, epoch, Presence::Required);
        assert!(fork_join.is_over());
    }
}

#[test]
fn a_member_skips_others_while_its_own_bit_stands() {
    // Else a launch could end, and the next begin, between its look and its strike, which would hit that one.
    let words = Words::new(2);
    let fork_join = words.fork_join();
    fork_join.open(1, &RankSet::full(2), Presence::Optional);
    assert_eq!(fork_join.poll(0, 0), Some(1));
    fork_join.skip_absent(1);
    assert!(
        fork_join.unfinished().contains(0) && !fork_join.unfinished().contains(1) && !fork_join.is_over()
    );
    fork_join.finish(0, 1, Presence::Optional);
    assert!(fork_join.is_over());
}

#[test]
fn news_between_the_look_and_the_sleep_are_not_slept_over() {
    let words = Words::new(1);
    let fork_join = words.fork_join();
    fork_join.open(1, &RankSet::full(1), Presence::Required);
    let seen = fork_join.news();
    fork_join.notify();
    // Would wait forever if the count were read inside.
    fork_join.wait(seen, None);
}
