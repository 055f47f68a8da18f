//! `compare`: the same work on other runtimes, in turns.

mod bodies;
mod cases;
mod folder;
mod ours;
mod outside;
mod team;
mod theirs;

use crate::bench::{Bench, Listed};
use crate::harness::{Outcome, Setup};
use crate::npb::Npb;
use crate::report::{Record, Report};
use crate::sizing::bootstrap::{Bootstrap, Interval};
use crate::sizing::foreign::{self, Foreign};
use crate::sizing::line::{Line, seconds};
use crate::sizing::options::Common;
use crate::sizing::turns::{Taken, Turn, Turns};
use crate::sizing::workload::{Cut, Job};
use cases::{CASES, Case, case};
use clap::Args;
use outside::{Found, Order, Outside};
use phalanx::{Backend, Pool};
use serde_json::json;
use std::fmt::Write as _;
use std::time::{Duration, Instant};
use team::Team;

const PROCESSES: &str = "phalanx-processes";
const SEAT: &str = "phalanx-caller-seat";
/// Variants inside this program, in the order of the table.
const INSIDE: [&str; 6] = [PROCESSES, SEAT, "rayon", "forkunion", "threads", "serial"];
/// Variants outside.
const OUTSIDE: [&str; 4] = ["openmp", "numpy", "multiprocessing", "joblib"];
/// What is not a case: benchmarks with sizes and runtimes of their own.
const NPB: &str = "npb";
const NPB_NAMES: [&str; 5] = ["ep", "is", "cg", "mg", "ft"];

/// The same work on other runtimes, in turns: rayon, ForkUnion, threads, and OpenMP and Python where they are
#[derive(Debug, Args)]
pub struct Compare {
    /// Workloads: empty, triad, sum, map, uneven, heat, bodies, npb [default: all but npb]
    #[arg(value_name = "WORKLOADS", value_parser = workload)]
    workloads: Vec<String>,

    /// Variants to compare [default: all]
    #[arg(long, value_name = "VARIANTS", value_delimiter = ',', value_parser = variant)]
    vs: Vec<String>,

    /// The size of the NAS benchmarks
    #[arg(long, value_name = "CLASS", default_value = "W")]
    class: String,

    #[command(flatten)]
    common: Common,
}

fn workload(name: &str) -> Result<String, String> {
    if name != NPB {
        case(name)?;
    }
    Ok(name.into())
}

fn variant(name: &str) -> Result<String, String> {
    match INSIDE.iter().chain(&OUTSIDE).any(|own| *own == name) {
        true => Ok(name.into()),
        false => {
            Err(format!("there is no variant '{name}', only {}, {}", INSIDE.join(", "), OUTSIDE.join(", ")))
        }
    }
}

impl Bench for Compare {
    const NAME: &'static str = "compare";
    // It compiles, and takes its time.
    const IN_ALL: bool = false;

    fn measures() -> Vec<&'static str> {
        CASES.iter().map(|case| case.bench).collect()
    }

    fn run(&self, setup: &Setup, report: &mut Report) -> Outcome<()> {
        self.common.machine()?;
        let cases: Vec<&Case> = match self.workloads.is_empty() {
            true => CASES.iter().collect(),
            false => self
                .workloads
                .iter()
                .filter(|name| *name != NPB)
                .map(|name| case(name))
                .collect::<Result<_, _>>()?,
        };
        let found = outside::find(|name| self.wants(name))?;
        if cfg!(debug_assertions) {
            report
                .remark("this is no release build, and the programs outside are: compare nothing with them");
        }
        for peer in &found.peers {
            report.remark(&format!("{}: {}", peer.name, peer.what));
        }
        found.absent.iter().for_each(|absent| report.remark(&format!("absent: {absent}")));
        if self.common.plan {
            for case in cases {
                report.remark(&format!(
                    "{}: {}: {}",
                    case.name,
                    case.about,
                    self.variants(case, &found).join(", ")
                ));
            }
            return Ok(());
        }
        let (foreign, turns) = (Foreign::watch(), Turns::new(setup, &self.common, report)?);
        for case in cases {
            self.compare(case, &found, setup, &turns, report)?;
            if turns.is_stopped() {
                break;
            }
        }
        if self.workloads.iter().any(|name| name == NPB) && !turns.is_stopped() {
            self.npb(setup, report)?;
        }
        let shares = foreign.shares();
        if report.is_json() {
            report.object(&foreign::json(Compare::NAME, shares));
        }
        report.remark(&format!("\n  {}", foreign::text(shares)));
        if turns.is_stopped() {
            return Err("interrupted: the figures above are of the turns until then".into());
        }
        Ok(())
    }
}

