//! Transforms of real arrays.
#![deny(clippy::arithmetic_side_effects)]

use super::direction::{Direction, Norm, Way};
use super::fft::some_axes;
use super::line::{Transform, rescale};
use super::long;
use super::turns::{Turns, TurnsView};
use crate::error::{KernelError, check_shape};
use crate::inline::repeatable;
use crate::input::Input;
use crate::layout::{Lines, resolve};
use crate::lines::{Line, along, lend};
use ndarray::{Ix2, s};
use num_complex::Complex;
use phalanx::{Pool, Shape, SharedArray, Val};
use std::marker::PhantomData;

/// Sets `out` to the transform of the real array `x` along some axes.
///
/// The transform of real numbers is symmetric: frequency `n - k` has the conjugate of `k`. Along the last of `axes`
/// only frequencies `0 ..= n / 2` are written, so `out` has the shape of `x`, but `n / 2 + 1` elements along that
/// axis. Along the other axes the transform is that of [`fft`](super::fft()).
///
/// Cost: half of that of [`fft`](super::fft()) along the last axis. Long lines of even length are cut up among the
/// workers at half of the memory of a complex line; of odd length as complex lines.
///
/// # Errors
/// `Argument` if there is no such axis or none is named; `Empty` if lines have no elements; `Shape` if `out` does not
/// have the shape above; `Memory`, `Launch`.
///
/// ```
/// use phalanx_kernels::spectral::{Complex, Norm, rfft};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = phalanx::Pool::builder().workers(2).build()?;
/// let mut out = pool.zeros(3)?;
/// rfft(&pool, &mut out, &[1.0, 2.0, 3.0, 4.0], &[0], Norm::Backward)?;
/// assert_eq!(out.as_slice(), [Complex::new(10.0, 0.0), Complex::new(-2.0, 2.0), Complex::new(-2.0, 0.0)]);
/// # Ok(())
/// # }
/// ```
#[doc(alias = "numpy.fft.rfft", alias = "numpy.fft.rfft2", alias = "numpy.fft.rfftn")]
pub fn rfft<T: Transform, D: Shape>(
    pool: &Pool,
    out: &mut SharedArray<Complex<T>, D>,
    x: &(impl Input<Elem = T, Dim = D> + ?Sized),
    axes: &[isize],
    norm: Norm,
) -> Result<(), KernelError> {
    let shape = x.shape();
    let (last, others) = split_axes(&shape, axes)?;
    check_shape("out", &half_of("rfft", &shape, last)?, out.shape())?;
    if out.is_empty() {
        return Ok(());
    }
    let way = Way { direction: Direction::Forward, norm };
    let lines = Lines::of(&shape, last);
    if lines.inner == 1 && long::is_long(lines.outer, lines.len) {
        let x = x.share(pool)?;
        long_to_complex(pool, out, &x, lines, way)?;
    } else {
        along::<ToComplex<T>, D>(pool, out, x, last, way.scale(lines.len), &[])?;
    }
    some_axes(pool, out, &others, way)
}

/// Sets `out` to the real array whose transform along some axes is `x`: the inverse of [`rfft`].
///
/// `x` has the shape of `out`, but `n / 2 + 1` elements along the last of `axes`; what would be the other half is
/// taken to be its mirror image. Imaginary parts that this rules out, at frequency 0 and at the middle of an even
/// `n`, are ignored.
///
/// Cost: as [`rfft`], and a copy of `x` where there is more than one axis.
///
/// # Errors
/// As [`rfft`], with the shape of `x` for `Shape`.
///
/// ```
/// use phalanx_kernels::spectral::{Complex, Norm, irfft};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = phalanx::Pool::builder().workers(2).build()?;
/// let mut out = pool.zeros(4)?;
/// let x = [Complex::new(10.0, 0.0), Complex::new(-2.0, 2.0), Complex::new(-2.0, 0.0)];
/// irfft(&pool, &mut out, &x, &[0], Norm::Backward)?;
/// assert_eq!(out.as_slice(), [1.0, 2.0, 3.0, 4.0]);
/// # Ok(())
/// # }
/// ```
#[doc(alias = "numpy.fft.irfft", alias = "numpy.fft.irfft2", alias = "numpy.fft.irfftn")]
pub fn irfft<T: Transform, D: Shape>(
    pool: &Pool,
    out: &mut SharedArray<T, D>,
    x: &(impl Input<Elem = Complex<T>, Dim = D> + ?Sized),
    axes: &[isize],
    norm: Norm,
) -> Result<(), KernelError> {
    let shape = out.shape().to_vec();
    let (last, others) = split_axes(&shape, axes)?;
    check_shape("x", &half_of("irfft", &shape, last)?, &x.shape())?;
    if out.is_empty() {
        return Ok(());
    }
    let way = Way { direction: Direction::Inverse, norm };
    if others.is_empty() {
        return last_to_real(pool, out, x, last, way);
    }
    let mut work = SharedArray::<Complex<T>, D>::zeros(x.view().raw_dim())?;
    let shared = x.share(pool)?;
    repeatable(pool)
        .for_each((work.split_flat_out(), shared.split_flat()), |(to, x)| to.copy_from_slice(x))?;
    some_axes(pool, &mut work, &others, way)?;
    last_to_real(pool, out, &work, last, way)
}

