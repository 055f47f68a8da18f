//! Many small matrices at once: arrays of `count x n x n`, a million of 3 x 3 to 32 x 32.
//!
//! Matrices are shared out in chunks; each is worked on by one worker, in plain loops over a copy that stays
//! in its caches. Sizes 2, 3, 4, 6 and 8 have loops of their own, without conditions. For matrices of more
//! than about 100 rows the kernels of [`dense`](super) are faster.
//!
//! The first matrix that a kernel cannot work on is named in the error; the results of others are written,
//! and those of that matrix are unspecified.

use super::Product;
use crate::error::{KernelError, check_shape};
use crate::inline::{is_inline, repeatable};
use crate::input::Input;
use ndarray::Ix3;
use phalanx::{Pool, Shape, SharedArray};
use std::ops::Range;

mod jacobi;
pub use jacobi::symmetric_eigen;

/// What a chunk found: the first matrix that is wrong, and why. [`FINE`] if none is; the lower of two counts.
type Fault = u64;
const FINE: Fault = u64::MAX;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Wrong {
    /// It has no inverse, or is not positive definite.
    Matrix = 0,
    /// A number is NaN or infinite.
    Number = 1,
}

fn fault(index: usize, wrong: Wrong) -> Fault {
    (index as u64) << 1 | wrong as u64
}

/// The first fault of a chunk, whose work on one matrix `work` does.
fn first_fault(span: Range<usize>, mut work: impl FnMut(usize) -> Result<(), Wrong>) -> Fault {
    let mut first = FINE;
    for index in 0..span.len() {
        if let Err(wrong) = work(index) {
            first = first.min(fault(span.start + index, wrong));
        }
    }
    first
}

/// The error that a fault is, where a wrong matrix is `wrong`.
fn told(first: Fault, wrong: impl FnOnce(usize) -> KernelError) -> Result<(), KernelError> {
    let at = (first >> 1) as usize;
    match first {
        FINE => Ok(()),
        _ if first & 1 == Wrong::Matrix as u64 => Err(wrong(at)),
        _ => Err(KernelError::NotFinite {
            what: "a matrix of the batch",
            at: vec![at],
            value: "one with NaN or an infinity, or overflows".to_owned(),
        }),
    }
}

/// The count and the side of a batch.
fn check_batch((count, m, n): (usize, usize, usize)) -> Result<(usize, usize), KernelError> {
    check_shape("a batch of square matrices", &[count, m, m], &[count, m, n])?;
    Ok((count, m))
}

/// Runs `work` with the number of rows as a constant where it is one of the usual ones, so that its loops are
/// unrolled.
macro_rules! sized {
    ($n:expr, $n_inside:ident => $work:expr) => {
        match $n {
            2 => {
                let $n_inside = 2_usize;
                $work
            }
            3 => {
                let $n_inside = 3_usize;
                $work
            }
            4 => {
                let $n_inside = 4_usize;
                $work
            }
            6 => {
                let $n_inside = 6_usize;
                $work
            }
            8 => {
                let $n_inside = 8_usize;
                $work
            }
            other => {
                let $n_inside = other;
                $work
            }
        }
    };
}
use sized;

