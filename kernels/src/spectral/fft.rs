//! Transforms of whole arrays: which lines go to which worker, and the order of the axes.
#![deny(clippy::arithmetic_side_effects)]

use super::direction::Direction;
use super::line::Transform;
use crate::error::KernelError;
use crate::inline::is_inline;
use ndarray::{ArrayViewMut2, ArrayViewMut3, Axis, Ix2, Ix3};
use num_complex::Complex;
use phalanx::{Pool, Shape, SharedArray};

/// Elements of a chunk of whole lines, about: 64 KiB of complex float64.
const CHUNK_ELEMENTS: usize = 4096;
/// Columns of a matrix in one chunk: 8 KiB a row of complex float64.
const CHUNK_COLUMNS: usize = 64;

/// Transforms every line along the last axis, in place: a batch of one-dimensional transforms.
///
/// A single line is transformed by one worker. Cost: one pass over the array, about `5 n log2 n` operations
/// per line of `n` elements. Empty arrays are left as they are.
///
/// # Errors
/// `Launch`, after which the array holds unspecified values.
///
/// ```
/// use phalanx_kernels::spectral::{Complex, Direction, fft_1d};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = phalanx::Pool::builder().workers(2).build()?;
/// let mut a = pool.from_shape_fn((100, 256), |(_, j)| Complex::new(if j == 0 { 1.0 } else { 0.0 }, 0.0))?;
/// fft_1d(&pool, &mut a, Direction::Forward)?;
/// assert_eq!(a.view()[(99, 77)], Complex::new(1.0, 0.0));
/// # Ok(())
/// # }
/// ```
#[doc(alias = "numpy.fft.fft", alias = "numpy.fft.ifft")]
#[expect(clippy::arithmetic_side_effects, reason = "a line of an array that has elements, in memory")]
pub fn fft_1d<T: Transform, D: Shape>(
    pool: &Pool,
    a: &mut SharedArray<Complex<T>, D>,
    direction: Direction,
) -> Result<(), KernelError> {
    let len = a.shape().last().copied().unwrap_or(1);
    if a.is_empty() {
        return Ok(());
    }
    if is_inline(a.len()) {
        lines(a.as_mut_slice(), len, direction, direction.scale(len));
        return Ok(());
    }
    let chunk = (CHUNK_ELEMENTS / len).max(1) * len;
    let operands = (a.split_flat_mut(), len, direction.to_wire());
    pool.launch().chunk(chunk).for_each(operands, |(a, len, direction)| {
        let direction = Direction::from_wire(direction);
        lines(a, len, direction, direction.scale(len));
    })?;
    Ok(())
}

/// Transforms a matrix along both axes, in place.
///
/// Cost: two passes over the array, about `5 m n log2(m n)` operations. Otherwise like [`fft_1d`].
///
/// # Errors
/// As [`fft_1d`].
///
/// ```
/// use phalanx_kernels::spectral::{Complex, Direction, fft_2d};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = phalanx::Pool::builder().workers(2).build()?;
/// let mut a = pool.from_shape_fn((120, 100), |(i, j)| Complex::new((i * j) as f64, 0.0))?;
/// let before = a.to_vec();
/// fft_2d(&pool, &mut a, Direction::Forward)?;
/// fft_2d(&pool, &mut a, Direction::Inverse)?;
/// assert!(a.as_slice().iter().zip(before).all(|(a, b)| (a - b).norm() < 1e-9));
/// # Ok(())
/// # }
/// ```
#[doc(alias = "numpy.fft.fft2", alias = "numpy.fft.ifft2")]
pub fn fft_2d<T: Transform>(
    pool: &Pool,
    a: &mut SharedArray<Complex<T>, Ix2>,
    direction: Direction,
) -> Result<(), KernelError> {
    fft_1d(pool, a, direction)?;
    let height = a.dim().0;
    if is_inline(a.len()) {
        columns(&mut a.view_mut(), direction, direction.scale(height));
        return Ok(());
    }
    let operands = (a.split_axis_mut(1), direction.to_wire());
    pool.launch().chunk(CHUNK_COLUMNS).for_each(operands, |(mut a, direction)| {
        let direction = Direction::from_wire(direction);
        let scale = direction.scale(a.nrows());
        columns(&mut a, direction, scale);
    })?;
    Ok(())
}

