//! The heat equation in a square or a cube, step after step in one region, on one machine or many; pictures are
//! written while it runs.
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
use phalanx::cluster::{self, Cluster, ClusterArray};
use phalanx::{CancelToken, Edge, Pool, Schedule, SharedArray, Val};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// The heat equation in a square or a cube without losses.
#[derive(Debug, Parser)]
#[command(
    name = "heat",
    after_help = "Examples:\n  \
        heat --side 8192 --steps 100 --peer\n  \
        heat --side 512 --dimensions 3 --steps 100\n  \
        heat --side 2048 --steps 4k --frames pictures --every 100\n  \
        mpiexec -ppn 1 -hosts a,b heat --side 32k --save plate.npy\n\n\
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

    /// Write the temperatures at the end into this .npy file
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,

    /// Run the same in C with OpenMP, too, where there is a compiler (cc)
    #[arg(long)]
    peer: bool,

    #[command(flatten)]
    team: Team,
}

fn main() -> ExitCode {
    let options = Options::parse();
    common::run("heat", || cluster::run(|cluster| work(cluster, &options)))
}

fn work(cluster: &Cluster, options: &Options) -> Result<()> {
    let grid = Grid { side: usize::try_from(options.side)?, dimensions: options.dimensions.into() };
    let most = if grid.dimensions == 2 { 1 << 16 } else { 1 << 11 };
    if !(1..=most).contains(&grid.side) || options.steps > 100_000_000 {
        return Err(refuse(format!("--side takes 1 to {most} cells, --steps at most 100M")));
    }
    if cluster.size() > 1 && (options.frames.is_some() || options.peer) {
        return Err(refuse("--frames and --peer are for one machine; --save writes a file of all"));
    }
    let frames = options.frames.as_deref().map(Frames::new).transpose()?;
    let pool = options.team.of(cluster.pool_builder(), "heat").build()?;
    let mut cells = Cells::new(cluster, &pool, grid)?;
    let start = Instant::now();
    cells.run(&pool, options.steps, options.every, frames.as_ref())?;
    cluster.barrier()?;
    let seconds = start.elapsed().as_secs_f64();
    let verified = cells.check(&pool, options.steps)?;
    if let Some(path) = &options.save {
        cluster.save_npy(&cells.now, path)?;
    }
    let updates = (grid.side * grid.row()) as f64 * options.steps as f64;
    let mut closing = Closing::new(&pool, seconds, updates, "updates").memory(&pool, cells.len_bytes());
    if cluster.me() > 0 {
        return Ok(());
    }
    common::outln!("{verified}");
    if cluster.size() > 1 {
        common::outln!("cluster     {}", cluster.reason());
        common::out!("{closing}");
        return Ok(());
    }

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
struct Cells<'c> {
    cluster: &'c Cluster,
    grid: Grid,
    now: ClusterArray<f64, Ix2>,
    next: ClusterArray<f64, Ix2>,
    cosines: SharedArray<f64>,
}

