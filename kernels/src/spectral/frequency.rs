//! Which frequency is where.
#![deny(clippy::arithmetic_side_effects)]

use crate::error::{KernelError, check_shape};
use crate::inline::{is_inline, repeatable};
use crate::input::Input;
use crate::layout::resolve;
use phalanx::{Element, Pool, Shape, SharedArray};

/// Elements of a chunk of rows, about.
const CHUNK: usize = 1 << 14;

/// Returns the frequencies of a transform of `n` elements that lie `spacing` apart: 0, the positive ones, and then
/// the negative ones, in cycles per unit of `spacing`.
///
/// ```
/// assert_eq!(phalanx_kernels::spectral::fftfreq(5, 0.5), [0.0, 0.4, 0.8, -0.8, -0.4]);
/// ```
#[doc(alias = "numpy.fft.fftfreq")]
#[must_use]
#[expect(clippy::arithmetic_side_effects, reason = "floats, and places below a length")]
pub fn fftfreq(n: usize, spacing: f64) -> Vec<f64> {
    let step = 1.0 / (n as f64 * spacing);
    let place = |k: usize| if k < n.div_ceil(2) { k as f64 } else { -((n - k) as f64) };
    (0..n).map(|k| place(k) * step).collect()
}

/// Returns the frequencies of a transform of `n` real elements that lie `spacing` apart: those from 0 up, as
/// [`rfft`](super::rfft) keeps them.
///
/// ```
/// assert_eq!(phalanx_kernels::spectral::rfftfreq(4, 0.5), [0.0, 0.5, 1.0]);
/// ```
#[doc(alias = "numpy.fft.rfftfreq")]
#[must_use]
#[expect(clippy::arithmetic_side_effects, reason = "floats, and half of a length")]
pub fn rfftfreq(n: usize, spacing: f64) -> Vec<f64> {
    let step = 1.0 / (n as f64 * spacing);
    (0..n / 2 + 1).map(|k| k as f64 * step).collect()
}

/// Returns the least length from `least` on whose only prime factors are 2, 3 and 5: lines of such lengths are
/// transformed fastest, so pad to them where padding is allowed. Above 2^62, where no line is as long, `least` itself.
///
/// ```
/// assert_eq!(phalanx_kernels::spectral::next_fast_len(1021), 1024);
/// ```
#[doc(alias = "scipy.fft.next_fast_len")]
#[must_use]
#[expect(
    clippy::arithmetic_side_effects,
    reason = "all products are at most twice the length, which is checked"
)]
pub fn next_fast_len(least: usize) -> usize {
    if least > 1 << 62 {
        // No line is as long.
        return least;
    }
    let mut best = least.next_power_of_two();
    let mut fives = 1;
    while fives < best {
        let mut odd = fives;
        while odd < best {
            best = best.min(odd * least.div_ceil(odd).next_power_of_two());
            odd *= 3;
        }
        fives *= 5;
    }
    best
}

/// Sets `out` to `x` with frequency 0 in the middle of the axes named.
///
/// `axes` count from 0, or from the last if they are negative. Cost: every element read once and written once.
///
/// # Errors
/// `Argument` if there is no such axis; `Shape` if the shapes differ; `Memory`, `Launch`.
///
/// ```
/// use phalanx_kernels::spectral::{fftfreq, fftshift};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = phalanx::Pool::builder().workers(2).build()?;
/// let mut out = pool.zeros(5)?;
/// fftshift(&pool, &mut out, &fftfreq(5, 0.2), &[0])?;
/// assert_eq!(out.as_slice(), [-2.0, -1.0, 0.0, 1.0, 2.0]);
/// # Ok(())
/// # }
/// ```
#[doc(alias = "numpy.fft.fftshift")]
pub fn fftshift<T: Element, D: Shape>(
    pool: &Pool,
    out: &mut SharedArray<T, D>,
    x: &(impl Input<Elem = T, Dim = D> + ?Sized),
    axes: &[isize],
) -> Result<(), KernelError> {
    shift(pool, out, x, axes, |n| n.div_ceil(2))
}

/// Sets `out` to `x` with what is in the middle of the axes named at their beginning: the inverse of [`fftshift`],
/// from which it differs for odd lengths.
///
/// # Errors
/// As [`fftshift`].
///
/// ```
/// use phalanx_kernels::spectral::ifftshift;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = phalanx::Pool::builder().workers(2).build()?;
/// let mut out = pool.zeros(5)?;
/// ifftshift(&pool, &mut out, &[-2, -1, 0, 1, 2], &[0])?;
/// assert_eq!(out.as_slice(), [0, 1, 2, -2, -1]);
/// # Ok(())
/// # }
/// ```
#[doc(alias = "numpy.fft.ifftshift")]
pub fn ifftshift<T: Element, D: Shape>(
    pool: &Pool,
    out: &mut SharedArray<T, D>,
    x: &(impl Input<Elem = T, Dim = D> + ?Sized),
    axes: &[isize],
) -> Result<(), KernelError> {
    shift(pool, out, x, axes, |n| n / 2)
}

