//! Records, targets and how they are printed.

use crate::statistics::{median, quantile};
use phalanx::topology::CpuSet;
use serde::Serialize;
use std::fmt::Write as _;

/// One line of results.
#[derive(Clone, Debug, Serialize)]
pub struct Record {
    /// What was measured.
    pub bench: String,
    /// The variant, for example the runtime.
    pub variant: String,
    /// Members of the team.
    pub workers: usize,
    /// Samples.
    pub n: usize,
    /// Their median.
    pub median: f64,
    /// Their 5th percentile.
    pub p5: f64,
    /// Their 95th percentile.
    pub p95: f64,
    /// The unit of these three.
    pub unit: &'static str,
}

impl Record {
    /// Computes the figures of samples.
    pub fn of(
        bench: &str,
        variant: &str,
        workers: usize,
        mut samples: Vec<f64>,
        unit: &'static str,
    ) -> Record {
        samples.sort_unstable_by(f64::total_cmp);
        Record {
            bench: bench.into(),
            variant: variant.into(),
            workers,
            n: samples.len(),
            median: median(&samples),
            p5: quantile(&samples, 0.05),
            p95: quantile(&samples, 0.95),
            unit,
        }
    }

    fn is_ours(&self) -> bool {
        self.variant.starts_with("phalanx")
    }

    /// Whether more of it is better.
    fn is_rate(&self) -> bool {
        self.unit.ends_with("/s")
    }
}

