//! Particles: bodies that attract each other, summed over all pairs.
//!
//! The acceleration of body `i`, at `x_i` with mass `m_i`, is
//!
//! ```text
//! a_i = sum over j of  m_j (x_j - x_i) / (|x_j - x_i|^2 + softening^2)^(3/2)
//! ```
//!
//! Units are those in which the gravitational constant is 1; for others, multiply masses by the constant. The
//! softening is that of H. C. Plummer (1911). If it is 0, the sum is Newton's, and bodies at the same
//! position do not attract each other.
//!
//! Positions, velocities and accelerations are arrays of shape `(n, 3)`, masses of length `n`; `f32` or
//! `f64`. All sums run over `j = 0, 1, .., n - 1`, each body by itself, so results have the same bits for
//! every number of workers and every vector width. Sums are as exact as their type: with more than about
//! 10,000 bodies `f32` loses digits.
//!
//! Lengths may be of any magnitude: if squares and cubes of distances would leave the range of the type,
//! lengths are measured in units of a power of two near the largest coordinate, which causes no rounding.
//! Bodies whose squared distance underflows in these units count as being at the same position.
//!
//! NaN or infinite positions and masses make the accelerations of all bodies that they act on NaN or
//! infinite, as in the formula.

#![allow(clippy::needless_range_loop, reason = "lanes and axes of several arrays advance together")]

#[cfg(test)]
mod tests;

use crate::error::{KernelError, check_shape};
use crate::inline::{is_inline, repeatable};
use crate::input::Input;
use crate::number::{Number, Real};
use crate::scale::{exponent_of, power};
use crate::simd::vectorized;
use ndarray::{Ix1, Ix2};
use phalanx::{Launch, Pool, SharedArray};
use std::ops::Range;

/// Bodies accelerated at once: two vectors of 512 bits in `f64`.
const LANES: usize = 16;
/// Chunks that the bodies are cut into at most.
const CHUNKS: usize = 256;

/// Sets `out[i]` to the acceleration of body `i` due to all others.
///
/// `out` and `positions` have shape `(n, 3)`, `masses` length `n`.
///
/// Cost: 20 flops, one square root and one division among them, for each of `n * n` pairs; `32 n` bytes read
/// for every 16 bodies (`f64`), mostly from caches.
///
/// # Errors
/// `Shape` if shapes do not agree; `Argument` if `softening` is negative or not finite; `Memory`; `Launch`.
///
/// ```
/// # fn main() -> Result<(), phalanx_kernels::KernelError> {
/// # let pool = phalanx::Pool::builder().workers(2).build().unwrap();
/// use phalanx_kernels::particles;
///
/// let positions = ndarray::array![[0.0, 0.0, 0.0], [2.0, 0.0, 0.0]];
/// let mut out = pool.zeros_nd::<f64, _>((2, 3))?;
/// particles::accelerations(&pool, &mut out, &positions, &[1.0, 3.0], 0.0)?;
/// assert_eq!(out.view(), ndarray::array![[0.75, 0.0, 0.0], [-0.25, 0.0, 0.0]]);
/// # Ok(())
/// # }
/// ```
#[doc(alias = "nbody")]
#[doc(alias = "gravity")]
pub fn accelerations<T: Real>(
    pool: &Pool,
    out: &mut SharedArray<T, Ix2>,
    positions: &(impl Input<Elem = T, Dim = Ix2> + ?Sized),
    masses: &(impl Input<Elem = T, Dim = Ix1> + ?Sized),
    softening: T,
) -> Result<(), KernelError> {
    let n = masses.len();
    check_shape("positions", &[n, 3], &positions.shape())?;
    check_shape("out", &[n, 3], out.shape())?;
    check_length("softening", softening)?;
    if is_inline(n.saturating_mul(n)) {
        let positions = positions.elements();
        attract(out.as_mut_slice(), 0, &positions, &masses.elements(), units(&positions, softening));
        return Ok(());
    }
    let (positions, masses) = (positions.share(pool)?, masses.share(pool)?);
    launch_accelerations(pool, out, &positions, &masses, softening)
}

fn launch_accelerations<T: Real>(
    pool: &Pool,
    out: &mut SharedArray<T, Ix2>,
    positions: &SharedArray<T, Ix2>,
    masses: &SharedArray<T>,
    softening: T,
) -> Result<(), KernelError> {
    let n = masses.len();
    let units = units(positions.as_slice(), softening);
    let operands = (out.split_out(), 0..n, positions.whole(), masses.whole(), units);
    Ok(cut(repeatable(pool), n).for_each(operands, |(mut out, span, positions, masses, units)| {
        // Rows of a shared array lie one behind the other.
        if let (Some(out), Some(positions)) = (out.as_slice_mut(), positions.as_slice()) {
            attract(out, span.start, positions, masses, units);
        }
    })?)
}

