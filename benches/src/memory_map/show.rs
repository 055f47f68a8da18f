//! Ladders and matrices as text and as pictures.

use super::bandwidth::Way;
use super::ladder::{Level, size};
use super::nodes::Plan;
use crate::sizing::bootstrap::Interval;
use crate::sizing::chart::{Chart, Curve};
use std::fmt::Write as _;

/// Letters of the longest bar.
const BAR: f64 = 40.0;

/// What was measured at one size.
#[derive(Clone, Copy, Debug)]
pub struct Measured {
    /// Bytes.
    pub bytes: usize,
    /// The median.
    pub median: Interval,
}

/// One curve of a ladder.
#[derive(Clone, Debug)]
pub struct Ladder {
    /// What it is of, for example `huge pages`.
    pub name: String,
    /// Size by size.
    pub rungs: Vec<Measured>,
}

/// A ladder with a bar for each size, by ratio.
pub fn text(ladder: &Ladder, unit: &str, levels: &[Level]) -> String {
    let values = || ladder.rungs.iter().map(|rung| rung.median.value).filter(|value| *value > 0.0);
    let (least, most) = (values().fold(f64::INFINITY, f64::min), values().fold(0.0, f64::max));
    let length = |value: f64| match most > least {
        true => 1.0 + (value / least).ln() / (most / least).ln() * (BAR - 1.0),
        false => BAR,
    };
    let mut text = format!("\n  {} [{unit}, median and 95 % interval]\n", ladder.name);
    for rung in &ladder.rungs {
        let Interval { value, low, high } = rung.median;
        let bar = "█".repeat(length(value).round() as usize);
        let within = levels.iter().find(|level| rung.bytes as u64 <= level.bytes);
        let level = match (within, levels.is_empty()) {
            (_, true) => String::new(),
            (Some(level), _) => format!("L{}", level.level),
            (None, _) => "memory".to_owned(),
        };
        let interval = format!("{low:.2} to {high:.2}");
        let _ =
            writeln!(text, "  {:>9}  {level:<6} {value:>9.2}  {interval:<20} {bar}", size(rung.bytes as u64));
    }
    text
}

/// Ladders as a picture, with the ends of the caches.
pub fn chart(title: &str, unit: &str, ladders: &[Ladder], levels: &[Level]) -> Chart {
    let curve = |ladder: &Ladder| {
        let point = |rung: &Measured| {
            (rung.bytes as f64, rung.median.value, Some((rung.median.low, rung.median.high)))
        };
        Curve { name: ladder.name.clone(), points: ladder.rungs.iter().map(point).collect(), is_fit: false }
    };
    let most = ladders.iter().flat_map(|ladder| &ladder.rungs).map(|rung| rung.bytes as u64).max();
    let ends = levels.iter().filter(|level| most.is_some_and(|most| level.bytes < most));
    Chart {
        title: title.into(),
        axes: ("bytes that are gone over".into(), unit.into()),
        is_log: true,
        is_bytes: true,
        curves: ladders.iter().map(curve).collect(),
        marks: ends.map(|level| (level.bytes as f64, format!("L{}", level.level))).collect(),
    }
}

/// One value for each pair of nodes, rows are where loads come from.
#[derive(Clone, Debug)]
pub struct Matrix {
    /// What it shows, and its unit.
    pub title: String,
    /// In the order of [`Plan::pairs`].
    pub values: Vec<f64>,
}

/// The matrix as text; a pair that was not measured is a dash.
pub fn matrix(plan: &Plan, matrix: &Matrix) -> String {
    let mut text = format!("\n  {}\n  {:>9}", matrix.title, "from\\to");
    for target in &plan.targets {
        let _ = write!(text, "{:>9}", format!("node {target}"));
    }
    text.push('\n');
    for (row, origin) in plan.origins.iter().enumerate() {
        let _ = write!(text, "  {:>9}", format!("node {}", origin.node));
        for column in 0..plan.targets.len() {
            let value = matrix.values.get(row * plan.targets.len() + column);
            let shown =
                value.filter(|value| !value.is_nan()).map_or("-".into(), |value| format!("{value:.1}"));
            let _ = write!(text, "{shown:>9}");
        }
        text.push('\n');
    }
    text
}

/// The name of a bandwidth curve.
pub fn name(way: Way, workers: usize) -> String {
    format!("{}, {workers} worker{}", way.name(), if workers == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sizing::chart::draw;
    use phalanx::topology::{Limits, Machine};

    fn ladder(values: &[f64]) -> Ladder {
        let of = |value: f64| Interval { value, low: value * 0.9, high: value * 1.1 };
        let rung = |(at, value): (usize, &f64)| Measured { bytes: 4096 << at, median: of(*value) };
        Ladder { name: "base pages".into(), rungs: values.iter().enumerate().map(rung).collect() }
    }

    #[test]
    fn bars_grow_with_the_time_and_levels_are_named() {
        let levels = [Level { level: 1, bytes: 8192 }];
        let shown = text(&ladder(&[1.0, 1.0, 100.0]), "ns", &levels);
        let lines: Vec<&str> = shown.lines().skip(2).collect();
        let bars: Vec<usize> = lines.iter().map(|line| line.matches('█').count()).collect();
        assert_eq!(bars, [1, 1, 40], "{shown}");
        assert!(lines[1].contains("8 KiB  L1") && lines[2].contains("16 KiB  memory"), "{shown}");
        assert!(text(&ladder(&[]), "ns", &[]).lines().count() == 2);
        let drawn = draw(&chart("a title", "ns", &[ladder(&[1.0, 1.0, 100.0])], &levels)).to_string();
        assert!(drawn.contains("L1") && drawn.contains("16 Ki") && !drawn.contains("NaN"), "{drawn}");
    }

    #[test]
    fn a_matrix_has_a_row_for_each_origin_and_dashes_for_what_is_unknown() {
        let machine = Machine::from_synthetic("package:2 numa:1 core:2").unwrap();
        let plan = Plan::of(&machine, &Limits::of(machine.cpuset().clone()));
        let own = Matrix { title: "latency [ns]".into(), values: vec![90.0, 140.0, f64::NAN] };
        let shown = matrix(&plan, &own);
        let rows: Vec<Vec<&str>> =
            shown.lines().skip(2).map(|row| row.split_whitespace().collect()).collect();
        assert_eq!(rows[1], ["node", "0", "90.0", "140.0"]);
        assert_eq!(rows[2], ["node", "1", "-", "-"]);
    }
}
