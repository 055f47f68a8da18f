//! A member's way through its chunks.
#![deny(clippy::arithmetic_side_effects)]

use crate::base::Span;
use crate::base::atomic::Ordering;
use crate::launch::grid::{Grid, block};
use crate::launch::member::bitmap::Bitmap;
use crate::launch::schedule::{Claims, Schedule};
use crate::spawn::last_words;
use crate::sys::clock::ticks;
use crate::team::board::{MAX_CHUNKS, bump};
use crate::team::fault::{Fault, FaultKind};
use crate::team::member::{LaunchContext, fault};
use crate::team::orders::{FLAG_REPAIR, FLAG_REQUIRED};
use crate::team::trace::EventKind;
use std::time::Instant;

/// Of the time for which a member looks for its next launch, the part that work must take to be worth being
/// stolen from a member that is at it: 10 us; nothing where members share cores, and may be off them.
const WORTH_OF_PATIENCE: u64 = 5;

/// One chunk as its kernel sees it.
#[derive(Clone, Copy, Debug)]
pub struct Chunk {
    /// The chunk's units.
    pub(crate) span: Span,
    /// Position in the grid.
    pub(crate) index: usize,
    /// The claim unit (leaf) that it belongs to.
    pub(crate) leaf: usize,
    /// Whether it is the first of its leaf.
    pub(crate) opens_leaf: bool,
}

/// The grid and claim units of an order, range-checked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ChunkPlan {
    pub(crate) grid: Grid,
    /// Chunks of a claim unit.
    pub(crate) unit: usize,
    /// Claim units.
    pub(crate) units: usize,
}

impl LaunchContext<'_> {
    /// The order's grid. An invalid order is a fault.
    pub(crate) fn plan(&self) -> Result<ChunkPlan, Fault> {
        let order = &self.order;
        let corrupt = || fault(FaultKind::Corrupt, "the order's grid makes no sense");
        let (len, chunk_len, unit) = (order.len as usize, order.chunk_len as usize, order.unit as usize);
        if chunk_len == 0 || unit == 0 || len.div_ceil(chunk_len) != order.chunks as usize {
            return Err(corrupt());
        }
        let units = (order.chunks as usize).div_ceil(unit);
        if units > MAX_CHUNKS && order.flags & FLAG_REQUIRED == 0 {
            return Err(corrupt());
        }
        Ok(ChunkPlan { grid: Grid { len, chunk_len, chunks: order.chunks as usize }, unit, units })
    }

    /// Checks that an operand has as many units as the launch.
    pub(crate) fn check_rows(&self, rows: usize) -> Result<(), Fault> {
        if self.order.len == rows as u64 {
            return Ok(());
        }
        Err(fault(FaultKind::Corrupt, "an operand's length is not the launch's"))
    }

    /// Whether the time limit has passed. Only the driver's own member checks; the driver stops the others.
    fn is_late(&self) -> bool {
        let late = self.member.deadline.is_some_and(|at| Instant::now() >= at);
        if late {
            self.member.board.stop().fetch_max(self.order.epoch, Ordering::AcqRel);
        }
        late
    }

    /// This member's claims on the launch's `units`.
    fn claims(&self, units: usize) -> Result<Claims<'_>, Fault> {
        let schedule = Schedule::from_wire(self.order.schedule, self.order.schedule_arg)
            .ok_or_else(|| fault(FaultKind::Corrupt, "the order names an unknown schedule"))?;
        let board = &self.member.board;
        Ok(Claims {
            schedule,
            units: units as u64,
            rank: self.member.rank,
            size: self.order.size as usize,
            ranges: board.ranges(),
            cursor: board.cursor(),
            victims: &self.member.victims,
            taken: false,
            steals: 0,
            nonsense: false,
            since: ticks(),
            run: 0,
            worth: self.member.patience.ticks / WORTH_OF_PATIENCE,
        })
    }

    /// Claims and runs chunks until none is left or the launch is stopped. Calls `leaf_done` after the last
    /// chunk of each claim unit, and then marks the unit done.
    pub(crate) fn chunks(
        &mut self,
        mut kernel: impl FnMut(&Chunk),
        mut leaf_done: impl FnMut(usize),
    ) -> Result<(), Fault> {
        let plan = self.plan()?;
        let board = self.member.board;
        let size = self.order.size as usize;
        let mut claims = self.claims(plan.units)?;
        let done = Bitmap::new(board.bitmap(), plan.units, size);
        let status = board.status(self.member.rank);
        let home = block(plan.units, self.member.rank, size);
        let repair = self.order.flags & FLAG_REPAIR != 0;
        let (mut run, mut claim_ticks) = (0, 0);
        'claims: loop {
            let began = ticks();
            let Some(span) = claims.next() else { break };
            claim_ticks = u64::saturating_add(claim_ticks, ticks().wrapping_sub(began));
            for unit in span.range() {
                if board.stop().load(Ordering::Relaxed) == self.order.epoch || self.is_late() {
                    break 'claims;
                }
                if repair && done.is_done(unit) {
                    continue;
                }
                // Release: a reader of this word after our death sees no later write of ours without it.
                status.current.store((unit as u64).wrapping_add(1), Ordering::Release);
                let first = unit.saturating_mul(plan.unit);
                for index in first..first.saturating_add(plan.unit).min(plan.grid.chunks) {
                    let span = plan.grid.span(index);
                    let chunk = Chunk { span, index, leaf: unit, opens_leaf: index == first };
                    last_words::set_chunk(self.member.rank as u32, span.lo as u64, span.hi as u64);
                    match &self.member.tracer {
                        None => kernel(&chunk),
                        Some(tracer) => {
                            let kind = EventKind::of_chunk(home.range().contains(&unit));
                            tracer.record(kind, self.order.epoch, span, || kernel(&chunk));
                        }
                    }
                    run = u64::saturating_add(run, 1);
                }
                leaf_done(unit);
                done.set(unit);
                claims.run = u64::saturating_add(claims.run, 1);
            }
        }
        status.current.store(0, Ordering::Release);
        bump(&status.chunks, run);
        bump(&status.steals, claims.steals);
        bump(&status.claim_ticks, claim_ticks);
        if claims.nonsense {
            return Err(fault(FaultKind::Corrupt, "a claim word on the board was overwritten"));
        }
        Ok(())
    }
}
