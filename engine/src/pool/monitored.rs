//! How long a piece of the program takes, told in its log.

use std::time::Instant;

/// Calls `function`, logs its name and how many seconds it took, and gives what it returned.
///
/// The line, `Function {name} took {seconds} seconds` with the fields `name` and `seconds`, goes to
/// [`tracing`] at level INFO. Called in a worker, it reaches the program's subscriber as all that workers
/// log. A panic passes through, and no line is written.
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
