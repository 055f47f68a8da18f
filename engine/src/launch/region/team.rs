//! The team as the body of a region sees it.
//!
//! # Safety
//! Operands are opened right after all ranks have met with the same description and the same cut
//! ([`PhasePlan`]: rows, whether these are parts, and for leaves the bytes of a row and of a result); the
//! views are gone before this rank meets the others again, since the kernel has returned or unwound; spans of
//! different ranks are parts of that one cut, so disjoint.
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use crate::array::Element;
use crate::base::Span;
use crate::launch::grid::{Grid, block};
use crate::launch::member::settle::fold_tree;
use crate::launch::region::claims::CHUNKS;
use crate::launch::region::digest::{Frame, Key};
use crate::launch::region::error::RegionError;
use crate::launch::region::phase::{PhaseOperand, PhasePlan};
use crate::launch::region::step::{self, StepStates, Steps};
use crate::launch::region::step_kind::StepKind;
use crate::team::board::Board;
use crate::team::member::SpinBudget;
use crate::team::step_state::PAYLOAD_BYTES;
use std::marker::PhantomData;
use std::panic::Location;

/// Long spans are cut at multiples of this many elements, so that two ranks never write to the same cache
/// line, whatever the element size.
const SPAN_ALIGN: usize = 64;
/// Spans count as long from this many such multiples per rank. The imbalance is then at most 1 in 16. Shorter
/// spans (planes of a grid, say) are cut evenly, where one line shared by two ranks costs less.
const LONG_SPAN: usize = 16;
/// Largest number of leaves in a `reduce_chunks`.
const MAX_LEAVES: usize = 256;

/// The ranks of a region, as seen from one of them. Every rank must call the same collectives in the same
/// order.
///
/// Neither `Send` nor `Sync`: only the thread that runs the body can meet the other ranks.
pub struct Team<'w> {
    steps: Steps<'w>,
    rank: usize,
    size: usize,
    only_here: PhantomData<*mut ()>,
}

