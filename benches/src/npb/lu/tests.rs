use super::gas::{Factors, Gas, OMEGA};
use super::*;
use crate::npb::flow::crew::{Alone, Threads};
use crate::npb::flow::equations::{Axis, Cell, Jacobians};
use crate::npb::flow::lanes::Lanes;
use pulp::Scalar;
use std::convert::Infallible;
use std::sync::Mutex;

const STATE: [f64; 5] = [1.3, 0.7, -0.4, 0.9, 5.1];
const CHANGE: [f64; 5] = [0.2, -0.3, 0.5, 0.1, -0.7];

fn lanes(five: [f64; 5]) -> [Lanes<Scalar>; 5] {
    five.map(|value| Lanes::splat(Scalar, value))
}

fn in_order(five: [f64; 5], axis: Axis) -> [f64; 5] {
    axis.order().map(|m| five[m])
}

/// The product of a block, written down in full, and a vector; both in a direction's order.
fn product(block: &[[Lanes<Scalar>; 5]; 5], change: [f64; 5]) -> [f64; 5] {
    std::array::from_fn(|row| (0..5).map(|k| block[row][k].value() * change[k]).sum())
}

fn assert_near(what: &str, got: [f64; 5], wanted: [f64; 5]) {
    for (m, (got, wanted)) in got.into_iter().zip(wanted).enumerate() {
        assert!((got - wanted).abs() <= 1e-12 * wanted.abs().max(1.0), "{what}, {m}: {got} for {wanted}");
    }
}

#[test]
fn what_a_change_does_to_neighbours_is_the_product_of_their_blocks() {
    let problem = problem(Class::S);
    for side in [-1.0, 1.0] {
        let factors = Factors::new(&problem, side);
        let out = Gas::of(lanes(STATE)).outgoing(&factors, &lanes(CHANGE));
        for (axis, got) in [Axis::X, Axis::Y, Axis::Z].into_iter().zip(out) {
            let (terms, change) = (problem.grid.terms(axis), in_order(CHANGE, axis));
            let jacobians = Jacobians::of(Scalar, &Cell::of(lanes(in_order(STATE, axis))));
            let (flux, viscous) = (product(&jacobians.flux, change), product(&jacobians.viscous, change));
            let wanted: [f64; 5] = std::array::from_fn(|m| {
                let spread = terms.second * (viscous[m] + terms.dissipation * change[m]);
                OMEGA * problem.dt * (side * terms.first * flux[m] - spread)
            });
            assert_near(&format!("{axis:?}"), got.map(Lanes::value), in_order(wanted, axis));
        }
    }
}

#[test]
fn a_points_own_block_times_its_solution_is_the_right_hand_side() {
    let problem = problem(Class::S);
    let solved = Gas::of(lanes(STATE)).solved(&Factors::new(&problem, -1.0), lanes(CHANGE)).map(Lanes::value);
    let mut back = solved;
    for axis in [Axis::X, Axis::Y, Axis::Z] {
        let (terms, change) = (problem.grid.terms(axis), in_order(solved, axis));
        let jacobians = Jacobians::of(Scalar, &Cell::of(lanes(in_order(STATE, axis))));
        let viscous = in_order(product(&jacobians.viscous, change), axis);
        for m in 0..5 {
            back[m] += 2.0 * problem.dt * terms.second * (viscous[m] + terms.dissipation * solved[m]);
        }
    }
    assert_near("the product", back, CHANGE);
}

/// The state after a few steps, slab by slab.
fn state_on(mut crew: impl Crew<Error = Infallible>) -> Vec<Vec<f64>> {
    let problem = Problem { steps: 3, ..problem(Class::S) };
    let Ok(()) = Relaxation::prepare(&mut crew, &problem);
    let Ok(()) = Relaxation::advance(&mut crew, &problem);
    let slabs = Mutex::new(vec![Vec::new(); problem.grid.side]);
    let Ok(_) = crew.slabs(|y, slab, _, _| {
        slabs.lock().unwrap()[y] = slab.u.to_vec();
        [0.0; 5]
    });
    slabs.into_inner().unwrap()
}

#[test]
fn the_state_has_the_same_bits_for_any_number_of_blocks() {
    let grid = problem(Class::S).grid;
    let alone = state_on(Alone::new(grid));
    for blocks in [1, 2, 3, 5, 12] {
        let threads = rayon::ThreadPoolBuilder::new().num_threads(blocks).build().unwrap();
        let state = threads.install(|| state_on(Threads::new(grid, blocks)));
        assert!(state == alone, "{blocks} blocks");
    }
}
