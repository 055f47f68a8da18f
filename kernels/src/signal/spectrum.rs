//! Spectra of long signals, segment by segment.

use super::Window;
use crate::axis;
use crate::error::KernelError;
use crate::inline::repeatable;
use crate::input::Input;
use crate::number::{Number, Real};
use crate::spectral::{Complex, Norm, Transform, rfft, rfftfreq};
use ndarray::{Ix1, Ix2};
use phalanx::{Pool, SharedArray};

/// How power is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scaling {
    /// As a density: units of the signal squared, per unit of frequency.
    Density,
    /// As a spectrum: units of the signal squared; a sine of amplitude `a` has a peak of about `a^2 / 2`.
    Spectrum,
}

/// How a signal is cut into segments, and what is done to each. The defaults are those of `scipy.signal.welch`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Segments {
    /// Samples per unit of time.
    pub rate: f64,
    /// Samples of a segment.
    pub length: usize,
    /// Samples that two neighbouring segments have in common.
    pub overlap: usize,
    /// What each segment is multiplied by, in its periodic form.
    pub window: Window,
    /// Whether the mean of each segment is subtracted first.
    pub detrend: bool,
    /// How power is counted.
    pub scaling: Scaling,
}

impl Default for Segments {
    fn default() -> Segments {
        let window = Window::Hann;
        Segments { rate: 1.0, length: 256, overlap: 128, window, detrend: true, scaling: Scaling::Density }
    }
}

/// The power of a signal at each frequency.
#[derive(Debug)]
pub struct Spectrum<T: Real> {
    /// From 0 to half of the rate.
    pub frequencies: Vec<f64>,
    /// The power at each of them.
    pub power: SharedArray<T>,
}

/// The power of a signal at each time and frequency.
#[derive(Debug)]
pub struct Spectrogram<T: Real> {
    /// From 0 to half of the rate.
    pub frequencies: Vec<f64>,
    /// The middle of each segment.
    pub times: Vec<f64>,
    /// One row for each segment, one column for each frequency. (SciPy has them the other way round.)
    pub power: SharedArray<T, Ix2>,
}

/// Returns the power of a real signal in segments of it.
///
/// Segments that would end behind the signal are left out. Cost: one transform for each segment, and memory for all
/// segments and their transforms: about `3 length / (length - overlap)` times the signal.
///
/// # Errors
/// `Argument` if segments have no samples, are longer than the signal or overlap as a whole, or the rate is not above
/// 0; `Memory`, `Launch`.
///
/// ```
/// use phalanx_kernels::signal::{Segments, spectrogram};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = phalanx::Pool::builder().workers(2).build()?;
/// let x = pool.from_fn(10_000, |i| (i as f64 * std::f64::consts::TAU / 8.0).sin())?;
/// let all = spectrogram(&pool, &x, &Segments::default())?;
/// assert_eq!((all.power.dim(), all.times[1]), ((77, 129), 256.0));
/// let row = all.power.view().row(5).to_vec();
/// let peak = row.iter().position(|power| *power == row.iter().copied().fold(0.0, f64::max));
/// assert_eq!(peak.map(|at| all.frequencies[at]), Some(0.125));
/// # Ok(())
/// # }
/// ```
#[doc(alias = "scipy.signal.spectrogram", alias = "scipy.signal.stft")]
pub fn spectrogram<T: Transform>(
    pool: &Pool,
    x: &(impl Input<Elem = T, Dim = Ix1> + ?Sized),
    segments: &Segments,
) -> Result<Spectrogram<T>, KernelError> {
    let Segments { rate, length, overlap, window, .. } = *segments;
    check(segments, x.len())?;
    let step = length - overlap;
    let count = (x.len() - length) / step + 1;
    let window = window.periodic(length);
    let scale = match segments.scaling {
        Scaling::Density => rate * window.iter().map(|w| w * w).sum::<f64>(),
        Scaling::Spectrum => window.iter().sum::<f64>().powi(2),
    };
    let window: Vec<T> = window.into_iter().map(<T as Real>::from_f64).collect();
    let (x, window) = (x.share(pool)?, SharedArray::from_slice(&window)?);
    let mut cut = SharedArray::<T, Ix2>::zeros((count, length))?;
    let operands = (cut.split_out(), 0..count, x.whole(), window.whole(), step, segments.detrend);
    repeatable(pool).for_each(operands, |(mut cut, span, x, window, step, detrend)| {
        for (mut to, at) in cut.outer_iter_mut().zip(span) {
            if let Some(to) = to.as_slice_mut() {
                cut_out(to, &x[at * step..], window, detrend);
            }
        }
    })?;
    let frequencies = rfftfreq(length, rate.recip());
    let mut waves = SharedArray::<Complex<T>, Ix2>::zeros((count, frequencies.len()))?;
    rfft(pool, &mut waves, &cut, &[1], Norm::Backward)?;
    let mut power = SharedArray::<T, Ix2>::zeros(*waves.raw_dim())?;
    let factor = phalanx::Val(<T as Real>::from_f64(scale.recip()));
    let operands = (power.split_out(), waves.split(), factor, length);
    repeatable(pool).for_each(operands, |(mut power, waves, factor, length)| {
        for (mut power, waves) in power.outer_iter_mut().zip(waves.outer_iter()) {
            for (k, (power, wave)) in power.iter_mut().zip(waves).enumerate() {
                // Those between stand for the negative frequencies too.
                let is_single = k == 0 || 2 * k == length;
                let twice = if is_single { T::ONE } else { T::ONE + T::ONE };
                *power = wave.norm_sqr() * factor * twice;
            }
        }
    })?;
    let times = (0..count).map(|at| (at * step) as f64 / rate + length as f64 / 2.0 / rate).collect();
    Ok(Spectrogram { frequencies, times, power })
}

