//! The inner loops: a block of points beside centroids.
//!
//! A block is a few points, turned so that each vector register holds one coordinate of several points. The
//! squared distance of x and c is |x|^2 + 2 (|c|^2 / 2 - x c). Only the term in brackets depends on the
//! centroid, and it is a chain of fused multiply-adds: one per coordinate for as many points as a register
//! holds. Four centroids at a time keep enough chains going that none waits for the one before it.
//!
//! Coordinates are taken from an origin among the points, so that data far from zero keep their digits.

use phalanx_kernels::random::Draw;
use pulp::Arch;

/// Centroids whose chains run side by side.
const GROUP: usize = 4;

/// Numbers in a row of the table for points of that many coordinates.
pub fn row_len(dims: usize) -> usize {
    dims + 1
}

/// Writes a row of the table: half the square of the centroid's length, then its coordinates, negated.
pub fn write_row<T: Draw>(row: &mut [T], centroid: &[f64]) {
    for (to, x) in row[1..].iter_mut().zip(centroid) {
        *to = T::from_f64(-x);
    }
    // Of the rounded coordinates, which are those that the products see.
    let square = row[1..].iter().map(|x| f64_of(*x) * f64_of(*x)).sum::<f64>();
    row[0] = T::from_f64(square / 2.0);
}

/// As a float64, exactly.
#[inline(always)]
pub fn f64_of<T: Draw>(x: T) -> f64 {
    phalanx_kernels::Number::to_f64(x)
}

/// Calls `each` with every row of `rows` and the number of the centroid that is nearest to it, the first of
/// those equally near. `LANES` points are a block.
#[inline(always)]
pub fn with_nearest<T: Draw, const LANES: usize>(
    rows: &[T],
    origin: &[T],
    table: &[T],
    mut each: impl FnMut(&[T], usize),
) {
    vectorized(
        #[inline(always)]
        || {
            let mut block = vec![[T::ZERO; LANES]; origin.len()];
            for part in rows.chunks(LANES * origin.len()) {
                turn(part, origin, &mut block);
                let labels = nearest(&block, table);
                for (row, label) in part.chunks_exact(origin.len()).zip(labels) {
                    each(row, f64_of(label) as usize);
                }
            }
        },
    );
}

/// Lowers each of `least` to the squared distance between its row and `centre`.
pub fn lower_to_distance<T: Draw, const LANES: usize>(least: &mut [f64], rows: &[T], centre: &[T]) {
    vectorized(
        #[inline(always)]
        || {
            let mut block = vec![[T::ZERO; LANES]; centre.len()];
            for (least, part) in least.chunks_mut(LANES).zip(rows.chunks(LANES * centre.len())) {
                turn(part, centre, &mut block);
                let mut squares = [T::ZERO; LANES];
                for x in &block {
                    for lane in 0..LANES {
                        squares[lane] = x[lane].mul_add(x[lane], squares[lane]);
                    }
                }
                for (least, square) in least.iter_mut().zip(squares) {
                    *least = least.min(f64_of(square));
                }
            }
        },
    );
}

/// Runs `work`, all of which is to be inlined, compiled for the vectors of this CPU.
///
/// A function of its own, because a closure that is handed to `dispatch` directly is not known to be called
/// once only, and then its body is not inlined there.
#[inline(always)]
fn vectorized<R>(work: impl FnOnce() -> R) -> R {
    Arch::new().dispatch(work)
}

/// Turns up to `LANES` rows into columns, taken from `origin`. Lanes without a row keep what they have.
#[inline(always)]
fn turn<T: Draw, const LANES: usize>(rows: &[T], origin: &[T], block: &mut [[T; LANES]]) {
    for (lane, row) in rows.chunks_exact(origin.len()).enumerate() {
        for ((to, x), zero) in block.iter_mut().zip(row).zip(origin) {
            to[lane] = *x - *zero;
        }
    }
}

/// The number of the nearest centroid of each lane. As a float, which holds whole numbers up to 2^24 and is
/// chosen by the same mask as the distance.
#[inline(always)]
fn nearest<T: Draw, const LANES: usize>(block: &[[T; LANES]], table: &[T]) -> [T; LANES] {
    let mut best = Best { score: [T::HIGHEST; LANES], label: [T::ZERO; LANES], next: T::ZERO };
    let groups = table.chunks_exact(GROUP * row_len(block.len()));
    let rest = groups.remainder();
    for group in groups {
        for scores in scores::<T, LANES, GROUP>(block, group) {
            best.compare(scores);
        }
    }
    for row in rest.chunks_exact(row_len(block.len())) {
        let [scores] = scores::<T, LANES, 1>(block, row);
        best.compare(scores);
    }
    best.label
}

/// The nearest centroid of each lane so far.
struct Best<T, const LANES: usize> {
    score: [T; LANES],
    label: [T; LANES],
    /// The number of the centroid that is compared next.
    next: T,
}

impl<T: Draw, const LANES: usize> Best<T, LANES> {
    #[inline(always)]
    fn compare(&mut self, scores: [T; LANES]) {
        for ((best, label), score) in self.score.iter_mut().zip(&mut self.label).zip(scores) {
            let nearer = score < *best;
            *label = if nearer { self.next } else { *label };
            *best = if nearer { score } else { *best };
        }
        self.next = self.next + T::ONE;
    }
}

/// What the distances from some centroids depend on.
#[inline(always)]
fn scores<T: Draw, const LANES: usize, const ROWS: usize>(
    block: &[[T; LANES]],
    table: &[T],
) -> [[T; LANES]; ROWS] {
    let width = row_len(block.len());
    let rows: [&[T]; ROWS] = std::array::from_fn(|k| &table[k * width..][..width]);
    let mut scores = rows.map(|row| [row[0]; LANES]);
    for (i, x) in block.iter().enumerate() {
        for (score, row) in scores.iter_mut().zip(rows) {
            let c = row[1 + i];
            for lane in 0..LANES {
                score[lane] = x[lane].mul_add(c, score[lane]);
            }
        }
    }
    scores
}
