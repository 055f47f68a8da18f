//! One driver of the job that `cluster` starts: the same messages as those of the peer in C, through Phalanx.

use crate::harness::Outcome;
use clap::Args;
use ndarray::{ArrayView2, ArrayViewMut2, Ix2};
use phalanx::cluster::{self, Cluster, ClusterPool};
use phalanx::{Edge, Pool};
use std::path::PathBuf;
use std::time::Instant;

/// Messages above this length are sent a tenth as often, as in `peer.c`.
const LONG: usize = 16 << 10;
/// Runs that are not counted.
const WARM_UP: usize = 20;

/// Measures messages between drivers; started by `cluster` under a launcher of MPI
#[derive(Debug, Args)]
pub struct Driver {
    /// exchange, all_reduce, barrier, reduce, heat, map or npy
    what: String,
    /// How often; of heat, how many sweeps; of map, how many tasks
    count: usize,
    /// Bytes of messages, cells of an edge, microseconds of a task, or MiB of a file
    sizes: Vec<usize>,
    /// Where the file is written
    #[arg(long, default_value = ".")]
    folder: PathBuf,
    /// Workers of each driver
    #[arg(long, default_value_t = 1)]
    team: usize,
}

impl Driver {
    /// Name of the subcommand.
    pub const NAME: &'static str = "cluster-driver";

    /// Takes part in the job.
    pub fn run(&self) -> Outcome<usize> {
        if self.what == "map" {
            cluster::lead(|pool| self.map(pool))?;
        } else {
            cluster::run(|cluster| self.measure(cluster))?;
        }
        Ok(0)
    }

    fn measure(&self, cluster: &Cluster) -> Outcome<()> {
        // No more than this driver's cores: on a busy machine more would only wait for each other.
        let pool = cluster.pool_builder().workers(self.team).build()?;
        let add = |a: f64, b: f64| a + b;
        match self.what.as_str() {
            "exchange" => self.sizes.iter().try_for_each(|bytes| self.exchange(cluster, &pool, *bytes))?,
            "all_reduce" => self.each(cluster, "all_reduce", || {
                let sum = cluster.all_reduce(&1.0, add)?;
                if sum == cluster.size() as f64 { Ok(()) } else { Err(format!("a wrong sum: {sum}").into()) }
            })?,
            "barrier" => self.each(cluster, "barrier", || Ok(cluster.barrier()?))?,
            "reduce" => {
                let rows = cluster.part(cluster.size());
                self.each(cluster, "reduce", || {
                    cluster.reduce(&pool, rows.clone(), 0.0, |span| span.len() as f64, add)?;
                    Ok(())
                })?;
            }
            "heat" => self.heat(cluster, &pool)?,
            "npy" => self.npy(cluster, &pool)?,
            other => return Err(format!("there is nothing named {other}").into()),
        }
        Ok(())
    }

    fn each(&self, cluster: &Cluster, name: &str, step: impl FnMut() -> Outcome<()>) -> Outcome<()> {
        timed(cluster, name, self.count, step)
    }

    /// Two drivers, one row of so many bytes each, which goes to the other.
    fn exchange(&self, cluster: &Cluster, pool: &Pool, bytes: usize) -> Outcome<()> {
        let mut rows = cluster.zeros::<f64, _>(pool, (cluster.size(), bytes / 8), 1)?;
        let count = if bytes > LONG { self.count.div_ceil(10) } else { self.count };
        timed(cluster, &format!("exchange_{bytes}"), count, || {
            cluster.exchange(&mut rows, Edge::Fill(0.0))?;
            Ok(())
        })
    }

    /// All tasks, once more than is counted.
    fn map(&self, pool: &ClusterPool) -> Outcome<()> {
        let us = self.sizes.first().copied().unwrap_or(0) as u64;
        let items = |count: usize| (0..count as u64).map(move |n| (n, us));
        pool.map(task, items(self.count.min(1000)))?;
        let began = Instant::now();
        let squares = pool.map(task, items(self.count))?;
        let took = began.elapsed().as_nanos();
        let sum = squares.iter().fold(0u64, |sum, square| sum.wrapping_add(*square));
        println!("map {took}\ncheck {sum}");
        Ok(())
    }

