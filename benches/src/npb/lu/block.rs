//! One block's step through one plane, of both sweeps. A sweep hands on, from point to point, what a change
//! does to a neighbour: along x in registers, along y from lane to lane, along z in memory.

use super::gas::{Factors, Gas, OMEGA};
use super::skew::{Skew, steps};
use crate::npb::flow::bundle::{line, line_mut};
use crate::npb::flow::grid::{Grid, WIDTH};
use crate::npb::flow::lanes::{Lanes, store5};
use crate::npb::flow::problem::Problem;
use crate::npb::flow::wave::{Block, Step, Way};
use crate::npb::memory;
use pulp::{Arch, Simd, WithSimd};

/// The block's step through plane `z` of the lower triangular system.
pub fn lower(problem: &Problem, block: &mut Block, z: usize, step: Step<'_>) {
    Arch::new().dispatch(Plane { problem, block, z, step, way: Way::Forth });
}

/// The block's step through plane `z` of the upper one, and the advance of u.
pub fn upper(problem: &Problem, block: &mut Block, z: usize, step: Step<'_>) {
    Arch::new().dispatch(Plane { problem, block, z, step, way: Way::Back });
}

struct Plane<'a> {
    problem: &'a Problem,
    block: &'a mut Block,
    z: usize,
    step: Step<'a>,
    way: Way,
}

impl WithSimd for Plane<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Plane { problem, block, z, step, way } = self;
        let (grid, lanes) = (problem.grid, S::F64_LANES);
        let inner = block.inner(grid);
        if inner.is_empty() {
            // The border has nothing to solve, and nothing to hand over.
            return;
        }
        let (bundles, each) = (inner.len().div_ceil(lanes), steps(grid, lanes) * 5 * lanes);
        make_room(block, grid, bundles, each);
        let (first_plane, neighbour, last) = match way {
            Way::Forth => (1, inner.start - 1, inner.end - 1),
            Way::Back => (grid.side - 2, inner.end, inner.start),
        };
        if z == first_plane {
            block.carried.fill(0.0);
        }
        let Block { slabs, kept, carried, room } = block;
        let kept = &mut kept[(z - 1) * 2 * bundles * each..][..2 * bundles * each];
        let (edge, beside) = room.split_at_mut(grid.row());
        edge.copy_from_slice(&step.handed[neighbour * grid.row()..][..grid.row()]);
        for turn in 0..bundles {
            let index = if way == Way::Forth { turn } else { bundles - 1 - turn };
            let first = inner.start + index * lanes;
            let count = (inner.end - first).min(lanes);
            let start = grid.at(first - slabs.start, z);
            let skew = Skew { lanes, count, start, stride: grid.sheet(), grid };
            let (u, v) = kept[2 * index * each..][..2 * each].split_at_mut(each);
            let carried = &mut carried[index * each..][..each];
            let mut bundle = Bundle { grid, count, edge: &*edge, u, v, carried, beside: &mut *beside };
            match way {
                Way::Forth => {
                    skew.gather(step.u, bundle.u);
                    let rhs = Skew { start: grid.at(z, first), stride: grid.row(), ..skew };
                    rhs.gather(step.rhs, bundle.v);
                    bundle.forth(simd, &Factors::new(problem, -1.0));
                    skew.line(count - 1, beside, edge);
                }
                Way::Back => {
                    bundle.back(simd, &Factors::new(problem, 1.0));
                    skew.add(bundle.v, 1.0 / (OMEGA * (2.0 - OMEGA)), step.u);
                    skew.line(0, beside, edge);
                }
            }
        }
        step.hands[(last - slabs.start) * grid.row()..][..grid.row()].copy_from_slice(edge);
    }
}

/// Lets a block's room grow, once.
fn make_room(block: &mut Block, grid: Grid, bundles: usize, each: usize) {
    let grow = |room: &mut Vec<f64>, len: usize| {
        if room.len() < len {
            *room = memory::zeroed(len);
        }
    };
    grow(&mut block.kept, (grid.side - 2) * 2 * bundles * each);
    grow(&mut block.carried, bundles * each);
    grow(&mut block.room, grid.row() + each);
}

/// As many rows as a vector has numbers, in one plane.
struct Bundle<'a> {
    grid: Grid,
    /// Lines that are rows.
    count: usize,
    /// What the row before the bundle, or behind it, hands over.
    edge: &'a [f64],
    u: &'a mut [f64],
    /// The right-hand side, then the solution.
    v: &'a mut [f64],
    /// What the plane before hands over, then what this one does.
    carried: &'a mut [f64],
    /// What every row hands over to the one beside it.
    beside: &'a mut [f64],
}

