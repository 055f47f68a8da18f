//! Matrix times matrix.
//!
//! The result is cut into tiles, each of which one worker computes with the [`gemm`](https://docs.rs/gemm)
//! crate, single-threaded. That crate was the fastest of those compared: float64, 2048 x 2048 x 2048, one
//! core of a Sapphire Rapids server, 2026-11: gemm 0.19 with AVX-512 80 Gflop/s, matrixmultiply 0.3 (AVX2) 55
//! Gflop/s.
//!
//! # Safety
//! The library is handed pointers to row-major matrices whose extents were checked; tiles of the result are
//! disjoint.
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use super::Product;
use crate::error::{KernelError, check_shape};
use crate::inline::repeatable;
use crate::input::Input;
use ndarray::Ix2;
use phalanx::{Pool, SharedArray};

/// Rows and columns of which a tile has at least about so many, as far as the result has them. No fewer than
/// 65: up to there, or with a single row or column, the library sums in another order.
const LEAST: usize = 128;
/// Rows and columns of tiles are multiples of this, but for the last ones.
const STEP: usize = 16;
/// What packing its operands adds to a tile's time, per row or column of the tile: its time is as if it had
/// so many rows and columns more. Measured as above, one core: tiles of 1024 x 512 cost 1.8 % over one call
/// for all, tiles of 512 x 512 cost 6 %.
const PACKING: f64 = 12.0;
/// Multiplications below which the caller does them: some 50 us, as much as waking a worker costs.
const INLINE_PRODUCTS: usize = 1 << 20;

/// Sets `c` to `alpha * A B + beta * C` for `a` of `m x k`, `b` of `k x n` and `c` of `m x n`.
///
/// If `beta` is 0, the old `c` is not read; if `alpha` or `k` is 0, the products are 0. Otherwise NaN and
/// infinities propagate as in IEEE 754. Sums may use fused multiply-adds. Each element is summed in the same
/// order in every tile, so the bits do not depend on the number of workers. They may depend on the CPU, since
/// the library adapts to its caches. Cost: `2 m n k` operations. The caller alone computes products of fewer than 2^20
/// multiplications.
///
/// # Errors
/// `Shape` if the shapes do not match; `Launch`, `Memory`.
///
/// ```
/// use phalanx_kernels::dense;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = phalanx::Pool::builder().workers(2).build()?;
/// let a = pool.from_shape_fn((200, 300), |(i, j)| (i + j) as f64)?;
/// let b = pool.from_shape_fn((300, 100), |(i, j)| if i == j { 2.0 } else { 0.0 })?;
/// let mut c = pool.zeros_nd((200, 100))?;
/// dense::gemm(&pool, 1.0, &a, &b, 0.0, &mut c)?;
/// assert_eq!(c.view()[(120, 70)], 380.0);
/// # Ok(())
/// # }
/// ```
#[doc(alias = "dgemm", alias = "matmul")]
pub fn gemm<T: Product>(
    pool: &Pool,
    alpha: T,
    a: &impl Input<Elem = T, Dim = Ix2>,
    b: &impl Input<Elem = T, Dim = Ix2>,
    beta: T,
    c: &mut SharedArray<T, Ix2>,
) -> Result<(), KernelError> {
    let ((m, k), n) = (a.view().dim(), b.view().dim().1);
    check_shape("the right factor of a matrix product", &[k, n], &b.shape())?;
    check_shape("the result of a matrix product", &[m, n], c.shape())?;
    if c.is_empty() {
        return Ok(());
    }
    if m.saturating_mul(n).saturating_mul(k) < inline_products() {
        let (a, b) = (a.elements(), b.elements());
        let whole = Tile { rows: (0, m), columns: (0, n) };
        // SAFETY: the slice is the whole result, borrowed exclusively.
        unsafe { product(whole, [m, n, k], [alpha, beta], &a, &b, c.as_mut_slice().as_mut_ptr()) };
        return Ok(());
    }
    let (a, b) = (a.share(pool)?, b.share(pool)?);
    let cut = Cut::new(m, n, pool.workers());
    let operands = (c.scatter(), a.whole(), b.whole(), 0..cut.count(), ([alpha, beta], cut.parts));
    // With beta 0 nothing of c is read: a tile whose worker died may be written again.
    let launch = if beta == T::ZERO { repeatable(pool).retry_in_place() } else { pool.launch() };
    launch.chunk(1).for_each(operands, |(c, a, b, tiles, (factors, parts))| {
        let ((m, k), n) = (a.dim(), b.ncols());
        let (Some(a), Some(b)) = (a.as_slice(), b.as_slice()) else { return };
        let cut = Cut { shape: (m, n), parts };
        for index in tiles {
            // SAFETY: the result has m x n elements (checked before the launch); each tile belongs to one
            // chunk.
            unsafe { product(cut.tile(index), [m, n, k], factors, a, b, c.as_mut_ptr()) };
        }
    })?;
    Ok(())
}

fn inline_products() -> usize {
    if crate::inline::is_inline(0) { INLINE_PRODUCTS } else { 0 }
}

