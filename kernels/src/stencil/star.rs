//! Star stencils of any radius: neighbours along the axes.
#![deny(clippy::arithmetic_side_effects)]

use super::Boundary;
use super::past::way_of_one;
use super::sweep::{Offset, Sweep};
use crate::error::{KernelError, check_shape};
use crate::inline::{is_inline, repeatable};
use crate::input::Input;
use crate::number::Real;
use crate::simd::vectorized;
use crate::store::CACHED;
use ndarray::{Ix2, Ix3};
use phalanx::{Pool, Shape, SharedArray};

/// Applies a star stencil to a matrix.
///
/// `weights[axis]` has an odd number of elements, `2 r + 1`; the middle one weights the element itself. The
/// result is the sum over both axes and over `d` in `-r..=r` of
/// `weights[axis][r + d] * a[.. + d along axis ..]`. So `[1, -2, 1]` on each axis is the 5-point Laplacian.
/// The middle weights are added up first; then come the terms of the element itself and of each axis, from
/// the lowest `d` to the highest. Cost: one read and one write of the matrix, and two operations per tap and
/// element; radii up to about 4 run at the speed of memory.
///
/// # Errors
/// `Shape` if `out` does not have the shape of `a`; `Argument` if the number of weights along an axis is
/// even; `Launch`, `Memory`.
///
/// ```
/// use phalanx_kernels::stencil::{Boundary, star_2d};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = phalanx::Pool::builder().workers(2).build()?;
/// let a = pool.from_shape_fn((300, 200), |(i, j)| (i * i + j * j) as f64)?;
/// let mut laplacian = pool.zeros_nd((300, 200))?;
/// star_2d(&pool, [&[1.0, -2.0, 1.0], &[1.0, -2.0, 1.0]], &a, Boundary::Nearest, &mut laplacian)?;
/// assert_eq!(laplacian.view()[(150, 100)], 4.0);
/// # Ok(())
/// # }
/// ```
#[doc(alias = "laplace", alias = "finite differences")]
pub fn star_2d<T: Real>(
    pool: &Pool,
    weights: [&[T]; 2],
    a: &impl Input<Elem = T, Dim = Ix2>,
    boundary: Boundary<T>,
    out: &mut SharedArray<T, Ix2>,
) -> Result<(), KernelError> {
    // Adding -0.0 leaves every number as it is, zeros included.
    let taps = Taps::star([&[T::neg_zero()], weights[0], weights[1]])?;
    taps.apply(pool, a, boundary, out)
}

/// Applies a star stencil to an array of three axes, like [`star_2d`].
///
/// # Errors
/// The same as those of [`star_2d`].
///
/// ```
/// use phalanx_kernels::stencil::{Boundary, star_3d};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = phalanx::Pool::builder().workers(2).build()?;
/// let a = pool.from_shape_fn((30, 40, 50), |(i, _, _)| i as f32)?;
/// let mut slope = pool.zeros_nd((30, 40, 50))?;
/// star_3d(&pool, [&[-0.5, 0.0, 0.5], &[0.0], &[0.0]], &a, Boundary::Nearest, &mut slope)?;
/// assert_eq!(slope.view()[(10, 20, 30)], 1.0);
/// # Ok(())
/// # }
/// ```
pub fn star_3d<T: Real>(
    pool: &Pool,
    weights: [&[T]; 3],
    a: &impl Input<Elem = T, Dim = Ix3>,
    boundary: Boundary<T>,
    out: &mut SharedArray<T, Ix3>,
) -> Result<(), KernelError> {
    Taps::star(weights)?.apply(pool, a, boundary, out)
}

/// Chunks for every worker, at least.
const EACH: usize = 6;

/// Taps as workers can read them.
pub(super) struct Taps<T> {
    offsets: SharedArray<Offset>,
    weights: SharedArray<T>,
}

impl<T: Real> Taps<T> {
    /// `count` taps, each from its number.
    pub(super) fn from_fn(
        count: usize,
        offset: impl Fn(usize) -> Offset,
        weight: impl Fn(usize) -> T,
    ) -> Result<Taps<T>, KernelError> {
        Ok(Taps {
            offsets: SharedArray::from_fn(count, offset)?,
            weights: SharedArray::from_fn(count, weight)?,
        })
    }

    /// The taps of a star: the element itself, then each axis from the lowest offset to the highest.
    #[expect(clippy::arithmetic_side_effects, reason = "floats, and places in weights in memory")]
    fn star(weights: [&[T]; 3]) -> Result<Taps<T>, KernelError> {
        let mut taps = vec![([0; 3], T::neg_zero())];
        for (axis, weights) in weights.into_iter().enumerate() {
            check_odd("the weights of a stencil along an axis", weights.len())?;
            let radius = weights.len() / 2;
            taps[0].1 = taps[0].1 + weights[radius];
            for (at, weight) in weights.iter().enumerate().filter(|(at, _)| *at != radius) {
                let mut offset = [0; 3];
                offset[axis] = at as i64 - radius as i64;
                taps.push((offset, *weight));
            }
        }
        Taps::from_fn(taps.len(), |tap| taps[tap].0, |tap| taps[tap].1)
    }

