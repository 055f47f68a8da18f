//! A function over every line of an array along one of its axes, out of place.
//!
//! ```text
//! lines that are contiguous: a chunk of a launch is some whole lines
//! other lines: a tile of a launch is some neighbouring lines
//!     gather them from the input, each contiguous in a buffer
//!     run the function on each, into a second buffer
//!     scatter the results to the output
//! ```
//!
//! 1. Rows are moved a few at a time and as wide as a tile, so that of the input and the output whole cache lines
//!    are read and written, and each of them once.
//! 2. Which lines are worked on together depends on the shape alone, and no line on its neighbours, so results
//!    have the same bits for any number of workers.

use crate::error::KernelError;
use crate::inline::{is_inline, repeatable};
use crate::input::Input;
use crate::layout::Lines;
use bytemuck::Zeroable;
use ndarray::{ArrayView2, ArrayViewMut2, Axis, Ix3, ShapeBuilder, s};
use phalanx::{Element, Pool, Shape, SharedArray, Val};

/// Elements of a chunk of whole lines, about.
const CHUNK: usize = 1 << 14;
/// Bytes of a row that are moved together at most. A row of a large matrix lies in a page of its own, whose
/// address has to be looked up anew for each run.
const LONGEST_RUN_BYTES: usize = 512;
/// Bytes of a row that are moved together at least, where there are as many: a cache line.
const LEAST_RUN_BYTES: usize = 64;
/// Bytes of a block of lines in a buffer at most, while a run has a cache line: longer runs are worth more than
/// a block that fits the second-level cache (single-threaded over base pages, Fourier transforms of the columns of
/// 4096 x 4096 complex float64, runs of 64, 256 and 512 bytes: 220, 104 and 93 ms; AMD EPYC family 25, 2026-11-27).
const BLOCK_BYTES: usize = 2 << 20;
/// Rows that are moved together, so that of each line of the buffer whole cache lines are read and written.
const ROWS_AT_ONCE: usize = 8;
/// Between two lines of a buffer lies one cache line, so that lines as long as a power of two do not meet in one
/// set of the cache.
pub(crate) const PAD_BYTES: usize = 64;

/// What is done to a line.
pub(crate) trait Line: 'static {
    type In: Element;
    type Out: Element;
    /// What all lines need to know, small and plain.
    type About: bytemuck::NoUninit + bytemuck::AnyBitPattern + Send + Sync;
    /// The element of a table that all lines read.
    type Table: Element;
    /// Writes the whole of `out` from the line `x`, which it may use as scratch.
    fn line(about: &Self::About, table: &[Self::Table], x: &mut [Self::In], out: &mut [Self::Out]);
}

/// Runs `L` on every line of `x` along `axis`. The shapes of `x` and `out` differ along that axis at most.
pub(crate) fn along<L: Line, D: Shape>(
    pool: &Pool,
    out: &mut SharedArray<L::Out, D>,
    x: &(impl Input<Elem = L::In, Dim = D> + ?Sized),
    axis: usize,
    about: L::About,
    table: &[L::Table],
) -> Result<(), KernelError> {
    let (from, to) = (Lines::of(&x.shape(), axis), Lines::of(out.shape(), axis));
    if out.is_empty() {
        return Ok(());
    }
    if is_inline(out.len().max(x.len())) {
        let elements = x.elements();
        let work = Work::<L> { x: &elements, len: from.len, inner: from.inner, about: &about, table };
        if to.inner == 1 {
            work.whole_lines(out.as_mut_slice(), to.len, 0);
            return Ok(());
        }
        let shape = (to.outer, to.len, to.inner);
        for (at, to) in out.as_mut_slice().chunks_exact_mut(shape.1 * shape.2).enumerate() {
            if let Ok(view) = ArrayViewMut2::from_shape((shape.1, shape.2), to) {
                work.columns(view, at, 0);
            }
        }
        return Ok(());
    }
    let (x, table) = (x.share(pool)?, SharedArray::from_slice(table)?);
    let about = Val(about);
    if to.inner == 1 {
        let chunk = (CHUNK / from.len.max(to.len)).max(1) * to.len;
        let span = 0..out.len();
        let operands = (out.split_flat_out(), span, x.whole_flat(), [from.len, to.len], about, table.whole());
        repeatable(pool).chunk(chunk).for_each(operands, |(out, span, x, [len, to], about, table)| {
            Work::<L> { x, len, inner: 1, about: &about, table }.whole_lines(out, to, span.start / to);
        })?;
        return Ok(());
    }
    let longest = (from.len * size_of::<L::In>()).max(to.len * size_of::<L::Out>()).max(1);
    let width = run_of(longest, size_of::<L::In>().max(size_of::<L::Out>()), from.inner);
    let bundle = (CHUNK / (from.len.max(to.len) * width).max(1)).clamp(1, from.outer.max(1));
    lend(out, Ix3(to.outer, to.len, to.inner), |out| {
        let numbers = [from.len, from.inner];
        let tiles = out.tiles_out((bundle, to.len, width));
        let operands = (tiles, x.whole_flat(), numbers, about, table.whole());
        repeatable(pool).for_each(operands, |(mut tile, x, [len, inner], about, table)| {
            let work = Work::<L> { x, len, inner, about: &about, table };
            let (outer, _, column) = tile.origin;
            for (at, rows) in tile.view.outer_iter_mut().enumerate() {
                work.columns(rows, outer + at, column);
            }
        })?;
        Ok(())
    })
}

