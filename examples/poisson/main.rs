//! Conjugate gradients for a Poisson equation with a varying coefficient: the equation in `grid`, the method
//! in `solve` with Jacobi's preconditioner and in `multigrid` with a better one.

mod grid;
mod multigrid;
mod solve;
#[cfg(test)]
mod tests;

use clap::{Parser, ValueEnum};
use common::picture::write_rgb;
use common::{Closing, Draft, Result, Team, count, grouped, refuse};
use grid::Grid;
use ndarray::Ix3;
use phalanx::{Pool, SharedArray};
use solve::Solved;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

/// Solves -div((1 + 4 x) grad u) = f in a cube by conjugate gradients
///
/// f is that of u = sin(pi x) sin(pi y) sin(pi z), with which the solution is compared.
#[derive(Debug, Parser)]
#[command(after_help = "\
Examples:
  poisson --side 216 --history history.png       10 million unknowns

Exit codes: 0 done; 1 a check or the run failed; 2 wrong options.")]
struct Options {
    /// Unknowns along an axis
    #[arg(long, value_name = "N", default_value = "64", value_parser = count)]
    side: u64,

    /// Stop when the residual is at most this fraction of f
    #[arg(long, default_value_t = 1e-8)]
    tolerance: f64,

    /// Maximum number of iterations
    #[arg(long, value_name = "N", default_value = "10k", value_parser = count)]
    iterations: u64,

    /// Preconditioner [default: both]
    #[arg(long, value_name = "KIND")]
    preconditioner: Option<Preconditioner>,

    /// Plot the residual of each iteration as a PNG file
    #[arg(long, value_name = "FILE")]
    history: Option<PathBuf>,

    #[command(flatten)]
    team: Team,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Preconditioner {
    /// The diagonal
    Jacobi,
    /// A cycle over coarser and coarser grids
    Multigrid,
}

impl Preconditioner {
    fn name(self) -> &'static str {
        match self {
            Self::Jacobi => "jacobi",
            Self::Multigrid => "multigrid",
        }
    }

    fn solve(
        self,
        pool: &Pool,
        grid: Grid,
        f: &SharedArray<f64, Ix3>,
        until: (f64, usize),
    ) -> Result<Solved> {
        match self {
            Self::Jacobi => solve::solve(pool, grid, f, until.0, until.1),
            Self::Multigrid => multigrid::solve(pool, grid, f, until.0, until.1),
        }
    }
}

fn main() -> ExitCode {
    common::run("poisson", || work(&Options::parse()))
}

fn work(options: &Options) -> Result<()> {
    if !(1..=2048).contains(&options.side) {
        return Err(refuse(format!("{} unknowns along an axis: give 1 to 2048", options.side)));
    }
    if options.tolerance.is_nan() || options.tolerance <= 0.0 {
        return Err(refuse(format!("a residual of {}: give a number above 0", options.tolerance)));
    }
    // Refused now and not when all is solved.
    options.history.as_deref().map(Draft::create).transpose()?;
    let (grid, pool) = (Grid(options.side as usize), options.team.pool("poisson")?);
    let f = right_side(&pool, grid)?;
    common::outln!("unknowns    {}", grouped(f.len() as u64));
    let kinds = [Preconditioner::Jacobi, Preconditioner::Multigrid];
    let kinds = kinds.into_iter().filter(|kind| options.preconditioner.is_none_or(|only| only == *kind));
    let (mut histories, mut last) = (Vec::new(), None);
    for kind in kinds {
        let begun = Instant::now();
        let solved = kind.solve(&pool, grid, &f, (options.tolerance, options.iterations as usize))?;
        let seconds = begun.elapsed().as_secs_f64();
        report(&pool, grid, kind, &solved, (options.tolerance, seconds))?;
        last = Some(closing(options, &pool, grid, &f, (kind, &solved))?);
        histories.push((kind, solved.history));
    }
    if let Some(path) = &options.history {
        plot(path, &histories)?;
    }
    last.iter().for_each(|closing| common::out!("{closing}"));
    Ok(())
}

fn right_side(pool: &Pool, grid: Grid) -> Result<SharedArray<f64, Ix3>> {
    let mut f = pool.zeros_nd((grid.0, grid.0, grid.0))?;
    pool.for_each((0..grid.0, f.split_out(), grid.0), |(planes, mut f, n)| {
        for ((i, j, k), f) in f.indexed_iter_mut() {
            *f = Grid(n).made_up([planes.start + i, j, k])[1];
        }
    })?;
    Ok(f)
}

