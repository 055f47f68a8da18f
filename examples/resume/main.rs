//! A long job that goes on where it was, whoever was killed: a picture of Lyapunov exponents, row by row,
//! with a journal beside it.
//!
//! `sweep` computes a row, `rehearsal` kills the program again and again and compares.

mod rehearsal;
mod sweep;

use clap::Parser;
use common::{Closing, Draft, Result, Team, count, refuse};
use indicatif::ProgressBar;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;
use sweep::{Row, exponents};

/// A picture of Lyapunov exponents, whose rows are kept in a journal until it is whole.
#[derive(Debug, Parser)]
#[command(
    name = "resume",
    after_help = "Examples:\n  \
        resume --pixels 2000 --steps 40000 zircon.png\n  \
        resume --rehearse 20\n\n\
        Kill it at any moment, by Ctrl-C, kill -9 or the power switch, and give the same command again.\n\
        Exit codes: 0 done, 1 the check or a row failed, 2 a file or an option is wrong."
)]
pub struct Options {
    /// The picture (PNG). The journal lies beside it, as FILE.journal, until the picture is whole
    #[arg(value_name = "FILE", required_unless_present = "rehearse")]
    pub file: Option<PathBuf>,

    /// Width and height of the picture
    #[arg(long, value_name = "N", default_value = "800", value_parser = count)]
    pub pixels: u64,

    /// Steps of the sequence for each pixel
    #[arg(long, value_name = "N", default_value = "4000", value_parser = count)]
    pub steps: u64,

    /// Keep the journal when the picture is whole
    #[arg(long)]
    pub keep: bool,

    /// Start this program N times and kill it at random moments, then let it finish and compare
    #[arg(long, value_name = "N", conflicts_with = "file")]
    pub rehearse: Option<u32>,

    /// What the workers are
    #[command(flatten)]
    pub team: Team,
}

fn main() -> ExitCode {
    common::run("resume", || {
        let options = Options::parse();
        if !(1..=30_000).contains(&options.pixels) || !(1..=1_000_000_000).contains(&options.steps) {
            return Err(refuse("--pixels is 1 to 30k, --steps is 1 to 1G"));
        }
        match (options.rehearse, &options.file) {
            (Some(kills), _) => rehearsal::rehearse(&options, kills),
            (None, Some(file)) => paint(&options, file),
            (None, None) => Err(refuse("no file was given")),
        }
    })
}

fn journal_of(picture: &Path) -> PathBuf {
    picture.with_added_extension("journal")
}

fn paint(options: &Options, file: &Path) -> Result<()> {
    // Refused now and not after hours.
    drop(Draft::create(file)?);
    let (pixels, steps) = (options.pixels as usize, options.steps as usize);
    let pool = options.team.pool("resume")?;
    let start = Instant::now();
    // The progress of what is left: rows from the journal do not count.
    let bar = ProgressBar::new(options.pixels);
    let (rows, shown) = ((0..pixels).map(|number| Row { number, pixels, steps }), bar.clone());
    let progress = move |done: usize, left: Option<usize>| {
        shown.set_length(left.unwrap_or(done) as u64);
        shown.set_position(done as u64);
    };
    let journal = journal_of(file);
    let rows = pool.tasks().chunksize(1).progress(progress).journal(&journal).map(exponents, rows);
    bar.finish_and_clear();
    let rows = rows.map_err(|error| -> Box<dyn std::error::Error> {
        match error {
            phalanx::task::JournalError::Task(_) => error.into(),
            other => refuse(other.to_string()),
        }
    })?;
    // What came from the file is what would be computed now.
    let middle = Row { number: pixels / 2, pixels, steps };
    if !exponents(middle).iter().zip(&rows[middle.number]).all(|(now, then)| now.to_bits() == then.to_bits())
    {
        return Err("the middle row is not what is computed now; please report this".into());
    }
    let seconds = start.elapsed().as_secs_f64();
    let rgb: Vec<u8> = rows.iter().flatten().flat_map(|exponent| colour(*exponent)).collect();
    common::picture::write_rgb(file, pixels, pixels, &rgb)?;
    if !options.keep {
        std::fs::remove_file(&journal)?;
    }
    let ran = bar.position() as usize;
    let mut out = std::io::stdout().lock();
    writeln!(out, "picture     {}, {pixels} x {pixels} pixels, {steps} steps each", file.display())?;
    writeln!(out, "rows        {ran} computed, {} from the journal", pixels - ran)?;
    writeln!(
        out,
        "digest      {:016x}; the middle row was computed again, with the same bits",
        digest(&rows)
    )?;
    write!(out, "{}", Closing::new(&pool, seconds, (ran * pixels * steps) as f64, "steps"))?;
    Ok(())
}

/// Blue, the darker the faster the sequence settles; chaos in shades of sand.
fn colour(exponent: f64) -> [u8; 3] {
    let mix = |from: [f64; 3], to: [f64; 3], t: f64| {
        std::array::from_fn(|i| (from[i] + (to[i] - from[i]) * t.clamp(0.0, 1.0)) as u8)
    };
    match exponent {
        chaos if chaos > 0.0 => mix([70.0, 52.0, 30.0], [250.0, 236.0, 200.0], chaos / 0.45),
        settles => mix([240.0, 248.0, 255.0], [8.0, 20.0, 60.0], (-settles / 2.0).sqrt()),
    }
}

/// A number for the bits of all rows (FNV-1a).
fn digest(rows: &[Vec<f64>]) -> u64 {
    let bytes = rows.iter().flatten().flat_map(|exponent| exponent.to_bits().to_le_bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
