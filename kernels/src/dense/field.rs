//! Matrices as the library that factorises them needs them: column-major, and finite.
//!
//! A matrix is kept as the rows of its transpose, in one shared array: some columns are neighbouring rows of
//! that array, so a grant of them is a slice.

use crate::error::{KernelError, check_shape};
use crate::inline::{is_inline, repeatable};
use crate::input::Input;
use faer::{MatMut, MatRef, Par};
use ndarray::Ix2;
use phalanx::{Pool, Shape, SharedArray};

/// The library computes in the calling thread: sharing out is done here.
pub(super) const ALONE: Par = Par::Seq;

/// Columns of a panel, which the caller factorises, and of a chunk that a worker updates.
pub(super) const PANEL: usize = 64;

/// Right-hand sides of a chunk.
pub(super) const SIDES: usize = 32;

/// Rows and columns up to which the caller factorises a matrix by itself, in one panel.
const INLINE_SIDE: usize = 160;

/// Columns of a panel for a matrix of these extents. Depends on them only.
pub(super) fn panel_of(m: usize, n: usize) -> usize {
    if is_inline(0) && m.saturating_mul(n) <= INLINE_SIDE * INLINE_SIDE { n.max(1) } else { PANEL }
}

/// Columns in a slice.
pub(super) fn of<T>(columns: &[T], m: usize) -> MatRef<'_, T> {
    MatRef::from_column_major_slice(columns, m, columns.len().checked_div(m).unwrap_or(0))
}

/// Columns in a slice, to be changed.
pub(super) fn of_mut<T>(columns: &mut [T], m: usize) -> MatMut<'_, T> {
    let n = columns.len().checked_div(m).unwrap_or(0);
    MatMut::from_column_major_slice_mut(columns, m, n)
}

/// The columns of a matrix as rows, all of them finite.
pub(super) fn columns_of<T: super::Product>(
    pool: &Pool,
    what: &'static str,
    a: &impl Input<Elem = T, Dim = Ix2>,
) -> Result<SharedArray<T, Ix2>, KernelError> {
    let (m, n) = a.view().dim();
    let mut columns = pool.zeros_nd::<T, _>((n, m))?;
    super::transpose(pool, a, &mut columns)?;
    match first_not_finite(pool, &columns)? {
        None => Ok(columns),
        Some(place) => {
            let (row, column) = (place % m, place / m);
            let value = columns.as_slice()[place];
            Err(KernelError::NotFinite { what, at: vec![row, column], value: value.to_string() })
        }
    }
}

/// The place of the first element that is NaN or infinite, in the order of memory.
pub(super) fn first_not_finite<T: super::Product, D: Shape>(
    pool: &Pool,
    x: &SharedArray<T, D>,
) -> Result<Option<usize>, KernelError> {
    let place = if is_inline(x.len()) {
        not_finite(x.as_slice(), 0)
    } else {
        let least = |x: &[T], span: std::ops::Range<usize>| not_finite(x, span.start);
        repeatable(pool).reduce(
            (x.split_flat(), 0..x.len()),
            usize::MAX as u64,
            move |(x, span)| least(x, span),
            |a, b| a.min(b),
        )?
    };
    Ok(usize::try_from(place).ok().filter(|place| *place != usize::MAX))
}

fn not_finite<T: super::Product>(x: &[T], first: usize) -> u64 {
    x.iter().position(|x| !x.is_finite()).map_or(u64::MAX, |at| (first + at) as u64)
}

/// Refuses a matrix that is not square.
pub(super) fn check_square(what: &'static str, (m, n): (usize, usize)) -> Result<usize, KernelError> {
    check_shape(what, &[m, m], &[m, n])?;
    Ok(m)
}

