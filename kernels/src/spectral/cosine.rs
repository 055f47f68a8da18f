//! Cosine and sine transforms.
#![deny(clippy::arithmetic_side_effects)]

use super::direction::{Direction, Norm};
use super::line::{Lines as Plans, Transform};
use crate::error::{KernelError, check_shape};
use crate::input::Input;
use crate::layout::resolve;
use crate::lines::{Line, along};
use crate::number::Real;
use phalanx::{Pool, Shape, SharedArray};
use std::f64::consts::SQRT_2;
use std::marker::PhantomData;

/// Which cosine or sine transform: SciPy's `type`, 1 to 4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Its own inverse; symmetric about the first and the last element.
    I,
    /// What is usually meant.
    II,
    /// The inverse of [`II`](Kind::II).
    III,
    /// Its own inverse.
    IV,
}

impl Kind {
    fn inverse(self) -> Kind {
        match self {
            Kind::II => Kind::III,
            Kind::III => Kind::II,
            own => own,
        }
    }
}

/// Sets every line of `out` along an axis to the cosine transform of that line of `x`.
///
/// As `scipy.fft.dct` and `idct` (<https://docs.scipy.org/doc/scipy/reference/generated/scipy.fft.dct.html>) for
/// lines of `n` elements; forward and without division these are
///
/// | kind | `y[k]` |
/// |---|---|
/// | I | `x[0] + (-1)^k x[n-1] + 2 sum over 0 < j < n-1 of x[j] cos(pi j k / (n-1))` |
/// | II | `2 sum over j of x[j] cos(pi k (2j+1) / (2n))` |
/// | III | `x[0] + 2 sum over j > 0 of x[j] cos(pi j (2k+1) / (2n))` |
/// | IV | `2 sum over j of x[j] cos(pi (2j+1) (2k+1) / (4n))` |
///
/// The inverse of kind II is kind III divided, and the other way round; I and IV undo themselves. `norm` divides by
/// `2 n`, for kind I by `2 (n - 1)`, or its square root; [`Norm::Ortho`] also weighs the first and last elements so
/// that the transform is an orthogonal matrix.
///
/// Cost: one pass over both arrays; about `2.5 n log2 n` operations for a line. Lines are shared among the workers,
/// each transformed by one.
///
/// # Errors
/// `Argument` if there is no such axis, or for kind I if lines have one element; `Shape` if the shapes differ;
/// `Memory`, `Launch`.
///
/// ```
/// use phalanx_kernels::spectral::{Direction, Kind, Norm, dct};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = phalanx::Pool::builder().workers(2).build()?;
/// let x = pool.from_shape_fn((300, 8), |(i, _)| i as f64)?;
/// let mut out = pool.zeros_nd((300, 8))?;
/// dct(&pool, &mut out, &x, Kind::II, 1, Direction::Forward, Norm::Backward)?;
/// assert!((out.view()[(100, 0)] - 1600.0).abs() < 1e-9 && out.view()[(100, 3)].abs() < 1e-9);
/// # Ok(())
/// # }
/// ```
#[doc(alias = "scipy.fft.dct", alias = "scipy.fft.idct")]
pub fn dct<T: Transform, D: Shape>(
    pool: &Pool,
    out: &mut SharedArray<T, D>,
    x: &(impl Input<Elem = T, Dim = D> + ?Sized),
    kind: Kind,
    axis: isize,
    direction: Direction,
    norm: Norm,
) -> Result<(), KernelError> {
    run(pool, out, x, axis, About::of(kind, false, direction, norm))
}

