//! A region of many phases while other processes keep the cores busy.
//!
//! A barrier that spins burns its own time slice while the one it waits for is not running, so a spinning
//! team loses far more than the share that the others take. The fair share on a core with `h` busy processes
//! beside the worker is the quiet time times `1 + h`.

use crate::bench::Bench;
use crate::harness::{Outcome, Setup};
use crate::peers::pin::pin;
use crate::peers::spin;
use crate::report::{Goal, Record, Report, Target};
use crate::watchdog;
use clap::Args;
use phalanx::topology::CpuSet;
use phalanx::{Backend, Pool, SharedArray};
use rustix::process::{Signal, set_parent_process_death_signal};
use std::hint::black_box;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Rounds of quiet and noisy regions.
const ROUNDS: usize = 3;
/// Time after which a region ends early, all ranks at the same phase; its time per phase is valid.
const LIMIT: Duration = Duration::from_secs(10);
/// Time after which a region that has not ended counts as failed.
const FAILED: Duration = Duration::from_secs(120);
/// Phases between two checks of the clock.
const LOOK_EVERY: u64 = 64;

const QUIET: &str = "phase_quiet";
const NOISY: &str = "phase_noise";
const RATIO: &str = "phase_noise_ratio";

/// Phases per region, unless the options say otherwise.
const PHASES: u64 = 10_000;
/// Microseconds of work per rank and phase, unless the options say otherwise.
const WORK_US: u64 = 10;

const TARGETS: &[Target] = &[
    Target { bench: RATIO, variant: "phalanx-processes", goal: Goal::Below(2.0) },
    Target { bench: RATIO, variant: "phalanx-threads", goal: Goal::Below(2.0) },
];

/// A region of many phases while other processes keep the cores busy.
#[derive(Debug, Args)]
pub struct Noise {
    /// Busy processes, pinned in turn to the workers' cores [default: one per worker]
    #[arg(long = "noise", value_name = "N")]
    hogs: Option<u32>,

    /// Phases per region
    #[arg(long, value_name = "N", default_value_t = PHASES, value_parser = clap::value_parser!(u64).range(1..))]
    phases: u64,

    /// Microseconds of work per rank and phase, on a quiet core
    #[arg(long, value_name = "US", default_value_t = WORK_US, value_parser = clap::value_parser!(u64).range(0..100_000))]
    work: u64,
}

impl Noise {
    /// The default options with this many busy processes; 0 means one per worker.
    pub fn beside(hogs: u32) -> Noise {
        Noise { hogs: Some(hogs), phases: PHASES, work: WORK_US }
    }
}

impl Bench for Noise {
    const NAME: &'static str = "noise";

    fn measures() -> Vec<&'static str> {
        vec![QUIET, NOISY, RATIO]
    }

    fn run(&self, setup: &Setup, report: &mut Report) -> Outcome<()> {
        let hogs = match self.hogs {
            None | Some(0) => setup.workers(),
            Some(hogs) => hogs as usize,
        };
        let share = 1.0 + hogs as f64 / setup.workers() as f64;
        let amount = calibrate(Duration::from_micros(self.work));
        report.remark(&format!(
            "\nnoise: {} phases of {} us of work a rank; {hogs} busy processes on {} cores; fair share {share} x the quiet time",
            self.phases,
            self.work,
            setup.workers(),
        ));
        let mut teams = vec![
            Team::pool("phalanx-processes", setup, Backend::Processes)?,
            Team::pool("phalanx-threads", setup, Backend::Threads)?,
            Team { variant: "spin-threads", kind: Kind::Spin, quiet: Vec::new(), noisy: Vec::new() },
        ];
        for _ in 0..ROUNDS {
            for team in &mut teams {
                let time = team.region(setup, self.phases, amount)?;
                team.quiet.push(time);
            }
            let _hogs = Hogs::start(hogs, &setup.places)?;
            for team in &mut teams {
                let time = team.region(setup, self.phases, amount)?;
                team.noisy.push(time);
            }
        }
        let workers = setup.workers();
        let records = |bench, unit, of: &dyn Fn(&Team) -> Vec<f64>| -> Vec<Record> {
            teams.iter().map(|team| Record::of(bench, team.variant, workers, of(team), unit)).collect()
        };
        report.group(&records(QUIET, "ns", &|team| team.quiet.clone()), TARGETS);
        report.group(&records(NOISY, "ns", &|team| team.noisy.clone()), TARGETS);
        let ratios = |team: &Team| {
            team.noisy.iter().zip(&team.quiet).map(|(noisy, quiet)| noisy / (quiet * share)).collect()
        };
        report.group(&records(RATIO, "x", &ratios), TARGETS);
        Ok(())
    }
}