/// Returns the power of a real signal at each frequency, averaged over segments of it: Welch's method.
///
/// Cost: as [`spectrogram`].
///
/// # Errors
/// As [`spectrogram`].
///
/// ```
/// use phalanx_kernels::signal::{Scaling, Segments, welch};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = phalanx::Pool::builder().workers(2).build()?;
/// let x = pool.from_fn(10_000, |i| 3.0 * (i as f64 * std::f64::consts::TAU / 8.0).sin())?;
/// let spectrum = welch(&pool, &x, &Segments { scaling: Scaling::Spectrum, ..Segments::default() })?;
/// assert_eq!(spectrum.frequencies[32], 0.125);
/// assert!((spectrum.power.as_slice()[32] - 4.5).abs() < 1e-9);
/// # Ok(())
/// # }
/// ```
#[doc(alias = "scipy.signal.welch")]
pub fn welch<T: Transform>(
    pool: &Pool,
    x: &(impl Input<Elem = T, Dim = Ix1> + ?Sized),
    segments: &Segments,
) -> Result<Spectrum<T>, KernelError> {
    let Spectrogram { frequencies, power, .. } = spectrogram(pool, x, segments)?;
    let count = <T as Real>::from_f64(power.dim().0 as f64);
    let mut power = axis::sum(pool, &power, 0)?;
    power.as_mut_slice().iter_mut().for_each(|power| *power = *power / count);
    Ok(Spectrum { frequencies, power })
}

/// Returns the power of a real signal at each frequency, from one transform of all of it.
///
/// Its mean is subtracted first, and no window is used. Cost: one transform, shared by all workers if the signal is
/// long.
///
/// # Errors
/// `Argument` if the signal has no samples, or the rate is not above 0; `Memory`, `Launch`.
///
/// ```
/// use phalanx_kernels::signal::{Scaling, periodogram};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = phalanx::Pool::builder().workers(2).build()?;
/// let spectrum = periodogram(&pool, &[1.0, -1.0, 1.0, -1.0], 10.0, Scaling::Spectrum)?;
/// assert_eq!(spectrum.frequencies, [0.0, 2.5, 5.0]);
/// assert_eq!(spectrum.power.as_slice(), [0.0, 0.0, 1.0]);
/// # Ok(())
/// # }
/// ```
#[doc(alias = "scipy.signal.periodogram")]
pub fn periodogram<T: Transform>(
    pool: &Pool,
    x: &(impl Input<Elem = T, Dim = Ix1> + ?Sized),
    rate: f64,
    scaling: Scaling,
) -> Result<Spectrum<T>, KernelError> {
    let (length, window) = (x.len(), Window::Boxcar);
    welch(pool, x, &Segments { rate, length, overlap: 0, window, detrend: true, scaling })
}

fn check(segments: &Segments, samples: usize) -> Result<(), KernelError> {
    let Segments { rate, length, overlap, .. } = *segments;
    if rate.is_nan() || rate <= 0.0 {
        return Err(KernelError::argument("rate", format!("it is {rate}, and must be above 0")));
    }
    if length == 0 || length > samples {
        let why = format!("it is {length}, and must be in 1..={samples}, the samples of the signal");
        return Err(KernelError::argument("length", why));
    }
    if overlap >= length {
        return Err(KernelError::argument("overlap", format!("it is {overlap}, and must be below {length}")));
    }
    Ok(())
}

