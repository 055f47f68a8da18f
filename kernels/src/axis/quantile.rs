//! Medians and quantiles along an axis.

use super::layout::{Axes, zeros_without};
use crate::error::KernelError;
use crate::inline::{is_inline, repeatable};
use crate::input::Input;
use crate::interpolate::interpolate;
use crate::layout::{Lines, resolve};
use crate::number::{Number, Real};
use crate::word::Key;
use phalanx::{Pool, SharedArray};

/// Elements of the lines that are copied together.
const TILE: usize = 1 << 15;
/// Lines that are copied together at least, where they are not contiguous: whole lines of the caches.
const LEAST_LINES: usize = 16;

/// Returns quantiles along an axis, like NumPy's `quantile(x, q, axis)`: interpolated between the two
/// elements next to place `q * (len - 1)` of the sorted line, in float64.
///
/// NaN where an element is NaN. Between equal infinities the result is that infinity (NumPy returns NaN).
///
/// Cost: every line is copied, along memory, and the elements selected in the copy, by one worker. Extra
/// memory: the lines that workers are selecting from.
///
/// # Errors
/// `Argument` if there is no such axis, or `q` is not in 0..=1; `Empty` if the axis has no elements and the
/// result is not empty; `Memory`, `Launch`.
///
/// ```
/// # fn main() -> Result<(), phalanx_kernels::KernelError> {
/// # let pool = phalanx::Pool::builder().workers(2).build().unwrap();
/// let x = ndarray::array![[4.0, 1.0, 3.0, 2.0], [5.0, 5.0, 5.0, 5.0]];
/// assert_eq!(phalanx_kernels::axis::quantile(&pool, &x, 1, 0.9)?.as_slice(), [3.7, 5.0]);
/// # Ok(())
/// # }
/// ```
#[doc(alias = "percentile")]
pub fn quantile<T: Key + Number, D: Axes>(
    pool: &Pool,
    x: &(impl Input<Elem = T, Dim = D> + ?Sized),
    axis: isize,
    q: f64,
) -> Result<SharedArray<f64, D::Less>, KernelError> {
    run::<T, D, false>("quantile", pool, x, axis, q)
}

/// Returns the medians along an axis: [`quantile`] of 0.5.
///
/// # Errors
/// As for [`quantile`].
///
/// ```
/// # fn main() -> Result<(), phalanx_kernels::KernelError> {
/// # let pool = phalanx::Pool::builder().workers(2).build().unwrap();
/// let x = ndarray::array![[3, 1], [1, 2], [2, 9]];
/// assert_eq!(phalanx_kernels::axis::median(&pool, &x, 0)?.as_slice(), [2.0, 2.0]);
/// # Ok(())
/// # }
/// ```
pub fn median<T: Key + Number, D: Axes>(
    pool: &Pool,
    x: &(impl Input<Elem = T, Dim = D> + ?Sized),
    axis: isize,
) -> Result<SharedArray<f64, D::Less>, KernelError> {
    run::<T, D, false>("median", pool, x, axis, 0.5)
}

/// Returns quantiles along an axis of all elements that are not NaN; NaN where all are. Otherwise like
/// [`quantile`].
///
/// # Errors
/// As for [`quantile`].
///
/// ```
/// # fn main() -> Result<(), phalanx_kernels::KernelError> {
/// # let pool = phalanx::Pool::builder().workers(2).build().unwrap();
/// let x = ndarray::array![[1.0, f64::NAN, 3.0]];
/// assert_eq!(phalanx_kernels::axis::nanquantile(&pool, &x, 1, 0.25)?.as_slice(), [1.5]);
/// # Ok(())
/// # }
/// ```
#[doc(alias = "nanpercentile")]
pub fn nanquantile<T: Key + Real, D: Axes>(
    pool: &Pool,
    x: &(impl Input<Elem = T, Dim = D> + ?Sized),
    axis: isize,
    q: f64,
) -> Result<SharedArray<f64, D::Less>, KernelError> {
    run::<T, D, true>("nanquantile", pool, x, axis, q)
}

