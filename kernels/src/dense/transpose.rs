//! Transposes: `out[j][i] = a[i][j]`.
//!
//! Every element is read once and written once; what matters is the cache lines. A tile is gathered row by
//! row into a buffer of the first-level cache and written out column by column, so that every cache line of
//! both matrices is touched once, in one go: with a power of two as row length all rows of a tile fall into
//! the same few sets of the cache, which evict each other before their next element would be needed.
//!
//! # Safety
//! In place, a chunk owns pairs of tiles that mirror each other; pairs are disjoint.
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use crate::error::{KernelError, check_shape};
use crate::inline::{is_inline, repeatable};
use crate::input::Input;
use ndarray::Ix2;
use phalanx::{Element, Pool, SharedArray, grant};

/// Side of a tile: 32 rows of 32 float64 are 8 KiB, so that buffer and lines in flight fit into any
/// first-level cache.
const TILE: usize = 32;
/// Bytes of an element up to which tiles are used: larger ones fill lines of their own, and their tiles no
/// stack.
const TILED_BYTES: usize = 64;
/// Rows of the result that a chunk covers at least: one tile.
const CHUNK_ROWS: usize = TILE;

/// Writes the transpose of `a` (`m x n`) to `out` (`n x m`).
///
/// Cost: `2 m n` elements of memory traffic, no arithmetic. Elements, NaN included, keep their bits.
///
/// # Errors
/// `Shape` if `out` is not `n x m`; `Launch`, `Memory`.
///
/// ```
/// use phalanx_kernels::dense;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = phalanx::Pool::builder().workers(2).build()?;
/// let a = pool.from_shape_fn((300, 500), |(i, j)| (1000 * i + j) as u32)?;
/// let mut b = pool.zeros_nd((500, 300))?;
/// dense::transpose(&pool, &a, &mut b)?;
/// assert_eq!(b.view()[(499, 7)], 7_499);
/// # Ok(())
/// # }
/// ```
pub fn transpose<T: Element>(
    pool: &Pool,
    a: &impl Input<Elem = T, Dim = Ix2>,
    out: &mut SharedArray<T, Ix2>,
) -> Result<(), KernelError> {
    let (m, n) = a.view().dim();
    check_shape("the transposed matrix", &[n, m], out.shape())?;
    if is_inline(a.len()) {
        out.view_mut().assign(&a.view().t());
        return Ok(());
    }
    let a = a.share(pool)?;
    let chunk = chunk_rows(n, m.saturating_mul(size_of::<T>()));
    repeatable(pool).chunk(chunk).for_each((out.split_out(), a.whole(), 0..n), |(mut out, a, columns)| {
        // Row-major and whole, so both are slices.
        if let (Some(out), Some(all)) = (out.as_slice_mut(), a.as_slice()) {
            let (m, n) = a.dim();
            if size_of::<T>() <= TILED_BYTES {
                transpose_columns(all, m, n, columns, out);
            } else {
                let row = |column: usize| all[column..].iter().step_by(n);
                out.chunks_exact_mut(m.max(1)).zip(columns).for_each(|(to, column)| {
                    to.iter_mut().zip(row(column)).for_each(|(to, from)| *to = *from);
                });
            }
        }
    })?;
    Ok(())
}

/// Rows of the result in one chunk: whole tiles, about 1 MiB, and at least 16 chunks where there are as many
/// tiles.
fn chunk_rows(rows: usize, row_bytes: usize) -> usize {
    let wanted = (1usize << 20).checked_div(row_bytes).unwrap_or(usize::MAX).min(rows / 16);
    wanted.next_multiple_of(TILE).max(CHUNK_ROWS)
}

/// Writes columns `columns` of the `m x n` matrix `a` as rows to `out`.
#[expect(clippy::arithmetic_side_effects, reason = "tiles of a matrix in memory, whose slices are indexed")]
fn transpose_columns<T: Element>(
    a: &[T],
    m: usize,
    n: usize,
    columns: std::ops::Range<usize>,
    out: &mut [T],
) {
    let mut buffer = [T::zeroed(); TILE * TILE];
    for left in columns.clone().step_by(TILE) {
        let width = TILE.min(columns.end - left);
        let place = left - columns.start;
        for top in (0..m).step_by(TILE) {
            let height = TILE.min(m - top);
            for (i, row) in buffer.chunks_exact_mut(TILE).take(height).enumerate() {
                let start = (top + i) * n + left;
                row[..width].copy_from_slice(&a[start..start + width]);
            }
            for j in 0..width {
                let start = (place + j) * m + top;
                let to = &mut out[start..start + height];
                for (i, to) in to.iter_mut().enumerate() {
                    *to = buffer[i * TILE + j];
                }
            }
        }
    }
}

