//! How many workers a NUMA node's memory keeps busy: the triad on more and more cores of one node, with its
//! pages here and there.

use crate::harness::{Outcome, Setup};
use crate::memory_map::nodes::Plan;
use crate::report::{Record, Report};
use crate::sizing::bootstrap::Bootstrap;
use crate::sizing::fit::Point;
use crate::sizing::foreign::{self, Foreign};
use crate::sizing::line::Line;
use crate::sizing::sizes::{pool_sizes, smallest_within};
use crate::sizing::turns::{Taken, Turn, Turns};
use phalanx::topology::{Limits, Machine};
use phalanx::{ArrayOptions, HugePages, PagePlacement, Placement, Pool};
use phalanx_kernels::stream;
use serde_json::json;
use std::fmt::Write as _;
use std::time::Instant;

/// The name of its records.
pub const BENCH: &str = "stream_saturation";
/// A number of workers this near to the best saturates.
const NEAR: f64 = 0.05;
/// Bytes of an element as STREAM counts them.
const BYTES: f64 = 24.0;

/// Where pages are to lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place(PagePlacement);

impl std::str::FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Place, String> {
        match text.split_once(':') {
            None if text == "local" => Ok(Place(PagePlacement::Local)),
            None if text == "interleave" => Ok(Place(PagePlacement::Interleave)),
            Some(("bind", node)) => {
                let node = node.parse().map_err(|_| format!("bind:N names a node, not '{node}'"))?;
                Ok(Place(PagePlacement::Bind(node)))
            }
            _ => Err(format!("pages lie local, interleave or bind:N, not '{text}'")),
        }
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            PagePlacement::Interleave => f.write_str("interleave"),
            PagePlacement::Bind(node) => write!(f, "bind:{node}"),
            _ => f.write_str("local"),
        }
    }
}

/// What is measured.
pub struct Options<'o> {
    /// Where pages lie, each in turn.
    pub places: &'o [Place],
    /// Whether huge pages are asked for.
    pub huge: bool,
    /// MiB of each of the three arrays.
    pub mib: u64,
}

/// One variant: so many cores of a node, and where the pages lie.
#[derive(Clone, Debug)]
struct Case {
    node: u32,
    place: Place,
    cpus: Vec<u32>,
}

/// Measures all placements on all numbers of cores of every node.
pub fn run(options: &Options<'_>, setup: &Setup, report: &Report) -> Outcome<()> {
    let plan = Plan::of(&Machine::detect()?, &Limits::detect());
    let cases = cases(&plan, options.places);
    if cases.is_empty() {
        report.remark("stream: no NUMA node is known here, so none can be saturated");
        return Ok(());
    }
    let (foreign, turns) = (Foreign::watch(), Turns::over(setup.budget, setup.rounds, report)?);
    let named: Vec<String> = cases
        .iter()
        .map(|case| format!("{} cores of node {}, pages {}", case.cpus.len(), case.node, case.place))
        .collect();
    let Taken { samples, is_cut } = turns.take(&named, |at, turn| time(&cases[at], options, turn))?;
    let bytes = BYTES * len(options) as f64;
    let rates: Vec<Vec<f64>> =
        samples.iter().map(|samples| samples.iter().map(|time| bytes / time / 1e9).collect()).collect();
    let medians = Bootstrap { samples: &rates, resamples: 500, seed: 1 }.medians();
    for origin in plan.origins.iter().filter(|_| !report.is_json()) {
        for place in options.places {
            let own = |case: &&Case| case.node == origin.node && case.place == *place;
            let points: Vec<(usize, f64)> = cases
                .iter()
                .zip(&medians)
                .filter(|(case, median)| own(case) && !median.value.is_nan())
                .map(|(case, median)| (case.cpus.len(), median.value))
                .collect();
            print!("{}", text(origin.node, origin.cpus.len(), &place.to_string(), &points));
        }
    }
    if report.is_json() {
        for ((case, rates), median) in
            cases.iter().zip(rates).zip(medians).filter(|((_, own), _)| !own.is_empty())
        {
            let record = Record::of(
                BENCH,
                &format!("node {}, {}", case.node, case.place),
                case.cpus.len(),
                rates,
                "GB/s",
            );
            let parameters =
                json!({"node": case.node, "cpus": case.cpus, "mib": options.mib, "huge": options.huge});
            report.object(&Line::of(record, parameters, median));
        }
        report.object(&foreign::json(BENCH, foreign.shares()));
    }
    report.remark(&foreign::text(foreign.shares()));
    if is_cut {
        return Err("interrupted: the figures above are of the turns until then".into());
    }
    Ok(())
}

