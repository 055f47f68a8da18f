//! The spectral family: there and back again, counted as 5 n log2 n operations each way.

use super::case::{Case, Context, Entry, Work};
use crate::harness::Outcome;
use crate::report::{Goal, Target};
use phalanx::{Pool, Shape, SharedArray};
use phalanx_kernels::KernelError;
use phalanx_kernels::spectral::{Complex, Direction, Norm, fft_1d, fft_2d, fft_3d, irfft, rfft};
use rayon::prelude::*;
use realfft::RealFftPlanner;
use rustfft::{Fft, FftPlanner};
use std::sync::Arc;

macro_rules! goals {
    ($bench:literal) => {
        &[
            Target { bench: $bench, variant: "phalanx", goal: Goal::AtLeastPeer(1.7, "one-worker") },
            Target { bench: $bench, variant: "phalanx", goal: Goal::AtLeastPeer(1.0, "rayon") },
        ]
    };
}

/// The kernels of this family.
pub const ENTRIES: &[Entry] = &[
    Entry {
        name: "fft_3d",
        about: "256 x 256 x 256 complex float64",
        targets: goals!("kernels/fft_3d"),
        prepare: cube,
    },
    Entry {
        name: "fft_2d",
        about: "4096 x 4096 complex float64",
        targets: goals!("kernels/fft_2d"),
        prepare: matrix,
    },
    Entry {
        name: "fft_1d",
        about: "16384 lines of 1024 complex float64",
        targets: goals!("kernels/fft_1d"),
        prepare: lines,
    },
    Entry {
        name: "fft_long",
        about: "one line of 2^23 complex float64",
        targets: goals!("kernels/fft_long"),
        prepare: long,
    },
    Entry {
        name: "fft_prime",
        about: "one line of 4,000,037 complex float64, a prime",
        targets: goals!("kernels/fft_prime"),
        prepare: prime,
    },
    Entry {
        name: "rfft",
        about: "16384 lines of 1024 float64, there and back",
        targets: goals!("kernels/rfft"),
        prepare: real_lines,
    },
];

type C64 = Complex<f64>;
type Kernel<D> = fn(&Pool, &mut SharedArray<C64, D>, Direction) -> Result<(), KernelError>;

fn at(index: usize) -> C64 {
    Complex::new((index % 61) as f64 - 30.0, (index % 53) as f64)
}

/// The result at `index`.
fn came_back(got: &[C64]) -> Outcome<()> {
    match got.iter().enumerate().find(|(index, value)| (**value - at(*index)).norm() > 1e-6) {
        None => Ok(()),
        Some((index, value)) => Err(format!("element {index} is {value} instead of {}", at(index)).into()),
    }
}

/// Ours on all workers and on one, and rayon's by axes given as (lines before, length, stride).
fn case<'c, D: Shape>(
    context: &'c Context,
    shape: D,
    kernel: Kernel<D>,
    axes: Vec<(usize, usize)>,
) -> Outcome<Case<'c>> {
    let len = shape.size();
    let transformed: usize = axes.iter().map(|axis| axis.0).product();
    let flops = 2.0 * 5.0 * len as f64 * (transformed as f64).log2();
    let fresh = |pool: &Pool| -> Outcome<SharedArray<C64, D>> {
        let mut a = pool.zeros_nd(shape.clone())?;
        a.as_mut_slice().iter_mut().enumerate().for_each(|(index, a)| *a = at(index));
        Ok(a)
    };
    let alone = Pool::builder().workers(1).build()?;
    let (all_state, one_state) = (fresh(&context.pool)?, fresh(&alone)?);
    let all = move |a: &mut SharedArray<C64, D>| {
        kernel(&context.pool, a, Direction::Forward)?;
        Ok(kernel(&context.pool, a, Direction::Inverse)?)
    };
    let one = move |a: &mut SharedArray<C64, D>| {
        kernel(&alone, a, Direction::Forward)?;
        Ok(kernel(&alone, a, Direction::Inverse)?)
    };
    let rayon = move |a: &mut Vec<C64>| {
        let mut planner = FftPlanner::new();
        for forward in [true, false] {
            for &(len, stride) in &axes {
                let plan =
                    if forward { planner.plan_fft_forward(len) } else { planner.plan_fft_inverse(len) };
                rayon_axis(a, stride, &plan);
            }
        }
        let scale = 1.0 / transformed as f64;
        a.par_chunks_mut(1 << 14).for_each(|a| a.iter_mut().for_each(|a| *a *= scale));
    };
    let plain = move || {
        let mut a = vec![C64::default(); len];
        a.par_iter_mut().with_min_len(1 << 14).enumerate().for_each(|(index, a)| *a = at(index));
        a
    };
    Ok(Case::new(Work::Flops(flops))
        .variant("phalanx", all_state, all, |a| came_back(a.as_slice()))
        .variant("one-worker", one_state, one, |a| came_back(a.as_slice()))
        .rayon(context, plain, rayon, |a| came_back(a)))
}

