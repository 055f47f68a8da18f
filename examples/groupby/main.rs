//! Count, mean, extremes and quantiles of each group of a CSV file of any size.
//!
//! The file is mapped and cut where records begin, by `phalanx_kernels::records`. Each worker folds whole
//! records into a map of groups; maps are merged in order, so the result has the same bits for any number of
//! workers. The `csv` crate checks it in one thread.

mod bins;
mod generate;
mod groups;
mod rows;
#[cfg(test)]
mod tests;

use clap::{Parser, Subcommand};
use common::{Closing, Meter, Result, Team, bytes, count, grouped, map_bytes, refuse};
use groups::Groups;
use phalanx::{Pool, SharedArray, TryError};
use phalanx_kernels::records::Records;
use rows::{Wrong, by_the_library, each_row, number};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

/// Bytes of a part, and the most parts. Each part has its own map, so there should not be too many.
const PART: usize = 4 << 20;
const MOST_PARTS: usize = 64;

/// Count, mean, extremes and quantiles of each group of a CSV file of any size.
///
/// Fields are those of RFC 4180, in UTF-8; lines end with LF or CRLF. Quantiles are within 0.4%.
/// The file must not be changed while the program runs.
///
/// Exit codes: 0 done, 1 a wrong result or a failure, 2 a file or option that cannot be used.
#[derive(Debug, Parser)]
#[command(args_conflicts_with_subcommands = true)]
struct Options {
    #[command(subcommand)]
    command: Option<Command>,

    /// The file, whose first record names the columns [default: one is made, of --rows rows]
    file: Option<PathBuf>,

    /// Rows of the file that is made if no FILE is named
    #[arg(long, value_name = "N", value_parser = count, default_value = "1M")]
    rows: u64,

    /// Name of the column with a row's group
    #[arg(long, value_name = "COLUMN", default_value = "city")]
    key: String,

    /// Name of the column of numbers; a cell may be empty
    #[arg(long, value_name = "COLUMN", default_value = "price")]
    value: String,

    /// Groups to show, those with most rows first
    #[arg(long, value_name = "N", value_parser = count, default_value = "10")]
    top: u64,

    /// Quantiles to show, such as 0.5,0.99
    #[arg(long, value_name = "SHARES", value_delimiter = ',', default_value = "0.5,0.9,0.99")]
    quantiles: Vec<f64>,

    /// Show no quantiles, which is faster
    #[arg(long)]
    no_quantiles: bool,

    /// Leave out the check by the `csv` crate in one thread
    #[arg(long)]
    no_check: bool,

    #[command(flatten)]
    team: Team,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write a file of sales to try the program on
    Generate {
        /// Rows, such as 30M
        #[arg(value_parser = count)]
        rows: u64,
        /// The file to write
        file: PathBuf,
        #[command(flatten)]
        team: Team,
    },
}

fn main() -> ExitCode {
    let mut options = Options::parse();
    if options.no_quantiles {
        options.quantiles.clear();
    }
    common::run("groupby", || work(&options))
}

fn work(options: &Options) -> Result<()> {
    if let Some(Command::Generate { rows, file, team }) = &options.command {
        return generate::generate(&team.pool("groupby")?, *rows, file);
    }
    if let Some(share) = options.quantiles.iter().find(|share| !(0.0..=1.0).contains(*share)) {
        return Err(refuse(format!("--quantiles: {share} is no share from 0 to 1")));
    }
    let pool = options.team.pool("groupby")?;
    let (text, what) = match &options.file {
        Some(path) => (map_bytes(path)?, path.display().to_string()),
        None => {
            let folder = tempfile::tempdir()?;
            let path = folder.path().join("made");
            generate::generate(&pool, options.rows, &path)?;
            // The file stays as long as it is mapped; its name goes with the folder.
            (map_bytes(&path)?, format!("{} rows made for this run", grouped(options.rows)))
        }
    };
    match text.as_deref() {
        Some(text) => report(options, &pool, text, &what),
        None => Err(refuse(format!("{what}: the file is empty"))),
    }
}

/// The columns of a table, and where its rows begin.
struct Table {
    columns: usize,
    wanted: [usize; 2],
    rows_at: usize,
}