fn cases(plan: &Plan, places: &[Place]) -> Vec<Case> {
    let mut cases = Vec::new();
    for origin in &plan.origins {
        for place in places {
            let sizes = pool_sizes(origin.cpus.len()).into_iter();
            let case =
                |size: usize| Case { node: origin.node, place: *place, cpus: origin.cpus[..size].to_vec() };
            cases.extend(sizes.map(case));
        }
    }
    cases
}

fn len(options: &Options<'_>) -> usize {
    (options.mib as usize) << 17
}

fn time(case: &Case, options: &Options<'_>, turn: &mut Turn<'_>) -> Outcome<()> {
    let placement = Placement::Cpus(case.cpus.clone());
    let pool = Pool::builder().placement(placement).workers(case.cpus.len()).build()?;
    let wish = if options.huge { HugePages::Try } else { HugePages::Auto };
    let array = ArrayOptions::new().placement(case.place.0).huge_pages(wish);
    let make = || pool.zeros_with(len(options), &array);
    let (mut out, mut x, mut y) = (make()?, make()?, make()?);
    pool.for_each((x.split_mut(), y.split_mut(), 0..len(options)), |(x, y, places)| {
        y.fill(2.0);
        x.iter_mut().zip(places).for_each(|(x, place)| *x = (place % 1021) as f64);
    })?;
    stream::triad(&pool, &mut out, &x, 0.4, &y)?;
    turn.take(|| {
        let began = Instant::now();
        stream::triad(&pool, &mut out, &x, 0.4, &y)?;
        Ok(began.elapsed())
    })?;
    let wrong = out.as_slice().iter().enumerate().find(|(at, got)| **got != (at % 1021) as f64 + 0.4 * 2.0);
    wrong.map_or(Ok(()), |(at, got)| Err(format!("triad gave a wrong answer: element {at} is {got}").into()))
}

/// A row for each number of workers, and the sentence.
fn text(node: u32, cores: usize, place: &str, points: &[(usize, f64)]) -> String {
    let best = points.iter().map(|point| point.1).fold(0.0, f64::max);
    let mut text = format!("\n  triad on node {node}, pages {place} [GB/s]\n");
    for (workers, rate) in points {
        let bar = "█".repeat((rate / best * 40.0).round() as usize);
        let _ = writeln!(
            text,
            "  {workers:>5} worker{} {rate:>9.2}  {bar}",
            if *workers == 1 { " " } else { "s" }
        );
    }
    let times: Vec<Point> =
        points.iter().map(|(size, rate)| Point { size: *size, seconds: 1.0 / rate }).collect();
    let told = match smallest_within(&times, NEAR) {
        None => "nothing was measured".to_owned(),
        Some(_) if cores == 1 => format!("node {node} has one core that may be used: nothing to compare"),
        Some((enough, _)) if enough < cores => format!("{enough} of {cores} cores saturate node {node}"),
        Some(_) => format!(
            "all {cores} cores of node {node} together do not saturate it for certain: the last still added"
        ),
    };
    let _ = writeln!(text, "  {told}");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_number_near_the_best_saturates() {
        let told = |points: &[(usize, f64)]| text(0, 8, "local", points);
        let flat = [(1, 10.0), (2, 19.0), (3, 29.5), (4, 30.0), (8, 29.0)];
        assert!(told(&flat).contains("3 of 8 cores saturate node 0"), "{}", told(&flat));
        let growing = [(1, 10.0), (2, 20.0), (4, 40.0), (8, 80.0)];
        assert!(told(&growing).contains("the last still added"), "{}", told(&growing));
        assert!(told(&[]).contains("nothing was measured"));
        assert!(text(0, 1, "local", &[(1, 9.0)]).contains("one core"));
    }

    #[test]
    fn every_node_has_all_its_numbers_of_cores_for_every_placement() {
        let machine = Machine::from_synthetic("package:2 numa:1 core:3 pu:2").unwrap();
        let plan = Plan::of(&machine, &Limits::of(machine.cpuset().clone()));
        let places: Vec<Place> = ["local", "bind:1"].iter().map(|text| text.parse().unwrap()).collect();
        let all = cases(&plan, &places);
        assert_eq!(all.len(), 2 * 2 * 3);
        assert_eq!(all[2].cpus, [0, 2, 4]);
        assert_eq!(all[5].place.to_string(), "bind:1");
        for bad in ["", "bind", "bind:x", "near"] {
            assert!(bad.parse::<Place>().is_err(), "{bad}");
        }
    }
}
