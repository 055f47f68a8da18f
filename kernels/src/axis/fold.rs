//! How lines are folded: along memory where a line is contiguous, row by row where it is not, and in leaves
//! of a fixed length either way.
//!
//! ```text
//! leaf          = 65,536 elements of a line where lines are contiguous, else about 65,536 elements of some rows
//! state[o, l, c] = the fold of leaf l of line (o, c); a chunk of a launch is some neighbours of these
//! result[o, c]  = the states of its leaves, folded in order, in blocks of 256
//! ```
//!
//! 1. Lines that are not contiguous are never walked one by one: a row of states is carried along the rows of
//!    the leaf, each row read once and in full.
//! 2. Rows that are shorter than a vector register or two (a table of three columns) are read several at a
//!    time, as one row with as many states, which are folded at the end.
//! 3. Leaves depend on the shape alone, and so do the bits of the result.

use super::layout::{Axes, zeros_without};
use crate::error::KernelError;
use crate::inline::{is_inline, repeatable};
use crate::input::Input;
use crate::layout::{Lines, resolve};
use phalanx::{Element, Pool, SharedArray};

/// Elements of a leaf.
const LEAF: usize = 1 << 16;
/// Rows that a leaf has at least.
const LEAST_ROWS: usize = 256;
/// States that are carried along rows at a time.
const STRIP: usize = 512;
/// Columns up to which rows are read several at a time.
const NARROW: usize = 32;
/// Columns of several rows together.
const WIDE: usize = 64;
/// States that are folded in turn before their folds are.
const BLOCK: usize = 256;

/// One kind of fold of a line.
pub(super) trait Fold: 'static {
    type In: Element;
    /// What is known of a part of a line.
    type State: Element;
    type Out: Element;
    /// The state of no elements.
    fn start() -> Self::State;
    /// The state of a part of a line that is contiguous and begins at place `first` of the line.
    fn line(x: &[Self::In], first: usize) -> Self::State;
    /// Adds `rows` rows, `stride` elements apart, each with an element for every state; the first is row
    /// `first`.
    fn rows(states: &mut [Self::State], x: &[Self::In], stride: usize, rows: usize, first: usize);
    /// The state of two parts, the left one first.
    fn merge(left: Self::State, right: Self::State) -> Self::State;
    /// A state whose places counted rows of `group` elements of the line, of which it saw number `at`.
    fn spread(state: Self::State, _group: usize, _at: usize) -> Self::State {
        state
    }
    /// The result for a line of `len` elements.
    fn finish(state: Self::State, len: usize, parameter: u64) -> Self::Out;
}

/// How lines are cut into leaves, which depends on the shape alone.
#[derive(Clone, Copy)]
struct Leaves {
    lines: Lines,
    /// Elements of each line in a leaf.
    rows: usize,
    /// Leaves of a line.
    count: usize,
}

impl Leaves {
    fn of(lines: Lines) -> Leaves {
        let rows = if lines.inner == 1 { LEAF } else { (LEAF / lines.inner.max(1)).max(LEAST_ROWS) };
        Leaves { lines, rows, count: lines.len.div_ceil(rows).max(1) }
    }

    fn states(self) -> usize {
        self.lines.count() * self.count
    }

    /// States in a chunk of a launch: about twice the work of a leaf, and whole rows where these are narrow.
    fn chunk(self) -> usize {
        let inner = self.lines.inner;
        let states = (2 * LEAF / self.rows.min(self.lines.len.max(1))).max(1);
        if inner <= NARROW { states.next_multiple_of(inner.max(1)) } else { states.next_multiple_of(WIDE) }
    }
}

/// Folds every line of `x` along `axis`.
pub(super) fn fold<F: Fold, D: Axes>(
    pool: &Pool,
    x: &(impl Input<Elem = F::In, Dim = D> + ?Sized),
    axis: isize,
    parameter: u64,
) -> Result<SharedArray<F::Out, D::Less>, KernelError> {
    let shape = x.shape();
    let axis = resolve(&shape, axis)?;
    let mut out = zeros_without::<F::Out, D>(pool, &shape, axis)?;
    let leaves = Leaves::of(Lines::of(&shape, axis));
    if out.is_empty() {
        return Ok(out);
    }
    let is_short = is_inline(x.len());
    if is_short && leaves.count == 1 {
        finish_some::<F>(leaves, &x.elements(), 0, out.as_mut_slice(), parameter);
        return Ok(out);
    }
    let (x, numbers) = (x.share(pool)?, leaves.lines.numbers());
    if leaves.count == 1 {
        let operands = (out.split_flat_out(), 0..leaves.lines.count(), x.whole_flat(), numbers, parameter);
        repeatable(pool).chunk(leaves.chunk()).for_each(operands, |(out, span, x, numbers, parameter)| {
            finish_some::<F>(Leaves::of(Lines::from_numbers(numbers)), x, span.start, out, parameter);
        })?;
        return Ok(out);
    }
    let mut states = SharedArray::<F::State>::zeros(leaves.states())?;
    let operands = (states.split_out(), 0..leaves.states(), x.whole_flat(), numbers);
    repeatable(pool).chunk(leaves.chunk()).for_each(operands, |(states, span, x, numbers)| {
        fill::<F>(Leaves::of(Lines::from_numbers(numbers)), x, span.start, states);
    })?;
    if is_inline(states.len()) {
        merge_some::<F>(leaves, states.as_slice(), 0, out.as_mut_slice(), parameter);
        return Ok(out);
    }
    let operands = (out.split_flat_out(), 0..leaves.lines.count(), states.whole(), numbers, parameter);
    repeatable(pool).for_each(operands, |(out, span, states, numbers, parameter)| {
        merge_some::<F>(Leaves::of(Lines::from_numbers(numbers)), states, span.start, out, parameter);
    })?;
    Ok(out)
}

