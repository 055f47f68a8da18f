//! One direction's factor, diagonal in its characteristic variables: pentadiagonal systems along a line.
//! Three of the five variables move with the gas and have one matrix; the other two are sound waves with one
//! each.

use crate::npb::flow::adi::{Implicit, Method};
use crate::npb::flow::bundle::{Line, line_mut};
use crate::npb::flow::equations::{Axis, C2_INVERSE, Cell};
use crate::npb::flow::lanes::{Lanes, store5};
use pulp::Simd;
use std::f64::consts::FRAC_1_SQRT_2;

/// Diagonal factors.
pub struct Diagonal;

/// Which matrix a variable has.
const MATRIX: [usize; 5] = [0, 0, 0, 1, 2];

/// What a point adds to the rows of its neighbours and its own.
#[derive(Clone, Copy)]
struct Wave<S: Simd> {
    /// dt / 2h times the velocity.
    along: Lanes<S>,
    /// dt / 2h times the speed of sound.
    sound: Lanes<S>,
    /// dt / h^2 times what diffuses.
    diffusion: Lanes<S>,
}

impl<S: Simd> Wave<S> {
    #[inline(always)]
    fn of(line: &Implicit, cell: &Cell<S>) -> Self {
        let (first, second) = (line.dt * line.terms.first, line.dt * line.terms.second);
        Wave {
            along: cell.v[0] * first,
            sound: cell.sound() * first,
            diffusion: cell.viscosity() * second + line.terms.dissipation * second,
        }
    }
}

/// A row after elimination: `x + next x' + second x'' = right`, without its right side.
#[derive(Clone, Copy)]
struct Row<S: Simd> {
    next: Lanes<S>,
    second: Lanes<S>,
}

/// A row before elimination, from two points before its own to two behind.
type Five<S> = [Lanes<S>; 5];

/// The rows of point `at` of all three matrices.
#[inline(always)]
fn rows<S: Simd>(simd: S, line: &Implicit, at: usize, [before, here, behind]: [&Wave<S>; 3]) -> [Five<S>; 3] {
    let fourth = line.terms.fourth(at);
    let mut gas = [here.along; 5];
    for (entry, weight) in gas.iter_mut().zip(fourth) {
        *entry = Lanes::splat(simd, weight * line.dt);
    }
    gas[1] -= before.along + before.diffusion;
    gas[2] += here.diffusion * 2.0 + 1.0;
    gas[3] += behind.along - behind.diffusion;
    let [a, b, c, d, e] = gas;
    let forth = [a, b - before.sound, c, d + behind.sound, e];
    let back = [a, b + before.sound, c, d - behind.sound, e];
    [gas, forth, back]
}

impl Method for Diagonal {
    #[inline(always)]
    fn solve<S: Simd>(simd: S, line: &Implicit, u: &Line<S>, rhs: &mut Line<S>, spare: &mut [f64]) {
        let len = u.len();
        let kept = &mut line_mut::<S>(spare, 2 * len).as_chunks_mut::<2>().0[..len];
        let order = line.axis.order();
        let zero = Lanes::splat(simd, 0.0);
        let none = Row { next: zero, second: zero };
        let (mut older, mut newer) = ([none; 3], [none; 3]);
        let (mut older_right, mut newer_right) = ([zero; 5], [zero; 5]);
        let mut cell = Cell::of(Lanes::load5(simd, &u[1]));
        let mut before = Wave::of(line, &Cell::of(Lanes::load5(simd, &u[0])));
        let mut here = Wave::of(line, &cell);
        for at in 1..len - 1 {
            let next_cell = Cell::of(Lanes::load5(simd, &u[at + 1]));
            let behind = Wave::of(line, &next_cell);
            let matrices = rows(simd, line, at, [&before, &here, &behind]);
            let mut lower = [[zero; 2]; 3];
            let mut pivot = [zero; 3];
            let mut row = [none; 3];
            for (index, [a, b, c, d, e]) in matrices.into_iter().enumerate() {
                let (old, new) = (older[index], newer[index]);
                let b = b.minus_product(a, old.next);
                let c = c.minus_product(a, old.second).minus_product(b, new.next);
                lower[index] = [a, b];
                pivot[index] = c.inverse();
                row[index] =
                    Row { next: d.minus_product(b, new.second) * pivot[index], second: e * pivot[index] };
            }
            let mut right = in_order(Lanes::load5(simd, &rhs[at]), order);
            if line.axis == Axis::X {
                right = into_characteristics(&cell, right, line.dt);
            }
            for m in 0..5 {
                let [a, b] = lower[MATRIX[m]];
                right[m] = right[m].minus_product(a, older_right[m]).minus_product(b, newer_right[m])
                    * pivot[MATRIX[m]];
            }
            store5(&mut rhs[at], right);
            let [gas, forth, back] = row;
            let zero = zero.value();
            kept[at] = [
                [gas.next.value(), forth.next.value(), back.next.value(), zero, zero],
                [gas.second.value(), forth.second.value(), back.second.value(), zero, zero],
            ];
            (older, newer) = (newer, row);
            (older_right, newer_right) = (newer_right, right);
            (before, here, cell) = (here, behind, next_cell);
        }
        substitute(simd, line, u, rhs, kept);
    }
}

