//! A globular cluster at the start: the sphere of H. C. Plummer (1911) in equilibrium, as drawn by S. J.
//! Aarseth, M. Henon, R. Wielen, A comparison of numerical methods for the study of star cluster dynamics, 1974.
//!
//! Units are those in which the gravitational constant and the mass of all are 1 and the energy is -1/4.

use common::{Dice, mix};
use ndarray::Ix2;
use phalanx::{Pool, SharedArray};
use phalanx_kernels::Real;
use std::f64::consts::{PI, TAU};

/// The energy of the model.
pub const ENERGY: f64 = -0.25;
/// Its scale length.
const LENGTH: f64 = 3.0 * PI / 16.0;
/// Bodies beyond this many scale lengths are left out, 0.015 % of the mass.
const FARTHEST: f64 = 100.0;

/// Positions and velocities of `bodies` bodies, by number: the same ones for any number of workers.
pub type Bodies<T> = [SharedArray<T, Ix2>; 2];

/// Draws the bodies, and moves the centre of their mass to the origin, at rest.
pub fn plummer<T: Real>(pool: &Pool, bodies: usize, seed: u64) -> common::Result<Bodies<T>> {
    let mut positions = pool.zeros_nd::<f64, _>((bodies, 3))?;
    let mut velocities = pool.zeros_nd::<f64, _>((bodies, 3))?;
    let operands = (positions.split_out(), velocities.split_out(), 0..bodies, seed);
    pool.for_each(operands, |(mut x, mut v, span, seed)| {
        for ((mut x, mut v), body) in x.rows_mut().into_iter().zip(v.rows_mut()).zip(span) {
            let mut stream = Stream(Dice::new(mix(seed ^ mix(body as u64))));
            let (radius, speed) = stream.orbit();
            x.assign(&ndarray::arr1(&stream.direction(radius * LENGTH)));
            v.assign(&ndarray::arr1(&stream.direction(speed / LENGTH.sqrt())));
        }
    })?;
    Ok([centred(pool, &positions)?, centred(pool, &velocities)?])
}

/// The rows less their mean.
fn centred<T: Real>(pool: &Pool, rows: &SharedArray<f64, Ix2>) -> common::Result<SharedArray<T, Ix2>> {
    let sums = pool.reduce(
        rows.split(),
        [0.0; 3],
        |rows| std::array::from_fn(|axis| rows.column(axis).sum()),
        |a, b| std::array::from_fn(|axis| a[axis] + b[axis]),
    )?;
    let mean = sums.map(|sum| sum / rows.shape()[0] as f64);
    let mut out = pool.zeros_nd::<T, _>((rows.shape()[0], 3))?;
    pool.for_each((out.split_out(), rows.split(), mean), |(mut out, rows, mean)| {
        ndarray::Zip::indexed(&mut out)
            .and(&rows)
            .for_each(|(_, axis), out, x| *out = T::from_f64(x - mean[axis]));
    })?;
    Ok(out)
}

/// The random numbers of one body.
struct Stream(Dice);

impl Stream {
    /// The next number from 0 to 1, without 1.
    fn unit(&mut self) -> f64 {
        (self.0.roll() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// A distance from the centre, and a speed there, in units of the model with scale length 1.
    fn orbit(&mut self) -> (f64, f64) {
        let radius = loop {
            let radius = 1.0 / (self.unit().powf(-2.0 / 3.0) - 1.0).sqrt();
            if radius < FARTHEST {
                break radius;
            }
        };
        // The part of the escape velocity, whose density is q^2 (1 - q^2)^3.5, at most 0.1.
        let part = loop {
            let (q, density) = (self.unit(), 0.1 * self.unit());
            if density < q * q * (1.0 - q * q).powf(3.5) {
                break q;
            }
        };
        (radius, part * 2.0f64.sqrt() * (1.0 + radius * radius).powf(-0.25))
    }

    /// A vector of that length in any direction.
    fn direction(&mut self, length: f64) -> [f64; 3] {
        let (height, (sin, cos)) = (1.0 - 2.0 * self.unit(), (TAU * self.unit()).sin_cos());
        let across = (1.0 - height * height).sqrt();
        [length * across * cos, length * across * sin, length * height]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Half of the mass of Plummer's sphere is within 1.305 scale lengths.
    #[test]
    fn half_of_the_bodies_are_where_they_should_be() {
        let orbits: Vec<_> = (0..20_000).map(|body| Stream(Dice::new(mix(body))).orbit()).collect();
        let within = orbits.iter().filter(|(radius, _)| *radius < 1.3048).count();
        assert!((9_700..10_300).contains(&within), "{within}");
        // Nobody escapes.
        assert!(orbits.iter().all(|(r, v)| *r < FARTHEST && v * v / 2.0 < 1.0 / (1.0 + r * r).sqrt()));
    }
}
