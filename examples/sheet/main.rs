//! What does it cost to evaluate a million spreadsheet expressions serially, through a pool, and a few of
//! them with a process each?
//!
//! Usage: `sheet [--rows N] [--workers N] [--processes N] [--short [--always-out]]`. Results go to standard
//! output and are the same in every run; times go to standard error.

mod eval;
mod parse;
mod rows;
#[cfg(test)]
mod tests;

use clap::Parser;
use eval::{Cell, Row, evaluate};
use indicatif::{ProgressBar, ProgressStyle};
use parse::Kind;
use phalanx::{Pool, Process};
use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::{Duration, Instant};

type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

/// Rows of the comparison of short calls.
const SHORT_ROWS: usize = 100;
/// How often each side of it is timed.
const ROUNDS: usize = 201;
/// What the pool may cost there, relative to the serial time.
const MOST: f64 = 1.2;
/// Rows that are shown.
const SHOWN: usize = 8;
/// Rows between two updates of the bar of serial work.
const STEP: usize = 1 << 14;

/// Evaluates spreadsheet expressions over the columns a, b, c and d of each row: serially, through a pool,
/// and a few with a process each.
#[derive(Parser)]
struct Arguments {
    /// How many expressions.
    #[arg(long, default_value_t = 1_000_000, conflicts_with = "short")]
    rows: usize,
    /// How many workers; by default one per core.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    workers: Option<u16>,
    /// Number of expressions that are evaluated in a process of their own.
    #[arg(long, default_value_t = 20, conflicts_with = "short")]
    processes: usize,
    /// Time 100 short expressions instead, many times over: the pool notices that workers would be slower,
    /// and calls inline.
    #[arg(long)]
    short: bool,
    /// Also time a pool that always uses its workers.
    #[arg(long, requires = "short")]
    always_out: bool,
}

fn main() -> Outcome {
    let arguments = Arguments::parse();
    let began = Instant::now();
    let pool = Pool::builder();
    let pool = match arguments.workers {
        Some(workers) => pool.workers(workers.into()),
        None => pool,
    };
    let pool = pool.build()?;
    eprintln!("{}; started in {:.1} ms", pool.reason(), began.elapsed().as_secs_f64() * 1e3);
    if arguments.short {
        short(&pool, arguments.always_out)
    } else {
        long(&pool, arguments.rows, arguments.processes)
    }
}

// ------------------------------------------------------------------------------------------------- a million

fn long(pool: &Pool, count: usize, processes: usize) -> Outcome {
    let bar = bar("rows", count);
    let rows: Vec<Row> = (0..count).map(rows::row).inspect(stepping(&bar)).collect();
    bar.finish_and_clear();
    println!("{count} expressions over the columns a, b, c and d");

    let (serial, serially) = timed(rows.clone(), |rows| Ok(serially(rows, "serial")))?;
    show(&rows, &serial);
    let (pooled, through_pool) = timed(rows.clone(), |rows| through_pool(pool, rows))?;
    same("the pool", &rows, &serial, &pooled)?;
    let few = rows[..processes.min(count)].to_vec();
    let (forked, by_processes) = timed(few, by_processes)?;
    same("a process each", &rows, &serial, &forked)?;

    let workers = pool.workers();
    let mut table = Table::new("seconds", serially, count);
    table.row("serial", serially, count);
    table.row(&format!("pool, {workers} worker{}", if workers == 1 { "" } else { "s" }), through_pool, count);
    table.row("a process each", by_processes, forked.len());
    Ok(())
}

/// Returns the results of `run` for the rows, and how long it took.
fn timed(rows: Vec<Row>, run: impl FnOnce(Vec<Row>) -> Outcome<Vec<Cell>>) -> Outcome<(Vec<Cell>, Duration)> {
    let began = Instant::now();
    let cells = run(rows)?;
    Ok((cells, began.elapsed()))
}

fn serially(rows: Vec<Row>, what: &'static str) -> Vec<Cell> {
    let bar = bar(what, rows.len());
    let cells = rows.into_iter().map(evaluate).inspect(stepping(&bar)).collect();
    bar.finish_and_clear();
    cells
}

fn through_pool(pool: &Pool, rows: Vec<Row>) -> Outcome<Vec<Cell>> {
    let bar = bar("pool", rows.len());
    let watched = bar.clone();
    let tasks = pool.tasks().progress(move |done, _all| watched.set_position(done as u64));
    let cells = tasks.map(evaluate, rows)?;
    bar.finish_and_clear();
    Ok(cells)
}

fn by_processes(rows: Vec<Row>) -> Outcome<Vec<Cell>> {
    let started = rows.into_iter().map(|row| Process::spawn(evaluate, row)).collect::<Result<Vec<_>, _>>()?;
    Ok(started.iter().map(Process::join).collect::<Result<_, _>>()?)
}

/// A bar on standard error, if that is a terminal.
fn bar(what: &'static str, count: usize) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg:8} {wide_bar} {human_pos}/{human_len} {eta}");
    let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(count as u64).with_message(what).with_style(style)
}

/// Returns a closure that advances the bar once every `STEP` items.
fn stepping<T>(bar: &ProgressBar) -> impl FnMut(&T) {
    let (bar, mut done) = (bar.clone(), 0);
    move |_| {
        done += 1;
        if done % STEP == 0 {
            bar.inc(STEP as u64);
        }
    }
}

