//! Whether an item that failed is run again, and when.
#![deny(clippy::arithmetic_side_effects)]

use crate::task::error::TaskError;
use crate::team::program;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Whether an error is one after which an item is run again.
pub(crate) type IsMeant = Arc<dyn Fn(&TaskError) -> bool + Send + Sync>;

/// What a call wants done with items that fail.
#[derive(Clone, Default)]
pub(crate) struct RetryPolicy {
    /// How often an item is run again.
    pub(crate) times: u32,
    /// After which errors; the death of its worker alone, if nothing is said.
    pub(crate) is_meant: Option<IsMeant>,
    /// The first pause, which doubles each time, and the longest.
    pub(crate) pause: Option<(Duration, Duration)>,
}

impl RetryPolicy {
    /// Whether an item that has been run `tries` times before, and now failed with this error, is run again.
    /// Calls the program's code: never with a lock held.
    pub(crate) fn wants(&self, tries: u32, error: &TaskError) -> bool {
        if tries >= self.times {
            return false;
        }
        match (&self.is_meant, error) {
            (None, error) => matches!(error, TaskError::WorkerDied { .. }),
            (
                Some(is_meant),
                TaskError::Panicked { .. }
                | TaskError::WorkerDied { .. }
                | TaskError::TimedOut { .. }
                | TaskError::Failed { .. }
                | TaskError::Codec { .. }
                | TaskError::Memory { .. },
            ) => program::call("retry_on", || is_meant(error)).unwrap_or(false),
            _ => false,
        }
    }

    /// How long an item waits after it failed the first, second, .. time (`tries` = 0, 1, ..).
    pub(crate) fn pause(&self, tries: u32) -> Option<Duration> {
        let (first, most) = self.pause?;
        let factor = 1u32.checked_shl(tries).unwrap_or(u32::MAX);
        Some(first.saturating_mul(factor).min(most))
    }

    /// When an item that has just failed is due.
    pub(crate) fn due(&self, tries: u32) -> Option<Instant> {
        // Beyond the clock's range the longest pause means a year.
        const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);
        Instant::now().checked_add(self.pause(tries)?.min(YEAR))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        let ms = Duration::from_millis;
        let policy = RetryPolicy { pause: Some((ms(10), ms(35))), ..RetryPolicy::default() };
        assert_eq!(
            [0, 1, 2, 3, 31, 32, 1000].map(|tries| policy.pause(tries).unwrap().as_millis()),
            [10, 20, 35, 35, 35, 35, 35]
        );
        let policy = RetryPolicy { pause: Some((Duration::MAX, Duration::MAX)), ..policy };
        assert!(policy.due(7).is_some());
        assert_eq!(RetryPolicy::default().due(0), None);
    }
}
