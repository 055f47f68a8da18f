//! How the cost of an empty launch is distributed, and how it grows with the number of workers.

use crate::harness::{Outcome, Sampler, Setup};
use crate::report::{Record, Report, shown};
use crate::sizing::chart::{self, Chart, Curve};
use crate::sizing::line::machine;
use crate::sizing::sizes::pool_sizes;
use crate::statistics::quantile;
use crate::watchdog;
use phalanx::Backend;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::path::Path;

/// The name of its records.
pub const BENCH: &str = "launch_spread";
/// Percentiles that are shown.
const SHOWN: [f64; 9] = [0.1, 1.0, 5.0, 25.0, 50.0, 75.0, 95.0, 99.0, 99.9];
/// Letters of the longest bar.
const BAR: f64 = 50.0;
/// Bins of the histogram for each doubling of the time.
const FINE: f64 = 4.0;
/// Bins with a smaller share than this are not shown.
const RARE: f64 = 0.000_5;

/// Samples of one variant at one size, sorted.
struct Sized {
    variant: &'static str,
    workers: usize,
    ns: Vec<f64>,
}

/// Measures and shows it.
pub fn run(setup: &Setup, svg: Option<&Path>, report: &Report) -> Outcome<()> {
    let sizes = pool_sizes(setup.workers());
    let kinds = [("phalanx-processes", false), ("phalanx-caller-seat", true)];
    let mut all: Vec<Sized> = kinds
        .iter()
        .flat_map(|kind| {
            sizes.iter().map(|workers| Sized { variant: kind.0, workers: *workers, ns: Vec::new() })
        })
        .collect();
    for round in 0..setup.rounds as usize {
        for turn in 0..all.len() {
            let at = (round + turn) % all.len();
            let own = &mut all[at];
            watchdog::note(format!("{BENCH} of {} on {} workers", own.variant, own.workers));
            let pool = Setup::pool_of(own.workers, Backend::Processes)?;
            let _seat = (own.variant == kinds[1].0).then(|| pool.join_here()).transpose()?;
            let mut sampler =
                Sampler { samples: std::mem::take(&mut own.ns), budget: setup.budget / setup.rounds };
            sampler.chain(|| Ok(pool.broadcast((), |_rank, ()| ())?))?;
            own.ns = sampler.samples;
        }
    }
    all.iter_mut().for_each(|own| own.ns.sort_unstable_by(f64::total_cmp));
    for own in &all {
        if report.is_json() {
            let record = Record::of(BENCH, own.variant, own.workers, own.ns.clone(), "ns");
            let mut line = serde_json::to_value(record)?;
            line["percentiles"] = SHOWN
                .iter()
                .map(|p| (p.to_string(), json!(quantile(&own.ns, p / 100.0))))
                .collect::<serde_json::Map<String, Value>>()
                .into();
            line["machine"] = json!(machine());
            report.object(&line);
        }
    }
    if !report.is_json() {
        print!("{}", table(&all));
        let largest = all.iter().rev().find(|own| own.variant == kinds[0].0);
        largest.iter().for_each(|own| print!("{}", histogram(own)));
    }
    if let Some(file) = svg {
        chart::save_all(file, &[percentiles(&all), growth(&all)])?;
    }
    Ok(())
}

fn table(all: &[Sized]) -> String {
    let mut text = format!("\n{BENCH}: percentiles of empty launches\n  {:<20}{:>8}", "", "workers");
    SHOWN.iter().for_each(|p| text += &format!("{:>11}", format!("{p} %")));
    text.push_str("          n\n");
    for own in all {
        let _ = write!(text, "  {:<20}{:>8}", own.variant, own.workers);
        SHOWN.iter().for_each(|p| text += &format!("{:>11}", shown(quantile(&own.ns, p / 100.0), "ns")));
        let _ = writeln!(text, "{:>11}", own.ns.len());
    }
    text
}

/// Bins by ratio, each with its share.
fn bins(sorted: &[f64]) -> Vec<(f64, f64)> {
    let place = |ns: f64| (ns.max(1.0).log2() * FINE).floor() as i64;
    let mut counts: Vec<(i64, usize)> = Vec::new();
    for ns in sorted {
        match counts.last_mut() {
            Some((last, count)) if *last == place(*ns) => *count += 1,
            _ => counts.push((place(*ns), 1)),
        }
    }
    let of =
        |(place, count): (i64, usize)| ((place as f64 / FINE).exp2(), count as f64 / sorted.len() as f64);
    counts.into_iter().map(of).collect()
}

