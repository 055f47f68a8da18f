//! Reports: what a pool has done, and the memory it uses.

use super::Pool;
use crate::base::atomic::Ordering;
use crate::sys::{descriptor, fork, process};
use crate::team::crew::CrewKind;
use crate::team::roster::RosterSlot;
use std::time::Duration;

/// Counters and times of one worker since the pool was made.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct WorkerStats {
    /// Its rank.
    pub rank: usize,
    /// Its process id; 0 while it is being replaced. With `Threads` and `Inline`, the program's own.
    pub pid: u32,
    /// Launches it took part in.
    pub launches: u64,
    /// Tasks it has started.
    pub tasks: u64,
    /// Chunks it ran.
    pub chunks: u64,
    /// Times it took chunks from another worker's block.
    pub steals: u64,
    /// Faults that it reported, such as panics.
    pub faults: u64,
    /// Times it went to sleep because there was no work.
    pub sleeps: u64,
    /// Time spent in launches, including claiming chunks.
    pub busy: Duration,
    /// Time spent awake between launches.
    pub wait: Duration,
    /// Time spent claiming chunks.
    pub claim: Duration,
    /// Requests that the operating system refused (pinning, memory policy), in words.
    pub refused: Vec<String>,
}

/// Counters of a pool since it was made.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct PoolStats {
    /// The workers by rank.
    pub workers: Vec<WorkerStats>,
    /// Launches made.
    pub launches: u64,
    /// System calls made by launches: to wake sleeping workers, and for the caller to sleep.
    pub system_calls: u64,
    /// Bytes sent to announce segments, once per segment and worker.
    pub delivery_bytes: u64,
    /// System calls made to send them.
    pub delivery_calls: u64,
    /// Rounds that launches took. More than `launches` if chunks were run again, or were left by a dead
    /// worker.
    pub rounds: u64,
    /// System calls made by the last launch.
    pub last_system_calls: u64,
    /// Workers that were replaced after they died.
    pub respawns: u64,
}

/// What one worker did in one launch.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct LaunchWorkerStats {
    /// Its rank.
    pub rank: usize,
    /// Chunks it ran.
    pub chunks: u64,
    /// Times it took chunks from another worker's block.
    pub steals: u64,
    /// Time it spent in the launch, including claiming chunks.
    pub busy: Duration,
    /// Time it spent claiming chunks.
    pub claim: Duration,
    /// The rest of the launch's time: before the worker joined, and after it found nothing left to do.
    pub wait: Duration,
}

/// What one launch did and cost.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct LaunchStats {
    /// Where the launch was called.
    pub site: String,
    /// How long the call took, without the time it waited for other launches.
    pub seconds: f64,
    /// Chunks that were run. Lost and repeated attempts count too, if their worker lived.
    pub chunks: u64,
    /// Times a worker took chunks from another worker's block.
    pub steals: u64,
    /// Rounds: 1, plus one each time a dead worker left chunks behind.
    pub rounds: u64,
    /// System calls made by the launch: at most one to wake sleeping workers, plus one each time the caller
    /// went to sleep. Zero if workers were awake and finished before the caller stopped spinning.
    pub system_calls: u64,
    /// Bytes sent to announce segments to workers that had not mapped them before.
    pub delivery_bytes: u64,
    /// System calls made to send them.
    pub delivery_calls: u64,
    /// The workers by rank.
    pub workers: Vec<LaunchWorkerStats>,
}

/// Memory used by the program and its workers, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct MemoryReport {
    /// Proportional set size of driver and workers together: each shared page counts once.
    pub pss: u64,
    /// The workers' share of it.
    pub workers_pss: u64,
    /// Page tables of driver and workers.
    pub page_tables: u64,
}

