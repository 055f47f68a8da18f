//! The bootstrap.

use crate::error::KernelError;
use crate::inline::repeatable;
use crate::input::{Input, flat};
use crate::random::Resample;
use ndarray::Ix1;
use phalanx::{Element, Pool, SharedArray};

/// Sets `out[r]` to what `statistic` returns for sample `r`: as many elements of `x` as it has, drawn with
/// replacement.
///
/// Sample `r` depends on the seed, the length of `x` and `r` only: the same for any number of workers and of
/// samples. `statistic` is a function or a closure that captures nothing; it may change its sample, for
/// example sort it. The spread of `out` is an estimate of the statistic's standard error, and its quantiles
/// are confidence bounds ([`order::quantiles`](crate::order::quantiles)).
///
/// Cost: for each sample, `len` random reads and half as many blocks of draws, and `statistic`. Extra memory:
/// a sample for each worker. The calling thread waits; a worker takes a few samples at a time.
///
/// # Errors
/// `Empty`; `Launch`, also if `statistic` panics; `Memory`.
///
/// ```
/// use phalanx_kernels::statistics;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = phalanx::Pool::builder().workers(2).build()?;
/// let x = pool.from_fn(100, |i| i as f64)?;
/// let mut medians = pool.zeros::<f64>(1000)?;
/// statistics::bootstrap(&pool, &x, 7, &mut medians, |sample| {
///     *sample.select_nth_unstable_by(50, f64::total_cmp).1
/// })?;
/// assert!(medians.as_slice().iter().all(|median| (20.0..80.0).contains(median)));
/// # Ok(())
/// # }
/// ```
pub fn bootstrap<T, R, F>(
    pool: &Pool,
    x: &(impl Input<Elem = T, Dim = Ix1> + ?Sized),
    seed: u64,
    out: &mut SharedArray<R, Ix1>,
    statistic: F,
) -> Result<(), KernelError>
where
    T: Element,
    R: Element,
    F: Fn(&mut [T]) -> R + Copy + Send + Sync,
{
    if x.is_empty() {
        return Err(KernelError::Empty { kernel: "bootstrap" });
    }
    let samples = out.len();
    // A slice is copied once, however short: samples are many.
    let x = pool.from_slice(&flat(pool, x)?)?;
    let operands = (out.split_out(), 0..samples, x.whole(), seed);
    repeatable(pool).chunk(CHUNK).for_each(operands, move |(out, span, x, seed)| {
        let draws = Resample::new(seed);
        let mut sample = vec![T::zeroed(); x.len()];
        for (out, index) in out.iter_mut().zip(span) {
            draws.draw(index as u64, x, &mut sample);
            *out = statistic(&mut sample);
        }
    })?;
    Ok(())
}

/// Samples of a chunk.
const CHUNK: usize = 8;
