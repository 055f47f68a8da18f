//! What a pool did between two looks at it.

use phalanx::observe::{LaunchProgress, PoolView, ProcessView, WorkerState, WorkerView};
use serde::Serialize;

/// A pool, and what it did in each second since an earlier look.
#[derive(Debug, Serialize)]
pub struct PoolRates {
    /// As the objects of all benches.
    pub bench: &'static str,
    pub pid: u32,
    pub program: String,
    pub name: String,
    /// Between the looks.
    pub seconds: f64,
    pub launches: u64,
    pub launches_per_s: f64,
    pub tasks_per_s: f64,
    /// Tasks that wait on the board, and whether there are more.
    pub queued: u64,
    pub has_backlog: bool,
    /// CPU time of the driver, in percent of one CPU.
    pub driver_cpu_percent: f64,
    pub present: Option<LaunchProgress>,
    pub remaining_seconds: Option<f64>,
    pub workers: Vec<WorkerRates>,
}

/// One worker of it.
#[derive(Debug, Serialize)]
pub struct WorkerRates {
    pub rank: usize,
    pub pid: Option<u32>,
    pub cpus: Option<String>,
    pub state: WorkerState,
    pub chunks_per_s: f64,
    pub steals_per_s: f64,
    pub tasks_per_s: f64,
    /// In percent of one CPU; nothing while another process was there at the earlier look.
    pub cpu_percent: Option<f64>,
    pub own_bytes: Option<u64>,
    pub deaths: u64,
    pub last_death: Option<String>,
    /// When the last worker died, in seconds since 1970.
    pub died_at: Option<u64>,
}

impl PoolRates {
    /// From an earlier look to a later one.
    pub fn between(before: &PoolView, now: &PoolView) -> PoolRates {
        let seconds = now.at.saturating_duration_since(before.at).as_secs_f64();
        let workers: Vec<WorkerRates> = now
            .workers
            .iter()
            .map(|worker| {
                let before = before.workers.iter().find(|before| before.rank == worker.rank);
                WorkerRates::between(before, worker, seconds)
            })
            .collect();
        PoolRates {
            bench: "top",
            pid: now.driver.pid,
            program: now.program.clone(),
            name: now.name.clone(),
            seconds,
            launches: now.launches,
            launches_per_s: rate(before.launches, now.launches, seconds),
            tasks_per_s: workers.iter().map(|worker| worker.tasks_per_s).sum(),
            queued: now.queued,
            has_backlog: now.has_backlog,
            driver_cpu_percent: cpu_percent(&before.driver, &now.driver, seconds).unwrap_or(0.0),
            present: now.present,
            remaining_seconds: now.remaining(before).map(|left| left.as_secs_f64()),
            workers,
        }
    }
}

impl WorkerRates {
    fn between(before: Option<&WorkerView>, now: &WorkerView, seconds: f64) -> WorkerRates {
        let since = |count: fn(&WorkerView) -> u64| rate(before.map_or(0, count), count(now), seconds);
        let process = now.process.as_ref();
        let earlier = before.and_then(|before| before.process.as_ref());
        WorkerRates {
            rank: now.rank,
            pid: process.map(|process| process.pid),
            cpus: process.map(|process| process.cpus.to_string()),
            state: now.state,
            chunks_per_s: since(|worker| worker.chunks),
            steals_per_s: since(|worker| worker.steals),
            tasks_per_s: since(|worker| worker.tasks),
            cpu_percent: earlier
                .zip(process)
                .and_then(|(earlier, process)| cpu_percent(earlier, process, seconds)),
            own_bytes: process.map(|process| process.own_bytes),
            deaths: now.deaths,
            last_death: now.last_death.as_ref().map(|death| death.cause.to_string()),
            died_at: now.last_death.as_ref().map(|death| death.at),
        }
    }
}

/// Of counts that only grow, unless their words were overwritten.
fn rate(before: u64, now: u64, seconds: f64) -> f64 {
    if seconds > 0.0 { now.saturating_sub(before) as f64 / seconds } else { 0.0 }
}

fn cpu_percent(before: &ProcessView, now: &ProcessView, seconds: f64) -> Option<f64> {
    let used = now.cpu_time.checked_sub(before.cpu_time).filter(|_| now.pid == before.pid)?;
    (seconds > 0.0).then(|| 100.0 * used.as_secs_f64() / seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_never_negative_and_need_time() {
        assert_eq!(rate(10, 30, 2.0), 10.0);
        assert_eq!(rate(30, 10, 2.0), 0.0);
        assert_eq!(rate(10, 30, 0.0), 0.0);
    }
}
