//! Bodies that attract each other, all pairs of them: steps of the leapfrog as launches, with the ready
//! kernel for the accelerations.

mod peer;
mod sphere;

use clap::{Parser, ValueEnum};
use common::{Closing, Meter, Result, Team, count, grouped, picture, refuse};
use ndarray::Ix2;
use phalanx::{Pool, SharedArray};
use phalanx_kernels::particles::{Energy, accelerations, energy};
use phalanx_kernels::{Number, Real};
use sphere::Bodies;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

/// A step in time, in units in which a body crosses the sphere in about 3.
const STEP: f64 = 1.0 / 256.0;
/// Attraction is weaker below this distance, so that no two bodies fling each other out.
const SOFTENING: f64 = 0.02;
/// What the energy may change by: about ten times the error of the leapfrog with these steps.
const DRIFT: f64 = 1e-4;
/// Flops of a pair, by the usual count.
const FLOPS: f64 = 20.0;

/// Lets a globular cluster of bodies move, all pairs of which attract each other.
#[derive(Parser)]
#[command(after_help = "\
Examples:
  nbody --bodies 100k --steps 4
  nbody --bodies 20k --precision f32 --out cluster.png --peer

Exit codes: 0 done, 1 a wrong result, 2 wrong input.")]
struct Options {
    /// Number of bodies
    #[arg(long, value_name = "N", default_value = "20k", value_parser = count)]
    bodies: u64,

    /// Steps in time, of 1/256 each
    #[arg(long, value_name = "N", default_value = "4", value_parser = count)]
    steps: u64,

    /// Type of positions, velocities and accelerations
    #[arg(long, value_enum, default_value = "f64")]
    precision: Precision,

    /// Seed of the bodies' positions and velocities
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,

    /// Write a picture of the density at the end, as seen along the z axis
    #[arg(long, value_name = "FILE.png")]
    out: Option<PathBuf>,

    /// Also build the same program in C with OpenMP, by `cc`, and run it
    #[arg(long)]
    peer: bool,

    #[command(flatten)]
    team: Team,
}

#[derive(Clone, Copy, ValueEnum)]
enum Precision {
    F32,
    F64,
}

fn main() -> ExitCode {
    common::run("nbody", || {
        let options = Options::parse();
        match options.precision {
            Precision::F32 => work::<f32>(&options, 1e-5),
            Precision::F64 => work::<f64>(&options, 1e-12),
        }
    })
}

/// `rounding` bounds what rounding may do to the momentum, over that of a body of mean speed and all the
/// mass.
fn work<T: Real>(options: &Options, rounding: f64) -> Result<()> {
    if !(1000..=10_000_000).contains(&options.bodies) || options.steps > 100_000 {
        return Err(refuse("--bodies takes 1000 to 10M, --steps at most 100k"));
    }
    let n = usize::try_from(options.bodies)?;
    let pool = options.team.pool("nbody")?;
    let mut bodies = sphere::plummer::<T>(&pool, n, options.seed)?;
    let masses = vec![T::from_f64(1.0 / n as f64); n];
    common::outln!(
        "{} bodies, {} steps, {}",
        grouped(options.bodies),
        options.steps,
        std::any::type_name::<T>()
    );

    let before = State::of(&pool, &bodies, &masses)?;
    let run_peer = || peer::run(&bodies, &masses, (options.steps, STEP, SOFTENING), pool.workers());
    let theirs = options.peer.then(run_peer).transpose()?;
    let start = Instant::now();
    leapfrog(&pool, &mut bodies, &masses, options.steps)?;
    let seconds = start.elapsed().as_secs_f64();
    let after = State::of(&pool, &bodies, &masses)?;

    let mut wrong = report(&before, &after, n, rounding);
    if let Some(path) = &options.out {
        paint(&pool, &bodies[0], path)?;
    }
    let flops = FLOPS * (n * n) as f64 * (options.steps + 1) as f64;
    let alone = options.team.pool_of("nbody", 1)?;
    let start = Instant::now();
    leapfrog(&alone, &mut bodies, &masses, 0)?;
    let one = start.elapsed().as_secs_f64() * (options.steps + 1) as f64;
    let data = bodies.iter().map(|rows| rows.len_bytes() as u64).sum();
    let closing = Closing::new(&pool, seconds, flops, "flops").beside("one worker, from one step", one);
    common::out!("{}", closing.memory(&pool, data));
    if let Some([time, kinetic]) = theirs {
        common::outln!("OpenMP      {time:.3} s, {:.2} x (cc {})", time / seconds, peer::FLAGS.join(" "));
        if (kinetic / after.energy.kinetic - 1.0).abs() > DRIFT {
            wrong.push(format!("OpenMP's kinetic energy is {kinetic}, and not {}", after.energy.kinetic));
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("; ").into()) }
}

