//! Convolutions through Fourier transforms.

use crate::error::{KernelError, check_shape};
use crate::inline::{is_inline, repeatable};
use crate::input::Input;
use crate::spectral::{Complex, Norm, Transform, irfft, next_fast_len, rfft};
use phalanx::{Pool, Shape, SharedArray};

/// Elements of a chunk of rows, about.
const CHUNK: usize = 1 << 14;

/// Which part of a convolution is wanted; the names are those of `scipy.signal.fftconvolve`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// All of it: `m + n - 1` elements along an axis of `m` and `n`.
    Full,
    /// As many as the first array has, from the middle.
    Same,
    /// What does not depend on elements beyond the border: `m - n + 1`.
    Valid,
}

/// Sets `out` to the convolution of `x` and `y`, real arrays of any number of axes.
///
/// That is `sum over j of x[j] y[i - j]` for every `i`, zeros being beyond the borders, and `out` has the shape that
/// [`Mode`] says. Both are padded with zeros to lengths that are transformed fast, transformed, multiplied, and
/// transformed back: three real transforms of the padded size, which is what it costs, whatever the size of the
/// smaller. For a small kernel over an image, [`stencil::convolve_2d`](crate::stencil::convolve_2d) is faster.
/// Rounding errors are relative to the largest result, and one NaN or infinity spoils all results.
///
/// # Errors
/// `Empty` if one of the arrays has no elements; `Argument` if [`Mode::Valid`] is wanted and `y` is longer than `x`
/// along some axis; `Shape` if the numbers of axes differ, or the shape of `out` is another; `Memory`, `Launch`.
///
/// ```
/// use phalanx_kernels::signal::{Mode, convolve};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = phalanx::Pool::builder().workers(2).build()?;
/// let mut out = pool.zeros(4)?;
/// convolve(&pool, &mut out, &[1.0, 2.0, 3.0], &[1.0, 10.0], Mode::Full)?;
/// assert!(out.as_slice().iter().zip([1.0, 12.0, 23.0, 30.0f64]).all(|(a, b)| (a - b).abs() < 1e-12));
/// # Ok(())
/// # }
/// ```
#[doc(alias = "scipy.signal.fftconvolve", alias = "numpy.convolve")]
pub fn convolve<T: Transform, D: Shape>(
    pool: &Pool,
    out: &mut SharedArray<T, D>,
    x: &(impl Input<Elem = T, Dim = D> + ?Sized),
    y: &(impl Input<Elem = T, Dim = D> + ?Sized),
    mode: Mode,
) -> Result<(), KernelError> {
    run(pool, out, x, y, mode, false)
}

/// Sets `out` to the correlation of `x` with `y`: the convolution with `y` mirrored along all axes.
///
/// That is `sum over j of x[i + j] y[j]`, where with [`Mode::Full`] `i` begins at `1 - n`. Otherwise as [`convolve`].
///
/// # Errors
/// As [`convolve`].
///
/// ```
/// use phalanx_kernels::signal::{Mode, correlate};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = phalanx::Pool::builder().workers(2).build()?;
/// let mut out = pool.zeros(2)?;
/// correlate(&pool, &mut out, &[1.0, 2.0, 3.0], &[1.0, 10.0], Mode::Valid)?;
/// assert!(out.as_slice().iter().zip([21.0, 32.0f64]).all(|(a, b)| (a - b).abs() < 1e-12));
/// # Ok(())
/// # }
/// ```
#[doc(alias = "scipy.signal.correlate", alias = "numpy.correlate")]
pub fn correlate<T: Transform, D: Shape>(
    pool: &Pool,
    out: &mut SharedArray<T, D>,
    x: &(impl Input<Elem = T, Dim = D> + ?Sized),
    y: &(impl Input<Elem = T, Dim = D> + ?Sized),
    mode: Mode,
) -> Result<(), KernelError> {
    run(pool, out, x, y, mode, true)
}

