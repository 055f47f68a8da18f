//! One step of one row: every cell evens out with its neighbours. Beyond the border lies what lies before it,
//! so no heat is lost.

use crate::modes::{Grid, SHARE};

impl Grid {
    /// Sets `next` to the row `centre` after a step. `before` and `after` are its neighbours along the first
    /// axis.
    pub fn advance(self, next: &mut [f64], before: &[f64], centre: &[f64], after: &[f64]) {
        if self.dimensions == 2 {
            return line(next, centre, [before, after]);
        }
        let of = |plane, at| &<[f64]>::split_at(plane, at * self.side).1[..self.side];
        for (at, next) in next.chunks_exact_mut(self.side).enumerate() {
            let (up, down) = (at.saturating_sub(1), (at + 1).min(self.side - 1));
            let neighbours = [of(before, at), of(after, at), of(centre, up), of(centre, down)];
            line(next, of(centre, at), neighbours);
        }
    }
}

/// One line along the last axis, with its `N` neighbours along the others.
#[inline(always)]
fn line<const N: usize>(next: &mut [f64], centre: &[f64], neighbours: [&[f64]; N]) {
    let n = centre.len();
    let (next, neighbours) = (&mut next[..n], neighbours.map(|line| &line[..n]));
    let even = |at: usize, left: f64, right: f64| {
        let sum = neighbours.iter().map(|line| line[at]).fold(left + right, |sum, cell| sum + cell);
        centre[at] + SHARE * (sum - (N + 2) as f64 * centre[at])
    };
    next[0] = even(0, centre[0], centre[1.min(n - 1)]);
    for at in 1..n.saturating_sub(1) {
        next[at] = even(at, centre[at - 1], centre[at + 1]);
    }
    next[n - 1] = even(n - 1, centre[n.saturating_sub(2)], centre[n - 1]);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Against the plain formula, and against what the modes say; heat stays.
    #[test]
    fn a_step_is_the_formula() {
        for grid in [
            Grid { side: 1, dimensions: 2 },
            Grid { side: 7, dimensions: 2 },
            Grid { side: 5, dimensions: 3 },
        ] {
            let (n, row, cosines) = (grid.side, grid.row(), grid.cosines());
            let all = |steps| -> Vec<Vec<f64>> {
                let fill = |i| {
                    let mut cells = vec![0.0; row];
                    grid.exact(i, &cosines, grid.amplitudes(steps), &mut cells);
                    cells
                };
                (0..n).map(fill).collect()
            };
            let (now, then) = (all(0), all(1));
            for i in 0..n {
                let mut next = vec![0.0; row];
                grid.advance(&mut next, &now[i.saturating_sub(1)], &now[i], &now[(i + 1).min(n - 1)]);
                for (next, exact) in next.iter().zip(&then[i]) {
                    assert!((next - exact).abs() < 1e-14, "{grid:?}: {next} and not {exact}");
                }
            }
            let mean = then.iter().flatten().sum::<f64>() / (n * row) as f64;
            assert!((mean - 1.0).abs() < 1e-14 || n == 1, "{grid:?}: {mean}");
        }
    }
}
