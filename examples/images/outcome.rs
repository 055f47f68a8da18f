//! What became of the files: what is listed, and what must have come out.

use crate::generate::Trouble;
use crate::job::{Done, Wrong};
use common::Result;
use phalanx::{CancelToken, ExitCause, TaskError};
use rustix::process::Signal;
use std::path::PathBuf;

/// The result of a file, or why there is none.
pub type Outcome = std::result::Result<Done, TaskError>;

/// Whether a file cost its worker, by a crash or by not ending.
pub fn ended_its_worker(error: &TaskError) -> bool {
    matches!(error, TaskError::WorkerDied { .. } | TaskError::TimedOut { .. })
}

/// Prints the first `most` bad files.
pub fn list(most: usize, retries: u32, names: &[PathBuf], outcomes: &[Outcome]) {
    let bad =
        || names.iter().zip(outcomes).filter_map(|(name, outcome)| Some((name, outcome.as_ref().err()?)));
    for (name, error) in bad().take(most) {
        let tries = match ended_its_worker(error) && retries > 0 {
            true => format!(", {} times", u64::from(retries) + 1),
            false => String::new(),
        };
        common::outln!("  {}: {}{tries}", name.display(), cause(error));
    }
    let count = bad().count();
    if count > most {
        common::outln!("  ... and {} more", count - most);
    }
}

/// What went wrong, for the person who has the file.
fn cause(error: &TaskError) -> String {
    match error {
        TaskError::WorkerDied { cause, .. } => format!("its worker was {cause}"),
        TaskError::TimedOut { limit, .. } => format!("took longer than {limit:?}"),
        other => match other.failure() {
            Some(Wrong::Picture(why) | Wrong::Out(why)) => why.clone(),
            // The lines after the first are the calls that led to a panic.
            None => other.to_string().lines().next().unwrap_or_default().to_owned(),
        },
    }
}

/// # Errors
/// If the run was interrupted.
pub fn uninterrupted(outcomes: &[Outcome], stop: &CancelToken) -> Result<()> {
    let done = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    match stop.is_cancelled() {
        true => Err(format!("interrupted when {done} of {} files were done", outcomes.len()).into()),
        false => Ok(()),
    }
}

/// # Errors
/// If a result cannot be written: that is not the fault of its file.
pub fn all_could_be_written(outcomes: &[Outcome]) -> Result<()> {
    let why = outcomes.iter().find_map(|outcome| match outcome.as_ref().err()?.failure()? {
        Wrong::Out(why) => Some(why.clone()),
        Wrong::Picture(_) => None,
    });
    why.map_or(Ok(()), |why| Err(why.into()))
}

/// Compares each outcome with what its file was made for.
///
/// # Errors
/// The first that is another.
pub fn compare_with_plan(names: &[PathBuf], outcomes: &[Outcome]) -> Result<()> {
    let differs = |(name, outcome): &(&PathBuf, &Outcome)| {
        !is_as_made(Trouble::of_name(&name.to_string_lossy()), outcome)
    };
    match names.iter().zip(outcomes).find(differs) {
        Some((name, outcome)) => Err(format!("{}: {outcome:?}", name.display()).into()),
        None => Ok(()),
    }
}

fn is_as_made(trouble: Option<Trouble>, outcome: &Outcome) -> bool {
    let died_of = |signal: Signal| {
        matches!(outcome, Err(TaskError::WorkerDied { cause: ExitCause::Signal { number, .. }, .. })
            if *number == signal.as_raw())
    };
    match trouble {
        None => outcome.is_ok(),
        Some(Trouble::Segfault) => died_of(Signal::SEGV),
        // An allocation that fails ends a Rust program by this.
        Some(Trouble::Glutton) => died_of(Signal::ABORT),
        Some(Trouble::Endless) => matches!(outcome, Err(TaskError::TimedOut { .. })),
        Some(_) => {
            matches!(outcome, Err(error) if matches!(error.failure::<Wrong>(), Some(Wrong::Picture(_))))
        }
    }
}