/// Elements of a row that are moved together: whole cache lines, more where lines are short, and few enough that
/// some tiles come of one row.
pub(crate) fn run_of(line_bytes: usize, element_bytes: usize, inner: usize) -> usize {
    let size = element_bytes.max(1);
    let most = (LONGEST_RUN_BYTES / size).max(1);
    let least = (LEAST_RUN_BYTES / size).clamp(1, most);
    (BLOCK_BYTES / line_bytes).clamp(least, most).min(inner.max(1))
}

/// Lends an array in another shape with as many elements.
pub(crate) fn lend<T: Element, D: Shape, E: Shape, R>(
    array: &mut SharedArray<T, D>,
    shape: E,
    work: impl FnOnce(&mut SharedArray<T, E>) -> Result<R, KernelError>,
) -> Result<R, KernelError> {
    let own = array.raw_dim().clone();
    let nothing = SharedArray::zeros(D::zeros(own.ndim()))?;
    let whole = std::mem::replace(array, nothing);
    match whole.reshape(shape) {
        Ok(mut lent) => {
            let result = work(&mut lent);
            if let Ok(back) = lent.reshape(own) {
                *array = back;
            }
            result
        }
        Err(whole) => {
            let got = whole.shape().to_vec();
            *array = whole;
            Err(KernelError::Shape {
                what: "an array in another shape",
                expected: vec![got.iter().product()],
                got,
            })
        }
    }
}

/// Lines of `x`, and what is done to them.
struct Work<'a, L: Line> {
    x: &'a [L::In],
    len: usize,
    inner: usize,
    about: &'a L::About,
    table: &'a [L::Table],
}

impl<L: Line> Work<'_, L> {
    /// Whole lines of the output, of `to` elements each, from number `first` on.
    fn whole_lines(&self, out: &mut [L::Out], to: usize, first: usize) {
        let mut line = vec![L::In::zeroed(); self.len];
        for (at, out) in out.chunks_exact_mut(to).enumerate() {
            line.copy_from_slice(&self.x[(first + at) * self.len..][..self.len]);
            L::line(self.about, self.table, &mut line, out);
        }
    }

    /// The columns of `out`, which are lines of slab `outer` from column `left` on.
    fn columns(&self, mut out: ArrayViewMut2<'_, L::Out>, outer: usize, left: usize) {
        let (to, all) = out.dim();
        let longest = (self.len * size_of::<L::In>()).max(to * size_of::<L::Out>()).max(1);
        let width = run_of(longest, size_of::<L::In>().max(size_of::<L::Out>()), all);
        let pads = (PAD_BYTES / size_of::<L::In>().max(1), PAD_BYTES / size_of::<L::Out>().max(1));
        let strides = (self.len + pads.0.max(1), to + pads.1.max(1));
        let mut lines = vec![L::In::zeroed(); width * strides.0];
        let mut results = vec![L::Out::zeroed(); width * strides.1];
        for column in (0..all).step_by(width) {
            let count = width.min(all - column);
            let start = outer * self.len * self.inner + left + column;
            gather(
                &rows(&self.x[start.min(self.x.len())..], self.len, count, self.inner),
                &mut lines,
                strides.0,
            );
            let each = lines.chunks_exact_mut(strides.0).zip(results.chunks_exact_mut(strides.1));
            for (line, result) in each.take(count) {
                L::line(self.about, self.table, &mut line[..self.len], &mut result[..to]);
            }
            scatter(&results, strides.1, &mut out.slice_mut(s![.., column..column + count]));
        }
    }
}

/// `len` rows of `width` elements, `stride` elements apart.
pub(crate) fn rows<T>(x: &[T], len: usize, width: usize, stride: usize) -> ArrayView2<'_, T> {
    let shape = (len, width).strides((stride, 1));
    ArrayView2::from_shape(shape, x).unwrap_or_else(|_| panic!("{len} rows of {width} lie inside"))
}