impl Bundle<'_> {
    /// Solves the lower system.
    #[inline(always)]
    fn forth<S: Simd>(&mut self, simd: S, factors: &Factors) {
        let (side, len) = (self.grid.side, steps(self.grid, S::F64_LANES));
        let (u, v) = (line::<S>(self.u, len), line_mut::<S>(self.v, len));
        let (carried, beside) = (line_mut::<S>(self.carried, len), line_mut::<S>(self.beside, len));
        let shift = Shift::new(simd, 0);
        let mut along = [Lanes::splat(simd, 0.0); 5];
        let mut across = along;
        for step in 1..=len {
            let at = step - 1;
            let gas = Gas::of(Lanes::load5(simd, &u[at]));
            let above = Lanes::load5(simd, &carried[at]);
            let mut right = Lanes::load5(simd, &v[at]);
            for m in 0..5 {
                let edge = self.edge[m * self.grid.pitch() + step.min(side - 1)];
                let from_beside = shift.taken(simd, across[m].rotated_right(), edge);
                right[m] = right[m] * factors.dt - above[m] - along[m] - from_beside;
            }
            let mut x = gas.solved(factors, right);
            if step > side - 2 {
                // Rows that have come to their end have nothing more to solve.
                let inside = lanes_where(simd, |lane| lane + side - 2 >= step);
                for x in &mut x {
                    *x = *x * inside;
                }
            }
            store5(&mut v[at], x);
            let [to_x, to_y, to_z] = gas.outgoing(factors, &x);
            (along, across) = (to_x, to_y);
            store5(&mut beside[at], to_y);
            store5(&mut carried[at], to_z);
        }
    }

    /// Solves the upper system, from what the lower one left.
    #[inline(always)]
    fn back<S: Simd>(&mut self, simd: S, factors: &Factors) {
        let (side, len) = (self.grid.side, steps(self.grid, S::F64_LANES));
        let (u, v) = (line::<S>(self.u, len), line_mut::<S>(self.v, len));
        let (carried, beside) = (line_mut::<S>(self.carried, len), line_mut::<S>(self.beside, len));
        let last = self.count - 1;
        let shift = Shift::new(simd, last);
        let mut along = [Lanes::splat(simd, 0.0); 5];
        let mut across = along;
        for step in (1..=len).rev() {
            let at = step - 1;
            let gas = Gas::of(Lanes::load5(simd, &u[at]));
            let mut sum = Lanes::load5(simd, &carried[at]);
            for m in 0..5 {
                let edge = self.edge[m * self.grid.pitch() + step.saturating_sub(last).min(side - 1)];
                sum[m] += along[m] + shift.taken(simd, across[m].rotated_left(), edge);
            }
            let (mut x, change) = (Lanes::load5(simd, &v[at]), gas.solved(factors, sum));
            for m in 0..5 {
                x[m] -= change[m];
            }
            store5(&mut v[at], x);
            let [to_x, to_y, to_z] = gas.outgoing(factors, &x);
            (along, across) = (to_x, to_y);
            store5(&mut beside[at], to_y);
            store5(&mut carried[at], to_z);
        }
    }
}

/// What one line takes from outside the bundle, and the others from the line beside them.
struct Shift<S: Simd> {
    outside: Lanes<S>,
    others: Lanes<S>,
}

impl<S: Simd> Shift<S> {
    /// Where line `outer` takes from outside; those behind it are no rows, unless it is the first.
    #[inline(always)]
    fn new(simd: S, outer: usize) -> Self {
        Shift {
            outside: lanes_where(simd, |lane| lane == outer),
            others: lanes_where(simd, |lane| lane != outer),
        }
    }

    #[inline(always)]
    fn taken(&self, simd: S, beside: Lanes<S>, edge: f64) -> Lanes<S> {
        beside.times_plus(self.others, Lanes::splat(simd, edge) * self.outside)
    }
}

/// 1 in lines where it holds, 0 elsewhere.
#[inline(always)]
fn lanes_where<S: Simd>(simd: S, holds: impl Fn(usize) -> bool) -> Lanes<S> {
    let mut flags = [0.0; WIDTH];
    for (lane, flag) in flags.iter_mut().enumerate() {
        *flag = f64::from(u8::from(holds(lane)));
    }
    Lanes::load(simd, &S::as_simd_f64s(&flags).0[0])
}
