//! Filters made of passes along single axes, for arrays of any number of axes.

use super::Boundary;
use crate::error::{KernelError, check_shape};
use crate::input::Input;
use crate::layout::resolve;
use crate::lines::{Line, along};
use crate::number::{Number, Real};
use crate::simd::vectorized;
use phalanx::{Element, Pool, Shape, SharedArray};
use std::marker::PhantomData;

/// Standard deviations after which a bell is cut off, as in SciPy.
const TRUNCATE: f64 = 4.0;

/// Sets every element of `out` to a weighted sum of the elements of `x` around it along an axis.
///
/// Of `n` weights number `n / 2` belongs to the element itself, number 0 to the farthest before it: a correlation, as
/// `scipy.ndimage.correlate1d` and, with the weights reversed, `convolve1d` (of odd `n`). Weights are added in order.
///
/// Cost: one pass over both arrays, two operations for each element and weight. Lines are shared among the workers,
/// each computed by one.
///
/// # Errors
/// `Argument` if there is no such axis or there are no weights; `Shape` if the shapes differ; `Memory`, `Launch`.
///
/// ```
/// use phalanx_kernels::stencil::{Boundary, correlate_1d};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = phalanx::Pool::builder().workers(2).build()?;
/// let mut out = pool.zeros(4)?;
/// correlate_1d(&pool, &mut out, &[1.0, 2.0, 4.0, 8.0], &[-1.0, 0.0, 1.0], 0, Boundary::Nearest)?;
/// assert_eq!(out.as_slice(), [1.0, 3.0, 6.0, 4.0]);
/// # Ok(())
/// # }
/// ```
#[doc(alias = "scipy.ndimage.correlate1d", alias = "scipy.ndimage.convolve1d")]
pub fn correlate_1d<T: Real, D: Shape>(
    pool: &Pool,
    out: &mut SharedArray<T, D>,
    x: &(impl Input<Elem = T, Dim = D> + ?Sized),
    weights: &[T],
    axis: isize,
    boundary: Boundary<T>,
) -> Result<(), KernelError> {
    let axis = resolve(&x.shape(), axis)?;
    check_shape("out", &x.shape(), out.shape())?;
    if weights.is_empty() {
        return Err(KernelError::argument("weights", "there are none"));
    }
    along::<Weighted<T>, D>(pool, out, x, axis, About::of(boundary, weights.len()), weights)
}

/// Smooths `x` by a bell (a Gaussian) with a standard deviation for each axis, in elements; 0 leaves an axis alone.
///
/// Bells are cut off after 4 standard deviations, rounded, as in `scipy.ndimage.gaussian_filter`, and their weights
/// add up to 1.
///
/// Cost: a pass of [`correlate_1d`] for each axis that is smoothed; with more than one of these, one array of working
/// space.
///
/// # Errors
/// `Argument` if a deviation is negative or not finite; `Shape` if the shapes differ, or there is not one deviation
/// for each axis; `Memory`, `Launch`.
///
/// ```
/// use phalanx_kernels::stencil::{Boundary, gaussian};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = phalanx::Pool::builder().workers(2).build()?;
/// let image = pool.from_shape_fn((200, 300), |_| 5.0)?;
/// let mut out = pool.zeros_nd((200, 300))?;
/// gaussian(&pool, &mut out, &image, &[1.5, 2.0], Boundary::Reflect)?;
/// assert!(out.as_slice().iter().all(|value| (value - 5.0f64).abs() < 1e-12));
/// # Ok(())
/// # }
/// ```
#[doc(alias = "scipy.ndimage.gaussian_filter")]
pub fn gaussian<T: Real, D: Shape>(
    pool: &Pool,
    out: &mut SharedArray<T, D>,
    x: &(impl Input<Elem = T, Dim = D> + ?Sized),
    deviations: &[f64],
    boundary: Boundary<T>,
) -> Result<(), KernelError> {
    check_shape("deviations", &[x.shape().len()], &[deviations.len()])?;
    if let Some(wrong) = deviations.iter().find(|deviation| !(0.0..=1e9).contains(*deviation)) {
        return Err(KernelError::argument(
            "deviations",
            format!("one is {wrong}, and they must be in 0 ..= 1e9"),
        ));
    }
    let axes: Vec<usize> = (0..deviations.len()).filter(|axis| deviations[*axis] > 0.0).collect();
    let bells: Vec<Vec<T>> = deviations.iter().map(|deviation| bell(*deviation)).collect();
    passes::<Weighted<T>, T, D>(pool, out, x, &axes, |axis| {
        (About::of(boundary, bells[axis].len()), &bells[axis])
    })
}

