//! k-means of points in a mapped file, which may be larger than memory.
//!
//! `points` maps or makes them, `seeds` chooses the first centroids, `lloyd` moves them, with the inner loops
//! of `block`; `check` compares the result with what its definition says.

mod block;
mod check;
mod lloyd;
mod picture;
mod points;
mod seeds;
#[cfg(test)]
mod tests;

use clap::{Parser, Subcommand, ValueEnum};
use common::{Closing, Meter, Result, Team, bytes, count, grouped, refuse};
use lloyd::{Cloud, Fit, Until};
use ndarray::Ix2;
use phalanx::array::npy::{Header, NpyElement};
use phalanx::{Pool, SharedArray};
use phalanx_kernels::random::Draw;
use points::Made;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

/// k-means of points in a .npy file
///
/// The same centroids, bit for bit, for any number of workers.
#[derive(Debug, Parser)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
Examples:
  kmeans --rows 10M --clusters 16                      points made in memory
  kmeans generate 100M 8 16 points.npy                 points made in a file
  kmeans points.npy -k 16 --labels l.npy --centroids c.npy

The file holds float32 or float64 of shape (points, coordinates) and must not change meanwhile.
Exit codes: 0 done; 1 a check or the run failed; 2 wrong options or input."
)]
struct Options {
    #[command(subcommand)]
    command: Option<Command>,

    /// The points; without it, points are made in memory
    file: Option<PathBuf>,

    /// Clusters
    #[arg(short = 'k', long, value_name = "K", default_value = "8", value_parser = count)]
    clusters: u64,

    /// Maximum number of moves of the centroids
    #[arg(long, value_name = "N", default_value = "100", value_parser = count)]
    iterations: u64,

    /// Stop when the squares of the centroids' ways in one move sum to less than this part of the variance
    #[arg(long, value_name = "PART", default_value_t = 1e-4)]
    tolerance: f64,

    /// Seed of the first centroids, and of points made in memory
    #[arg(long, default_value_t = 1)]
    seed: u64,

    /// The first centroids, a .npy file of shape (clusters, coordinates) [default: k-means++]
    #[arg(long, value_name = "FILE")]
    start: Option<PathBuf>,

    /// Write the number of each point's cluster, uint32
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,

    /// Write the centroids
    #[arg(long, value_name = "FILE")]
    centroids: Option<PathBuf>,

    /// Draw points of two coordinates as a PNG file
    #[arg(long, value_name = "FILE")]
    picture: Option<PathBuf>,

    /// Points to make
    #[arg(long, value_name = "N", default_value = "1M", value_parser = count, conflicts_with = "file")]
    rows: u64,

    /// Coordinates of points to make
    #[arg(long, value_name = "D", default_value = "2", value_parser = count, conflicts_with = "file")]
    dims: u64,