    /// A file of so many MiB, written and read: bytes a nanosecond.
    fn npy(&self, cluster: &Cluster, pool: &Pool) -> Outcome<()> {
        let rows = self.sizes.first().copied().unwrap_or(64) << 7;
        let array = cluster.from_fn(pool, (rows, 1024), 0, |(i, j): (usize, usize)| (i * 1024 + j) as f64)?;
        let path = self.folder.join("cluster.npy");
        let bytes = (rows * 1024 * 8) as f64;
        for _ in 0..self.count {
            cluster.barrier()?;
            let began = Instant::now();
            cluster.save_npy(&array, &path)?;
            let saved = bytes / began.elapsed().as_nanos() as f64;
            let began = Instant::now();
            let read = cluster.load_npy::<f64, Ix2>(pool, &path, 0)?;
            let loaded = bytes / began.elapsed().as_nanos() as f64;
            if read.view() != array.view() {
                return Err("the file was read with other values than were written".into());
            }
            if cluster.me() == 0 {
                println!("npy_save {saved}\nnpy_load {loaded}");
            }
        }
        Ok(())
    }

    fn heat(&self, cluster: &Cluster, pool: &Pool) -> Outcome<()> {
        let cells = self.sizes.first().copied().unwrap_or(1000);
        let mut u = cluster
            .from_fn(pool, (cells, cells), 1, |(i, j): (usize, usize)| ((i * 31 + j * 17) % 101) as f64)?;
        let mut v = cluster.zeros::<f64, _>(pool, (cells, cells), 1)?;
        cluster.barrier()?;
        let began = Instant::now();
        for _ in 0..self.count {
            cluster.exchange(&mut u, Edge::Fill(0.0))?;
            pool.for_each((v.split_out(), u.halo(1)), sweep)?;
            std::mem::swap(&mut u, &mut v);
        }
        let took = began.elapsed().as_nanos();
        let sum = cluster.reduce(pool, u.split(), 0.0, |u| u.sum(), |a, b| a + b)?;
        if cluster.me() == 0 {
            println!("heat {took}\ncheck {sum}");
        }
        Ok(())
    }
}

/// Times each of `count` steps; driver 0 prints the samples.
fn timed(cluster: &Cluster, name: &str, count: usize, mut step: impl FnMut() -> Outcome<()>) -> Outcome<()> {
    for _ in 0..WARM_UP {
        step()?;
    }
    cluster.barrier()?;
    let mut samples = Vec::with_capacity(count);
    let mut last = Instant::now();
    for _ in 0..count {
        step()?;
        let now = Instant::now();
        samples.push((now - last).as_nanos().to_string());
        last = now;
    }
    if cluster.me() == 0 {
        println!("{name} {}", samples.join(" "));
    }
    Ok(())
}

/// The square of the first number, after so many microseconds of work.
fn task((n, us): (u64, u64)) -> u64 {
    let began = Instant::now();
    while us > 0 && began.elapsed().as_micros() < u128::from(us) {
        std::hint::spin_loop();
    }
    n * n
}

/// The loop of `peer.c`.
fn sweep((mut out, around): (ArrayViewMut2<'_, f64>, ArrayView2<'_, f64>)) {
    for (i, mut out) in out.outer_iter_mut().enumerate() {
        let [up, at, down] = [i, i + 1, i + 2].map(|row| around.row(row).to_slice().unwrap_or(&[]));
        let Some(out) = out.as_slice_mut() else { continue };
        let (Some(last), true) = (out.len().checked_sub(1), at.len() == out.len()) else { continue };
        (out[0], out[last]) = (0.0, 0.0);
        let inner = out[1..].iter_mut().zip(at.windows(3)).zip(up[1..].iter().zip(&down[1..]));
        for ((out, at), (up, down)) in inner {
            *out = 0.25 * ((up + down) + (at[0] + at[2]));
        }
    }
}
