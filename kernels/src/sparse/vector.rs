//! Passes over the vectors of an iteration, by the caller if they are short, else by the workers.
//!
//! Sums are float64, of chunks that depend on the length alone, so their bits do not depend on the team.

use super::system::{dot, wide};
use crate::error::KernelError;
use crate::inline::is_inline;
use crate::number::Real;
use phalanx::{Pool, SharedArray};

/// Returns the inner product of two vectors.
pub(super) fn inner<T: Real>(
    pool: &Pool,
    a: &SharedArray<T>,
    b: &SharedArray<T>,
) -> Result<f64, KernelError> {
    if is_inline(a.len()) {
        return Ok(dot(a.as_slice(), b.as_slice()));
    }
    Ok(pool.reduce((a.split(), b.split()), 0.0, |(a, b)| dot(a, b), |a, b| a + b)?)
}

/// Returns the norm of a vector.
pub(super) fn norm<T: Real>(pool: &Pool, a: &SharedArray<T>) -> Result<f64, KernelError> {
    Ok(inner(pool, a, a)?.sqrt())
}

/// `y = alpha x + beta y`. With `beta` 0 the old `y` is not read.
pub(super) fn blend<T: Real>(
    pool: &Pool,
    y: &mut SharedArray<T>,
    alpha: f64,
    x: &SharedArray<T>,
    beta: f64,
) -> Result<(), KernelError> {
    let factors = [T::from_f64(alpha), T::from_f64(beta)];
    if is_inline(y.len()) {
        blend_chunk(y.as_mut_slice(), x.as_slice(), factors);
        return Ok(());
    }
    pool.for_each((y.split_mut(), x.split(), factors), |(y, x, factors)| blend_chunk(y, x, factors))?;
    Ok(())
}

fn blend_chunk<T: Real>(y: &mut [T], x: &[T], [alpha, beta]: [T; 2]) {
    if beta == T::ZERO {
        y.iter_mut().zip(x).for_each(|(y, x)| *y = alpha * *x);
    } else {
        y.iter_mut().zip(x).for_each(|(y, x)| *y = alpha * *x + beta * *y);
    }
}

/// `z = x * y`, element by element.
pub(super) fn multiply<T: Real>(
    pool: &Pool,
    z: &mut SharedArray<T>,
    x: &SharedArray<T>,
    y: &SharedArray<T>,
) -> Result<(), KernelError> {
    let body = |z: &mut [T], x: &[T], y: &[T]| {
        z.iter_mut().zip(x).zip(y).for_each(|((z, x), y)| *z = *x * *y);
    };
    if is_inline(z.len()) {
        body(z.as_mut_slice(), x.as_slice(), y.as_slice());
        return Ok(());
    }
    pool.for_each((z.split_out(), x.split(), y.split()), move |(z, x, y)| body(z, x, y))?;
    Ok(())
}

/// Fills a vector with numbers in -1 .. 1 that look random, and are the same in every run (SplitMix64 of the
/// index): what an iteration for eigenvalues begins with.
pub(super) fn begin<T: Real>(v: &mut SharedArray<T>) {
    for (i, v) in v.as_mut_slice().iter_mut().enumerate() {
        let z = (i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let z = z ^ (z >> 31);
        *v = T::from_f64((z >> 11) as f64 / (1u64 << 52) as f64 - 1.0);
    }
}

/// The largest absolute sum of a row's elements, each divided by the row's diagonal: a bound of the
/// eigenvalues of `D^-1 A` (Gershgorin). `None` if a diagonal element is missing or 0.
pub(super) fn bound<T: Real>(a: &super::Csr<T>) -> Option<f64> {
    let mut most = 0.0_f64;
    for row in 0..a.shape().0 {
        let pivot = wide(a.find(row, row)?).abs();
        let sum: f64 = a.row(row).1.iter().map(|value| wide(*value).abs()).sum();
        if pivot == 0.0 {
            return None;
        }
        most = most.max(sum / pivot);
    }
    Some(most)
}
