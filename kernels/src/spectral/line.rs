//! Transforms of single lines, and blocks of lines that do not lie contiguously.
#![deny(clippy::arithmetic_side_effects)]

use super::direction::Direction;
use crate::lines::{PAD_BYTES, gather, run_of, scatter};
use crate::number::Real;
use ndarray::{ArrayViewMut2, s};
use num_complex::Complex;
use num_traits::FloatConst;
use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};
use rustdct::DctPlanner;
use rustfft::{Fft, FftDirection, FftNum, FftPlanner};
use std::cell::RefCell;
use std::sync::Arc;

/// Lengths whose plans a worker keeps.
const KEPT_PLANS: usize = 64;

/// An element type of transforms: `f32` or `f64`, the real and imaginary part of a complex number.
pub trait Transform: Real + FftNum + FloatConst {
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

/// A plan, scratch for it, and a buffer.
type Room<'a, T> = (Arc<dyn Fft<T>>, &'a mut [Complex<T>], &'a mut [Complex<T>]);

/// Plans and buffers of one thread.
#[doc(hidden)]
pub struct Lines<T: FftNum + FloatConst> {
    planner: FftPlanner<T>,
    plans: Vec<(usize, FftDirection, Arc<dyn Fft<T>>)>,
    real: RealFftPlanner<T>,
    cosine: DctPlanner<T>,
    /// Lengths for which the planners of real transforms keep plans.
    real_lengths: Vec<usize>,
    scratch: Vec<Complex<T>>,
    real_scratch: Vec<T>,
    block: Vec<Complex<T>>,
}

impl<T: Transform> Lines<T> {
    fn new() -> Lines<T> {
        Lines {
            planner: FftPlanner::new(),
            plans: Vec::new(),
            real: RealFftPlanner::new(),
            cosine: DctPlanner::new(),
            real_lengths: Vec::new(),
            scratch: Vec::new(),
            real_scratch: Vec::new(),
            block: Vec::new(),
        }
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

    /// Lets go of the plans of real transforms where they have become too many.
    fn note(&mut self, len: usize) {
        if self.real_lengths.contains(&len) {
            return;
        }
        if self.real_lengths.len() == KEPT_PLANS {
            (self.real, self.cosine) = (RealFftPlanner::new(), DctPlanner::new());
            self.real_lengths.clear();
        }
        self.real_lengths.push(len);
    }

    /// The plan for the transform of real lines of this length, and scratch for it.
    pub(super) fn complex_of(&mut self, len: usize) -> (Arc<dyn RealToComplex<T>>, &mut [Complex<T>]) {
        self.note(len);
        let plan = self.real.plan_fft_forward(len);
        let room = self.scratch.len().max(plan.get_scratch_len());
        self.scratch.resize(room, Complex::new(T::ZERO, T::ZERO));
        let scratch = &mut self.scratch[..plan.get_scratch_len()];
        (plan, scratch)
    }

    /// The plan for the transform back to real lines of this length, and scratch for it.
    pub(super) fn real_of(&mut self, len: usize) -> (Arc<dyn ComplexToReal<T>>, &mut [Complex<T>]) {
        self.note(len);
        let plan = self.real.plan_fft_inverse(len);
        let room = self.scratch.len().max(plan.get_scratch_len());
        self.scratch.resize(room, Complex::new(T::ZERO, T::ZERO));
        let scratch = &mut self.scratch[..plan.get_scratch_len()];
        (plan, scratch)
    }

    /// The planner of cosine and sine transforms of lines of this length, and scratch of any length.
    pub(super) fn cosine(&mut self, len: usize) -> (&mut DctPlanner<T>, &mut Vec<T>) {
        self.note(len);
        (&mut self.cosine, &mut self.real_scratch)
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

    /// The plan for lines of this length, scratch for it, and a buffer of `room` elements.
    pub(super) fn room(&mut self, len: usize, direction: Direction, room: usize) -> Room<'_, T> {
        let plan = self.plan(len, direction);
        let room = self.block.len().max(room);
        self.block.resize(room, Complex::new(T::ZERO, T::ZERO));
        (plan, &mut self.scratch, &mut self.block)
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
        let (width, stride) = block_of::<T>(len, lines);
        let (plan, scratch, block) = self.room(len, direction, width * stride);
        for left in (0..lines).step_by(width) {
            let mut some = data.slice_mut(s![.., left..lines.min(left + width)]);
            gather(&some.view(), block, stride);
            for line in block.chunks_exact_mut(stride).take(some.ncols()) {
                plan.process_with_scratch(&mut line[..len], scratch);
                rescale(&mut line[..len], scale);
            }
            scatter(block, stride, &mut some);
        }
    }
}

/// How many lines of `len` elements stand in a buffer at once, and how far from each other they begin.
#[expect(clippy::arithmetic_side_effects, reason = "lines of an array that has elements, in memory")]
pub(super) fn block_of<T: Transform>(len: usize, lines: usize) -> (usize, usize) {
    let bytes = size_of::<Complex<T>>();
    (run_of(len * bytes, bytes, lines), len + PAD_BYTES / bytes)
}

#[expect(clippy::arithmetic_side_effects, reason = "floats")]
pub(super) fn rescale<T: Transform>(line: &mut [Complex<T>], scale: T) {
    if scale != T::ONE {
        line.iter_mut().for_each(|value| *value = *value * scale);
    }
}
