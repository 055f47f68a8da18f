use super::*;
use std::sync::atomic::AtomicU32;

fn cover(schedule: Schedule, units: usize, size: usize) -> Vec<u32> {
    let ranges: Vec<Line<AtomicU64>> = (0..size).map(|_| Line::default()).collect();
    let cursor = AtomicU64::new(0);
    reset(schedule, units, size, &ranges, &cursor);
    let hits: Vec<AtomicU32> = (0..units).map(|_| AtomicU32::new(0)).collect();
    std::thread::scope(|scope| {
        for rank in 0..size {
            let (ranges, cursor, hits) = (&ranges, &cursor, &hits);
            scope.spawn(move || {
                let victims: Vec<u32> = (0..size as u32).filter(|other| *other as usize != rank).collect();
                let mut claims = Claims {
                    schedule,
                    units: units as u64,
                    rank,
                    size,
                    ranges,
                    cursor,
                    victims: &victims,
                    taken: false,
                    steals: 0,
                    nonsense: false,
                    since: ticks(),
                    run: 0,
                    worth: 0,
                };
                while let Some(span) = claims.next() {
                    for unit in span.range() {
                        hits[unit].fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    hits.into_iter().map(AtomicU32::into_inner).collect()
}

#[test]
fn every_schedule_hands_out_every_unit_exactly_once() {
    for schedule in
        [Schedule::Static, Schedule::Dynamic(1), Schedule::Dynamic(7), Schedule::Guided, Schedule::Stealing]
    {
        for (units, size) in [(0, 1), (1, 1), (1, 4), (5, 3), (64, 2), (1000, 3), (10_000, 7)] {
            let hits = cover(schedule, units, size);
            assert!(hits.iter().all(|count| *count == 1), "{schedule:?} {units} units, {size} members");
        }
    }
}

#[test]
fn a_member_that_never_comes_is_stolen_from() {
    let ranges: Vec<Line<AtomicU64>> = (0..3).map(|_| Line::default()).collect();
    let cursor = AtomicU64::new(0);
    reset(Schedule::Stealing, 100, 3, &ranges, &cursor);
    let mut claims = Claims {
        schedule: Schedule::Stealing,
        units: 100,
        rank: 1,
        size: 3,
        ranges: &ranges,
        cursor: &cursor,
        victims: &[2, 0],
        taken: false,
        steals: 0,
        nonsense: false,
        since: ticks(),
        run: 0,
        worth: 0,
    };
    let mut seen = std::collections::BTreeSet::new();
    let mut first_stolen = None;
    while let Some(span) = claims.next() {
        if claims.steals == 1 && first_stolen.is_none() {
            first_stolen = Some(span.lo);
        }
        seen.extend(span.range());
    }
    assert_eq!(seen.len(), 100);
    assert!(first_stolen.is_some_and(|unit| unit >= 66), "the nearest victim comes first: {first_stolen:?}");
}

#[test]
fn a_scribbled_range_word_never_leads_outside_the_launch() {
    let ranges: Vec<Line<AtomicU64>> = (0..2).map(|_| Line::default()).collect();
    let cursor = AtomicU64::new(u64::MAX - 3);
    for garbage in [u64::MAX, pack(7, 3), pack(5, u64::from(u32::MAX)), pack(99, 101)] {
        ranges[0].store(garbage, Ordering::Relaxed);
        for schedule in [Schedule::Stealing, Schedule::Guided, Schedule::Dynamic(8)] {
            let mut claims = Claims {
                schedule,
                units: 100,
                rank: 0,
                size: 2,
                ranges: &ranges,
                cursor: &cursor,
                victims: &[1],
                taken: false,
                steals: 0,
                nonsense: false,
                since: ticks(),
                run: 0,
                worth: 0,
            };
            while let Some(span) = claims.next() {
                assert!(span.hi <= 100);
            }
            assert_eq!(claims.nonsense, schedule == Schedule::Stealing, "it is noted");
        }
    }
}

mod models {
    //! # Safety
    //! Each unit is a loom cell, written by whoever claims it: loom reports a unit that two members have.
    #![allow(unsafe_code)]
    use super::*;
    use crate::base::model::{self, Arc, UnsafeCell, thread};
    use crate::launch::member::bitmap::Bitmap;

    struct Team {
        ranges: Vec<Line<AtomicU64>>,
        cursor: AtomicU64,
        done: Vec<AtomicU64>,
        units: Vec<UnsafeCell<u32>>,
    }

    // SAFETY: loom checks the accesses to the cells.
    unsafe impl Sync for Team {}
    // SAFETY: as above.
    unsafe impl Send for Team {}

    impl Team {
        fn new(schedule: Schedule, units: usize, size: usize) -> Arc<Team> {
            let team = Team {
                ranges: (0..size).map(|_| Line(AtomicU64::new(0))).collect(),
                cursor: AtomicU64::new(0),
                done: (0..=16 * size).map(|_| AtomicU64::new(0)).collect(),
                units: (0..units).map(|_| UnsafeCell::new(0)).collect(),
            };
            reset(schedule, units, size, &team.ranges, &team.cursor);
            Arc::new(team)
        }

        fn bitmap(&self) -> Bitmap<'_> {
            Bitmap::new(&self.done, self.units.len(), self.ranges.len())
        }

        /// Runs rank's share; `stop_after` claims it stops forever with its last claim undone. Units run are
        /// told.
        fn run(&self, schedule: Schedule, rank: usize, stop_after: usize) -> usize {
            let size = self.ranges.len();
            let victims: Vec<u32> = (0..size as u32).filter(|other| *other as usize != rank).collect();
            let mut claims = Claims {
                schedule,
                units: self.units.len() as u64,
                rank,
                size,
                ranges: &self.ranges,
                cursor: &self.cursor,
                victims: &victims,
                taken: false,
                steals: 0,
                nonsense: false,
                since: ticks(),
                run: 0,
                worth: 0,
            };
            let (mut run, mut claimed) = (0, 0);
            while let Some(span) = claims.next() {
                claimed += 1;
                if claimed > stop_after {
                    return run;
                }
                for unit in span.range().filter(|unit| !self.bitmap().is_done(*unit)) {
                    // SAFETY: claimed; checked.
                    self.units[unit].with_mut(|cell| unsafe { *cell += 1 });
                    self.bitmap().set(unit);
                    run += 1;
                }
            }
            assert!(!claims.nonsense);
            run
        }
    }

    fn check(preemptions: usize, f: impl Fn() + Sync + Send + 'static) {
        model::check(Some(preemptions), f);
    }

    fn each_unit_once(schedule: Schedule, units: usize, size: usize, preemptions: usize) {
        check(preemptions, move || {
            let team = Team::new(schedule, units, size);
            let others: Vec<_> = (1..size)
                .map(|rank| {
                    let team = team.clone();
                    thread::spawn(move || team.run(schedule, rank, usize::MAX))
                })
                .collect();
            let mut run = team.run(schedule, 0, usize::MAX);
            run += others.into_iter().map(|other| other.join().unwrap()).sum::<usize>();
            assert_eq!(run, units);
            assert_eq!(team.bitmap().count(), units);
        });
    }

    #[test]
    fn loom_schedule_owner_and_thief_share_no_unit() {
        each_unit_once(Schedule::Stealing, 4, 2, 3);
    }

    #[test]
    fn loom_schedule_two_thieves_share_no_unit() {
        each_unit_once(Schedule::Stealing, 3, 3, 2);
    }

    #[test]
    fn loom_schedule_shared_counter() {
        each_unit_once(Schedule::Dynamic(1), 3, 2, 3);
        each_unit_once(Schedule::Guided, 4, 2, 3);
    }

    /// Rank 1 stops with a claim; a repair round runs exactly what its bits show as not done, also what lay
    /// in stolen ranges.
    #[test]
    fn loom_schedule_repair_runs_what_the_dead_left() {
        check(2, || {
            let team = Team::new(Schedule::Stealing, 4, 2);
            let dying = {
                let team = team.clone();
                thread::spawn(move || team.run(Schedule::Stealing, 1, 1))
            };
            let mut run = team.run(Schedule::Stealing, 0, usize::MAX);
            // Confirmed death, and the end of the launch.
            run += dying.join().unwrap();
            reset(Schedule::Stealing, 4, 2, &team.ranges, &team.cursor);
            run += team.run(Schedule::Stealing, 0, usize::MAX);
            assert_eq!(run, 4);
            assert_eq!(team.bitmap().holes().count(), 0);
        });
    }

    /// A unit seen done is seen with its writes.
    #[test]
    fn loom_schedule_done_bits_carry_the_writes() {
        check(3, || {
            let team = Team::new(Schedule::Stealing, 1, 1);
            let member = {
                let team = team.clone();
                thread::spawn(move || team.run(Schedule::Stealing, 0, usize::MAX))
            };
            while !team.bitmap().is_done(0) {
                thread::yield_now();
            }
            // SAFETY: done; checked.
            assert_eq!(team.units[0].with(|cell| unsafe { *cell }), 1);
            member.join().unwrap();
        });
    }
}

#[test]
fn what_another_member_will_have_done_soon_is_left_to_it_for_a_while() {
    let ranges: Vec<Line<AtomicU64>> = (0..2).map(|_| Line::default()).collect();
    let cursor = AtomicU64::new(0);
    let steal = |left: u64, has_begun: bool, run: u64, worth: u64| {
        reset(Schedule::Stealing, 100, 2, &ranges, &cursor);
        let mut thief = Claims {
            schedule: Schedule::Stealing,
            units: 100,
            rank: 1,
            size: 2,
            ranges: &ranges,
            cursor: &cursor,
            victims: &[0],
            taken: false,
            steals: 0,
            nonsense: false,
            // A unit takes a thousand ticks and a little.
            since: ticks().wrapping_sub(1000 * run),
            run,
            worth,
        };
        ranges[1].store(pack(100, 100), Ordering::Relaxed);
        let begins = if has_begun { 50 - left } else { 0 };
        ranges[0].store(pack(begins, begins + left), Ordering::Relaxed);
        let began = ticks();
        (thief.next().map(|span| span.range()), ticks().wrapping_sub(began))
    };
    // 30 units take longer than 20,000 ticks, and 3 do not: those are stolen when that time has passed.
    let worth = 20_000;
    assert_eq!(steal(30, true, 50, worth).0, Some(35..36));
    let (stolen, waited) = steal(3, true, 50, worth);
    assert_eq!(stolen, Some(48..49));
    assert!(waited >= worth);
    // Nobody knows how long a unit takes, members share cores, or the other has not begun.
    let for_ever = u64::MAX / 2;
    assert_eq!(steal(3, true, 0, for_ever).0, Some(48..49));
    assert_eq!(steal(3, true, 50, 0).0, Some(48..49));
    assert_eq!(steal(3, false, 50, for_ever).0, Some(1..2));
    // The other is done meanwhile: nothing is left.
    assert_eq!(steal(0, true, 50, for_ever).0, None);
}
