//! Pools as text.

use super::rates::{PoolRates, WorkerRates};
use phalanx::CpuSet;
use phalanx::observe::{PoolView, WorkerState};
use serde::Serialize;
use std::fmt::Write;
use std::time::SystemTime;

/// A pool in the list of all.
#[derive(Debug, Serialize)]
pub struct Listing {
    bench: &'static str,
    pid: u32,
    program: String,
    name: String,
    workers: usize,
    cpus: String,
    launches: u64,
}

impl Listing {
    pub fn of(view: &PoolView) -> Listing {
        let cpus = view.workers.iter().filter_map(|worker| worker.process.as_ref());
        let cpus = cpus.fold(CpuSet::new(), |all, process| all.union(&process.cpus));
        Listing {
            bench: "top",
            pid: view.driver.pid,
            program: view.program.clone(),
            name: view.name.clone(),
            workers: view.workers.len(),
            cpus: if cpus.is_empty() { view.driver.cpus.to_string() } else { cpus.to_string() },
            launches: view.launches,
        }
    }
}

/// All pools, one per line.
pub fn list(views: &[PoolView]) -> String {
    if views.is_empty() {
        return "no Phalanx pool of this user is running\n".into();
    }
    let mut text = format!("{:>8}  {:>7}  {:<12}  {:>9}  program\n", "pid", "workers", "cpus", "launches");
    for listing in views.iter().map(Listing::of) {
        let Listing { pid, program, name, workers, cpus, launches, .. } = listing;
        let name = if name.is_empty() { name } else { format!(" ({name})") };
        let _fits = writeln!(text, "{pid:>8}  {workers:>7}  {cpus:<12}  {launches:>9}  {program}{name}");
    }
    text
}

/// One pool and its workers.
pub fn pool(rates: &PoolRates) -> String {
    let name = if rates.name.is_empty() { String::new() } else { format!(" ({})", rates.name) };
    let workers = if rates.workers.len() == 1 { "worker" } else { "workers" };
    let mut text = format!(
        "{}{name}, pid {}: {} {workers}, driver {:.0} % of a CPU\n",
        rates.program,
        rates.pid,
        rates.workers.len(),
        rates.driver_cpu_percent
    );
    let more = if rates.has_backlog { ", and more behind them" } else { "" };
    let _fits = writeln!(
        text,
        "{} launches/s, {} tasks/s, {} tasks queued{more}; {}",
        short(rates.launches_per_s),
        short(rates.tasks_per_s),
        rates.queued,
        present(rates)
    );
    text += &format!(
        "{:>4} {:>8} {:<8} {:<8} {:>6} {:>9} {:>9} {:>9} {:>9}  last death\n",
        "rank", "pid", "cpus", "state", "cpu %", "chunks/s", "steals/s", "tasks/s", "memory"
    );
    rates.workers.iter().for_each(|worker| text += &line(worker));
    text
}

/// How far the present launch is.
fn present(rates: &PoolRates) -> String {
    let Some(present) = rates.present else { return "no launch now".into() };
    if present.units == 0 {
        return format!("launch {} is a region or a broadcast", present.launch);
    }
    let percent = 100.0 * present.done as f64 / present.units as f64;
    let left = rates.remaining_seconds.map_or(String::new(), |left| format!(", {left:.1} s left"));
    format!("launch {}: {} of {} units ({percent:.0} %){left}", present.launch, present.done, present.units)
}

fn line(worker: &WorkerRates) -> String {
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".into());
    let death = worker.last_death.as_ref().map_or(String::new(), |cause| {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        let ago = now.saturating_sub(worker.died_at.unwrap_or(now));
        format!("{cause}, {ago} s ago, {} in all", worker.deaths)
    });
    let line = format!(
        "{:>4} {:>8} {:<8} {:<8} {:>6} {:>9} {:>9} {:>9} {:>9}  {death}",
        worker.rank,
        or_dash(worker.pid.map(|pid| pid.to_string())),
        or_dash(worker.cpus.clone()),
        word(worker.state),
        or_dash(worker.cpu_percent.map(|percent| format!("{percent:.0}"))),
        short(worker.chunks_per_s),
        short(worker.steals_per_s),
        short(worker.tasks_per_s),
        or_dash(worker.own_bytes.map(|bytes| format!("{:.1} MiB", bytes as f64 / (1 << 20) as f64))),
    );
    line.trim_end().to_owned() + "\n"
}

fn word(state: WorkerState) -> &'static str {
    match state {
        WorkerState::Kernel => "kernel",
        WorkerState::Task => "task",
        WorkerState::Idle => "idle",
        WorkerState::Asleep => "asleep",
        WorkerState::Parked => "parked",
        WorkerState::Stopped => "stopped",
        WorkerState::Starting => "starting",
        WorkerState::Leaving => "leaving",
        WorkerState::Dead => "dead",
        _ => "?",
    }
}

/// A rate in at most six characters.
fn short(rate: f64) -> String {
    match rate {
        rate if rate < 10.0 => format!("{rate:.1}"),
        rate if rate < 10_000.0 => format!("{rate:.0}"),
        rate if rate < 10_000_000.0 => format!("{:.0}k", rate / 1e3),
        rate => format!("{:.0}M", rate / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_short() {
        let shown = [0.0, 9.94, 12.3, 9999.0, 123_456.0, 12_345_678.0].map(short);
        assert_eq!(shown, ["0.0", "9.9", "12", "9999", "123k", "12M"]);
    }

    #[test]
    fn an_empty_list_says_so() {
        assert_eq!(list(&[]), "no Phalanx pool of this user is running\n");
    }
}