/// How many right-hand sides an array of `n` rows has: a vector is one, a matrix has its columns.
pub(super) fn sides_of(what: &'static str, n: usize, shape: &[usize]) -> Result<usize, KernelError> {
    match shape {
        [rows] if *rows == n => Ok(1),
        [rows, sides] if *rows == n => Ok(*sides),
        [_, sides, ..] => Err(KernelError::Shape { what, expected: vec![n, *sides], got: shape.to_vec() }),
        _ => Err(KernelError::Shape { what, expected: vec![n], got: shape.to_vec() }),
    }
}

/// Sets `x` to what `solve` makes of the right-hand sides `b` of a system with `n` unknowns, whose columns it gets
/// as rows. `solvable` is an error where the system has no solution, which is reported after shapes that differ.
pub(super) fn solve_sides<T: super::Product, D: Shape>(
    pool: &Pool,
    n: usize,
    b: &impl Input<Elem = T, Dim = D>,
    x: &mut SharedArray<T, D>,
    solvable: Result<(), KernelError>,
    solve: impl FnOnce(&mut SharedArray<T, Ix2>) -> Result<(), KernelError>,
) -> Result<(), KernelError> {
    let sides = sides_of("the right-hand side of a linear system", n, &b.shape())?;
    check_shape("the solution of a linear system", &b.shape(), x.shape())?;
    solvable?;
    if x.is_empty() {
        return Ok(());
    }
    let mut columns = columns_of_sides(pool, b, n, sides)?;
    solve(&mut columns)?;
    put_sides(pool, &columns, x)
}

/// The columns of `b`, which has `n` rows of `sides` elements, as rows.
pub(super) fn columns_of_sides<T: super::Product, D: Shape>(
    pool: &Pool,
    b: &impl Input<Elem = T, Dim = D>,
    n: usize,
    sides: usize,
) -> Result<SharedArray<T, Ix2>, KernelError> {
    let mut columns = pool.zeros_nd::<T, _>((sides, n))?;
    if columns.is_empty() {
        return Ok(columns);
    }
    if is_inline(b.len()) {
        gather(columns.as_mut_slice(), &b.elements(), 0, n);
        return Ok(columns);
    }
    let b = b.share(pool)?;
    let operands = (columns.split_out(), 0..sides, b.whole_flat(), n);
    repeatable(pool).chunk(SIDES).for_each(operands, |(mut columns, span, b, n)| {
        let Some(columns) = columns.as_slice_mut() else { return };
        gather(columns, b, span.start, n);
    })?;
    Ok(columns)
}

/// The reverse of [`columns_of_sides`], for the first rows of columns as long as `out` has rows.
pub(super) fn put_sides<T: super::Product, D: Shape>(
    pool: &Pool,
    columns: &SharedArray<T, Ix2>,
    out: &mut SharedArray<T, D>,
) -> Result<(), KernelError> {
    let (sides, len) = columns.dim();
    if out.is_empty() {
        return Ok(());
    }
    if is_inline(out.len()) {
        scatter(out.as_mut_slice(), columns.as_slice(), 0, (sides, len));
        return Ok(());
    }
    let total = out.len();
    let operands = (out.split_flat_out(), 0..total, columns.whole_flat(), [sides, len]);
    repeatable(pool).chunk(sides * SIDES).for_each(operands, |(out, span, columns, [sides, len])| {
        scatter(out, columns, span.start / sides, (sides, len));
    })?;
    Ok(())
}

/// Sets columns `first..` from rows.
fn gather<T: Copy>(columns: &mut [T], rows: &[T], first: usize, n: usize) {
    let (count, sides) = (columns.len() / n, rows.len() / n);
    for (i, row) in rows.chunks_exact(sides).enumerate() {
        for j in 0..count {
            columns[j * n + i] = row[first + j];
        }
    }
}

/// Sets rows `first..` from columns of `len` elements.
fn scatter<T: Copy>(rows: &mut [T], columns: &[T], first: usize, (sides, len): (usize, usize)) {
    for (i, row) in rows.chunks_mut(sides).enumerate() {
        for (j, to) in row.iter_mut().enumerate() {
            *to = columns[j * len + first + i];
        }
    }
}