/// Chunks of whole vectors of bodies.
fn cut(launch: Launch<'_>, n: usize) -> Launch<'_> {
    launch.chunk(n.div_ceil(CHUNKS).max(1).next_multiple_of(LANES))
}

/// Refuses a length that is not finite, or negative.
fn check_length<T: Real>(what: &'static str, length: T) -> Result<(), KernelError> {
    if length.is_finite() && length >= T::ZERO {
        return Ok(());
    }
    Err(KernelError::argument(what, format!("{length:?} is no length; give a finite number, 0 or more")))
}

/// What lengths are multiplied by, and the square of the softening in these units.
type Units<T> = [T; 2];

/// The units in which cubes of distances keep to the range of the type: 1 where they do so as they are.
fn units<T: Real>(positions: &[T], softening: T) -> Units<T> {
    let largest = positions.iter().fold(softening, |most, x| if x.abs() > most { x.abs() } else { most });
    let (least, most) = if size_of::<T>() < 8 { (-16, 30) } else { (-200, 200) };
    let exponent = exponent_of(largest);
    let scale = power::<T>(if (least..=most).contains(&exponent) { 0 } else { -exponent });
    [scale, (softening * scale) * (softening * scale)]
}

/// Bodies in lanes: coordinates by axis.
type Lanes<T> = [[T; LANES]; 3];

/// The coordinates of bodies from `first` on, scaled; where there are no more, the last one's again.
#[inline(always)]
fn load<T: Real>(positions: &[T], first: usize, scale: T) -> Lanes<T> {
    let (mut lanes, last) = ([[T::ZERO; LANES]; 3], positions.len() / 3 - 1);
    for lane in 0..LANES {
        let body = (first + lane).min(last);
        for axis in 0..3 {
            lanes[axis][lane] = positions[3 * body + axis] * scale;
        }
    }
    lanes
}

/// The body: accelerations of bodies `first..`, as many as `out` has rows.
fn attract<T: Real>(out: &mut [T], first: usize, positions: &[T], masses: &[T], units: Units<T>) {
    let scale = units[0];
    for (block, rows) in out.chunks_mut(3 * LANES).enumerate() {
        let sums = vectorized(
            #[inline(always)]
            || attract_lanes(load(positions, first + block * LANES, scale), positions, masses, units),
        );
        for (lane, row) in rows.chunks_exact_mut(3).enumerate() {
            for axis in 0..3 {
                row[axis] = sums[axis][lane] * scale * scale;
            }
        }
    }
}

#[inline(always)]
fn attract_lanes<T: Real>(
    at: Lanes<T>,
    positions: &[T],
    masses: &[T],
    [scale, square]: Units<T>,
) -> Lanes<T> {
    let [mut sum_x, mut sum_y, mut sum_z] = [[T::ZERO; LANES]; 3];
    for (other, mass) in positions.chunks_exact(3).zip(masses) {
        let other = [other[0] * scale, other[1] * scale, other[2] * scale];
        for lane in 0..LANES {
            let (x, y, z) = (other[0] - at[0][lane], other[1] - at[1][lane], other[2] - at[2][lane]);
            let distance = x * x + y * y + z * z + square;
            let pull = *mass / (distance * distance.sqrt());
            let pull = if distance == T::ZERO { T::ZERO } else { pull };
            sum_x[lane] = sum_x[lane] + x * pull;
            sum_y[lane] = sum_y[lane] + y * pull;
            sum_z[lane] = sum_z[lane] + z * pull;
        }
    }
    [sum_x, sum_y, sum_z]
}

/// The energies of a set of bodies.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Energy {
    /// `1/2 sum of m v^2`.
    pub kinetic: f64,
    /// `-1/2 sum over i != j of m_i m_j / sqrt(|x_j - x_i|^2 + softening^2)`.
    pub potential: f64,
}

impl Energy {
    /// Returns the sum of both, which motion under [`accelerations`] conserves.
    pub fn total(&self) -> f64 {
        self.kinetic + self.potential
    }
}

