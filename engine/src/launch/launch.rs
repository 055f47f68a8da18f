//! The typed front of launches.
//!
//! # Safety
//! Entries are instantiated for the operand type whose wire they are handed with: the driver sends both in one order,
//! and the entry compares the layout hash before it reads the wire.
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use crate::array::Element;
use crate::code;
use crate::launch::cancel::CancelToken;
use crate::launch::chunk::Chunk;
use crate::launch::describe::Description;
use crate::launch::drive::Job;
use crate::launch::driver::Driver;
use crate::launch::error::LaunchError;
use crate::launch::grid::{Grid, block};
use crate::launch::operand::{Operand, mix};
use crate::launch::options::{Options, Progress};
use crate::launch::schedule::Schedule;
use crate::launch::scratch::Scratch;
use crate::launch::settle::{LeafPlaces, Leaves, fold_tree};
use crate::team::fault::{Fault, FaultKind};
use crate::team::member::{Entry, Visit, fault};
use crate::team::orders::{WIRE_BYTES, WireBytes};
use std::cell::Cell;
use std::panic::Location;
use std::time::Duration;

/// A launch in the making: options first, then what to run. Made by [`Pool::launch`](crate::Pool::launch).
#[derive(Clone, Copy)]
#[must_use = "options alone run nothing: call for_each, reduce, map_into, scan or region"]
pub struct Launch<'p> {
    pub(crate) driver: &'p Driver,
    pub(crate) options: Options<'p>,
}

impl<'p> Launch<'p> {
    pub(crate) fn new(driver: &'p Driver) -> Launch<'p> {
        Launch { driver, options: Options::default() }
    }

    /// Cuts the operands into chunks of exactly `units` (elements, or rows of n-D arrays), the last may be shorter.
    ///
    /// Without it, chunks cover about 256 KiB of the widest operand, and short arrays are cut into at least 64 chunks
    /// where cache lines allow; boundaries then fall on cache lines.
    pub fn chunk(mut self, units: usize) -> Self {
        self.options.chunk = Some(units);
        self
    }

    /// Says how chunks are handed out.
    pub fn schedule(mut self, schedule: Schedule) -> Self {
        self.options.schedule = schedule;
        self
    }

    /// Runs up to `times` chunks again whose worker died.
    ///
    /// Needs operands that may be written twice: [`split_out`](crate::SharedArray::split_out) instead of `split_mut`,
    /// accumulators, or [`Self::retry_in_place`].
    pub fn retry(mut self, times: u32) -> Self {
        self.options.retries = times;
        self
    }

    /// Allows [`Self::retry`] with operands that are changed in place: the kernel does not depend on what a
    /// lost attempt may have left in its chunk.
    pub fn retry_in_place(mut self) -> Self {
        self.options.retry_in_place = true;
        self
    }

    /// Stops the launch when `limit` has passed since the call, launches of other threads that it waits for included.
    ///
    /// Workers stop at their next chunk, or where the kernel asks [`is_cancelled`](crate::is_cancelled); worker processes that do
    /// not are killed after [`Self::grace`]. The call returns when memory is safe: in `Backend::Threads` and
    /// `Backend::Inline`, where nothing can be killed, that is when the kernels end.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.options.timeout = Some(limit);
        self
    }

