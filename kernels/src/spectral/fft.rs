//! Transforms of whole arrays: which lines go to which worker, and the order of the axes.
#![deny(clippy::arithmetic_side_effects)]

use super::direction::{Direction, Norm, Way};
use super::line::Transform;
use super::long;
use crate::error::KernelError;
use crate::inline::is_inline;
use crate::layout::{Lines, resolve};
use crate::lines::lend;
use ndarray::{ArrayViewMut2, ArrayViewMut3, Axis, Ix2, Ix3};
use num_complex::Complex;
use phalanx::{Pool, Shape, SharedArray};

/// Elements of a chunk of whole lines, about: 64 KiB of complex float64.
const CHUNK_ELEMENTS: usize = 4096;
/// Columns of a matrix in one chunk: 8 KiB a row of complex float64.
const CHUNK_COLUMNS: usize = 64;

/// Transforms an array along some of its axes, in place, one after the other from the last named.
///
/// `axes` count from 0, or from the last axis if they are negative; an axis that is named twice is transformed
/// twice. `norm` says which direction is divided.
///
/// Cost: one pass over the array for each axis, about `5 n log2 n` operations per line of `n` elements; two passes
/// for all three axes of an array of three. Long lines, where they are few and contiguous, are cut up among the
/// workers ([how](crate::spectral#long-lines)), in two passes and with working space as large as a line; if their length has
/// no divisor from 16 to its square root, in about seven passes over arrays of twice the length, three of which are
/// working space. Empty arrays are left as they are.
///
/// # Errors
/// `Argument` if there is no such axis; `Launch`, `Memory`, and the array then holds unspecified values.
///
/// ```
/// use phalanx_kernels::spectral::{Complex, Direction, Norm, fft};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = phalanx::Pool::builder().workers(2).build()?;
/// let mut a = pool.from_shape_fn((64, 50, 3), |(i, _, _)| Complex::new(if i == 0 { 1.0 } else { 0.0 }, 0.0))?;
/// fft(&pool, &mut a, &[0], Direction::Forward, Norm::Ortho)?;
/// assert_eq!(a.view()[(63, 49, 2)], Complex::new(0.125, 0.0));
/// # Ok(())
/// # }
/// ```
#[doc(alias = "numpy.fft.fft", alias = "numpy.fft.ifft", alias = "numpy.fft.fftn", alias = "numpy.fft.ifftn")]
pub fn fft<T: Transform, D: Shape>(
    pool: &Pool,
    a: &mut SharedArray<Complex<T>, D>,
    axes: &[isize],
    direction: Direction,
    norm: Norm,
) -> Result<(), KernelError> {
    let shape = a.shape().to_vec();
    let axes: Vec<usize> = axes.iter().map(|axis| resolve(&shape, *axis)).collect::<Result<_, _>>()?;
    some_axes(pool, a, &axes, Way { direction, norm })
}

/// Transforms every line along the last axis, in place: a batch of one-dimensional transforms.
///
/// The inverse is divided by the number of elements of a line. Otherwise as [`fft`] along the last axis.
///
/// # Errors
/// `Launch`, `Memory`, after which the array holds unspecified values.
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
pub fn fft_1d<T: Transform, D: Shape>(
    pool: &Pool,
    a: &mut SharedArray<Complex<T>, D>,
    direction: Direction,
) -> Result<(), KernelError> {
    // An array without axes has one element, which is its own transform.
    let Some(last) = a.ndim().checked_sub(1) else { return Ok(()) };
    some_axes(pool, a, &[last], direction.into())
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
    some_axes(pool, a, &[0, 1], direction.into())
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
    some_axes(pool, a, &[0, 1, 2], direction.into())
}

/// The transform along axes that exist.
pub(super) fn some_axes<T: Transform, D: Shape>(
    pool: &Pool,
    a: &mut SharedArray<Complex<T>, D>,
    axes: &[usize],
    way: Way,
) -> Result<(), KernelError> {
    if a.is_empty() {
        return Ok(());
    }
    if let (&[0, 1, 2], &[depth, height, width]) = (axes, a.shape()) {
        return lend(a, Ix3(depth, height, width), |a| by_planes(pool, a, way));
    }
    axes.iter().rev().try_for_each(|&axis| one_axis(pool, a, axis, way))
}

#[expect(clippy::arithmetic_side_effects, reason = "a line of an array that has elements, in memory")]
fn one_axis<T: Transform, D: Shape>(
    pool: &Pool,
    a: &mut SharedArray<Complex<T>, D>,
    axis: usize,
    way: Way,
) -> Result<(), KernelError> {
    let Lines { outer, len, inner } = Lines::of(a.shape(), axis);
    if is_inline(a.len()) {
        if inner == 1 {
            lines(a.as_mut_slice(), len, way);
        } else {
            for slab in a.as_mut_slice().chunks_exact_mut(len * inner) {
                if let Ok(mut slab) = ArrayViewMut2::from_shape((len, inner), slab) {
                    columns(&mut slab, way);
                }
            }
        }
        return Ok(());
    }
    if inner == 1 && long::is_long(outer, len) {
        return long::transform(pool, a, len, way);
    }
    if inner == 1 {
        let chunk = (CHUNK_ELEMENTS / len).max(1) * len;
        let operands = (a.split_flat_mut(), len, way.to_wire());
        pool.launch().chunk(chunk).for_each(operands, |(a, len, way)| lines(a, len, Way::from_wire(way)))?;
        return Ok(());
    }
    let bundle = (CHUNK_ELEMENTS / len.saturating_mul(inner)).clamp(1, outer);
    lend(a, Ix3(outer, len, inner), |a| {
        let operands = (a.tiles_mut((bundle, len, CHUNK_COLUMNS.min(inner))), way.to_wire());
        pool.launch().for_each(operands, |(mut tile, way)| {
            tile.view.outer_iter_mut().for_each(|mut slab| columns(&mut slab, Way::from_wire(way)));
        })?;
        Ok(())
    })
}