    /// Applies the taps to an array of two or three axes.
    #[expect(clippy::arithmetic_side_effects, reason = "places in an array that has elements, in memory")]
    pub(super) fn apply<D: Shape>(
        &self,
        pool: &Pool,
        a: &impl Input<Elem = T, Dim = D>,
        boundary: Boundary<T>,
        out: &mut SharedArray<T, D>,
    ) -> Result<(), KernelError> {
        check_shape("the result of a stencil", &a.shape(), out.shape())?;
        if out.is_empty() {
            return Ok(());
        }
        let shape = three_axes(out.shape());
        let (offsets, weights) = (self.offsets.as_slice(), self.weights.as_slice());
        if is_inline(out.len()) {
            let input = a.elements();
            let sweep = Sweep { input: &input, shape, offsets, weights, boundary, way: CACHED };
            run(sweep, 0..shape[0] * shape[1], out.as_mut_slice());
            return Ok(());
        }
        let (a, width, out_bytes) = (a.share(pool)?, shape[2], out.len_bytes());
        let reach = |axis: usize| {
            offsets.iter().map(|offset| offset[axis].unsigned_abs() as usize).max().unwrap_or(0)
        };
        let chunk = chunk_of(shape, [reach(0), reach(1)], pool.workers()) * width;
        let operands = (
            out.split_flat_out(),
            0..shape[0] * shape[1] * width,
            a.whole_flat(),
            self.offsets.whole(),
            self.weights.whole(),
            [shape[0], shape[1], shape[2]],
            (boundary.to_wire(), way_of_one(2 * out_bytes)),
        );
        repeatable(pool).chunk(chunk).for_each(
            operands,
            |(out, span, input, offsets, weights, shape, (edge, way))| {
                let sweep =
                    Sweep { input, shape, offsets, weights, boundary: Boundary::from_wire(edge), way };
                run(sweep, span.start / shape[2]..span.end / shape[2], out);
            },
        )?;
        Ok(())
    }
}

fn run<T: Real>(sweep: Sweep<'_, T>, rows: std::ops::Range<usize>, out: &mut [T]) {
    vectorized(
        #[inline(always)]
        || sweep.run(rows, out),
    );
}

/// Refuses an even number of weights, which has no middle.
pub(super) fn check_odd(what: &'static str, len: usize) -> Result<(), KernelError> {
    if len % 2 == 1 {
        return Ok(());
    }
    Err(KernelError::argument(what, format!("{len} is even and has no middle; add a zero at one end")))
}

/// The shape with three axes: a matrix is one plane.
fn three_axes(shape: &[usize]) -> [usize; 3] {
    match *shape {
        [rows, columns] => [1, rows, columns],
        [planes, rows, columns] => [planes, rows, columns],
        _ => [1, 1, shape.iter().product()],
    }
}

/// Rows of a chunk, counted over both outer axes: whole planes where there are many, `reach` being how far
/// taps go along either axis.
#[expect(clippy::arithmetic_side_effects, reason = "rows of an array in memory, and a pool has workers")]
fn chunk_of([planes, rows, _]: [usize; 3], reach: [usize; 2], workers: usize) -> usize {
    if planes >= 4 * workers {
        chunk_rows(planes, reach[0], workers, EACH) * rows
    } else {
        chunk_rows(planes * rows, reach[1], workers, EACH)
    }
}

/// Rows (or planes) of a chunk. What a chunk reads beyond its ends is read twice: so chunks are long, at
/// least 32 times as far as taps reach, as long as every worker gets `each` of them: processors that share a
/// core, or are busy with something else, do fewer.
#[expect(clippy::arithmetic_side_effects, reason = "rows and weights in memory, and a pool has workers")]
pub(super) fn chunk_rows(rows: usize, reach: usize, workers: usize, each: usize) -> usize {
    (rows / (16 * workers)).max(32 * reach).min(rows.div_ceil(each * workers)).max(1)
}

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "a test may fail by panicking")]
mod tests {
    use super::super::sweep::naive;
    use super::*;
    use crate::inline::launching;
    use crate::testing::{Dice, pools};
    use ndarray::{Array2, Array3};
    use proptest::prelude::*;

