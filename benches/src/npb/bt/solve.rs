//! One direction's factor: a block tridiagonal system along a line. Rows of blocks are made from u as they
//! are eliminated, and only what substitution needs is kept: the block behind the diagonal, 25 vectors per
//! point.

#![expect(clippy::needless_range_loop, reason = "rows and columns of blocks")]

use crate::npb::flow::adi::{Implicit, Method};
use crate::npb::flow::bundle::{Line, line_mut};
use crate::npb::flow::equations::{Axis, Cell, Jacobians};
use crate::npb::flow::lanes::{Lanes, store5};
use pulp::Simd;

/// Block factors.
pub struct Blocks;

/// A block, by rows.
type Block<S> = [[Lanes<S>; 5]; 5];

/// Which columns of a coupling block may differ from zero, by row: the flux along one direction does not know
/// of the momentum across the other two.
const COUPLED: [&[usize]; 5] = [&[0, 1], &[0, 1, 2, 3, 4], &[0, 1, 2], &[0, 1, 3], &[0, 1, 2, 3, 4]];

impl Method for Blocks {
    #[inline(always)]
    fn solve<S: Simd>(simd: S, line: &Implicit, u: &Line<S>, rhs: &mut Line<S>, spare: &mut [f64]) {
        let len = u.len();
        let kept = &mut line_mut::<S>(spare, 5 * len).as_chunks_mut::<5>().0[..len];
        let zero = Lanes::splat(simd, 0.0);
        let (mut before, mut here) = (derivatives(simd, &u[0]), derivatives(simd, &u[1]));
        let mut behind_last = [[zero; 5]; 5];
        let mut last = [zero; 5];
        for at in 1..len - 1 {
            let behind = derivatives(simd, &u[at + 1]);
            let mut right = Lanes::load5(simd, &rhs[at]);
            if line.axis == Axis::X {
                for right in &mut right {
                    *right = *right * line.dt;
                }
            }
            let mut diagonal = diagonal(simd, line, &here);
            let mut upper = coupling(line, &behind, 1.0);
            if at > 1 {
                let lower = coupling(line, &before, -1.0);
                eliminate(&lower, &behind_last, &last, &mut diagonal, &mut right);
            }
            reduce(&mut diagonal, &mut upper, &mut right);
            store5(&mut rhs[at], right);
            for (to, row) in kept[at].iter_mut().zip(upper) {
                store5(to, row);
            }
            (behind_last, last) = (upper, right);
            (before, here) = (here, behind);
        }
        let mut next = [zero; 5];
        for at in (1..len - 1).rev() {
            let mut x = Lanes::load5(simd, &rhs[at]);
            for m in 0..5 {
                let row = Lanes::load5(simd, &kept[at][m]);
                for k in 0..5 {
                    x[m] = x[m].minus_product(row[k], next[k]);
                }
            }
            store5(&mut rhs[at], x);
            next = x;
        }
    }
}

/// The derivatives at a point.
#[inline(always)]
fn derivatives<S: Simd>(simd: S, u: &[S::f64s; 5]) -> Jacobians<S> {
    Jacobians::of(simd, &Cell::of(Lanes::load5(simd, u)))
}

/// The block on the diagonal.
#[inline(always)]
fn diagonal<S: Simd>(simd: S, line: &Implicit, here: &Jacobians<S>) -> Block<S> {
    let twice = 2.0 * line.dt * line.terms.second;
    let mut block = here.viscous;
    for row in 0..5 {
        for column in 0..=row {
            block[row][column] = block[row][column] * twice;
        }
        block[row][row] += Lanes::splat(simd, 1.0 + twice * line.terms.dissipation);
    }
    block
}

/// The block that couples a point to the neighbour with these derivatives: behind it (1) or before it (-1).
#[inline(always)]
fn coupling<S: Simd>(line: &Implicit, neighbour: &Jacobians<S>, side: f64) -> Block<S> {
    let (first, second) = (side * line.dt * line.terms.first, line.dt * line.terms.second);
    let mut block = neighbour.flux;
    for row in 0..5 {
        for column in 0..5 {
            block[row][column] = block[row][column] * first - neighbour.viscous[row][column] * second;
        }
        block[row][row] = block[row][row] - second * line.terms.dissipation;
    }
    block
}