impl Cells<'_> {
    fn new<'c>(cluster: &'c Cluster, pool: &Pool, grid: Grid) -> Result<Cells<'c>> {
        let shape = (grid.side, grid.row());
        // A ghost row on each side: what the neighbours' machines have there.
        let (mut now, mut next) = (cluster.zeros(pool, shape, 1)?, cluster.zeros(pool, shape, 1)?);
        let cosines = pool.from_slice(&grid.cosines())?;
        let start = (cosines.whole(), Val(grid), grid.amplitudes(0));
        let rows = now.my_rows();
        let operands = (now.split_out(), next.split_out(), rows, start);
        // Static: each rank gets the rows that it will have in the region, and maps their pages now.
        let launch = pool.launch().schedule(Schedule::Static);
        launch.for_each(operands, |(mut rows, mut next, at, (cosines, grid, amplitudes))| {
            next.fill(0.0);
            for (mut row, i) in rows.rows_mut().into_iter().zip(at) {
                grid.exact(i, cosines, amplitudes, row.as_slice_mut().expect("whole rows"));
            }
        })?;
        if cluster.me() == 0 {
            common::outln!(
                "{} cells, {} in memory, twice",
                [grid.side; 3][..grid.dimensions]
                    .iter()
                    .map(usize::to_string)
                    .collect::<Vec<_>>()
                    .join(" x "),
                bytes((now.len() * size_of::<f64>()) as u64)
            );
        }
        Ok(Cells { cluster, grid, now, next, cosines })
    }

    /// Bytes of this driver's rows.
    fn len_bytes(&self) -> u64 {
        ((self.now.mine().len() + self.next.mine().len()) * size_of::<f64>()) as u64
    }

    /// Makes an even or odd number of steps in one region: `now` has the last one when it ends.
    fn run(&mut self, pool: &Pool, steps: u64, every: u32, frames: Option<&Frames>) -> Result<()> {
        let Cells { cluster, grid, now, next, .. } = self;
        let mut picture = pool.zeros_nd::<f32, _>((PIXELS, PIXELS))?;
        let (mut publisher, mut snapshot) = pool.snapshot::<f32, _>((PIXELS, PIXELS))?;
        let settings = (Val(*grid), steps, u64::from(every), frames.is_some());
        let (stop, has_ended) = (CancelToken::new(), AtomicBool::new(false));
        std::thread::scope(|scope| {
            let pictures = scope.spawn(|| {
                frames.map_or(Ok(()), |frames| {
                    let has_ended = || has_ended.load(Ordering::Acquire);
                    frames.follow(&mut snapshot, &stop, has_ended).map_err(|error| error.to_string())
                })
            });
            let operands = (&mut *now, &mut *next, &mut picture, &mut publisher, settings);
            let ended = cluster.region_with(
                || pool.launch().cancel(&stop),
                operands,
                |team, (mut now, mut next, mut picture, mut publisher, settings)| {
                    let (grid, steps, every, has_frames) = settings;
                    for step in 1..=steps {
                        // Rows of the neighbours' machines. At the border there are none: with another edge, rows
                        // would be copied there.
                        team.exchange(&mut now, Edge::Shrink)?;
                        let rows = now.my_rows();
                        team.for_each((next.split_mut(), now.halo(1), rows), |(mut next, now, rows)| {
                            let first = rows.start.saturating_sub(1);
                            let row = |i: usize| now.row(i - first).to_slice().expect("whole rows");
                            for (i, mut next) in rows.zip(next.rows_mut()) {
                                let next = next.as_slice_mut().expect("whole rows");
                                let (before, after) = (i.saturating_sub(1), (i + 1).min(grid.side - 1));
                                grid.advance(next, row(before), row(i), row(after));
                            }
                        })?;
                        std::mem::swap(&mut now, &mut next);
                        if has_frames && step % every == 0 {
                            // Ranks go on at once: whoever wants to look has a copy.
                            let operands = (0..PIXELS, picture.split_mut(), now.mine());
                            team.phase(operands, |(rows, picture, now)| {
                                frames::draw(picture, &now, grid, rows.start);
                            })?;
                            publisher.publish(team, step, picture.split())?;
                        }
                    }
                    Ok(0)
                },
            );
            has_ended.store(true, Ordering::Release);
            pictures.join().expect("pictures are drawn without a panic")?;
            Ok::<(), Box<dyn std::error::Error>>(ended.map(drop)?)
        })?;
        if steps % 2 == 1 {
            std::mem::swap(now, next);
        }
        Ok(())
    }

    /// Compares every cell with what its modes have become, and the sum of all with what was there.
    fn check(&self, pool: &Pool, steps: u64) -> Result<String> {
        let (grid, rows) = (self.grid, self.now.my_rows());
        let operands = (self.now.split(), rows, self.cosines.whole(), Val(grid), grid.amplitudes(steps));
        let [error, heat] = self.cluster.reduce(
            pool,
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
        let steps = grouped(steps);
        Ok(format!("verified    {steps} steps: every cell is exact but for rounding, and no heat is lost"))
    }
}