    pub(super) fn any_boundary() -> impl Strategy<Value = Boundary<f64>> {
        prop_oneof![
            (-2.0..2.0).prop_map(Boundary::Constant),
            Just(Boundary::Nearest),
            Just(Boundary::Reflect),
            Just(Boundary::Mirror),
            Just(Boundary::Wrap),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn stars_in_space_agree_with_the_naive_twin(
            shape in [0usize..12, 0usize..12, 0usize..40], radii in [0usize..4, 0usize..3, 0usize..6], boundary in any_boundary(),
            seed: u64, which in 0usize..4,
        ) {
            let mut dice = Dice(seed);
            let a = Array3::from_shape_vec(shape, dice.units(shape.iter().product())).unwrap();
            let weights = radii.map(|radius| dice.units(2 * radius + 1));
            let weights: [&[f64]; 3] = [&weights[0], &weights[1], &weights[2]];
            let taps = Taps::star(weights).unwrap();
            let (offsets, weights_of_taps) = (taps.offsets.as_slice(), taps.weights.as_slice());
            let input = a.as_slice().unwrap();
            let want = naive(&Sweep { input, shape, offsets, weights: weights_of_taps, boundary, way: CACHED });
            let mut out = SharedArray::zeros(shape).unwrap();
            launching(|| star_3d(&pools()[which], weights, &a, boundary, &mut out)).unwrap();
            prop_assert_eq!(out.as_slice(), &want);
            let mut inline = SharedArray::zeros(shape).unwrap();
            star_3d(&pools()[which], weights, &a, boundary, &mut inline).unwrap();
            prop_assert_eq!(inline.as_slice(), want);
        }
    }

    #[test]
    fn rows_longer_than_a_strip_and_a_matrix() {
        let a = Array2::from_shape_fn((40, 1500), |(i, j)| (i * i + 3 * j * j) as f64);
        let mut out = SharedArray::zeros((40, 1500)).unwrap();
        let second: &[f64] = &[0.0, 1.0, -2.0, 1.0, 0.0];
        star_2d(&pools()[2], [second, second], &a, Boundary::Nearest, &mut out).unwrap();
        assert!(out.view().slice(ndarray::s![1..39, 1..1499]).iter().all(|value| *value == 8.0));
        assert_eq!(out.view()[(0, 700)], 7.0, "beyond the first row stands the first row");
    }

    #[test]
    fn planes_larger_than_a_block_of_rows() {
        let shape = [4, 20, 2100];
        let a = Array3::from_shape_vec(shape, Dice(11).units(4 * 20 * 2100)).unwrap();
        let weights: [&[f64]; 3] = [&[0.1, 0.2, 0.3], &[0.4, 0.5, 0.6], &[0.7, 0.8, 0.9]];
        let taps = Taps::star(weights).unwrap();
        let (offsets, weights_of_taps) = (taps.offsets.as_slice(), taps.weights.as_slice());
        let (input, boundary) = (a.as_slice().unwrap(), Boundary::Wrap);
        let sweep = Sweep { input, shape, offsets, weights: weights_of_taps, boundary, way: CACHED };
        let want = naive(&sweep);
        for pool in pools() {
            let mut out = SharedArray::zeros(shape).unwrap();
            star_3d(pool, weights, &a, boundary, &mut out).unwrap();
            assert_eq!(out.as_slice(), want);
        }
        let mut out = vec![0.0; want.len()];
        sweep.run(0..80, &mut out);
        assert_eq!(out, want, "all planes at once, block after block");
    }

    #[test]
    fn chunks_are_long_but_every_worker_gets_some() {
        assert_eq!(chunk_rows(5792, 1, 2, 6), 181);
        assert_eq!(chunk_rows(322, 1, 2, 6), 27);
        assert_eq!(chunk_rows(100, 5, 2, 6), 9);
        assert_eq!(chunk_rows(256, 1, 16, 6), 3);
        assert_eq!((chunk_rows(0, 1, 2, 6), chunk_rows(1, 1, 7, 6)), (1, 1));
        assert_eq!(chunk_of([322, 322, 322], [1, 1], 2), 27 * 322);
        assert_eq!(chunk_of([4, 1000, 50], [1, 1], 2), 125);
    }

    #[test]
    fn nan_spreads_to_its_neighbours_only() {
        let mut a = Array2::from_elem((200, 200), 1.0);
        a[(100, 100)] = f64::NAN;
        let mut out = SharedArray::zeros((200, 200)).unwrap();
        star_2d(&pools()[1], [&[1.0; 3], &[1.0; 3]], &a, Boundary::Wrap, &mut out).unwrap();
        let nan: Vec<_> = out.view().indexed_iter().filter(|(_, v)| v.is_nan()).map(|(at, _)| at).collect();
        assert_eq!(nan, [(99, 100), (100, 99), (100, 100), (100, 101), (101, 100)]);
    }

    #[test]
    fn bad_arguments_are_refused() {
        let a = Array2::<f32>::zeros((4, 5));
        let mut out = SharedArray::zeros((4, 5)).unwrap();
        let refused = star_2d(&pools()[1], [&[1.0; 2], &[1.0; 3]], &a, Boundary::Nearest, &mut out);
        assert!(matches!(refused, Err(KernelError::Argument { .. })));
        let mut out = SharedArray::zeros((5, 4)).unwrap();
        let refused = star_2d(&pools()[1], [&[1.0; 3], &[1.0; 3]], &a, Boundary::Nearest, &mut out);
        assert!(matches!(refused, Err(KernelError::Shape { .. })));
    }
}