/// Sets every element of `out` to the mean of the block of elements of `x` around it, `sizes[a]` along axis `a`.
///
/// Of a block of even size one element more lies before than behind, as in `scipy.ndimage.uniform_filter`. Along each
/// axis a sum is carried along the line, in float64; its rounding errors grow with the line's length, and NaN and
/// infinities spread over the rest of their line.
///
/// Cost: a pass for each axis, whatever the size; with more than one axis, one array of working space.
///
/// # Errors
/// `Argument` if a size is 0; `Shape` if the shapes differ, or there is not one size for each axis; `Memory`, `Launch`.
///
/// ```
/// use phalanx_kernels::stencil::{Boundary, uniform};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = phalanx::Pool::builder().workers(2).build()?;
/// let mut out = pool.zeros(5)?;
/// uniform(&pool, &mut out, &[0.0, 3.0, 6.0, 0.0, 0.0], &[3], Boundary::Nearest)?;
/// assert_eq!(out.as_slice(), [1.0, 3.0, 3.0, 2.0, 0.0]);
/// # Ok(())
/// # }
/// ```
#[doc(alias = "scipy.ndimage.uniform_filter")]
pub fn uniform<T: Real, D: Shape>(
    pool: &Pool,
    out: &mut SharedArray<T, D>,
    x: &(impl Input<Elem = T, Dim = D> + ?Sized),
    sizes: &[usize],
    boundary: Boundary<T>,
) -> Result<(), KernelError> {
    blocks::<Mean<T>, T, D>(pool, out, x, sizes, boundary)
}

/// Sets every element of `out` to the least element of the block around it, `sizes[a]` along axis `a`.
///
/// Of a block of even size one element more lies before than behind, as in `scipy.ndimage.minimum_filter`. This is
/// the erosion by a block, of grey values and of zeros and ones (where SciPy's `binary_erosion` is told
/// [`Boundary::Constant`]); [`opening`] and [`closing`] are made of it. A NaN counts as neither less nor greater, so
/// whether it is taken is unspecified.
///
/// Cost: a pass of about three comparisons an element for each axis, whatever the size; with more than one axis, one
/// array of working space.
///
/// # Errors
/// As [`uniform`].
///
/// ```
/// use phalanx_kernels::stencil::{Boundary, minimum};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = phalanx::Pool::builder().workers(2).build()?;
/// let mut out = pool.zeros(5)?;
/// minimum(&pool, &mut out, &[5u8, 3, 4, 7, 9], &[3], Boundary::Reflect)?;
/// assert_eq!(out.as_slice(), [3, 3, 3, 4, 7]);
/// # Ok(())
/// # }
/// ```
#[doc(alias = "scipy.ndimage.minimum_filter", alias = "scipy.ndimage.grey_erosion")]
#[doc(alias = "scipy.ndimage.binary_erosion")]
pub fn minimum<T: Number, D: Shape>(
    pool: &Pool,
    out: &mut SharedArray<T, D>,
    x: &(impl Input<Elem = T, Dim = D> + ?Sized),
    sizes: &[usize],
    boundary: Boundary<T>,
) -> Result<(), KernelError> {
    blocks::<Extreme<T, Least>, T, D>(pool, out, x, sizes, boundary)
}

/// Sets every element of `out` to the greatest element of the block around it: the dilation by a block of odd size.
/// Otherwise as [`minimum`].
///
/// # Errors
/// As [`uniform`].
///
/// ```
/// use phalanx_kernels::stencil::{Boundary, maximum};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = phalanx::Pool::builder().workers(2).build()?;
/// let mut out = pool.zeros(5)?;
/// maximum(&pool, &mut out, &[5u8, 3, 4, 7, 9], &[3], Boundary::Reflect)?;
/// assert_eq!(out.as_slice(), [5, 5, 7, 9, 9]);
/// # Ok(())
/// # }
/// ```
#[doc(alias = "scipy.ndimage.maximum_filter", alias = "scipy.ndimage.grey_dilation")]
#[doc(alias = "scipy.ndimage.binary_dilation")]
pub fn maximum<T: Number, D: Shape>(
    pool: &Pool,
    out: &mut SharedArray<T, D>,
    x: &(impl Input<Elem = T, Dim = D> + ?Sized),
    sizes: &[usize],
    boundary: Boundary<T>,
) -> Result<(), KernelError> {
    blocks::<Extreme<T, Greatest>, T, D>(pool, out, x, sizes, boundary)
}