/// The results of lines from number `first` on, where a line has one leaf.
fn finish_some<F: Fold>(leaves: Leaves, x: &[F::In], first: usize, out: &mut [F::Out], parameter: u64) {
    let (len, inner) = (leaves.lines.len, leaves.lines.inner);
    // Narrow rows are not cut.
    let piece = if inner <= NARROW { (STRIP / inner).max(1) * inner } else { STRIP };
    let mut states = vec![F::start(); piece.min(out.len())];
    for (index, out) in out.chunks_mut(piece).enumerate() {
        let states = &mut states[..out.len()];
        fill::<F>(leaves, x, first + index * piece, states);
        for (out, state) in out.iter_mut().zip(states) {
            *out = F::finish(*state, len, parameter);
        }
    }
}

/// The states from number `first` on.
fn fill<F: Fold>(leaves: Leaves, x: &[F::In], first: usize, states: &mut [F::State]) {
    let Leaves { lines, rows, count } = leaves;
    if lines.inner == 1 && count == 1 && lines.len > 0 {
        // Short lines are many: no divisions for each.
        let some = x[first * lines.len..].chunks_exact(lines.len);
        return states.iter_mut().zip(some).for_each(|(state, line)| *state = F::line(line, 0));
    }
    let mut at = first;
    let mut rest = states;
    while !rest.is_empty() {
        let (block, column) = (at / lines.inner, at % lines.inner);
        let (outer, leaf) = (block / count, block % count);
        let width = (lines.inner - column).min(STRIP).min(rest.len());
        let (states, others) = rest.split_at_mut(width);
        let low = leaf * rows;
        let high = lines.len.min(low + rows);
        let x = &x[outer * lines.len * lines.inner..][..lines.len * lines.inner];
        let x = &x[low * lines.inner..high * lines.inner];
        if lines.inner == 1 {
            states[0] = F::line(x, low);
        } else if width == lines.inner && width <= NARROW {
            narrow::<F>(states, x, high - low, low);
        } else {
            states.fill(F::start());
            if low < high {
                F::rows(states, &x[column..], lines.inner, high - low, low);
            }
        }
        (at, rest) = (at + width, others);
    }
}

/// The states of narrow rows, several of which are read at a time.
fn narrow<F: Fold>(states: &mut [F::State], x: &[F::In], rows: usize, first: usize) {
    let width = states.len();
    let group = WIDE / width;
    let (groups, rest) = (rows / group, rows % group);
    states.fill(F::start());
    if groups > 0 {
        let mut wide = [F::start(); WIDE];
        let wide = &mut wide[..group * width];
        F::rows(wide, x, group * width, groups, 0);
        for (at, row) in wide.chunks_exact(width).enumerate() {
            for (state, other) in states.iter_mut().zip(row) {
                *state = F::merge(*state, F::spread(*other, group, first + at));
            }
        }
    }
    if rest > 0 {
        let done = groups * group;
        let mut last = [F::start(); NARROW];
        let last = &mut last[..width];
        F::rows(last, &x[done * width..], width, rest, first + done);
        states.iter_mut().zip(last).for_each(|(state, other)| *state = F::merge(*state, *other));
    }
}

/// The results of lines from number `first` on, from the states of their leaves.
fn merge_some<F: Fold>(
    leaves: Leaves,
    states: &[F::State],
    first: usize,
    out: &mut [F::Out],
    parameter: u64,
) {
    let Leaves { lines, count, .. } = leaves;
    let mut at = first;
    let mut rest = out;
    while !rest.is_empty() {
        let (outer, column) = (at / lines.inner, at % lines.inner);
        let width = (lines.inner - column).min(STRIP).min(rest.len());
        let (out, others) = rest.split_at_mut(width);
        let mut sums = vec![F::start(); width];
        for low in (0..count).step_by(BLOCK) {
            let mut block = vec![F::start(); width];
            for leaf in low..count.min(low + BLOCK) {
                let row = &states[(outer * count + leaf) * lines.inner + column..][..width];
                block.iter_mut().zip(row).for_each(|(sum, state)| *sum = F::merge(*sum, *state));
            }
            sums.iter_mut().zip(block).for_each(|(sum, state)| *sum = F::merge(*sum, state));
        }
        for (out, state) in out.iter_mut().zip(sums) {
            *out = F::finish(state, lines.len, parameter);
        }
        (at, rest) = (at + width, others);
    }
}

/// Adds the elements of `rows` rows to a state of each column, four rows at a time, in order.
#[inline(always)]
pub(super) fn each_row<S: Copy, T: Copy>(
    states: &mut [S],
    x: &[T],
    stride: usize,
    rows: usize,
    add: impl Fn(S, T) -> S,
) {
    let width = states.len();
    let row = |at: usize| &x[at * stride..][..width];
    let whole = rows / 4 * 4;
    for at in (0..whole).step_by(4) {
        let (a, b, c, d) = (row(at), row(at + 1), row(at + 2), row(at + 3));
        for ((((state, a), b), c), d) in states.iter_mut().zip(a).zip(b).zip(c).zip(d) {
            *state = add(add(add(add(*state, *a), *b), *c), *d);
        }
    }
    for at in whole..rows {
        states.iter_mut().zip(row(at)).for_each(|(state, x)| *state = add(*state, *x));
    }
}