/// Transforms an array of three axes along all of them, in place.
///
/// The last two axes are transformed plane by plane, while a plane is in the cache, the first axis in a pass
/// of its own. Cost: two passes over the array, about `5 n log2 n` operations for `n` elements. Otherwise
/// like [`fft_1d`].
///
/// # Errors
/// As [`fft_1d`].
///
/// ```
/// use phalanx_kernels::spectral::{Complex, Direction, fft_3d};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = phalanx::Pool::builder().workers(2).build()?;
/// let mut a = pool.from_shape_fn((32, 24, 30), |_| Complex::new(1.0f32, 0.0))?;
/// fft_3d(&pool, &mut a, Direction::Forward)?;
/// assert_eq!(a.view()[(0, 0, 0)].re.round(), 32.0 * 24.0 * 30.0);
/// # Ok(())
/// # }
/// ```
#[doc(alias = "numpy.fft.fftn", alias = "numpy.fft.ifftn")]
pub fn fft_3d<T: Transform>(
    pool: &Pool,
    a: &mut SharedArray<Complex<T>, Ix3>,
    direction: Direction,
) -> Result<(), KernelError> {
    if a.is_empty() {
        return Ok(());
    }
    if is_inline(a.len()) {
        let mut whole = a.view_mut();
        planes(&mut whole, direction);
        across_planes(&mut whole, direction);
        return Ok(());
    }
    // Far more planes than workers need are taken in bundles, since a launch has so many chunks at most.
    let bundle = |len: usize| (len >> 20).max(1);
    let (planes_at_once, rows_at_once) = (bundle(a.dim().0), bundle(a.dim().1));
    pool.launch().chunk(planes_at_once).for_each(
        (a.split_mut(), direction.to_wire()),
        |(mut a, direction)| {
            planes(&mut a, Direction::from_wire(direction));
        },
    )?;
    let operands = (a.split_axis_mut(1), direction.to_wire());
    pool.launch().chunk(rows_at_once).for_each(operands, |(mut a, direction)| {
        across_planes(&mut a, Direction::from_wire(direction));
    })?;
    Ok(())
}

/// The last two axes of some planes.
fn planes<T: Transform>(a: &mut ArrayViewMut3<'_, Complex<T>>, direction: Direction) {
    for mut plane in a.outer_iter_mut() {
        let (height, width) = plane.dim();
        if let Some(rows) = plane.as_slice_mut() {
            lines(rows, width, direction, direction.scale(width));
        }
        columns(&mut plane, direction, direction.scale(height));
    }
}

/// The first axis, for some rows of every plane.
fn across_planes<T: Transform>(a: &mut ArrayViewMut3<'_, Complex<T>>, direction: Direction) {
    let depth = a.dim().0;
    for mut rows in a.axis_iter_mut(Axis(1)) {
        columns(&mut rows, direction, direction.scale(depth));
    }
}

fn lines<T: Transform>(data: &mut [Complex<T>], len: usize, direction: Direction, scale: T) {
    T::with_lines(|lines| lines.contiguous(data, len, direction, scale));
}

fn columns<T: Transform>(data: &mut ArrayViewMut2<'_, Complex<T>>, direction: Direction, scale: T) {
    T::with_lines(|lines| lines.columns(data, direction, scale));
}

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "a test may fail by panicking")]
mod tests {
    use super::*;
    use crate::inline::launching;
    use crate::testing::{Dice, pools};
    use ndarray::{Array, Array3, Dimension, RemoveAxis};
    use proptest::prelude::*;

    type Line = Vec<Complex<f64>>;

    #[test]
    fn destructors_of_an_ending_thread_may_transform() {
        struct AtTheEnd(std::sync::mpsc::Sender<Line>);
        impl Drop for AtTheEnd {
            fn drop(&mut self) {
                self.0.send(transformed()).unwrap();
            }
        }
        fn transformed() -> Line {
            let mut line = vec![Complex::new(1.0, 0.0); 4];
            lines(&mut line, 4, Direction::Forward, 1.0);
            line
        }
        thread_local!(static KEPT: std::cell::OnceCell<AtTheEnd> = const { std::cell::OnceCell::new() });
        let (sender, receiver) = std::sync::mpsc::channel();
        let before = std::thread::spawn(|| {
            // Made first, so that it ends after what the transform keeps for the thread.
            KEPT.with(|kept| kept.set(AtTheEnd(sender)).map_err(drop).unwrap());
            transformed()
        });
        let before = before.join().unwrap();
        assert_eq!(before, [4.0, 0.0, 0.0, 0.0].map(|re| Complex::new(re, 0.0)));
        assert_eq!(receiver.recv().unwrap(), before);
    }

    /// The definition of one line.
    fn naive_line(line: &[Complex<f64>], direction: Direction) -> Line {
        let (n, sign) = (line.len(), if direction == Direction::Forward { -1.0 } else { 1.0 });
        (0..n)
            .map(|k| {
                let turn = |j: usize| sign * std::f64::consts::TAU * ((j * k) % n) as f64 / n as f64;
                let sum: Complex<f64> =
                    line.iter().enumerate().map(|(j, x)| x * Complex::from_polar(1.0, turn(j))).sum();
                if direction == Direction::Inverse { sum / n as f64 } else { sum }
            })
            .collect()
    }

