//! How busy CPUs are, by the kernel's own counts.

use phalanx::topology::CpuSet;

/// Ticks that CPUs have spent since the machine started.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Usage {
    all: u64,
    busy: u64,
    stolen: u64,
}

/// Shares of the time between two readings.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shares {
    /// Programs ran.
    pub busy: f64,
    /// The hypervisor ran something else.
    pub stolen: f64,
}

impl Usage {
    /// Sums up the lines of these CPUs in the text of `/proc/stat`.
    pub fn parse(stat: &str, cpus: &CpuSet) -> Option<Usage> {
        let mut sum = Usage { all: 0, busy: 0, stolen: 0 };
        for line in stat.lines() {
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

    /// The shares of the time since an earlier reading.
    pub fn since(&self, before: &Usage) -> Shares {
        self.foreign_since(before, 0)
    }

    /// As [`Usage::since`], without this many ticks of programs that do not count.
    pub fn foreign_since(&self, before: &Usage, own: u64) -> Shares {
        let all = self.all.saturating_sub(before.all).max(1) as f64;
        let share = |now: u64, then: u64| now.saturating_sub(then) as f64 / all;
        Shares { busy: share(self.busy, before.busy + own), stolen: share(self.stolen, before.stolen) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_of_other_cpus_and_of_this_program_does_not_count() {
        let read = |lines: &str| Usage::parse(lines, &"1".parse().unwrap()).unwrap();
        let before =
            read("cpu  9 9 9 9 9 9 9 9 0 0\ncpu0 5 5 5 5 5 5 5 5 0 0\ncpu1 10 0 0 90 0 0 0 0 0 0\nintr 7\n");
        let after =
            read("cpu  9 9 9 9 9 9 9 9 0 0\ncpu0 95 5 5 5 5 5 5 5 0 0\ncpu1 40 0 10 140 0 0 0 10 0 0\n");
        assert_eq!(after.since(&before), Shares { busy: 0.4, stolen: 0.1 });
        assert_eq!(after.foreign_since(&before, 30), Shares { busy: 0.1, stolen: 0.1 });
        assert_eq!(after.foreign_since(&before, 99).busy, 0.0);
    }
}
