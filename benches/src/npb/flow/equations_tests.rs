use super::*;
use pulp::Scalar;

/// A point in motion, and its quantities.
const STATE: Five = [1.3, 0.7, -0.4, 0.9, 5.1];

fn lanes(five: Five) -> [Lanes<Scalar>; 5] {
    five.map(|value| Lanes::splat(Scalar, value))
}

fn numbers<const N: usize>(lanes: [Lanes<Scalar>; N]) -> [f64; N] {
    lanes.map(Lanes::value)
}

/// The derivative of `f` by quantity `by`, by central differences.
fn derivative<const N: usize>(f: impl Fn(&Cell<Scalar>) -> [Lanes<Scalar>; N], by: usize) -> [f64; N] {
    let step = 1e-5;
    let at = |shift: f64| {
        let mut state = STATE;
        state[by] += shift;
        numbers(f(&Cell::of(lanes(state))))
    };
    let (low, high) = (at(-step), at(step));
    std::array::from_fn(|m| (high[m] - low[m]) / (2.0 * step))
}

#[test]
fn jacobians_are_derivatives() {
    let jacobians = Jacobians::of(Scalar, &Cell::of(lanes(STATE)));
    for by in 0..5 {
        let (flux, diffusing) = (derivative(Cell::flux, by), derivative(Cell::diffusing, by));
        for row in 0..5 {
            let got = jacobians.flux[row][by].value();
            assert!((got - flux[row]).abs() < 1e-8, "flux {row} by {by}: {got} for {}", flux[row]);
            let wanted = if row == 0 { 0.0 } else { C3C4 * diffusing[row - 1] };
            let got = jacobians.viscous[row][by].value();
            assert!((got - wanted).abs() < 1e-8, "viscous {row} by {by}: {got} for {wanted}");
        }
    }
}

#[test]
fn the_exact_solution_is_where_it_begins_on_faces() {
    assert_eq!(exact([0.0; 3]), EXACT.map(|c| c[0]));
    let sums = EXACT.map(|c| c.iter().sum::<f64>());
    for (got, sum) in exact([1.0; 3]).into_iter().zip(sums) {
        assert!((got - sum).abs() < 1e-12);
    }
    for axis in 0..3 {
        for side in [0.0, 1.0] {
            let mut place = [0.3, 0.6, 0.8];
            place[axis] = side;
            assert_eq!(initial(place), exact(place));
        }
    }
}

#[test]
fn every_row_of_fourth_differences_is_symmetric_with_its_mirror() {
    for len in [6, 12, 33] {
        let terms = Terms::new(Axis::X, len);
        for at in 1..len - 1 {
            let mut mirrored = terms.fourth(len - 1 - at);
            mirrored.reverse();
            assert_eq!(terms.fourth(at), mirrored, "{at} of {len}");
        }
    }
}