/// Solves `A[c] x[c] = b[c]` for every `c`: `a` is `count x n x n`; `b` and `x` are `count x n`, a vector
/// each, or `count x n x k`, several right-hand sides each.
///
/// Cost: `2/3 n^3 + 2 n^2 k` operations per matrix, by elimination with row exchanges.
///
/// # Errors
/// `Shape` if the shapes do not match; `Singular` or `NotFinite` with the first matrix that has no inverse,
/// or holds NaN or an infinity; `Launch`, `Memory`.
///
/// ```
/// use phalanx_kernels::dense::batch;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = phalanx::Pool::builder().workers(2).build()?;
/// let a = pool.from_shape_fn((10_000, 3, 3), |(c, i, j)| if i == j { (c + 1) as f64 } else { 0.0 })?;
/// let b = pool.from_shape_fn((10_000, 3), |(c, i)| ((c + 1) * i) as f64)?;
/// let mut x = pool.zeros_nd((10_000, 3))?;
/// batch::solve(&pool, &a, &b, &mut x)?;
/// assert_eq!(x.view().row(777).to_vec(), [0.0, 1.0, 2.0]);
/// # Ok(())
/// # }
/// ```
pub fn solve<T: Product, D: Shape>(
    pool: &Pool,
    a: &impl Input<Elem = T, Dim = Ix3>,
    b: &impl Input<Elem = T, Dim = D>,
    x: &mut SharedArray<T, D>,
) -> Result<(), KernelError> {
    let (count, n) = check_batch(a.view().dim())?;
    let shape = b.shape();
    let sides = match shape[..] {
        [_, _] => 1,
        [_, _, sides] => sides,
        _ => 0,
    };
    let expected = if shape.len() == 3 { vec![count, n, sides] } else { vec![count, n] };
    check_shape("the right-hand sides of a batch", &expected, &shape)?;
    check_shape("the solutions of a batch", &shape, x.shape())?;
    if x.is_empty() {
        return Ok(());
    }
    let first = if is_inline(a.len()) {
        solve_chunk(&a.elements(), &b.elements(), x.as_mut_slice(), 0..count, n)
    } else {
        let (a, b) = (a.share(pool)?, b.share(pool)?);
        let (per, total) = (n * sides, x.len());
        let operands = (x.split_flat_out(), 0..total, b.whole_flat(), a.whole_flat(), [n, per]);
        repeatable(pool).chunk(per * matrices_of(n)).reduce(
            operands,
            FINE,
            |(x, span, b, a, [n, per])| {
                let span = span.start / per..span.end / per;
                let b = &b[span.start * per..span.end * per];
                solve_chunk(&a[span.start * n * n..span.end * n * n], b, x, span, n)
            },
            |a, b| a.min(b),
        )?
    };
    told(first, |at| KernelError::Singular { kernel: "batch::solve", at })
}

/// Matrices of a chunk: some 64 KiB of float64.
fn matrices_of(n: usize) -> usize {
    (8192 / (n * n).max(1)).max(1)
}

fn solve_chunk<T: Product>(a: &[T], b: &[T], x: &mut [T], span: Range<usize>, n: usize) -> Fault {
    let per = x.len() / span.len().max(1);
    let mut copy = vec![T::ZERO; n * n];
    x.copy_from_slice(b);
    sized!(n, n => first_fault(span.clone(), |index| {
        copy.copy_from_slice(&a[index * n * n..(index + 1) * n * n]);
        eliminate(n, &mut copy, &mut x[index * per..(index + 1) * per]).map(|_| ())
    }))
}

/// Solves for the rows of `b`, in place; `a` is used up. Returns the determinant of `a`.
#[inline(always)]
fn eliminate<T: Product>(n: usize, a: &mut [T], b: &mut [T]) -> Result<T, Wrong> {
    let (a, sides) = (&mut a[..n * n], b.len().checked_div(n).unwrap_or(0));
    let mut determinant = T::ONE;
    for k in 0..n {
        let pivot = pivot_of(a, n, k)?;
        if pivot != k {
            determinant = -determinant;
            for j in k..n {
                a.swap(k * n + j, pivot * n + j);
            }
            for j in 0..sides {
                b.swap(k * sides + j, pivot * sides + j);
            }
        }
        determinant *= a[k * n + k];
        let one = T::ONE / a[k * n + k];
        for i in k + 1..n {
            let factor = a[i * n + k] * one;
            let (above, below) = a.split_at_mut(i * n);
            for (to, from) in below[k + 1..n].iter_mut().zip(&above[k * n + k + 1..(k + 1) * n]) {
                *to -= factor * *from;
            }
            let (above, below) = b.split_at_mut(i * sides);
            for (to, from) in below[..sides].iter_mut().zip(&above[k * sides..(k + 1) * sides]) {
                *to -= factor * *from;
            }
        }
    }
    for k in (0..n).rev() {
        let (b, below) = b.split_at_mut((k + 1) * sides);
        let row = &mut b[k * sides..];
        for (from, factor) in below.chunks_exact(sides.max(1)).zip(&a[k * n + k + 1..(k + 1) * n]) {
            row.iter_mut().zip(from).for_each(|(to, from)| *to -= *factor * *from);
        }
        row.iter_mut().for_each(|to| *to /= a[k * n + k]);
    }
    Ok(determinant)
}

