//! One direction's part of the right-hand side.

use super::bundle::Line;
use super::equations::{Point, Terms, difference};
use super::lanes::{Lanes, store5};
use pulp::Simd;

/// Adds what a direction contributes to the right-hand sides of the points inside the border.
#[inline(always)]
pub fn add_terms<S: Simd>(simd: S, terms: &Terms, u: &Line<S>, rhs: &mut Line<S>) {
    let len = u.len();
    let mut before = Point::of(Lanes::load5(simd, &u[0]));
    let mut here = Point::of(Lanes::load5(simd, &u[1]));
    for at in 1..len - 1 {
        let behind = Point::of(Lanes::load5(simd, &u[at + 1]));
        let mut sum = difference(terms, [&before, &here, &behind]);
        let weights = terms.fourth(at);
        // Neighbours beyond the border have no weight.
        let near = [at.saturating_sub(2), at - 1, at, at + 1, (at + 2).min(len - 1)];
        for (weight, near) in weights.into_iter().zip(near) {
            let weight = Lanes::splat(simd, -weight);
            for m in 0..5 {
                sum[m] = weight.times_plus(Lanes::load(simd, &u[near][m]), sum[m]);
            }
        }
        for m in 0..5 {
            sum[m] += Lanes::load(simd, &rhs[at][m]);
        }
        store5(&mut rhs[at], sum);
        (before, here) = (here, behind);
    }
}
