//! The heat equation, by explicit steps.
//!
//! `u' = (1 - 2 d r) u + r (sum of the neighbours)` in `d` dimensions, with
//! `r = diffusivity * time step / spacing^2`: forward in time, central in space, the border held fixed. All
//! steps run in one region: two arrays take turns, workers meet once per step, and each begins every step with
//! the same rows, so that its part stays in its cache if it fits. See LeVeque, *Finite Difference
//! Methods for Ordinary and Partial Differential Equations*, 9.
#![deny(clippy::arithmetic_side_effects)]

use super::past::way_of_many;
use super::sweep::{BLOCK_BYTES, Out, STRIP, sum_group};
use crate::error::{KernelError, check_shape};
use crate::inline::is_inline;
use crate::number::Real;
use crate::simd::vectorized;
use crate::store::{CACHED, Way};
use ndarray::{Ix2, Ix3};
use phalanx::{Edge, Pool, Shape, SharedArray};
use std::ops::Range;

/// Makes `steps` steps of the heat equation on a plate. The result is in `u`; `scratch` holds unspecified
/// values afterwards.
///
/// A step sets each element `u` to `(1 - 4 r) u + r (sum of its 4 neighbours)`, terms added in row-major
/// order. Elements of the border keep their values. `r` is the dimensionless ratio diffusivity times time
/// step over the square of the spacing; above 1/4 the method is unstable and values grow without bound, which
/// is not an error. NaN and infinities spread by one element per step. Cost of a step: one read and one write
/// of the array, 6 operations per element.
///
/// # Errors
/// `Shape` if `scratch` does not have the shape of `u`; `Argument` if `r` is NaN, infinite, or so large that
/// `1 - 4 r` is infinite; `Launch`, after which both arrays hold unspecified values.
///
/// ```
/// use phalanx_kernels::stencil::heat_2d;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = phalanx::Pool::builder().workers(2).build()?;
/// // The left edge is held at 1, the others at 0.
/// let mut u = pool.from_shape_fn((120, 120), |(_, j)| if j == 0 { 1.0 } else { 0.0 })?;
/// let mut scratch = pool.zeros_nd((120, 120))?;
/// heat_2d(&pool, &mut u, &mut scratch, 0.25, 100)?;
/// assert_eq!(u.view()[(60, 0)], 1.0);
/// assert!(u.view()[(60, 1)] > 0.8);
/// # Ok(())
/// # }
/// ```
pub fn heat_2d<T: Real>(
    pool: &Pool,
    u: &mut SharedArray<T, Ix2>,
    scratch: &mut SharedArray<T, Ix2>,
    r: T,
    steps: usize,
) -> Result<(), KernelError> {
    make_steps::<T, Ix2, 2>(pool, u, scratch, r, steps)
}

/// Makes `steps` steps of the heat equation in space, like [`heat_2d`], but with 6 neighbours, `1 - 6 r`,
/// stability up to `r` of 1/6, and 8 operations per element.
///
/// # Errors
/// The same as those of [`heat_2d`].
///
/// ```
/// use phalanx_kernels::stencil::heat_3d;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = phalanx::Pool::builder().workers(2).build()?;
/// let mut u = pool.from_shape_fn((30, 30, 30), |at| if at == (15, 15, 15) { 6.0f32 } else { 0.0 })?;
/// let mut scratch = pool.zeros_nd((30, 30, 30))?;
/// heat_3d(&pool, &mut u, &mut scratch, 0.125, 1)?;
/// assert_eq!(u.view()[(15, 15, 15)], 1.5);
/// assert_eq!(u.view()[(14, 15, 15)], 0.75);
/// # Ok(())
/// # }
/// ```
pub fn heat_3d<T: Real>(
    pool: &Pool,
    u: &mut SharedArray<T, Ix3>,
    scratch: &mut SharedArray<T, Ix3>,
    r: T,
    steps: usize,
) -> Result<(), KernelError> {
    make_steps::<T, Ix3, 3>(pool, u, scratch, r, steps)
}