/// Returns the medians along an axis of all elements that are not NaN: [`nanquantile`] of 0.5.
///
/// # Errors
/// As for [`quantile`].
///
/// ```
/// # fn main() -> Result<(), phalanx_kernels::KernelError> {
/// # let pool = phalanx::Pool::builder().workers(2).build().unwrap();
/// let x = ndarray::array![[1.0, f64::NAN, 3.0]];
/// assert_eq!(phalanx_kernels::axis::nanmedian(&pool, &x, 1)?.as_slice(), [2.0]);
/// # Ok(())
/// # }
/// ```
pub fn nanmedian<T: Key + Real, D: Axes>(
    pool: &Pool,
    x: &(impl Input<Elem = T, Dim = D> + ?Sized),
    axis: isize,
) -> Result<SharedArray<f64, D::Less>, KernelError> {
    run::<T, D, true>("nanmedian", pool, x, axis, 0.5)
}

fn run<T: Key + Number, D: Axes, const SKIPS: bool>(
    kernel: &'static str,
    pool: &Pool,
    x: &(impl Input<Elem = T, Dim = D> + ?Sized),
    axis: isize,
    q: f64,
) -> Result<SharedArray<f64, D::Less>, KernelError> {
    let shape = x.shape();
    let axis = resolve(&shape, axis)?;
    if !(0.0..=1.0).contains(&q) {
        return Err(KernelError::argument("q", format!("{q:?} is no quantile; give a number from 0 to 1")));
    }
    let mut out = zeros_without::<f64, D>(pool, &shape, axis)?;
    let lines = Lines::of(&shape, axis);
    if out.is_empty() {
        return Ok(out);
    }
    if lines.len == 0 {
        return Err(KernelError::Empty { kernel });
    }
    if is_inline(x.len()) {
        select::<T, SKIPS>(lines, &x.elements(), 0, out.as_mut_slice(), q);
        return Ok(out);
    }
    let x = x.share(pool)?;
    let operands = (out.split_flat_out(), 0..lines.count(), x.whole_flat(), lines.numbers(), q);
    let chunk = (TILE / lines.len).max(LEAST_LINES);
    repeatable(pool).chunk(chunk).for_each(operands, |(out, span, x, numbers, q)| {
        select::<T, SKIPS>(Lines::from_numbers(numbers), x, span.start, out, q);
    })?;
    Ok(out)
}

/// The quantiles of lines from number `first` on.
fn select<T: Key + Number, const SKIPS: bool>(lines: Lines, x: &[T], first: usize, out: &mut [f64], q: f64) {
    let Lines { len, inner, .. } = lines;
    let together = (TILE / len).max(LEAST_LINES);
    let mut copy = Vec::new();
    let (mut at, mut rest) = (first, out);
    while !rest.is_empty() {
        let (outer, column) = (at / inner, at % inner);
        let width = (inner - column).min(together).min(rest.len());
        let (out, others) = rest.split_at_mut(width);
        let block = &x[outer * len * inner + column..];
        copy.resize(width * len, x[0]);
        for (row, at) in block.chunks(inner).zip(0..len) {
            copy.iter_mut().skip(at).step_by(len).zip(&row[..width]).for_each(|(to, x)| *to = *x);
        }
        for (out, line) in out.iter_mut().zip(copy.chunks_exact_mut(len)) {
            *out = of_line::<T, SKIPS>(line, q);
        }
        (at, rest) = (at + width, others);
    }
}

/// The quantile of one line, whose order is lost.
fn of_line<T: Key + Number, const SKIPS: bool>(line: &mut [T], q: f64) -> f64 {
    let known = if T::IS_FLOAT {
        // NaNs to the end.
        let mut known = 0;
        for at in 0..line.len() {
            if !line[at].is_unordered() {
                line.swap(known, at);
                known += 1;
            }
        }
        known
    } else {
        line.len()
    };
    if known == 0 || (!SKIPS && known < line.len()) {
        return f64::NAN;
    }
    let line = &mut line[..known];
    let place = q * (known - 1) as f64;
    let low = (place as usize).min(known - 1);
    let (_, a, above) = line.select_nth_unstable_by_key(low, |x| Key::to_word(*x));
    let a = a.to_f64();
    let b = above.iter().min_by_key(|x| Key::to_word(**x)).map_or(a, |b| b.to_f64());
    interpolate(a, b, place - place.floor())
}