fn last_to_real<T: Transform, D: Shape>(
    pool: &Pool,
    out: &mut SharedArray<T, D>,
    x: &(impl Input<Elem = Complex<T>, Dim = D> + ?Sized),
    last: usize,
    way: Way,
) -> Result<(), KernelError> {
    let lines = Lines::of(out.shape(), last);
    if lines.inner == 1 && long::is_long(lines.outer, lines.len) {
        let x = x.share(pool)?;
        return long_to_real(pool, out, &x, lines, way);
    }
    along::<ToReal<T>, D>(pool, out, x, last, way.scale(lines.len), &[])
}

/// The last of the axes, and the others.
fn split_axes(shape: &[usize], axes: &[isize]) -> Result<(usize, Vec<usize>), KernelError> {
    let axes: Vec<usize> = axes.iter().map(|axis| resolve(shape, *axis)).collect::<Result<_, _>>()?;
    match axes.split_last() {
        Some((last, others)) => Ok((*last, others.to_vec())),
        None => Err(KernelError::argument("axes", "none is named; name at least one")),
    }
}

/// The shape of the frequencies that are kept.
#[expect(clippy::arithmetic_side_effects, reason = "half of a length")]
fn half_of(kernel: &'static str, shape: &[usize], axis: usize) -> Result<Vec<usize>, KernelError> {
    if shape[axis] == 0 {
        return Err(KernelError::Empty { kernel });
    }
    let mut half = shape.to_vec();
    half[axis] = half[axis] / 2 + 1;
    Ok(half)
}

struct ToComplex<T>(PhantomData<T>);
impl<T: Transform> Line for ToComplex<T> {
    type In = T;
    type Out = Complex<T>;
    type About = T;
    type Table = T;
    fn line(scale: &T, _: &[T], x: &mut [T], out: &mut [Complex<T>]) {
        T::with_lines(|lines| {
            let (plan, scratch) = lines.complex_of(x.len());
            let done = plan.process_with_scratch(x, out, scratch);
            debug_assert!(done.is_ok(), "lengths fit");
        });
        rescale(out, *scale);
    }
}

struct ToReal<T>(PhantomData<T>);
impl<T: Transform> Line for ToReal<T> {
    type In = Complex<T>;
    type Out = T;
    type About = T;
    type Table = T;
    #[expect(clippy::arithmetic_side_effects, reason = "floats; a line that has elements")]
    fn line(scale: &T, _: &[T], x: &mut [Complex<T>], out: &mut [T]) {
        x[0].im = T::ZERO;
        if out.len().is_multiple_of(2) {
            x[out.len() / 2].im = T::ZERO;
        }
        T::with_lines(|lines| {
            let (plan, scratch) = lines.real_of(out.len());
            let done = plan.process_with_scratch(x, out, scratch);
            debug_assert!(done.is_ok(), "lengths fit, and what must be real is");
        });
        if *scale != T::ONE {
            out.iter_mut().for_each(|value| *value = *value * *scale);
        }
    }
}

/// Unscaled.
const fn plain(direction: Direction) -> Way {
    let norm = match direction {
        Direction::Forward => Norm::Backward,
        Direction::Inverse => Norm::Forward,
    };
    Way { direction, norm }
}

