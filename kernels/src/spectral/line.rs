//! Transforms of single lines, and blocks of lines that do not lie contiguously.
#![deny(clippy::arithmetic_side_effects)]

use super::direction::Direction;
use crate::number::Real;
use ndarray::{ArrayViewMut2, s};
use num_complex::Complex;
use rustfft::{Fft, FftDirection, FftNum, FftPlanner};
use std::cell::RefCell;
use std::sync::Arc;

/// Columns that are gathered together at most: runs of 512 bytes of complex float64.
const LONGEST_RUN: usize = 32;
/// Bytes of a block of lines in the buffer: half of a small second-level cache.
const BLOCK_BYTES: usize = 256 << 10;
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
        let pad = LINE_BYTES / size_of::<Complex<T>>();
        let width = (BLOCK_BYTES / ((len + pad) * size_of::<Complex<T>>())).clamp(pad, LONGEST_RUN);
        let stride = len + pad;
        let room = self.block.len().max(width * stride);
        self.block.resize(room, Complex::new(T::ZERO, T::ZERO));
        for left in (0..lines).step_by(width) {
            let some = left..lines.min(left + width);
            for (k, row) in data.outer_iter().enumerate() {
                let row = row.slice_move(s![some.clone()]);
                self.block[k..].iter_mut().step_by(stride).zip(row).for_each(|(to, from)| *to = *from);
            }
            for line in self.block.chunks_exact_mut(stride).take(some.len()) {
                plan.process_with_scratch(&mut line[..len], &mut self.scratch);
                rescale(&mut line[..len], scale);
            }
            for (k, row) in data.outer_iter_mut().enumerate() {
                let row = row.slice_move(s![some.clone()]);
                self.block[k..].iter().step_by(stride).zip(row).for_each(|(from, to)| *to = *from);
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
