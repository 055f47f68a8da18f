//! Threads that meet at a spinning barrier and never sleep: what OpenMP's active wait policy does.

use super::pin::pin;
use phalanx::topology::CpuSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// A word on a pair of cache lines of its own, since processors fetch lines in pairs.
#[repr(align(128))]
#[derive(Default)]
struct Alone<T>(T);

/// A barrier that turns over: the last to arrive opens the next generation.
struct SpinBarrier {
    size: usize,
    arrived: Alone<AtomicUsize>,
    generation: Alone<AtomicUsize>,
}

impl SpinBarrier {
    fn new(size: usize) -> SpinBarrier {
        SpinBarrier { size, arrived: Alone::default(), generation: Alone::default() }
    }

    fn wait(&self) {
        // Relaxed: this thread has seen the generation open, or the count below could not be its own.
        let seen = self.generation.0.load(Ordering::Relaxed);
        // AcqRel: the last one sees what all wrote before they came.
        if self.arrived.0.fetch_add(1, Ordering::AcqRel) + 1 == self.size {
            self.arrived.0.store(0, Ordering::Relaxed);
            // Release: pairs with the acquire below.
            self.generation.0.store(seen.wrapping_add(1), Ordering::Release);
            return;
        }
        while self.generation.0.load(Ordering::Acquire) == seen {
            std::hint::spin_loop();
        }
    }
}

/// Runs up to `steps` times `work` and a barrier on one pinned thread per place; stops early, all at the same
/// step, once `limit` has passed. Returns the steps made and the time from the first common barrier to the
/// last.
pub fn steps(places: &[CpuSet], steps: u64, limit: Duration, work: fn(u64), amount: u64) -> (u64, Duration) {
    let barrier = SpinBarrier::new(places.len());
    let stop = AtomicBool::new(false);
    let member = |rank: usize| {
        pin(&places[rank]);
        barrier.wait();
        let began = Instant::now();
        let mut made = 0;
        while made < steps {
            work(amount);
            if rank == 0 && made % 64 == 0 && began.elapsed() > limit {
                stop.store(true, Ordering::Relaxed);
            }
            barrier.wait();
            made += 1;
            if made % 64 == 1 && stop.load(Ordering::Relaxed) {
                break;
            }
        }
        (made, began.elapsed())
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..places.len()).map(|rank| scope.spawn(move || member(rank))).collect();
        let results = threads.into_iter().map(|thread| thread.join().unwrap_or((0, Duration::ZERO)));
        results.max_by_key(|(_, time)| *time).unwrap_or_default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use phalanx::topology::bound_cpuset;

    fn two() -> Vec<CpuSet> {
        let all = bound_cpuset().unwrap_or_default();
        vec![all.clone(), all]
    }

    #[test]
    fn all_steps_are_made_when_there_is_time() {
        let (made, _) = steps(&two(), 200, Duration::from_secs(600), |_| {}, 0);
        assert_eq!(made, 200);
    }

    #[test]
    fn a_team_out_of_time_stops_at_one_step() {
        let (made, _) = steps(&two(), u64::MAX, Duration::ZERO, |_| {}, 0);
        assert_eq!(made, 1);
    }
}