/// Some rows and columns of the result, as first and one past the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Tile {
    rows: (usize, usize),
    columns: (usize, usize),
}

/// How a result is cut into tiles: into so many rows of tiles and columns of tiles, of nearly equal sizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cut {
    shape: (usize, usize),
    parts: [usize; 2],
}

impl Cut {
    /// The cut whose tiles take `workers` the least time, as far as that can be foreseen: each of them does
    /// the same number of tiles, and about a quarter of a tile is waited for at the end.
    #[expect(clippy::arithmetic_side_effects, reason = "there are fewer tiles than elements of the result")]
    fn new(m: usize, n: usize, workers: usize) -> Cut {
        let most = |len: usize| (len / LEAST).clamp(1, 64);
        let cuts = (1..=most(m)).flat_map(|down| (1..=most(n)).map(move |across| [down, across]));
        let time = |[down, across]: &[usize; 2]| {
            let (rows, columns) = (m as f64 / *down as f64, n as f64 / *across as f64);
            let waited = if workers > 1 { 0.25 } else { 0.0 };
            let each = (down * across).div_ceil(workers.max(1)) as f64 + waited;
            each * (rows + PACKING) * (columns + PACKING)
        };
        let parts = cuts.min_by(|one, other| time(one).total_cmp(&time(other))).unwrap_or([1, 1]);
        Cut { shape: (m, n), parts }
    }

    #[expect(clippy::arithmetic_side_effects, reason = "there are fewer tiles than elements of the result")]
    fn count(&self) -> usize {
        self.parts[0] * self.parts[1]
    }

    /// Tiles are counted down the columns, so that neighbours share a panel of the right factor.
    #[expect(clippy::arithmetic_side_effects, reason = "a tile is one of at least one")]
    fn tile(&self, index: usize) -> Tile {
        let [down, across] = self.parts;
        Tile {
            rows: part(self.shape.0, index % down, down),
            columns: part(self.shape.1, index / down, across),
        }
    }
}

/// Part `index` of `count` of `0..len`, as first and one past the last.
#[expect(clippy::arithmetic_side_effects, reason = "lengths of an array in memory, and few parts")]
fn part(len: usize, index: usize, count: usize) -> (usize, usize) {
    let steps = len.div_ceil(STEP);
    let start = |index: usize| (steps * index / count * STEP).min(len);
    (start(index), start(index + 1))
}

