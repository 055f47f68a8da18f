//! The equations that BT, SP and LU solve: five conserved quantities of a compressible viscous gas, driven to
//! a known exact solution. Section 3 of the NPB specification (RNR-94-007).
//!
//! Quantities of a point: density, three components of momentum, energy. Along each direction the equations
//! have one form if the momentum along it stands second, so every formula here is written for the x
//! direction, and [`Axis::order`] exchanges components for the others.

use super::lanes::Lanes;
use pulp::Simd;

/// The ratio of specific heats; C1 of the specification, and C5.
const C1: f64 = 1.4;
/// C1 - 1.
pub const C2: f64 = 0.4;
/// Viscosity: C3 C4 of the specification.
pub const C3C4: f64 = 0.1;
const C5: f64 = 1.4;
/// Ratio of heat conduction to viscosity.
pub const C1C5: f64 = C1 * C5;
/// C1 C2, of the square of the speed of sound.
const C1C2: f64 = C1 * C2;
/// 1 / C2.
pub const C2_INVERSE: f64 = 2.5;
/// Fourth-order dissipation: a quarter of the largest second-order one.
const DISSIPATION: f64 = 0.25;

/// Five quantities of a point.
pub type Five = [f64; 5];

/// A direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Axis {
    /// Along the rows of memory.
    X,
    /// From row to row.
    Y,
    /// From plane to plane.
    Z,
}

impl Axis {
    /// The order of quantities in which this direction's momentum stands second. Two exchange places, so the
    /// same order leads back.
    #[inline(always)]
    pub const fn order(self) -> [usize; 5] {
        match self {
            Axis::X => [0, 1, 2, 3, 4],
            Axis::Y => [0, 2, 1, 3, 4],
            Axis::Z => [0, 3, 2, 1, 4],
        }
    }

    /// Second-order dissipation, of all five quantities.
    const fn dissipation(self) -> f64 {
        match self {
            Axis::X | Axis::Y => 0.75,
            Axis::Z => 1.0,
        }
    }
}

/// Coefficients of one direction on a grid.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// Of first differences, across two spacings.
    pub first: f64,
    /// Of second differences.
    pub second: f64,
    /// Second-order dissipation, not yet scaled by the spacing.
    pub dissipation: f64,
    /// Points along the direction.
    pub len: usize,
}

impl Terms {
    /// Of `len` points over the unit interval.
    pub fn new(axis: Axis, len: usize) -> Terms {
        let intervals = (len - 1) as f64;
        Terms { first: intervals / 2.0, second: intervals * intervals, dissipation: axis.dissipation(), len }
    }

    /// The fourth-order dissipation's weights of the points from two before to two behind point `at`; those
    /// beyond the border are 0.
    #[inline(always)]
    pub fn fourth(&self, at: usize) -> [f64; 5] {
        let weights = match (at, self.len - 1 - at) {
            (1, _) => [0.0, 0.0, 5.0, -4.0, 1.0],
            (2, _) => [0.0, -4.0, 6.0, -4.0, 1.0],
            (_, 1) => [1.0, -4.0, 5.0, 0.0, 0.0],
            (_, 2) => [1.0, -4.0, 6.0, -4.0, 0.0],
            _ => [1.0, -4.0, 6.0, -4.0, 1.0],
        };
        let [a, b, c, d, e] = weights;
        [a * DISSIPATION, b * DISSIPATION, c * DISSIPATION, d * DISSIPATION, e * DISSIPATION]
    }
}

/// What the formulas need of a point: its quantities in a direction's order, and what follows from them.
#[derive(Clone, Copy)]
pub struct Cell<S: Simd> {
    /// Quantities.
    pub u: [Lanes<S>; 5],
    /// 1 / density.
    pub volume: Lanes<S>,
    /// Velocities, along the direction first.
    pub v: [Lanes<S>; 3],
    /// Kinetic energy per mass.
    pub kinetic: Lanes<S>,
}

impl<S: Simd> Cell<S> {
    /// Of these quantities.
    #[inline(always)]
    pub fn of(u: [Lanes<S>; 5]) -> Self {
        let volume = u[0].inverse();
        let v = [u[1] * volume, u[2] * volume, u[3] * volume];
        let kinetic = v[0].times_plus(v[0], v[1].times_plus(v[1], v[2] * v[2])) * 0.5;
        Cell { u, volume, v, kinetic }
    }

    /// Internal energy per volume.
    #[inline(always)]
    fn internal(&self) -> Lanes<S> {
        self.u[4].minus_product(self.kinetic, self.u[0])
    }

    /// The speed of sound.
    #[inline(always)]
    pub fn sound(&self) -> Lanes<S> {
        (self.volume * C1C2 * self.internal()).sqrt()
    }

    /// The viscosity that bounds all five equations' implicit diffusion.
    #[inline(always)]
    pub fn viscosity(&self) -> Lanes<S> {
        self.volume * (C3C4 * C1C5)
    }

    /// The convective flux.
    #[inline(always)]
    fn flux(&self) -> [Lanes<S>; 5] {
        let (u, along) = (&self.u, self.v[0]);
        let pressure = self.internal() * C2;
        [u[1], u[1].times_plus(along, pressure), u[2] * along, u[3] * along, (u[4] + pressure) * along]
    }

    /// What second differences are taken of, each with the quantity it adds to: viscosity and heat.
    #[inline(always)]
    fn diffusing(&self) -> [Lanes<S>; 4] {
        let [a, b, c] = self.v;
        let heat = self.u[4] * self.volume * C1C5 + self.kinetic * (1.0 - C1C5) + a * a * (1.0 / 6.0);
        [a * (4.0 / 3.0), b, c, heat]
    }
}

