//! The linearised equations at a point, applied to changes of its quantities: what they do to the neighbours
//! of each direction, and the system of the point itself. No block is ever made of 25 numbers.

use crate::npb::flow::equations::{Axis, C1C5, C2, C3C4, Cell};
use crate::npb::flow::lanes::Lanes;
use crate::npb::flow::problem::Problem;
use pulp::Simd;

/// Over-relaxation, of the specification.
pub const OMEGA: f64 = 1.2;

/// A change of five quantities.
pub type Change<S> = [Lanes<S>; 5];

/// Coefficients of a sweep.
#[derive(Clone, Copy, Debug)]
pub struct Factors {
    /// Of the flux: negative where it acts on points behind.
    first: f64,
    /// Of second differences.
    second: f64,
    /// Second-order dissipation by axis.
    dissipation: [f64; 3],
    /// Length of a time step.
    pub dt: f64,
}

impl Factors {
    /// Of the sweep from the first point on (-1) or from the last (1).
    pub fn new(problem: &Problem, side: f64) -> Factors {
        let axes = [Axis::X, Axis::Y, Axis::Z].map(|axis| problem.grid.terms(axis));
        Factors {
            first: side * problem.dt * axes[0].first,
            second: problem.dt * axes[0].second,
            dissipation: axes.map(|terms| terms.dissipation),
            dt: problem.dt,
        }
    }
}

/// A point.
pub struct Gas<S: Simd> {
    cell: Cell<S>,
    /// Viscosity per density.
    shear: Lanes<S>,
    /// Heat conduction per density.
    heat: Lanes<S>,
    /// Energy per mass.
    energy: Lanes<S>,
}

impl<S: Simd> Gas<S> {
    /// With these quantities.
    #[inline(always)]
    pub fn of(u: Change<S>) -> Self {
        let cell = Cell::of(u);
        let shear = cell.volume * C3C4;
        Gas { cell, shear, heat: shear * C1C5, energy: u[4] * cell.volume }
    }

    /// The change that the point's own block makes into `right`: that block has nothing above its diagonal.
    #[inline(always)]
    pub fn solved(&self, factors: &Factors, right: Change<S>) -> Change<S> {
        let Gas { shear, heat, energy, .. } = *self;
        let v = self.cell.v;
        let twice = 2.0 * factors.second;
        let diagonal = 1.0 + twice * factors.dissipation.iter().sum::<f64>();
        // Three directions: along one of them a velocity counts 4/3, along the others 1.
        let momentum = shear * (twice * (10.0 / 3.0));
        let mut x = right;
        x[0] = right[0] * (1.0 / diagonal);
        let inverse = (momentum + diagonal).inverse();
        let mut own = v;
        for k in 0..3 {
            let share = v[k] * x[0];
            x[k + 1] = momentum.times_plus(share, right[k + 1]) * inverse;
            own[k] = x[k + 1] - share;
        }
        let work = v[0].times_plus(own[0], v[1].times_plus(own[1], v[2] * own[2]));
        let friction = (shear * (10.0 / 3.0) - heat * 3.0) * work - heat * 3.0 * energy * x[0];
        let heating = (heat * (3.0 * twice) + diagonal).inverse();
        x[4] = (right[4] - friction * twice) * heating;
        x
    }

    /// What a change of the point does to its neighbours along x, y and z, times the over-relaxation.
    #[inline(always)]
    pub fn outgoing(&self, factors: &Factors, change: &Change<S>) -> [Change<S>; 3] {
        let Gas { shear, heat, energy, .. } = *self;
        let Cell { u, volume, v, kinetic } = self.cell;
        let mass = change[0];
        // Changes of momentum that are more than changes of mass, and the work they do.
        let mut own = v;
        for k in 0..3 {
            own[k] = change[k + 1].minus_product(v[k], mass);
        }
        let work = v[0].times_plus(own[0], v[1].times_plus(own[1], v[2] * own[2]));
        let pressure = (change[4].minus_product(kinetic, mass) - work) * C2;
        let enthalpy = (u[4].minus_product(kinetic, u[0]) * C2 + u[4]) * volume;
        let dissipated = (shear - heat) * work + heat * change[4].minus_product(energy, mass);
        let (first, second) = (OMEGA * factors.first, OMEGA * factors.second);
        let mut all = [*change; 3];
        for axis in 0..3 {
            let (along, across) = (v[axis], own[axis]);
            let third = shear * across * (1.0 / 3.0);
            let mut flux = [change[axis + 1]; 5];
            let mut viscous = [along.times_plus(third, dissipated); 5];
            for k in 0..3 {
                flux[k + 1] = along.times_plus(change[k + 1], v[k] * across);
                viscous[k + 1] = shear * own[k];
            }
            flux[axis + 1] += pressure;
            viscous[axis + 1] += third;
            flux[4] = along.times_plus(change[4] + pressure, enthalpy * across);
            let damping = second * factors.dissipation[axis];
            all[axis][0] = flux[0] * first - mass * damping;
            for m in 1..5 {
                all[axis][m] = flux[m] * first - viscous[m] * second - change[m] * damping;
            }
        }
        all
    }
}
