//! Means and quantiles of elements with weights.

use crate::error::{KernelError, check_shape};
use crate::inline::is_inline;
use crate::input::Input;
use crate::number::{Number, Real};
use crate::order::{Key, sort_pairs};
use ndarray::Ix1;
use phalanx::Pool;

/// Returns the sum of `weights * x` divided by the sum of the weights, in float64, like `numpy.average`.
///
/// NaN and infinities spread; weights may be negative. Cost: one pass over both.
///
/// # Errors
/// `Shape` if the lengths differ; `Empty`; `Argument` if the weights sum to 0; `Launch`, `Memory`.
///
/// ```
/// use phalanx_kernels::statistics;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = phalanx::Pool::builder().workers(2).build()?;
/// assert_eq!(statistics::weighted_mean(&pool, &[1.0, 5.0], &[3.0, 1.0])?, 2.0);
/// # Ok(())
/// # }
/// ```
#[doc(alias = "average")]
pub fn weighted_mean<T: Real>(
    pool: &Pool,
    x: &(impl Input<Elem = T, Dim = Ix1> + ?Sized),
    weights: &(impl Input<Elem = T, Dim = Ix1> + ?Sized),
) -> Result<f64, KernelError> {
    check_shape("the weights", &x.shape(), &weights.shape())?;
    if x.is_empty() {
        return Err(KernelError::Empty { kernel: "weighted_mean" });
    }
    let [sum, weight] = if is_inline(x.len()) {
        sums(&x.elements(), &weights.elements())
    } else {
        let (x, weights) = (x.share(pool)?, weights.share(pool)?);
        pool.reduce(
            (x.split(), weights.split()),
            [0.0; 2],
            |(x, w)| sums(x, w),
            |a, b| [a[0] + b[0], a[1] + b[1]],
        )?
    };
    if weight == 0.0 {
        return Err(KernelError::argument("the weights", "their sum is 0, by which nothing can be divided"));
    }
    Ok(sum / weight)
}

/// The sums of `w x` and of `w`, in 8 running sums each.
fn sums<T: Real>(x: &[T], weights: &[T]) -> [f64; 2] {
    let (mut products, mut total) = ([0.0; 8], [0.0; 8]);
    for (x, w) in x.chunks(8).zip(weights.chunks(8)) {
        for (lane, (x, w)) in x.iter().zip(w).enumerate() {
            let w = Number::to_f64(*w);
            products[lane] += w * Number::to_f64(*x);
            total[lane] += w;
        }
    }
    [products.iter().sum(), total.iter().sum()]
}

/// Returns for each of `q`, in 0 ..= 1, the least element at which the weights of it and all smaller ones
/// reach `q` times the sum of all, like `numpy.quantile(x, q, weights=weights, method="inverted_cdf")`. NaN
/// if `x` holds NaN.
///
/// Cost: a sort of pairs, and one pass of the caller. Extra memory: copies of both.
///
/// # Errors
/// `Shape` if the lengths differ; `Empty`; `Argument` if a `q` is outside its range, a weight is negative,
/// NaN or infinite, or all are 0; `Launch`, `Memory`.
///
/// ```
/// use phalanx_kernels::statistics;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = phalanx::Pool::builder().workers(2).build()?;
/// let median = statistics::weighted_quantiles(&pool, &[3.0, 1.0, 2.0], &[1.0, 1.0, 5.0], &[0.5])?;
/// assert_eq!(median, [2.0]);
/// # Ok(())
/// # }
/// ```
#[doc(alias = "percentile", alias = "weighted median")]
pub fn weighted_quantiles<T: Real + Key>(
    pool: &Pool,
    x: &(impl Input<Elem = T, Dim = Ix1> + ?Sized),
    weights: &(impl Input<Elem = T, Dim = Ix1> + ?Sized),
    q: &[f64],
) -> Result<Vec<T>, KernelError> {
    check_shape("the weights", &x.shape(), &weights.shape())?;
    if x.is_empty() {
        return Err(KernelError::Empty { kernel: "weighted_quantiles" });
    }
    if let Some(q) = q.iter().find(|q| !(0.0..=1.0).contains(*q)) {
        return Err(KernelError::argument("q", format!("{q} is not in 0 ..= 1")));
    }
    let mut keys = pool.from_slice(&x.elements())?;
    let mut carried = pool.from_slice(&weights.elements())?;
    let is_bad = |w: &T| !(*w >= T::ZERO && w.is_finite());
    if let Some(at) = carried.as_slice().iter().position(is_bad) {
        let why =
            format!("number {at} is {}, and they must be finite and not negative", carried.as_slice()[at]);
        return Err(KernelError::argument("the weights", why));
    }
    sort_pairs(pool, &mut keys, &mut carried)?;
    let total: f64 = carried.as_slice().iter().map(|w| Number::to_f64(*w)).sum();
    if total == 0.0 {
        return Err(KernelError::argument("the weights", "all are 0"));
    }
    // NaN is sorted last.
    if let Some(last) = keys.as_slice().last().filter(|last| last.is_nan()) {
        return Ok(vec![*last; q.len()]);
    }
    let mut order: Vec<usize> = (0..q.len()).collect();
    order.sort_by(|a, b| q[*a].total_cmp(&q[*b]));
    let mut found = vec![T::ZERO; q.len()];
    let (mut at, mut reached) = (usize::MAX, 0.0);
    for index in order {
        while at == usize::MAX || (at + 1 < keys.len() && (reached < q[index] * total || reached == 0.0)) {
            at = at.wrapping_add(1);
            reached += Number::to_f64(carried.as_slice()[at]);
        }
        found[index] = keys.as_slice()[at];
    }
    Ok(found)
}
