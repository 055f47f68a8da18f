//! The One Billion Row Challenge: lowest, mean and highest temperature of each station in a file of any size.
//!
//! The file is mapped and cut at ends of lines. Workers sum the parts in a table each (`table`), by whole
//! numbers of tenths; the driver adds up what they found (`totals`). A plain pass in one thread checks it.

mod generate;
mod line;
mod table;
#[cfg(test)]
mod tests;
mod totals;
mod word;

use clap::{Parser, Subcommand};
use common::{Closing, Meter, Result, Team};
use generate::Weather;
use line::BadLine;
use phalanx::{Pool, SharedArray, TryError};
use rustc_hash::FxHashMap;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;
use table::{LARGEST_PART, Table, cuts};
use totals::{Found, Summary, Totals};

/// Parts of the text per worker: more share the work better, fewer have less to add up.
const PARTS_PER_WORKER: usize = 8;
/// Bytes of a part in a small text: enough that its table is not most of the work.
const SMALL_PART: usize = 1 << 20;

#[derive(Parser)]
#[command(
    name = "weather",
    about = "The One Billion Row Challenge: lowest, mean and highest temperature of each station",
    long_about = "The One Billion Row Challenge: lowest, mean and highest temperature of each station, from lines \
        `station;temperature`. Standard output has the official line, `{Abha=-23.0/18.0/59.2, ...}`, in the order of \
        the names' bytes. Means are rounded to the nearest tenth, halves towards positive infinity.\n\n\
        A name has 1 to 100 bytes of UTF-8, a temperature is from -99.9 to 99.9 with one decimal. Lines may end with \
        CR LF; the last may lack its end. The file must not be changed while the program runs.",
    after_help = "Examples:\n  \
        weather generate 100M measurements.txt\n  \
        weather measurements.txt > result.txt\n  \
        weather --rows 1M --stations 10000\n\n\
        Exit codes: 0 done, 1 the check against a plain pass failed or a worker died, 2 a line, the file or an option \
        is wrong.",
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true
)]
struct Options {
    #[command(subcommand)]
    command: Option<Command>,

    /// The lines
    #[arg(value_name = "FILE", required_unless_present = "rows")]
    file: Option<PathBuf>,

    /// Make N rows in memory instead
    #[arg(long, value_name = "N", value_parser = common::count, conflicts_with = "file")]
    rows: Option<u64>,

    /// Of K stations with made-up names [default: some 400 cities]
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u32).range(1..=10_000), requires = "rows")]
    stations: Option<u32>,

    /// Leave out the plain pass that checks the result and that the speed-up is measured with
    #[arg(long)]
    no_verify: bool,

    #[command(flatten)]
    team: Team,
}

#[derive(Subcommand)]
enum Command {
    /// Write a file of rows, the same for any number of workers
    Generate {
        /// Number of rows
        #[arg(value_name = "N", value_parser = common::count)]
        rows: u64,

        /// The file
        file: PathBuf,

        /// Of K stations with made-up names [default: some 400 cities]
        #[arg(long, value_name = "K", value_parser = clap::value_parser!(u32).range(1..=10_000))]
        stations: Option<u32>,

        #[command(flatten)]
        team: Team,
    },
}

fn main() -> ExitCode {
    common::run("weather", || {
        let options = Options::parse();
        match &options.command {
            Some(Command::Generate { rows, file, stations, team }) => {
                let pool = team.pool("weather")?;
                let start = Instant::now();
                let weather = Weather::new(*rows, stations.map(|it| it as usize));
                let len = weather.in_file(&pool, file)?;
                eprintln!("{} rows, {}", common::grouped(*rows), common::bytes(len));
                eprint!("{}", Closing::new(&pool, start.elapsed().as_secs_f64(), len as f64, "B"));
                Ok(())
            }
            None => compute(&options),
        }
    })
}

fn compute(options: &Options) -> Result<()> {
    if let Some(path) = &options.file {
        // Wrong files are refused before any worker starts.
        return match common::map_bytes(path)? {
            Some(text) => report(options, &options.team.pool("weather")?, &text),
            None => {
                common::outln!("{}", Totals::default());
                Ok(())
            }
        };
    }
    let pool = options.team.pool("weather")?;
    let weather = Weather::new(options.rows.unwrap_or_default(), options.stations.map(|it| it as usize));
    report(options, &pool, &weather.in_memory(&pool)?)
}

/// Prints the result, then what it cost on standard error, after the check.
fn report(options: &Options, pool: &Pool, text: &SharedArray<u8>) -> Result<()> {
    let start = Instant::now();
    let totals = totals(pool, text)?;
    let seconds = start.elapsed().as_secs_f64();
    let closing = Closing::new(pool, seconds, totals.rows() as f64, "rows");
    let mut closing = closing.memory(pool, text.len() as u64);
    let mut out = std::io::stdout().lock();
    // A reader that closed the pipe has seen enough.
    let _ = writeln!(out, "{totals}").and_then(|()| out.flush());
    if !options.no_verify {
        let start = Instant::now();
        let plain = plain_pass(text.as_slice())?;
        closing = closing.beside("a plain pass in one thread", start.elapsed().as_secs_f64());
        if let Some(difference) = totals.difference(&plain) {
            return Err(
                format!("the result differs from a plain pass: {difference}; please report this").into()
            );
        }
    }
    eprintln!("rows        {} of {} stations", common::grouped(totals.rows()), common::grouped(totals.len()));
    eprint!("{closing}");
    Ok(())
}

/// What the workers find in all lines of a text.
fn totals(pool: &Pool, text: &SharedArray<u8>) -> Result<Totals> {
    let parts = (PARTS_PER_WORKER * pool.workers()).min(text.len() / SMALL_PART + 1);
    let parts = parts.max(text.len() / LARGEST_PART + 1);
    let cuts = cuts(text.as_slice(), parts);
    let meter = Meter::new("sum up", text.len() as u64);
    let tell = meter.follow(text.len() as u64);
    let mut totals = Totals::default();
    let first = pool.launch().retry(1).progress(&tell).try_fold(
        text.split_at(&cuts),
        Found::default,
        |found, part| {
            let mut table = Table::new();
            table.scan(part)?;
            table.append_to(found);
            Ok::<(), BadLine>(())
        },
        // Runs here, for all parts but the first, and may capture.
        |_, found| totals.add_all(&found),
    );
    let first = first.map_err(|error| match error {
        TryError::Kernel { span, error, .. } => {
            common::refuse(BadLine { at: cuts[span.range().start] + error.at, ..error }.to_string())
        }
        other => other.into(),
    })?;
    totals.add_all(&first);
    Ok(totals)
}

/// The same in this thread, line by line.
fn plain_pass(text: &[u8]) -> Result<Totals> {
    let meter = Meter::new("check", text.len() as u64);
    let mut stations: FxHashMap<&[u8], Summary> = FxHashMap::default();
    let mut rest = text;
    while !rest.is_empty() {
        let before = rest.len();
        for _ in 0..1 << 16 {
            if rest.is_empty() {
                break;
            }
            let line = line::read(rest)?;
            let summary = Summary::of(line.tenths);
            stations.entry(line.name).and_modify(|known| known.add(&summary)).or_insert(summary);
            rest = &rest[line.len..];
        }
        meter.advance((before - rest.len()) as u64);
    }
    let mut totals = Totals::default();
    for (name, summary) in stations {
        totals.add(line::checked_name(name)?, &summary);
    }
    Ok(totals)
}