/// What a median should be.
#[derive(Clone, Copy, Debug)]
pub enum Goal {
    /// Below this.
    Below(f64),
    /// Below this factor of a peer's median.
    BelowPeer(f64, &'static str),
    /// At most so much above a peer's median.
    AbovePeer(f64, &'static str),
    /// At least this factor of a peer's median.
    AtLeastPeer(f64, &'static str),
}

/// A stated target.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// The bench.
    pub bench: &'static str,
    /// The variant.
    pub variant: &'static str,
    /// What its median should be.
    pub goal: Goal,
}

impl Target {
    /// Returns whether the record meets it; `None` if the peer was not measured.
    pub fn is_met(&self, record: &Record, group: &[Record]) -> Option<bool> {
        let peer = |name| group.iter().find(|other| other.variant == name).map(|other| other.median);
        Some(match self.goal {
            Goal::Below(limit) => record.median < limit,
            Goal::BelowPeer(factor, name) => record.median < factor * peer(name)?,
            Goal::AbovePeer(more, name) => record.median <= more + peer(name)?,
            Goal::AtLeastPeer(factor, name) => record.median >= factor * peer(name)?,
        })
    }

    fn text(&self, unit: &str) -> String {
        match self.goal {
            Goal::Below(limit) => format!("below {}", shown(limit, unit)),
            Goal::BelowPeer(1.0, name) => format!("below {name}"),
            Goal::BelowPeer(factor, name) => format!("below {factor} x {name}"),
            Goal::AbovePeer(more, name) => format!("at most {} above {name}", shown(more, unit)),
            Goal::AtLeastPeer(factor, name) => format!("at least {factor} x {name}"),
        }
    }
}

/// Prints results as they come, and counts missed targets.
pub struct Report {
    json: bool,
    missed: usize,
}

impl Report {
    /// Makes a report that prints tables, or JSON lines.
    pub fn new(json: bool) -> Report {
        Report { json, missed: 0 }
    }

    /// Returns how many targets were missed so far.
    pub fn missed(&self) -> usize {
        self.missed
    }

    /// Names the machine, and the cores that teams are pinned to with the reason for them; tables only.
    pub fn headline(&self, places: &[CpuSet], reason: &str) {
        let cores: Vec<String> = places.iter().map(ToString::to_string).collect();
        if !self.json {
            println!("{}; {reason}; every team pinned to CPUs {}", Report::machine(), cores.join(" | "));
        }
    }

    /// Returns what the machine calls itself.
    pub fn machine() -> String {
        let uname = rustix::system::uname();
        format!(
            "{}, {} {} {}",
            cpu_model(),
            uname.sysname().to_string_lossy(),
            uname.release().to_string_lossy(),
            uname.machine().to_string_lossy(),
        )
    }

    /// Prints a remark for the reader; tables only.
    pub fn remark(&self, text: &str) {
        if !self.json {
            println!("  {text}");
        }
    }

    /// Whether results are printed as JSON.
    pub fn is_json(&self) -> bool {
        self.json
    }

    /// Prints one line of JSON.
    pub fn object(&self, object: &impl Serialize) {
        match serde_json::to_string(object) {
            Ok(line) => println!("{line}"),
            Err(error) => eprintln!("phalanx-bench: a record cannot be printed: {error}"),
        }
    }

    /// Prints the variants of one bench.
    pub fn group(&mut self, group: &[Record], targets: &[Target]) {
        if self.json {
            group.iter().for_each(|record| self.object(record));
        }
        self.compare(group, targets);
    }

    /// Prints a table of the variants of one bench, unless results are printed as JSON; counts missed
    /// targets.
    pub fn compare(&mut self, group: &[Record], targets: &[Target]) {
        if !self.json {
            print!("{}", table(group, targets));
        }
        let verdicts = judged(group, targets).filter(|(_, _, met)| *met == Some(false));
        self.missed += verdicts.count();
    }
}

fn judged<'a>(
    group: &'a [Record],
    targets: &'a [Target],
) -> impl Iterator<Item = (&'a Record, &'a Target, Option<bool>)> {
    group.iter().flat_map(move |record| {
        let own = targets
            .iter()
            .filter(move |target| target.bench == record.bench && target.variant == record.variant);
        own.map(move |target| (record, target, target.is_met(record, group)))
    })
}

/// The text of one bench.
fn table(group: &[Record], targets: &[Target]) -> String {
    let mut text = String::new();
    let Some(first) = group.first() else { return text };
    let heads = ["median", "p5", "p95", "n"];
    let _ = writeln!(
        text,
        "\n{:<22}{:>12}{:>12}{:>12}{:>9}",
        first.bench, heads[0], heads[1], heads[2], heads[3]
    );
    let best = best_peer(group);
    for record in group {
        let [median, p5, p95] = [record.median, record.p5, record.p95].map(|value| shown(value, record.unit));
        let _ = write!(text, "  {:<20}{median:>12}{p5:>12}{p95:>12}{:>9}", record.variant, record.n);
        if let Some(best) = best.filter(|best| best.variant != record.variant) {
            let _ = write!(text, "   {:.2} x {}", record.median / best.median, best.variant);
        }
        for (_, target, met) in judged(group, targets).filter(|(own, _, _)| std::ptr::eq(*own, record)) {
            let verdict = met.map_or("not measured", |met| if met { "met" } else { "MISSED" });
            let _ = write!(text, "   [{}: {verdict}]", target.text(record.unit));
        }
        text.push('\n');
    }
    text
}

/// The fastest of the others.
fn best_peer(group: &[Record]) -> Option<&Record> {
    let peers = group.iter().filter(|record| !record.is_ours() && record.variant != "serial");
    peers.min_by(|a, b| {
        let order = a.median.total_cmp(&b.median);
        if a.is_rate() { order.reverse() } else { order }
    })
}

/// A value with its unit, to be read by people.
pub fn shown(value: f64, unit: &str) -> String {
    match unit {
        "ns" if value < 1e3 => format!("{value:.1} ns"),
        "ns" if value < 1e6 => format!("{:.3} us", value / 1e3),
        "ns" => format!("{:.2} ms", value / 1e6),
        "s" if value < 1e-3 => format!("{:.3} us", value * 1e6),
        "s" if value < 1.0 => format!("{:.2} ms", value * 1e3),
        "bytes" => format!("{:.2} MiB", value / (1024.0 * 1024.0)),
        "x" => format!("{value:.3} x"),
        unit => format!("{value:.2} {unit}"),
    }
}

/// Returns what the processor calls itself.
pub fn cpu_model() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("model name"));
    line.and_then(|rest| rest.split_once(':'))
        .map_or("unknown processor".into(), |(_, name)| name.trim().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(variant: &str, median: f64, unit: &'static str) -> Record {
        Record::of("bench", variant, 2, vec![median], unit)
    }

    #[test]
    fn targets_compare_with_the_peer_of_the_same_run() {
        let ours = record("phalanx-processes", 2.0, "ns");
        let group = [ours.clone(), record("rayon-broadcast", 5.0, "ns")];
        let target =
            |goal| Target { bench: "bench", variant: "phalanx-processes", goal }.is_met(&ours, &group);
        assert_eq!(target(Goal::BelowPeer(0.5, "rayon-broadcast")), Some(true));
        assert_eq!(target(Goal::BelowPeer(0.4, "rayon-broadcast")), Some(false));
        assert_eq!(target(Goal::BelowPeer(0.5, "forkunion")), None);
        assert_eq!(target(Goal::Below(2.0)), Some(false));
        assert_eq!(target(Goal::AtLeastPeer(0.3, "rayon-broadcast")), Some(true));
    }

    #[test]
    fn a_missed_target_is_counted_and_an_unmeasured_one_is_not() {
        let targets = [
            Target { bench: "bench", variant: "phalanx-threads", goal: Goal::Below(1.0) },
            Target { bench: "bench", variant: "phalanx-threads", goal: Goal::BelowPeer(1.0, "rayon") },
        ];
        let mut report = Report::new(false);
        report.group(&[record("phalanx-threads", 2.0, "ns")], &targets);
        assert_eq!(report.missed(), 1);
    }

    #[test]
    fn the_best_peer_of_rates_is_the_largest_and_serial_is_none() {
        let group =
            [record("rayon", 20.0, "GB/s"), record("a", 10.0, "GB/s"), record("serial", 99.0, "GB/s")];
        assert_eq!(best_peer(&group).map(|best| best.variant.as_str()), Some("rayon"));
        let group = [record("rayon", 20.0, "ns"), record("a", 10.0, "ns"), record("phalanx-x", 1.0, "ns")];
        assert_eq!(best_peer(&group).map(|best| best.variant.as_str()), Some("a"));
    }

    #[test]
    fn json_has_the_promised_fields() {
        let line = serde_json::to_value(record("rayon", 2.0, "ns")).unwrap_or_default();
        for field in ["bench", "variant", "workers", "n", "median", "p5", "p95", "unit"] {
            assert!(line.get(field).is_some(), "{field}");
        }
    }
}
