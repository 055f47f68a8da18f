//! The heat equation in a square or a cube, step after step in one region; pictures are written while it runs.
//!
//! `modes` says what comes out, exactly. `sweep` is the step of a row, `frames` writes pictures, `peer` runs the same
//! in C with OpenMP.

mod frames;
mod modes;
mod peer;
mod sweep;

use clap::Parser;
use common::{Closing, Result, Team, bytes, count, grouped, refuse};
use frames::{Frames, PIXELS};
use modes::Grid;
use ndarray::Ix2;
use phalanx::{CancelToken, Edge, Pool, Schedule, SharedArray, Val};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

/// The heat equation in a square or a cube without losses.
#[derive(Debug, Parser)]
#[command(
    name = "heat",
    after_help = "Examples:\n  \
        heat --side 8192 --steps 100 --peer\n  \
        heat --side 512 --dimensions 3 --steps 100\n  \
        heat --side 2048 --steps 4k --frames pictures --every 100\n\n\
        Exit codes: 0 done, 1 a cell is wrong or a worker died, 2 an option is wrong."
)]
struct Options {
    /// Cells along each axis
    #[arg(long, value_name = "N", default_value = "2048", value_parser = count)]
    side: u64,

    /// 2 for a square, 3 for a cube
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u8).range(2..=3))]
    dimensions: u8,

    /// Steps in time
    #[arg(long, value_name = "N", default_value = "200", value_parser = count)]
    steps: u64,

    /// Write pictures into this folder while the steps go on: of the square, or of a cut through the cube
    #[arg(long, value_name = "FOLDER")]
    frames: Option<PathBuf>,

    /// Steps between two pictures
    #[arg(long, value_name = "N", default_value = "50", value_parser = clap::value_parser!(u32).range(1..))]
    every: u32,

    /// Run the same in C with OpenMP, too, where there is a compiler (cc)
    #[arg(long)]
    peer: bool,

    #[command(flatten)]
    team: Team,
}

fn main() -> ExitCode {
    common::run("heat", || work(&Options::parse()))
}

fn work(options: &Options) -> Result<()> {
    let grid = Grid { side: usize::try_from(options.side)?, dimensions: options.dimensions.into() };
    let most = if grid.dimensions == 2 { 1 << 16 } else { 1 << 11 };
    if !(1..=most).contains(&grid.side) || options.steps > 100_000_000 {
        return Err(refuse(format!("--side takes 1 to {most} cells, --steps at most 100M")));
    }
    let frames = options.frames.as_deref().map(Frames::new).transpose()?;
    let pool = options.team.pool("heat")?;
    let mut cells = Cells::new(&pool, grid)?;
    let start = Instant::now();
    cells.run(&pool, options.steps, options.every, frames.as_ref())?;
    let seconds = start.elapsed().as_secs_f64();
    cells.check(&pool, options.steps)?;
    let updates = (grid.side * grid.row()) as f64 * options.steps as f64;
    let mut closing = Closing::new(&pool, seconds, updates, "updates").memory(&pool, cells.len_bytes());

    let alone = options.team.pool_of("heat", 1)?;
    let sample = options.steps.div_ceil(10).max(1);
    let start = Instant::now();
    cells.run(&alone, sample, 1, None)?;
    let one = start.elapsed().as_secs_f64() * options.steps as f64 / sample as f64;
    closing = closing.beside("one worker, from a tenth of the steps", one);
    common::out!("{closing}");
    if options.peer {
        peer::run(grid, options.steps, pool.workers(), seconds)?;
    }
    Ok(())
}

/// The temperatures, twice: of this step and of the next.
struct Cells {
    grid: Grid,
    now: SharedArray<f64, Ix2>,
    next: SharedArray<f64, Ix2>,
    cosines: SharedArray<f64>,
}

impl Cells {
    fn new(pool: &Pool, grid: Grid) -> Result<Cells> {
        let shape = (grid.side, grid.row());
        let (mut now, mut next) = (pool.zeros_nd(shape)?, pool.zeros_nd(shape)?);
        let cosines = pool.from_slice(&grid.cosines())?;
        let start = (cosines.whole(), Val(grid), grid.amplitudes(0));
        let operands = (now.split_out(), next.split_out(), 0..grid.side, start);
        // Static: each rank gets the rows that it will have in the region, and maps their pages now.
        let launch = pool.launch().schedule(Schedule::Static);
        launch.for_each(operands, |(mut rows, mut next, at, (cosines, grid, amplitudes))| {
            next.fill(0.0);
            for (mut row, i) in rows.rows_mut().into_iter().zip(at) {
                grid.exact(i, cosines, amplitudes, row.as_slice_mut().expect("whole rows"));
            }
        })?;
        common::outln!(
            "{} cells, {} in memory, twice",
            [grid.side; 3][..grid.dimensions].iter().map(usize::to_string).collect::<Vec<_>>().join(" x "),
            bytes(now.len_bytes() as u64)
        );
        Ok(Cells { grid, now, next, cosines })
    }