    /// How long workers have to stop by themselves after a time limit or a cancellation, before they are killed.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.options.grace = grace;
        self
    }

    /// Stops the launch when `token` is cancelled.
    pub fn cancel(mut self, token: &'p CancelToken) -> Self {
        self.options.cancel = Some(token);
        self
    }

    /// Calls `callback` on the calling thread about ten times a second while the launch runs.
    pub fn progress(mut self, callback: &'p dyn Fn(Progress)) -> Self {
        self.options.progress = Some(callback);
        self
    }

    /// Runs `kernel` once on every chunk. See [`Pool::for_each`](crate::Pool::for_each).
    #[track_caller]
    pub fn for_each<O: Operand>(
        self,
        mut operands: O,
        kernel: for<'w> fn(O::View<'w>),
    ) -> Result<(), LaunchError> {
        let description = self.describe(&operands)?;
        let wire = operands.wire();
        const {
            assert!(
                size_of::<O::Wire>() <= WIRE_BYTES,
                "too many operands: their wire form exceeds one launch"
            )
        };
        let call = Call {
            entry: for_each_entry::<O>,
            kernel: kernel as usize,
            combine: 0,
            layout: O::LAYOUT,
            wire: WireBytes::of(&wire),
        };
        let (scratch, leaves) = self.run(&call, &description, Location::caller(), None)?;
        if let Some(scratch) = &scratch {
            // SAFETY: the launch succeeded with these operands, and nobody else has this scratch.
            operands.settle(&mut unsafe { Leaves::new(scratch.base(), leaves) });
        }
        self.driver.put_back(scratch);
        Ok(())
    }

    /// Folds the kernel's results over all chunks. See [`Pool::reduce`](crate::Pool::reduce).
    #[track_caller]
    pub fn reduce<O: Operand, A: Element>(
        self,
        mut operands: O,
        identity: A,
        kernel: for<'w> fn(O::View<'w>) -> A,
        combine: fn(A, A) -> A,
    ) -> Result<A, LaunchError> {
        let mut description = self.describe(&operands)?;
        description.leaf(size_of::<A>());
        let wire = operands.wire();
        const {
            assert!(
                size_of::<O::Wire>() <= WIRE_BYTES,
                "too many operands: their wire form exceeds one launch"
            )
        };
        let call = Call {
            entry: reduce_entry::<O, A>,
            kernel: kernel as usize,
            combine: combine as usize,
            layout: reduce_layout::<O, A>(),
            wire: WireBytes::of(&wire),
        };
        let (scratch, leaves) = self.run(&call, &description, Location::caller(), None)?;
        let mut result = identity;
        if let Some(scratch) = &scratch {
            // SAFETY: the launch succeeded with these operands, and nobody else has this scratch.
            let mut places = unsafe { Leaves::new(scratch.base(), leaves) };
            operands.settle(&mut places);
            let partial: Vec<A> = places.take::<A>(1).iter().map(|leaf| leaf[0]).collect();
            result = fold_tree(&partial, &combine).unwrap_or(identity);
        }
        self.driver.put_back(scratch);
        Ok(result)
    }

    /// Runs `kernel` once on every member. See [`Pool::broadcast`](crate::Pool::broadcast).
    #[track_caller]
    pub fn broadcast<O: Operand>(
        self,
        operands: O,
        kernel: for<'w> fn(usize, O::View<'w>),
    ) -> Result<(), LaunchError> {
        let mut description = Description::default();
        operands.describe(&mut description)?;
        description.check_broadcast()?;
        self.options.check_rank_bound()?;
        let wire = operands.wire();
        const {
            assert!(
                size_of::<O::Wire>() <= WIRE_BYTES,
                "too many operands: their wire form exceeds one launch"
            )
        };
        let ranks = self.driver.team_size();
        let job = Job {
            entry: broadcast_entry::<O>,
            kernel: kernel as usize,
            combine: 0,
            layout: mix(O::LAYOUT, 7),
            wire: WireBytes::of(&wire),
            len: description.len().unwrap_or(0),
            grid: Grid::with_chunk(ranks, 1),
            unit: 1,
            rank_bound: true,
            ranks,
            steps: false,
            scratch: None,
            description: &description,
            site: Location::caller(),
        };
        self.driver.launch(&self.options, &job)
    }

    pub(crate) fn describe<'o, O: Operand>(&self, operands: &'o O) -> Result<Description<'o>, LaunchError> {
        let mut description = Description::default();
        operands.describe(&mut description)?;
        if self.options.retries > 0 && !description.is_repeatable() && !self.options.retry_in_place {
            return Err(LaunchError::NotRepeatable);
        }
        Ok(description)
    }

    /// Runs a launch that is cut into chunks; gives the scratch with its leaves.
    pub(crate) fn run(
        &self,
        call: &Call<'_>,
        description: &Description<'_>,
        site: &'static Location<'static>,
        scratch: Option<Scratch>,
    ) -> Result<(Option<Scratch>, usize), LaunchError> {
        let (grid, unit) = description.grid(self.options.chunk, site)?;
        if grid.chunks == 0 {
            return Ok((None, 0));
        }
        let leaves = grid.chunks.div_ceil(unit);
        let scratch = match scratch {
            None => self.driver.scratch(description, leaves)?,
            kept => kept,
        };
        let job = Job {
            entry: call.entry,
            kernel: call.kernel,
            combine: call.combine,
            layout: call.layout,
            wire: call.wire,
            len: grid.len,
            grid,
            unit,
            rank_bound: false,
            ranks: 0,
            steps: false,
            scratch: scratch.as_ref(),
            description,
            site,
        };
        self.driver.launch(&self.options, &job)?;
        Ok((scratch, leaves))
    }
}

/// The typed part of a launch, with its types erased.
pub(crate) struct Call<'a> {
    pub(crate) entry: Entry,
    pub(crate) kernel: usize,
    pub(crate) combine: usize,
    pub(crate) layout: u64,
    pub(crate) wire: WireBytes<'a>,
}

const fn reduce_layout<O: Operand, A>() -> u64 {
    mix(mix(O::LAYOUT, 6), size_of::<A>() as u64)
}