/// Returns the kinetic and potential energy of the bodies, summed in `f64`.
///
/// `positions` and `velocities` have shape `(n, 3)`, `masses` length `n`. If the softening is 0, pairs at the
/// same position do not contribute. The potential is that of [`accelerations`], so [`leapfrog`] conserves the
/// total up to its second-order error.
///
/// Cost: 15 flops for each of `n * n` pairs.
///
/// # Errors
/// `Shape` if shapes do not agree; `Argument` if `softening` is negative, not finite, or so small relative to
/// the positions that its square underflows; `Memory`; `Launch`.
///
/// ```
/// # fn main() -> Result<(), phalanx_kernels::KernelError> {
/// # let pool = phalanx::Pool::builder().workers(2).build().unwrap();
/// let positions = ndarray::array![[0.0, 0.0, 0.0], [2.0, 0.0, 0.0]];
/// let velocities = ndarray::array![[0.0, 1.0, 0.0], [0.0, 0.0, 0.0]];
/// let energy = phalanx_kernels::particles::energy(&pool, &positions, &velocities, &[4.0, 3.0], 0.0)?;
/// assert_eq!((energy.kinetic, energy.potential), (2.0, -6.0));
/// # Ok(())
/// # }
/// ```
pub fn energy<T: Real>(
    pool: &Pool,
    positions: &(impl Input<Elem = T, Dim = Ix2> + ?Sized),
    velocities: &(impl Input<Elem = T, Dim = Ix2> + ?Sized),
    masses: &(impl Input<Elem = T, Dim = Ix1> + ?Sized),
    softening: T,
) -> Result<Energy, KernelError> {
    let n = masses.len();
    check_shape("positions", &[n, 3], &positions.shape())?;
    check_shape("velocities", &[n, 3], &velocities.shape())?;
    check_length("softening", softening)?;
    let [kinetic, potential] = if is_inline(n.saturating_mul(n)) {
        let positions = positions.elements();
        let units = wide_units(&positions, softening)?;
        energies(0..n, &positions, &velocities.elements(), &masses.elements(), units)
    } else {
        let (positions, velocities, masses) =
            (positions.share(pool)?, velocities.share(pool)?, masses.share(pool)?);
        let units = wide_units(positions.as_slice(), softening)?;
        let operands = (0..n, positions.whole(), velocities.whole(), masses.whole(), units);
        cut(repeatable(pool), n).reduce(
            operands,
            [0.0; 2],
            |(span, positions, velocities, masses, units)| match (positions.as_slice(), velocities.as_slice())
            {
                (Some(positions), Some(velocities)) => energies(span, positions, velocities, masses, units),
                _ => [f64::NAN; 2],
            },
            |a, b| [a[0] + b[0], a[1] + b[1]],
        )?
    };
    Ok(Energy { kinetic, potential })
}

/// As [`units`], in float64, which all is computed in.
fn wide_units<T: Real>(positions: &[T], softening: T) -> Result<Units<f64>, KernelError> {
    let (soft, [scale, _]) = (Number::to_f64(softening), units(positions, softening));
    let scale = Number::to_f64(scale);
    let square = (soft * scale) * (soft * scale);
    if soft > 0.0 && square < f64::MIN_POSITIVE {
        let why = format!("{soft:?} is so small beside the positions that its square vanishes; give 0");
        return Err(KernelError::argument("softening", why));
    }
    Ok([scale, square])
}

/// `mass / 2 * |velocity|^2`, whatever the size of the square.
fn kinetic<T: Real>(mass: f64, velocity: &[T]) -> f64 {
    let velocity = [velocity[0], velocity[1], velocity[2]].map(Number::to_f64);
    let largest = velocity.iter().fold(0.0, |most: f64, v| most.max(v.abs()));
    let exponent = exponent_of(largest);
    let (down, up) = (power::<f64>(-exponent), power::<f64>(exponent));
    let speed: f64 = velocity.iter().map(|v| (v * down).powi(2)).sum();
    0.5 * mass * up * speed * up
}

/// Kinetic and potential energy of some bodies: half of that of every pair they belong to.
fn energies<T: Real>(
    span: Range<usize>,
    positions: &[T],
    velocities: &[T],
    masses: &[T],
    units: Units<f64>,
) -> [f64; 2] {
    let mut energies = [0.0; 2];
    for first in span.clone().step_by(LANES) {
        let sums = vectorized(
            #[inline(always)]
            || potentials(first, load(positions, first, T::ONE), positions, masses, units),
        );
        for body in first..(first + LANES).min(span.end) {
            let mass = masses[body].to_f64();
            energies[0] += kinetic(mass, &velocities[3 * body..][..3]);
            energies[1] -= 0.5 * mass * sums[body - first] * units[0];
        }
    }
    energies
}