/// Element `i` along each of the axes is what was `by(n)` behind it, around the end.
#[expect(clippy::arithmetic_side_effects, reason = "places in arrays in memory, whose lengths are not 0")]
fn shift<T: Element, D: Shape>(
    pool: &Pool,
    out: &mut SharedArray<T, D>,
    x: &(impl Input<Elem = T, Dim = D> + ?Sized),
    axes: &[isize],
    by: fn(usize) -> usize,
) -> Result<(), KernelError> {
    let shape = x.shape();
    check_shape("out", &shape, out.shape())?;
    let mut lengths: Vec<[usize; 2]> = shape.iter().map(|length| [*length, 0]).collect();
    for axis in axes {
        let axis = resolve(&shape, *axis)?;
        lengths[axis][1] = (lengths[axis][1] + by(shape[axis])) % shape[axis].max(1);
    }
    if out.is_empty() {
        return Ok(());
    }
    if is_inline(out.len()) {
        shifted(out.as_mut_slice(), &x.elements(), &lengths, 0);
        return Ok(());
    }
    let (x, lengths) = (x.share(pool)?, SharedArray::from_slice(&lengths)?);
    let width = shape.last().copied().unwrap_or(1);
    let chunk = (CHUNK / width).max(1) * width;
    let span = 0..out.len();
    let operands = (out.split_flat_out(), span, x.whole_flat(), lengths.whole());
    repeatable(pool).chunk(chunk).for_each(operands, |(out, span, x, lengths)| {
        shifted(out, x, lengths, span.start);
    })?;
    Ok(())
}

/// Whole rows of the result, the first of which begins at element `first`.
#[expect(clippy::arithmetic_side_effects, reason = "places in arrays in memory, whose lengths are not 0")]
fn shifted<T: Element>(out: &mut [T], x: &[T], lengths: &[[usize; 2]], first: usize) {
    let Some((&[width, by], outer)) = lengths.split_last() else {
        return out.copy_from_slice(x);
    };
    for (at, row) in out.chunks_exact_mut(width).enumerate() {
        let (mut rest, mut from, mut stride) = (first / width + at, 0, width);
        for [length, by] in outer.iter().rev() {
            from += (rest % length + by) % length * stride;
            (rest, stride) = (rest / length, stride * length);
        }
        let source = &x[from..from + width];
        let (left, right) = row.split_at_mut(width - by);
        left.copy_from_slice(&source[by..]);
        right.copy_from_slice(&source[..by]);
    }
}

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "a test may fail by panicking")]
mod tests {
    use super::*;
    use crate::inline::launching;
    use crate::testing::pools;
    use ndarray::Array3;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn frequency_zero_goes_to_the_middle_and_back(
            shape in (0usize..9, 0usize..12, 0usize..30), axes in proptest::collection::vec(-3isize..3, 0..4),
            which in 0usize..4, launch: bool,
        ) {
            let pool = &pools()[which];
            let x = Array3::from_shape_fn(shape, |(i, j, k)| (i * 1000 + j * 50 + k) as u32);
            let (mut there, mut back) = (SharedArray::zeros(shape).unwrap(), SharedArray::zeros(shape).unwrap());
            let mut run = || {
                fftshift(pool, &mut there, &x, &axes).unwrap();
                ifftshift(pool, &mut back, &there, &axes).unwrap();
            };
            if launch { launching(run) } else { run() }
            prop_assert_eq!(back.view(), x.view());
            // Element i of the input is at i + n / 2 along every axis, as often as it is named.
            for ((i, j, k), value) in x.indexed_iter() {
                let mut place = [i, j, k];
                for axis in &axes {
                    let axis = axis.rem_euclid(3) as usize;
                    place[axis] = (place[axis] + x.shape()[axis] / 2) % x.shape()[axis];
                }
                prop_assert_eq!(&there.view()[place], value);
            }
        }
    }

    #[test]
    fn fast_lengths_are_the_next_ones() {
        let is_fast = |mut len: usize| {
            [2, 3, 5].into_iter().for_each(|by| {
                while len.is_multiple_of(by) {
                    len /= by
                }
            });
            len == 1
        };
        let mut next = 1;
        for least in 0..5000 {
            while next < least || !is_fast(next) {
                next += 1;
            }
            assert_eq!(next_fast_len(least), next, "{least}");
        }
    }

    #[test]
    fn frequencies_are_those_of_numpy() {
        // numpy.fft.fftfreq(8, 0.1), fftfreq(1), rfftfreq(5, 2.0).
        let eight = [0.0, 1.25, 2.5, 3.75, -5.0, -3.75, -2.5, -1.25];
        assert!(fftfreq(8, 0.1).iter().zip(eight).all(|(a, b)| (a - b).abs() < 1e-15));
        assert_eq!((fftfreq(1, 1.0), fftfreq(0, 1.0)), (vec![0.0], vec![]));
        assert_eq!(rfftfreq(5, 2.0), [0.0, 0.1, 0.2]);
    }
}