impl Visit<'_> {
    /// Compares the driver's layout hash with the entry's own.
    pub(crate) fn check_layout(&self, layout: u64) -> Result<(), Fault> {
        if self.order.layout == layout {
            return Ok(());
        }
        Err(fault(FaultKind::Corrupt, "the order's operands are not those of its entry"))
    }

    /// The address of a function that the order names.
    pub(crate) fn function(&self, offset: u64) -> Result<usize, Fault> {
        code::address_of(offset)
            .ok_or_else(|| fault(FaultKind::Corrupt, "the order names a kernel outside this program's code"))
    }

    /// Copies the operands' wire.
    ///
    /// # Safety
    /// The driver sent the entry that calls this with a wire of type `W` (the layout alone does not show it),
    /// and `check_layout` has found the order's layout to be the entry's.
    pub(crate) unsafe fn wire<W: Copy>(&self) -> W {
        // SAFETY: the driver wrote a `W` there for this launch; the place is aligned to 128 and WIRE_BYTES long.
        unsafe { self.member.orders.wire().cast::<W>().read_unaligned() }
    }
}

/// # Safety
/// As [`Entry`].
unsafe fn for_each_entry<O: Operand>(visit: &mut Visit<'_>) -> Result<(), Fault> {
    visit.check_layout(O::LAYOUT)?;
    let kernel = visit.function(visit.order.kernel)?;
    // SAFETY: the driver names this entry only with the offset of such a function, of the same build; the
    // layout agrees.
    let kernel = unsafe { std::mem::transmute::<usize, for<'w> fn(O::View<'w>)>(kernel) };
    // SAFETY: the layout agrees.
    let wire: O::Wire = unsafe { visit.wire() };
    // SAFETY: this launch's wire, and we are in the launch.
    let local = unsafe { O::open(&wire, visit) }?;
    visit.chunks(
        // SAFETY: `chunks` hands out chunks that this member claimed, one after the other.
        |chunk: &Chunk| kernel(unsafe { O::view(&local, chunk) }),
        |_| (),
    )
}

/// # Safety
/// As [`Entry`].
unsafe fn broadcast_entry<O: Operand>(visit: &mut Visit<'_>) -> Result<(), Fault> {
    visit.check_layout(mix(O::LAYOUT, 7))?;
    let kernel = visit.function(visit.order.kernel)?;
    // SAFETY: the driver names this entry only with the offset of such a function, of the same build; the
    // layout agrees.
    let kernel = unsafe { std::mem::transmute::<usize, for<'w> fn(usize, O::View<'w>)>(kernel) };
    // SAFETY: the layout agrees.
    let wire: O::Wire = unsafe { visit.wire() };
    // SAFETY: this launch's wire, and we are in the launch.
    let local = unsafe { O::open(&wire, visit) }?;
    let (rank, size) = (visit.member.rank, visit.order.size as usize);
    let span = block(visit.order.len as usize, rank, size);
    let chunk = Chunk { span, index: rank, leaf: rank, opens_leaf: true };
    // SAFETY: ranks have disjoint blocks, and each runs the kernel once; `local` stays until it has returned.
    kernel(rank, unsafe { O::view(&local, &chunk) });
    Ok(())
}

/// # Safety
/// As [`Entry`].
unsafe fn reduce_entry<O: Operand, A: Element>(visit: &mut Visit<'_>) -> Result<(), Fault> {
    visit.check_layout(reduce_layout::<O, A>())?;
    let (kernel, combine) = (visit.function(visit.order.kernel)?, visit.function(visit.order.combine)?);
    // SAFETY: the driver names this entry only with the offset of such a function, of the same build; the
    // layout agrees.
    let kernel = unsafe { std::mem::transmute::<usize, for<'w> fn(O::View<'w>) -> A>(kernel) };
    // SAFETY: as above.
    let combine = unsafe { std::mem::transmute::<usize, fn(A, A) -> A>(combine) };
    // SAFETY: the layout agrees.
    let wire: O::Wire = unsafe { visit.wire() };
    // SAFETY: this launch's wire, and we are in the launch.
    let local = unsafe { O::open(&wire, visit) }?;
    let leaves = LeafPlaces::<A>::open(visit, 1)?;
    let partial = Cell::new(A::zeroed());
    visit.chunks(
        |chunk: &Chunk| {
            // SAFETY: `chunks` hands out chunks that this member claimed, one after the other.
            let value = kernel(unsafe { O::view(&local, chunk) });
            partial.set(if chunk.opens_leaf { value } else { combine(partial.get(), value) });
        },
        // SAFETY: the leaf was claimed by this member, and its place is written here only.
        |leaf| unsafe { leaves.at(leaf) }[0] = partial.get(),
    )
}
