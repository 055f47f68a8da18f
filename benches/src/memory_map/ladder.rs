//! Steps of the latency ladder, and what the topology says of caches. Pure functions.

use phalanx::topology::{CpuSet, Machine};

/// Growth from one size to the next that belongs to a step.
const RISING: f64 = 1.12;
/// A step as a whole; less is no step.
const STEP: f64 = 1.35;

/// One size and its time.
pub type Rung = (usize, f64);

/// A rise of the time: from the largest size before it to the first one behind it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// The size and time before.
    pub from: Rung,
    /// The size and time behind.
    pub to: Rung,
}

/// A cache that one CPU has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level {
    /// The level, 1 is nearest.
    pub level: u8,
    /// Its size.
    pub bytes: u64,
}

/// The caches of a CPU whose sizes are known, nearest first.
pub fn levels(machine: &Machine, cpu: u32) -> Vec<Level> {
    let own = machine.caches().iter().filter(|cache| cache.cpuset.contains(cpu) && cache.size_bytes > 0);
    let mut levels: Vec<Level> =
        own.map(|cache| Level { level: cache.level, bytes: cache.size_bytes }).collect();
    levels.sort_by_key(|level| level.level);
    levels.dedup_by_key(|level| level.level);
    levels
}

/// Unbroken runs of rising times, by size, that together are a step.
pub fn steps(rungs: &[Rung]) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut open: Option<Step> = None;
    for two in rungs.windows(2) {
        let is_rising = two[1].1 > two[0].1 * RISING;
        open = match (open, is_rising) {
            (Some(step), true) => Some(Step { to: two[1], ..step }),
            (None, true) => Some(Step { from: two[0], to: two[1] }),
            (done, false) => {
                steps.extend(done);
                None
            }
        };
    }
    steps.extend(open);
    steps.retain(|step| step.to.1 >= step.from.1 * STEP);
    steps
}

/// What a ladder says of a level, or of a step that is no level's.
#[derive(Clone, Debug, PartialEq)]
pub enum Finding {
    /// The time rises where the cache ends.
    Seen(Level, Step),
    /// It does not.
    Unseen(Level),
    /// The ladder does not reach far enough beyond it.
    Beyond(Level),
    /// It rises where no cache ends.
    Stray(Step),
}

/// Compares the steps with the caches.
pub fn compare(rungs: &[Rung], levels: &[Level]) -> Vec<Finding> {
    let steps = steps(rungs);
    let most = rungs.last().map_or(0, |rung| rung.0 as u64);
    // A cache that is shared, or filled unevenly, ends early: at half of its size already.
    let explains = |step: &Step, level: &Level| {
        step.from.0 as u64 <= level.bytes * 3 / 2
            && level.bytes <= (step.to.0 as u64).max(2 * step.from.0 as u64)
    };
    let of_level = |level: &Level| match steps.iter().find(|step| explains(step, level)) {
        Some(step) => Finding::Seen(*level, *step),
        None if most < 4 * level.bytes => Finding::Beyond(*level),
        None => Finding::Unseen(*level),
    };
    let strays = steps.iter().filter(|step| !levels.iter().any(|level| explains(step, level)));
    levels.iter().map(of_level).chain(strays.map(|step| Finding::Stray(*step))).collect()
}

impl Finding {
    /// Whether ladder and topology disagree.
    pub fn is_mismatch(&self) -> bool {
        matches!(self, Finding::Unseen(_) | Finding::Stray(_))
    }

    /// One sentence.
    pub fn text(&self) -> String {
        let rise = |step: &Step| {
            format!(
                "{:.1} ns at {} rise to {:.1} ns at {}",
                step.from.1,
                size(step.from.0 as u64),
                step.to.1,
                size(step.to.0 as u64)
            )
        };
        match self {
            Finding::Seen(Level { level, bytes }, step) => {
                format!("L{level} of {}: {}, as the topology says", size(*bytes), rise(step))
            }
            Finding::Unseen(Level { level, bytes }) => {
                format!("L{level} of {}: NOT seen, the ladder has no step where it ends", size(*bytes))
            }
            Finding::Beyond(Level { level, bytes }) => {
                format!("L{level} of {}: the ladder ends before it could show", size(*bytes))
            }
            Finding::Stray(step) => format!(
                "{}, where NO cache of the topology ends: a share of a cache, or what the TLB reaches",
                rise(step)
            ),
        }
    }
}

/// A size to be read by people: 1.5 MiB.
pub fn size(bytes: u64) -> String {
    let (value, unit) = match bytes {
        small if small < 1 << 20 => (small as f64 / 1024.0, "KiB"),
        small if small < 1 << 30 => (small as f64 / f64::from(1 << 20), "MiB"),
        large => (large as f64 / f64::from(1 << 30), "GiB"),
    };
    let text = format!("{value:.1}");
    format!("{} {unit}", text.strip_suffix(".0").unwrap_or(&text))
}

