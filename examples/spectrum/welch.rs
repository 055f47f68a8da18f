//! Welch's estimate of the power spectral density: the mean over windows, of which each overlaps the next by
//! half.
//!
//! Two windows are transformed at once: one is the real part of a complex signal, the other the imaginary
//! part. For z = a + ib the squares |Z(k)|^2 + |Z(-k)|^2 are 2 |A(k)|^2 + 2 |B(k)|^2, and only sums of
//! squares are wanted here.

use crate::signal::Signal;
use common::{Meter, Result, refuse};
use phalanx::{CancelToken, PerWorker, Pool};
use rustfft::num_complex::Complex32;
use rustfft::{Fft, FftPlanner};
use std::f64::consts::TAU;
use std::sync::Arc;

/// A spectrum, and what of the signal went into it.
#[derive(Clone, Debug, PartialEq)]
pub struct Spectrum {
    /// Power per unit of frequency, for 0, 1/n, 2/n up to 1/2 cycles per sample.
    pub density: Vec<f64>,
    /// Windows whose mean this is.
    pub windows: usize,
    /// By how much, relatively, the power of the transforms and that of the windows differ, which Parseval
    /// says are equal.
    pub parseval: f64,
}

/// The plan and the buffers of a worker.
#[derive(Default)]
struct Transform {
    plan: Option<Arc<dyn Fft<f32>>>,
    line: Vec<Complex32>,
    scratch: Vec<Complex32>,
}

impl Transform {
    /// Adds the squares of the transform of windows `first` and, if there is one, `first + 1` to `sums`,
    /// whose last element gets the squares of the windows themselves.
    fn add(&mut self, signal: &[f32], first: usize, windows: usize, hann: &[f32], sums: &mut [f64]) {
        let n = hann.len();
        let plan = self.plan.get_or_insert_with(|| FftPlanner::new().plan_fft_forward(n));
        self.scratch.resize(plan.get_inplace_scratch_len(), Complex32::ZERO);
        let window = |number: usize| &signal[number * n / 2..][..n];
        let real = window(first);
        self.line.clear();
        if first + 1 < windows {
            let (imaginary, means) = (window(first + 1), (mean(real), mean(window(first + 1))));
            let pairs = real.iter().zip(imaginary).zip(hann);
            self.line.extend(pairs.map(|((a, b), w)| Complex32::new((a - means.0) * w, (b - means.1) * w)));
        } else {
            let mean = mean(real);
            self.line.extend(real.iter().zip(hann).map(|(a, w)| Complex32::new((a - mean) * w, 0.0)));
        }
        let (power, energy) = sums.split_at_mut(n);
        energy[0] += f64::from(lanes(&self.line, |z| z.norm_sqr()));
        plan.process_with_scratch(&mut self.line, &mut self.scratch);
        power.iter_mut().zip(&self.line).for_each(|(power, z)| *power += f64::from(z.norm_sqr()));
    }
}

fn mean(samples: &[f32]) -> f32 {
    lanes(samples, |x| *x) / samples.len() as f32
}

/// The sum in sixteen lanes, which the compiler keeps in vectors.
fn lanes<T>(values: &[T], of: impl Fn(&T) -> f32) -> f32 {
    let mut sums = [0.0f32; 16];
    let chunks = values.chunks_exact(sums.len());
    let rest: f32 = chunks.remainder().iter().map(&of).sum();
    for chunk in chunks {
        sums.iter_mut().zip(chunk).for_each(|(sum, value)| *sum += of(value));
    }
    sums.iter().sum::<f32>() + rest
}

/// The density of a signal of at least `n` samples, by Hann windows of `n`, each without its mean: what
/// `scipy.signal.welch` computes.
///
/// # Errors
/// [`common::Refused`] if samples are no finite numbers; another error if the launch fails or is cancelled.
pub fn welch(pool: &Pool, signal: &Signal, n: usize, stop: &CancelToken) -> Result<Spectrum> {
    let windows = (signal.len() - n) / (n / 2) + 1;
    let hann = pool.from_fn_with(n, n as f64, |i, n| (0.5 - 0.5 * (TAU * i as f64 / n).cos()) as f32)?;
    let mut sums = pool.zeros::<f64>(n + 1)?;
    let transform = PerWorker::scratch(|_rank| Transform::default());
    let meter = Meter::new("welch", signal.bytes.len() as u64);
    let tell = meter.follow(signal.bytes.len() as u64);
    let samples = signal.bytes.range(signal.offset..);
    let operands = (
        0..windows.div_ceil(2),
        windows,
        samples.whole(),
        hann.whole(),
        &transform,
        sums.reduce(0.0, |a, b| a + b),
    );
    pool.launch().cancel(stop).progress(&tell).for_each(
        operands,
        |(pairs, windows, bytes, hann, transform, sums)| {
            let samples = bytemuck::cast_slice::<u8, f32>(bytes);
            pairs.into_iter().for_each(|pair| transform.add(samples, 2 * pair, windows, hann, sums));
        },
    )?;
    if !sums.as_slice()[n].is_finite() {
        return Err(refuse("the signal has samples that are NaN, infinite or too large for their square"));
    }
    Ok(spectrum(sums.as_slice(), hann.as_slice(), windows))
}

/// The density from the sums over all windows.
fn spectrum(sums: &[f64], hann: &[f32], windows: usize) -> Spectrum {
    let n = hann.len();
    let (power, energy) = sums.split_at(n);
    let (transforms, all) = (power.iter().sum::<f64>(), n as f64 * energy[0]);
    let parseval = (transforms - all) / all.max(f64::MIN_POSITIVE);
    let scale = windows as f64 * hann.iter().map(|w| f64::from(*w).powi(2)).sum::<f64>();
    let density = (0..=n / 2).map(|k| {
        // One side stands for both, but for its ends.
        let sides = if k == 0 || k == n / 2 { 1.0 } else { 2.0 };
        sides * (power[k] + power[(n - k) % n]) / 2.0 / scale
    });
    Spectrum { density: density.collect(), windows, parseval }
}
