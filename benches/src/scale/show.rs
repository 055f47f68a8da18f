//! Strong and weak scaling and the roofs, as text and as lines of JSON.

use super::peak::Peak;
use super::roof::{Bound, Position};
use crate::harness::Outcome;
use crate::pool_size::findings::Row;
use crate::report::Record;
use crate::sizing::line::{Line, machine, number, seconds};
use serde_json::{Value, json};
use std::fmt::Write as _;

/// The name of the roofs' record.
pub const ROOFLINE: &str = "roofline";

/// One kind of scaling.
pub struct Scaling<'s> {
    /// The name of its records.
    pub bench: &'static str,
    /// Size by size.
    pub rows: &'s [Row],
    /// Elements of each row.
    pub elements: Vec<usize>,
    /// Whether the work grows with the workers.
    pub is_weak: bool,
}

impl Scaling<'_> {
    /// How many times the work of the smallest size is done in its time, and what is ideal.
    pub fn gain(&self, row: &Row) -> (f64, f64) {
        let linear = row.size as f64 / self.rows.first().map_or(1, |first| first.size) as f64;
        if self.is_weak { (row.speedup.value * linear, linear) } else { (row.speedup.value, linear) }
    }

    /// Its table.
    pub fn text(&self) -> String {
        let what = if self.is_weak {
            "weak scaling: the work grows with the workers, constant time is ideal"
        } else {
            "strong scaling: the same work on more workers"
        };
        let mut text = format!(
            "\n  {what}\n  {:>7} {:>11} {:>12}   {:<24} {:>8} {:>10}   {:<16} {:>5}\n",
            "workers", "elements", "seconds", "95 % interval", "speed-up", "efficiency", "95 % interval", "n"
        );
        for (row, elements) in self.rows.iter().zip(&self.elements) {
            let (gain, linear) = self.gain(row);
            let [low, high] = [row.speedup.low, row.speedup.high]
                .map(|end| if self.is_weak { end } else { end / linear } * 100.0);
            let _ = writeln!(
                text,
                "  {:>7} {elements:>11} {:>12}   {:<24} {gain:>8.2} {:>8.0} %   {:<16} {:>5}",
                row.size,
                seconds(row.seconds.value),
                format!("{} to {}", seconds(row.seconds.low), seconds(row.seconds.high)),
                gain / linear * 100.0,
                format!("{low:.0} to {high:.0} %"),
                row.samples.len()
            );
        }
        text
    }

    /// Its lines.
    pub fn lines(&self, name: &str) -> Outcome<Vec<Value>> {
        let line = |(row, elements): (&Row, &usize)| {
            let (gain, linear) = self.gain(row);
            let record = Record::of(self.bench, name, row.size, row.samples.clone(), "s");
            let mut object =
                serde_json::to_value(Line::of(record, json!({"elements": elements}), row.seconds))?;
            object["speedup"] = json!(gain);
            object["efficiency"] = json!(gain / linear);
            Ok(object)
        };
        self.rows.iter().zip(&self.elements).map(line).collect()
    }
}

/// The roofs, and where the workload stands under them.
pub struct Roofline<'r> {
    /// The workload.
    pub name: &'r str,
    /// The team that both were measured on.
    pub workers: usize,
    /// The roofs.
    pub peak: Peak,
    /// The workload under them.
    pub position: Option<Position>,
    /// Bytes of its data, and of the last caches of the machine.
    pub data: (f64, f64),
}