impl<'w> Team<'w> {
    pub(crate) fn new(
        board: &'w Board,
        rank: usize,
        size: usize,
        key: Key,
        patience: SpinBudget,
    ) -> Team<'w> {
        Team {
            steps: Steps::new(StepStates::of(board), rank, size, key, patience),
            rank,
            size,
            only_here: PhantomData,
        }
    }

    /// Returns this rank's number, counted from 0.
    pub fn rank(&self) -> usize {
        self.rank
    }

    /// Returns the number of ranks.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Returns the part of `0..n` that belongs to this rank in every phase over `n` rows.
    pub fn my_span(&self, n: usize) -> Span {
        span_of(n, self.rank, self.size)
    }

    /// Blocks until all ranks have reached this barrier.
    ///
    /// # Errors
    /// - [`RegionError::Broken`]: another rank died, panicked or failed.
    /// - [`RegionError::Disagree`]: another rank makes a different step.
    #[track_caller]
    pub fn barrier(&mut self) -> Result<(), RegionError> {
        let digest = self.steps.digest(StepKind::Barrier);
        self.steps.meet(StepKind::Barrier, digest, Location::caller().line())
    }

    /// Returns the value of rank `root` on every rank. The value has at most 4096 bytes.
    ///
    /// # Errors
    /// As for [`Self::barrier`], and [`RegionError::NoSuchRank`] if `root` is not a rank of the team.
    ///
    /// ```
    /// let pool = phalanx::Pool::builder().workers(2).build()?;
    /// let choice = pool.region((), |team, ()| team.broadcast(1, team.rank() as u64 * 10))?;
    /// assert_eq!(choice, 10); // that of rank 1, on all ranks
    /// # Ok::<(), phalanx::Error>(())
    /// ```
    #[track_caller]
    pub fn broadcast<A: Element>(&mut self, root: usize, value: A) -> Result<A, RegionError> {
        const { assert!(size_of::<A>() <= PAYLOAD_BYTES, "a collective's value has at most 4096 bytes") };
        if root >= self.size {
            return Err(RegionError::NoSuchRank { rank: root, size: self.size });
        }
        let mut digest = self.steps.digest(StepKind::Broadcast);
        digest.frame(Frame::Value, [root as u64, size_of::<A>() as u64].into_iter());
        if self.rank == root {
            self.steps.put(0, &value);
        }
        self.steps.meet(StepKind::Broadcast, digest, Location::caller().line())?;
        Ok(self.steps.get(root, 0))
    }

    /// Folds one value from each rank, in rank order, and returns the result on every rank. The result is
    /// bit-identical on all ranks, and for every run with the same team size. A value has at most 4096 bytes.
    ///
    /// # Errors
    /// As for [`Self::barrier`].
    ///
    /// ```
    /// let pool = phalanx::Pool::builder().workers(2).build()?;
    /// let largest = pool.region((), |team, ()| team.all_reduce(team.rank() as u64, u64::max))?;
    /// assert_eq!(largest, 1);
    /// # Ok::<(), phalanx::Error>(())
    /// ```
    #[track_caller]
    pub fn all_reduce<A: Element>(
        &mut self,
        value: A,
        combine: impl Fn(A, A) -> A,
    ) -> Result<A, RegionError> {
        const { assert!(size_of::<A>() <= PAYLOAD_BYTES, "a collective's value has at most 4096 bytes") };
        let mut digest = self.steps.digest(StepKind::AllReduce);
        digest.frame(Frame::Value, [size_of::<A>() as u64].into_iter());
        self.steps.put(0, &value);
        self.steps.meet(StepKind::AllReduce, digest, Location::caller().line())?;
        let first = self.steps.get(0, 0);
        Ok((1..self.size).fold(first, |sum, rank| combine(sum, self.steps.get(rank, 0))))
    }

    /// Folds the kernel's results over fixed parts of the operands, and returns the result on every rank. The
    /// result is bit-identical for every team size. `identity` is the result for zero rows. As in
    /// [`Self::for_each`], a rank that has done its own parts takes parts that others have not begun.
    ///
    /// # Errors
    /// As for [`Self::barrier`]. Invalid operands return [`RegionError::Lengths`], [`RegionError::Halo`] or
    /// [`RegionError::Offsets`].
    ///
    /// ```
    /// let pool = phalanx::Pool::builder().workers(2).build()?;
    /// let x = pool.from_fn(1000, |i| i as f64)?;
    /// let sum = pool.region(&x, |team, x| {
    ///     team.reduce_chunks(x.split(), 0.0, |x| x.iter().sum::<f64>(), |a, b| a + b)
    /// })?;
    /// assert_eq!(sum, 499_500.0);
    /// # Ok::<(), phalanx::Error>(())
    /// ```
    #[track_caller]
    pub fn reduce_chunks<P: PhaseOperand, A: Element>(
        &mut self,
        operands: P,
        identity: A,
        mut kernel: impl for<'p> FnMut(P::View<'p>) -> A,
        combine: impl Fn(A, A) -> A,
    ) -> Result<A, RegionError> {
        const { assert!(size_of::<A>() <= PAYLOAD_BYTES, "a collective's value has at most 4096 bytes") };
        let line = Location::caller().line();
        let mut plan = PhasePlan::new(self.steps.digest(StepKind::ReduceChunks));
        operands.describe(&mut plan)?;
        self.steps.open_claims();
        // The operands are open to reading only after all ranks have finished what they did before.
        self.steps.meet(StepKind::ReduceChunks, plan.sealed_by_leaves(size_of::<A>()), line)?;
        let leaves = LeafCut::new(&plan, step::payload_capacity::<A>());
        let size = self.size;
        let mut claims = self.steps.claims();
        while let Some((owner, chunk)) =
            claims.next(|owner| chunks_of(block(leaves.count, owner, size), 1).chunks)
        {
            let own = block(leaves.count, owner, size);
            for index in chunks_of(own, 1).span(chunk).range() {
                let leaf = own.lo.saturating_add(index);
                // SAFETY: all have met, leaves are disjoint, each is claimed once, and the view is gone before
                // the meeting below.
                let value = kernel(unsafe { operands.view(leaves.span(leaf)) });
                self.steps.put_for(owner, index, &value);
            }
        }
        let end = self.steps.digest(StepKind::ReduceEnd);
        self.steps.meet(StepKind::ReduceEnd, end, line)?;
        let partial: Vec<A> = (0..self.size)
            .flat_map(|rank| (0..block(leaves.count, rank, self.size).len()).map(move |index| (rank, index)))
            .map(|(rank, index)| self.steps.get(rank, index))
            .collect();
        Ok(fold_tree(&partial, &combine).unwrap_or(identity))
    }

    /// Opens operands to this rank's kernel, after all ranks have finished the previous phase.
    ///
    /// The kernel runs on the calling thread, so it may capture anything of this rank. What one phase writes
    /// is visible in the next. Views cannot leave the phase.
    ///
    /// # Errors
    /// As for [`Self::barrier`]. Invalid operands return [`RegionError::Lengths`], [`RegionError::Halo`] or
    /// [`RegionError::Offsets`].
    #[track_caller]
    #[inline]
    pub fn phase<P: PhaseOperand, R>(
        &mut self,
        operands: P,
        kernel: impl for<'p> FnOnce(P::View<'p>) -> R,
    ) -> Result<R, RegionError> {
        let mut plan = PhasePlan::new(self.steps.digest(StepKind::Phase));
        operands.describe(&mut plan)?;
        self.steps.meet(StepKind::Phase, plan.sealed_by_ranks(), Location::caller().line())?;
        let rows = plan.rows.unwrap_or(0);
        let span = if plan.parts { block(rows, self.rank, self.size) } else { self.my_span(rows) };
        // SAFETY: all have met, spans are disjoint, and the view is gone when the kernel has returned.
        Ok(kernel(unsafe { operands.view(span) }))
    }

    /// Runs the kernel on chunks of the operands, after all ranks have finished the previous step.
    ///
    /// Each rank begins with its own span ([`Self::my_span`]), cut into up to 16 chunks, and then takes chunks
    /// that other ranks have not begun. So a rank whose core is busy with something else, or slower, holds up
    /// the others less than in a [`phase`](Self::phase), where nobody else does its part. A chunk costs some
    /// 50 ns more, and data that a rank has in its cache may be fetched by another.
    ///
    /// Which rank runs a chunk is not determined, and chunks depend on the size of the team; an operand
    /// `0..n` shows which rows a chunk has. For the same bits in every run, a row's result must not depend on
    /// them. What a step writes is visible in the next. The kernel is not called for zero rows, nor if no
    /// operand is split.
    ///
    /// # Errors
    /// As for [`Self::phase`].
    ///
    /// ```
    /// let pool = phalanx::Pool::builder().workers(2).build()?;
    /// let mut squares = pool.zeros::<u64>(10_000)?;
    /// pool.region(&mut squares, |team, mut squares| {
    ///     team.for_each((squares.split_mut(), 0..10_000), |(squares, numbers)| {
    ///         for (square, n) in squares.iter_mut().zip(numbers) {
    ///             *square = (n * n) as u64;
    ///         }
    ///     })
    /// })?;
    /// assert_eq!(squares.as_slice()[9_999], 99_980_001);
    /// # Ok::<(), phalanx::Error>(())
    /// ```
    #[track_caller]
    pub fn for_each<P: PhaseOperand>(
        &mut self,
        operands: P,
        mut kernel: impl for<'p> FnMut(P::View<'p>),
    ) -> Result<(), RegionError> {
        let mut plan = PhasePlan::new(self.steps.digest(StepKind::ForEach));
        operands.describe(&mut plan)?;
        self.steps.open_claims();
        self.steps.meet(StepKind::ForEach, plan.sealed_by_ranks(), Location::caller().line())?;
        let (rows, size) = (plan.rows.unwrap_or(0), self.size);
        let rows_of = |rank| if plan.parts { block(rows, rank, size) } else { span_of(rows, rank, size) };
        let align = if plan.parts { 1 } else { SPAN_ALIGN };
        let mut claims = self.steps.claims();
        while let Some((owner, chunk)) = claims.next(|owner| chunks_of(rows_of(owner), align).chunks) {
            let own = rows_of(owner);
            let rows = chunks_of(own, align).span(chunk);
            let rows = Span::new(own.lo.saturating_add(rows.lo), own.lo.saturating_add(rows.hi));
            // SAFETY: all have met, spans are disjoint, each chunk of one is claimed once, and the view is gone
            // when the kernel has returned.
            kernel(unsafe { operands.view(rows) });
        }
        Ok(())
    }

    /// The last step: returning from the body with a value.
    pub(crate) fn leave<R: Element>(&mut self, result: R) -> Result<(), RegionError> {
        self.steps.put(0, &result);
        let digest = self.steps.digest(StepKind::Leave);
        self.steps.meet(StepKind::Leave, digest, 0)
    }

    /// Why this rank can make no further step, if it cannot.
    pub(crate) fn broken(&self) -> Option<&RegionError> {
        self.steps.broken()
    }

    pub(crate) fn poison(&self) {
        self.steps.poison();
    }
}