/// Transposes a square matrix in place.
///
/// Cost: `2 n^2` elements of memory traffic, half the memory of [`transpose`].
///
/// # Errors
/// `Shape` if the matrix is not square; `Launch`. If a worker dies, the call fails and part of the matrix is
/// transposed.
///
/// ```
/// use phalanx_kernels::dense;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = phalanx::Pool::builder().workers(2).build()?;
/// let mut a = pool.from_shape_fn((200, 200), |(i, j)| (1000 * i + j) as u64)?;
/// dense::transpose_in_place(&pool, &mut a)?;
/// assert_eq!(a.view()[(3, 141)], 141_003);
/// # Ok(())
/// # }
/// ```
#[expect(clippy::arithmetic_side_effects, reason = "units are half of the tile rows")]
pub fn transpose_in_place<T: Element>(pool: &Pool, a: &mut SharedArray<T, Ix2>) -> Result<(), KernelError> {
    let (m, n) = a.dim();
    check_shape("a matrix to be transposed in place", &[m, m], &[m, n])?;
    if is_inline(a.len()) {
        let mut view = a.view_mut();
        for i in 0..n {
            for j in 0..i {
                view.swap((i, j), (j, i));
            }
        }
        return Ok(());
    }
    let tiles = n.div_ceil(TILE);
    // Row k of tiles below the diagonal together with row `tiles - 1 - k`: every unit has as many tiles.
    let units = tiles.div_ceil(2);
    pool.launch().chunk(1).for_each((a.scatter(), 0..units, [n as u64]), |(a, units, [n])| {
        let n = n as usize;
        let last = n.div_ceil(TILE).saturating_sub(1);
        let rows =
            units.flat_map(|unit| std::iter::once(unit).chain((last - unit != unit).then_some(last - unit)));
        if size_of::<T>() <= TILED_BYTES { swap_by_tiles(&a, n, rows) } else { swap_singly(&a, n, rows) }
    })?;
    Ok(())
}

/// Exchanges the elements of some tile rows, up to the diagonal, with their mirrors, tile by tile.
fn swap_by_tiles<T: Element>(a: &grant::ScatterView<'_, T>, n: usize, rows: impl Iterator<Item = usize>) {
    let mut buffer = [T::zeroed(); TILE * TILE];
    rows.for_each(|row| swap_tile_row(a, n, row, &mut buffer));
}

/// The same, element by element.
#[expect(clippy::arithmetic_side_effects, reason = "places of a matrix in memory, which the view checks")]
fn swap_singly<T: Element>(a: &grant::ScatterView<'_, T>, n: usize, rows: impl Iterator<Item = usize>) {
    for i in rows.flat_map(|row| row * TILE..n.min((row + 1) * TILE)) {
        for j in 0..i {
            // SAFETY: a pair is visited by one chunk only, the one that has its tile row; no other slice of
            // it lives.
            let below = unsafe { a.slice_mut(i * n + j..i * n + j + 1) };
            // SAFETY: as above; the mirror is another element.
            let above = unsafe { a.slice_mut(j * n + i..j * n + i + 1) };
            below.swap_with_slice(above);
        }
    }
}