/// Lines along one axis: contiguous ones in place, others as columns of a slab, gathered in blocks.
fn rayon_axis(a: &mut [C64], stride: usize, plan: &Arc<dyn Fft<f64>>) {
    const BLOCK: usize = 32;
    let len = plan.len();
    let scratch = || vec![C64::default(); plan.get_inplace_scratch_len()];
    if stride == 1 {
        let each = (4096 / len).max(1) * len;
        a.par_chunks_mut(each).for_each_init(scratch, |scratch, a| plan.process_with_scratch(a, scratch));
        return;
    }
    let slab = len * stride;
    let blocks_per_slab = stride.div_ceil(BLOCK);
    let base = Base(a.as_mut_ptr());
    let blocks = a.len() / slab * blocks_per_slab;
    let state = || (scratch(), vec![C64::default(); BLOCK * (len + 4)]);
    (0..blocks).into_par_iter().for_each_init(state, |(scratch, buffer), block| {
        let left = block % blocks_per_slab * BLOCK;
        let width = BLOCK.min(stride - left);
        let start = block / blocks_per_slab * slab + left;
        for k in 0..len {
            let row = base.row(start + k * stride, width);
            row.iter().enumerate().for_each(|(line, value)| buffer[line * (len + 4) + k] = *value);
        }
        for line in buffer.chunks_exact_mut(len + 4).take(width) {
            plan.process_with_scratch(&mut line[..len], scratch);
        }
        for k in 0..len {
            let row = base.row(start + k * stride, width);
            row.iter_mut().enumerate().for_each(|(line, value)| *value = buffer[line * (len + 4) + k]);
        }
    });
}

/// The array as rayon's threads share it.
#[derive(Clone, Copy)]
struct Base(*mut C64);

#[allow(unsafe_code)]
// SAFETY: threads reach different elements through it, see `row`.
unsafe impl Sync for Base {}

impl Base {
    /// Part of a row of one block of columns.
    #[allow(unsafe_code, clippy::mut_from_ref)]
    fn row(&self, start: usize, width: usize) -> &mut [C64] {
        // SAFETY: blocks of columns do not overlap, each is one task's, which lets go of one row before it
        // takes the next, and all lie inside the array, which `rayon_axis` borrows exclusively until all
        // tasks have ended.
        unsafe { std::slice::from_raw_parts_mut(self.0.add(start), width) }
    }
}

fn cube(context: &Context) -> Outcome<Case<'_>> {
    let side = 256;
    let shape = ndarray::Dim([side, side, side]);
    case(context, shape, fft_3d, vec![(side, 1), (side, side), (side, side * side)])
}

fn matrix(context: &Context) -> Outcome<Case<'_>> {
    let side = 4096;
    case(context, ndarray::Dim([side, side]), fft_2d, vec![(side, 1), (side, side)])
}

fn lines(context: &Context) -> Outcome<Case<'_>> {
    case(context, ndarray::Dim([16_384, 1024]), fft_1d, vec![(1024, 1)])
}

fn long(context: &Context) -> Outcome<Case<'_>> {
    case(context, ndarray::Dim([1 << 23]), fft_1d, vec![(1 << 23, 1)])
}

fn prime(context: &Context) -> Outcome<Case<'_>> {
    case(context, ndarray::Dim([4_000_037]), fft_1d, vec![(4_000_037, 1)])
}

/// Real lines and their halves of frequencies: ours, and by the library that does single lines.
fn real_lines(context: &Context) -> Outcome<Case<'_>> {
    const LINES: usize = 16_384;
    const LEN: usize = 1024;
    const HALF: usize = LEN / 2 + 1;
    type Arrays = (SharedArray<f64, ndarray::Ix2>, SharedArray<C64, ndarray::Ix2>);
    let value = |index: usize| (index % 61) as f64 - 30.0;
    let fresh = |pool: &Pool| -> Outcome<Arrays> {
        let mut x = pool.zeros_nd((LINES, LEN))?;
        x.as_mut_slice().iter_mut().enumerate().for_each(|(index, x)| *x = value(index));
        Ok((x, pool.zeros_nd((LINES, HALF))?))
    };
    let there_and_back = |pool: &Pool, (x, waves): &mut Arrays| -> Outcome<()> {
        rfft(pool, waves, x, &[1], Norm::Backward)?;
        Ok(irfft(pool, x, waves, &[1], Norm::Backward)?)
    };
    let came_back =
        move |x: &[f64]| match x.iter().enumerate().find(|(at, x)| (**x - value(*at)).abs() > 1e-6) {
            None => Ok(()),
            Some((at, x)) => Err(format!("element {at} is {x} instead of {}", value(at)).into()),
        };
    let alone = Pool::builder().workers(1).build()?;
    let (all_state, one_state) = (fresh(&context.pool)?, fresh(&alone)?);
    let rayon = |(x, waves): &mut (Vec<f64>, Vec<C64>)| {
        let mut planner = RealFftPlanner::<f64>::new();
        let (there, back) = (planner.plan_fft_forward(LEN), planner.plan_fft_inverse(LEN));
        let scratch = || (vec![0.0; LEN], vec![C64::default(); 2 * LEN]);
        x.par_chunks(LEN).zip(waves.par_chunks_mut(HALF)).with_min_len(16).for_each_init(
            scratch,
            |(line, scratch), (x, waves)| {
                line.copy_from_slice(x);
                let _fits = there.process_with_scratch(line, waves, scratch);
            },
        );
        x.par_chunks_mut(LEN).zip(waves.par_chunks_mut(HALF)).with_min_len(16).for_each_init(
            scratch,
            |(_, scratch), (x, waves)| {
                let _fits = back.process_with_scratch(waves, x, scratch);
                x.iter_mut().for_each(|x| *x /= LEN as f64);
            },
        );
    };
    let plain = || ((0..LINES * LEN).map(value).collect(), vec![C64::default(); LINES * HALF]);
    let flops = 2.0 * 2.5 * (LINES * LEN) as f64 * (LEN as f64).log2();
    Ok(Case::new(Work::Flops(flops))
        .variant(
            "phalanx",
            all_state,
            move |state| there_and_back(&context.pool, state),
            move |state| came_back(state.0.as_slice()),
        )
        .variant(
            "one-worker",
            one_state,
            move |state| there_and_back(&alone, state),
            move |state| came_back(state.0.as_slice()),
        )
        .rayon(context, plain, rayon, move |state| came_back(&state.0)))
}