/// Sets every line of `out` along an axis to the sine transform of that line of `x`.
///
/// As `scipy.fft.dst` and `idst` (<https://docs.scipy.org/doc/scipy/reference/generated/scipy.fft.dst.html>); forward
/// and without division these are
///
/// | kind | `y[k]` |
/// |---|---|
/// | I | `2 sum over j of x[j] sin(pi (j+1) (k+1) / (n+1))` |
/// | II | `2 sum over j of x[j] sin(pi (k+1) (2j+1) / (2n))` |
/// | III | `(-1)^k x[n-1] + 2 sum over j < n-1 of x[j] sin(pi (2k+1) (j+1) / (2n))` |
/// | IV | `2 sum over j of x[j] sin(pi (2j+1) (2k+1) / (4n))` |
///
/// `norm` divides by `2 n`, for kind I by `2 (n + 1)`. Otherwise as [`dct`].
///
/// # Errors
/// As [`dct`], and kind I takes lines of one element.
///
/// ```
/// use phalanx_kernels::spectral::{Direction, Kind, Norm, dst};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = phalanx::Pool::builder().workers(2).build()?;
/// let (mut there, mut back) = (pool.zeros(3)?, pool.zeros(3)?);
/// dst(&pool, &mut there, &[1.0, 5.0, 2.0], Kind::I, 0, Direction::Forward, Norm::Ortho)?;
/// dst(&pool, &mut back, &there, Kind::I, 0, Direction::Inverse, Norm::Ortho)?;
/// assert!((back.as_slice()[1] - 5.0f64).abs() < 1e-12);
/// # Ok(())
/// # }
/// ```
#[doc(alias = "scipy.fft.dst", alias = "scipy.fft.idst")]
pub fn dst<T: Transform, D: Shape>(
    pool: &Pool,
    out: &mut SharedArray<T, D>,
    x: &(impl Input<Elem = T, Dim = D> + ?Sized),
    kind: Kind,
    axis: isize,
    direction: Direction,
    norm: Norm,
) -> Result<(), KernelError> {
    run(pool, out, x, axis, About::of(kind, true, direction, norm))
}

fn run<T: Transform, D: Shape>(
    pool: &Pool,
    out: &mut SharedArray<T, D>,
    x: &(impl Input<Elem = T, Dim = D> + ?Sized),
    axis: isize,
    about: About,
) -> Result<(), KernelError> {
    let shape = x.shape();
    let axis = resolve(&shape, axis)?;
    check_shape("out", &shape, out.shape())?;
    if about.kind() == Kind::I && about.is_sine == 0 && shape[axis] == 1 {
        return Err(KernelError::argument("kind", "a cosine transform of kind I needs two elements or more"));
    }
    along::<Waves<T>, D>(pool, out, x, axis, about, &[])
}

/// What is computed, as an operand.
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
struct About {
    kind: u8,
    is_sine: u8,
    is_ortho: u8,
    is_divided: u8,
}

impl About {
    fn of(kind: Kind, is_sine: bool, direction: Direction, norm: Norm) -> About {
        let kind = if direction == Direction::Forward { kind } else { kind.inverse() };
        let divided = if direction == Direction::Forward { Norm::Forward } else { Norm::Backward };
        About {
            kind: kind as u8,
            is_sine: u8::from(is_sine),
            is_ortho: u8::from(norm == Norm::Ortho),
            is_divided: u8::from(norm == divided),
        }
    }

    fn kind(&self) -> Kind {
        [Kind::I, Kind::II, Kind::III, Kind::IV][usize::from(self.kind.min(3))]
    }

    /// What results are multiplied by. The library leaves out the factor 2.
    fn scale(&self, len: usize) -> f64 {
        let size = match (self.kind(), self.is_sine) {
            (Kind::I, 0) => 2.0 * (len as f64 - 1.0),
            (Kind::I, _) => 2.0 * (len as f64 + 1.0),
            _ => 2.0 * len as f64,
        };
        match (self.is_ortho, self.is_divided) {
            (1, _) => 2.0 / size.sqrt(),
            (_, 1) => 2.0 / size,
            _ => 2.0,
        }
    }

    /// The first and last elements that [`Norm::Ortho`] weighs by the square root of 2: before, and its inverse after.
    fn weighed(&self) -> [(bool, bool); 2] {
        if self.is_ortho == 0 {
            return [(false, false); 2];
        }
        let end = (self.is_sine == 0, self.is_sine != 0);
        match (self.kind(), self.is_sine) {
            (Kind::I, 0) => [(true, true); 2],
            (Kind::II, _) => [(false, false), end],
            (Kind::III, _) => [end, (false, false)],
            _ => [(false, false); 2],
        }
    }
}

