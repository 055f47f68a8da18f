//! What other programs, and the hypervisor, take of the CPUs while nothing runs here; and what a team of
//! busy threads gets of them.

use super::finding::Finding;
use super::host::Host;
use crate::usage::Usage;
use phalanx::topology::{CpuSet, bind_thread};
use rustix::time::{ClockId, clock_gettime};
use std::collections::HashMap;
use std::hint::black_box;
use std::time::{Duration, Instant};

/// How long the machine is watched, and how long the team is busy.
const WATCHED: Duration = Duration::from_secs(1);
const BUSY: Duration = Duration::from_millis(500);
/// Programs that are named.
const NAMED: usize = 3;

/// Watches the machine for a second, then keeps it busy for half a second.
pub fn look(host: &Host, allowed: &CpuSet) -> Vec<Finding> {
    let usage = || Usage::parse(&host.text("proc/stat")?, allowed);
    let before = (usage(), programs(host));
    std::thread::sleep(WATCHED);
    let after = (usage(), programs(host));
    let mut found = Vec::new();
    if let (Some(before_usage), Some(after_usage)) = (&before.0, &after.0) {
        let shares = after_usage.since(before_usage);
        let advice = match busiest(&before.1, &after.1) {
            names if names.is_empty() => "programs that this process cannot see".to_owned(),
            names => format!("busiest: {}", names.join(", ")),
        };
        let took = |share: f64, who: &str| {
            format!("{who} took {:.0} % of the allowed CPUs in a second", share * 100.0)
        };
        found.push(Finding::cost("other programs", shares.busy, took(shares.busy, "other programs"), advice));
        let advice = "the host is overbooked: figures of this machine vary";
        found.push(Finding::cost("steal", shares.stolen, took(shares.stolen, "the hypervisor"), advice));
    }
    if let Some(load) = host.text("proc/loadavg") {
        let load: Vec<&str> = load.split(' ').take(3).collect();
        found.push(Finding::good("load average", load.join(" ")));
    }
    found.push(team(allowed));
    found
}

/// Name and ticks of every process but this one.
fn programs(host: &Host) -> HashMap<u32, (String, u64)> {
    let own = std::process::id();
    let folders = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = folders.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| *pid != own)
        .filter_map(|pid| Some((pid, program(&host.text(&format!("proc/{pid}/stat"))?)?)))
        .collect()
}

/// Name and ticks in a line of `/proc/PID/stat`.
fn program(stat: &str) -> Option<(String, u64)> {
    let (head, rest) = stat.rsplit_once(") ")?;
    let (_, name) = head.split_once('(')?;
    let mut fields = rest.split(' ').skip(11);
    let ticks = fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?;
    Some((name.to_owned(), ticks))
}

fn busiest(before: &HashMap<u32, (String, u64)>, after: &HashMap<u32, (String, u64)>) -> Vec<String> {
    let second = rustix::param::clock_ticks_per_second().max(1) as f64 * WATCHED.as_secs_f64();
    let mut used: Vec<(f64, u32, &str)> = after
        .iter()
        .map(|(pid, (name, ticks))| {
            let earlier = before.get(pid).map_or(0, |(_, ticks)| *ticks);
            (ticks.saturating_sub(earlier) as f64 / second, *pid, name.as_str())
        })
        .filter(|(share, ..)| *share >= 0.05)
        .collect();
    used.sort_by(|a, b| b.0.total_cmp(&a.0));
    used.truncate(NAMED);
    used.iter().map(|(share, pid, name)| format!("{name} ({pid}) {:.0} %", share * 100.0)).collect()
}

/// What a busy thread on each allowed CPU gets of it: whatever quota, hypervisor and other programs leave.
fn team(allowed: &CpuSet) -> Finding {
    let cpus: Vec<CpuSet> = allowed.iter().map(CpuSet::single).collect();
    let shares: Vec<f64> = std::thread::scope(|scope| {
        let threads: Vec<_> = cpus.iter().map(|cpu| scope.spawn(move || share_of(cpu))).collect();
        threads.into_iter().filter_map(|thread| thread.join().ok()).collect()
    });
    let mean = shares.iter().sum::<f64>() / shares.len().max(1) as f64;
    let worst = shares.iter().copied().fold(1.0, f64::min);
    let found = format!(
        "a busy thread on each of {} CPUs got {:.0} % of its time, the worst {:.0} %",
        shares.len(),
        mean * 100.0,
        worst * 100.0
    );
    let advice = "see quota, other programs and steal above; regions wait for the slowest at each barrier";
    Finding::cost("busy team", 1.0 - mean, found, advice)
}

fn share_of(cpu: &CpuSet) -> f64 {
    let _bound = bind_thread(cpu);
    let cpu_time = || {
        let time = clock_gettime(ClockId::ThreadCPUTime);
        time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
    };
    let (began, used) = (Instant::now(), cpu_time());
    let mut word = 1u64;
    while began.elapsed() < BUSY {
        for _ in 0..1000 {
            word = black_box(word.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
        }
    }
    ((cpu_time() - used) / began.elapsed().as_secs_f64()).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_named_by_what_they_used_meanwhile() {
        let stat = "42 (a (b) c) R 1 42 42 0 -1 4194304 100 0 0 0 70 30 0 0 20 0 1 0 100 0 0";
        assert_eq!(program(stat), Some(("a (b) c".to_owned(), 100)));
        let second = rustix::param::clock_ticks_per_second();
        let at = |ticks| HashMap::from([(7, ("hog".to_owned(), ticks)), (8, ("idle".to_owned(), 5))]);
        assert_eq!(busiest(&at(100), &at(100 + second / 2)), ["hog (7) 50 %"]);
    }
}