/// All axes of an array of three.
fn by_planes<T: Transform>(
    pool: &Pool,
    a: &mut SharedArray<Complex<T>, Ix3>,
    way: Way,
) -> Result<(), KernelError> {
    if is_inline(a.len()) {
        let mut whole = a.view_mut();
        planes(&mut whole, way);
        across_planes(&mut whole, way);
        return Ok(());
    }
    // Far more planes than workers need are taken in bundles, since a launch has so many chunks at most.
    let bundle = |len: usize| (len >> 20).max(1);
    let (planes_at_once, rows_at_once) = (bundle(a.dim().0), bundle(a.dim().1));
    pool.launch().chunk(planes_at_once).for_each((a.split_mut(), way.to_wire()), |(mut a, way)| {
        planes(&mut a, Way::from_wire(way));
    })?;
    let operands = (a.split_axis_mut(1), way.to_wire());
    pool.launch().chunk(rows_at_once).for_each(operands, |(mut a, way)| {
        across_planes(&mut a, Way::from_wire(way));
    })?;
    Ok(())
}

/// The last two axes of some planes.
fn planes<T: Transform>(a: &mut ArrayViewMut3<'_, Complex<T>>, way: Way) {
    for mut plane in a.outer_iter_mut() {
        let width = plane.ncols();
        if let Some(rows) = plane.as_slice_mut() {
            lines(rows, width, way);
        }
        columns(&mut plane, way);
    }
}

/// The first axis, for some rows of every plane.
fn across_planes<T: Transform>(a: &mut ArrayViewMut3<'_, Complex<T>>, way: Way) {
    for mut rows in a.axis_iter_mut(Axis(1)) {
        columns(&mut rows, way);
    }
}

fn lines<T: Transform>(data: &mut [Complex<T>], len: usize, way: Way) {
    T::with_lines(|lines| lines.contiguous(data, len, way.direction, way.scale(len)));
}

fn columns<T: Transform>(data: &mut ArrayViewMut2<'_, Complex<T>>, way: Way) {
    let len = data.nrows();
    T::with_lines(|lines| lines.columns(data, way.direction, way.scale(len)));
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
            lines(&mut line, 4, Direction::Forward.into());
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

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn any_axes_and_divisions_agree_with_the_naive_twin(
            shape in (1usize..9, 1usize..14, 1usize..40, 1usize..5), seed: u64, which in 0usize..4, launch: bool,
            forward: bool, axes in proptest::collection::vec(-4isize..4, 0..4), norm in 0usize..3,
        ) {
            let direction = if forward { Direction::Forward } else { Direction::Inverse };
            let norm = [Norm::Backward, Norm::Ortho, Norm::Forward][norm];
            let len = shape.0 * shape.1 * shape.2 * shape.3;
            let start = Array::from_shape_vec(shape, random(len, &mut Dice(seed))).unwrap();
            let mut got = SharedArray::from_ndarray(&start).unwrap();
            let mut run = || fft(&pools()[which], &mut got, &axes, direction, norm).unwrap();
            if launch { launching(run) } else { run() }
            let mut want = start;
            for axis in &axes {
                let axis = axis.rem_euclid(4) as usize;
                naive(&mut want, axis, direction);
                let n = want.shape()[axis] as f64;
                let by = match (norm, direction) {
                    (Norm::Backward, _) => 1.0,
                    (Norm::Ortho, Direction::Forward) => n.sqrt().recip(),
                    (Norm::Ortho, Direction::Inverse) => n.sqrt(),
                    (Norm::Forward, Direction::Forward) => n.recip(),
                    (Norm::Forward, Direction::Inverse) => n,
                };
                want.mapv_inplace(|value| value * by);
            }
            let size = want.iter().map(|value| value.norm()).fold(1.0, f64::max);
            prop_assert!(got.view().iter().zip(&want).all(|(a, b)| (a - b).norm() < 1e-12 * size));
        }
    }

    #[test]
    fn an_axis_that_is_not_there_is_refused_before_any_work() {
        let mut a = SharedArray::from_shape_fn((3, 4), |(i, j)| Complex::new((i + j) as f64, 0.0)).unwrap();
        let before = a.to_vec();
        for axes in [&[2][..], &[-3], &[0, 5]] {
            let refused = fft(&pools()[1], &mut a, axes, Direction::Forward, Norm::Backward);
            assert!(matches!(refused, Err(KernelError::Argument { what: "axis", .. })));
        }
        assert_eq!(a.to_vec(), before);
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
