//! Logging how long a piece of the program takes.

use std::time::Instant;

/// Calls `function`, logs `name` and how many seconds the call took, and returns its result.
///
/// Logs the line `Function {name} took {seconds} seconds`, with the fields `name` and `seconds`, through
/// [`tracing`] at level INFO. In a worker, the line reaches the program's subscriber like everything that
/// workers log. If `function` panics, the panic passes through and nothing is logged.
///
/// ```
/// # fn main() -> Result<(), phalanx::Error> {
/// let pool = phalanx::Pool::builder().workers(2).build()?;
/// let squares = phalanx::monitored("squares", || pool.map(|n: u64| n * n, 1..=3))?;
/// assert_eq!(squares, [1, 4, 9]);
/// # Ok(())
/// # }
/// ```
#[doc(alias("performance_monitor", "timeit"))]
pub fn monitored<R>(name: &str, function: impl FnOnce() -> R) -> R {
    let began = Instant::now();
    let value = function();
    let seconds = began.elapsed().as_secs_f64();
    tracing::info!(name, seconds, "Function {name} took {seconds:.3} seconds");
    value
}