/// Takes away what is brighter than its surroundings and smaller than a block: [`minimum`], then [`maximum`].
///
/// Sizes are odd. Cost: both, and an array of working space.
///
/// # Errors
/// As [`uniform`], and `Argument` if a size is even.
///
/// ```
/// use phalanx_kernels::stencil::{Boundary, opening};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = phalanx::Pool::builder().workers(2).build()?;
/// let mut out = pool.zeros(7)?;
/// opening(&pool, &mut out, &[0u8, 9, 0, 5, 5, 5, 0], &[3], Boundary::Reflect)?;
/// assert_eq!(out.as_slice(), [0, 0, 0, 5, 5, 5, 0]);
/// # Ok(())
/// # }
/// ```
#[doc(alias = "scipy.ndimage.grey_opening")]
pub fn opening<T: Number, D: Shape>(
    pool: &Pool,
    out: &mut SharedArray<T, D>,
    x: &(impl Input<Elem = T, Dim = D> + ?Sized),
    sizes: &[usize],
    boundary: Boundary<T>,
) -> Result<(), KernelError> {
    check_odd_sizes(sizes)?;
    check_shape("out", &x.shape(), out.shape())?;
    let mut between = SharedArray::<T, D>::zeros(out.raw_dim().clone())?;
    minimum(pool, &mut between, x, sizes, boundary)?;
    maximum(pool, out, &between, sizes, boundary)
}

/// Fills what is darker than its surroundings and smaller than a block: [`maximum`], then [`minimum`].
///
/// Otherwise as [`opening`].
///
/// # Errors
/// As [`opening`].
///
/// ```
/// use phalanx_kernels::stencil::{Boundary, closing};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = phalanx::Pool::builder().workers(2).build()?;
/// let mut out = pool.zeros(5)?;
/// closing(&pool, &mut out, &[5u8, 5, 0, 5, 5], &[3], Boundary::Reflect)?;
/// assert_eq!(out.as_slice(), [5; 5]);
/// # Ok(())
/// # }
/// ```
#[doc(alias = "scipy.ndimage.grey_closing")]
pub fn closing<T: Number, D: Shape>(
    pool: &Pool,
    out: &mut SharedArray<T, D>,
    x: &(impl Input<Elem = T, Dim = D> + ?Sized),
    sizes: &[usize],
    boundary: Boundary<T>,
) -> Result<(), KernelError> {
    check_odd_sizes(sizes)?;
    check_shape("out", &x.shape(), out.shape())?;
    let mut between = SharedArray::<T, D>::zeros(out.raw_dim().clone())?;
    maximum(pool, &mut between, x, sizes, boundary)?;
    minimum(pool, out, &between, sizes, boundary)
}

/// Sets `out` to the slope of `x` along an axis, smoothed along the others by `[1, 2, 1]`: Sobel's filter.
///
/// Cost: a pass for each axis; with more than one axis, one array of working space.
///
/// # Errors
/// `Argument` if there is no such axis; `Shape` if the shapes differ; `Memory`, `Launch`.
///
/// ```
/// use phalanx_kernels::stencil::{Boundary, sobel};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = phalanx::Pool::builder().workers(2).build()?;
/// let image = pool.from_shape_fn((300, 200), |(i, j)| (3 * i + j) as f64)?;
/// let mut out = pool.zeros_nd((300, 200))?;
/// sobel(&pool, &mut out, &image, 0, Boundary::Reflect)?;
/// assert_eq!(out.view()[(100, 100)], 24.0);
/// # Ok(())
/// # }
/// ```
#[doc(alias = "scipy.ndimage.sobel")]
pub fn sobel<T: Real, D: Shape>(
    pool: &Pool,
    out: &mut SharedArray<T, D>,
    x: &(impl Input<Elem = T, Dim = D> + ?Sized),
    axis: isize,
    boundary: Boundary<T>,
) -> Result<(), KernelError> {
    slope(pool, out, x, axis, boundary, T::ONE + T::ONE)
}

