//! Summary statistics of a numeric dataset of any size, swept in place by pinned workers.
//!
//! Two or three passes over a memory-mapped file, by the kernels of `phalanx_kernels::profile`: `summarise`
//! (moments, extremes, table of bins), then `refine` and `gather` (the few values around the percentiles),
//! which `quantile` steers. 8 and 16 bit elements need one, `tally`. `analysis` computes NumPy's numbers from
//! what the passes return. `sweep` hides who runs them: the engine, in `team`, or one thread.

mod analysis;
mod cli;
mod dataset;
mod dtype;
mod header;
mod histogram;
mod input;
mod quantile;
mod report;
mod run;
mod sweep;
mod synthetic;
mod team;
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
    let raw = options.raw.map(Into::into);
    // Wrong files are refused before any worker starts.
    let given = options.file.as_ref().map(|path| input::Input::open(path, raw)).transpose()?;
    let pool = options.team.pool("stats")?;
    let input = match given {
        Some(input) => input,
        None => {
            let path = dataset::synthetic(&pool, |path| {
                eprintln!(
                    "no file given: making 1 GiB of synthetic sensor readings once, {}",
                    path.display()
                );
            })?;
            eprintln!("no file given: using synthetic sensor readings, {}", path.display());
            input::Input::open(&path, None)?
        }
    };
    let outcome = run::run(&input, &pool, !options.no_verify)?;
    Ok(if options.json { outcome.to_json()? + "\n" } else { outcome.to_text() })
}