impl Compare {
    fn wants(&self, variant: &str) -> bool {
        self.vs.is_empty() || self.vs.iter().any(|want| want == variant)
    }

    /// The variants of a case: those that are wanted and there.
    fn variants(&self, case: &Case, found: &Found) -> Vec<&'static str> {
        let inside = INSIDE.iter().copied().filter(|name| self.wants(name));
        inside.chain(found.peers.iter().filter(|peer| peer.has(case.name)).map(|peer| peer.name)).collect()
    }

    fn elements(&self, case: &Case) -> usize {
        let own = if self.common.quick { case.elements.1 } else { case.elements.0 };
        self.common.elements.filter(|_| case.name != "empty").unwrap_or(own)
    }

    /// Takes samples of one case on all variants in turns, and shows them.
    fn compare(
        &self,
        case: &Case,
        found: &Found,
        setup: &Setup,
        turns: &Turns,
        report: &Report,
    ) -> Outcome<()> {
        let (elements, variants) = (self.elements(case), self.variants(case, found));
        let (budget, rounds) = self.common.time(setup);
        let named: Vec<String> = variants.iter().map(|name| format!("{} on {name}", case.name)).collect();
        let order = Order {
            workload: case.name,
            elements,
            places: &setup.places,
            budget: budget / rounds,
            check: (case.checksum)(elements),
        };
        let Taken { samples, is_cut: _ } = turns.take(&named, |index, turn| match variants[index] {
            PROCESSES => ours_in_turn(case, elements, &setup.pool(Backend::Processes)?, turn),
            SEAT => {
                let pool = setup.pool(Backend::Processes)?;
                let _seat = pool.join_here()?;
                ours_in_turn(case, elements, &pool, turn)
            }
            name => match found.peers.iter().find(|peer| peer.name == name) {
                Some(peer) => outside_in_turn(peer, &order, turn),
                None => theirs_in_turn(case, elements, &mut team(name, setup)?, turn),
            },
        })?;
        let bootstrap = |samples: &[Vec<f64>]| {
            let resamples = self.common.resamples();
            Bootstrap { samples, resamples, seed: self.common.seed }.medians()
        };
        let kept: Vec<(&str, Vec<f64>)> =
            variants.into_iter().zip(samples).filter(|(_, samples)| !samples.is_empty()).collect();
        let medians = bootstrap(&kept.iter().map(|(_, samples)| samples.clone()).collect::<Vec<_>>());
        if !report.is_json() {
            println!("\n{}: {}; {elements} elements, {} workers", case.bench, case.about, setup.workers());
            print!("{}", text(&kept, &medians));
        }
        for ((name, samples), median) in kept.into_iter().zip(medians).filter(|_| report.is_json()) {
            let workers = if name == "serial" || name == "numpy" { 1 } else { setup.workers() };
            let record = Record::of(case.bench, name, workers, samples, "s");
            report.object(&Line::of(record, json!({"elements": elements, "seed": self.common.seed}), median));
        }
        Ok(())
    }

    /// The NAS benchmarks, by the command for them.
    fn npb(&self, setup: &Setup, report: &mut Report) -> Outcome<()> {
        let listed = Listed::of::<Npb>();
        let repeat = if self.common.quick { "1" } else { "3" };
        for name in NPB_NAMES {
            let line =
                [name, "--class", &self.class, "--runtime", "phalanx,rayon,serial", "--repeat", repeat];
            listed.run(&listed.command().no_binary_name(true).try_get_matches_from(line)?, setup, report)?;
        }
        Ok(())
    }
}

/// A team of this name.
fn team(name: &str, setup: &Setup) -> Outcome<Team> {
    match name {
        "rayon" => Team::rayon(&setup.places),
        "forkunion" => Team::forkunion(&setup.places),
        "threads" => Ok(Team::Threads(setup.places.clone())),
        _ => Ok(Team::Serial),
    }
}