#[inline(always)]
fn potentials<T: Real>(
    first: usize,
    at: Lanes<T>,
    positions: &[T],
    masses: &[T],
    [scale, square]: Units<f64>,
) -> [f64; LANES] {
    let mut sums = [0.0; LANES];
    for (index, (other, mass)) in positions.chunks_exact(3).zip(masses).enumerate() {
        for lane in 0..LANES {
            let (x, y, z) = (
                other[0].to_f64() * scale - at[0][lane].to_f64() * scale,
                other[1].to_f64() * scale - at[1][lane].to_f64() * scale,
                other[2].to_f64() * scale - at[2][lane].to_f64() * scale,
            );
            let distance = x * x + y * y + z * z + square;
            let counts = index != first + lane && distance != 0.0;
            sums[lane] += if counts { (*mass).to_f64() / distance.sqrt() } else { 0.0 };
        }
    }
    sums
}

/// Moves bodies by `steps` steps of the leapfrog (kick, drift, kick), each of `step` units of time.
///
/// `positions` and `velocities` have shape `(n, 3)`, `masses` length `n`. The method is of second order,
/// symmetric in time (a run with `-step` leads back, up to rounding) and conserves momentum; its error in the
/// energy stays bounded. See E. Hairer, C. Lubich, G. Wanner, Geometric numerical integration illustrated by
/// the Stormer-Verlet method, 2003, <https://doi.org/10.1017/S0962492902000144>.
///
/// Cost: `steps + 1` times that of [`accelerations`], and `18 n` flops per step. Extra memory: accelerations
/// of shape `(n, 3)`.
///
/// # Errors
/// `Shape` if shapes do not agree; `Argument` if `softening` is negative or not finite, or `step` is not
/// finite; `Memory`: nothing is changed. `Launch`; positions and velocities then hold unspecified values.
///
/// ```
/// # fn main() -> Result<(), phalanx_kernels::KernelError> {
/// # let pool = phalanx::Pool::builder().workers(2).build().unwrap();
/// use phalanx_kernels::particles;
///
/// // Two bodies on a circle about their common centre: one turn takes 2 pi.
/// let mut x = pool.from_ndarray(&ndarray::array![[-0.5, 0.0, 0.0], [0.5, 0.0, 0.0]])?;
/// let mut v = pool.from_ndarray(&ndarray::array![[0.0, -0.5, 0.0], [0.0, 0.5, 0.0]])?;
/// particles::leapfrog(&pool, &mut x, &mut v, &[0.5, 0.5], 0.0, std::f64::consts::TAU / 1000.0, 1000)?;
/// assert!((x.view()[(1, 0)] - 0.5).abs() < 1e-4);
/// # Ok(())
/// # }
/// ```
#[doc(alias = "verlet")]
pub fn leapfrog<T: Real>(
    pool: &Pool,
    positions: &mut SharedArray<T, Ix2>,
    velocities: &mut SharedArray<T, Ix2>,
    masses: &(impl Input<Elem = T, Dim = Ix1> + ?Sized),
    softening: T,
    step: T,
    steps: usize,
) -> Result<(), KernelError> {
    let n = masses.len();
    check_shape("positions", &[n, 3], positions.shape())?;
    check_shape("velocities", &[n, 3], velocities.shape())?;
    check_length("softening", softening)?;
    if !step.is_finite() {
        return Err(KernelError::argument(
            "step",
            format!("{step:?} is no step in time; give a finite number"),
        ));
    }
    if n == 0 {
        return Ok(());
    }
    let half = step / T::from_f64(2.0);
    if is_inline(n.saturating_mul(n)) {
        let (masses, mut pull) = (masses.elements(), vec![T::ZERO; 3 * n]);
        let (x, v) = (positions.as_mut_slice(), velocities.as_mut_slice());
        attract(&mut pull, 0, x, &masses, units(x, softening));
        for _ in 0..steps {
            advance(v, &pull, half);
            advance(x, v, step);
            attract(&mut pull, 0, x, &masses, units(x, softening));
            advance(v, &pull, half);
        }
        return Ok(());
    }
    let masses = masses.share(pool)?;
    let mut pull = pool.zeros_nd((n, 3))?;
    launch_accelerations(pool, &mut pull, positions, &masses, softening)?;
    for _ in 0..steps {
        let operands =
            (velocities.split_flat_mut(), positions.split_flat_mut(), pull.split_flat(), half, step);
        pool.for_each(operands, |(v, x, pull, half, step)| {
            advance(v, pull, half);
            advance(x, v, step);
        })?;
        launch_accelerations(pool, &mut pull, positions, &masses, softening)?;
        let operands = (velocities.split_flat_mut(), pull.split_flat(), half);
        pool.for_each(operands, |(v, pull, half)| advance(v, pull, half))?;
    }
    Ok(())
}

/// `x += v * t`.
fn advance<T: Real>(x: &mut [T], v: &[T], t: T) {
    vectorized(
        #[inline(always)]
        || x.iter_mut().zip(v).for_each(|(x, v)| *x = *x + *v * t),
    );
}