/// The row from `k` on with the largest element in column `k`.
#[inline(always)]
fn pivot_of<T: Product>(a: &[T], n: usize, k: usize) -> Result<usize, Wrong> {
    let (mut pivot, mut largest) = (k, T::ZERO);
    for i in k..n {
        let size = a[i * n + k].abs();
        if size.is_nan() {
            return Err(Wrong::Number);
        }
        if size > largest {
            (pivot, largest) = (i, size);
        }
    }
    match largest {
        _ if largest == T::ZERO => Err(Wrong::Matrix),
        _ if !largest.is_finite() => Err(Wrong::Number),
        _ => Ok(pivot),
    }
}

/// Sets every `out[c]` to the inverse of `a[c]`, both `count x n x n`.
///
/// Cost: `8/3 n^3` operations per matrix. [`solve`] is cheaper and more accurate than multiplying by an
/// inverse.
///
/// # Errors
/// As for [`solve`].
///
/// ```
/// use phalanx_kernels::{KernelError, dense::batch};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = phalanx::Pool::builder().workers(2).build()?;
/// let a = ndarray::array![[[2.0, 0.0], [0.0, 4.0]], [[1.0, 2.0], [2.0, 4.0]]];
/// let mut out = pool.zeros_nd((2, 2, 2))?;
/// let refused = batch::inverse(&pool, &a, &mut out);
/// assert!(matches!(refused, Err(KernelError::Singular { at: 1, .. })));
/// assert_eq!(out.as_slice()[..4], [0.5, 0.0, 0.0, 0.25]);
/// # Ok(())
/// # }
/// ```
pub fn inverse<T: Product>(
    pool: &Pool,
    a: &impl Input<Elem = T, Dim = Ix3>,
    out: &mut SharedArray<T, Ix3>,
) -> Result<(), KernelError> {
    let (count, n) = check_batch(a.view().dim())?;
    check_shape("the inverses of a batch", &[count, n, n], out.shape())?;
    let first = each(pool, a, out, invert_chunk)?;
    told(first, |at| KernelError::Singular { kernel: "batch::inverse", at })
}

fn invert_chunk<T: Product>(a: &[T], out: &mut [T], span: Range<usize>, n: usize) -> Fault {
    let mut copy = vec![T::ZERO; n * n];
    sized!(n, n => first_fault(span.clone(), |index| {
        let place = index * n * n..(index + 1) * n * n;
        copy.copy_from_slice(&a[place.clone()]);
        let out = &mut out[place];
        out.fill(T::ZERO);
        out.iter_mut().step_by(n + 1).for_each(|one| *one = T::ONE);
        eliminate(n, &mut copy, out).map(|_| ())
    }))
}

/// Sets every `out[c]` to the lower triangular `L` with `L L' = a[c]`, for symmetric, positive definite
/// matrices, of which only the diagonal and what is below it is read. Both are `count x n x n`.
///
/// Cost: `1/3 n^3` operations per matrix.
///
/// # Errors
/// `Shape` if the shapes do not match; `NotPositiveDefinite` or `NotFinite` with the first matrix that is
/// not, or that holds NaN or an infinity; `Launch`, `Memory`.
///
/// ```
/// use phalanx_kernels::dense::batch;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = phalanx::Pool::builder().workers(2).build()?;
/// let mut out = pool.zeros_nd((1, 2, 2))?;
/// batch::cholesky(&pool, &ndarray::array![[[4.0, 2.0], [2.0, 10.0]]], &mut out)?;
/// assert_eq!(out.as_slice(), [2.0, 0.0, 1.0, 3.0]);
/// # Ok(())
/// # }
/// ```
pub fn cholesky<T: Product>(
    pool: &Pool,
    a: &impl Input<Elem = T, Dim = Ix3>,
    out: &mut SharedArray<T, Ix3>,
) -> Result<(), KernelError> {
    let (count, n) = check_batch(a.view().dim())?;
    check_shape("the factors of a batch", &[count, n, n], out.shape())?;
    let first = each(pool, a, out, cholesky_chunk)?;
    told(first, |at| KernelError::NotPositiveDefinite { kernel: "batch::cholesky", at })
}

fn cholesky_chunk<T: Product>(a: &[T], out: &mut [T], span: Range<usize>, n: usize) -> Fault {
    sized!(n, n => first_fault(span.clone(), |index| {
        let place = index * n * n..(index + 1) * n * n;
        factorise(n, &a[place.clone()], &mut out[place])
    }))
}

