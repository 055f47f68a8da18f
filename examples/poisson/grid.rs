//! The equation -div(k grad u) = f in the unit cube, u = 0 on its faces, k = 1 + 4 x, on a grid of n^3 inner
//! points.
//!
//! The matrix of seven points is not stored: its coefficients depend on x alone, the first axis. In the
//! middle stand the coefficients of all six neighbours together, which are also the Jacobi preconditioner.

use ndarray::{ArrayView3, ArrayViewMut3};
use std::f64::consts::PI;

/// Points along an axis, which lie `1 / (n + 1)` apart.
#[derive(Clone, Copy, Debug)]
pub struct Grid(pub usize);

/// The coefficients of a plane of equal x: of the planes before and after it, and of the four neighbours in
/// it.
#[derive(Clone, Copy, Debug)]
pub struct Plane {
    before: f64,
    after: f64,
    beside: f64,
}

impl Plane {
    /// The coefficient of the point itself.
    pub fn diagonal(self) -> f64 {
        self.before + self.after + 4.0 * self.beside
    }
}

impl Grid {
    fn spacing(self) -> f64 {
        1.0 / (self.0 + 1) as f64
    }

    /// Where point `i` is along its axis.
    pub fn place(self, i: usize) -> f64 {
        (i + 1) as f64 * self.spacing()
    }

    /// Plane `i`: k halfway to the planes before and after it, and in it, all over the spacing's square.
    pub fn plane(self, i: usize) -> Plane {
        let (x, h) = (self.place(i), self.spacing());
        let k = |x: f64| (1.0 + 4.0 * x) / (h * h);
        Plane { before: k(x - h / 2.0), after: k(x + h / 2.0), beside: k(x) }
    }

    /// The solution that is made up, sin(pi x) sin(pi y) sin(pi z), and the f that belongs to it.
    pub fn made_up(self, [i, j, k]: [usize; 3]) -> [f64; 2] {
        let [x, y, z] = [i, j, k].map(|i| self.place(i));
        let yz = (PI * y).sin() * (PI * z).sin();
        let u = (PI * x).sin() * yz;
        [u, 3.0 * PI * PI * (1.0 + 4.0 * x) * u - 4.0 * PI * (PI * x).cos() * yz]
    }

    /// Sets `q` to the matrix times `p`, of which `q` has the planes from `first` on, and `p` one more on
    /// each side. Returns the inner product of both.
    pub fn apply(self, first: usize, q: &mut ArrayViewMut3<'_, f64>, p: &ArrayView3<'_, f64>) -> f64 {
        let n = self.0;
        let zeros = vec![0.0; n];
        let line = |i: usize, j: usize| match p.as_slice() {
            Some(p) if j < n => &p[(i * n + j) * n..][..n],
            _ => &zeros[..],
        };
        let mut product = 0.0;
        for (i, mut q) in q.outer_iter_mut().enumerate() {
            let plane = self.plane(first + i);
            for (j, mut q) in q.outer_iter_mut().enumerate() {
                let centre = line(i + 1, j);
                // Before the first line comes one of zeros, as after the last.
                let planes = [line(i, j), line(i + 2, j)];
                let beside = [line(i + 1, j.wrapping_sub(1)), line(i + 1, j + 1)];
                let q = q.as_slice_mut().unwrap_or_default();
                apply_line(plane, q, centre, planes, beside);
                product += dot(q, centre);
            }
        }
        product
    }
}

/// One line along z.
fn apply_line(plane: Plane, q: &mut [f64], centre: &[f64], planes: [&[f64]; 2], beside: [&[f64]; 2]) {
    let n = centre.len();
    let (diagonal, q) = (plane.diagonal(), &mut q[..n]);
    let ([before, after], [left, right]) = (planes.map(|line| &line[..n]), beside.map(|line| &line[..n]));
    for k in 0..n {
        q[k] = diagonal * centre[k]
            - plane.before * before[k]
            - plane.after * after[k]
            - plane.beside * (left[k] + right[k]);
    }
    // The neighbours along the line, but for its ends.
    for (q, below) in q[1..].iter_mut().zip(centre) {
        *q -= plane.beside * below;
    }
    for (q, above) in q.iter_mut().zip(&centre[1..]) {
        *q -= plane.beside * above;
    }
}

/// The inner product, in eight running sums.
pub fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0; 8];
    let ((a, rest_a), (b, rest_b)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    for (a, b) in a.iter().zip(b) {
        for (sum, (a, b)) in sums.iter_mut().zip(a.iter().zip(b)) {
            *sum += a * b;
        }
    }
    sums.iter().sum::<f64>() + rest_a.iter().zip(rest_b).map(|(a, b)| a * b).sum::<f64>()
}