/// Subtracts the row before: `diagonal -= lower * upper of it`, and the right-hand side alike.
#[inline(always)]
fn eliminate<S: Simd>(
    lower: &Block<S>,
    upper: &Block<S>,
    last: &[Lanes<S>; 5],
    diagonal: &mut Block<S>,
    right: &mut [Lanes<S>; 5],
) {
    for row in 0..5 {
        for &k in COUPLED[row] {
            let factor = lower[row][k];
            for column in 0..5 {
                diagonal[row][column] = diagonal[row][column].minus_product(factor, upper[k][column]);
            }
            right[row] = right[row].minus_product(factor, last[k]);
        }
    }
}

/// Multiplies `upper` and `right` by the inverse of `diagonal`, without pivoting.
#[inline(always)]
fn reduce<S: Simd>(diagonal: &mut Block<S>, upper: &mut Block<S>, right: &mut [Lanes<S>; 5]) {
    for pivot in 0..5 {
        let inverse = diagonal[pivot][pivot].inverse();
        for column in pivot + 1..5 {
            diagonal[pivot][column] = diagonal[pivot][column] * inverse;
        }
        for column in 0..5 {
            upper[pivot][column] = upper[pivot][column] * inverse;
        }
        right[pivot] = right[pivot] * inverse;
        for row in 0..5 {
            if row == pivot {
                continue;
            }
            let factor = diagonal[row][pivot];
            for column in pivot + 1..5 {
                diagonal[row][column] = diagonal[row][column].minus_product(factor, diagonal[pivot][column]);
            }
            for column in 0..5 {
                upper[row][column] = upper[row][column].minus_product(factor, upper[pivot][column]);
            }
            right[row] = right[row].minus_product(factor, right[pivot]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::npb::flow::grid::Grid;
    use pulp::Scalar;

    #[test]
    fn solutions_satisfy_every_row_of_blocks() {
        for side in [6, 7, 12] {
            let line = Implicit { axis: Axis::Z, terms: Grid { side }.terms(Axis::Z), dt: 0.01 };
            let wavy = |at: usize, m: usize| ((3 * at + 5 * m) as f64).sin();
            let state = [1.3, 0.7, -0.4, 0.9, 5.1];
            let u: Vec<[f64; 5]> =
                (0..side).map(|at| std::array::from_fn(|m| state[m] + 0.1 * wavy(at, m))).collect();
            let right: Vec<[f64; 5]> =
                (0..side).map(|at| std::array::from_fn(|m| wavy(at + 1, m + 2))).collect();
            let mut x = right.clone();
            Blocks::solve(Scalar, &line, &u, &mut x, &mut vec![0.0; side * 25]);
            (x[0], x[side - 1]) = ([0.0; 5], [0.0; 5]);
            let jacobians: Vec<_> = u
                .iter()
                .map(|u| Jacobians::of(Scalar, &Cell::of(u.map(|value| Lanes::splat(Scalar, value)))))
                .collect();
            for at in 1..side - 1 {
                let blocks = [
                    (at - 1, coupling(&line, &jacobians[at - 1], -1.0)),
                    (at, diagonal(Scalar, &line, &jacobians[at])),
                    (at + 1, coupling(&line, &jacobians[at + 1], 1.0)),
                ];
                for row in 0..5 {
                    let terms = blocks.iter().flat_map(|(at, block)| {
                        block[row].iter().zip(x[*at]).map(|(entry, x)| entry.value() * x)
                    });
                    let (sum, wanted) = (terms.sum::<f64>(), right[at][row]);
                    assert!((sum - wanted).abs() < 1e-12, "{side}: row {at}, {row}: {sum} for {wanted}");
                }
            }
        }
    }
}
