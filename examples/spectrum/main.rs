//! The power spectral density of a long signal, by Welch's method over a mapped file.

mod plot;
mod signal;
mod welch;

use clap::{Args, Parser, Subcommand};
use common::{Closing, Result, Team, grouped, refuse};
use phalanx::CancelToken;
use signal::{AMPLITUDE, Signal, TONE};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;
use welch::{Spectrum, welch};

/// Power spectral density of a long signal: Welch's method, Hann windows that overlap by half.
#[derive(Debug, Parser)]
#[command(
    name = "spectrum",
    args_conflicts_with_subcommands = true,
    after_help = "Examples:\n  spectrum --samples 16M --plot psd.png\n  spectrum generate 256M signal.npy\n  \
        spectrum signal.npy --segment 4096 --tone 0.0713 --peer python3\n\n\
        The file must not be changed meanwhile.\n\
        Exit codes: 0 done, 1 a check failed, 2 the file or an option is wrong."
)]
struct Options {
    #[command(subcommand)]
    task: Option<Task>,
    #[command(flatten)]
    analysis: Analysis,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Write a signal: noise of deviation 1 and a tone of amplitude 0.1
    Generate {
        /// Number of samples
        #[arg(value_parser = common::count)]
        samples: u64,
        /// The .npy file
        file: PathBuf,
        #[command(flatten)]
        team: Team,
    },
}

#[derive(Debug, Args)]
struct Analysis {
    /// A .npy file of float32 [default: a generated signal, which is removed afterwards]
    file: Option<PathBuf>,
    /// Samples of the generated signal
    #[arg(long, default_value = "4M", value_parser = common::count, conflicts_with = "file")]
    samples: u64,
    /// Samples of a window, an even number
    #[arg(long, default_value = "4096", value_parser = common::count)]
    segment: u64,
    /// The frequency at which the peak must be, in cycles per sample
    #[arg(long)]
    tone: Option<f64>,
    /// Draw the spectrum into this file
    #[arg(long, value_name = "PNG")]
    plot: Option<PathBuf>,
    /// Afterwards compute the same with SciPy, by this Python
    #[arg(long, value_name = "PYTHON")]
    peer: Option<String>,
    #[command(flatten)]
    team: Team,
}

fn main() -> ExitCode {
    let options = Options::parse();
    common::run("spectrum", || {
        // The first Ctrl-C ends launches, and thereby the program in good order: no file is left half
        // written.
        let stop = CancelToken::on_ctrl_c()?;
        match &options.task {
            Some(Task::Generate { samples, file, team }) => {
                signal::generate(&team.pool("spectrum")?, *samples, file, &stop)?;
                common::outln!("{} samples, with a tone of {TONE} cycles per sample", grouped(*samples));
                Ok(())
            }
            None => analyse(&options.analysis, &stop),
        }
    })
}

fn analyse(options: &Analysis, stop: &CancelToken) -> Result<()> {
    if let Some(file) = &options.file {
        return analyse_file(options, file, options.tone, stop);
    }
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("signal.npy");
    signal::generate(&options.team.pool("spectrum")?, options.samples, &file, stop)?;
    analyse_file(options, &file, Some(TONE), stop)
}

fn analyse_file(options: &Analysis, file: &Path, tone: Option<f64>, stop: &CancelToken) -> Result<()> {
    let signal = Signal::open(file)?;
    let n = usize::try_from(options.segment)?;
    if n < 16 || n % 2 != 0 || n > signal.len() {
        let most = signal.len();
        return Err(refuse(format!("--segment {n}: an even number from 16 to the signal's {most} samples")));
    }
    let pool = options.team.pool("spectrum")?;
    let begin = Instant::now();
    let spectrum = welch(&pool, &signal, n, stop)?;
    let seconds = begin.elapsed().as_secs_f64();
    let closing = Closing::new(&pool, seconds, signal.len() as f64, "samples");
    let closing = closing.memory(&pool, signal.bytes.len() as u64);
    common::outln!(
        "{} samples, {} windows of {n}",
        grouped(signal.len() as u64),
        grouped(spectrum.windows as u64)
    );
    check(&spectrum, n, tone)?;

    let one = options.team.pool_of("spectrum", 1)?;
    let begin = Instant::now();
    if welch(&one, &signal, n, stop)? != spectrum {
        return Err("one worker has another result".into());
    }
    common::out!(
        "one worker has the same bits\n{}",
        closing.beside("one worker", begin.elapsed().as_secs_f64())
    );
    if let Some(path) = &options.plot {
        plot::draw(path, &spectrum.density)?;
    }
    options.peer.as_ref().map_or(Ok(()), |python| compare(python, file, n, &spectrum, pool.workers()))
}

/// Parseval's theorem, and the tone: its place and, if it is the planted one, its power.
fn check(spectrum: &Spectrum, n: usize, tone: Option<f64>) -> Result<()> {
    if spectrum.parseval.abs() > 1e-5 {
        return Err(format!("the transforms have {:e} more power than the windows", spectrum.parseval).into());
    }
    common::outln!("Parseval: windows and transforms have the same power");
    let bins = &spectrum.density[2..];
    let peak = 2 + (0..bins.len()).max_by(|a, b| bins[*a].total_cmp(&bins[*b])).unwrap_or(0);
    let frequency = peak as f64 / n as f64;
    common::outln!("peak at bin {peak}, {frequency:.5} cycles per sample");
    let Some(tone) = tone else { return Ok(()) };
    let planted = (tone * n as f64).round() as usize;
    if peak != planted {
        return Err(format!("a tone of {tone} would be at bin {planted}").into());
    }
    if tone == TONE {
        // White noise of variance 1 has a density of 2 on one side.
        let near = &spectrum.density[peak.saturating_sub(3)..(peak + 4).min(spectrum.density.len())];
        let power = near.iter().map(|density| density - 2.0).sum::<f64>() / n as f64;
        common::outln!("power of the tone: {power:.4}, planted {:.4}", AMPLITUDE * AMPLITUDE / 2.0);
        if (power / (AMPLITUDE * AMPLITUDE / 2.0) - 1.0).abs() > 0.2 {
            return Err("the power of the tone is not the planted one".into());
        }
    }
    Ok(())
}

fn compare(python: &str, file: &Path, n: usize, spectrum: &Spectrum, workers: usize) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let density = folder.path().join("density");
    std::fs::write(&density, bytemuck::cast_slice(&spectrum.density))?;
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/spectrum/welch.py");
    let numbers = [n, workers].map(|number| number.to_string());
    let status =
        Command::new(python).arg(script).arg(file).arg(&numbers[0]).arg(density).arg(&numbers[1]).status();
    let status = status.map_err(|error| refuse(format!("{python} cannot be started: {error}")))?;
    if status.success() { Ok(()) } else { Err(format!("{python}: {status}").into()) }
}
