//! One run over one dataset: the passes by the team, then the serial pass that checks them.

use crate::analysis::{Statistics, Value, analyse, analyse_small};
use crate::dtype::by_dtype;
use crate::input::Input;
use crate::report::{Check, Outcome};
use crate::sweep::{Result, Serial};
use crate::team::Team;
use crate::verify::difference;
use common::Meter;
use phalanx::Pool;
use phalanx_kernels::profile::{Keyed, Small};
use std::time::Instant;

/// What a run works with.
struct Job<'a> {
    input: &'a Input,
    pool: &'a Pool,
    verify: bool,
    meter: Meter,
}

/// Statistics and what they took.
struct Measured {
    statistics: Statistics,
    seconds: f64,
    pss: u64,
    check: Option<Check>,
}

/// Sweeps the dataset and reports the cost.
///
/// # Errors
/// If a pass fails, or the serial pass finds something else.
pub fn run(input: &Input, pool: &Pool, verify: bool) -> Result<Outcome> {
    let bytes = input.bytes() as u64;
    let (dtype, width) = input.layout.dtype.describe();
    // One pass over small types, mostly two over others, as many again to verify.
    let passes = (if width <= 2 { 1 } else { 2 }) * (1 + u64::from(verify));
    let job = Job { input, pool, verify, meter: Meter::new("sweep ", passes * bytes) };
    let measured = by_dtype!(input.layout.dtype, small: small(&job), large: large(&job))?;
    drop(job);
    Ok(Outcome {
        statistics: measured.statistics,
        source: format!("{}, {dtype} {}, {}", input.path.display(), input.layout.shape, common::bytes(bytes)),
        bytes,
        workers: pool.workers(),
        cores: pool.reason().to_owned(),
        seconds: measured.seconds,
        check: measured.check,
        delivery_bytes: pool.stats().delivery_bytes,
        memory_ratio: measured.pss as f64 / bytes as f64,
    })
}

fn small<T: Small>(job: &Job<'_>) -> Result<Measured> {
    let data = job.input.map::<T>()?;
    let team = || analyse_small(&mut Team::new(job.pool, &data, &job.meter));
    measure(job, &team, &|each| analyse_small(&mut Serial::new(data.as_slice(), each)))
}

fn large<T: Keyed>(job: &Job<'_>, to_value: fn(T) -> Value) -> Result<Measured> {
    let data = job.input.map::<T>()?;
    let team = || analyse(&mut Team::new(job.pool, &data, &job.meter), to_value);
    measure(job, &team, &|each| analyse(&mut Serial::new(data.as_slice(), each), to_value))
}

type TeamPasses<'a> = &'a dyn Fn() -> Result<Statistics>;
type SerialPasses<'a> = &'a dyn Fn(&dyn Fn(u64)) -> Result<Statistics>;

/// The team's passes, timed, and the serial ones that check them.
///
/// Their times can be compared only if both find the file in memory. If it was not there before, the team
/// sweeps once more after the serial pass has brought it in.
fn measure(job: &Job<'_>, team: TeamPasses<'_>, serial: SerialPasses<'_>) -> Result<Measured> {
    let was_cached = job.input.is_cached();
    let (statistics, seconds) = timed(team)?;
    let pss = job.pool.memory().pss;
    let mut check = None;
    if job.verify {
        job.meter.name("verify");
        for _ in 0..statistics.passes {
            job.meter.pass(job.input.bytes() as u64);
        }
        let (twin, serial_seconds) = timed(&|| serial(&|bytes| job.meter.advance(bytes)))?;
        if let Some(difference) = difference(&statistics, &twin) {
            return Err(
                format!("the results differ from a serial pass: {difference}; please report this").into()
            );
        }
        let is_cached = job.input.is_cached();
        let team_seconds = if was_cached || !is_cached { seconds } else { timed(team)?.1 };
        check = Some(Check { serial_seconds, team_seconds, is_cached });
    }
    Ok(Measured { statistics, seconds, pss, check })
}

fn timed<R>(work: &dyn Fn() -> Result<R>) -> Result<(R, f64)> {
    let start = Instant::now();
    let result = work()?;
    Ok((result, start.elapsed().as_secs_f64()))
}