enum Kind {
    Pool(Box<Pool>, SharedArray<u64>),
    Spin,
}

/// One variant with its times, in nanoseconds per phase.
struct Team {
    variant: &'static str,
    kind: Kind,
    quiet: Vec<f64>,
    noisy: Vec<f64>,
}

impl Team {
    fn pool(variant: &'static str, setup: &Setup, backend: Backend) -> Outcome<Team> {
        let pool = setup.pool(backend)?;
        let counts = pool.zeros::<u64>(64 * setup.workers())?;
        Ok(Team { variant, kind: Kind::Pool(Box::new(pool), counts), quiet: Vec::new(), noisy: Vec::new() })
    }

    /// Time of one phase in a region of `phases`.
    fn region(&mut self, setup: &Setup, phases: u64, amount: u64) -> Outcome<f64> {
        watchdog::note(format!("a region of {phases} phases of {}", self.variant));
        let (made, time) = match &mut self.kind {
            Kind::Spin => spin::steps(&setup.places, phases, LIMIT, work, amount),
            Kind::Pool(pool, counts) => {
                counts.fill(0);
                let began = Instant::now();
                let made = pool
                    .launch()
                    .timeout(FAILED)
                    .region((&mut *counts, phases, amount), |team, (mut counts, phases, amount)| {
                        let began = Instant::now();
                        let mut made = 0;
                        while made < phases {
                            team.phase(counts.split_mut(), |own| {
                                work(amount);
                                own[0] += 1;
                            })?;
                            made += 1;
                            if made % LOOK_EVERY == 0
                                && team.broadcast(0, u64::from(began.elapsed() > LIMIT))? != 0
                            {
                                break;
                            }
                        }
                        Ok(made)
                    })
                    .map_err(|error| format!("phase_noise of {} failed: {error}", self.variant))?;
                let time = began.elapsed();
                if (0..setup.workers()).any(|rank| counts.as_slice()[64 * rank] != made) {
                    return Err(format!("phase_noise of {}: phases were lost", self.variant).into());
                }
                (made, time)
            }
        };
        Ok(time.as_nanos() as f64 / made.max(1) as f64)
    }
}

/// Arithmetic that touches no memory; each step needs the one before.
fn work(amount: u64) {
    let mut word = black_box(1_u64);
    for step in 0..amount {
        word = (word ^ step).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
    black_box(word);
}

/// Returns how much work takes this long on a quiet core: by the fastest of several measurements.
fn calibrate(time: Duration) -> u64 {
    const AMOUNT: u64 = 200_000;
    let looks = (0..30).map(|_| {
        let began = Instant::now();
        work(AMOUNT);
        began.elapsed()
    });
    let fastest = looks.min().unwrap_or_default().as_nanos().max(1) as f64;
    (time.as_nanos() as f64 / fastest * AMOUNT as f64) as u64
}

/// Busy processes; killed and reaped when dropped.
struct Hogs(Vec<Child>);

impl Hogs {
    /// Starts `count` of them, pinned to the places in turn, and waits until each has run for a while.
    fn start(count: usize, places: &[CpuSet]) -> Outcome<Hogs> {
        let mut hogs = Hogs(Vec::new());
        let cpus: Vec<u32> = places.iter().filter_map(CpuSet::first).collect();
        for index in 0..count {
            let cpu = cpus[index % cpus.len()].to_string();
            let mut command = Command::new(std::env::current_exe()?);
            hogs.0.push(command.args([Hog::NAME, &cpu]).stdin(Stdio::null()).stdout(Stdio::null()).spawn()?);
        }
        std::thread::sleep(Duration::from_millis(50));
        Ok(hogs)
    }
}

impl Drop for Hogs {
    fn drop(&mut self) {
        for hog in &mut self.0 {
            // A hog that is already gone is what we want.
            let _gone = hog.kill();
            let _reaped = hog.wait();
        }
    }
}

/// Keeps a core busy forever (started by `noise`).
#[derive(Debug, Args)]
pub struct Hog {
    /// CPU to run on.
    cpu: u32,
}

impl Hog {
    /// Name of the subcommand.
    pub const NAME: &str = "hog";

    /// Never returns; ends with the benchmark.
    pub fn run(&self) -> ! {
        if let Err(error) = set_parent_process_death_signal(Some(Signal::KILL)) {
            eprintln!(
                "phalanx-bench: a busy process would outlive a killed benchmark, so it ends now: {error}"
            );
            std::process::exit(1);
        }
        pin(&CpuSet::single(self.cpu));
        loop {
            work(1_000_000);
        }
    }
}
