//! Signals: convolutions by transforms, windows, filters, spectra.
//!
//! | kernel | what it does |
//! |---|---|
//! | [`convolve`], [`correlate`] | of two arrays of any number of axes, through Fourier transforms |
//! | [`lfilter`], [`sosfilt`] | linear filters along an axis: finite and infinite impulse responses |
//! | [`Window`] | window functions |
//! | [`spectrogram`], [`welch`], [`periodogram`] | how the power of a signal is spread over frequencies |
//!
//! Definitions and defaults are those of `scipy.signal` (<https://docs.scipy.org/doc/scipy/reference/signal.html>).
//! The kernels are made of those of [`spectral`](crate::spectral) and [`axis`](crate::axis); as with these, bits
//! depend on the kind of CPU where transforms are used, and never on the number of workers.

mod convolve;
mod filter;
mod spectrum;
mod window;

pub use convolve::{Mode, convolve, correlate};
pub use filter::{lfilter, sosfilt};
pub use spectrum::{Scaling, Segments, Spectrogram, Spectrum, periodogram, spectrogram, welch};
pub use window::Window;
