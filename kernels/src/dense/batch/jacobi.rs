//! Eigenvalues of many small symmetric matrices, by Jacobi's rotations (Golub and Van Loan, *Matrix
//! Computations*, 4th ed., 8.5).

use super::{FINE, Fault, Product, Wrong, check_batch, first_fault, matrices_of, sized, told};
use crate::error::{KernelError, check_shape};
use crate::inline::{is_inline, repeatable};
use crate::input::Input;
use ndarray::{Ix2, Ix3};
use phalanx::{Pool, SharedArray};
use std::ops::Range;

/// Sweeps over all elements. Six to eight are usual, for any matrix of this size.
const SWEEPS: usize = 60;

/// Sets row `c` of `values` to the eigenvalues of the symmetric matrix `a[c]`, ascending, and the columns of
/// `vectors[c]` to its eigenvectors, orthonormal and of undetermined sign. `a` and `vectors` are
/// `count x n x n`, `values` is `count x n`. Only the diagonal and what is below it is read.
///
/// Cost: some `40 n^3` operations per matrix.
///
/// # Errors
/// `Shape` if the shapes do not match; `NotFinite` with the first matrix that holds NaN or an infinity, or
/// overflows; `Launch`, `Memory`.
///
/// ```
/// use phalanx_kernels::dense::batch;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = phalanx::Pool::builder().workers(2).build()?;
/// let (mut values, mut vectors) = (pool.zeros_nd((1, 2))?, pool.zeros_nd((1, 2, 2))?);
/// batch::symmetric_eigen(&pool, &ndarray::array![[[2.0, 1.0], [1.0, 2.0]]], &mut values, &mut vectors)?;
/// assert!((values.as_slice()[0] - 1.0f64).abs() < 1e-15 && (values.as_slice()[1] - 3.0).abs() < 1e-15);
/// # Ok(())
/// # }
/// ```
#[doc(alias = "eigh")]
pub fn symmetric_eigen<T: Product>(
    pool: &Pool,
    a: &impl Input<Elem = T, Dim = Ix3>,
    values: &mut SharedArray<T, Ix2>,
    vectors: &mut SharedArray<T, Ix3>,
) -> Result<(), KernelError> {
    let (count, n) = check_batch(a.view().dim())?;
    check_shape("the eigenvalues of a batch", &[count, n], values.shape())?;
    check_shape("the eigenvectors of a batch", &[count, n, n], vectors.shape())?;
    let first = if is_inline(a.len()) || a.is_empty() {
        chunk(&a.elements(), values.as_mut_slice(), vectors.as_mut_slice(), 0..count, n)
    } else {
        let a = a.share(pool)?;
        let operands = (values.split_out(), vectors.split_out(), a.split(), 0..count, n);
        repeatable(pool).chunk(matrices_of(n)).reduce(
            operands,
            FINE,
            |(mut values, mut vectors, a, span, n)| match (
                a.as_slice(),
                values.as_slice_mut(),
                vectors.as_slice_mut(),
            ) {
                (Some(a), Some(values), Some(vectors)) => chunk(a, values, vectors, span, n),
                _ => FINE,
            },
            |a, b| a.min(b),
        )?
    };
    told(first, |at| KernelError::Breakdown {
        solver: "batch::symmetric_eigen",
        iterations: SWEEPS,
        why: format!("the rotations of matrix {at} do not come to rest"),
    })
}

fn chunk<T: Product>(a: &[T], values: &mut [T], vectors: &mut [T], span: Range<usize>, n: usize) -> Fault {
    let (mut copy, mut turned) = (vec![T::ZERO; n * n], vec![T::ZERO; n * n]);
    let mut order: Vec<usize> = Vec::with_capacity(n);
    sized!(n, n => first_fault(span.clone(), |index| {
        let place = index * n * n..(index + 1) * n * n;
        mirror(n, &a[place.clone()], &mut copy);
        rotate(n, &mut copy, &mut turned)?;
        order.clear();
        order.extend(0..n);
        let value = |j: usize| copy[j * n + j];
        order.sort_by(|a, b| value(*a).partial_cmp(&value(*b)).unwrap_or(std::cmp::Ordering::Equal));
        let (values, vectors) = (&mut values[index * n..(index + 1) * n], &mut vectors[place]);
        for (to, from) in order.iter().enumerate() {
            values[to] = value(*from);
            for i in 0..n {
                vectors[i * n + to] = turned[from * n + i];
            }
        }
        Ok(())
    }))
}

/// Copies the lower half to both.
#[inline(always)]
fn mirror<T: Product>(n: usize, a: &[T], copy: &mut [T]) {
    for i in 0..n {
        for j in 0..=i {
            copy[i * n + j] = a[i * n + j];
            copy[j * n + i] = a[i * n + j];
        }
    }
}

/// Brings `a` to diagonal form; the rows of `v` become the eigenvectors.
#[inline(always)]
fn rotate<T: Product>(n: usize, a: &mut [T], v: &mut [T]) -> Result<(), Wrong> {
    v.fill(T::ZERO);
    v.iter_mut().step_by(n + 1).for_each(|one| *one = T::ONE);
    if a.iter().any(|x| !x.is_finite()) {
        return Err(Wrong::Number);
    }
    let largest = a.iter().fold(T::ZERO, |most, x| if x.abs() <= most { most } else { x.abs() });
    for _ in 0..SWEEPS {
        let mut is_still = true;
        for p in 0..n {
            for q in p + 1..n {
                let off = a[p * n + q];
                let beside = a[p * n + p].abs().min(a[q * n + q].abs());
                // Too small to change either value, or, beside a value of 0, anything.
                if off.abs() <= T::epsilon() * T::from_f64(0.5) * beside
                    || off.abs() <= T::epsilon() * T::epsilon() * largest
                {
                    continue;
                }
                is_still = false;
                turn(n, a, v, (p, q));
            }
        }
        if is_still {
            return Ok(());
        }
    }
    Err(Wrong::Matrix)
}

/// One rotation, which brings the element of row `p` and column `q` to 0.
#[inline(always)]
fn turn<T: Product>(n: usize, a: &mut [T], v: &mut [T], (p, q): (usize, usize)) {
    let off = a[p * n + q];
    // Halves first: neither overflows where the other does not.
    let slope = (a[q * n + q] - a[p * n + p]) / off * T::from_f64(0.5);
    let tangent = T::ONE / (slope.abs() + slope.hypot(T::ONE));
    let tangent = if slope < T::ZERO { -tangent } else { tangent };
    let cosine = T::ONE / tangent.hypot(T::ONE);
    let sine = tangent * cosine;
    a[p * n + p] -= tangent * off;
    a[q * n + q] += tangent * off;
    (a[p * n + q], a[q * n + p]) = (T::ZERO, T::ZERO);
    for k in (0..n).filter(|k| *k != p && *k != q) {
        let (left, right) = (a[p * n + k], a[q * n + k]);
        let (left, right) = (cosine * left - sine * right, sine * left + cosine * right);
        (a[p * n + k], a[q * n + k]) = (left, right);
        (a[k * n + p], a[k * n + q]) = (left, right);
    }
    for k in 0..n {
        let (left, right) = (v[p * n + k], v[q * n + k]);
        (v[p * n + k], v[q * n + k]) = (cosine * left - sine * right, sine * left + cosine * right);
    }
}
