//! A Python and a Rust program on one array at the same time: no copies, each sees what the other writes.

mod array;
mod partner;

use clap::Parser;
use common::{Closing, Result, Team, bytes};
use partner::Partner;
use phalanx::{CancelToken, Pool, SharedArray};
use std::ops::Range;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

/// Works on one array together with a Python program: each has one half, then they change halves.
#[derive(Debug, Parser)]
#[command(
    name = "bridge",
    after_help = "Examples:\n  bridge\n  bridge --length 100M --rounds 20 --python /usr/bin/python3\n\n\
        Exit codes: 0 done (also where there is no such Python), 1 an element is wrong, 2 an option is wrong."
)]
struct Options {
    /// Elements of the array, 8 bytes each
    #[arg(long, default_value = "10M", value_parser = common::count)]
    length: u64,
    /// How often each program works on each half
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// The Python interpreter; NumPy is used if it has it
    #[arg(long, default_value = "python3")]
    python: String,
    /// A folder in memory for the array
    #[arg(long, default_value = "/dev/shm")]
    folder: PathBuf,
    #[command(flatten)]
    team: Team,
}

/// Round trips for which a handover is measured.
const HANDOVERS: u32 = 1000;

fn main() -> ExitCode {
    let options = Options::parse();
    common::run("bridge", || work(&options))
}

fn work(options: &Options) -> Result<()> {
    // The first Ctrl-C ends launches, and thereby the program in good order.
    let stop = CancelToken::on_ctrl_c()?;
    let len = usize::try_from(options.length)?;
    let pool = options.team.pool("bridge")?;
    let Some(mut partner) = Partner::start(&options.python)? else {
        common::outln!("skipped: there is no {}, so there is nobody to share the array with", options.python);
        return Ok(());
    };
    let folder = tempfile::tempdir_in(&options.folder)
        .map_err(|error| common::refuse(format!("{}: {error}", options.folder.display())))?;
    let path = folder.path().join("bridge.npy");
    let mut array = array::create(&path, len)?;
    partner.open(&path)?;
    // Both have it, so nobody needs its name: from here on nothing is left of it, however this program ends.
    folder.close()?;
    common::outln!("one array of {} in memory; the partner has {}", bytes(8 * options.length), partner.means);

    pool.for_each((array.split_out(), 0..len), |(part, indices)| {
        part.iter_mut().zip(indices).for_each(|(x, i)| *x = i as u64);
    })?;
    let begin = Instant::now();
    for _ in 0..HANDOVERS {
        partner.begin(0..0)?;
        partner.wait()?;
    }
    let handover = begin.elapsed().as_secs_f64() / f64::from(HANDOVERS);
    let mut bridge = Bridge { pool: &pool, array: &mut array, partner: &mut partner, stop: &stop };
    let begin = Instant::now();
    (0..options.rounds).try_for_each(|_| bridge.work_together())?;
    let together = begin.elapsed().as_secs_f64();
    let begin = Instant::now();
    (0..options.rounds).try_for_each(|_| bridge.take_turns())?;
    let turns = begin.elapsed().as_secs_f64();
    check(&pool, &array, 2 * options.rounds)?;
    common::outln!(
        "each element has been changed {} times by Rust and as often by Python, in turns",
        2 * options.rounds
    );
    common::outln!("handover    {:.1} us, there and back; no byte of the array is copied", 1e6 * handover);
    let done = 2.0 * f64::from(options.rounds) * len as f64;
    common::out!("{}", Closing::new(&pool, together, done, "elements").beside("taking turns", turns));
    Ok(())
}

/// Both programs, and what they share.
struct Bridge<'a> {
    pool: &'a Pool,
    array: &'a mut SharedArray<u64>,
    partner: &'a mut Partner,
    stop: &'a CancelToken,
}

impl Bridge<'_> {
    /// Each has one half at the same time; then they change.
    fn work_together(&mut self) -> Result<()> {
        let (low, high) = halves(self.array.len());
        for (ours, theirs) in [(low.clone(), high.clone()), (high, low)] {
            self.partner.begin(theirs)?;
            let done = self.change(ours);
            // It is waited for in any case: until then the rows are its own.
            self.partner.wait()?;
            done?;
        }
        Ok(())
    }

    /// The same, one after the other.
    fn take_turns(&mut self) -> Result<()> {
        let (low, high) = halves(self.array.len());
        for (ours, theirs) in [(low.clone(), high.clone()), (high, low)] {
            self.partner.begin(theirs)?;
            self.partner.wait()?;
            self.change(ours)?;
        }
        Ok(())
    }

    fn change(&mut self, rows: Range<usize>) -> Result<()> {
        let rows = self.array.range_mut(rows).split_mut();
        let kernel = |rows: &mut [u64]| rows.iter_mut().for_each(|x| *x = ours(*x));
        Ok(self.pool.launch().cancel(self.stop).for_each(rows, kernel)?)
    }
}

fn halves(len: usize) -> (Range<usize>, Range<usize>) {
    (0..len / 2, len / 2..len)
}

/// What Rust does to an element.
fn ours(x: u64) -> u64 {
    x.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(1)
}

/// What Python does to an element.
fn theirs(x: u64) -> u64 {
    x ^ x >> 7
}

/// Compares every element with what must have become of its index: in the lower half Rust was first.
fn check(pool: &Pool, array: &SharedArray<u64>, rounds: u32) -> Result<()> {
    let (low, high) = halves(array.len());
    let is_wrong = |(x, i): (u64, usize), (rounds, half): (u32, usize)| {
        let change = |x| if i < half { theirs(ours(x)) } else { ours(theirs(x)) };
        x != (0..rounds).fold(i as u64, |x, _| change(x))
    };
    let elements = (array.split(), 0..high.end);
    match pool.with((rounds, low.end)).position_first(elements, is_wrong)? {
        Some(at) => Err(format!("element {at} is wrong").into()),
        None => Ok(()),
    }
}