/// Exchanges the tiles of tile row `row`, up to the diagonal, with their mirrors.
#[expect(clippy::arithmetic_side_effects, reason = "places of a matrix in memory, which the view checks")]
fn swap_tile_row<T: Element>(
    a: &grant::ScatterView<'_, T>,
    n: usize,
    row: usize,
    buffer: &mut [T; TILE * TILE],
) {
    let top = row * TILE;
    let height = TILE.min(n - top);
    for left in (0..=top).step_by(TILE) {
        let width = TILE.min(n - left);
        // SAFETY: elements (top.., left..) of this tile or of its mirror. A pair is visited by one chunk
        // only, the one that has its tile row; no two slices live at once.
        let line = |i: usize, j: usize, len: usize| unsafe { a.slice_mut(i * n + j..i * n + j + len) };
        // The tile goes to the buffer, its mirror into the tile, the buffer into the mirror.
        for i in 0..height {
            buffer[i * TILE..i * TILE + width].copy_from_slice(line(top + i, left, width));
        }
        if left != top {
            let mut mirror = [T::zeroed(); TILE * TILE];
            for j in 0..width {
                mirror[j * TILE..j * TILE + height].copy_from_slice(line(left + j, top, height));
            }
            for i in 0..height {
                let to = line(top + i, left, width);
                for (j, to) in to.iter_mut().enumerate() {
                    *to = mirror[j * TILE + i];
                }
            }
        }
        for j in 0..width {
            let to = line(left + j, top, height);
            for (i, to) in to.iter_mut().enumerate() {
                *to = buffer[i * TILE + j];
            }
        }
    }
}

#[cfg(test)]
fn naive<T: Element>(a: &ndarray::ArrayView2<'_, T>) -> ndarray::Array2<T> {
    ndarray::Array2::from_shape_fn((a.ncols(), a.nrows()), |(i, j)| a[(j, i)])
}

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "a test may fail by panicking")]
mod tests {
    use super::*;
    use crate::inline::launching;
    use crate::testing::pools;
    use ndarray::Array2;
    use proptest::prelude::*;

    fn matrix(m: usize, n: usize) -> Array2<f32> {
        Array2::from_shape_fn((m, n), |(i, j)| (i * 10_000 + j) as f32)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn both_agree_with_the_naive_twin(m in 0usize..140, n in 0usize..140, which in 0usize..4) {
            let pool = &pools()[which];
            let a = matrix(m, n);
            let mut out = SharedArray::zeros((n, m)).unwrap();
            launching(|| transpose(pool, &a, &mut out)).unwrap();
            prop_assert_eq!(out.view(), naive(&a.view()));

            let square = matrix(n, n);
            let mut in_place = SharedArray::from_ndarray(&square).unwrap();
            launching(|| transpose_in_place(pool, &mut in_place)).unwrap();
            prop_assert_eq!(in_place.view(), naive(&square.view()));
        }
    }

    #[test]
    fn short_ones_are_transposed_by_the_caller() {
        let a = matrix(7, 5);
        let mut out = SharedArray::zeros((5, 7)).unwrap();
        transpose(&pools()[1], &a, &mut out).unwrap();
        assert_eq!(out.view(), naive(&a.view()));
        let mut square = SharedArray::from_ndarray(&matrix(9, 9)).unwrap();
        transpose_in_place(&pools()[1], &mut square).unwrap();
        assert_eq!(square.view(), naive(&matrix(9, 9).view()));
    }

    /// A tile of these would be as large as a worker's stack.
    #[test]
    fn elements_of_many_lines_are_transposed_too() {
        let pool = &pools()[1];
        for (m, n) in [(3, 5), (40, 33), (0, 3), (3, 0)] {
            let a = Array2::from_shape_fn((m, n), |(i, j)| [(100 * i + j) as u64; 1024]);
            let mut out = SharedArray::zeros((n, m)).unwrap();
            launching(|| transpose(pool, &a, &mut out)).unwrap();
            assert!(out.view() == naive(&a.view()));
        }
        for n in [0, 1, 3, 33, 65] {
            let a = Array2::from_shape_fn((n, n), |(i, j)| [(100 * i + j) as u64; 1024]);
            let mut out = SharedArray::from_ndarray(&a).unwrap();
            launching(|| transpose_in_place(pool, &mut out)).unwrap();
            assert!(out.view() == naive(&a.view()));
        }
    }

    #[test]
    fn wrong_shapes_are_refused_before_any_work() {
        let a = matrix(7, 5);
        let mut out = SharedArray::zeros((7, 5)).unwrap();
        let refused = transpose(&pools()[1], &a, &mut out);
        assert!(matches!(refused, Err(KernelError::Shape { .. })), "{refused:?}");
        assert!(out.as_slice().iter().all(|value| *value == 0.0));
        assert!(matches!(transpose_in_place(&pools()[1], &mut out), Err(KernelError::Shape { .. })));
    }
}