/// A segment at the beginning of `x`.
fn cut_out<T: Real>(to: &mut [T], x: &[T], window: &[T], detrend: bool) {
    let x = &x[..to.len()];
    let mean = if detrend {
        // In float64, and in blocks, so that a whole long signal as one segment rounds little.
        let sum: f64 = x.chunks(1 << 12).map(|x| x.iter().map(|x| Number::to_f64(*x)).sum::<f64>()).sum();
        <T as Real>::from_f64(sum / x.len() as f64)
    } else {
        T::ZERO
    };
    for ((to, x), window) in to.iter_mut().zip(x).zip(window) {
        *to = (*x - mean) * *window;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Dice, pools};

    fn signal(n: usize) -> Vec<f64> {
        let mut dice = Dice(11);
        (0..n).map(|i| (i as f64 / 7.0).sin() + 0.3 * dice.unit() + 0.5).collect()
    }

    #[test]
    fn powers_are_those_of_scipy() {
        // x = [(i * i) % 17 - 3 for i in range(40)], SciPy 1.17.1:
        // scipy.signal.welch(x, fs=10.0, nperseg=8), scaling "density" and "spectrum";
        // scipy.signal.periodogram(x[:7], fs=2.0).
        let x: Vec<f64> = (0..40).map(|i| f64::from((i * i) % 17) - 3.0).collect();
        let near = |got: &[f64], want: &[f64]| {
            assert_eq!(got.len(), want.len());
            assert!(got.iter().zip(want).all(|(a, b)| (a - b).abs() < 1e-12), "{got:?} instead of {want:?}");
        };
        let density: [f64; 5] =
            [1.244820960751433, 8.593742314626807, 6.846073566068456, 3.8246854819042593, 0.5752184548963624];
        let spectrum: [f64; 5] = [
            2.3340393014089376,
            16.113266839925263,
            12.836387936378356,
            7.171285278570488,
            1.0785346029306797,
        ];
        let whole: [f64; 4] = [0.0, 86.22684590385313, 7.961677160060569, 2.5257626503720134];
        let mut segments = Segments { rate: 10.0, length: 8, overlap: 4, ..Segments::default() };
        near(welch(&pools()[1], x.as_slice(), &segments).unwrap().power.as_slice(), &density);
        segments.scaling = Scaling::Spectrum;
        near(welch(&pools()[1], x.as_slice(), &segments).unwrap().power.as_slice(), &spectrum);
        near(periodogram(&pools()[1], &x[..7], 2.0, Scaling::Density).unwrap().power.as_slice(), &whole);
    }

    #[test]
    fn every_segment_agrees_with_the_definition_and_the_bits_with_each_other() {
        let x = signal(20_011);
        let segments = Segments { length: 100, overlap: 37, window: Window::Hamming, ..Segments::default() };
        let run = |pool: &Pool| spectrogram(pool, x.as_slice(), &segments).unwrap();
        let first = run(&pools()[0]);
        assert!(pools().iter().all(|pool| run(pool).power.as_slice() == first.power.as_slice()));
        let window = Window::Hamming.periodic(100);
        let weight: f64 = window.iter().map(|w| w * w).sum();
        assert_eq!(first.power.dim(), ((20_011 - 100) / 63 + 1, 51));
        for at in [0, 1, 100, 316] {
            let x = &x[at * 63..][..100];
            let mean = x.iter().sum::<f64>() / 100.0;
            for k in [0, 1, 17, 50] {
                let wave: Complex<f64> = (0..100)
                    .map(|j| {
                        let turn = -std::f64::consts::TAU * (j * k) as f64 / 100.0;
                        Complex::from_polar((x[j] - mean) * window[j], turn)
                    })
                    .sum();
                let want = wave.norm_sqr() / weight * if k == 0 || k == 50 { 1.0 } else { 2.0 };
                assert!((first.power.view()[(at, k)] - want).abs() < 1e-10);
            }
        }
    }

    #[test]
    fn segments_that_cannot_be_are_refused() {
        let x = signal(50);
        let good = Segments { length: 50, overlap: 49, ..Segments::default() };
        assert_eq!(welch(&pools()[1], x.as_slice(), &good).unwrap().frequencies.len(), 26);
        for bad in [
            Segments { length: 0, ..good },
            Segments { length: 51, ..good },
            Segments { overlap: 50, ..good },
            Segments { rate: 0.0, ..good },
            Segments { rate: f64::NAN, ..good },
        ] {
            let refused = welch(&pools()[1], x.as_slice(), &bad);
            assert!(matches!(refused, Err(KernelError::Argument { .. })));
        }
        assert!(periodogram(&pools()[1], &[0.0f64; 0], 1.0, Scaling::Density).is_err());
    }
}
