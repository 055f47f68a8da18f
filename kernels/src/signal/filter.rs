//! Linear filters along an axis.

use crate::error::{KernelError, check_shape};
use crate::input::Input;
use crate::layout::resolve;
use crate::lines::{Line, along};
use crate::number::Real;
use phalanx::{Pool, Shape, SharedArray};
use std::marker::PhantomData;

/// Filters every line of `x` along an axis: `a[0] y[i] = b[0] x[i] + b[1] x[i-1] + .. - a[1] y[i-1] - ..`.
///
/// With `a` of one element this is a finite impulse response, a moving average; with more an infinite one. Lines begin
/// at rest, with zeros before them. The sums are made in the order of the transposed direct form II, as in
/// `scipy.signal.lfilter`. For high orders of `a` prefer [`sosfilt`], which rounds less.
///
/// Cost: one pass over both arrays, two operations for each element and coefficient, one after the other. Lines are
/// shared among the workers, each filtered by one; for one long line and a finite response see
/// [`convolve`](super::convolve()).
///
/// # Errors
/// `Argument` if there is no such axis, if `a` or `b` has no elements, or `a[0]` is 0; `Shape` if the shapes differ;
/// `Memory`, `Launch`.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let pool = phalanx::Pool::builder().workers(2).build()?;
/// let mut out = pool.zeros(4)?;
/// phalanx_kernels::signal::lfilter(&pool, &mut out, &[8.0, 0.0, 0.0, 0.0], &[1.0], &[1.0, -0.5], 0)?;
/// assert_eq!(out.as_slice(), [8.0, 4.0, 2.0, 1.0]);
/// # Ok(())
/// # }
/// ```
#[doc(alias = "scipy.signal.lfilter")]
pub fn lfilter<T: Real, D: Shape>(
    pool: &Pool,
    out: &mut SharedArray<T, D>,
    x: &(impl Input<Elem = T, Dim = D> + ?Sized),
    b: &[T],
    a: &[T],
    axis: isize,
) -> Result<(), KernelError> {
    let axis = resolve(&x.shape(), axis)?;
    check_shape("out", &x.shape(), out.shape())?;
    let Some(&lead) = a.first().filter(|lead| **lead != T::ZERO) else {
        return Err(KernelError::argument("a", "it needs elements, and the first may not be 0"));
    };
    if b.is_empty() {
        return Err(KernelError::argument("b", "it needs elements"));
    }
    // Pairs of coefficients, the shorter list padded with zeros.
    let at = |list: &[T], k: usize| list.get(k).map_or(T::ZERO, |value| *value / lead);
    let table: Vec<[T; 2]> = (0..a.len().max(b.len())).map(|k| [at(b, k), at(a, k)]).collect();
    along::<Direct<T>, D>(pool, out, x, axis, 0, &table)
}

struct Direct<T>(PhantomData<T>);
impl<T: Real> Line for Direct<T> {
    type In = T;
    type Out = T;
    type About = u8;
    type Table = [T; 2];
    fn line(_: &u8, table: &[[T; 2]], x: &mut [T], out: &mut [T]) {
        let (lead, table) = (table[0][0], &table[1..]);
        let mut state = vec![T::ZERO; table.len() + 1];
        for (y, x) in out.iter_mut().zip(&*x) {
            *y = lead * *x + state[0];
            for (k, [b, a]) in table.iter().enumerate() {
                state[k] = state[k + 1] + *b * *x - *a * *y;
            }
        }
    }
}

/// Filters every line of `x` along an axis by sections of second order, one after the other.
///
/// A section is `[b0, b1, b2, a0, a1, a2]`, as `scipy.signal.butter(.., output="sos")` and others design them; see
/// [`lfilter`]. Without sections `out` is a copy.
///
/// Cost: one pass over both arrays, nine operations for each element and section.
///
/// # Errors
/// `Argument` if there is no such axis, or the `a0` of a section is 0; `Shape` if the shapes differ; `Memory`,
/// `Launch`.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let pool = phalanx::Pool::builder().workers(2).build()?;
/// let mut out = pool.zeros(4)?;
/// let half = [1.0, 0.0, 0.0, 1.0, -0.5, 0.0];
/// phalanx_kernels::signal::sosfilt(&pool, &mut out, &[8.0, 0.0, 0.0, 0.0], &[half, half], 0)?;
/// assert_eq!(out.as_slice(), [8.0, 8.0, 6.0, 4.0]);
/// # Ok(())
/// # }
/// ```
#[doc(alias = "scipy.signal.sosfilt")]
pub fn sosfilt<T: Real, D: Shape>(
    pool: &Pool,
    out: &mut SharedArray<T, D>,
    x: &(impl Input<Elem = T, Dim = D> + ?Sized),
    sections: &[[T; 6]],
    axis: isize,
) -> Result<(), KernelError> {
    let axis = resolve(&x.shape(), axis)?;
    check_shape("out", &x.shape(), out.shape())?;
    if let Some(at) = sections.iter().position(|section| section[3] == T::ZERO) {
        return Err(KernelError::argument("sections", format!("a0 of number {at} is 0")));
    }
    let table: Vec<[T; 6]> = sections.iter().map(|section| section.map(|value| value / section[3])).collect();
    along::<Sections<T>, D>(pool, out, x, axis, 0, &table)
}