/// Sizes from 4 KiB to `most`, by powers of two, with one between each two where `is_fine`.
pub fn sizes(most: usize, is_fine: bool) -> Vec<usize> {
    let powers = std::iter::successors(Some(4096_usize), |size| size.checked_mul(2));
    let with_between = powers.flat_map(|size| [Some(size), is_fine.then_some(size + size / 2)]).flatten();
    with_between.take_while(|size| *size <= most.max(4096)).collect()
}

/// The CPUs of a set, of which the first of every core is taken.
pub fn one_per_core(machine: &Machine, cpus: &CpuSet) -> Vec<u32> {
    machine.cores().iter().filter_map(|core| core.cpuset.intersection(cpus).first()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A machine whose times are those of the first of these sizes that holds everything.
    fn rungs(levels: &[(usize, f64)], beyond: f64) -> Vec<Rung> {
        let time = |size: usize| {
            let mut before = levels.first().map_or(beyond, |level| level.1);
            for (bytes, ns) in levels.iter().copied().chain([(usize::MAX, beyond)]) {
                if size <= bytes {
                    return if size == bytes { ns } else { before.max(ns) };
                }
                before = ns;
            }
            beyond
        };
        let all = sizes(1 << 30, true).into_iter().enumerate();
        // Noise that is the same each time.
        all.map(|(at, size)| (size, time(size) * (1.0 + (at * 7 % 5) as f64 / 100.0))).collect()
    }

    const KNOWN: [Level; 3] = [
        Level { level: 1, bytes: 32 << 10 },
        Level { level: 2, bytes: 1 << 20 },
        Level { level: 3, bytes: 32 << 20 },
    ];

    #[test]
    fn caches_of_the_topology_are_found() {
        let ladder = rungs(&[(32 << 10, 1.4), (1 << 20, 4.0), (32 << 20, 14.0)], 110.0);
        let found = compare(&ladder, &KNOWN);
        assert_eq!(found.len(), 3, "{found:?}");
        assert!(found.iter().all(|own| matches!(own, Finding::Seen(..))), "{found:?}");
        assert!(found[1].text().starts_with("L2 of 1 MiB: 4"), "{}", found[1].text());
        assert!(found[1].text().ends_with("as the topology says"));
    }

    #[test]
    fn a_cache_that_is_not_there_and_a_step_without_cache_are_findings() {
        let ladder = rungs(&[(32 << 10, 1.4), (8 << 20, 14.0)], 110.0);
        let found = compare(&ladder, &KNOWN);
        let bad: Vec<_> = found.iter().filter(|own| own.is_mismatch()).map(Finding::text).collect();
        assert_eq!(bad.len(), 3, "{found:?}");
        assert!(bad[0].starts_with("L2 of 1 MiB: NOT seen") && bad[1].starts_with("L3"), "{bad:?}");
        assert!(bad[2].contains("at 8 MiB rise to") && bad[2].contains("NO cache"), "{bad:?}");
    }

    #[test]
    fn what_the_ladder_does_not_reach_is_no_mismatch() {
        let mut ladder = rungs(&[(32 << 10, 1.4), (1 << 20, 4.0), (32 << 20, 14.0)], 110.0);
        ladder.retain(|rung| rung.0 <= 16 << 20);
        let found = compare(&ladder, &KNOWN);
        assert_eq!(found[2], Finding::Beyond(KNOWN[2]));
        assert!(!found.iter().any(Finding::is_mismatch), "{found:?}");
        assert!(
            compare(&[], &[]).is_empty() && compare(&[(4096, 1.0)], &KNOWN[..1])[0].text().contains("ends")
        );
    }

    #[test]
    fn a_slow_rise_is_one_step_and_noise_is_none() {
        let slow = [(1, 1.0), (2, 1.2), (3, 1.5), (4, 1.9), (5, 1.9), (6, 2.0), (7, 1.9)];
        assert_eq!(steps(&slow), [Step { from: (1, 1.0), to: (4, 1.9) }]);
        assert_eq!(steps(&[(1, 1.0), (2, 1.2), (3, 1.0), (4, 1.2)]), []);
    }

    #[test]
    fn sizes_are_powers_of_two_and_what_is_between() {
        assert_eq!(sizes(16384, true), [4096, 6144, 8192, 12288, 16384]);
        assert_eq!(sizes(20000, false), [4096, 8192, 16384]);
        assert_eq!(sizes(0, true), [4096]);
        assert_eq!([4096, 3 << 19, 1 << 30].map(size), ["4 KiB", "1.5 MiB", "1 GiB"]);
    }
}