#[inline(always)]
fn factorise<T: Product>(n: usize, a: &[T], l: &mut [T]) -> Result<(), Wrong> {
    l.fill(T::ZERO);
    for i in 0..n {
        let (above, row) = l.split_at_mut(i * n);
        for j in 0..=i {
            let other = if j < i { &above[j * n..j * n + j] } else { &[] };
            let mut sum = a[i * n + j];
            for (left, right) in row[..other.len()].iter().zip(other) {
                sum -= *left * *right;
            }
            if j < i {
                row[j] = sum / above[j * n + j];
                continue;
            }
            for left in &row[..i] {
                sum -= *left * *left;
            }
            if !sum.is_finite() {
                return Err(Wrong::Number);
            }
            if sum <= T::ZERO {
                return Err(Wrong::Matrix);
            }
            row[i] = sum.sqrt();
        }
    }
    Ok(())
}

/// Runs a chunk's work, which writes a matrix for each.
fn each<T: Product, F>(
    pool: &Pool,
    a: &impl Input<Elem = T, Dim = Ix3>,
    out: &mut SharedArray<T, Ix3>,
    work: F,
) -> Result<Fault, KernelError>
where
    F: Fn(&[T], &mut [T], Range<usize>, usize) -> Fault + Copy + Send + Sync,
{
    let (count, n, _) = a.view().dim();
    if is_inline(a.len()) || a.is_empty() {
        return Ok(work(&a.elements(), out.as_mut_slice(), 0..count, n));
    }
    let a = a.share(pool)?;
    let operands = (out.split_out(), a.split(), 0..count, n);
    Ok(repeatable(pool).chunk(matrices_of(n)).reduce(
        operands,
        FINE,
        move |(mut out, a, span, n)| match (a.as_slice(), out.as_slice_mut()) {
            (Some(a), Some(out)) => work(a, out, span, n),
            _ => FINE,
        },
        |a, b| a.min(b),
    )?)
}

/// Sets every `out[c]` to the determinant of `a[c]`, which is `count x n x n`. NaN and infinities spread.
///
/// Cost: `2/3 n^3` operations per matrix.
///
/// # Errors
/// `Shape` if the shapes do not match; `Launch`, `Memory`.
///
/// ```
/// use phalanx_kernels::dense::batch;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = phalanx::Pool::builder().workers(2).build()?;
/// let mut out = pool.zeros::<f64>(2)?;
/// batch::determinant(&pool, &ndarray::array![[[1.0, 2.0], [3.0, 4.0]], [[1.0, 2.0], [2.0, 4.0]]], &mut out)?;
/// assert!((out.as_slice()[0] + 2.0).abs() < 1e-15 && out.as_slice()[1] == 0.0);
/// # Ok(())
/// # }
/// ```
#[doc(alias = "det")]
pub fn determinant<T: Product>(
    pool: &Pool,
    a: &impl Input<Elem = T, Dim = Ix3>,
    out: &mut SharedArray<T>,
) -> Result<(), KernelError> {
    let (count, n) = check_batch(a.view().dim())?;
    check_shape("the determinants of a batch", &[count], out.shape())?;
    if is_inline(a.len()) || a.is_empty() {
        determinants(&a.elements(), out.as_mut_slice(), n);
        return Ok(());
    }
    let a = a.share(pool)?;
    let operands = (out.split_out(), a.split(), n);
    repeatable(pool).chunk(matrices_of(n)).for_each(operands, |(out, a, n)| {
        determinants(a.as_slice().unwrap_or_default(), out, n);
    })?;
    Ok(())
}

fn determinants<T: Product>(a: &[T], out: &mut [T], n: usize) {
    let mut copy = vec![T::ZERO; n * n];
    sized!(n, n => {
        for (index, out) in out.iter_mut().enumerate() {
            copy.copy_from_slice(&a[index * n * n..(index + 1) * n * n]);
            *out = match eliminate(n, &mut copy, &mut []) {
                Ok(determinant) => determinant,
                Err(Wrong::Matrix) => T::ZERO,
                Err(Wrong::Number) => T::nan(),
            };
        }
    });
}

#[cfg(test)]
#[path = "batch/tests.rs"]
mod tests;
