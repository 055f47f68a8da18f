//! Window functions.

use std::f64::consts::{PI, TAU};

/// A window function; the names are those of `scipy.signal.windows`
/// (<https://docs.scipy.org/doc/scipy/reference/signal.windows.html>).
///
/// ```
/// use phalanx_kernels::signal::Window;
///
/// assert_eq!(Window::Bartlett.symmetric(5), [0.0, 0.5, 1.0, 0.5, 0.0]);
/// assert_eq!(Window::Bartlett.periodic(4), [0.0, 0.5, 1.0, 0.5]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Window {
    /// Ones.
    Boxcar,
    /// A triangle that ends with zeros.
    Bartlett,
    /// One period of a raised cosine.
    Hann,
    /// A raised cosine that does not end with zeros.
    Hamming,
    /// Three cosines.
    Blackman,
    /// Four cosines, with low side lobes (-92 dB).
    BlackmanHarris,
    /// Four cosines, for side lobes that fall fast.
    Nuttall,
    /// Five cosines, for amplitudes.
    FlatTop,
    /// Kaiser's window of this `beta`: 0 is a boxcar, 5 like [`Hamming`](Window::Hamming), 8.6 like
    /// [`Blackman`](Window::Blackman).
    Kaiser(f64),
    /// A bell with this standard deviation, in elements.
    Gaussian(f64),
    /// A boxcar whose ends are half periods of a cosine: this fraction of it in all, 0 to 1.
    Tukey(f64),
}

impl Window {
    /// Returns the `n` values of the window that is symmetric, for the design of filters.
    #[must_use]
    pub fn symmetric(self, n: usize) -> Vec<f64> {
        (0..n).map(|at| if n == 1 { 1.0 } else { self.at(at as f64, n as f64 - 1.0) }).collect()
    }

    /// Returns the `n` values of the window that is symmetric with one value more, for spectra
    /// (`get_window(name, n)`).
    #[must_use]
    pub fn periodic(self, n: usize) -> Vec<f64> {
        (0..n).map(|at| if n == 1 { 1.0 } else { self.at(at as f64, n as f64) }).collect()
    }

    /// The value at `at` of a window from 0 to `end`.
    fn at(self, at: f64, end: f64) -> f64 {
        let cosines = |weights: &[f64]| {
            let turn = TAU * at / end - PI;
            weights.iter().enumerate().map(|(k, weight)| weight * (k as f64 * turn).cos()).sum::<f64>()
        };
        // From -1 to 1.
        let place = 2.0 * at / end - 1.0;
        match self {
            Window::Boxcar => 1.0,
            Window::Bartlett => 1.0 - place.abs(),
            Window::Hann => cosines(&[0.5, 0.5]),
            Window::Hamming => cosines(&[0.54, 0.46]),
            Window::Blackman => cosines(&[0.42, 0.5, 0.08]),
            Window::BlackmanHarris => cosines(&[0.35875, 0.48829, 0.14128, 0.01168]),
            Window::Nuttall => cosines(&[0.3635819, 0.4891775, 0.1365995, 0.0106411]),
            Window::FlatTop => cosines(&[0.21557895, 0.41663158, 0.277263158, 0.083578947, 0.006947368]),
            Window::Kaiser(beta) => bessel(beta * (1.0 - place * place).max(0.0).sqrt()) / bessel(beta),
            Window::Gaussian(deviation) => {
                let away = (at - end / 2.0) / deviation;
                (-0.5 * away * away).exp()
            }
            Window::Tukey(fraction) if fraction <= 0.0 => 1.0,
            Window::Tukey(fraction) => {
                let inside = (1.0 - place.abs()) / fraction.min(1.0);
                if inside >= 1.0 { 1.0 } else { 0.5 * (1.0 - (PI * inside).cos()) }
            }
        }
    }
}

/// The modified Bessel function of the first kind and order 0, by its power series, whose terms are positive.
fn bessel(x: f64) -> f64 {
    let quarter = x * x / 4.0;
    let (mut sum, mut term, mut k) = (1.0, 1.0, 1.0);
    while term > sum * 1e-17 {
        term *= quarter / (k * k);
        sum += term;
        k += 1.0;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `scipy.signal.windows` of 6 values, SciPy 1.17.1: the first three; the others mirror them.
    const SCIPY: [(Window, [f64; 3]); 11] = [
        (Window::Boxcar, [1.0, 1.0, 1.0]),
        (Window::Bartlett, [0.0, 0.4, 0.8]),
        (Window::Hann, [0.0, 0.34549150281252633, 0.9045084971874737]),
        (Window::Hamming, [0.08000000000000007, 0.3978521825875243, 0.9121478174124759]),
        (Window::Blackman, [0.0, 0.2007701432625305, 0.8492298567374694]),
        (Window::BlackmanHarris, [6.0000000000001025e-05, 0.10301148934566379, 0.7938335106543363]),
        (Window::Nuttall, [0.0003628000000000381, 0.11051525304987181, 0.7982580969501283]),
        (Window::FlatTop, [-0.0004210510000000013, -0.06771425207621193, 0.606872152576212]),
        (Window::Kaiser(5.0), [0.036710892271286676, 0.4149036392433668, 0.9138124838692001]),
        (Window::Gaussian(1.5), [0.24935220877729622, 0.6065306597126334, 0.9459594689067654]),
        (Window::Tukey(0.7), [0.0, 0.6112604669781572, 1.0]),
    ];

    #[test]
    fn all_are_those_of_scipy_and_symmetric() {
        for (window, want) in SCIPY {
            let got = window.symmetric(6);
            for (at, got) in got.iter().enumerate() {
                assert!((got - want[at.min(5 - at)]).abs() < 1e-13, "{window:?}: {got} at {at}");
            }
            assert_eq!(window.periodic(5), got[..5]);
        }
    }

    #[test]
    fn short_ones_are_ones() {
        for (window, _) in SCIPY {
            assert_eq!(
                (window.symmetric(0), window.symmetric(1), window.periodic(1)),
                (vec![], vec![1.0], vec![1.0])
            );
        }
    }
}