/// Copies the columns of `data`, whose rows are contiguous, to lines that begin `stride` elements apart.
pub(crate) fn gather<T: Copy>(data: &ArrayView2<'_, T>, lines: &mut [T], stride: usize) {
    for (bundle, rows) in data.axis_chunks_iter(Axis(0), ROWS_AT_ONCE).enumerate() {
        let at = bundle * ROWS_AT_ONCE;
        let mut each = rows.outer_iter().filter_map(|row| row.to_slice());
        let mut whole = [&[][..]; ROWS_AT_ONCE];
        whole.iter_mut().zip(&mut each).for_each(|(slot, row)| *slot = row);
        for (column, line) in lines.chunks_exact_mut(stride).take(data.ncols()).enumerate() {
            let to = &mut line[at..][..rows.nrows()];
            // The same for a known number, which the compiler unrolls.
            match <&mut [_; ROWS_AT_ONCE]>::try_from(&mut *to) {
                Ok(to) => to.iter_mut().zip(whole).for_each(|(to, row)| *to = row[column]),
                Err(_) => to.iter_mut().zip(whole).for_each(|(to, row)| *to = row[column]),
            }
        }
    }
}

/// Copies lines that begin `stride` elements apart to the columns of `data`, whose rows are contiguous.
pub(crate) fn scatter<T: Copy>(lines: &[T], stride: usize, data: &mut ArrayViewMut2<'_, T>) {
    let width = data.ncols();
    for (bundle, mut rows) in data.axis_chunks_iter_mut(Axis(0), ROWS_AT_ONCE).enumerate() {
        let (at, count) = (bundle * ROWS_AT_ONCE, rows.nrows());
        let mut each = rows.outer_iter_mut().filter_map(|row| row.into_slice());
        let mut whole: [&mut [_]; ROWS_AT_ONCE] = std::array::from_fn(|_| each.next().unwrap_or_default());
        for (column, line) in lines.chunks_exact(stride).take(width).enumerate() {
            let from = &line[at..][..count];
            match <&[_; ROWS_AT_ONCE]>::try_from(from) {
                Ok(from) => whole.iter_mut().zip(from).for_each(|(row, from)| row[column] = *from),
                Err(_) => whole.iter_mut().zip(from).for_each(|(row, from)| row[column] = *from),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inline::launching;
    use crate::testing::pools;
    use ndarray::{Array, Array3};
    use proptest::prelude::*;

    /// Differences of neighbours, times a factor, with what the table says added.
    struct Steps;
    impl Line for Steps {
        type In = u32;
        type Out = u64;
        type About = u64;
        type Table = u64;
        fn line(about: &u64, table: &[u64], x: &mut [u32], out: &mut [u64]) {
            assert_eq!(out.len() + 1, x.len());
            for (out, pair) in out.iter_mut().zip(x.windows(2)) {
                *out = about * u64::from(pair[0]) + u64::from(pair[1]) + table[0];
            }
            x.fill(0);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn every_line_is_done_once(
            shape in (0usize..9, 1usize..40, 0usize..70), which in 0usize..4, launch: bool, axis in 0usize..3,
        ) {
            let mut shape = [shape.0, shape.1, shape.2];
            shape.swap(1, axis);
            let x: Array3<u32> = Array::from_shape_fn(shape, |(i, j, k)| (i * 10_000 + j * 100 + k) as u32);
            let mut less = shape;
            less[axis] -= 1;
            let mut out = SharedArray::<u64, Ix3>::zeros(less).unwrap();
            let mut run = || along::<Steps, Ix3>(&pools()[which], &mut out, &x, axis, 7, &[3]).unwrap();
            if launch { launching(run) } else { run() }
            prop_assert_eq!(out.shape(), less);
            for ((i, j, k), got) in out.view().indexed_iter() {
                let mut next = [i, j, k];
                next[axis] += 1;
                prop_assert_eq!(*got, 7 * u64::from(x[(i, j, k)]) + u64::from(x[next]) + 3);
            }
        }
    }

    #[test]
    fn an_array_comes_back_from_another_shape() {
        let mut a = SharedArray::from_shape_fn((3, 4), |(i, j)| i * 4 + j).unwrap();
        let refused = lend(&mut a, ndarray::Ix1(12), |flat| {
            assert_eq!(flat.as_slice()[5], 5);
            Err::<(), _>(KernelError::Empty { kernel: "mine" })
        });
        assert!(refused.is_err() && a.dim() == (3, 4) && a.view()[(2, 3)] == 11);
        assert!(lend(&mut a, ndarray::Ix1(13), |_| Ok(())).is_err());
        assert!(a.dim() == (3, 4) && a.view()[(2, 3)] == 11);
    }
}
