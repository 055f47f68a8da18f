//! Steps between threads, and under the model checker.
//!
//! # Safety
//! What the protocol guards are loom cells, so every access said to be exclusive is checked to be.
#![allow(unsafe_code)]

use super::*;
use crate::base::atomic::AtomicU64;
use crate::launch::region::digest::Frame;
use crate::team::member::SpinBudget;

/// The words of a region, on the heap.
struct Words {
    states: Vec<Line<StepState>>,
    payloads: Vec<Line<Payload>>,
}

impl Words {
    fn new(size: usize) -> Words {
        let payload = || Line([0, 1].map(|_| [(); PAYLOAD_BYTES / 8].map(|()| AtomicU64::new(0))));
        Words {
            states: (0..size).map(|_| Line(StepState::default())).collect(),
            payloads: (0..size).map(|_| payload()).collect(),
        }
    }

    fn steps(&self, rank: usize) -> Steps<'_> {
        Steps::new(self.places(), rank, self.states.len(), key(), SpinBudget { ticks: 0, shared: u64::MAX })
    }

    fn places(&self) -> StepStates<'_> {
        StepStates { states: &self.states, payloads: &self.payloads }
    }
}

fn key() -> Key {
    Key::new(1)
}

fn meet(steps: &mut Steps<'_>, kind: StepKind, line: u32) -> Result<(), RegionError> {
    let digest = steps.digest(kind);
    steps.meet(kind, digest, line)
}

fn digest_of(kind: StepKind) -> Digest {
    Digest::new(key(), kind)
}

fn barrier(steps: &mut Steps<'_>) -> Result<(), RegionError> {
    meet(steps, StepKind::Barrier, 1)
}

#[cfg(not(loom))]
mod threads {
    use super::*;

    /// Runs one body on `size` threads and gives their results in rank order.
    fn run<R: Send>(size: usize, body: impl Fn(usize, &mut Steps<'_>) -> R + Sync) -> Vec<R> {
        let words = Words::new(size);
        std::thread::scope(|scope| {
            let ranks: Vec<_> = (0..size)
                .map(|rank| {
                    let (words, body) = (&words, &body);
                    scope.spawn(move || body(rank, &mut words.steps(rank)))
                })
                .collect();
            ranks.into_iter().map(|rank| rank.join().unwrap()).collect()
        })
    }

    #[test]
    fn values_of_each_step_reach_every_rank() {
        for size in [1, 2, 3, ALL_TO_ALL, ALL_TO_ALL + 1, 20, 80] {
            let rounds = if size > 20 { 20 } else { 200 };
            run(size, |rank, steps| {
                for round in 0..rounds {
                    steps.put(0, &(round * 1000 + rank as u64));
                    barrier(steps).unwrap();
                    for other in 0..size {
                        assert_eq!(steps.get::<u64>(other, 0), round * 1000 + other as u64);
                    }
                }
            });
        }
    }

    #[test]
    fn different_steps_are_an_error_on_every_rank() {
        for size in [2, 3, 12] {
            let outcomes = run(size, |rank, steps| {
                let kind = if rank == 1 { StepKind::Leave } else { StepKind::Barrier };
                meet(steps, kind, rank as u32).and_then(|()| barrier(steps))
            });
            assert!(outcomes.iter().all(Result::is_err), "{outcomes:?}");
            assert!(outcomes.iter().any(|outcome| matches!(outcome, Err(RegionError::Disagree { .. }))));
        }
    }

    #[test]
    fn a_rank_that_goes_breaks_the_team_for_good() {
        for size in [2, 3, 12] {
            let outcomes = run(size, |rank, steps| {
                barrier(steps)?;
                if rank == size - 1 {
                    steps.poison();
                    return Err(RegionError::new("gone"));
                }
                barrier(steps)?;
                barrier(steps)
            });
            assert!(outcomes.iter().all(Result::is_err), "{size}: {outcomes:?}");
        }
    }

    #[test]
    fn counts_may_wrap() {
        let words = Words::new(2);
        let start = u32::MAX - 2;
        for state in &words.states {
            state.arrived.set(start << 1);
        }
        std::thread::scope(|scope| {
            for rank in 0..2 {
                let words = &words;
                scope.spawn(move || {
                    let mut steps = words.steps(rank);
                    steps.count = start;
                    (0..10).for_each(|_| barrier(&mut steps).unwrap());
                });
            }
        });
    }

    #[test]
    fn a_digest_tells_order_and_values_apart() {
        let digest = |words: &[u64]| {
            let mut digest = digest_of(StepKind::Phase);
            digest.frame(Frame::Cut, words.iter().copied());
            digest
        };
        let all = [digest(&[]), digest(&[0]), digest(&[0, 0]), digest(&[1, 2]), digest(&[2, 1])];
        for (index, one) in all.iter().enumerate() {
            assert!(all[index + 1..].iter().all(|other| other != one));
        }
        assert_ne!(digest_of(StepKind::Phase), digest_of(StepKind::Barrier));
    }
}

mod models {
    use super::*;
    use crate::base::model::{self, Arc, UnsafeCell, thread};

