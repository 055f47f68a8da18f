use crate::grid::Grid;
use crate::{Preconditioner, right_side};
use phalanx::{Backend, Pool};

fn pool(workers: usize) -> Pool {
    Pool::builder().workers(workers).backend(Backend::Threads).build().unwrap()
}

/// The matrix times a vector, entry by entry.
fn naive(grid: Grid, x: &dyn Fn([i64; 3]) -> f64) -> Vec<f64> {
    let n = grid.0 as i64;
    let h = grid.place(0);
    let k = |x: f64| (1.0 + 4.0 * x) / (h * h);
    let mut out = Vec::new();
    for (i, j, l) in points(n) {
        let place = grid.place(i as usize);
        let flows = [
            (k(place - h / 2.0), [i - 1, j, l]),
            (k(place + h / 2.0), [i + 1, j, l]),
            (k(place), [i, j - 1, l]),
            (k(place), [i, j + 1, l]),
            (k(place), [i, j, l - 1]),
            (k(place), [i, j, l + 1]),
        ];
        out.push(flows.iter().map(|(k, at)| k * (x([i, j, l]) - x(*at))).sum());
    }
    out
}

fn points(n: i64) -> impl Iterator<Item = (i64, i64, i64)> {
    (0..n * n * n).map(move |at| (at / (n * n), at / n % n, at % n))
}

#[test]
fn the_solution_satisfies_every_equation() {
    let kinds = [Preconditioner::Jacobi, Preconditioner::Multigrid];
    for (n, kind) in [1, 2, 9, 20].into_iter().flat_map(|n| kinds.map(|kind| (n, kind))) {
        let grid = Grid(n);
        let mut all = Vec::new();
        for workers in [1, 2, 3] {
            let pool = pool(workers);
            let f = right_side(&pool, grid).unwrap();
            let solved = kind.solve(&pool, grid, &f, (1e-12, 1000)).unwrap();
            let view = solved.x.view();
            let inside = |at: &i64| (0..n as i64).contains(at);
            let x = |at: [i64; 3]| {
                if at.iter().all(inside) { view[at.map(|at| at as usize)] } else { 0.0 }
            };
            let norm = f.as_slice().iter().map(|f| f * f).sum::<f64>().sqrt();
            let off =
                naive(grid, &x).iter().zip(f.as_slice()).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt();
            assert!(off <= 1e-10 * norm, "{n}: {off} of {norm}");
            crate::report(&pool, grid, kind, &solved, (1e-12, 0.0)).unwrap();
            all.push((solved.x.as_slice().to_vec(), solved.history));
        }
        assert!(all.windows(2).all(|pair| pair[0] == pair[1]), "the same bits for any number of workers");
    }
}