/// What the differences of one direction are taken of, at a point.
#[derive(Clone, Copy)]
pub struct Point<S: Simd> {
    u: [Lanes<S>; 5],
    flux: [Lanes<S>; 5],
    diffusing: [Lanes<S>; 4],
}

impl<S: Simd> Point<S> {
    /// With these quantities.
    #[inline(always)]
    pub fn of(u: [Lanes<S>; 5]) -> Self {
        let cell = Cell::of(u);
        Point { u, flux: cell.flux(), diffusing: cell.diffusing() }
    }
}

/// What a direction adds to the right-hand side of a point, from it and its neighbours; without the
/// fourth-order dissipation.
#[inline(always)]
#[expect(clippy::needless_range_loop, reason = "one quantity of several points")]
pub fn difference<S: Simd>(terms: &Terms, [before, here, behind]: [&Point<S>; 3]) -> [Lanes<S>; 5] {
    let mut sum = here.u;
    for m in 0..5 {
        let second = before.u[m] + behind.u[m] - here.u[m] * 2.0;
        sum[m] =
            second * (terms.dissipation * terms.second) + (before.flux[m] - behind.flux[m]) * terms.first;
    }
    for m in 0..4 {
        let second = before.diffusing[m] + behind.diffusing[m] - here.diffusing[m] * 2.0;
        sum[m + 1] += second * (C3C4 * terms.second);
    }
    sum
}

/// The derivatives of the flux and of what diffuses, by the quantities of the same point.
pub struct Jacobians<S: Simd> {
    /// Of the convective flux.
    pub flux: [[Lanes<S>; 5]; 5],
    /// Of viscosity and heat; its first row is zero, and it has no entry above the diagonal.
    pub viscous: [[Lanes<S>; 5]; 5],
}

impl<S: Simd> Jacobians<S> {
    /// At this point.
    #[inline(always)]
    pub fn of(simd: S, cell: &Cell<S>) -> Self {
        let Cell { u, volume, v: [a, b, c], kinetic } = *cell;
        let zero = Lanes::splat(simd, 0.0);
        let one = Lanes::splat(simd, 1.0);
        let energy = u[4] * volume;
        let flux = [
            [zero, one, zero, zero, zero],
            [kinetic * C2 - a * a, a * (2.0 - C2), b * -C2, c * -C2, one * C2],
            [-(a * b), b, a, zero, zero],
            [-(a * c), c, zero, a, zero],
            [
                (kinetic * (2.0 * C2) - energy * C1) * a,
                energy * C1 - (kinetic + a * a) * C2,
                a * b * -C2,
                a * c * -C2,
                a * C1,
            ],
        ];
        // Shear, and what of it and of heat the energy sees.
        let shear = volume * C3C4;
        let heat = shear * C1C5;
        let (normal, tangential) = (shear * (4.0 / 3.0), shear - heat);
        let along = normal - heat;
        let viscous = [
            [zero; 5],
            [-(normal * a), normal, zero, zero, zero],
            [-(shear * b), zero, shear, zero, zero],
            [-(shear * c), zero, zero, shear, zero],
            [
                -(along * a * a + tangential * (b * b + c * c) + heat * energy),
                along * a,
                tangential * b,
                tangential * c,
                heat,
            ],
        ];
        Jacobians { flux, viscous }
    }
}

/// The exact solution is a polynomial of each coordinate: constant, and the coefficients of x, y, z, of their
/// squares, third and fourth powers (table 3.2 of the specification).
const EXACT: [[f64; 13]; 5] = [
    [2.0, 0.0, 0.0, 4.0, 5.0, 3.0, 0.5, 0.02, 0.01, 0.03, 0.5, 0.4, 0.3],
    [1.0, 0.0, 0.0, 0.0, 1.0, 2.0, 3.0, 0.01, 0.03, 0.02, 0.4, 0.3, 0.5],
    [2.0, 2.0, 0.0, 0.0, 0.0, 2.0, 3.0, 0.04, 0.03, 0.05, 0.3, 0.5, 0.4],
    [2.0, 2.0, 0.0, 0.0, 0.0, 2.0, 3.0, 0.03, 0.05, 0.04, 0.2, 0.1, 0.3],
    [5.0, 4.0, 3.0, 2.0, 0.1, 0.4, 0.3, 0.05, 0.04, 0.03, 0.1, 0.3, 0.2],
];

/// The exact solution at a place of the unit cube.
pub fn exact(place: [f64; 3]) -> Five {
    EXACT.map(|c| {
        let along = |axis: usize, x: f64| {
            x * (c[axis + 1] + x * (c[axis + 4] + x * (c[axis + 7] + x * c[axis + 10])))
        };
        c[0] + along(0, place[0]) + along(1, place[1]) + along(2, place[2])
    })
}

/// The initial values at a place of the unit cube: the exact solution on its faces, blended between them.
pub fn initial(place: [f64; 3]) -> Five {
    if place.iter().any(|x| *x == 0.0 || *x == 1.0) {
        return exact(place);
    }
    let [x, y, z] = [0, 1, 2].map(|axis| {
        let (mut low, mut high) = (place, place);
        (low[axis], high[axis]) = (0.0, 1.0);
        let (low, high, at) = (exact(low), exact(high), place[axis]);
        [0, 1, 2, 3, 4].map(|m| at * high[m] + (1.0 - at) * low[m])
    });
    [0, 1, 2, 3, 4].map(|m| {
        let (x, y, z) = (x[m], y[m], z[m]);
        x + y + z - x * y - x * z - y * z + x * y * z
    })
}

#[cfg(test)]
#[path = "equations_tests.rs"]
mod tests;