/// The body of both, for arrays of `AXES` axes.
#[expect(clippy::arithmetic_side_effects, reason = "the bytes of an array in memory")]
fn make_steps<T: Real, D: Grid, const AXES: usize>(
    pool: &Pool,
    u: &mut SharedArray<T, D>,
    scratch: &mut SharedArray<T, D>,
    r: T,
    steps: usize,
) -> Result<(), KernelError> {
    check(u, scratch, r)?;
    if is_all_border(u) {
        return Ok(());
    }
    let shape = D::axes(u.dim());
    if is_inline(u.len()) {
        let step = Step { shape, r, way: CACHED };
        for _ in 0..steps {
            step.make::<AXES>(0..shape[0], 0, u.as_slice(), scratch.as_mut_slice());
            std::mem::swap(u, scratch);
        }
        return Ok(());
    }
    let way = way_of_many(2 * u.len_bytes());
    pool.region((&mut *u, &mut *scratch, [r], way, (shape, steps)), |team, handles| {
        let (mut u, mut v, [r], way, (shape, steps)) = handles;
        let step = Step { shape, r, way };
        for _ in 0..steps {
            team.for_each((v.split_mut(), u.halo(1, Edge::Shrink), 0..shape[0]), |(v, u, planes)| {
                let first = planes.start.saturating_sub(1);
                step.make::<AXES>(planes, first, D::read(u), D::write(v));
            })?;
            std::mem::swap(&mut u, &mut v);
        }
        Ok(0u8)
    })?;
    if steps % 2 == 1 {
        std::mem::swap(u, scratch);
    }
    Ok(())
}

