//! STREAM: copy, scale, add and triad over three arrays, in shared memory and in plain vectors.
//!
//! Counted as STREAM does, without the line that a store reads first: 16 bytes per element for copy and
//! scale, 24 for add and triad. After <https://www.cs.virginia.edu/stream/ref.html>.

use crate::bench::Bench;
use crate::harness::{Outcome, Setup};
use crate::peers::{Peer, rayon as rayon_peer};
use crate::report::{Goal, Record, Report, Target};
use crate::saturation::{self, Place};
use crate::watchdog;
use clap::Args;
use phalanx::{ArrayOptions, Backend, HugePages, Pool, SharedArray};
use rayon::ThreadPool;
use rayon::prelude::*;
use std::time::{Duration, Instant};

const TARGETS: &[Target] =
    &[Target { bench: "stream_triad", variant: "phalanx-processes", goal: Goal::AtLeastPeer(0.98, "rayon") }];

/// The four loops, shared by all variants.
mod kernel {
    /// Keeps the values bounded over any number of rounds, so that every round can be verified bit by bit.
    pub const SCALAR: f64 = 0.4;

    pub fn copy(out: &mut [f64], a: &[f64]) {
        out.copy_from_slice(a);
    }

    pub fn scale(out: &mut [f64], a: &[f64]) {
        for (out, a) in out.iter_mut().zip(a) {
            *out = SCALAR * a;
        }
    }

    pub fn add(out: &mut [f64], a: &[f64], b: &[f64]) {
        for ((out, a), b) in out.iter_mut().zip(a).zip(b) {
            *out = a + b;
        }
    }

    pub fn triad(out: &mut [f64], a: &[f64], b: &[f64]) {
        for ((out, a), b) in out.iter_mut().zip(a).zip(b) {
            *out = a + SCALAR * b;
        }
    }
}

/// Names and bytes per element, in the order in which a sweep runs them.
const KERNELS: [(&str, f64); 4] =
    [("stream_copy", 16.0), ("stream_scale", 16.0), ("stream_add", 24.0), ("stream_triad", 24.0)];

/// Values before the first sweep, different in neighbouring elements so that a misplaced chunk shows.
fn first(index: usize) -> f64 {
    1.0 + (index % 1021) as f64
}

/// The three arrays of one kind, and how many sweeps have gone over them.
struct Arrays<A> {
    a: A,
    b: A,
    c: A,
    sweeps: usize,
}

/// Times of the four kernels in one sweep.
type Sweep = [Duration; 4];

/// STREAM copy, scale, add and triad over shared arrays.
#[derive(Debug, Args)]
pub struct Stream {
    /// Runtimes to compare with
    #[arg(long, value_name = "PEERS", value_delimiter = ',', default_value = "rayon")]
    vs: Vec<Peer>,

    /// MiB of each of the three arrays
    #[arg(long, value_name = "MIB", default_value_t = 256, value_parser = clap::value_parser!(u64).range(1..))]
    mib: u64,

    /// KiB of one chunk, for every parallel variant
    #[arg(long, value_name = "KIB", default_value_t = 256, value_parser = clap::value_parser!(u64).range(1..))]
    chunk: u64,

    /// Ask for huge pages for the shared arrays
    #[arg(long)]
    huge: bool,

    /// Measure instead how many cores of each NUMA node saturate its memory, with this page placement:
    /// local, interleave, bind:N
    #[arg(long, value_name = "PLACES", value_delimiter = ',', num_args = 0..=1, default_missing_value = "local")]
    saturation: Option<Vec<Place>>,
}

impl Bench for Stream {
    const NAME: &'static str = "stream";

    fn measures() -> Vec<&'static str> {
        KERNELS.iter().map(|(bench, _)| *bench).chain([saturation::BENCH]).collect()
    }

    fn run(&self, setup: &Setup, report: &mut Report) -> Outcome<()> {
        if let Some(places) = &self.saturation {
            let options = saturation::Options { places, huge: self.huge, mib: self.mib };
            return saturation::run(&options, setup, report);
        }
        watchdog::note("making the arrays of stream".into());
        let mut teams = Teams::start(self, setup)?;
        let names = teams.names();
        // The first round maps and touches everything: not counted, but verified.
        for name in &names {
            teams.sweep(name)?;
            teams.verify(name)?;
        }
        report.remark(&format!(
            "\nstream: 3 x {} MiB, chunks of {} KiB; shared arrays in {}",
            self.mib,
            self.chunk,
            teams.shared.a.pages()
        ));
        let mut times: Vec<Vec<Sweep>> = names.iter().map(|_| Vec::new()).collect();
        let budget = setup.budget * (names.len() * KERNELS.len()) as u32;
        let began = Instant::now();
        for round in 1.. {
            for turn in 0..names.len() {
                let index = (round + turn) % names.len();
                times[index].push(teams.sweep(names[index])?);
            }
            if began.elapsed() > budget && round >= setup.rounds as usize {
                break;
            }
        }
        teams.verify("a later round")?;
        let len = teams.plain.a.len();
        for (kernel, (bench, bytes)) in KERNELS.iter().enumerate() {
            let rate = |sweep: &Sweep| bytes * len as f64 / sweep[kernel].as_nanos() as f64;
            let of = |sweeps: &Vec<Sweep>| sweeps.iter().map(rate).collect();
            let records: Vec<Record> = names
                .iter()
                .zip(&times)
                .map(|(variant, sweeps)| Record::of(bench, variant, setup.workers(), of(sweeps), "GB/s"))
                .collect();
            report.group(&records, TARGETS);
        }
        Ok(())
    }
}

