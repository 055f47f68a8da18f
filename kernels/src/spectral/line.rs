//! Transforms of single lines, and blocks of lines that do not lie contiguously.
#![deny(clippy::arithmetic_side_effects)]

use super::direction::Direction;
use crate::number::Real;
use ndarray::{ArrayView2, ArrayViewMut2, Axis, s};
use num_complex::Complex;
use rustfft::{Fft, FftDirection, FftNum, FftPlanner};
use std::cell::RefCell;
use std::sync::Arc;

/// Bytes of a row that are gathered together at most. A row of a large matrix lies in a page of its own, whose
/// address has to be looked up anew for each run.
const LONGEST_RUN_BYTES: usize = 512;
/// Bytes of a block of lines in the buffer at most, while a run has a cache line: longer runs are worth more than
/// a block that fits the second-level cache (single-threaded over base pages, columns of 4096 x 4096 complex
/// float64, runs of 64, 256 and 512 bytes: 220, 104 and 93 ms; AMD EPYC family 25, 2026-11-27).
const BLOCK_BYTES: usize = 2 << 20;
/// Rows that are moved together, so that of each line of the block whole cache lines are read and written.
const ROWS_AT_ONCE: usize = 8;
/// Between two lines of the block lies one cache line, so that lines as long as a power of two do not meet in
/// one set of the cache.
const LINE_BYTES: usize = 64;
/// Lengths whose plans a worker keeps.
const KEPT_PLANS: usize = 64;

/// An element type of transforms: `f32` or `f64`, the real and imaginary part of a complex number.
pub trait Transform: Real + FftNum {
    /// Lends the plans and buffers of this thread. They are kept, since a plan costs more than a short line.
    #[doc(hidden)]
    fn with_lines<R>(work: impl FnOnce(&mut Lines<Self>) -> R) -> R;
}

macro_rules! transforms { ($($t:ty)*) => { $(
    impl Transform for $t {
        fn with_lines<R>(work: impl FnOnce(&mut Lines<Self>) -> R) -> R {
            thread_local!(static LINES: RefCell<Lines<$t>> = RefCell::new(Lines::new()));
            if LINES.try_with(|_| ()).is_err() {
                // The thread ends, and has let go of them.
                return work(&mut Lines::new());
            }
            LINES.with_borrow_mut(work)
        }
    }
)* } }
transforms!(f32 f64);

/// Plans and buffers of one thread.
#[doc(hidden)]
pub struct Lines<T: FftNum> {
    planner: FftPlanner<T>,
    plans: Vec<(usize, FftDirection, Arc<dyn Fft<T>>)>,
    scratch: Vec<Complex<T>>,
    block: Vec<Complex<T>>,
}

impl<T: Transform> Lines<T> {
    fn new() -> Lines<T> {
        Lines { planner: FftPlanner::new(), plans: Vec::new(), scratch: Vec::new(), block: Vec::new() }
    }

    /// The plan for lines of this length, with room in the scratch.
    fn plan(&mut self, len: usize, direction: Direction) -> Arc<dyn Fft<T>> {
        let direction = direction.to_library();
        let known = self.plans.iter().find(|plan| plan.0 == len && plan.1 == direction);
        let plan = match known {
            Some(plan) => plan.2.clone(),
            None => {
                if self.plans.len() == KEPT_PLANS {
                    (self.planner, self.plans) = (FftPlanner::new(), Vec::new());
                }
                let plan = self.planner.plan_fft(len, direction);
                self.plans.push((len, direction, plan.clone()));
                plan
            }
        };
        if self.scratch.len() < plan.get_inplace_scratch_len() {
            self.scratch.resize(plan.get_inplace_scratch_len(), Complex::new(T::ZERO, T::ZERO));
        }
        plan
    }

    /// Transforms lines of `len` elements that lie one after the other, and multiplies them by `scale`.
    pub(super) fn contiguous(&mut self, data: &mut [Complex<T>], len: usize, direction: Direction, scale: T) {
        if data.is_empty() {
            return;
        }
        let plan = self.plan(len, direction);
        // Line by line, so that each is scaled while it is in the first-level cache.
        for line in data.chunks_exact_mut(len) {
            plan.process_with_scratch(line, &mut self.scratch);
            rescale(line, scale);
        }
    }

    /// Transforms the columns of `data`, and multiplies them by `scale`.
    #[expect(clippy::arithmetic_side_effects, reason = "lines of an array that has elements, in memory")]
    pub(super) fn columns(
        &mut self,
        data: &mut ArrayViewMut2<'_, Complex<T>>,
        direction: Direction,
        scale: T,
    ) {
        let (len, lines) = data.dim();
        if data.is_empty() {
            return;
        }
        let plan = self.plan(len, direction);
        let bytes = size_of::<Complex<T>>();
        let (pad, longest_run) = (LINE_BYTES / bytes, LONGEST_RUN_BYTES / bytes);
        let width = (BLOCK_BYTES / (len * bytes)).clamp(pad, longest_run);
        let stride = len + pad;
        let room = self.block.len().max(width * stride);
        self.block.resize(room, Complex::new(T::ZERO, T::ZERO));
        for left in (0..lines).step_by(width) {
            let mut some = data.slice_mut(s![.., left..lines.min(left + width)]);
            gather(&some.view(), &mut self.block, stride);
            for line in self.block.chunks_exact_mut(stride).take(some.ncols()) {
                plan.process_with_scratch(&mut line[..len], &mut self.scratch);
                rescale(&mut line[..len], scale);
            }
            scatter(&self.block, stride, &mut some);
        }
    }
}

/// Copies the columns of `data`, whose rows are contiguous, to lines that begin `stride` elements apart.
#[expect(clippy::arithmetic_side_effects, reason = "places in lines that are indexed")]
fn gather<T: Transform>(data: &ArrayView2<'_, Complex<T>>, lines: &mut [Complex<T>], stride: usize) {
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
#[expect(clippy::arithmetic_side_effects, reason = "places in lines that are indexed")]
fn scatter<T: Transform>(lines: &[Complex<T>], stride: usize, data: &mut ArrayViewMut2<'_, Complex<T>>) {
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

#[expect(clippy::arithmetic_side_effects, reason = "floats")]
fn rescale<T: Transform>(line: &mut [Complex<T>], scale: T) {
    if scale != T::ONE {
        line.iter_mut().for_each(|value| *value = *value * scale);
    }
}