/// Arrays that are stepped, as planes of rows of elements. Views of their planes are slices.
trait Grid: Shape {
    /// Numbers of planes, rows of a plane and elements of a row.
    fn axes(dim: Self::Pattern) -> [usize; 3];
    fn read<'w, T: 'static>(planes: Self::View<'w, T>) -> &'w [T];
    fn write<'w, T: 'static>(planes: Self::ViewMut<'w, T>) -> &'w mut [T];
}

macro_rules! grids { ($($dim:ty: $pattern:pat => $axes:expr),*) => { $(
    impl Grid for $dim {
        fn axes($pattern: Self::Pattern) -> [usize; 3] {
            $axes
        }
        fn read<'w, T: 'static>(planes: Self::View<'w, T>) -> &'w [T] {
            planes.to_slice().unwrap_or_default()
        }
        fn write<'w, T: 'static>(planes: Self::ViewMut<'w, T>) -> &'w mut [T] {
            planes.into_slice().unwrap_or_default()
        }
    }
)* } }
// A plane of a matrix is a single row.
grids!(Ix2: (planes, width) => [planes, 1, width], Ix3: (planes, rows, width) => [planes, rows, width]);

fn check<T: Real, D: Shape>(
    u: &SharedArray<T, D>,
    scratch: &SharedArray<T, D>,
    r: T,
) -> Result<(), KernelError> {
    check_shape("the working space of the heat equation", u.shape(), scratch.shape())?;
    let axes = u.shape().len();
    if !centre(r, axes).is_finite() {
        let sides = axes.saturating_mul(2);
        let why = format!("1 - {sides} r is not finite for {r:?}; steps are stable for r up to 1/{sides}");
        return Err(KernelError::argument("the ratio r of the heat equation", why));
    }
    Ok(())
}

/// The weight of the element itself.
#[inline(always)]
#[expect(clippy::arithmetic_side_effects, reason = "floats")]
fn centre<T: Real>(r: T, axes: usize) -> T {
    T::ONE - T::from_f64(2.0 * axes as f64) * r
}

/// Whether no element has all its neighbours, so that no step changes anything.
fn is_all_border<T: Real, D: Shape>(u: &SharedArray<T, D>) -> bool {
    u.shape().iter().any(|len| *len < 3)
}

/// A grid of planes, rows and elements, and how it is stepped: the ratio, and where results go.
#[derive(Clone, Copy)]
struct Step<T> {
    shape: [usize; 3],
    r: T,
    way: Way,
}

impl<T: Real> Step<T> {
    /// One step on planes `own`, in `AXES` dimensions: with 2, a plane is a single row and has no neighbours
    /// in itself.
    ///
    /// `u` begins with plane `first` of the array, `out` with plane `own.start`.
    #[expect(clippy::arithmetic_side_effects, reason = "rows of an array that has elements, in memory")]
    fn make<const AXES: usize>(self, own: Range<usize>, first: usize, u: &[T], out: &mut [T]) {
        let [_, rows, width] = self.shape;
        if out.is_empty() {
            return;
        }
        // Rows are done in blocks, all planes of a block before the next: three planes of a block stay in the
        // cache.
        let block = (BLOCK_BYTES / (4 * width * size_of::<T>())).clamp(8, rows.max(8));
        vectorized(
            #[inline(always)]
            || {
                let mut to = Out::new(self.way);
                for top in (0..rows).step_by(block) {
                    for plane in own.clone() {
                        let bottom = rows.min(top + block);
                        let line =
                            |plane: usize, row: usize| &u[((plane - first) * rows + row) * width..][..width];
                        let together = self.together::<AXES>(plane, top..bottom);
                        for row in (top..together.start).chain(together.end..bottom) {
                            let out = &mut out[((plane - own.start) * rows + row) * width..][..width];
                            self.row::<AXES>(plane, row, line, &mut to, out);
                        }
                        if !together.is_empty() {
                            let len = together.len() * width;
                            let out =
                                &mut out[((plane - own.start) * rows + together.start) * width..][..len];
                            self.rows(u, ((plane - first) * rows + together.start) * width, out);
                        }
                    }
                }
            },
        );
    }

    /// Those of some rows of a plane that are stepped as one long row: inner ones in space, unless results are
    /// copied past the caches, where the ends of rows would be written twice.
    #[inline(always)]
    #[expect(clippy::arithmetic_side_effects, reason = "a plane of at least one row")]
    fn together<const AXES: usize>(self, plane: usize, some: Range<usize>) -> Range<usize> {
        let [planes, rows, width] = self.shape;
        if AXES != 3 || self.way != CACHED || width < 3 || plane == 0 || plane + 1 == planes {
            return some.end..some.end;
        }
        let first = some.start.max(1).min(some.end);
        first..some.end.min(rows - 1).max(first)
    }

    /// Inner rows in space, which begin at `start` in `u`: all of them as one long row, and then the elements
    /// at their ends, which keep their values.
    #[inline(always)]
    #[expect(clippy::arithmetic_side_effects, reason = "floats, and neighbours of inner rows of at least 3")]
    fn rows(self, u: &[T], start: usize, out: &mut [T]) {
        let ([_, rows, width], r) = (self.shape, self.r);
        let centre = centre(r, 3);
        let cut = |start: usize| &u[start..][..out.len()];
        let (here, up, down) = (cut(start), cut(start - rows * width), cut(start + rows * width));
        let (front, back) = (cut(start - width), cut(start + width));
        let end = out.len() - 1;
        for from in (1..end).step_by(STRIP) {
            let place = from..end.min(from + STRIP);
            let (left, right) = (&here[from - 1..], &here[from + 1..]);
            sum_group::<T, 7, true>(
                [&up[from..], &front[from..], left, &here[from..], right, &back[from..], &down[from..]],
                [r, r, r, centre, r, r, r],
                &mut out[place],
            );
        }
        for first in (0..out.len()).step_by(width) {
            let last = first + width - 1;
            (out[first], out[last]) = (here[first], here[last]);
        }
    }

    /// One row. `line(plane, row)` is a row of the array.
    #[inline(always)]
    #[expect(
        clippy::arithmetic_side_effects,
        reason = "floats, and neighbours of an element that is not on the border"
    )]
    fn row<'u, const AXES: usize>(
        self,
        plane: usize,
        row: usize,
        line: impl Fn(usize, usize) -> &'u [T],
        to: &mut Out<T>,
        out: &mut [T],
    ) where
        T: 'u,
    {
        let ([planes, rows, width], r) = (self.shape, self.r);
        let here = line(plane, row);
        if plane == 0 || plane + 1 == planes || width < 3 || AXES == 3 && (row == 0 || row + 1 == rows) {
            return out.copy_from_slice(here);
        }
        let (up, down) = (line(plane - 1, row), line(plane + 1, row));
        let (front, back) =
            if AXES == 3 { (line(plane, row - 1), line(plane, row + 1)) } else { (here, here) };
        let centre = centre(r, AXES);
        to.write(
            out,
            #[inline(always)]
            |place, strip| {
                let inner = place.start.max(1)..place.end.min(width - 1);
                let to = &mut strip[inner.start - place.start..inner.end - place.start];
                let (left, right) = (&here[inner.start - 1..], &here[inner.start + 1..]);
                let cut = |row: &'u [T]| &row[inner.clone()];
                if AXES == 2 {
                    sum_group::<T, 5, true>(
                        [cut(up), left, cut(here), right, cut(down)],
                        [r, r, centre, r, r],
                        to,
                    );
                } else {
                    sum_group::<T, 7, true>(
                        [cut(up), cut(front), left, cut(here), right, cut(back), cut(down)],
                        [r, r, r, centre, r, r, r],
                        to,
                    );
                }
                if place.start == 0 {
                    strip[0] = here[0];
                }
                if place.end == width {
                    strip[width - 1 - place.start] = here[width - 1];
                }
            },
        );
    }
}

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "a test may fail by panicking")]
mod tests {
    use super::*;

    #[test]
    fn plates_without_rows_may_be_of_any_width() {
        let pool = &pools()[1];
        let (mut u, mut v) =
            (pool.zeros_nd::<f64, _>((0, 1 << 59)).unwrap(), pool.zeros_nd((0, 1 << 59)).unwrap());
        heat_2d(pool, &mut u, &mut v, 0.1, 3).unwrap();
        crate::inline::launching(|| heat_2d(pool, &mut u, &mut v, 0.1, 3)).unwrap();
    }
    use crate::inline::launching;
    use crate::testing::{Dice, pools};
    use ndarray::{Array, Array3, Dimension};
    use proptest::prelude::*;

