//! Waiting for several results, in the shape of Python's `concurrent.futures`.
#![deny(clippy::arithmetic_side_effects)]

use crate::sys::fork;
use crate::task::arrivals::Finished;
use crate::task::result::AsyncResult;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// An iterator over results in order of completion; returned by [`as_completed`].
pub struct AsCompleted<T> {
    results: Vec<Option<AsyncResult<T>>>,
    finished: Arc<Finished>,
    left: usize,
}

/// Returns an iterator over results in order of completion, each with its index in the input. A result that
/// was already taken is yielded at once, as [`TaskError::Taken`](crate::TaskError::Taken).
///
/// ```
/// # fn main() -> Result<(), phalanx::Error> {
/// let pool = phalanx::Pool::builder().workers(2).build()?;
/// let results = [30u64, 1].map(|ms| {
///     pool.apply_async(|ms| std::thread::sleep(std::time::Duration::from_millis(ms)), ms)
/// });
/// let order: Vec<_> = phalanx::as_completed(results).map(|(place, _)| place).collect();
/// assert_eq!(order.len(), 2);
/// # Ok(())
/// # }
/// ```
pub fn as_completed<T: Send + 'static>(results: impl IntoIterator<Item = AsyncResult<T>>) -> AsCompleted<T> {
    let finished = Arc::new(Finished::default());
    let results: Vec<_> = results.into_iter().map(Some).collect();
    for (number, result) in results.iter().flatten().enumerate() {
        result.watch(&finished, number);
    }
    AsCompleted { left: results.len(), results, finished }
}

impl<T: Send + 'static> Iterator for AsCompleted<T> {
    type Item = (usize, Result<T, crate::task::TaskError>);

    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 {
            return None;
        }
        self.left = self.left.saturating_sub(1);
        if fork::is_foreign() {
            let (number, result) = self
                .results
                .iter_mut()
                .enumerate()
                .find_map(|(number, result)| Some((number, result.take()?)))?;
            return Some((number, result.get()));
        }
        self.finished.wait(None);
        let number = self.finished.take()?;
        let result = self.results.get_mut(number)?.take()?;
        Some((number, result.get()))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

/// Waits at most `patience` for all results. Returns whether all of them are ready.
pub fn wait_all<T: Send + 'static>(results: &[AsyncResult<T>], patience: Duration) -> bool {
    let deadline = Instant::now().checked_add(patience);
    let left = || deadline.map_or(Duration::MAX, |at| at.saturating_duration_since(Instant::now()));
    results.iter().all(|result| result.wait_timeout(left()))
}

/// Waits at most `patience` for any of the results. Returns the index of one that is ready.
///
/// A result that is an error counts as ready.
pub fn wait_first<T: Send + 'static>(results: &[AsyncResult<T>], patience: Duration) -> Option<usize> {
    let ready = || results.iter().position(AsyncResult::is_there);
    if results.is_empty() || ready().is_some() {
        return ready();
    }
    // They may be of several pools, so none of their boards is watched alone.
    let finished = Arc::new(Finished::default());
    for (number, result) in results.iter().enumerate() {
        result.watch(&finished, number);
    }
    let deadline = Instant::now().checked_add(patience);
    finished.wait(deadline);
    let first = finished.first();
    // It has come; what the program has attached to it may still be called.
    let left = deadline.map_or(Duration::MAX, |at| at.saturating_duration_since(Instant::now()));
    let is_there = |result: &AsyncResult<T>| result.is_out_of_reach() || result.wait_timeout(left);
    first.filter(|first| results.get(*first).is_some_and(is_there))
}