/// The time of one piece of a sample of so many runs.
fn piece(case: &Case, time: Duration) -> Duration {
    Duration::from_secs_f64(time.as_secs_f64() / f64::from(case.runs * case.pieces))
}

fn ours_in_turn(case: &Case, elements: usize, pool: &Pool, turn: &mut Turn<'_>) -> Outcome<()> {
    let mut job: Box<dyn Job> = (case.ours)(pool, elements)?;
    let mut sample = || -> Outcome<Duration> {
        job.ready()?;
        let began = Instant::now();
        for _ in 0..case.runs {
            job.run(pool, Cut::OWN)?;
        }
        Ok(piece(case, began.elapsed()))
    };
    sample()?;
    turn.take(&mut sample)?;
    job.check()
}

fn theirs_in_turn(case: &Case, elements: usize, team: &mut Team, turn: &mut Turn<'_>) -> Outcome<()> {
    let mut job = (case.theirs)(elements);
    job.run(team);
    job.check()?;
    turn.take(|| {
        let began = Instant::now();
        for _ in 0..case.runs {
            job.run(team);
        }
        Ok(piece(case, began.elapsed()))
    })?;
    job.check()
}

/// The first turn of a program begins with one that is not counted, as those inside do by themselves.
fn outside_in_turn(peer: &Outside, order: &Order<'_>, turn: &mut Turn<'_>) -> Outcome<()> {
    turn.add(peer.samples(order)?);
    Ok(())
}

/// A table, the time of each variant beside that of the first of ours.
fn text(kept: &[(&str, Vec<f64>)], medians: &[Interval]) -> String {
    let mut text = format!("  {:<20}{:>12}   {:<26}{:>6}\n", "", "median", "95 % interval", "n");
    let ours = kept.iter().position(|(name, _)| name.starts_with("phalanx")).map(|at| medians[at]);
    for ((name, samples), median) in kept.iter().zip(medians) {
        let interval = format!("{} to {}", short(median.low), short(median.high));
        let _ = write!(text, "  {name:<20}{:>12}   {interval:<26}{:>6}", short(median.value), samples.len());
        if let Some(ours) = ours.filter(|_| !name.starts_with("phalanx")) {
            let _ = write!(text, "   {:.2} x the time of {PROCESSES}", median.value / ours.value);
        }
        text.push('\n');
    }
    text
}

/// A time with enough digits for launches.
fn short(time: f64) -> String {
    if time < 1e-4 { format!("{:.3} us", time * 1e6) } else { seconds(time) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_of_our_time() {
        let kept = [(PROCESSES, vec![2.0]), ("rayon", vec![3.0])];
        let of = |value| Interval { value, low: value, high: value };
        let shown = text(&kept, &[of(2.0), of(3.0)]);
        assert!(shown.contains("1.50 x the time of phalanx-processes"), "{shown}");
        assert!(!text(&kept[1..], &[of(3.0)]).contains(" x "));
    }

    #[test]
    fn programs_outside_compute_what_those_inside_do() {
        let found = outside::find(|name| name == "openmp").unwrap();
        let Some(peer) = found.peers.first() else {
            println!("SKIPPED: {}", found.absent.join("; "));
            return;
        };
        let all = phalanx::topology::bound_cpuset().unwrap();
        for case in CASES {
            let elements = if case.name == "bodies" { 9 } else { 3000 };
            let order = |check| Order {
                workload: case.name,
                elements,
                places: std::slice::from_ref(&all),
                budget: Duration::ZERO,
                check,
            };
            let right = (case.checksum)(elements);
            assert!(!peer.samples(&order(right)).unwrap().is_empty(), "{}", case.name);
            assert!(peer.samples(&order(right + 1.0)).is_err(), "{}", case.name);
        }
        assert!(
            peer.samples(&Order {
                workload: "none",
                elements: 1,
                places: &[all],
                budget: Duration::ZERO,
                check: 0.0
            })
            .is_err()
        );
    }

    #[test]
    fn names_are_checked() {
        assert!(workload("npb").is_ok() && workload("triad").is_ok() && workload("tirad").is_err());
        assert!(variant("openmp").is_ok() && variant("cilk").is_err());
    }
}
