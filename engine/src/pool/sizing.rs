//! How many workers suit the machine's current load.
#![deny(clippy::arithmetic_side_effects)]

use crate::sys::descriptor;
use crate::topology::Limits;
use std::time::Duration;

/// The machine's load: how busy its CPUs are, and how much memory is free.
///
/// ```
/// let load = phalanx::Load { busy: 0.6, free_bytes: 8 << 30 };
/// assert_eq!(load.workers(8, 1 << 30), 4);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Load {
    /// Share of CPU time spent working, from 0 to 1.
    pub busy: f64,
    /// Bytes that programs can allocate without swapping others out.
    pub free_bytes: u64,
}

impl Load {
    /// Measures the load over `span`, during which the caller sleeps. Returns `None` if /proc does not report
    /// it.
    pub fn measure(span: Duration) -> Option<Load> {
        let before = CpuTimes::read()?;
        std::thread::sleep(span);
        let after = CpuTimes::read()?;
        let (total, idle) =
            (after.total.saturating_sub(before.total), after.idle.saturating_sub(before.idle));
        // Ticks of the kernel's clock, 10 ms mostly: a short span may have none.
        let busy = if total == 0 { 0.0 } else { total.saturating_sub(idle) as f64 / total as f64 };
        Some(Load { busy, free_bytes: free_bytes()? })
    }

    /// Returns how many workers a pool on `cores` cores should have if each uses `bytes_each` of memory. That
    /// is all cores while the machine is less than half busy, half of them while it is less than three
    /// quarters busy, and all but two above that. It is never more than free memory allows, and at least 1.
    pub fn workers(&self, cores: usize, bytes_each: u64) -> usize {
        let by_cpu = match self.busy {
            busy if busy < 0.5 => cores,
            busy if busy < 0.75 => cores / 2,
            _ => cores.saturating_sub(2),
        };
        let by_memory = self.free_bytes.checked_div(bytes_each).unwrap_or(u64::MAX);
        by_cpu.min(usize::try_from(by_memory).unwrap_or(usize::MAX)).max(1)
    }
}

/// Returns how many workers a pool should have now, see [`Load::workers`]. Blocks for a tenth of a second to
/// measure the load.
pub fn recommended_workers(bytes_each: u64) -> usize {
    let limits = Limits::detect();
    let cores = usable_cores(&limits);
    Load::measure(Duration::from_millis(100)).map_or(cores, |load| load.workers(cores, bytes_each))
}

/// Number of CPUs that this process can keep busy at once, without those of other pools if there are more.
pub(super) fn usable_cores(limits: &Limits) -> usize {
    let quota = limits.quota_cpus.map_or(usize::MAX, |cpus| cpus.ceil() as usize);
    let free = limits.allowed.difference(&limits.reserved);
    let cpus = if free.is_empty() { &limits.allowed } else { &free };
    cpus.len().min(quota).max(1)
}

/// Sums over all CPUs, in ticks.
struct CpuTimes {
    total: u64,
    idle: u64,
}

impl CpuTimes {
    fn read() -> Option<CpuTimes> {
        CpuTimes::parse(&descriptor::read_text("/proc/stat").ok()?)
    }

    /// The first line: user, nice, system, idle, iowait, irq, softirq, steal (proc(5)).
    fn parse(stat: &str) -> Option<CpuTimes> {
        let numbers = stat.lines().next()?.strip_prefix("cpu ")?.split_whitespace();
        let ticks: Vec<u64> = numbers.take(8).map_while(|number| number.parse().ok()).collect();
        (ticks.len() >= 5)
            .then(|| CpuTimes { total: ticks.iter().sum(), idle: ticks[3].saturating_add(ticks[4]) })
    }
}

fn free_bytes() -> Option<u64> {
    let text = descriptor::read_text("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_machine_gives_fewer_workers() {
        let load = |busy| Load { busy, free_bytes: u64::MAX };
        let sizes: Vec<_> = [0.0, 0.49, 0.5, 0.74, 0.75, 1.0].map(|busy| load(busy).workers(8, 0)).into();
        assert_eq!(sizes, [8, 8, 4, 4, 6, 6]);
        assert_eq!(load(0.9).workers(2, 0), 1);
        assert_eq!(load(0.6).workers(1, 0), 1);
    }

    #[test]
    fn memory_counts() {
        let load = Load { busy: 0.0, free_bytes: 10 << 20 };
        assert_eq!(load.workers(8, 3 << 20), 3);
        assert_eq!(load.workers(8, 20 << 20), 1);
    }

    #[test]
    fn the_first_line_of_stat_is_read() {
        let times = CpuTimes::parse("cpu  10 0 5 80 5 0 0 0 0 0\ncpu0 1 2 3\n").unwrap();
        assert_eq!((times.total, times.idle), (100, 85));
        assert!(CpuTimes::parse("nonsense").is_none());
    }

    #[test]
    fn this_machine_can_be_measured() {
        let load = Load::measure(Duration::from_millis(20)).unwrap();
        assert!((0.0..=1.0).contains(&load.busy) && load.free_bytes > 0);
        assert!(recommended_workers(0) >= 1);
    }
}