impl Pool {
    /// Reports what the pool and its workers have done so far. Does not wait for a running launch, which does
    /// not count yet.
    ///
    /// In a process forked from the one that made the pool, all counts are empty, and [`Self::memory`] covers
    /// only that process.
    pub fn stats(&self) -> PoolStats {
        if fork::is_foreign() {
            return PoolStats::default();
        }
        let totals = self.core.launcher.totals();
        let board = self.core.launcher.crew.board();
        let roster = self.core.launcher.crew.roster.lock();
        let has_processes = matches!(self.core.launcher.crew.kind, CrewKind::Processes(_));
        let ns = self.core.rate.ns_per_tick();
        let time = |ticks: u64| Duration::from_nanos((ticks as f64 * ns) as u64);
        let workers = roster.slots.iter().enumerate().map(|(rank, slot)| {
            let status = board.status(rank);
            let read = |word: &crate::base::atomic::AtomicU64| word.load(Ordering::Relaxed);
            WorkerStats {
                rank,
                pid: if has_processes { slot.pid() } else { process::own_pid() },
                launches: read(&status.launches),
                tasks: read(&status.idle_work),
                chunks: read(&status.chunks),
                steals: read(&status.steals),
                faults: read(&status.faults),
                sleeps: read(&status.sleeps),
                busy: time(read(&status.busy_ticks)),
                wait: time(read(&status.wait_ticks)),
                claim: time(read(&status.claim_ticks)),
                refused: slot.refused.clone(),
            }
        });
        PoolStats {
            workers: workers.collect(),
            launches: totals.launches,
            system_calls: totals.cost.system_calls,
            delivery_bytes: totals.cost.delivery_bytes,
            delivery_calls: totals.cost.delivery_calls,
            rounds: totals.cost.rounds,
            last_system_calls: totals.last_system_calls,
            respawns: roster.respawns,
        }
    }

    /// Reports what the last launch did and cost, whether or not it succeeded. Returns `None` before the
    /// first launch, and if the pool was made without [`stats`](crate::PoolBuilder::stats). Launches that run
    /// inline are not recorded. Waits for a running launch.
    ///
    /// ```
    /// # fn main() -> Result<(), phalanx::Error> {
    /// let pool = phalanx::Pool::builder().workers(2).stats(true).build()?;
    /// let mut y = pool.zeros::<f64>(1000)?;
    /// pool.launch().chunk(100).for_each(y.split_mut(), |y| y.fill(1.0))?;
    /// let launch = pool.last_launch().expect("it is kept");
    /// assert_eq!((launch.chunks, launch.rounds), (10, 1));
    /// # Ok(())
    /// # }
    /// ```
    pub fn last_launch(&self) -> Option<LaunchStats> {
        if fork::is_foreign() {
            return None;
        }
        let detail = self.core.launcher.detail()?;
        let ns = self.core.rate.ns_per_tick();
        let time = |ticks: u64| Duration::from_nanos((ticks as f64 * ns) as u64);
        let workers = detail.workers.iter().enumerate().map(|(rank, counts)| LaunchWorkerStats {
            rank,
            chunks: counts.chunks,
            steals: counts.steals,
            busy: time(counts.busy_ticks),
            claim: time(counts.claim_ticks),
            wait: time(detail.ticks.saturating_sub(counts.busy_ticks)),
        });
        Some(LaunchStats {
            site: detail.site.to_string(),
            seconds: detail.ticks as f64 * ns * 1e-9,
            chunks: detail.workers.iter().map(|counts| counts.chunks).sum(),
            steals: detail.workers.iter().map(|counts| counts.steals).sum(),
            rounds: detail.cost.rounds,
            system_calls: detail.cost.system_calls,
            delivery_bytes: detail.cost.delivery_bytes,
            delivery_calls: detail.cost.delivery_calls,
            workers: workers.collect(),
        })
    }

    /// Returns the process ids of the workers by rank. An id is 0 while the worker is being replaced, until
    /// its successor is ready. Empty for thread and inline pools.
    pub fn worker_pids(&self) -> Vec<u32> {
        if fork::is_foreign() {
            return Vec::new();
        }
        let roster = self.core.launcher.crew.roster.lock();
        if !matches!(self.core.launcher.crew.kind, CrewKind::Processes(_)) {
            return Vec::new();
        }
        roster.slots.iter().map(RosterSlot::pid).collect()
    }

    /// Reports the memory of the program and its workers as the kernel counts it. Reads /proc for each
    /// process, which takes milliseconds for large ones.
    pub fn memory(&self) -> MemoryReport {
        let mut report = MemoryReport::default();
        for pid in self.worker_pids().into_iter().filter(|pid| *pid != 0) {
            report.workers_pss += field_kib(&format!("/proc/{pid}/smaps_rollup"), "Pss:");
            report.page_tables += field_kib(&format!("/proc/{pid}/status"), "VmPTE:");
        }
        report.pss = report.workers_pss + field_kib("/proc/self/smaps_rollup", "Pss:");
        report.page_tables += field_kib("/proc/self/status", "VmPTE:");
        report
    }
}

/// Reads a field of a /proc file that is in kB and returns it in bytes; 0 if it cannot be read.
fn field_kib(path: &str, field: &str) -> u64 {
    let text = descriptor::read_text(path).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(field));
    line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) * 1024
}
