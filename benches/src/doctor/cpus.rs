//! The CPUs: which of them this process may use, how fast they are, and what their clock costs.

use super::finding::Finding;
use super::host::Host;
use phalanx::topology::{Limits, Machine, Source};
use std::time::{Duration, Instant};

/// Nanoseconds that a reading of a clock may take; the kernel's own page of clocks takes about 25.
const CLOCK_NS: f64 = 100.0;

/// Looks at the machine's layout and this process's share of it.
pub fn look(host: &Host, machine: &Machine, limits: &Limits) -> Vec<Finding> {
    let mut found = vec![layout(machine), mask(machine, limits)];
    found.extend(quota(limits));
    found.extend(kinds(machine));
    found.extend(limits.notes.iter().map(|note| {
        Finding::note(
            "limits",
            note.clone(),
            "a filter of system calls denies it; workers start all the same",
        )
    }));
    found.extend(governor(host, limits));
    found.push(clock(host));
    found
}

fn layout(machine: &Machine) -> Finding {
    let (packages, nodes) = (machine.packages().len(), machine.nodes().len());
    let found = format!(
        "{}, {}, {}, {}; described by {}",
        many(packages, "package"),
        many(nodes, "NUMA node"),
        many(machine.cores().len(), "core"),
        many(machine.pus().len(), "PU"),
        machine.source(),
    );
    match machine.source() {
        Source::AffinityMask => {
            Finding::note("layout", found, "mount /sys, or install libhwloc15, so that cores are known")
        }
        _ if !machine.notes().is_empty() => Finding::note("layout", found, machine.notes().join("; ")),
        _ => Finding::good("layout", found),
    }
}

fn many(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

fn mask(machine: &Machine, limits: &Limits) -> Finding {
    let (all, allowed) = (machine.cpuset(), &limits.allowed);
    let here = allowed.intersection(all).len();
    let share = 1.0 - here as f64 / all.len().max(1) as f64;
    let found = format!("{here} of {} PUs allowed ({allowed})", all.len());
    let why = match &limits.cpuset {
        Some(cpuset) if all.difference(cpuset).len() == all.len() - here => {
            "the cgroup's cpuset excludes the others: widen it, or give the container more CPUs"
        }
        _ => "the affinity mask excludes the others: run without taskset or numactl, or widen the job's mask",
    };
    Finding::cost("affinity", share, found, why)
}

fn quota(limits: &Limits) -> Option<Finding> {
    let Some(quota) = limits.quota_cpus else {
        return Some(Finding::good("quota", "no CPU quota"));
    };
    let allowed = limits.allowed.len().max(1) as f64;
    let found = format!("{quota} CPUs of time for {allowed} PUs");
    let advice = "workers stop together for the rest of each period: raise the cgroup's cpu.max \
                  (docker --cpus), or use as many workers as it allows";
    Some(Finding::cost("quota", (1.0 - quota / allowed).max(0.0), found, advice))
}

fn kinds(machine: &Machine) -> Vec<Finding> {
    let mut found = Vec::new();
    let siblings = machine.cores().iter().filter(|core| core.cpuset.len() > 1).count();
    found.push(if siblings == 0 {
        Finding::good("smt", "every core has one PU")
    } else {
        Finding::good(
            "smt",
            format!("{} with several PUs: a pool has one worker per core", many(siblings, "core")),
        )
    });
    if machine.is_hybrid() {
        found.push(Finding::note(
            "core kinds",
            "cores of different kinds",
            "equal shares end when the slowest core is done: use the stealing schedule, or cpus:LIST to choose",
        ));
    }
    found
}

fn governor(host: &Host, limits: &Limits) -> Vec<Finding> {
    let governors = host.of_cpus(limits.allowed.iter(), "cpufreq/scaling_governor");
    let mut found = match &governors[..] {
        [] => vec![Finding::good("frequency", "not told here: virtual machines and some kernels hide it")],
        [one] if one == "performance" || one == "schedutil" => {
            vec![Finding::good("frequency", format!("governor {one}"))]
        }
        some => vec![Finding::note(
            "frequency",
            format!("governor {}", some.join(", ")),
            "short launches run below full speed: cpupower frequency-set -g performance",
        )],
    };
    let no_turbo = host.number("sys/devices/system/cpu/intel_pstate/no_turbo") == Some(1);
    if no_turbo || host.number("sys/devices/system/cpu/cpufreq/boost") == Some(0) {
        found.push(Finding::note("turbo", "switched off", "figures are lower, and steadier, than with it"));
    }
    found
}

fn clock(host: &Host) -> Finding {
    let source = host.text("sys/devices/system/clocksource/clocksource0/current_clocksource");
    let source = source.unwrap_or("unknown".into());
    let ns = reading_ns();
    let found = format!("{source}, {ns:.0} ns a reading");
    if ns <= CLOCK_NS {
        return Finding::good("clock", found);
    }
    let advice = "each reading is a system call: boot with clocksource=tsc if the processor's is stable";
    Finding::note("clock", found, advice)
}

/// Nanoseconds that a reading of the clock takes, the least of several tries.
fn reading_ns() -> f64 {
    const READINGS: u32 = 2000;
    let tries = (0..10).map(|_| {
        let began = Instant::now();
        let last = (0..READINGS).fold(began, |_, _| Instant::now());
        last.duration_since(began)
    });
    tries.min().unwrap_or(Duration::ZERO).as_nanos() as f64 / f64::from(READINGS)
}

#[cfg(test)]
mod tests {
    use super::super::finding::Verdict;
    use super::*;

    #[test]
    fn masks_and_quotas_cost_their_share() {
        let machine = Machine::from_synthetic("package:2 core:4 pu:2").unwrap();
        let few = Limits { quota_cpus: Some(1.0), ..Limits::of("0-3".parse().unwrap()) };
        let found = look(&Host::at("/nowhere"), &machine, &few);
        let of = |check| found.iter().find(|finding| finding.check == check).unwrap();
        assert_eq!((of("affinity").cost, of("quota").cost), (Some(0.75), Some(0.75)));
        assert!(of("affinity").is_dear() && of("affinity").found == "4 of 16 PUs allowed (0-3)");
        assert!(of("smt").found.contains("8 cores with several PUs"));
        let all = look(&Host::at("/nowhere"), &machine, &Limits::of("0-15".parse().unwrap()));
        assert!(all.iter().all(|finding| finding.verdict == Verdict::Good), "{all:?}");
    }

    #[test]
    fn a_slow_governor_is_named() {
        let root = std::env::temp_dir().join(format!("phalanx-doctor-{}", std::process::id()));
        for (cpu, governor) in ["powersave", "performance"].into_iter().enumerate() {
            let folder = root.join(format!("sys/devices/system/cpu/cpu{cpu}/cpufreq"));
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join("scaling_governor"), format!("{governor}\n")).unwrap();
        }
        let found = governor(&Host::at(&root), &Limits::of("0-1".parse().unwrap()));
        std::fs::remove_dir_all(root).unwrap();
        assert_eq!(found[0].verdict, Verdict::Note);
        assert!(found[0].found == "governor performance, powersave", "{found:?}");
    }
}