fn histogram(own: &Sized) -> String {
    let bins = bins(&own.ns);
    let most = bins.iter().map(|bin| bin.1).fold(0.0, f64::max);
    let mut text = format!("\n  histogram of {} on {} workers, from\n", own.variant, own.workers);
    for (from, share) in bins.iter().filter(|bin| bin.1 >= RARE) {
        let bar = "█".repeat(((share / most) * BAR).round().max(1.0) as usize);
        let _ = writeln!(text, "  {:>10} {:>6.2} %  {bar}", shown(*from, "ns"), share * 100.0);
    }
    let rare: f64 = bins.iter().map(|bin| bin.1).filter(|share| *share < RARE).sum();
    let slowest = own.ns.last().copied().unwrap_or(f64::NAN);
    let _ =
        writeln!(text, "  {:.3} % in rarer bins; the slowest took {}", rare * 100.0, shown(slowest, "ns"));
    text
}

/// A curve for each variant and size: the time that so many percent of the launches took at most.
fn percentiles(all: &[Sized]) -> Chart {
    let curve = |own: &Sized| Curve {
        name: format!("{}, {}", own.variant.trim_start_matches("phalanx-"), own.workers),
        points: [1, 5, 10, 20, 30, 40, 50, 60, 70, 80, 90, 95, 99]
            .map(|p| (f64::from(p), quantile(&own.ns, f64::from(p) / 100.0) / 1e3, None))
            .to_vec(),
        is_fit: false,
    };
    // The largest and the smallest size: more curves cannot be told apart.
    let ends = all
        .iter()
        .map(|own| own.workers)
        .fold((usize::MAX, 0), |(low, high), own| (low.min(own), high.max(own)));
    let shown = all.iter().filter(|own| own.workers == ends.0 || own.workers == ends.1);
    Chart {
        title: "Empty launches by percentile".into(),
        axes: ("percent of launches that take at most".into(), "us".into()),
        is_log: false,
        is_bytes: false,
        curves: shown.map(curve).collect(),
        marks: Vec::new(),
    }
}

/// Medians over the number of workers, from the 5th to the 95th percentile.
fn growth(all: &[Sized]) -> Chart {
    let mut curves: Vec<Curve> = Vec::new();
    for own in all {
        let [low, median, high] = [0.05, 0.5, 0.95].map(|q| quantile(&own.ns, q) / 1e3);
        let point = (own.workers as f64, median, Some((low, high)));
        match curves.iter_mut().find(|curve| curve.name == own.variant) {
            Some(curve) => curve.points.push(point),
            None => curves.push(Curve { name: own.variant.into(), points: vec![point], is_fit: false }),
        }
    }
    Chart {
        title: "Empty launches".into(),
        axes: ("workers".into(), "us, 5th to 95th percentile".into()),
        is_log: true,
        is_bytes: false,
        curves,
        marks: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sizing::chart::draw;

    fn sized(workers: usize, ns: &[f64]) -> Sized {
        Sized { variant: "phalanx-processes", workers, ns: ns.to_vec() }
    }

    #[test]
    fn bins_hold_every_launch_once() {
        let ns: Vec<f64> = (1..=1000).map(f64::from).collect();
        let bins = bins(&ns);
        assert!((bins.iter().map(|bin| bin.1).sum::<f64>() - 1.0).abs() < 1e-9);
        assert!(bins.windows(2).all(|two| two[1].0 > two[0].0));
        let (from, share) = bins[bins.len() - 2];
        assert!(
            from < 1000.0 && (share * 1000.0 - from * (1.0 / FINE).exp2() + from).abs() < 2.0,
            "{from} {share}"
        );
        assert!(super::bins(&[]).is_empty());
    }

    #[test]
    fn percentiles_and_growth_are_told_and_drawn() {
        let all = [sized(1, &[100.0; 50]), sized(2, &[200.0, 300.0, 9e6])];
        let shown = table(&all);
        assert!(shown.contains("99.9 %") && shown.contains("9.00 ms"), "{shown}");
        assert!(histogram(&all[1]).contains("the slowest took 9.00 ms"));
        for picture in [percentiles(&all), growth(&all)] {
            assert!(!draw(&picture).to_string().contains("NaN"));
        }
        assert_eq!(growth(&all).curves[0].points.len(), 2);
    }
}
