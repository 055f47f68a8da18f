//! Summary statistics of a numeric dataset of any size, swept in place by pinned workers.
//!
//! Two or three passes over a memory-mapped file: `summary` (moments, extremes, table of bins), then `quantile` (the
//! few values around the percentiles). 8 and 16 bit elements need one, `tally`. `analysis` makes NumPy's numbers of
//! what the passes return, `sweep` is the border behind which they are run, `run` puts a whole run together.

mod analysis;
mod cli;
mod dataset;
mod dtype;
mod footprint;
mod header;
mod histogram;
mod input;
mod number;
mod quantile;
mod report;
mod run;
mod simd;
mod summary;
mod sweep;
mod synthetic;
mod tally;
#[cfg(test)]
mod tests;
mod verify;

use clap::Parser;
use std::io::Write as _;
use std::process::ExitCode;

/// Exit code for a file or option that cannot be used; clap ends with the same for options.
const WRONG_INPUT: u8 = 2;

fn main() -> ExitCode {
    let options = cli::Options::parse();
    match work(&options) {
        Ok(text) => {
            // A reader that closed the pipe has seen enough.
            let _ = std::io::stdout().lock().write_all(text.as_bytes());
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("stats: {why}");
            if why.is::<input::InputError>() { ExitCode::from(WRONG_INPUT) } else { ExitCode::FAILURE }
        }
    }
}

fn work(options: &cli::Options) -> sweep::Result<String> {
    let path = match &options.file {
        Some(path) => path.clone(),
        None => dataset::synthetic(|path| {
            eprintln!("no file given: making 1 GiB of synthetic sensor readings once, {}", path.display());
        })?,
    };
    let input = input::Input::open(&path, options.raw.map(Into::into))?;
    if options.file.is_none() {
        eprintln!("no file given: using synthetic sensor readings, {}", path.display());
    }
    let outcome = run::run(&input, options)?;
    Ok(if options.json { outcome.to_json()? + "\n" } else { outcome.to_text() })
}
