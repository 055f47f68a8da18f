//! What workers did with their time, for [`Pool::insights`](crate::Pool::insights).
#![deny(clippy::arithmetic_side_effects)]

use std::time::Duration;

/// Slowest tasks that are remembered.
const SLOWEST: usize = 5;

/// One of the slowest tasks of a pool.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SlowTask {
    /// How long it ran on the worker.
    pub duration: Duration,
    /// The index of its first item.
    pub item: usize,
    /// The number of its items.
    pub items: usize,
    /// The rank of the worker that ran it.
    pub rank: usize,
}

/// What one worker has done so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct WorkerInsight {
    /// Its rank.
    pub rank: usize,
    /// The number of tasks it has completed.
    pub tasks: u64,
    /// The number of items in those tasks.
    pub items: u64,
    /// Time spent in the tasks' functions, including decoding and encoding.
    pub working: Duration,
    /// Time its tasks spent queued before the worker took them.
    pub queued: Duration,
    /// How long the present worker of this rank took to be ready, from when its process or thread ran.
    pub starting: Duration,
    /// How much of that it spent in the pool's initializer.
    pub initializing: Duration,
}

/// What a pool's workers have done with tasks so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Insights {
    /// One entry per worker, by rank.
    pub workers: Vec<WorkerInsight>,
    /// The slowest tasks, at most five, slowest first.
    pub slowest: Vec<SlowTask>,
    /// Workers replaced because they died.
    pub deaths: u64,
    /// Workers replaced at the end of their life span.
    pub retirements: u64,
}

impl std::fmt::Display for Insights {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for worker in &self.workers {
            writeln!(
                f,
                "worker {}: {} tasks, {} items, {:.1?} working, {:.1?} queued, {:.1?} starting, {:.1?} of it in the \
                 initializer",
                worker.rank,
                worker.tasks,
                worker.items,
                worker.working,
                worker.queued,
                worker.starting,
                worker.initializing
            )?;
        }
        for task in &self.slowest {
            let items = if task.items == 1 { "" } else { " and those after it in its chunk" };
            writeln!(f, "slow: {:.1?} for item {}{items} in worker {}", task.duration, task.item, task.rank)?;
        }
        write!(f, "{} died, {} retired", self.deaths, self.retirements)
    }
}

/// A task that is done, in ticks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub(crate) rank: usize,
    pub(crate) first: usize,
    pub(crate) items: usize,
    pub(crate) queued: u64,
    pub(crate) worked: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    tasks: u64,
    items: u64,
    queued: u64,
    worked: u64,
}

/// The sums, kept as tasks come in.
#[derive(Debug)]
pub(crate) struct Ledger {
    by_rank: Vec<Sums>,
    /// Slowest first.
    slowest: Vec<Entry>,
}

impl Ledger {
    pub(crate) fn new(size: usize) -> Ledger {
        Ledger { by_rank: vec![Sums::default(); size], slowest: Vec::new() }
    }

    pub(crate) fn note(&mut self, entry: Entry) {
        let Some(sums) = self.by_rank.get_mut(entry.rank) else { return };
        sums.tasks = sums.tasks.saturating_add(1);
        sums.items = sums.items.saturating_add(entry.items as u64);
        // Times come from words of shared memory, which may hold anything.
        sums.queued = sums.queued.saturating_add(entry.queued);
        sums.worked = sums.worked.saturating_add(entry.worked);
        let at = self.slowest.partition_point(|slow| slow.worked >= entry.worked);
        if at < SLOWEST {
            self.slowest.insert(at, entry);
            self.slowest.truncate(SLOWEST);
        }
    }

    pub(crate) fn read(&self, ns_per_tick: f64) -> Insights {
        let time = |ticks: u64| Duration::from_nanos((ticks as f64 * ns_per_tick) as u64);
        let worker = |(rank, sums): (usize, &Sums)| WorkerInsight {
            rank,
            tasks: sums.tasks,
            items: sums.items,
            working: time(sums.worked),
            queued: time(sums.queued),
            ..WorkerInsight::default()
        };
        let slow = |entry: &Entry| SlowTask {
            duration: time(entry.worked),
            item: entry.first,
            items: entry.items,
            rank: entry.rank,
        };
        Insights {
            workers: self.by_rank.iter().enumerate().map(worker).collect(),
            slowest: self.slowest.iter().map(slow).collect(),
            ..Insights::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_five_slowest_are_kept_in_order() {
        let mut ledger = Ledger::new(1);
        for worked in [5, 1, 9, 3, 7, 2, 8] {
            ledger.note(Entry { rank: 0, first: worked as usize, items: 1, queued: 1, worked });
        }
        let insights = ledger.read(1.0);
        let slow: Vec<_> = insights.slowest.iter().map(|task| task.item).collect();
        assert_eq!(slow, [9, 8, 7, 5, 3]);
        assert_eq!((insights.workers[0].tasks, insights.workers[0].working.as_nanos()), (7, 35));
    }
}