struct Waves<T>(PhantomData<T>);
impl<T: Transform> Line for Waves<T> {
    type In = T;
    type Out = T;
    type About = About;
    type Table = T;
    #[expect(clippy::arithmetic_side_effects, reason = "floats; a line that has elements")]
    fn line(about: &About, _: &[T], x: &mut [T], out: &mut [T]) {
        out.copy_from_slice(x);
        let [before, after] = about.weighed();
        weigh(out, before, <T as Real>::from_f64(SQRT_2));
        T::with_lines(|lines| about.transform(lines, out));
        let scale = <T as Real>::from_f64(about.scale(out.len()));
        out.iter_mut().for_each(|value| *value = *value * scale);
        weigh(out, after, <T as Real>::from_f64(SQRT_2.recip()));
    }
}

/// Multiplies the first and the last element, if so.
#[expect(clippy::arithmetic_side_effects, reason = "floats")]
fn weigh<T: Transform>(line: &mut [T], (first, last): (bool, bool), by: T) {
    if let Some(value) = line.first_mut().filter(|_| first) {
        *value = *value * by;
    }
    if let Some(value) = line.last_mut().filter(|_| last) {
        *value = *value * by;
    }
}

impl About {
    fn transform<T: Transform>(&self, lines: &mut Plans<T>, line: &mut [T]) {
        let (planner, scratch) = lines.cosine(line.len());
        let len = line.len();
        macro_rules! run {
            ($plan:ident, $process:ident) => {{
                let plan = planner.$plan(len);
                let room = scratch.len().max(plan.get_scratch_len());
                scratch.resize(room, T::ZERO);
                plan.$process(line, &mut scratch[..plan.get_scratch_len()]);
            }};
        }
        match (self.kind(), self.is_sine) {
            (Kind::I, 0) => run!(plan_dct1, process_dct1_with_scratch),
            (Kind::II, 0) => run!(plan_dct2, process_dct2_with_scratch),
            (Kind::III, 0) => run!(plan_dct3, process_dct3_with_scratch),
            (Kind::IV, 0) => run!(plan_dct4, process_dct4_with_scratch),
            (Kind::I, _) => run!(plan_dst1, process_dst1_with_scratch),
            (Kind::II, _) => run!(plan_dst2, process_dst2_with_scratch),
            (Kind::III, _) => run!(plan_dst3, process_dst3_with_scratch),
            (Kind::IV, _) => run!(plan_dst4, process_dst4_with_scratch),
        }
    }
}

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "a test may fail by panicking")]
mod tests {
    use super::*;
    use crate::inline::launching;
    use crate::testing::{Dice, pools};
    use ndarray::{Array3, Axis};
    use proptest::prelude::*;
    use std::f64::consts::PI;

    const KINDS: [Kind; 4] = [Kind::I, Kind::II, Kind::III, Kind::IV];

