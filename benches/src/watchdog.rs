//! Ends the program when a measurement hangs, and names the measurement.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Longest silence that is no hang: the slowest single sample is a region under noise.
const LIMIT: Duration = Duration::from_secs(150);

/// The same for one run of a benchmark whose largest classes take long.
const LONG_LIMIT: Duration = Duration::from_secs(4 * 3600);

/// What is measured, since when, and how long it may take.
static LAST: Mutex<Option<(String, Instant, Duration)>> = Mutex::new(None);

/// Names what is about to be measured.
pub fn note(what: String) {
    set(what, LIMIT);
}

/// As [`note`], for a measurement that may take hours.
pub fn note_long(what: String) {
    set(what, LONG_LIMIT);
}

fn set(what: String, limit: Duration) {
    *LAST.lock().unwrap_or_else(PoisonError::into_inner) = Some((what, Instant::now(), limit));
}

/// Starts the thread that watches.
pub fn start() {
    std::thread::spawn(|| {
        loop {
            std::thread::sleep(Duration::from_secs(1));
            let last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some((what, since, limit)) = &*last
                && since.elapsed() > *limit
            {
                eprintln!("phalanx-bench: {what} has made no progress for {} s: it hangs", limit.as_secs());
                std::process::exit(1);
            }
        }
    });
}