/// The part of `0..n` that belongs to `rank` of `size`.
fn span_of(n: usize, rank: usize, size: usize) -> Span {
    if n < size.saturating_mul(SPAN_ALIGN * LONG_SPAN) {
        return block(n, rank, size);
    }
    let lines = block(n.div_ceil(SPAN_ALIGN), rank, size);
    // The last line of the longest possible range would end beyond `usize`.
    let start = |line: usize| line.saturating_mul(SPAN_ALIGN).min(n);
    Span::new(start(lines.lo), start(lines.hi))
}

/// A rank's span as the chunks in which it is claimed, counted from the span's start: at multiples of `align`
/// if it is long.
fn chunks_of(span: Span, align: usize) -> Grid {
    let chunk = span.len().div_ceil(CHUNKS);
    Grid::with_chunk(span.len(), if chunk >= align { chunk.next_multiple_of(align) } else { chunk })
}

/// How `reduce_chunks` cuts its rows. This depends only on their number and size, and on the result's size.
struct LeafCut {
    grid: Grid,
    unit: usize,
    count: usize,
}

impl LeafCut {
    fn new(plan: &PhasePlan, capacity: usize) -> LeafCut {
        let rows = plan.rows.unwrap_or(0);
        let grid = if plan.parts { Grid::with_chunk(rows, 1) } else { Grid::automatic(rows, plan.row_bytes) };
        let unit = grid.chunks.div_ceil(capacity.min(MAX_LEAVES)).max(1);
        LeafCut { grid, unit, count: grid.chunks.div_ceil(unit) }
    }

    #[expect(clippy::arithmetic_side_effects, reason = "grids are checked, and leaves are of the grid")]
    fn span(&self, leaf: usize) -> Span {
        let last = ((leaf + 1) * self.unit).min(self.grid.chunks) - 1;
        Span::new(self.grid.span(leaf * self.unit).lo, self.grid.span(last).hi)
    }
}