    fn len_bytes(&self) -> u64 {
        (self.now.len_bytes() + self.next.len_bytes()) as u64
    }

    /// Makes an even or odd number of steps in one region: `now` has the last one when it ends.
    fn run(&mut self, pool: &Pool, steps: u64, every: u32, frames: Option<&Frames>) -> Result<()> {
        let Cells { grid, now, next, .. } = self;
        let mut picture = pool.zeros_nd::<f32, _>((PIXELS, PIXELS))?;
        let (mut publisher, mut snapshot) = pool.snapshot::<f32, _>((PIXELS, PIXELS))?;
        let settings = (Val(*grid), steps, u64::from(every), frames.is_some());
        let stop = CancelToken::new();
        std::thread::scope(|scope| {
            let region = scope.spawn(|| {
                let operands = (&mut *now, &mut *next, &mut picture, &mut publisher, settings);
                pool.launch().cancel(&stop).region(
                    operands,
                    |team, (mut now, mut next, mut picture, mut publisher, settings)| {
                        let (grid, steps, every, has_frames) = settings;
                        for step in 1..=steps {
                            team.for_each(
                                (next.split_mut(), now.halo(1, Edge::Clamp)),
                                |(mut next, now)| {
                                    let row = |i: usize| now.row(i).to_slice().expect("whole rows");
                                    for (i, mut next) in next.rows_mut().into_iter().enumerate() {
                                        let next = next.as_slice_mut().expect("whole rows");
                                        grid.advance(next, row(i), row(i + 1), row(i + 2));
                                    }
                                },
                            )?;
                            std::mem::swap(&mut now, &mut next);
                            if has_frames && step % every == 0 {
                                // Ranks go on at once: whoever wants to look has a copy.
                                let operands = (0..PIXELS, picture.split_mut(), now.whole());
                                team.phase(operands, |(rows, picture, now)| {
                                    frames::draw(picture, &now, grid, rows.start);
                                })?;
                                publisher.publish(team, step, picture.split())?;
                            }
                        }
                        Ok(0)
                    },
                )
            });
            let written =
                frames.map_or(Ok(()), |frames| frames.follow(&mut snapshot, &stop, || region.is_finished()));
            let ended = region.join().expect("a region does not panic here");
            written?;
            Ok::<(), Box<dyn std::error::Error>>(ended.map(drop)?)
        })?;
        if steps % 2 == 1 {
            std::mem::swap(now, next);
        }
        Ok(())
    }

    /// Compares every cell with what its modes have become, and the sum of all with what was there.
    fn check(&self, pool: &Pool, steps: u64) -> Result<()> {
        let grid = self.grid;
        let operands =
            (self.now.split(), 0..grid.side, self.cosines.whole(), Val(grid), grid.amplitudes(steps));
        let [error, heat] = pool.reduce(
            operands,
            [0.0; 2],
            |(rows, at, cosines, grid, amplitudes)| {
                let (mut exact, mut found) = (vec![0.0; grid.row()], [0.0; 2]);
                for (row, i) in rows.rows().into_iter().zip(at) {
                    grid.exact(i, cosines, amplitudes, &mut exact);
                    for (cell, exact) in row.iter().zip(&exact) {
                        found = [f64::max(found[0], (cell - exact).abs()), found[1] + cell];
                    }
                }
                found
            },
            |a: [f64; 2], b| [a[0].max(b[0]), a[1] + b[1]],
        )?;
        let mean = heat / (grid.side * grid.row()) as f64;
        // Rounding adds up like a random walk at most: a unit of the last place in each step.
        let allowed = f64::EPSILON * (16.0 + steps as f64);
        if error.is_nan() || error > allowed || (mean - 1.0).abs() > 1e-9 {
            return Err(format!(
                "a cell is off by {error:.1e}, allowed are {allowed:.1e}; the mean is {mean}"
            )
            .into());
        }
        common::outln!(
            "verified    {} steps: every cell is exact but for rounding, and no heat is lost",
            grouped(steps)
        );
        Ok(())
    }
}