fn run<T: Transform, D: Shape>(
    pool: &Pool,
    out: &mut SharedArray<T, D>,
    x: &(impl Input<Elem = T, Dim = D> + ?Sized),
    y: &(impl Input<Elem = T, Dim = D> + ?Sized),
    mode: Mode,
    mirrored: bool,
) -> Result<(), KernelError> {
    let (long, short) = (x.shape(), y.shape());
    if x.is_empty() || y.is_empty() {
        return Err(KernelError::Empty { kernel: "convolution" });
    }
    check_shape("the number of axes of y", &[long.len()], &[short.len()])?;
    let (first, expected) = part(&long, &short, mode)?;
    check_shape("out", &expected, out.shape())?;
    if long.is_empty() {
        out.as_mut_slice()[0] = x.elements()[0] * y.elements()[0];
        return Ok(());
    }
    let mut padded = D::zeros(long.len());
    for ((to, x), y) in padded.slice_mut().iter_mut().zip(&long).zip(&short) {
        *to = next_fast_len(x.saturating_add(y - 1));
    }
    let mut half = padded.clone();
    half[long.len() - 1] = half[long.len() - 1] / 2 + 1;
    let axes: Vec<isize> = (0..long.len() as isize).collect();

    let mut work = SharedArray::<T, D>::zeros(padded)?;
    let mut spectrum = SharedArray::<Complex<T>, D>::zeros(half.clone())?;
    let mut filter = SharedArray::<Complex<T>, D>::zeros(half)?;
    place(pool, &mut work, x, &vec![0; long.len()], false)?;
    rfft(pool, &mut spectrum, &work, &axes, Norm::Backward)?;
    place(pool, &mut work, y, &vec![0; long.len()], mirrored)?;
    rfft(pool, &mut filter, &work, &axes, Norm::Backward)?;
    pool.for_each((spectrum.split_flat_mut(), filter.split_flat()), |(x, y)| {
        x.iter_mut().zip(y).for_each(|(x, y)| *x = *x * y);
    })?;
    irfft(pool, &mut work, &spectrum, &axes, Norm::Backward)?;
    place(pool, out, &work, &first, false)
}

/// Where the part of the convolution begins, and its shape.
fn part(long: &[usize], short: &[usize], mode: Mode) -> Result<(Vec<usize>, Vec<usize>), KernelError> {
    let pairs = || long.iter().zip(short);
    Ok(match mode {
        Mode::Full => (vec![0; long.len()], pairs().map(|(x, y)| x.saturating_add(y - 1)).collect()),
        Mode::Same => (short.iter().map(|y| (y - 1) / 2).collect(), long.to_vec()),
        Mode::Valid if pairs().any(|(x, y)| x < y) => {
            let why = "nothing is valid where the second array is longer than the first";
            return Err(KernelError::argument("mode", why));
        }
        Mode::Valid => (short.iter().map(|y| y - 1).collect(), pairs().map(|(x, y)| x - y + 1).collect()),
    })
}

/// Sets `out` to what of `x` begins at `first`, or of its mirror image, and zeros where there is nothing.
fn place<T: Transform, D: Shape>(
    pool: &Pool,
    out: &mut SharedArray<T, D>,
    x: &(impl Input<Elem = T, Dim = D> + ?Sized),
    first: &[usize],
    mirrored: bool,
) -> Result<(), KernelError> {
    let lengths: Vec<[usize; 3]> =
        out.shape().iter().zip(x.shape()).zip(first).map(|((to, from), first)| [*to, from, *first]).collect();
    if is_inline(out.len()) {
        place_rows(out.as_mut_slice(), &x.elements(), &lengths, 0, mirrored);
        return Ok(());
    }
    let width = out.shape().last().copied().unwrap_or(1);
    let chunk = (CHUNK / width).max(1) * width;
    let (x, lengths) = (x.share(pool)?, SharedArray::from_slice(&lengths)?);
    let span = 0..out.len();
    let operands = (out.split_flat_out(), span, x.whole_flat(), lengths.whole(), mirrored);
    repeatable(pool).chunk(chunk).for_each(operands, |(out, span, x, lengths, mirrored)| {
        place_rows(out, x, lengths, span.start, mirrored);
    })?;
    Ok(())
}

