//! Prices of options by simulation: a reduction over path numbers, in which every path has its own stream of
//! random numbers, so that the result has the same bits whoever runs it.

mod market;
mod normal;

use clap::Parser;
use common::{Closing, Meter, Result, Team, count, grouped, refuse};
use market::{Market, OPTIONS, Sums, add};
use phalanx::cluster::{self, ClusterPool};
use phalanx::{Pool, TaskError, Val};
use rayon::prelude::*;
use std::ops::Range;
use std::process::{Command, ExitCode};
use std::time::Instant;

/// Paths in a chunk: some milliseconds of work.
const CHUNK: usize = 1 << 14;
/// Two-sided 95 % of the normal distribution, in standard errors.
const INTERVAL: f64 = 1.96;
/// A price that is further from the exact one, in standard errors, is wrong. By chance that happens once in
/// 16,000 seeds.
const TOLERANCE: f64 = 4.0;

/// Prices a European call, two Asian calls and a barrier call by simulation.
#[derive(Parser)]
#[command(after_help = "\
Examples:
  montecarlo --paths 1G
  montecarlo --paths 100M --dates 52 --seed 7 --peer
  mpirun -N 1 --bind-to none montecarlo --paths 100G --lead

Exit codes: 0 done, 1 a wrong result, 2 wrong input.")]
struct Options {
    /// Paths to simulate
    #[arg(long, value_name = "N", default_value = "10M", value_parser = count)]
    paths: u64,

    /// Dates in a year at which the price counts
    #[arg(long, value_name = "N", default_value = "12", value_parser = count)]
    dates: u64,

    /// Seed of the random numbers
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,

    /// Also run the same paths with rayon, and some of them with NumPy
    #[arg(long)]
    peer: bool,

    /// Runs the paths as tasks, on all machines of a cluster where a launcher of MPI has started it
    #[arg(long)]
    lead: bool,

    #[command(flatten)]
    team: Team,
}

fn main() -> ExitCode {
    common::run("montecarlo", work)
}

fn work() -> Result<()> {
    let options = Options::parse();
    if !(1000..=1 << 48).contains(&options.paths) || !(1..=10_000).contains(&options.dates) {
        return Err(refuse("--paths takes 1000 or more, --dates 1 to 10000"));
    }
    let paths = usize::try_from(options.paths)?;
    let market = Market {
        spot: 100.0,
        strike: 100.0,
        barrier: 130.0,
        rate: 0.03,
        volatility: 0.2,
        years: 1.0,
        dates: options.dates,
        seed: options.seed,
    };
    // The processes of all other machines end with this call.
    let led = options.lead.then(|| cluster::lead(|pool| simulate_led(pool, paths, market))).transpose()?;
    let pool = options.team.pool("montecarlo")?;
    let (sums, seconds) = led.map_or_else(|| simulate(&pool, paths, market), Ok)?;
    common::outln!("{} paths over {} dates, seed {}", grouped(options.paths), market.dates, market.seed);
    let is_right = report(&sums, paths as f64, market);

    let rate = paths as f64;
    let alone = options.team.pool_of("montecarlo", 1)?;
    let sample = (paths / 10).max(CHUNK).min(paths);
    let (_, one) = simulate(&alone, sample, market)?;
    let kept = options.paths.saturating_mul(8 * options.dates);
    let closing = Closing::new(&pool, seconds, rate, "paths");
    let closing = closing.memory_beside(&pool, kept, "the paths, if they were kept");
    common::out!("{}", closing.beside("one worker, from a tenth of the paths", one * rate / sample as f64));
    if options.peer {
        let (theirs, time) = with_rayon(pool.workers(), paths, market)?;
        common::outln!("rayon       {time:.3} s, {:.2} x", time / seconds);
        if (theirs[0][0] / sums[0][0] - 1.0).abs() > 1e-9 {
            return Err(format!("rayon sums up to {}, and not {}", theirs[0][0], sums[0][0]).into());
        }
        with_numpy(market, seconds / rate)?;
    }
    if !is_right {
        return Err(format!("a price is more than {TOLERANCE} standard errors from the exact one").into());
    }
    Ok(())
}