    fn naive<D: Dimension + RemoveAxis>(a: &mut Array<Complex<f64>, D>, axis: usize, direction: Direction) {
        for mut lane in a.lanes_mut(Axis(axis)) {
            let line = naive_line(&lane.to_vec(), direction);
            lane.iter_mut().zip(line).for_each(|(to, from)| *to = from);
        }
    }

    fn random(len: usize, dice: &mut Dice) -> Line {
        (0..len).map(|_| Complex::new(dice.unit(), dice.unit())).collect()
    }

    fn close(got: &[Complex<f64>], want: &[Complex<f64>]) -> bool {
        let size = want.len() as f64 + 1.0;
        got.len() == want.len() && got.iter().zip(want).all(|(a, b)| (a - b).norm() < 1e-13 * size)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn all_agree_with_the_naive_twin(
            shape in (0usize..9, 0usize..14, 0usize..80), seed: u64, which in 0usize..4, launch: bool, forward: bool,
        ) {
            let direction = if forward { Direction::Forward } else { Direction::Inverse };
            let (pool, (planes, rows, width)) = (&pools()[which], shape);
            let start = Array3::from_shape_vec(shape, random(planes * rows * width, &mut Dice(seed))).unwrap();
            let matrix = start.clone().into_shape_with_order((planes * rows, width)).unwrap();
            let mut got = (
                SharedArray::from_ndarray(&start).unwrap(),
                SharedArray::from_ndarray(&matrix).unwrap(),
                SharedArray::from_ndarray(&start).unwrap(),
            );
            let mut all = || {
                fft_1d(pool, &mut got.0, direction).unwrap();
                fft_2d(pool, &mut got.1, direction).unwrap();
                fft_3d(pool, &mut got.2, direction).unwrap();
            };
            if launch { launching(all) } else { all() }
            let mut want = (start.clone(), matrix, start);
            naive(&mut want.0, 2, direction);
            (0..2).for_each(|axis| naive(&mut want.1, axis, direction));
            (0..3).for_each(|axis| naive(&mut want.2, axis, direction));
            prop_assert!(close(got.0.as_slice(), want.0.as_slice().unwrap()));
            prop_assert!(close(got.1.as_slice(), want.1.as_slice().unwrap()));
            prop_assert!(close(got.2.as_slice(), want.2.as_slice().unwrap()));
        }
    }

    #[test]
    fn there_and_back_gives_the_same_and_the_bits_do_not_depend_on_workers() {
        let start = random(20 * 30 * 37, &mut Dice(4));
        let run = |pool: &Pool| {
            let shape = Array3::from_shape_vec((20, 30, 37), start.clone()).unwrap();
            let mut a = SharedArray::from_ndarray(&shape).unwrap();
            fft_3d(pool, &mut a, Direction::Forward).unwrap();
            let there = a.to_vec();
            fft_3d(pool, &mut a, Direction::Inverse).unwrap();
            assert!(a.as_slice().iter().zip(&start).all(|(a, b)| (a - b).norm() < 1e-13));
            (there, a.to_vec())
        };
        let first = run(&pools()[0]);
        assert!(pools().iter().all(|pool| run(pool) == first));
    }

    #[test]
    fn a_nan_stays_in_its_line() {
        let mut a = SharedArray::from_shape_fn((50, 300), |_| Complex::new(1.0f32, 0.0)).unwrap();
        a.view_mut()[(7, 100)].re = f32::NAN;
        fft_1d(&pools()[1], &mut a, Direction::Forward).unwrap();
        assert!(a.view().row(7).iter().all(|value| value.re.is_nan()));
        assert!(a.view().row(8).iter().all(|value| !value.re.is_nan()));
    }

    #[test]
    fn more_lengths_than_are_kept_and_long_columns() {
        for len in 1..150 {
            let mut a = SharedArray::from_fn(len, |i| Complex::new(i as f64, 0.0)).unwrap();
            let want = naive_line(a.as_slice(), Direction::Forward);
            fft_1d(&pools()[0], &mut a, Direction::Forward).unwrap();
            assert!(close(a.as_slice(), &want), "length {len}");
        }
        // One column of the block is longer than the block's bytes allow for.
        let mut a =
            SharedArray::from_shape_fn((20_000, 3), |(i, _)| Complex::new(f64::from(i == 0), 0.0)).unwrap();
        fft_2d(&pools()[1], &mut a, Direction::Forward).unwrap();
        assert!((a.view()[(17_777, 0)] - Complex::new(3.0, 0.0)).norm() < 1e-12);
    }
}