/// Kick, drift, kick.
fn leapfrog<T: Real>(pool: &Pool, [x, v]: &mut Bodies<T>, masses: &[T], steps: u64) -> Result<()> {
    let (step, softening) = (T::from_f64(STEP), T::from_f64(SOFTENING));
    let half = T::from_f64(0.5 * STEP);
    let meter = Meter::counting("steps", steps + 1);
    let mut pull = pool.zeros_nd::<T, _>((masses.len(), 3))?;
    accelerations(pool, &mut pull, x, masses, softening)?;
    for _ in 0..steps {
        meter.advance(1);
        advance(pool, v, &pull, half)?;
        advance(pool, x, v, step)?;
        accelerations(pool, &mut pull, x, masses, softening)?;
        advance(pool, v, &pull, half)?;
    }
    Ok(())
}

/// `x += v t`.
fn advance<T: Real>(pool: &Pool, x: &mut SharedArray<T, Ix2>, v: &SharedArray<T, Ix2>, t: T) -> Result<()> {
    phalanx::azip!(pool, [t], (x in x.split_mut(), &v in v.split()) { *x = *x + v * t })?;
    Ok(())
}

/// What the motion conserves, and the bits of all positions.
struct State {
    energy: Energy,
    momentum: [f64; 3],
    bits: u64,
}

impl State {
    fn of<T: Real>(pool: &Pool, [x, v]: &Bodies<T>, masses: &[T]) -> Result<State> {
        let sums = pool.reduce(
            v.split(),
            [0.0; 3],
            |v| std::array::from_fn(|axis| v.column(axis).iter().map(|v| Number::to_f64(*v)).sum()),
            |a: [f64; 3], b| std::array::from_fn(|axis| a[axis] + b[axis]),
        )?;
        let bits = x.as_slice().iter().map(|x| Number::to_f64(*x).to_bits());
        Ok(State {
            energy: energy(pool, x, v, masses, T::from_f64(SOFTENING))?,
            momentum: sums.map(|sum| sum * Number::to_f64(masses[0])),
            bits: bits.fold(0, |all, bits| all.rotate_left(5).wrapping_mul(0x9e37_79b9) ^ bits),
        })
    }
}

/// Prints what is conserved. Returns what is not.
fn report(before: &State, after: &State, bodies: usize, rounding: f64) -> Vec<String> {
    let total = before.energy.total();
    let drift = ((after.energy.total() - total) / total).abs();
    let speed = (2.0 * before.energy.kinetic).sqrt();
    let moved = before.momentum.iter().zip(after.momentum).map(|(a, b)| (b - a).powi(2)).sum::<f64>().sqrt();
    let momentum = moved / speed;
    common::outln!(
        "energy      {total:.6} (Plummer's sphere has {}), then {:.6}: drift {drift:.1e}",
        sphere::ENERGY,
        after.energy.total()
    );
    common::outln!("momentum    changed by {momentum:.1e} of the mean");
    common::outln!("bits        {:016x}, the same for any number of workers", after.bits);
    let mut wrong = Vec::new();
    // Energies of samples scatter about the model's, by some 2 / sqrt(bodies).
    if (total / sphere::ENERGY - 1.0).abs() > 0.01 + 8.0 / (bodies as f64).sqrt() {
        wrong.push(format!("the energy is {total}, and not about {}", sphere::ENERGY));
    }
    if drift.is_nan() || drift > DRIFT {
        wrong.push(format!("the energy drifts by {drift:.1e}, more than {DRIFT:.0e}"));
    }
    if momentum.is_nan() || momentum > rounding {
        wrong.push(format!("the momentum changes by {momentum:.1e}, more than {rounding:.0e}"));
    }
    wrong
}

/// Writes how many bodies are seen at each place, on a logarithmic scale.
fn paint<T: Real>(pool: &Pool, positions: &SharedArray<T, Ix2>, path: &Path) -> Result<()> {
    const PIXELS: usize = 400;
    /// Half the width of the picture.
    const REACH: f64 = 2.0;
    let mut counts = pool.zeros::<u32>(PIXELS * PIXELS)?;
    pool.for_each((positions.split(), counts.reduce(0, |a, b| a + b)), |(positions, counts)| {
        let pixel = |x: T| ((Number::to_f64(x) / REACH + 1.0) * 0.5 * PIXELS as f64).floor();
        for body in positions.rows() {
            let (column, row) = (pixel(body[0]), pixel(body[1]));
            if (0.0..PIXELS as f64).contains(&column) && (0.0..PIXELS as f64).contains(&row) {
                counts[(PIXELS - 1 - row as usize) * PIXELS + column as usize] += 1;
            }
        }
    })?;
    let most = f64::from(counts.as_slice().iter().copied().max().unwrap_or(0));
    let shade = |count: &u32| picture::colour(f64::from(*count).ln_1p() / most.ln_1p());
    let rgb: Vec<u8> = counts.as_slice().iter().flat_map(shade).collect();
    picture::write_rgb(path, PIXELS, PIXELS, &rgb)
}