    fn check(preemptions: usize, f: impl Fn() + Sync + Send + 'static) {
        model::check(Some(preemptions), f);
    }

    struct Team {
        words: Words,
        /// What each rank writes in one phase and all read in the next.
        data: [UnsafeCell<u64>; 2],
    }

    // SAFETY: loom checks the accesses to the cells.
    unsafe impl Sync for Team {}
    // SAFETY: as above.
    unsafe impl Send for Team {}

    impl Team {
        fn new() -> Arc<Team> {
            Arc::new(Team { words: Words::new(2), data: [UnsafeCell::new(0), UnsafeCell::new(0)] })
        }

        fn write(&self, rank: usize, value: u64) {
            // SAFETY: this rank's phase; checked.
            self.data[rank].with_mut(|data| unsafe { *data = value });
        }

        fn read(&self, rank: usize) -> u64 {
            // SAFETY: nobody writes in this phase; checked.
            self.data[rank].with(|data| unsafe { *data })
        }
    }

    /// Runs one body as rank 0 here and as rank 1 in a thread.
    fn both(body: fn(&Team, usize)) {
        let team = Team::new();
        let other = {
            let team = team.clone();
            thread::spawn(move || body(&team, 1))
        };
        body(&team, 0);
        other.join().unwrap();
    }

    /// Write, meet, read the other's, meet, write again: nothing of one phase is seen in another, and nobody
    /// sleeps forever.
    #[test]
    fn loom_step_phases_are_apart() {
        check(2, || {
            both(|team, rank| {
                let mut steps = team.words.steps(rank);
                team.write(rank, 10 + rank as u64);
                barrier(&mut steps).unwrap();
                assert_eq!(team.read(1 - rank), 11 - rank as u64);
                barrier(&mut steps).unwrap();
                team.write(rank, 0);
            });
        });
    }

    /// Values of steps in a row: a fast rank does not overwrite what a slow one has yet to read, nor its
    /// digest.
    #[test]
    fn loom_step_two_slots_suffice() {
        check(2, || {
            both(|team, rank| {
                let mut steps = team.words.steps(rank);
                for round in 1..=3_u64 {
                    let mut digest = steps.digest(StepKind::AllReduce);
                    digest.frame(Frame::Value, [round].into_iter());
                    steps.put(0, &(round * 10 + rank as u64));
                    steps.meet(StepKind::AllReduce, digest, round as u32).unwrap();
                    assert_eq!(steps.get::<u64>(1 - rank, 0), round * 10 + 1 - rank as u64);
                }
            });
        });
    }

    /// Ranks at different steps both hear of it.
    #[test]
    fn loom_step_disagreement_reaches_both() {
        check(2, || {
            both(|team, rank| {
                let mut steps = team.words.steps(rank);
                let kind = if rank == 0 { StepKind::Barrier } else { StepKind::Leave };
                let first = meet(&mut steps, kind, 1);
                assert!(first.is_err());
                assert!(barrier(&mut steps).is_err(), "for good");
            });
        });
    }

    /// A rank dies before it arrives, or after it published and before it arrived; the engine poisons its
    /// state. The other must not sleep forever.
    fn a_rank_dies(published: bool) {
        check(3, move || {
            let team = Team::new();
            let dying = {
                let team = team.clone();
                thread::spawn(move || {
                    let mut steps = team.words.steps(1);
                    barrier(&mut steps).unwrap();
                    if published {
                        team.words.states[1].slots[1].site.store(1, Ordering::Relaxed);
                    }
                    team.words.states[1].poison();
                })
            };
            let mut steps = team.words.steps(0);
            // The death may be seen at this step already: it happened after the arrival, which counts.
            barrier(&mut steps).unwrap();
            assert_eq!(barrier(&mut steps), Err(RegionError::Broken { by: 1 }));
            dying.join().unwrap();
        });
    }

    #[test]
    fn loom_step_of_the_dead_breaks() {
        a_rank_dies(false);
    }

    #[test]
    fn loom_step_of_the_dead_breaks_after_publishing() {
        a_rank_dies(true);
    }

    /// The tree's way: a child arrives, the parent compares and releases.
    #[test]
    fn loom_step_tree_phases_are_apart() {
        check(2, || {
            both(|team, rank| {
                let mut steps = team.words.steps(rank);
                let mut meet = || {
                    let (state, parity) = (&team.words.states[rank], steps.parity());
                    let digest = digest_of(StepKind::Barrier);
                    state.slots[parity].digest[0].store(digest.words()[0], Ordering::Relaxed);
                    state.slots[parity].digest[1].store(digest.words()[1], Ordering::Relaxed);
                    steps.count += 1;
                    steps.meet_in_tree(state, parity, digest.words(), steps.count << 1).unwrap();
                };
                team.write(rank, 10 + rank as u64);
                meet();
                assert_eq!(team.read(1 - rank), 11 - rank as u64);
                meet();
                team.write(rank, 0);
            });
        });
    }
}