impl Table {
    /// Reads the header and finds the columns.
    fn new(text: &[u8], key: &str, value: &str) -> Result<Table> {
        let fails = |error: csv::Error| refuse(format!("the header cannot be read: {error}"));
        let mut reader = csv::Reader::from_reader(text);
        let names = reader.headers().map_err(fails)?.clone();
        let find = |wanted: &str| match names.iter().position(|name| name == wanted) {
            Some(at) => Ok(at),
            None => {
                let names = names.iter().collect::<Vec<_>>().join(", ");
                Err(refuse(format!("no column is named {wanted:?}; there are: {names}")))
            }
        };
        let wanted = [find(key)?, find(value)?];
        // What was read ahead is not counted, but a `\n` behind a `\r` may be left.
        let mut rows_at = usize::try_from(reader.position().byte())?;
        rows_at += usize::from(text.get(rows_at) == Some(&b'\n') && text[rows_at - 1] == b'\r');
        Ok(Table { columns: names.len(), wanted, rows_at })
    }
}

fn report(options: &Options, pool: &Pool, text: &SharedArray<u8>, what: &str) -> Result<()> {
    let table = Table::new(text.as_slice(), &options.key, &options.value)?;
    let (start, in_bins) = (Instant::now(), !options.quantiles.is_empty());
    let groups = group(pool, text, &table, in_bins)?;
    let seconds = start.elapsed().as_secs_f64();
    common::outln!("data        {what}, {}", bytes(text.len() as u64));
    common::outln!("groups      {} of {} rows", grouped(groups.len() as u64), grouped(groups.rows));
    print_top(options, &groups);
    let mut closing = Closing::new(pool, seconds, text.len() as f64, "bytes").memory(pool, text.len() as u64);
    if !options.no_check {
        let start = Instant::now();
        if let Some(why) = groups.difference(&by_the_crate(text.as_slice(), &table, in_bins)?) {
            return Err(format!("the csv crate in one thread found other groups: {why}").into());
        }
        common::outln!("verified    the csv crate in one thread found the same groups");
        closing = closing.beside("the csv crate in one thread", start.elapsed().as_secs_f64());
    }
    common::out!("{closing}");
    Ok(())
}

/// All groups, by the workers.
fn group(pool: &Pool, text: &SharedArray<u8>, table: &Table, in_bins: bool) -> Result<Groups> {
    let parts = (text.len() / PART).clamp(1, MOST_PARTS);
    let mut cuts = Records::csv().cuts(pool, text, parts)?;
    cuts.iter_mut().for_each(|cut| *cut = table.rows_at.max(*cut));
    let meter = Meter::new("grouping", text.len() as u64);
    let tell = meter.follow(text.len() as u64);
    let groups = pool.launch().retry(2).progress(&tell).try_fold(
        (text.split_at(&cuts), table.columns, table.wanted, in_bins),
        Groups::default,
        |groups, (text, columns, wanted, in_bins)| {
            each_row(text, columns, wanted, |[key, value]| {
                let (text, value) = (value.text(), number(&value.text()));
                if value.is_none() && !text.is_empty() {
                    return Err(format!("{:?} is no number", String::from_utf8_lossy(&text)));
                }
                groups.add(&key.text(), value, in_bins).map_err(|error| format!("the key: {error}"))
            })
        },
        Groups::merge,
    );
    groups.map_err(|error| match error {
        TryError::Kernel { span, error: Wrong { at, why }, .. } => {
            refuse(format!("record at byte {}: {why}", cuts[span.lo] + at))
        }
        error => error.into(),
    })
}

/// The same by the `csv` crate and the standard library, in this thread.
fn by_the_crate(text: &[u8], table: &Table, in_bins: bool) -> Result<Groups> {
    let mut reader = csv::Reader::from_reader(text);
    let (mut groups, mut record) = (Groups::default(), csv::ByteRecord::new());
    let [key, value] = table.wanted;
    while reader.read_byte_record(&mut record)? {
        groups.add(&record[key], by_the_library(&record[value]), in_bins)?;
    }
    Ok(groups)
}

fn print_top(options: &Options, groups: &Groups) {
    let shares = options.quantiles.iter().map(|share| format!(" {:>10}", format!("q{share}")));
    let heads: String = shares.collect();
    common::outln!(
        "{:<24} {:>11} {:>8} {:>10} {:>10}{heads} {:>10}",
        options.key,
        "count",
        "empty",
        "mean",
        "min",
        "max"
    );
    for (key, group) in groups.by_size().into_iter().take(options.top as usize) {
        let key: String = key.chars().take(24).map(|c| if c.is_control() { ' ' } else { c }).collect();
        let quantiles: String =
            group.quantiles(&options.quantiles).iter().map(|value| format!(" {value:>10.2}")).collect();
        let [min, max] = if group.count == 0 { [f64::NAN; 2] } else { [group.min, group.max] };
        common::outln!(
            "{key:<24} {:>11} {:>8} {:>10.3} {min:>10.2}{quantiles} {max:>10.2}",
            grouped(group.count),
            grouped(group.empty),
            group.mean()
        );
    }
}