    #[command(flatten)]
    team: Team,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write points in groups, each point normally distributed about the middle of its group
    Generate {
        /// Points
        #[arg(value_parser = count)]
        rows: u64,
        /// Coordinates of a point
        #[arg(value_parser = count)]
        dims: u64,
        /// Groups
        #[arg(value_parser = count)]
        groups: u64,
        /// The .npy file
        file: PathBuf,
        /// Number type
        #[arg(long, value_name = "TYPE", default_value = "f32")]
        dtype: Dtype,
        /// Seed
        #[arg(long, default_value_t = 1)]
        seed: u64,
        #[command(flatten)]
        team: Team,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Dtype {
    F32,
    F64,
}

fn main() -> ExitCode {
    common::run("kmeans", || work(&Options::parse()))
}

fn work(options: &Options) -> Result<()> {
    if let Some(Command::Generate { rows, dims, groups, file, dtype, seed, team }) = &options.command {
        let made = made(*rows, *dims, *groups, *seed)?;
        let pool = team.pool("kmeans")?;
        return match dtype {
            Dtype::F32 => made.as_file::<f32>(&pool, file),
            Dtype::F64 => made.as_file::<f64>(&pool, file),
        };
    }
    // Labels are chosen as float32, whole numbers up to 2^24.
    if !(1..1 << 24).contains(&options.clusters) {
        return Err(refuse(format!("{} clusters: give 1 to 16777215", options.clusters)));
    }
    let Some(file) = &options.file else {
        let made = made(options.rows, options.dims, options.clusters, options.seed)?;
        let pool = options.team.pool("kmeans")?;
        let points = made.in_memory::<f32>(&pool)?;
        return run::<f32, 16>(options, &pool, &points);
    };
    let header = Header::read(file).map_err(|error| refuse(error.to_string()))?;
    if header.dtype().is::<f32>() {
        let points = points::open::<f32>(file)?;
        run::<f32, 16>(options, &options.team.pool("kmeans")?, &points)
    } else if header.dtype().is::<f64>() {
        let points = points::open::<f64>(file)?;
        run::<f64, 8>(options, &options.team.pool("kmeans")?, &points)
    } else {
        let descr = header.dtype().descr();
        Err(refuse(format!("{}: elements of type {descr}; save a.astype('f4')", file.display())))
    }
}

fn made(rows: u64, dims: u64, groups: u64, seed: u64) -> Result<Made> {
    if rows == 0 || dims == 0 || groups == 0 {
        return Err(refuse("points, coordinates and groups must be at least 1"));
    }
    Ok(Made { rows: rows as usize, dims: dims as usize, groups: groups as usize, seed })
}

/// `LANES` numbers of `T` fill two registers of 256 bits.
fn run<T: Draw + NpyElement, const LANES: usize>(
    options: &Options,
    pool: &Pool,
    points: &SharedArray<T, Ix2>,
) -> Result<()> {
    let (rows, dims) = points.view().dim();
    let clusters = options.clusters as usize;
    if options.picture.is_some() && dims != 2 {
        return Err(refuse(format!("only points of 2 coordinates are drawn, not of {dims}")));
    }
    let meter = Meter::new("k-means", points.len_bytes() as u64);
    let cloud = Cloud::<T, LANES>::new(pool, points, &meter)?;
    let begun = Instant::now();
    let start = match &options.start {
        Some(path) => given(path, [clusters, dims])?,
        None => seeds::choose::<T, LANES>(pool, points, clusters, options.seed)?,
    };
    let (seeded, begun) = (begun.elapsed().as_secs_f64(), Instant::now());
    let until = Until { iterations: options.iterations as usize, tolerance: options.tolerance };
    let fit = cloud.fit(pool, &start, until)?;
    let seconds = begun.elapsed().as_secs_f64();
    let looked = check::check(pool, &cloud, &fit)?;
    write(options, pool, &cloud, &fit)?;
    let mut text = report(&fit, &cloud.centroids(&fit), dims);
    drop(cloud);
    drop(meter);
    let _ = writeln!(text, "looked at   {} points one by one", grouped(looked as u64));
    let size = bytes(points.len_bytes() as u64);
    let _ = writeln!(text, "data        {} points of {dims} coordinates, {size}", grouped(rows as u64));
    let _ = writeln!(text, "seeds       {seeded:.3} s");
    let _ = writeln!(text, "moves       {seconds:.3} s, {} looks at each point", fit.inertia.len());
    let closing = beside_one_worker::<T, LANES>(options, pool, points, &start)?;
    let _ = write!(text, "{}", closing.memory(pool, points.len_bytes() as u64));
    // A reader that closed the pipe has seen enough.
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
    Ok(())
}

/// Centroids to start from.
fn given<T: NpyElement>(path: &Path, shape: [usize; 2]) -> Result<Vec<T>> {
    let start = SharedArray::<T, Ix2>::load_npy(path).map_err(|error| refuse(error.to_string()))?;
    if start.shape() != shape {
        let why = format!("{}: first centroids of shape {:?}, not {shape:?}", path.display(), start.shape());
        return Err(refuse(why));
    }
    Ok(start.as_slice().to_vec())
}

/// The result, the largest clusters first.
fn report<T: Draw>(fit: &Fit, centroids: &[T], dims: usize) -> String {
    let why = if fit.settled { "the centroids have settled" } else { "no more were allowed" };
    let mut text = format!("iterations  {}: {why}\n", fit.inertia.len() - 1);
    let (first, last) = (fit.inertia[0], fit.inertia[fit.inertia.len() - 1]);
    let _ = writeln!(text, "inertia     {last:.6e}, from {first:.6e}; it never rose");
    let mut order: Vec<usize> = (0..fit.sizes.len()).collect();
    order.sort_by_key(|k| std::cmp::Reverse(fit.sizes[*k]));
    for k in order.iter().take(10) {
        let centroid = &centroids[k * dims..][..dims];
        let shown: Vec<String> = centroid.iter().take(4).map(|x| format!("{x:.4}")).collect();
        let more = if dims > 4 { " ..." } else { "" };
        let _ = writeln!(text, "cluster     {:>12} at {}{more}", grouped(fit.sizes[*k]), shown.join(" "));
    }
    if fit.sizes.len() > 10 {
        let _ = writeln!(text, "            and {} smaller", fit.sizes.len() - 10);
    }
    text
}

/// Writes what was asked for, each file whole or not at all.
fn write<T: Draw + NpyElement, const LANES: usize>(
    options: &Options,
    pool: &Pool,
    cloud: &Cloud<'_, T, LANES>,
    fit: &Fit,
) -> Result<()> {
    let fails = |error: std::io::Error| refuse(error.to_string());
    if let Some(path) = &options.labels {
        cloud.labels(pool, fit)?.save_npy(path).map_err(fails)?;
    }
    if let Some(path) = &options.centroids {
        let dims = cloud.points.view().ncols();
        let mut centroids = SharedArray::<T, Ix2>::zeros((fit.sizes.len(), dims))?;
        centroids.as_mut_slice().copy_from_slice(&cloud.centroids(fit));
        centroids.save_npy(path).map_err(fails)?;
    }
    match &options.picture {
        Some(path) => picture::draw(pool, cloud, fit, path),
        None => Ok(()),
    }
}

/// One look at each point, by the team and by one worker, who must find the same.
fn beside_one_worker<T: Draw, const LANES: usize>(
    options: &Options,
    pool: &Pool,
    points: &SharedArray<T, Ix2>,
    start: &[T],
) -> Result<Closing> {
    let meter = Meter::new("one worker", points.len_bytes() as u64);
    let look = |pool: &Pool| -> Result<(Fit, f64)> {
        let cloud = Cloud::<T, LANES>::new(pool, points, &meter)?;
        let begun = Instant::now();
        let fit = cloud.fit(pool, start, Until { iterations: 0, tolerance: 0.0 })?;
        Ok((fit, begun.elapsed().as_secs_f64()))
    };
    let (fit, seconds) = look(pool)?;
    let (alone, seconds_alone) = look(&options.team.pool_of("kmeans", 1)?)?;
    if fit != alone {
        return Err(format!("one worker found another result: {alone:?}, not {fit:?}").into());
    }
    let closing = Closing::new(pool, seconds, points.view().nrows() as f64, "points");
    Ok(closing.beside("one worker", seconds_alone))
}