/// Sets `out` to the slope of `x` along an axis, smoothed along the others by `[1, 1, 1]`: Prewitt's filter.
///
/// Otherwise as [`sobel`].
///
/// # Errors
/// As [`sobel`].
///
/// ```
/// use phalanx_kernels::stencil::{Boundary, prewitt};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = phalanx::Pool::builder().workers(2).build()?;
/// let image = pool.from_shape_fn((300, 200), |(i, j)| (3 * i + j) as f64)?;
/// let mut out = pool.zeros_nd((300, 200))?;
/// prewitt(&pool, &mut out, &image, -1, Boundary::Reflect)?;
/// assert_eq!(out.view()[(100, 100)], 6.0);
/// # Ok(())
/// # }
/// ```
#[doc(alias = "scipy.ndimage.prewitt")]
pub fn prewitt<T: Real, D: Shape>(
    pool: &Pool,
    out: &mut SharedArray<T, D>,
    x: &(impl Input<Elem = T, Dim = D> + ?Sized),
    axis: isize,
    boundary: Boundary<T>,
) -> Result<(), KernelError> {
    slope(pool, out, x, axis, boundary, T::ONE)
}

fn slope<T: Real, D: Shape>(
    pool: &Pool,
    out: &mut SharedArray<T, D>,
    x: &(impl Input<Elem = T, Dim = D> + ?Sized),
    axis: isize,
    boundary: Boundary<T>,
    middle: T,
) -> Result<(), KernelError> {
    let axis = resolve(&x.shape(), axis)?;
    let (steep, smooth) = ([-T::ONE, T::ZERO, T::ONE], [T::ONE, middle, T::ONE]);
    let mut axes: Vec<usize> = (0..x.shape().len()).filter(|other| *other != axis).collect();
    axes.insert(0, axis);
    passes::<Weighted<T>, T, D>(pool, out, x, &axes, |along| {
        (About::of(boundary, 3), if along == axis { &steep } else { &smooth })
    })
}

fn check_odd_sizes(sizes: &[usize]) -> Result<(), KernelError> {
    match sizes.iter().find(|size| size.is_multiple_of(2)) {
        Some(size) => Err(KernelError::argument("sizes", format!("one is {size}, and they must be odd"))),
        None => Ok(()),
    }
}

/// A filter by blocks of some sizes.
fn blocks<L, T: Number, D: Shape>(
    pool: &Pool,
    out: &mut SharedArray<T, D>,
    x: &(impl Input<Elem = T, Dim = D> + ?Sized),
    sizes: &[usize],
    boundary: Boundary<T>,
) -> Result<(), KernelError>
where
    L: Line<In = T, Out = T, About = About, Table = T>,
{
    check_shape("sizes", &[x.shape().len()], &[sizes.len()])?;
    if sizes.contains(&0) {
        return Err(KernelError::argument("sizes", "one is 0, and they must be 1 or more"));
    }
    let axes: Vec<usize> = (0..sizes.len()).filter(|axis| sizes[*axis] > 1).collect();
    passes::<L, T, D>(pool, out, x, &axes, |axis| (About::of(boundary, sizes[axis]), &[]))
}

/// A pass along each of some axes, in turns into `out` and into working space, so that the last is into `out`.
fn passes<'a, L: Line<In = T, Out = T, About = About>, T: Element, D: Shape>(
    pool: &Pool,
    out: &mut SharedArray<T, D>,
    x: &(impl Input<Elem = T, Dim = D> + ?Sized),
    axes: &[usize],
    what: impl Fn(usize) -> (About, &'a [L::Table]),
) -> Result<(), KernelError> {
    check_shape("out", &x.shape(), out.shape())?;
    let Some((first, rest)) = axes.split_first() else {
        let x = x.share(pool)?;
        crate::inline::repeatable(pool)
            .for_each((out.split_flat_out(), x.split_flat()), |(out, x)| out.copy_from_slice(x))?;
        return Ok(());
    };
    let (about, table) = what(*first);
    if rest.is_empty() {
        return along::<L, D>(pool, out, x, *first, about, table);
    }
    let mut space = SharedArray::<T, D>::zeros(out.raw_dim().clone())?;
    let is_odd = !axes.len().is_multiple_of(2);
    along::<L, D>(pool, if is_odd { &mut *out } else { &mut space }, x, *first, about, table)?;
    for (at, axis) in rest.iter().enumerate() {
        let (about, table) = what(*axis);
        let (from, to) =
            if is_odd == at.is_multiple_of(2) { (&*out, &mut space) } else { (&space, &mut *out) };
        along::<L, D>(pool, to, from, *axis, about, table)?;
    }
    Ok(())
}

/// What lies beyond the border, and of how many elements a result is made, as an operand.
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
struct About {
    edge: u64,
    value: u64,
    size: u64,
}