impl Roofline<'_> {
    /// As text.
    pub fn text(&self) -> String {
        let Peak { flops, bytes, .. } = self.peak;
        let mut text = format!(
            "\n  roofs of {} worker{}: {:.1} Gflop/s, {:.1} GB/s; they meet at {:.2} flop per byte\n  measured: {}\n",
            self.workers,
            if self.workers == 1 { "" } else { "s" },
            flops / 1e9,
            bytes / 1e9,
            flops / bytes,
            self.peak.how()
        );
        if cfg!(debug_assertions) {
            text.push_str(
                "  this is no release build: the roofs are those of its loops, not of the machine\n",
            );
        }
        let Some(own) = self.position else {
            let _ = writeln!(
                text,
                "  {}: neither operations nor bytes are counted, so no roof is above it",
                self.name
            );
            return text;
        };
        let intensity = match own.intensity {
            none if none.is_infinite() => "no bytes are counted".to_owned(),
            0.0 => "no floating-point operations".to_owned(),
            intensity => format!("{intensity:.3} flop per byte"),
        };
        let bound = match own.bound {
            Bound::Compute => "operations",
            Bound::Memory => "memory",
        };
        let _ = writeln!(
            text,
            "  {}: {intensity}; bound by {bound}; it reaches {:.0} % of that roof ({:.0} to {:.0} %), under which {} is the shortest time",
            self.name,
            own.share.value * 100.0,
            own.share.low * 100.0,
            own.share.high * 100.0,
            seconds(own.least)
        );
        let (data, caches) = self.data;
        if own.bound == Bound::Memory && data <= caches {
            let _ = writeln!(
                text,
                "  its {:.1} MiB fit the last-level caches of {:.1} MiB, so that more than the whole roof can be reached",
                data / MIB,
                caches / MIB
            );
        } else if own.share.value > 1.0 {
            let _ = writeln!(
                text,
                "  above its roof: the roof was measured while other programs ran, or caches helped"
            );
        }
        text
    }

    /// As a line of JSON.
    pub fn json(&self) -> Value {
        let position = self.position.map(|own| {
            json!({
                "intensity": number(own.intensity), "share": own.share.value,
                "interval": [own.share.low, own.share.high], "least_seconds": own.least,
                "bound": if own.bound == Bound::Compute { "compute" } else { "memory" }
            })
        });
        json!({
            "bench": ROOFLINE, "variant": self.name, "workers": self.workers,
            "peak_flops": self.peak.flops, "peak_bytes": self.peak.bytes, "how": self.peak.how(),
            "is_release": !cfg!(debug_assertions),
            "position": position, "machine": machine()
        })
    }
}

const MIB: f64 = 1024.0 * 1024.0;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sizing::bootstrap::Interval;

    fn row(size: usize, speedup: f64) -> Row {
        let of = |value| Interval { value, low: value * 0.9, high: value * 1.1 };
        Row {
            size,
            samples: vec![1.0 / speedup; 5],
            seconds: of(1.0 / speedup),
            speedup: of(speedup),
            efficiency: 0.0,
            serial: None,
        }
    }

    #[test]
    fn constant_time_of_growing_work_is_linear() {
        let rows = [row(1, 1.0), row(4, 0.8)];
        let weak = Scaling { bench: "scale_weak", rows: &rows, elements: vec![10, 40], is_weak: true };
        assert_eq!(weak.gain(&rows[1]), (3.2, 4.0));
        assert!(weak.text().contains("    3.20       80 %   72 to 88 %"), "{}", weak.text());
        let lines = weak.lines("triad").unwrap();
        assert_eq!((&lines[1]["bench"], &lines[1]["workers"]), (&json!("scale_weak"), &json!(4)));
        assert_eq!((&lines[1]["speedup"], &lines[1]["n"]), (&json!(3.2), &json!(5)));
        let rows = [row(2, 1.0), row(4, 1.5)];
        let strong = Scaling { bench: "scale_strong", rows: &rows, elements: vec![10, 10], is_weak: false };
        assert_eq!(strong.gain(&rows[1]), (1.5, 2.0));
        assert!(strong.text().contains("75 %"), "{}", strong.text());
    }

    #[test]
    fn data_in_the_caches_and_uncounted_work_are_told() {
        let share = Interval { value: 1.5, low: 1.4, high: 1.6 };
        let position = Position { intensity: 0.1, bound: Bound::Memory, least: 0.001, share };
        let peak = Peak { flops: 1e10, bytes: 1e9, mib: 64 };
        let line =
            Roofline { name: "triad", workers: 2, peak, position: Some(position), data: (MIB, 9.0 * MIB) };
        let text = line.text();
        assert!(
            text.contains("they meet at 10.00") && text.contains("150 %") && text.contains("1.0 MiB fit"),
            "{text}"
        );
        assert_eq!(line.json()["position"]["bound"], "memory");
        let text = Roofline { position: None, ..line }.text();
        assert!(text.contains("no roof is above it"), "{text}");
    }
}