    /// One step by the definition, in any number of dimensions.
    fn naive<D: Dimension>(u: &Array<f64, D>, r: f64) -> Array<f64, D> {
        let strides: Vec<isize> = u.strides().to_vec();
        let flat = u.as_slice().unwrap();
        let mut out = u.clone();
        let shape = u.raw_dim();
        for (at, (index, value)) in ndarray::indices(shape.clone()).into_iter().zip(&mut out).enumerate() {
            let index = ndarray::IntoDimension::into_dimension(index);
            let border = index.slice().iter().zip(shape.slice()).any(|(i, len)| *i == 0 || i + 1 == *len);
            if !border {
                let neighbours: f64 = strides
                    .iter()
                    .map(|stride| {
                        flat[at.wrapping_add_signed(*stride)] + flat[at.wrapping_add_signed(-stride)]
                    })
                    .sum();
                *value += r * (neighbours - 2.0 * strides.len() as f64 * *value);
            }
        }
        out
    }

    fn close(got: &[f64], want: &[f64]) -> bool {
        got.len() == want.len() && got.iter().zip(want).all(|(a, b)| (a - b).abs() < 1e-12)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn both_agree_with_the_naive_twin(
            shape in (0usize..20, 0usize..20, 0usize..40), steps in 0usize..6, seed: u64, which in 0usize..4, launch: bool,
        ) {
            let (pool, mut dice) = (&pools()[which], Dice(seed));
            let (planes, rows, width) = shape;
            let start = Array3::from_shape_vec(shape, dice.units(planes * rows * width)).unwrap();
            let plate = start.clone().into_shape_with_order((planes * rows, width)).unwrap();
            let mut u = (SharedArray::from_ndarray(&plate).unwrap(), SharedArray::from_ndarray(&start).unwrap());
            let mut scratch =
                (SharedArray::zeros((planes * rows, width)).unwrap(), SharedArray::zeros(shape).unwrap());
            let mut both = || {
                heat_2d(pool, &mut u.0, &mut scratch.0, 0.2, steps).unwrap();
                heat_3d(pool, &mut u.1, &mut scratch.1, 0.15, steps).unwrap();
            };
            if launch { launching(both) } else { both() }
            let plate = (0..steps).fold(plate, |u, _| naive(&u, 0.2));
            let space = (0..steps).fold(start, |u, _| naive(&u, 0.15));
            prop_assert!(close(u.0.as_slice(), plate.as_slice().unwrap()));
            prop_assert!(close(u.1.as_slice(), space.as_slice().unwrap()));
        }
    }

    #[test]
    fn the_bits_do_not_depend_on_workers() {
        let start = Dice(7).units(40 * 30 * 50);
        let run = |pool: &Pool| {
            let shape = |values: &[f64]| Array3::from_shape_vec((40, 30, 50), values.to_vec()).unwrap();
            let mut u = SharedArray::from_ndarray(&shape(&start)).unwrap();
            let mut scratch = SharedArray::zeros((40, 30, 50)).unwrap();
            heat_3d(pool, &mut u, &mut scratch, 0.1, 7).unwrap();
            u.to_vec()
        };
        let first = run(&pools()[0]);
        assert!(pools().iter().all(|pool| run(pool) == first));
    }

    #[test]
    fn rows_around_the_length_of_a_strip_are_the_same_through_and_past_the_caches() {
        for width in [1, 2, 3, 511, 512, 513, 514, 1025] {
            let u = Dice(width as u64).units(4 * 3 * width);
            let want = naive(&Array3::from_shape_vec((4, 3, width), u.clone()).unwrap(), 0.1);
            for way in [CACHED, crate::store::PAST_CACHES] {
                let mut out = vec![9.0; u.len()];
                Step { shape: [4, 3, width], r: 0.1, way }.make::<3>(0..4, 0, &u, &mut out);
                assert!(close(&out, want.as_slice().unwrap()), "width {width}");
            }
        }
    }

    #[test]
    fn bad_arguments_are_refused() {
        let pool = &pools()[1];
        let (mut u, mut scratch) = (SharedArray::zeros((4, 5)).unwrap(), SharedArray::zeros((5, 4)).unwrap());
        assert!(matches!(heat_2d(pool, &mut u, &mut scratch, 0.1, 1), Err(KernelError::Shape { .. })));
        let mut scratch = SharedArray::zeros((4, 5)).unwrap();
        assert!(matches!(
            heat_2d(pool, &mut u, &mut scratch, f32::NAN, 1),
            Err(KernelError::Argument { .. })
        ));
    }
}
