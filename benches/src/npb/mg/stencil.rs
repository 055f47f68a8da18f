//! The four operators of MG, one row at a time: residual, smoother, projection and interpolation.
//!
//! All are 27-point stencils whose weight depends on the distance class only: centre, face, edge, corner. As
//! in the specification, the points of a row's plane-mates and diagonal mates are summed into two row buffers
//! first, which each row then uses three times.
//!
//! Grids are periodic cubes of `side` points per direction, without ghost points: rows and planes wrap by
//! their index, and a row buffer repeats its end points on both sides. So nothing is exchanged at borders.

/// Weights of the residual's operator A: centre and face (which is 0), edge, corner.
const CENTRE: f64 = -8.0 / 3.0;
const EDGE: f64 = 1.0 / 6.0;
const CORNER: f64 = 1.0 / 12.0;

/// Rows of one plane: all of it, with wrapping row numbers, or a band of it.
#[derive(Clone, Copy)]
pub struct Plane<'a> {
    data: &'a [f64],
    side: usize,
    first: isize,
    mask: isize,
}

impl<'a> Plane<'a> {
    /// A whole plane; its side is a power of two.
    #[inline(always)]
    pub fn whole(data: &'a [f64], side: usize) -> Plane<'a> {
        Plane { data, side, first: 0, mask: side as isize - 1 }
    }

    /// Rows `first` and following.
    #[inline(always)]
    pub fn band(data: &'a [f64], side: usize, first: isize) -> Plane<'a> {
        Plane { data, side, first, mask: -1 }
    }

    #[inline(always)]
    pub fn row(&self, row: isize) -> &'a [f64] {
        let at = ((row - self.first) & self.mask) as usize * self.side;
        &self.data[at..at + self.side]
    }
}

/// Row buffers. Each has the row's points at 1 and following, and one point of the other end on each side.
pub struct Lines {
    near: Vec<f64>,
    far: Vec<f64>,
    own: Vec<f64>,
}

impl Lines {
    /// For rows of up to `side` points.
    pub fn new(side: usize) -> Lines {
        let line = || vec![0.0; side + 2];
        Lines { near: line(), far: line(), own: line() }
    }
}

/// Writes the end points of a padded row to its other side.
#[inline(always)]
fn wrap(line: &mut [f64]) {
    let last = line.len() - 1;
    line[0] = line[last - 1];
    line[last] = line[1];
}

/// A padded row shifted by -1, 0 and 1.
#[inline(always)]
fn shifted(line: &[f64], side: usize) -> [&[f64]; 3] {
    [&line[..side], &line[1..side + 1], &line[2..side + 2]]
}

#[inline(always)]
fn sum_of_four(out: &mut [f64], [a, b, c, d]: [&[f64]; 4]) {
    let side = out.len() - 2;
    let (a, b, c, d) = (&a[..side], &b[..side], &c[..side], &d[..side]);
    let inner = &mut out[1..side + 1];
    for i in 0..side {
        inner[i] = (a[i] + b[i]) + (c[i] + d[i]);
    }
    wrap(out);
}

/// Sums of the four rows at distance 1 of row `j` of the middle plane, and of the four at distance sqrt 2.
#[inline(always)]
fn transverse(near: &mut [f64], far: &mut [f64], [below, here, above]: [Plane<'_>; 3], j: isize) {
    sum_of_four(near, [here.row(j - 1), here.row(j + 1), below.row(j), above.row(j)]);
    sum_of_four(far, [below.row(j - 1), below.row(j + 1), above.row(j - 1), above.row(j + 1)]);
}

/// Row `j` of `rhs - A u` in the middle one of three planes of `u`.
#[inline(always)]
pub fn residual(out: &mut [f64], rhs: &[f64], u: [Plane<'_>; 3], j: isize, lines: &mut Lines) {
    let side = out.len();
    let (near, far) = (&mut lines.near[..side + 2], &mut lines.far[..side + 2]);
    transverse(near, far, u, j);
    let [near_left, _, near_right] = shifted(near, side);
    let [far_left, far_here, far_right] = shifted(far, side);
    let (own, rhs) = (&u[1].row(j)[..side], &rhs[..side]);
    for i in 0..side {
        out[i] = rhs[i]
            - CENTRE * own[i]
            - EDGE * (far_here[i] + near_left[i] + near_right[i])
            - CORNER * (far_left[i] + far_right[i]);
    }
}

/// Row `j` of `u + S r`; weights of S are of the centre, face and edge (the corner's is 0).
#[inline(always)]
pub fn smooth(out: &mut [f64], u: &[f64], r: [Plane<'_>; 3], j: isize, weights: [f64; 3], lines: &mut Lines) {
    let side = out.len();
    own_line(&mut lines.own[..side + 2], r[1].row(j));
    let (near, far) = (&mut lines.near[..side + 2], &mut lines.far[..side + 2]);
    transverse(near, far, r, j);
    let [near_left, near_here, near_right] = shifted(near, side);
    let [left, here, right] = shifted(&lines.own, side);
    let (far, u) = (&far[1..side + 1], &u[..side]);
    let [centre, face, edge] = weights;
    for i in 0..side {
        out[i] = u[i]
            + centre * here[i]
            + face * (left[i] + right[i] + near_here[i])
            + edge * (far[i] + near_left[i] + near_right[i]);
    }
}

#[inline(always)]
fn own_line(line: &mut [f64], row: &[f64]) {
    let side = row.len();
    line[1..side + 1].copy_from_slice(row);
    wrap(line);
}

/// Coarse row `j` of the projection of three fine planes, of which the middle one carries the coarse plane.
///
/// Coarse point (i, j, k) lies on fine point (2 i + 1, 2 j + 1, 2 k + 1); weights halve with each class of
/// distance, so the projection along the row is the same as across it.
#[inline(always)]
pub fn project(out: &mut [f64], fine: [Plane<'_>; 3], j: isize, lines: &mut Lines) {
    let side = 2 * out.len();
    let middle = 2 * j + 1;
    let (near, far) = (&mut lines.near[..side + 2], &mut lines.far[..side + 2]);
    transverse(near, far, fine, middle);
    let own = &fine[1].row(middle)[..side];
    let (near, far) = (&mut near[1..side + 1], &far[1..side + 1]);
    for i in 0..side {
        near[i] = 0.5 * own[i] + 0.25 * near[i] + 0.125 * far[i];
    }
    // The line again, from its first point, with that point repeated behind the last.
    let line = &mut lines.near[1..side + 2];
    line[side] = line[0];
    let line = &line[..side + 1];
    for (i, out) in out.iter_mut().enumerate() {
        *out = line[2 * i + 1] + 0.5 * (line[2 * i] + line[2 * i + 2]);
    }
}

/// A row of fine values between coarse planes, trilinear: fine row `j` of the plane that lies between
/// `coarse` planes, which are the same plane twice where it lies on one.
#[inline(always)]
pub fn interpolate(
    out: &mut [f64],
    add_to: Option<&[f64]>,
    coarse: [Plane<'_>; 2],
    j: isize,
    lines: &mut Lines,
) {
    let half = out.len() / 2;
    let line = &mut lines.near[..half + 2];
    // Odd rows lie on a coarse row, even ones between two.
    let (low, high) = if j & 1 == 1 { ((j - 1) / 2, (j - 1) / 2) } else { (j / 2 - 1, j / 2) };
    sum_of_four(line, [coarse[0].row(low), coarse[0].row(high), coarse[1].row(low), coarse[1].row(high)]);
    let line = &line[..half + 1];
    let pairs = &mut out[..2 * half];
    match add_to {
        None => {
            for i in 0..half {
                pairs[2 * i] = 0.125 * (line[i] + line[i + 1]);
                pairs[2 * i + 1] = 0.25 * line[i + 1];
            }
        }
        Some(old) => {
            let old = &old[..2 * half];
            for i in 0..half {
                pairs[2 * i] = old[2 * i] + 0.125 * (line[i] + line[i + 1]);
                pairs[2 * i + 1] = old[2 * i + 1] + 0.25 * line[i + 1];
            }
        }
    }
}

/// The sum of squares, in lanes.
#[inline(always)]
pub fn squares(row: &[f64]) -> f64 {
    const LANES: usize = 8;
    let mut lanes = [0.0; LANES];
    let mut chunks = row.chunks_exact(LANES);
    for chunk in &mut chunks {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *lane += value * value;
        }
    }
    let rest: f64 = chunks.remainder().iter().map(|value| value * value).sum();
    lanes.iter().sum::<f64>() + rest
}