/// Long contiguous lines. Even and odd elements of a line of even length `2 h` are the real and imaginary parts of a
/// line `z` of `h` elements; with `E` and `O` the transforms of either, `Z = E + i O` and `X[k] = E[k] + w^k O[k]`.
#[expect(clippy::arithmetic_side_effects, reason = "places in arrays in memory; complex floats")]
fn long_to_complex<T: Transform, D: Shape>(
    pool: &Pool,
    out: &mut SharedArray<Complex<T>, D>,
    x: &SharedArray<T, D>,
    lines: Lines,
    way: Way,
) -> Result<(), KernelError> {
    let (n, half) = (lines.len, lines.len / 2 + 1);
    let step = if n.is_multiple_of(2) { 2 } else { 1 };
    let turns = Turns::<T>::new(n, Direction::Forward)?;
    let mut z = SharedArray::<Complex<T>>::zeros(n / step)?;
    for line in 0..lines.outer {
        let operands = (z.split_out(), 0..n / step, x.whole_flat(), [line * n, step]);
        repeatable(pool).for_each(operands, |(z, span, x, [first, step])| {
            let x = &x[first + span.start * step..];
            if step == 1 {
                z.iter_mut().zip(x).for_each(|(z, x)| *z = Complex::new(*x, T::ZERO));
            } else {
                z.iter_mut().zip(x.as_chunks::<2>().0).for_each(|(z, [a, b])| *z = Complex::new(*a, *b));
            }
        })?;
        long::transform(pool, &mut z, n / step, plain(Direction::Forward))?;
        lend(out, Ix2(lines.outer, half), |out| {
            let to = out.slice_mut(s![line, ..]).split_out();
            let tables = (turns.low.whole(), turns.high.whole());
            let operands = (to, 0..half, z.whole(), step, tables, Val(way.scale::<T>(n)));
            repeatable(pool).for_each(operands, |(mut to, span, z, step, (low, high), scale)| {
                let turns = TurnsView { low, high };
                let two = T::ONE + T::ONE;
                for (to, k) in to.iter_mut().zip(span) {
                    if step == 1 {
                        *to = z[k] * scale;
                        continue;
                    }
                    let (a, b) = (z[k % z.len()], z[(z.len() - k) % z.len()].conj());
                    let (even, odd) = ((a + b) / two, (a - b) / two);
                    let odd = Complex::new(odd.im, -odd.re);
                    *to = (even + turns.at(k) * odd) * scale;
                }
            })?;
            Ok(())
        })?;
    }
    Ok(())
}

/// The inverse of the above.
#[expect(clippy::arithmetic_side_effects, reason = "places in arrays in memory; complex floats")]
fn long_to_real<T: Transform, D: Shape>(
    pool: &Pool,
    out: &mut SharedArray<T, D>,
    x: &SharedArray<Complex<T>, D>,
    lines: Lines,
    way: Way,
) -> Result<(), KernelError> {
    let (n, half) = (lines.len, lines.len / 2 + 1);
    let step = if n.is_multiple_of(2) { 2 } else { 1 };
    let turns = Turns::<T>::new(n, Direction::Inverse)?;
    let mut z = SharedArray::<Complex<T>>::zeros(n / step)?;
    for line in 0..lines.outer {
        let tables = (turns.low.whole(), turns.high.whole());
        let operands = (z.split_out(), 0..n / step, x.whole_flat(), [line * half, half, step], tables);
        repeatable(pool).for_each(operands, |(z, span, x, [first, half, step], (low, high))| {
            let (x, turns) = (&x[first..first + half], TurnsView { low, high });
            let at = |k: usize| {
                // What the symmetry rules out is ignored.
                let is_real = k == 0 || (step == 2 && k + 1 == x.len());
                if is_real { Complex::new(x[k].re, T::ZERO) } else { x[k] }
            };
            for (z, k) in z.iter_mut().zip(span) {
                if step == 1 {
                    *z = if k < half { at(k) } else { at(2 * half - 1 - k).conj() };
                    continue;
                }
                let (a, b) = (at(k), at(half - 1 - k).conj());
                let odd = (a - b) * turns.at(k);
                *z = a + b + Complex::new(-odd.im, odd.re);
            }
        })?;
        long::transform(pool, &mut z, n / step, plain(Direction::Inverse))?;
        lend(out, Ix2(lines.outer, n), |out| {
            let to = out.slice_mut(s![line, ..]).split_out();
            let operands = (to, 0..n, z.whole(), step, Val(way.scale::<T>(n)));
            repeatable(pool).for_each(operands, |(mut to, span, z, step, scale)| {
                for (to, at) in to.iter_mut().zip(span) {
                    let z = z[at / step];
                    *to = scale * if at % step == 1 { z.im } else { z.re };
                }
            })?;
            Ok(())
        })?;
    }
    Ok(())
}

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "a test may fail by panicking")]
mod tests {
    use super::super::fft;
    use super::*;
    use crate::inline::launching;
    use crate::testing::{Dice, pools};
    use ndarray::Array3;
    use proptest::prelude::*;

