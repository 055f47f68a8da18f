//! The surface integral that LU is verified by: pressure over the faces of a box inside the grid, by the
//! trapezoidal rule.

use crate::npb::flow::equations::C2;
use crate::npb::flow::grid::Grid;

/// The box, by axis: its first point and how far before the grid's end its last one lies.
const BOX: [(usize, usize); 3] = [(1, 2), (1, 3), (2, 2)];

/// What slab `y` adds to the integral.
pub fn of_slab(grid: Grid, y: usize, u: &[f64]) -> f64 {
    let faces = BOX.map(|(first, before_end)| [first, grid.side - before_end]);
    let weight = |axis: usize, at: usize| {
        let [first, last] = faces[axis];
        if at == first || at == last { 1.0 } else { 2.0 }
    };
    let [xs, ys, zs] = faces.map(|[first, last]| first..=last);
    if !ys.contains(&y) {
        return 0.0;
    }
    let pressure = |x: usize, z: usize| {
        let at = |m: usize| u[z * grid.row() + m * grid.pitch() + x];
        let kinetic = 0.5 * (at(1).powi(2) + at(2).powi(2) + at(3).powi(2)) / at(0);
        C2 * (at(4) - kinetic)
    };
    let mut sum = 0.0;
    for z in faces[2] {
        sum += xs.clone().map(|x| weight(0, x) * weight(1, y) * pressure(x, z)).sum::<f64>();
    }
    for x in faces[0] {
        sum += zs.clone().map(|z| weight(1, y) * weight(2, z) * pressure(x, z)).sum::<f64>();
    }
    if faces[1].contains(&y) {
        for z in zs {
            sum += xs.clone().map(|x| weight(0, x) * weight(2, z) * pressure(x, z)).sum::<f64>();
        }
    }
    0.25 * sum / ((grid.side - 1) as f64).powi(2)
}