/// Runs all paths. Chunks are added up in a fixed tree.
fn simulate(pool: &Pool, paths: usize, market: Market) -> Result<(Sums, f64)> {
    let meter = Meter::counting("paths", paths as u64);
    let show = meter.follow(paths as u64);
    let start = Instant::now();
    let sums = pool.launch().chunk(CHUNK).progress(&show).reduce(
        (0..paths, Val(market)),
        [[0.0; OPTIONS.len()]; 2],
        |(paths, market)| market.simulate(paths),
        add,
    )?;
    Ok((sums, start.elapsed().as_secs_f64()))
}

/// Runs all paths as tasks, on whatever machines there are. The sums of chunks are added up in the same tree.
fn simulate_led(
    pool: &ClusterPool,
    paths: usize,
    market: Market,
) -> std::result::Result<(Sums, f64), phalanx::Error> {
    let start = Instant::now();
    let chunks = (0..paths).step_by(CHUNK).map(|from| (market, from..paths.min(from + CHUNK)));
    let sums = pool.imap(|(market, paths): (Market, Range<usize>)| market.simulate(paths), chunks);
    let sums = sums.collect::<std::result::Result<Vec<Sums>, TaskError>>()?;
    Ok((fold(&sums), start.elapsed().as_secs_f64()))
}

/// Adds sums up in halves, as `reduce` does.
fn fold(sums: &[Sums]) -> Sums {
    match sums {
        [] => Sums::default(),
        [one] => *one,
        many => {
            let (left, right) = many.split_at(many.len().div_ceil(2));
            add(fold(left), fold(right))
        }
    }
}

/// Prints prices with their 95 % intervals. Returns whether those that are known are right.
fn report(sums: &Sums, paths: f64, market: Market) -> bool {
    common::outln!("{:<18} {:>10}  {:>10}  {:>10}  {:>8}", "call", "price", "95 % +-", "exact", "errors");
    let mut is_right = true;
    for (option, name) in OPTIONS.iter().enumerate() {
        let [sum, squares] = [sums[0][option], sums[1][option]];
        let price = sum / paths;
        let error = ((squares / paths - price * price).max(0.0) / (paths - 1.0)).sqrt();
        common::out!("{name:<18} {price:>10.6}  {:>10.6}", INTERVAL * error);
        if let Some(exact) = market.exact(option) {
            let errors = (price - exact).abs() / error;
            is_right &= errors <= TOLERANCE;
            common::out!("  {exact:>10.6}  {errors:>8.2}");
        }
        common::outln!();
    }
    let bits = sums.iter().flatten().fold(0u64, |bits, sum| bits.rotate_left(7) ^ sum.to_bits());
    common::outln!("bits        {bits:016x}, the same for any number of workers");
    is_right
}

/// The same paths with rayon, on as many threads.
fn with_rayon(threads: usize, paths: usize, market: Market) -> Result<(Sums, f64)> {
    let threads = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
    let start = Instant::now();
    let sums = threads.install(|| {
        let chunks = (0..paths.div_ceil(CHUNK)).into_par_iter();
        let chunks = chunks.map(|i| market.simulate(i * CHUNK..paths.min((i + 1) * CHUNK)));
        chunks.reduce(|| [[0.0; OPTIONS.len()]; 2], add)
    });
    Ok((sums, start.elapsed().as_secs_f64()))
}

/// The same options with NumPy, whose random numbers are others, where `python3` has it.
fn with_numpy(market: Market, seconds_a_path: f64) -> Result<()> {
    let program = include_str!("twin.py");
    let dates = market.dates.to_string();
    let output = Command::new("python3").args(["-c", program, &dates]).output();
    let Some(output) = output.ok().filter(|output| output.status.success()) else {
        common::outln!("NumPy       python3 has no NumPy here");
        return Ok(());
    };
    let text = String::from_utf8(output.stdout)?;
    let numbers: Vec<f64> = text.split_whitespace().map(str::parse).collect::<std::result::Result<_, _>>()?;
    let &[paths, seconds, price, error] = numbers.as_slice() else {
        return Err(format!("NumPy printed {text:?}").into());
    };
    let ratio = seconds / paths / seconds_a_path;
    common::outln!(
        "NumPy       {:.3} s for {paths} paths, {ratio:.2} x; European {price:.4} +- {:.4}",
        seconds,
        INTERVAL * error
    );
    Ok(())
}
