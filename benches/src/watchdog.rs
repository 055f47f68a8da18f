//! Ends the program when a measurement hangs, and says which.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Longest silence that is no hang: the slowest single sample is a region under noise.
const LIMIT: Duration = Duration::from_secs(150);

static LAST: Mutex<Option<(String, Instant)>> = Mutex::new(None);

/// Says what is about to be measured.
pub fn note(what: String) {
    *LAST.lock().unwrap_or_else(PoisonError::into_inner) = Some((what, Instant::now()));
}

/// Starts to watch.
pub fn start() {
    std::thread::spawn(|| {
        loop {
            std::thread::sleep(Duration::from_secs(1));
            let last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some((what, since)) = &*last
                && since.elapsed() > LIMIT
            {
                eprintln!("phalanx-bench: {what} has made no progress for {} s: it hangs", LIMIT.as_secs());
                std::process::exit(1);
            }
        }
    });
}
