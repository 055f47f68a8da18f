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
        for schedule in [Schedule::Stealing, Schedule::Guided] {
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
            };
            while let Some(span) = claims.next() {
                assert!(span.hi <= 100);
            }
        }
    }
}
