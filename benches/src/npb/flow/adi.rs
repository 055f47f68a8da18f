//! Steps of alternating directions: the implicit operator is split into one factor per direction, which a
//! method solves line by line.

use super::bundle::{Along, Bundle, Line, across, line, line_mut, within};
use super::crew::{Slab, Slabs};
use super::equations::{Axis, Five, Terms};
use super::problem::Problem;
use super::terms::add_terms;
use pulp::{Arch, Simd, WithSimd};
use std::marker::PhantomData;

/// How the factors are solved.
pub trait Method: Send + Sync + 'static {
    /// Whether they are at all.
    const SOLVES: bool = true;

    /// Solves one direction's factor on lines that lie side by side.
    ///
    /// Along x, `rhs` comes as the right-hand side. Along y and z it comes as the direction before left it.
    /// Along z it is to be left as what u advances by. Quantities are in the direction's order, points of the
    /// border excepted from all.
    fn solve<S: Simd>(simd: S, line: &Implicit, u: &Line<S>, rhs: &mut Line<S>, spare: &mut [f64]);
}

/// No factors: planes are left with the right-hand side, and slabs with its z part.
pub struct Explicit;

impl Method for Explicit {
    const SOLVES: bool = false;

    #[inline(always)]
    fn solve<S: Simd>(_: S, _: &Implicit, _: &Line<S>, _: &mut Line<S>, _: &mut [f64]) {}
}

/// What a method knows of a direction.
#[derive(Clone, Copy, Debug)]
pub struct Implicit {
    /// Which.
    pub axis: Axis,
    /// Its coefficients.
    pub terms: Terms,
    /// Length of a time step.
    pub dt: f64,
}

/// The right-hand side in plane `z`, and the factors of x and y solved.
pub fn advance_plane<M: Method>(
    problem: &Problem,
    z: usize,
    plane: &mut [f64],
    slabs: Slabs<'_>,
    bundle: &mut Bundle,
) -> Five {
    if (1..problem.grid.side - 1).contains(&z) {
        let kind = PhantomData::<M>;
        Arch::new().dispatch(Plane { problem, z, plane, slabs, bundle, kind });
    }
    [0.0; 5]
}

struct Plane<'a, M> {
    problem: &'a Problem,
    z: usize,
    plane: &'a mut [f64],
    slabs: Slabs<'a>,
    bundle: &'a mut Bundle,
    kind: PhantomData<M>,
}

impl<M: Method> WithSimd for Plane<'_, M> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Plane { problem, z, plane, slabs, bundle, .. } = self;
        let (grid, lanes) = (problem.grid, S::F64_LANES);
        let side = grid.side;
        let Bundle { u, rhs, spare } = bundle;
        for first in (0..grid.pitch()).step_by(lanes) {
            let (from, to) = (across(grid, Axis::Y, z, first), within(grid, Axis::Y, first));
            from.gather::<S>(slabs.u, line_mut::<S>(u, side));
            from.gather::<S>(slabs.z_part, line_mut::<S>(rhs, side));
            add_terms(simd, &grid.terms(Axis::Y), line::<S>(u, side), line_mut::<S>(rhs, side));
            to.scatter::<S>(line::<S>(rhs, side), plane);
        }
        let along_x = problem.implicit(Axis::X);
        for first in (1..side - 1).step_by(lanes) {
            let count = side - 1 - first;
            let from = Along { start: grid.at(first, z), stride: grid.sheet(), pitch: grid.pitch(), count };
            let to = Along { start: first * grid.row(), stride: grid.row(), ..from };
            from.gather(lanes, slabs.u, u, side);
            to.gather(lanes, plane, rhs, side);
            add_terms(simd, &along_x.terms, line::<S>(u, side), line_mut::<S>(rhs, side));
            M::solve(simd, &along_x, line::<S>(u, side), line_mut::<S>(rhs, side), spare);
            to.scatter(lanes, rhs, plane, side);
        }
        if !M::SOLVES {
            return;
        }
        let along_y = problem.implicit(Axis::Y);
        for first in (0..grid.pitch()).step_by(lanes) {
            let (from, to) = (across(grid, Axis::Y, z, first), within(grid, Axis::Y, first));
            from.gather::<S>(slabs.u, line_mut::<S>(u, side));
            to.gather::<S>(plane, line_mut::<S>(rhs, side));
            M::solve(simd, &along_y, line::<S>(u, side), line_mut::<S>(rhs, side), spare);
            to.scatter::<S>(line::<S>(rhs, side), plane);
        }
    }
}

/// Slab `y` advanced by solving the factor of z, and the z part of its next right-hand side.
pub fn advance_slab<M: Method>(
    problem: &Problem,
    y: usize,
    slab: Slab<'_>,
    rhs: &[f64],
    bundle: &mut Bundle,
) -> Five {
    if (1..problem.grid.side - 1).contains(&y) {
        let kind = PhantomData::<M>;
        Arch::new().dispatch(OneSlab { problem, y, slab, planes: rhs, bundle, kind });
    }
    [0.0; 5]
}

struct OneSlab<'a, M> {
    problem: &'a Problem,
    y: usize,
    slab: Slab<'a>,
    planes: &'a [f64],
    bundle: &'a mut Bundle,
    kind: PhantomData<M>,
}

impl<M: Method> WithSimd for OneSlab<'_, M> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let OneSlab { problem, y, slab, planes, bundle, .. } = self;
        let (grid, along_z) = (problem.grid, problem.implicit(Axis::Z));
        let side = grid.side;
        let Bundle { u, rhs, spare } = bundle;
        let (u, rhs) = (line_mut::<S>(u, side), line_mut::<S>(rhs, side));
        for first in (0..grid.pitch()).step_by(S::F64_LANES) {
            let own = within(grid, Axis::Z, first);
            own.gather::<S>(slab.u, u);
            if M::SOLVES {
                across(grid, Axis::Z, y, first).gather::<S>(planes, rhs);
                M::solve(simd, &along_z, u, rhs, spare);
                for (u, step) in u[1..side - 1].iter_mut().zip(&rhs[1..]) {
                    for m in 0..5 {
                        u[m] = simd.add_f64s(u[m], step[m]);
                    }
                }
                own.scatter::<S>(u, slab.u);
            }
            own.gather::<S>(slab.forcing, rhs);
            add_terms(simd, &along_z.terms, u, rhs);
            own.scatter::<S>(rhs, slab.z_part);
        }
    }
}

impl Problem {
    fn implicit(&self, axis: Axis) -> Implicit {
        Implicit { axis, terms: self.grid.terms(axis), dt: self.dt }
    }
}