/// Computes one tile of `c` (`m x n`) from all of `a` (`m x k`) and `b` (`k x n`).
///
/// # Safety
/// `c` points to `m x n` elements. During the call nothing else reads or writes those of the tile, and no
/// reference to them is used.
#[expect(clippy::arithmetic_side_effects, reason = "the tile lies inside the matrices, as asserted")]
unsafe fn product<T: Product>(
    tile: Tile,
    [m, n, k]: [usize; 3],
    [alpha, beta]: [T; 2],
    a: &[T],
    b: &[T],
    c: *mut T,
) {
    let (rows, columns) = (tile.rows.0..tile.rows.1, tile.columns.0..tile.columns.1);
    assert!(rows.end <= m && columns.end <= n);
    assert!(m.checked_mul(k) == Some(a.len()) && k.checked_mul(n) == Some(b.len()));
    let (top, left) = (rows.start, columns.start);
    let (a, b) = (a.as_ptr().wrapping_add(top * k), b.as_ptr().wrapping_add(left));
    let c = c.wrapping_add(top * n + left);
    // In the library's words alpha belongs to the old result and beta to the product.
    // SAFETY: rows of stride k, n and n elements lie inside the matrices; the tile is this call's own.
    unsafe {
        gemm::gemm(
            rows.len(),
            columns.len(),
            k,
            c,
            1,
            n as isize,
            beta != T::ZERO,
            a,
            1,
            k as isize,
            b,
            1,
            n as isize,
            beta,
            alpha,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "a test may fail by panicking")]
mod tests {
    use super::*;
    use crate::inline::launching;
    use crate::testing::{Dice, pools};
    use ndarray::Array2;
    use proptest::prelude::*;

    fn random(m: usize, n: usize, dice: &mut Dice) -> Array2<f64> {
        Array2::from_shape_vec((m, n), dice.units(m * n)).unwrap()
    }

    fn naive(alpha: f64, a: &Array2<f64>, b: &Array2<f64>, beta: f64, c: &Array2<f64>) -> Array2<f64> {
        Array2::from_shape_fn(c.dim(), |(i, j)| {
            let product: f64 = (0..a.ncols()).map(|l| a[(i, l)] * b[(l, j)]).sum();
            alpha * product + if beta == 0.0 { 0.0 } else { beta * c[(i, j)] }
        })
    }

    fn close(got: &ndarray::ArrayView2<'_, f64>, want: &Array2<f64>, terms: usize) -> bool {
        got.iter().zip(want).all(|(a, b)| (a - b).abs() <= 1e-14 * (terms + 1) as f64)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn it_agrees_with_the_naive_twin(
            m in 0usize..300, n in 0usize..300, k in 0usize..40, seed: u64, which in 0usize..4, beta in 0u8..2, inline: bool,
        ) {
            let (pool, beta, mut dice) = (&pools()[which], f64::from(beta), Dice(seed));
            let (a, b, c) = (random(m, k, &mut dice), random(k, n, &mut dice), random(m, n, &mut dice));
            let mut out = SharedArray::from_ndarray(&c).unwrap();
            if inline {
                gemm(pool, 1.5, &a, &b, beta, &mut out).unwrap();
            } else {
                launching(|| gemm(pool, 1.5, &a, &b, beta, &mut out)).unwrap();
            }
            prop_assert!(close(&out.view(), &naive(1.5, &a, &b, beta, &c), k));
        }

        #[test]
        fn tiles_cover_the_result_once(m in 1usize..5000, n in 1usize..5000, workers in 1usize..70) {
            let cut = Cut::new(m, n, workers);
            let tiles = || (0..cut.count()).map(|index| cut.tile(index));
            let area: usize = tiles().map(|tile| (tile.rows.1 - tile.rows.0) * (tile.columns.1 - tile.columns.0)).sum();
            prop_assert_eq!(area, m * n);
            prop_assert_eq!(cut.tile(cut.count() - 1).rows.1, m);
            prop_assert_eq!(cut.tile(cut.count() - 1).columns.1, n);
            for tile in tiles() {
                prop_assert!(tile.rows.1 - tile.rows.0 > 64 || cut.parts[0] == 1);
                prop_assert!(tile.columns.1 - tile.columns.0 > 64 || cut.parts[1] == 1);
            }
        }
    }

    #[test]
    fn every_worker_gets_tiles_and_no_more_are_cut_than_that_takes() {
        assert_eq!(Cut::new(100, 100, 16).count(), 1);
        for workers in [1, 2, 7, 16, 64] {
            let count = Cut::new(2048, 2048, workers).count();
            assert!(count >= workers && count <= 10 * workers.max(2), "{count} tiles for {workers} workers");
        }
    }

    #[test]
    fn the_bits_do_not_depend_on_how_the_result_is_cut() {
        let mut dice = Dice(5);
        // Longer sums than the library makes in one go, and sizes that are no multiples of anything.
        let ((m, n, k), factors) = ((523, 391, 1301), [1.5, 0.25]);
        let (a, b, c) = (dice.units(m * k), dice.units(k * n), dice.units(m * n));
        let run = |cut: Cut| {
            let mut c = c.clone();
            for index in 0..cut.count() {
                // SAFETY: a result of this function's own, and one tile at a time.
                unsafe { product(cut.tile(index), [m, n, k], factors, &a, &b, c.as_mut_ptr()) };
            }
            c
        };
        let whole = run(Cut { shape: (m, n), parts: [1, 1] });
        for parts in [[4, 1], [1, 3], [2, 2], [4, 3]] {
            assert!(run(Cut { shape: (m, n), parts }) == whole, "{parts:?}");
        }
    }

    #[test]
    fn the_bits_do_not_depend_on_workers() {
        let mut dice = Dice(3);
        let (a, b) = (random(310, 200, &mut dice), random(200, 290, &mut dice));
        let run = |pool: &Pool| {
            let mut c = SharedArray::zeros((310, 290)).unwrap();
            gemm(pool, 1.0, &a, &b, 0.0, &mut c).unwrap();
            c.to_vec()
        };
        let first = run(&pools()[0]);
        assert!(pools().iter().all(|pool| run(pool) == first));
    }

    #[test]
    fn with_beta_zero_the_old_result_is_not_read_and_nan_of_inputs_spreads() {
        let pool = &pools()[1];
        let mut a = Array2::from_elem((130, 70), 1.0);
        a[(3, 5)] = f64::NAN;
        let mut c = SharedArray::from_shape_fn((130, 150), |_| f64::NAN).unwrap();
        gemm(pool, 1.0, &a, &Array2::ones((70, 150)), 0.0, &mut c).unwrap();
        assert!(c.view().row(3).iter().all(|c| c.is_nan()));
        assert!(c.view().row(4).iter().all(|c| *c == 70.0));
        let mut c = SharedArray::from_shape_fn((130, 150), |_| f64::NAN).unwrap();
        gemm(pool, 1.0, &Array2::zeros((130, 0)), &Array2::zeros((0, 150)), 0.0, &mut c).unwrap();
        assert!(c.as_slice().iter().all(|c| *c == 0.0), "no products sum to zero");
    }

    #[test]
    fn wrong_shapes_are_refused() {
        let pool = &pools()[1];
        let a = Array2::<f32>::zeros((3, 4));
        let mut c = SharedArray::zeros((3, 5)).unwrap();
        let refused = gemm(pool, 1.0, &a, &Array2::zeros((3, 5)), 0.0, &mut c);
        assert!(matches!(refused, Err(KernelError::Shape { .. })));
        let refused = gemm(pool, 1.0, &a, &Array2::zeros((4, 6)), 0.0, &mut c);
        assert!(matches!(refused, Err(KernelError::Shape { .. })));
    }
}
