//! One run over one dataset: the passes by the team, then the serial pass that checks them.

use crate::analysis::{Statistics, Value, analyse, analyse_small};
use crate::cli::Options;
use crate::dtype::by_dtype;
use crate::footprint::pss_bytes;
use crate::input::Input;
use crate::number::Number;
use crate::report::Outcome;
use crate::sweep::{Progress, Result, Serial};
use crate::tally::Small;
use crate::verify::difference;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::time::Instant;

/// Data below this is done before a progress bar can be read.
const LONG_RUN_BYTES: u64 = 4 << 30;

fn serial_small<T: Small>(input: &Input, progress: Progress) -> Result<Statistics> {
    analyse_small(&mut Serial::new(input.elements::<T>(), progress))
}

fn serial_large<T: Number>(
    input: &Input,
    progress: Progress,
    to_value: fn(T) -> Value,
) -> Result<Statistics> {
    analyse(&mut Serial::new(input.elements::<T>(), progress), to_value)
}

/// All passes in this thread.
fn serial(input: &Input, progress: Progress) -> Result<Statistics> {
    by_dtype!(input.layout.dtype, small: serial_small(input, progress), large: serial_large(input, progress))
}

/// A bar on standard error while a long run is watched, else nothing. Passes are not known beforehand, so the bar
/// shows one pass and starts again.
fn bar(bytes: u64, name: &'static str) -> ProgressBar {
    if bytes < LONG_RUN_BYTES {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::with_draw_target(Some(bytes), ProgressDrawTarget::stderr());
    let style = "{msg:7} {wide_bar} {binary_bytes_per_sec:>12} {elapsed_precise}";
    bar.with_message(name)
        .with_style(ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar()))
}

fn advance(bar: &ProgressBar, bytes: u64) {
    if bar.length().is_some_and(|length| bar.position() + bytes > length) {
        bar.set_position(0);
    }
    bar.inc(bytes);
}

/// Sweeps the dataset and says what it cost.
///
/// # Errors
/// If a pass fails, or the serial pass finds something else.
pub fn run(input: &Input, options: &Options) -> Result<Outcome> {
    let bytes = input.bytes() as u64;
    let watched = bar(bytes, "sweep");
    let start = Instant::now();
    let statistics = serial(input, &|bytes| advance(&watched, bytes))?;
    let seconds = start.elapsed().as_secs_f64();
    watched.finish_and_clear();
    let memory_ratio = pss_bytes(&[std::process::id()]) as f64 / bytes as f64;
    let serial_seconds = if options.no_verify {
        None
    } else {
        let watched = bar(bytes, "verify");
        let start = Instant::now();
        let check = serial(input, &|bytes| advance(&watched, bytes))?;
        let seconds = start.elapsed().as_secs_f64();
        watched.finish_and_clear();
        if let Some(difference) = difference(&statistics, &check) {
            return Err(
                format!("the results differ from a serial pass: {difference}; please report this").into()
            );
        }
        Some(seconds)
    };
    let (dtype, _) = input.layout.dtype.describe();
    Ok(Outcome {
        statistics,
        source: format!("{}, {dtype} {}, {}", input.path.display(), input.layout.shape, size(bytes)),
        bytes,
        workers: 1,
        cores: format!("the calling thread alone (backend {})", options.backend.name()),
        seconds,
        serial_seconds,
        serialized_bytes: 0,
        memory_ratio,
    })
}

/// Bytes in binary units.
pub fn size(bytes: u64) -> String {
    let units = ["bytes", "KiB", "MiB", "GiB", "TiB"];
    let power = (bytes.max(1).ilog2() / 10).min(4) as usize;
    if power == 0 {
        format!("{bytes} bytes")
    } else {
        format!("{:.2} {}", bytes as f64 / (1u64 << (10 * power)) as f64, units[power])
    }
}