const PROCESSES: &str = "phalanx-processes";
const SEAT: &str = "phalanx-caller-seat";
const THREADS: &str = "phalanx-threads";
const RAYON: &str = "rayon";
const SERIAL: &str = "serial";

/// The teams of all variants, with the arrays that they sweep.
struct Teams {
    processes: Pool,
    threads: Pool,
    rayon: Option<ThreadPool>,
    shared: Arrays<SharedArray<f64>>,
    plain: Arrays<Vec<f64>>,
    /// Elements of a chunk.
    chunk: usize,
}

impl Teams {
    fn start(options: &Stream, setup: &Setup) -> Outcome<Teams> {
        let len = (options.mib << 20) as usize / size_of::<f64>();
        let processes = setup.pool(Backend::Processes)?;
        let threads = setup.pool(Backend::Threads)?;
        let shared = shared_arrays(&processes, len, options.huge)?;
        let plain =
            Arrays { a: filled(len, first), b: filled(len, |_| 2.0), c: filled(len, |_| 0.0), sweeps: 0 };
        let rayon = options.vs.contains(&Peer::Rayon).then(|| rayon_peer::team(&setup.places)).transpose()?;
        let chunk = ((options.chunk << 10) as usize / size_of::<f64>()).max(1);
        Ok(Teams { processes, threads, rayon, shared, plain, chunk })
    }

    /// Names of the variants.
    fn names(&self) -> Vec<&'static str> {
        let mut names = vec![PROCESSES, SEAT, THREADS];
        names.extend(self.rayon.is_some().then_some(RAYON));
        names.push(SERIAL);
        names
    }

    /// Runs the four kernels in one variant.
    fn sweep(&mut self, variant: &str) -> Outcome<Sweep> {
        watchdog::note(format!("stream of {variant}"));
        match (variant, &self.rayon) {
            (SEAT, _) => {
                let _seat = self.processes.join_here()?;
                shared_sweep(&self.processes, &mut self.shared, self.chunk)
            }
            (PROCESSES, _) => shared_sweep(&self.processes, &mut self.shared, self.chunk),
            (THREADS, _) => shared_sweep(&self.threads, &mut self.shared, self.chunk),
            (RAYON, Some(team)) => Ok(team.install(|| rayon_sweep(&mut self.plain, self.chunk))),
            _ => Ok(serial_sweep(&mut self.plain)),
        }
    }

    /// Compares all arrays with the values that their sweeps should have left.
    fn verify(&self, who: &str) -> Outcome<()> {
        let (shared, plain) = (&self.shared, &self.plain);
        let slices = [shared.a.as_slice(), shared.b.as_slice(), shared.c.as_slice()];
        verify(slices, shared.sweeps).map_err(|what| format!("stream, {who}: shared arrays: {what}"))?;
        verify([&plain.a, &plain.b, &plain.c], plain.sweeps)
            .map_err(|what| format!("stream, {who}: vectors: {what}").into())
    }
}

fn shared_arrays(pool: &Pool, len: usize, huge: bool) -> Outcome<Arrays<SharedArray<f64>>> {
    let wish = if huge { HugePages::Try } else { HugePages::Auto };
    let options = ArrayOptions::new().huge_pages(wish);
    let mut arrays = Arrays {
        a: pool.zeros_with(len, &options)?,
        b: pool.zeros_with(len, &options)?,
        c: pool.zeros_with(len, &options)?,
        sweeps: 0,
    };
    pool.for_each((arrays.a.split_mut(), 0..len), |(a, range)| {
        a.iter_mut().zip(range).for_each(|(a, index)| *a = first(index));
    })?;
    pool.for_each((arrays.b.split_mut(), arrays.c.split_mut()), |(b, c)| {
        b.fill(2.0);
        c.fill(0.0);
    })?;
    Ok(arrays)
}

fn filled(len: usize, value: impl Fn(usize) -> f64) -> Vec<f64> {
    (0..len).map(value).collect()
}