// -------------------------------------------------------------------------------------------- 100 short ones

fn short(pool: &Pool, with_always_out: bool) -> Outcome {
    let rows: Vec<Row> = (0..SHORT_ROWS).map(rows::short_row).collect();
    println!("{SHORT_ROWS} short expressions over the columns a, b, c and d");
    let serial: Vec<Cell> = rows.iter().cloned().map(evaluate).collect();
    show(&rows, &serial);
    // The pool has not measured the function yet: this call runs in workers.
    same("the pool", &rows, &serial, &pool.map(evaluate, rows.clone())?)?;
    if with_always_out {
        same("always out", &rows, &serial, &pool.tasks().always_out().map(evaluate, rows.clone())?)?;
    }
    let (mut serially, mut pooled, mut out) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let serial = |rows: Vec<Row>| Ok(rows.into_iter().map(evaluate).collect());
        serially.push(timed(black_box(rows.clone()), serial)?.1);
        pooled.push(timed(black_box(rows.clone()), |rows| Ok(pool.map(evaluate, rows)?))?.1);
        if with_always_out {
            let always_out = |rows| Ok(pool.tasks().always_out().map(evaluate, rows)?);
            out.push(timed(black_box(rows.clone()), always_out)?.1);
        }
    }
    let (serially, pooled) = (median(&mut serially), median(&mut pooled));
    let mut table = Table::new("median s", serially, SHORT_ROWS);
    table.row("serial", serially, SHORT_ROWS);
    table.row("pool", pooled, SHORT_ROWS);
    if with_always_out {
        table.row("pool, always out", median(&mut out), SHORT_ROWS);
    }
    let ratio = pooled.as_secs_f64() / serially.as_secs_f64();
    let holds = if ratio <= MOST { "holds" } else { "does NOT hold" };
    eprintln!("the pool costs at most {MOST} times the serial time: {holds} ({ratio:.2}, {ROUNDS} rounds)");
    Ok(())
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

// ------------------------------------------------------------------------------------------- what is printed

/// Times side by side.
struct Table {
    serial: f64,
}

impl Table {
    fn new(unit: &str, serial: Duration, count: usize) -> Table {
        eprintln!("{:18} {unit:>10} {:>14} {:>10}", "", "us/expression", "of serial");
        Table { serial: serial.as_secs_f64() / count.max(1) as f64 }
    }

    fn row(&mut self, what: &str, time: Duration, count: usize) {
        let seconds = time.as_secs_f64();
        let each = seconds / count.max(1) as f64;
        let ratio = each / self.serial;
        eprintln!("{what:18} {seconds:>10.6} {:>14.3} {ratio:>10.2}  ({count} expressions)", each * 1e6);
    }
}

/// The first rows, the faults by kind, and a checksum of all.
fn show(rows: &[Row], cells: &[Cell]) {
    for ((text, columns), cell) in rows.iter().zip(cells).take(SHOWN) {
        let shown = cell.as_ref().map_or_else(ToString::to_string, f64::to_string);
        println!("  {columns:?}  {text}  =  {shown}");
    }
    let mut faults = BTreeMap::<String, (usize, usize)>::new();
    for (number, fault) in cells.iter().enumerate().filter_map(|(n, cell)| Some((n, cell.as_ref().err()?))) {
        let of_kind = match &fault.kind {
            Kind::Unexpected(_) | Kind::Ended => "bad syntax".to_owned(),
            kind => kind.to_string(),
        };
        faults.entry(of_kind).or_insert((0, number)).0 += 1;
    }
    let failed: usize = faults.values().map(|(count, _)| count).sum();
    println!("{} values, {failed} faults, checksum {:016x}", cells.len() - failed, checksum(cells));
    for (kind, (count, first)) in faults {
        let text = &rows[first].0;
        let fault = cells[first].as_ref().err().map(ToString::to_string).unwrap_or_default();
        println!("  {count} times {kind}, first in row {first}: {text}  =  {fault}");
    }
}

/// FNV-1a over all bits of all results.
fn checksum(cells: &[Cell]) -> u64 {
    let mix = |sum: u64, byte: &u8| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    cells.iter().fold(0xcbf2_9ce4_8422_2325, |sum, cell| match cell {
        Ok(value) => value.to_bits().to_le_bytes().iter().fold(sum, mix),
        Err(fault) => fault.to_string().as_bytes().iter().fold(sum, mix),
    })
}

fn is_same(one: &Cell, other: &Cell) -> bool {
    match (one, other) {
        (Ok(one), Ok(other)) => one.to_bits() == other.to_bits(),
        (one, other) => one == other,
    }
}

/// Compares bit by bit; `cells` may be those of the first rows only.
fn same(what: &str, rows: &[Row], serial: &[Cell], cells: &[Cell]) -> Outcome {
    if let Some(row) = cells.iter().zip(serial).position(|(one, other)| !is_same(one, other)) {
        let (text, one, other) = (&rows[row].0, &cells[row], &serial[row]);
        return Err(format!("row {row}, {text}: {one:?} through {what}, {other:?} serially").into());
    }
    println!("{what}: the same {} results", cells.len());
    Ok(())
}
