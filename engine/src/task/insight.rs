//! What workers did with their time, for [`Pool::insights`](crate::Pool::insights).
#![deny(clippy::arithmetic_side_effects)]

use std::time::Duration;

/// Slowest tasks that are remembered.
const SLOWEST: usize = 5;

/// One of the slowest tasks of a pool.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SlowTask {
    /// How long it ran in the worker.
    pub duration: Duration,
    /// The number of its first item.
    pub item: usize,
    /// How many items it had.
    pub items: usize,
    /// The worker that ran it.
    pub rank: usize,
}

/// What one worker has done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct WorkerInsight {
    /// Its rank.
    pub rank: usize,
    /// Tasks it has done, and items in them.
    pub tasks: u64,
    /// See [`Self::tasks`].
    pub items: u64,
    /// Time in the tasks' functions, decoding and encoding included.
    pub working: Duration,
    /// Time that its tasks waited on the board before it took them.
    pub queued: Duration,
}

/// What a pool's workers have done with tasks so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Insights {
    /// By rank.
    pub workers: Vec<WorkerInsight>,
    /// The slowest tasks, slowest first: at most five.
    pub slowest: Vec<SlowTask>,
    /// Workers replaced because they died.
    pub deaths: u64,
    /// Workers replaced because they had served long enough.
    pub retirements: u64,
}

impl std::fmt::Display for Insights {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for worker in &self.workers {
            writeln!(
                f,
                "worker {}: {} tasks, {} items, {:.1?} working, {:.1?} of waiting for it",
                worker.rank, worker.tasks, worker.items, worker.working, worker.queued
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