/// Back from the last point to the first; the solution goes on into the next direction's variables.
#[inline(always)]
fn substitute<S: Simd>(simd: S, line: &Implicit, u: &Line<S>, rhs: &mut Line<S>, kept: &[[[S::f64s; 5]; 2]]) {
    let zero = Lanes::splat(simd, 0.0);
    let order = line.axis.order();
    let (mut next, mut second) = ([zero; 5], [zero; 5]);
    for at in (1..u.len() - 1).rev() {
        let [by_next, by_second] = [Lanes::load5(simd, &kept[at][0]), Lanes::load5(simd, &kept[at][1])];
        let mut x = Lanes::load5(simd, &rhs[at]);
        for m in 0..5 {
            x[m] = x[m].minus_product(by_next[MATRIX[m]], next[m]);
            x[m] = x[m].minus_product(by_second[MATRIX[m]], second[m]);
        }
        (next, second) = (x, next);
        let onwards = match line.axis {
            Axis::X => from_x_to_y(x),
            Axis::Y => from_y_to_z(x),
            Axis::Z => out_of_characteristics(&Cell::of(Lanes::load5(simd, &u[at])), x),
        };
        store5(&mut rhs[at], in_order(onwards, order));
    }
}

#[inline(always)]
fn in_order<S: Simd>(five: Five<S>, order: [usize; 5]) -> Five<S> {
    [five[order[0]], five[order[1]], five[order[2]], five[order[3]], five[order[4]]]
}

/// A time step's right-hand side in the characteristic variables of x.
#[inline(always)]
fn into_characteristics<S: Simd>(cell: &Cell<S>, rhs: Five<S>, dt: f64) -> Five<S> {
    let [a, b, c] = cell.v;
    let [r0, r1, r2, r3, r4] = [rhs[0] * dt, rhs[1] * dt, rhs[2] * dt, rhs[3] * dt, rhs[4] * dt];
    let sound = cell.sound();
    let pressure = cell.kinetic * r0 - a * r1 - b * r2 - c * r3 + r4;
    let entropy = (sound * sound * C2_INVERSE).inverse() * pressure;
    let scaled = cell.volume * FRAC_1_SQRT_2;
    let shear = scaled * (a * r0 - r1);
    let wave = scaled * sound * entropy;
    [r0 - entropy, -(cell.volume * (c * r0 - r3)), cell.volume * (b * r0 - r2), wave - shear, wave + shear]
}

/// From the characteristic variables of x to those of y.
#[inline(always)]
fn from_x_to_y<S: Simd>([r0, r1, r2, r3, r4]: Five<S>) -> Five<S> {
    let (shear, wave) = (r2 * FRAC_1_SQRT_2, (r3 + r4) * 0.5);
    [-r1, r0, (r3 - r4) * FRAC_1_SQRT_2, wave - shear, wave + shear]
}

/// From the characteristic variables of y to those of z.
#[inline(always)]
fn from_y_to_z<S: Simd>([r0, r1, r2, r3, r4]: Five<S>) -> Five<S> {
    let (shear, wave) = (r0 * FRAC_1_SQRT_2, (r3 + r4) * 0.5);
    [(r3 - r4) * FRAC_1_SQRT_2, -r2, r1, wave - shear, wave + shear]
}