/// Rows of `out`, the first of which begins at element `begin`. For each axis: the length of `out`, that of `x`, and
/// where in `x` the first element of `out` is.
fn place_rows<T: Transform>(out: &mut [T], x: &[T], lengths: &[[usize; 3]], begin: usize, mirrored: bool) {
    let Some((&[width, from_width, skip], outer)) = lengths.split_last() else { return };
    for (at, row) in out.chunks_exact_mut(width).enumerate() {
        let (mut rest, mut from, mut stride, mut is_inside) = (begin / width + at, 0, from_width, true);
        for [length, own, first] in outer.iter().rev() {
            let place = rest % length + first;
            is_inside &= place < *own;
            if is_inside {
                from += if mirrored { own - 1 - place } else { place } * stride;
            }
            (rest, stride) = (rest / length, stride * own);
        }
        let source = if is_inside { &x[from..from + from_width] } else { &[] };
        let source = &source[skip.min(source.len())..];
        let count = source.len().min(width);
        row[count..].fill(T::ZERO);
        if mirrored {
            row[..count].iter_mut().zip(source.iter().rev()).for_each(|(to, x)| *to = *x);
        } else {
            row[..count].copy_from_slice(&source[..count]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inline::launching;
    use crate::testing::{Dice, pools};
    use ndarray::{Array, Array3};
    use proptest::prelude::*;

    /// The definition: every pair of elements, added at its place.
    fn naive(x: &Array3<f64>, y: &Array3<f64>) -> Array3<f64> {
        let shape: Vec<usize> = x.shape().iter().zip(y.shape()).map(|(x, y)| x + y - 1).collect();
        let mut full = Array::zeros([shape[0], shape[1], shape[2]]);
        for ((a, b, c), x) in x.indexed_iter() {
            for ((i, j, k), y) in y.indexed_iter() {
                full[(a + i, b + j, c + k)] += x * y;
            }
        }
        full
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn both_agree_with_the_naive_twin(
            long in (1usize..6, 1usize..8, 1usize..20), short in (1usize..6, 1usize..8, 1usize..20),
            seed: u64, which in 0usize..4, launch: bool, mode in 0usize..3,
        ) {
            let (pool, mut dice) = (&pools()[which], Dice(seed));
            let mode = [Mode::Full, Mode::Same, Mode::Valid][mode];
            let mut array = |s: (usize, usize, usize)| Array3::from_shape_vec(s, dice.units(s.0 * s.1 * s.2)).unwrap();
            let (x, y) = (array(long), array(short));
            let Ok((first, shape)) = part(x.shape(), y.shape(), mode) else {
                let mut out = SharedArray::zeros((1, 1, 1)).unwrap();
                let refused = convolve(pool, &mut out, &x, &y, mode);
                let is_refused = matches!(refused, Err(KernelError::Argument { what: "mode", .. }));
                prop_assert!(is_refused);
                return Ok(());
            };
            let shape = [shape[0], shape[1], shape[2]];
            let (mut plain, mut mirrored) = (SharedArray::zeros(shape).unwrap(), SharedArray::zeros(shape).unwrap());
            let mut run = || {
                convolve(pool, &mut plain, &x, &y, mode).unwrap();
                correlate(pool, &mut mirrored, &x, &y, mode).unwrap();
            };
            if launch { launching(run) } else { run() }
            let backwards = y.slice(ndarray::s![..;-1, ..;-1, ..;-1]).to_owned();
            for (got, want) in [(&plain, naive(&x, &y)), (&mirrored, naive(&x, &backwards))] {
                for ((i, j, k), got) in got.view().indexed_iter() {
                    let want = want[(i + first[0], j + first[1], k + first[2])];
                    prop_assert!((got - want).abs() < 1e-11, "{got} instead of {want}");
                }
            }
        }
    }

    #[test]
    fn long_signals_and_the_same_bits() {
        let (mut dice, n) = (Dice(3), 150_000);
        let (x, y) = (dice.units(n), dice.units(501));
        let run = |pool: &Pool| {
            let mut out = SharedArray::zeros(n).unwrap();
            convolve(pool, &mut out, x.as_slice(), y.as_slice(), Mode::Same).unwrap();
            out.to_vec()
        };
        let first = run(&pools()[0]);
        assert!(pools().iter().all(|pool| run(pool) == first));
        for at in [0, 1, 250, 77_777, n - 1] {
            let terms = (0..501).filter_map(|j| Some(y[j] * x.get((at + 250).checked_sub(j)?)?));
            assert!((first[at] - terms.sum::<f64>()).abs() < 1e-10);
        }
    }

    #[test]
    fn nothing_and_wrong_shapes_are_refused() {
        let pool = &pools()[1];
        let mut out = SharedArray::<f64>::zeros(3).unwrap();
        let refused = convolve(pool, &mut out, &[0.0; 0], &[1.0], Mode::Full);
        assert!(matches!(refused, Err(KernelError::Empty { .. })));
        let refused = convolve(pool, &mut out, &[1.0; 4], &[1.0], Mode::Full);
        assert!(matches!(refused, Err(KernelError::Shape { what: "out", .. })));
    }
}
