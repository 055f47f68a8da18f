//! Before the first step and after the last one.

use super::adi::{Explicit, advance_plane, advance_slab};
use super::crew::Crew;
use super::equations::{Five, exact, initial};
use super::grid::Grid;
use super::norms::{error_squares, residual_squares};
use super::problem::{Found, Problem};

/// Sets slab `y` to values of places. What fills rows up is as the last point, so that formulas stay finite.
fn fill(grid: Grid, y: usize, u: &mut [f64], value: fn([f64; 3]) -> Five) {
    for (z, row) in u.chunks_exact_mut(grid.row()).take(grid.side).enumerate() {
        for x in 0..grid.pitch() {
            for (m, value) in value(grid.place([x.min(grid.side - 1), y, z])).into_iter().enumerate() {
                row[m * grid.pitch() + x] = value;
            }
        }
    }
}

/// Sets the forcing, which makes the exact solution stand still, and the initial state.
pub fn set_up<C: Crew>(crew: &mut C, problem: &Problem) -> Result<(), C::Error> {
    let grid = problem.grid;
    crew.slabs(|y, slab, rhs, bundle| {
        slab.forcing.fill(0.0);
        fill(grid, y, slab.u, exact);
        advance_slab::<Explicit>(problem, y, slab, rhs, bundle)
    })?;
    right_hand_side(crew, problem)?;
    crew.slabs(|y, slab, rhs, _| {
        for z in 1..grid.side - 1 {
            let from = &rhs[grid.at(z, y)..][..grid.row()];
            let to = slab.forcing[z * grid.row()..].iter_mut();
            to.zip(from).for_each(|(to, from)| *to = -from);
        }
        [0.0; 5]
    })?;
    begin(crew, problem)
}

/// Sets the initial state.
pub fn begin<C: Crew>(crew: &mut C, problem: &Problem) -> Result<(), C::Error> {
    crew.slabs(|y, slab, rhs, bundle| {
        fill(problem.grid, y, slab.u, initial);
        advance_slab::<Explicit>(problem, y, slab, rhs, bundle)
    })?;
    Ok(())
}

/// Computes the right-hand side of all planes.
pub fn right_hand_side<C: Crew>(crew: &mut C, problem: &Problem) -> Result<(), C::Error> {
    crew.planes(|z, plane, slabs, bundle| advance_plane::<Explicit>(problem, z, plane, slabs, bundle))?;
    Ok(())
}

/// Compares the state with the exact solution.
pub fn judge<C: Crew>(crew: &mut C, problem: &Problem) -> Result<Found, C::Error> {
    let grid = problem.grid;
    let residual = crew.planes(|z, plane, slabs, bundle| {
        advance_plane::<Explicit>(problem, z, plane, slabs, bundle);
        if (1..grid.side - 1).contains(&z) { residual_squares(grid, plane) } else { [0.0; 5] }
    })?;
    let error = crew.slabs(|y, slab, _, _| error_squares(grid, y, slab.u))?;
    Ok(Found { residual: crew.total(residual)?, error: crew.total(error)?, surface: 0.0 })
}