fn shared_sweep(pool: &Pool, arrays: &mut Arrays<SharedArray<f64>>, chunk: usize) -> Outcome<Sweep> {
    let Arrays { a, b, c, sweeps } = arrays;
    *sweeps += 1;
    let launch = pool.launch().chunk(chunk);
    let mut sweep = Sweep::default();
    let mut lap = Lap::start(&mut sweep);
    launch.for_each((c.split_mut(), a.split()), |(c, a)| kernel::copy(c, a))?;
    lap.next(0);
    launch.for_each((b.split_mut(), c.split()), |(b, c)| kernel::scale(b, c))?;
    lap.next(1);
    launch.for_each((c.split_mut(), a.split(), b.split()), |(c, a, b)| kernel::add(c, a, b))?;
    lap.next(2);
    launch.for_each((a.split_mut(), b.split(), c.split()), |(a, b, c)| kernel::triad(a, b, c))?;
    lap.next(3);
    Ok(sweep)
}

fn rayon_sweep(arrays: &mut Arrays<Vec<f64>>, chunk: usize) -> Sweep {
    let Arrays { a, b, c, sweeps } = arrays;
    *sweeps += 1;
    let mut sweep = Sweep::default();
    let mut lap = Lap::start(&mut sweep);
    c.par_chunks_mut(chunk).zip(a.par_chunks(chunk)).for_each(|(c, a)| kernel::copy(c, a));
    lap.next(0);
    b.par_chunks_mut(chunk).zip(c.par_chunks(chunk)).for_each(|(b, c)| kernel::scale(b, c));
    lap.next(1);
    let sources = a.par_chunks(chunk).zip(b.par_chunks(chunk));
    c.par_chunks_mut(chunk).zip(sources).for_each(|(c, (a, b))| kernel::add(c, a, b));
    lap.next(2);
    let sources = b.par_chunks(chunk).zip(c.par_chunks(chunk));
    a.par_chunks_mut(chunk).zip(sources).for_each(|(a, (b, c))| kernel::triad(a, b, c));
    lap.next(3);
    sweep
}

fn serial_sweep(arrays: &mut Arrays<Vec<f64>>) -> Sweep {
    let Arrays { a, b, c, sweeps } = arrays;
    *sweeps += 1;
    let mut sweep = Sweep::default();
    let mut lap = Lap::start(&mut sweep);
    kernel::copy(c, a);
    lap.next(0);
    kernel::scale(b, c);
    lap.next(1);
    kernel::add(c, a, b);
    lap.next(2);
    kernel::triad(a, b, c);
    lap.next(3);
    sweep
}

/// Records how long each kernel took.
struct Lap<'a> {
    sweep: &'a mut Sweep,
    last: Instant,
}

impl<'a> Lap<'a> {
    fn start(sweep: &'a mut Sweep) -> Lap<'a> {
        Lap { sweep, last: Instant::now() }
    }

    fn next(&mut self, kernel: usize) {
        let now = Instant::now();
        self.sweep[kernel] = now - self.last;
        self.last = now;
    }
}

/// Compares every element with its value after so many sweeps.
fn verify(arrays: [&[f64]; 3], sweeps: usize) -> Result<(), String> {
    // Elements whose first value is equal stay equal.
    let period: Vec<[f64; 3]> = (0..1021).map(|index| after(first(index), sweeps)).collect();
    for (name, (which, array)) in ["a", "b", "c"].iter().zip(arrays.iter().enumerate()) {
        let wrong = array.iter().zip(period.iter().cycle()).position(|(got, want)| *got != want[which]);
        if let Some(index) = wrong {
            let want = period[index % period.len()][which];
            return Err(format!("{name}[{index}] is {} and should be {want}", array[index]));
        }
    }
    Ok(())
}

/// One element of each array after so many sweeps.
fn after(mut a: f64, sweeps: usize) -> [f64; 3] {
    let (mut b, mut c) = (2.0, 0.0);
    for _ in 0..sweeps {
        c = a;
        b = kernel::SCALAR * c;
        c = a + b;
        a = b + kernel::SCALAR * c;
    }
    [a, b, c]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn small() -> Arrays<Vec<f64>> {
        let len = 5000;
        Arrays { a: filled(len, first), b: filled(len, |_| 2.0), c: filled(len, |_| 0.0), sweeps: 0 }
    }

    #[test]
    fn sweeps_verify_and_one_wrong_element_does_not() {
        let mut arrays = small();
        for sweep in 0..5 {
            if sweep % 2 == 0 {
                serial_sweep(&mut arrays);
            } else {
                rayon_sweep(&mut arrays, 64);
            }
            assert_eq!(verify([&arrays.a, &arrays.b, &arrays.c], arrays.sweeps), Ok(()));
        }
        arrays.b[4321] += 1.0;
        let wrong = verify([&arrays.a, &arrays.b, &arrays.c], arrays.sweeps);
        assert!(wrong.is_err_and(|what| what.starts_with("b[4321]")));
    }

    #[test]
    fn values_stay_bounded() {
        assert!(after(1021.0, 10_000).iter().all(|value| value.is_finite()));
    }
}