impl About {
    fn of<T: Number>(boundary: Boundary<T>, size: usize) -> About {
        let (edge, value) = boundary.to_wire();
        About { edge, value: value.to_word(), size: size as u64 }
    }

    /// A line with its surroundings: element `i + k` is number `k` of those that make result `i`.
    fn surrounded<T: Number>(&self, x: &[T]) -> Vec<T> {
        let boundary = Boundary::from_wire((self.edge, T::from_word(self.value)));
        let size = self.size as usize;
        let before = size / 2;
        let beyond = |place: isize| boundary.source(place, x.len()).map_or(boundary.value(), |at| x[at]);
        let mut line = Vec::with_capacity(x.len() + size - 1);
        line.extend((0..before).map(|at| beyond(at as isize - before as isize)));
        line.extend_from_slice(x);
        line.extend((0..size - 1 - before).map(|at| beyond((x.len() + at) as isize)));
        line
    }
}

struct Weighted<T>(PhantomData<T>);
impl<T: Real> Line for Weighted<T> {
    type In = T;
    type Out = T;
    type About = About;
    type Table = T;
    fn line(about: &About, weights: &[T], x: &mut [T], out: &mut [T]) {
        let line = about.surrounded(x);
        vectorized(
            #[inline(always)]
            || {
                // A strip of results stays in the first-level cache while all weights are added to it.
                for (strip, out) in out.chunks_mut(1 << 9).enumerate() {
                    let line = &line[strip << 9..];
                    out.fill(T::ZERO);
                    for (k, weight) in weights.iter().enumerate() {
                        for (out, x) in out.iter_mut().zip(&line[k..]) {
                            *out = *out + *weight * *x;
                        }
                    }
                }
            },
        );
    }
}

struct Mean<T>(PhantomData<T>);
impl<T: Real> Line for Mean<T> {
    type In = T;
    type Out = T;
    type About = About;
    type Table = T;
    fn line(about: &About, _: &[T], x: &mut [T], out: &mut [T]) {
        let (line, size) = (about.surrounded(x), about.size as usize);
        let mut sum: f64 = line[..size].iter().map(|x| Number::to_f64(*x)).sum();
        let mut leaving = line.iter().zip(&line[size..]);
        for out in out {
            *out = T::from_f64(sum / size as f64);
            if let Some((old, new)) = leaving.next() {
                sum += Number::to_f64(*new) - Number::to_f64(*old);
            }
        }
    }
}

trait Order: 'static {
    fn better<T: Number>(a: T, b: T) -> T;
}
struct Least;
impl Order for Least {
    #[inline(always)]
    fn better<T: Number>(a: T, b: T) -> T {
        if b < a { b } else { a }
    }
}
struct Greatest;
impl Order for Greatest {
    #[inline(always)]
    fn better<T: Number>(a: T, b: T) -> T {
        if b > a { b } else { a }
    }
}

/// Extremes of all runs of `size` elements, from those of the beginnings and the ends of blocks of that size (M. van
/// Herk, A fast algorithm for local minimum and maximum filters, 1992, <https://doi.org/10.1016/0167-8655(92)90069-C>).
struct Extreme<T, O>(PhantomData<(T, O)>);
impl<T: Number, O: Order> Line for Extreme<T, O> {
    type In = T;
    type Out = T;
    type About = About;
    type Table = T;
    fn line(about: &About, _: &[T], x: &mut [T], out: &mut [T]) {
        let (line, size) = (about.surrounded(x), about.size as usize);
        let (mut up_to, mut from) = (line.clone(), line);
        for block in up_to.chunks_mut(size) {
            for at in 1..block.len() {
                block[at] = O::better(block[at - 1], block[at]);
            }
        }
        for block in from.chunks_mut(size) {
            for at in (1..block.len()).rev() {
                block[at - 1] = O::better(block[at - 1], block[at]);
            }
        }
        for ((out, first), last) in out.iter_mut().zip(&from).zip(&up_to[size - 1..]) {
            *out = O::better(*first, *last);
        }
    }
}

/// The weights of a bell that is cut off.
fn bell<T: Real>(deviation: f64) -> Vec<T> {
    if deviation == 0.0 {
        return vec![T::ONE];
    }
    let radius = (TRUNCATE * deviation + 0.5) as i64;
    let value = |at: i64| (-0.5 / (deviation * deviation) * (at * at) as f64).exp();
    let sum: f64 = (-radius..=radius).map(value).sum();
    (-radius..=radius).map(|at| T::from_f64(value(at) / sum)).collect()
}

#[cfg(test)]
mod tests;