struct Sections<T>(PhantomData<T>);
impl<T: Real> Line for Sections<T> {
    type In = T;
    type Out = T;
    type About = u8;
    type Table = [T; 6];
    fn line(_: &u8, table: &[[T; 6]], x: &mut [T], out: &mut [T]) {
        let mut state = vec![[T::ZERO; 2]; table.len()];
        for (y, x) in out.iter_mut().zip(&*x) {
            let mut value = *x;
            for ([b0, b1, b2, _, a1, a2], state) in table.iter().zip(&mut state) {
                let result = *b0 * value + state[0];
                state[0] = state[1] + *b1 * value - *a1 * result;
                state[1] = *b2 * value - *a2 * result;
                value = result;
            }
            *y = value;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inline::launching;
    use crate::testing::{Dice, pools};
    use ndarray::{Array3, Axis};
    use proptest::prelude::*;

    /// The equation of the documentation.
    fn naive(x: &[f64], b: &[f64], a: &[f64]) -> Vec<f64> {
        let mut y: Vec<f64> = Vec::new();
        for i in 0..x.len() {
            let moving =
                b.iter().enumerate().filter(|(k, _)| *k <= i).map(|(k, b)| b * x[i - k]).sum::<f64>();
            let back =
                a.iter().enumerate().skip(1).filter(|(k, _)| *k <= i).map(|(k, a)| a * y[i - k]).sum::<f64>();
            y.push((moving - back) / a[0]);
        }
        y
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn both_agree_with_the_naive_twin(
            shape in (1usize..7, 1usize..20, 1usize..30), axis in 0usize..3, seed: u64, which in 0usize..4, launch: bool,
            orders in (1usize..5, 1usize..4),
        ) {
            let (pool, mut dice) = (&pools()[which], Dice(seed));
            let x = Array3::from_shape_vec(shape, dice.units(shape.0 * shape.1 * shape.2)).unwrap();
            let b = dice.units(orders.0);
            // Small coefficients: the filters are stable.
            let a: Vec<f64> = (0..orders.1).map(|k| if k == 0 { 2.0 } else { dice.unit() / 4.0 }).collect();
            let section = [b[0], *b.get(1).unwrap_or(&0.0), 0.3, a[0], *a.get(1).unwrap_or(&0.0), 0.1];
            let (mut whole, mut cut) = (SharedArray::zeros(shape).unwrap(), SharedArray::zeros(shape).unwrap());
            let mut run = || {
                lfilter(pool, &mut whole, &x, &b, &a, axis as isize).unwrap();
                sosfilt(pool, &mut cut, &x, &[section, section], axis as isize).unwrap();
            };
            if launch { launching(run) } else { run() }
            let (whole, cut) = (whole.view(), cut.view());
            for ((x, y), z) in x.lanes(Axis(axis)).into_iter().zip(whole.lanes(Axis(axis))).zip(cut.lanes(Axis(axis))) {
                let want = naive(&x.to_vec(), &b, &a);
                prop_assert!(y.iter().zip(want).all(|(a, b)| (a - b).abs() < 1e-12));
                let once = naive(&x.to_vec(), &section[..3], &section[3..]);
                let twice = naive(&once, &section[..3], &section[3..]);
                prop_assert!(z.iter().zip(twice).all(|(a, b)| (a - b).abs() < 1e-12));
            }
        }
    }

    #[test]
    fn filters_without_a_lead_are_refused() {
        let mut out = SharedArray::zeros(2).unwrap();
        for (b, a) in [(&[1.0][..], &[][..]), (&[1.0], &[0.0, 1.0]), (&[], &[1.0])] {
            let refused = lfilter(&pools()[1], &mut out, &[1.0, 2.0], b, a, 0);
            assert!(matches!(refused, Err(KernelError::Argument { .. })));
        }
        let refused = sosfilt(&pools()[1], &mut out, &[1.0, 2.0], &[[1.0, 0.0, 0.0, 0.0, 0.0, 0.0]], 0);
        assert!(matches!(refused, Err(KernelError::Argument { what: "sections", .. })));
        sosfilt(&pools()[1], &mut out, &[1.0, 2.0], &[], 0).unwrap();
        assert_eq!(out.as_slice(), [1.0, 2.0]);
    }
}