    /// Half of the complex transform, which has a naive twin of its own.
    fn twin(x: &Array3<f64>, axes: &[isize], norm: Norm) -> Array3<Complex<f64>> {
        let all = x.mapv(|x| Complex::new(x, 0.0));
        let mut all = SharedArray::from_ndarray(&all).unwrap();
        fft(&pools()[0], &mut all, axes, Direction::Forward, norm).unwrap();
        let last = axes.last().unwrap().rem_euclid(3) as usize;
        let half = x.shape()[last] / 2 + 1;
        all.view().slice_axis(ndarray::Axis(last), ndarray::Slice::from(..half)).to_owned()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn half_of_the_complex_transform_and_back(
            shape in (1usize..12, 1usize..14, 1usize..40), seed: u64, which in 0usize..4, launch: bool,
            axes in Just(vec![-3isize, 1, 2]).prop_shuffle(), count in 1usize..4, norm in 0usize..3,
        ) {
            let (pool, axes) = (&pools()[which], &axes[..count]);
            let norm = [Norm::Backward, Norm::Ortho, Norm::Forward][norm];
            let x = Array3::from_shape_vec(shape, Dice(seed).units(shape.0 * shape.1 * shape.2)).unwrap();
            let want = twin(&x, axes, norm);
            let mut out = SharedArray::zeros(want.raw_dim()).unwrap();
            let mut back = SharedArray::zeros(x.raw_dim()).unwrap();
            let mut run = || {
                rfft(pool, &mut out, &x, axes, norm).unwrap();
                irfft(pool, &mut back, &out, axes, norm).unwrap();
            };
            if launch { launching(run) } else { run() }
            prop_assert!(out.view().iter().zip(&want).all(|(a, b)| (a - b).norm() < 1e-10));
            prop_assert!(back.view().iter().zip(&x).all(|(a, b)| (a - b).abs() < 1e-12));
        }
    }

    #[test]
    fn long_lines_agree_with_short_ones_and_come_back() {
        for n in [1 << 17, 131_073] {
            let x = Dice(n as u64).units(2 * n);
            let x = ndarray::Array2::from_shape_vec((2, n), x).unwrap();
            let run = |pool: &Pool| {
                let mut out = SharedArray::zeros((2, n / 2 + 1)).unwrap();
                rfft(pool, &mut out, &x, &[1], Norm::Backward).unwrap();
                let mut back = SharedArray::zeros((2, n)).unwrap();
                irfft(pool, &mut back, &out, &[1], Norm::Backward).unwrap();
                assert!(back.view().iter().zip(&x).all(|(a, b)| (a - b).abs() < 1e-12));
                out.to_vec()
            };
            let first = run(&pools()[0]);
            assert!(pools().iter().all(|pool| run(pool) == first));
            let mut want = vec![Complex::new(0.0, 0.0); 2 * (n / 2 + 1)];
            for (x, out) in x.outer_iter().zip(want.chunks_exact_mut(n / 2 + 1)) {
                ToComplex::line(&1.0, &[], &mut x.to_vec(), out);
            }
            assert!(first.iter().zip(want).all(|(a, b)| (a - b).norm() < 1e-9), "length {n}");
        }
    }

    #[test]
    fn parts_that_cannot_be_are_ignored_and_wrong_shapes_refused() {
        let pool = &pools()[1];
        let x = [Complex::new(10.0, 7.0), Complex::new(-2.0, 2.0), Complex::new(-2.0, -9.0)];
        let mut out = SharedArray::zeros(4).unwrap();
        irfft(pool, &mut out, &x, &[0], Norm::Backward).unwrap();
        assert_eq!(out.as_slice(), [1.0, 2.0, 3.0, 4.0]);
        let mut short = SharedArray::zeros(3).unwrap();
        let refused = irfft(pool, &mut short, &x, &[0], Norm::Backward);
        assert!(matches!(refused, Err(KernelError::Shape { what: "x", .. })));
        let mut none = SharedArray::zeros(0).unwrap();
        let refused = rfft(pool, &mut none, &[0.0f64; 0], &[0], Norm::Backward);
        assert!(matches!(refused, Err(KernelError::Empty { kernel: "rfft" })));
        let refused = irfft(pool, &mut out, &x, &[], Norm::Backward);
        assert!(matches!(refused, Err(KernelError::Argument { what: "axes", .. })));
    }
}