/// From the characteristic variables of z to the quantities. `cell` has the order of z, the result that of x.
#[inline(always)]
fn out_of_characteristics<S: Simd>(cell: &Cell<S>, [r0, r1, r2, r3, r4]: Five<S>) -> Five<S> {
    let [c, b, a] = cell.v;
    let (density, sound) = (cell.u[0], cell.sound());
    let scaled = density * FRAC_1_SQRT_2;
    let entropy = scaled * sound.inverse() * (r3 + r4);
    let mass = r2 + entropy;
    let along = scaled * (r3 - r4);
    let energy =
        density * (b * r0 - a * r1) + cell.kinetic * mass + sound * sound * C2_INVERSE * entropy + c * along;
    [mass, a * mass - density * r1, b * mass + density * r0, c * mass + along, energy]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::npb::flow::grid::Grid;
    use pulp::Scalar;

    const STATE: [f64; 5] = [1.3, 0.7, -0.4, 0.9, 5.1];

    fn lanes(five: [f64; 5]) -> Five<Scalar> {
        five.map(|value| Lanes::splat(Scalar, value))
    }

    #[test]
    fn through_all_characteristic_variables_and_out_again_nothing_changes() {
        let change = [0.2, -0.3, 0.5, 0.1, -0.7];
        let within_x = into_characteristics(&Cell::of(lanes(STATE)), lanes(change), 1.0);
        let within_z = from_y_to_z(from_x_to_y(within_x));
        let order = Axis::Z.order();
        let out = out_of_characteristics(&Cell::of(lanes(order.map(|m| STATE[m]))), within_z);
        for (out, change) in out.map(Lanes::value).into_iter().zip(change) {
            assert!((out - change).abs() < 1e-14, "{out} for {change}");
        }
    }

    /// Undoes `from_y_to_z`.
    fn back_to_y([a, b, c, d, e]: [f64; 5]) -> [f64; 5] {
        let (sum, difference) = (d + e, a / FRAC_1_SQRT_2);
        [(e - d) * FRAC_1_SQRT_2, c, -b, (sum + difference) / 2.0, (sum - difference) / 2.0]
    }

    #[test]
    fn solutions_satisfy_every_row_of_their_matrices() {
        for side in [6, 7, 12] {
            let line = Implicit { axis: Axis::Y, terms: Grid { side }.terms(Axis::Y), dt: 0.015 };
            let wavy = |at: usize, m: usize| ((3 * at + 5 * m) as f64).sin();
            let u: Vec<[f64; 5]> =
                (0..side).map(|at| std::array::from_fn(|m| STATE[m] + 0.1 * wavy(at, m))).collect();
            let right: Vec<[f64; 5]> =
                (0..side).map(|at| std::array::from_fn(|m| wavy(at + 1, m + 2))).collect();
            let mut solved = right.clone();
            Diagonal::solve(Scalar, &line, &u, &mut solved, &mut vec![0.0; side * 10]);
            let order = line.axis.order();
            let mut x: Vec<[f64; 5]> = solved.iter().map(|five| back_to_y(order.map(|m| five[m]))).collect();
            (x[0], x[side - 1]) = ([0.0; 5], [0.0; 5]);
            let waves: Vec<Wave<Scalar>> = u.iter().map(|u| Wave::of(&line, &Cell::of(lanes(*u)))).collect();
            for at in 1..side - 1 {
                let rows = rows(Scalar, &line, at, [&waves[at - 1], &waves[at], &waves[at + 1]]);
                for m in 0..5 {
                    let near = [at.saturating_sub(2), at - 1, at, at + 1, (at + 2).min(side - 1)];
                    let row = rows[MATRIX[m]].map(Lanes::value);
                    let sum: f64 = row.iter().zip(near).map(|(entry, near)| entry * x[near][m]).sum();
                    let wanted = right[at][order[m]];
                    assert!((sum - wanted).abs() < 1e-12, "{side}: row {at}, {m}: {sum} for {wanted}");
                }
            }
        }
    }
}