    /// The tables of the documentation.
    fn naive(x: &[f64], kind: Kind, is_sine: bool) -> Vec<f64> {
        let n = x.len();
        let m = n as f64;
        let weight = |j: usize, k: usize| {
            let (a, b) = (j as f64, k as f64);
            let sign = if k.is_multiple_of(2) { 1.0 } else { -1.0 };
            match (kind, is_sine) {
                (Kind::I, false) if j == 0 => 1.0,
                (Kind::I, false) if j + 1 == n => sign,
                (Kind::I, false) => 2.0 * (PI * a * b / (m - 1.0)).cos(),
                (Kind::II, false) => 2.0 * (PI * b * (2.0 * a + 1.0) / (2.0 * m)).cos(),
                (Kind::III, false) if j == 0 => 1.0,
                (Kind::III, false) => 2.0 * (PI * a * (2.0 * b + 1.0) / (2.0 * m)).cos(),
                (Kind::IV, false) => 2.0 * (PI * (2.0 * a + 1.0) * (2.0 * b + 1.0) / (4.0 * m)).cos(),
                (Kind::I, true) => 2.0 * (PI * (a + 1.0) * (b + 1.0) / (m + 1.0)).sin(),
                (Kind::II, true) => 2.0 * (PI * (b + 1.0) * (2.0 * a + 1.0) / (2.0 * m)).sin(),
                (Kind::III, true) if j + 1 == n => sign,
                (Kind::III, true) => 2.0 * (PI * (2.0 * b + 1.0) * (a + 1.0) / (2.0 * m)).sin(),
                (Kind::IV, true) => 2.0 * (PI * (2.0 * a + 1.0) * (2.0 * b + 1.0) / (4.0 * m)).sin(),
            }
        };
        (0..n).map(|k| x.iter().enumerate().map(|(j, x)| x * weight(j, k)).sum()).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn all_agree_with_the_naive_twin_and_come_back(
            shape in (1usize..6, 1usize..12, 1usize..30), axis in 0usize..3, kind in 0usize..4, is_sine: bool,
            seed: u64, which in 0usize..4, launch: bool, norm in 0usize..3,
        ) {
            let (pool, kind) = (&pools()[which], KINDS[kind]);
            let norm = [Norm::Backward, Norm::Ortho, Norm::Forward][norm];
            let mut shape = [shape.0, shape.1, shape.2];
            shape[axis] += 1;
            let x = Array3::from_shape_vec(shape, Dice(seed).units(shape.iter().product())).unwrap();
            let (mut there, mut back) = (SharedArray::zeros(shape).unwrap(), SharedArray::zeros(shape).unwrap());
            let both = |direction| About::of(kind, is_sine, direction, norm);
            let mut all = || {
                run(pool, &mut there, &x, axis as isize, both(Direction::Forward)).unwrap();
                run(pool, &mut back, &there, axis as isize, both(Direction::Inverse)).unwrap();
            };
            if launch { launching(all) } else { all() }
            prop_assert!(back.view().iter().zip(&x).all(|(a, b)| (a - b).abs() < 1e-12));
            if norm == Norm::Ortho {
                // Orthogonal: lengths are kept.
                let length = |a: &ndarray::ArrayView3<'_, f64>| a.iter().map(|x| x * x).sum::<f64>();
                prop_assert!((length(&there.view()) - length(&x.view())).abs() < 1e-9);
                return Ok(());
            }
            let n = shape[axis] as f64;
            let size = 2.0 * if kind != Kind::I { n } else if is_sine { n + 1.0 } else { n - 1.0 };
            let by = if norm == Norm::Forward { size.recip() } else { 1.0 };
            let there = there.view();
            for (got, x) in there.lanes(Axis(axis)).into_iter().zip(x.lanes(Axis(axis))) {
                let want = naive(&x.to_vec(), kind, is_sine);
                prop_assert!(got.iter().zip(want).all(|(a, b)| (a - b * by).abs() < 1e-11));
            }
        }
    }

    #[test]
    fn orthogonal_transforms_are_those_of_scipy() {
        // scipy.fft.dct([1, 2, 4, 7], type=t, norm="ortho") and dst, SciPy 1.17.1.
        let x = [1.0, 2.0, 4.0, 7.0];
        let want: [[f64; 4]; 8] = [
            [6.73008793884866, -4.28059819606548, 2.16931241073383, -1.29478920440393],
            [7.0, -4.46088499477533, 1.0, -0.317025335562214],
            [5.70074931538807, -5.53177427692112, 2.53177427692112, -0.700749315388066],
            [4.40643326934494, -5.21197362307242, 3.67317100090505, -3.15063352253443],
            [6.58299000572675, -4.35250179896564, 2.58151943329926, -1.02748629674602],
            [6.08447329521392, -4.0, 3.60266355906691, -2.0],
            [7.38372397982585, -2.92911071785421, 2.07088928214579, -1.61627602017415],
            [8.13003531149481, -1.78387852538617, 0.839689844203185, 0.123386409525619],
        ];
        for (at, want) in want.iter().enumerate() {
            let mut out = SharedArray::zeros(4).unwrap();
            let about = About::of(KINDS[at % 4], at >= 4, Direction::Forward, Norm::Ortho);
            run(&pools()[1], &mut out, &x, -1, about).unwrap();
            assert!(out.as_slice().iter().zip(want).all(|(a, b)| (a - b).abs() < 1e-13), "{at}: {out:?}");
        }
    }

    #[test]
    fn one_element_has_no_ends() {
        let mut out = SharedArray::zeros(1).unwrap();
        let refused = dct(&pools()[1], &mut out, &[3.0], Kind::I, 0, Direction::Forward, Norm::Backward);
        assert!(matches!(refused, Err(KernelError::Argument { what: "kind", .. })));
        dct(&pools()[1], &mut out, &[3.0], Kind::II, 0, Direction::Forward, Norm::Backward).unwrap();
        assert_eq!(out.as_slice(), [6.0]);
    }
}
