//! Steady heat in a square plate: Jacobi sweeps in one region, in which each worker updates its own rows and
//! reads the neighbouring ones.
//!
//! The plate is warmed evenly and its rim is kept at 0: -(u_xx + u_yy) = 1 on the unit square. The exact
//! solution has 0.0736713 in the centre (Timoshenko and Goodier, Theory of Elasticity, torsion of a
//! square bar).

use clap::Parser;
use common::Result;
use phalanx::{Edge, Pool, SharedArray};
use std::process::ExitCode;

/// Finds the steady temperature of a square plate that is warmed evenly and kept at 0 along its rim.
#[derive(Parser)]
struct Options {
    /// Cells along one side; an even number is taken as the next odd one, so that there is a centre
    #[arg(default_value_t = 63, value_parser = clap::value_parser!(u16).range(3..=4095))]
    cells: u16,
}

/// Sweeps between two checks for convergence. Even, so that the last sweep writes the plate itself.
const SWEEPS: usize = 50;
/// A plate that changes less than this in one sweep is steady.
const STEADY: f64 = 1e-8;

fn main() -> ExitCode {
    let Options { cells } = Options::parse();
    common::run("plate", || warm(usize::from(cells) | 1))
}

fn warm(cells: usize) -> Result<()> {
    let pool = Pool::new()?;
    eprintln!("{}", pool.reason());
    let mut plate = SharedArray::<f64, _>::zeros((cells, cells))?;
    let mut other = SharedArray::<f64, _>::zeros((cells, cells))?;
    let step = 1.0 / (cells + 1) as f64;
    let [rounds, change] =
        pool.region((&mut plate, &mut other, step * step), |team, (mut u, mut v, warmth)| {
            let mut rounds = 0.0;
            loop {
                let mut change = 0.0f64;
                for _ in 0..SWEEPS {
                    // Rows beyond the plate are its rim. Neighbours see this phase's writes in the next.
                    change = 0.0;
                    team.for_each((v.split_mut(), u.halo(1, Edge::Fill(0.0))), |(mut v, u)| {
                        let (rows, columns) = v.dim();
                        for i in 0..rows {
                            for j in 0..columns {
                                let left = if j > 0 { u[[i + 1, j - 1]] } else { 0.0 };
                                let right = if j + 1 < columns { u[[i + 1, j + 1]] } else { 0.0 };
                                let next = (u[[i, j]] + u[[i + 2, j]] + left + right + warmth) / 4.0;
                                change = change.max((next - u[[i + 1, j]]).abs());
                                v[[i, j]] = next;
                            }
                        }
                    })?;
                    std::mem::swap(&mut u, &mut v);
                }
                rounds += 1.0;
                change = team.all_reduce(change, f64::max)?;
                if change < STEADY {
                    return Ok([rounds, change]);
                }
            }
        })?;
    let centre = plate.view()[[cells / 2, cells / 2]];
    common::outln!(
        "{cells} x {cells} cells: steady after {} sweeps, last change {change:.2e}",
        rounds * SWEEPS as f64
    );
    common::outln!("the centre has {centre:.5}, exactly it is 0.07367");
    Ok(())
}