/// What was found, checked: within the tolerance, and in these seconds.
fn report(
    pool: &Pool,
    grid: Grid,
    kind: Preconditioner,
    solved: &Solved,
    (tolerance, seconds): (f64, f64),
) -> Result<()> {
    let (n, history) = (grid.0, &solved.history);
    let last = history.last().copied().unwrap_or(f64::NAN);
    common::outln!("{:<12}{} iterations in {seconds:.3} s, residual {last:.3e}", kind.name(), history.len());
    if last.is_nan() || last > tolerance {
        return Err(format!("the residual is {last:e} after {} iterations", history.len()).into());
    }
    let error = pool.reduce(
        (0..n, solved.x.split(), n),
        0.0,
        |(planes, x, n)| {
            let error = |((i, j, k), x): ((usize, usize, usize), &f64)| {
                (Grid(n).made_up([planes.start + i, j, k])[0] - x).abs()
            };
            x.indexed_iter().map(error).fold(0.0, f64::max)
        },
        f64::max,
    )?;
    // The method is of second order: its error is about the spacing's square.
    let bound = 2.0 * grid.place(0).powi(2) + 100.0 * tolerance;
    if error.is_nan() || error > bound {
        return Err(format!("the solution is off by {error:.3e}, which should be below {bound:.3e}").into());
    }
    common::outln!("checked     off by {error:.3e} from the solution made up, allowed are {bound:.3e}");
    Ok(())
}

/// The residuals, on a scale of powers of ten: blue by Jacobi, red by multigrid.
fn plot(path: &Path, histories: &[(Preconditioner, Vec<f64>)]) -> Result<()> {
    const SIZE: [usize; 2] = [480, 240];
    let log = |residual: &f64| residual.max(1e-16).log10();
    let all = || histories.iter().flat_map(|(_, history)| history);
    let (low, high) = all().map(log).fold((0.0f64, 1.0f64), |(low, high), log| (low.min(log), high.max(log)));
    let row = |log: f64| ((high - log) / (high - low) * (SIZE[1] - 1) as f64) as usize;
    let mut rgb = vec![255; 3 * SIZE[0] * SIZE[1]];
    let mut dot = |x: usize, y: usize, colour: [u8; 3]| {
        rgb[3 * (y * SIZE[0] + x)..][..3].copy_from_slice(&colour);
    };
    // A line for each power of ten.
    for power in low.ceil() as i32..=high.floor() as i32 {
        (0..SIZE[0]).for_each(|x| dot(x, row(f64::from(power)), [208; 3]));
    }
    let longest = histories.iter().map(|(_, history)| history.len()).max().unwrap_or(0);
    for (kind, history) in histories {
        let colour = if *kind == Preconditioner::Jacobi { [32, 64, 160] } else { [192, 32, 32] };
        // Straight lines from one iteration to the next; the first is at the left edge, the last of the
        // longest at the right.
        let scale = longest.saturating_sub(1).max(1) as f64 / (SIZE[0] - 1) as f64;
        let at = |x: usize| {
            let place = (x as f64 * scale).min(history.len() as f64 - 1.0);
            let (before, part) = (place as usize, place.fract());
            let after = (before + 1).min(history.len() - 1);
            row((1.0 - part) * log(&history[before]) + part * log(&history[after]))
        };
        let end = ((history.len() - 1) as f64 / scale).ceil() as usize;
        for x in 0..=end.min(SIZE[0] - 1) {
            let (from, to) = (at(x.saturating_sub(1)), at(x));
            (from.min(to)..=from.max(to)).for_each(|y| dot(x, y, colour));
        }
    }
    write_rgb(path, SIZE[0], SIZE[1], &rgb)
}

/// A few iterations by the team and by one worker, who must find the same.
fn closing(
    options: &Options,
    pool: &Pool,
    grid: Grid,
    f: &SharedArray<f64, Ix3>,
    (kind, solved): (Preconditioner, &Solved),
) -> Result<Closing> {
    let iterations = solved.history.len().min(10);
    let timed = |pool: &Pool| -> Result<(Solved, f64)> {
        let begun = Instant::now();
        Ok((kind.solve(pool, grid, f, (0.0, iterations))?, begun.elapsed().as_secs_f64()))
    };
    let (team, seconds) = timed(pool)?;
    let (alone, seconds_alone) = timed(&options.team.pool_of("poisson", 1)?)?;
    if team.x.as_slice() != alone.x.as_slice() || team.history != solved.history[..iterations] {
        return Err(format!("one worker found another solution by {}", kind.name()).into());
    }
    let closing = Closing::new(pool, seconds, (f.len() * iterations) as f64, "unknowns");
    Ok(closing.beside("one worker", seconds_alone).memory(pool, f.len_bytes() as u64))
}
