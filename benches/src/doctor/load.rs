//! What other programs, and the hypervisor, take of the CPUs while nothing runs here; and what a team of
//! busy threads gets of them.

use super::finding::Finding;
use super::host::Host;
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
    let before = (Usage::read(host, allowed), programs(host));
    std::thread::sleep(WATCHED);
    let after = (Usage::read(host, allowed), programs(host));
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

/// Ticks that CPUs have spent since the machine started.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Usage {
    all: u64,
    busy: u64,
    stolen: u64,
}

/// Shares of the time between two readings.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Shares {
    busy: f64,
    stolen: f64,
}

impl Usage {
    fn read(host: &Host, cpus: &CpuSet) -> Option<Usage> {
        let text = host.text("proc/stat")?;
        let mut sum = Usage { all: 0, busy: 0, stolen: 0 };
        for line in text.lines() {
            // cpuN user nice system idle iowait irq softirq steal guest guest_nice
            let Some((cpu, ticks)) = line.strip_prefix("cpu").and_then(|rest| rest.split_once(' ')) else {
                continue;
            };
            if !cpu.parse().is_ok_and(|cpu| cpus.contains(cpu)) {
                continue;
            }
            let ticks: Vec<u64> =
                ticks.split_whitespace().filter_map(|word| word.parse().ok()).take(8).collect();
            let [user, nice, system, idle, iowait, irq, softirq, stolen] = ticks[..] else { return None };
            sum.busy += user + nice + system + irq + softirq;
            sum.stolen += stolen;
            sum.all += user + nice + system + idle + iowait + irq + softirq + stolen;
        }
        (sum.all > 0).then_some(sum)
    }

    fn since(&self, before: &Usage) -> Shares {
        let all = self.all.saturating_sub(before.all).max(1) as f64;
        let share = |now: u64, then: u64| now.saturating_sub(then) as f64 / all;
        Shares { busy: share(self.busy, before.busy), stolen: share(self.stolen, before.stolen) }
    }
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
    fn time_of_other_cpus_does_not_count() {
        let root = std::env::temp_dir().join(format!("phalanx-load-{}", std::process::id()));
        std::fs::create_dir_all(root.join("proc")).unwrap();
        let read = |lines: &str| {
            std::fs::write(root.join("proc/stat"), lines).unwrap();
            Usage::read(&Host::at(&root), &"1".parse().unwrap()).unwrap()
        };
        let before =
            read("cpu  9 9 9 9 9 9 9 9 0 0\ncpu0 5 5 5 5 5 5 5 5 0 0\ncpu1 10 0 0 90 0 0 0 0 0 0\nintr 7\n");
        let after =
            read("cpu  9 9 9 9 9 9 9 9 0 0\ncpu0 95 5 5 5 5 5 5 5 0 0\ncpu1 40 0 10 140 0 0 0 10 0 0\n");
        std::fs::remove_dir_all(&root).unwrap();
        assert_eq!(after.since(&before), Shares { busy: 0.4, stolen: 0.1 });
    }

    #[test]
    fn programs_are_named_by_what_they_used_meanwhile() {
        let stat = "42 (a (b) c) R 1 42 42 0 -1 4194304 100 0 0 0 70 30 0 0 20 0 1 0 100 0 0";
        assert_eq!(program(stat), Some(("a (b) c".to_owned(), 100)));
        let second = rustix::param::clock_ticks_per_second();
        let at = |ticks| HashMap::from([(7, ("hog".to_owned(), ticks)), (8, ("idle".to_owned(), 5))]);
        assert_eq!(busiest(&at(100), &at(100 + second / 2)), ["hog (7) 50 %"]);
    }
}
