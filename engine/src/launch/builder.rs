//! The typed front of launches.
//!
//! # Safety
//! Leaves are read after a launch that succeeded, with the operands that it had.
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use crate::array::Element;
use crate::code::NoCapture;
use crate::launch::cancel::CancelToken;
use crate::launch::driver::job::Job;
use crate::launch::driver::launcher::Launcher;
use crate::launch::driver::scratch::Scratch;
use crate::launch::error::LaunchError;
use crate::launch::grid::Grid;
use crate::launch::member::entry::{broadcast_entry, for_each_entry};
use crate::launch::member::settle::{Leaves, fold_tree};
use crate::launch::operand::Operand;
use crate::launch::operand::describe::Description;
use crate::launch::operand::tag::{Tag, mix};
use crate::launch::options::{Options, Progress};
use crate::launch::schedule::Schedule;
use crate::team::member::LaunchEntry;
use crate::team::orders::WireBytes;
use std::panic::Location;
use std::time::Duration;

/// A launch being configured: options first, then what to run. Created by
/// [`Pool::launch`](crate::Pool::launch).
#[derive(Clone, Copy)]
#[must_use = "options alone run nothing: call for_each, reduce, map_into, scan or region"]
pub struct Launch<'p> {
    pub(crate) launcher: &'p Launcher,
    pub(crate) options: Options<'p>,
}

impl<'p> Launch<'p> {
    pub(crate) fn new(launcher: &'p Launcher) -> Launch<'p> {
        Launch { launcher, options: Options::default() }
    }

    /// Cuts the operands into chunks of exactly `units` units (elements, or rows of n-D arrays). The last
    /// chunk may be shorter.
    ///
    /// By default, chunks cover about 256 KiB of the widest operand, at most 1/64 of it, and boundaries fall
    /// on cache lines. Arrays of less than 16 lines, and index ranges without an array, are cut into up to 64
    /// chunks at any element: each unit may be much work (a file, a seed, a frame).
    pub fn chunk(mut self, units: usize) -> Self {
        self.options.chunk = Some(units);
        self
    }

    /// Cuts the operands into leaves of exactly `units` units, whose number nothing limits.
    pub(crate) fn leaf_len(mut self, units: usize) -> Self {
        self.options.leaf_len = Some(units.max(1));
        self
    }

    /// Sets how chunks are assigned to workers.
    pub fn schedule(mut self, schedule: Schedule) -> Self {
        self.options.schedule = schedule;
        self
    }

    /// Runs chunks again whose worker died, up to `times` chunks in total.
    ///
    /// The operands must tolerate being written twice: use [`split_out`](crate::SharedArray::split_out)
    /// instead of `split_mut`, accumulators, or [`Self::retry_in_place`].
    ///
    /// ```
    /// let pool = phalanx::Pool::builder().workers(2).build()?;
    /// let mut y = pool.zeros::<f64>(10_000)?;
    /// // `split_out`: what a lost attempt left is overwritten.
    /// pool.launch().retry(2).for_each(y.split_out(), |y| y.fill(1.0))?;
    /// # Ok::<(), phalanx::Error>(())
    /// ```
    pub fn retry(mut self, times: u32) -> Self {
        self.options.retries = times;
        self
    }

    /// Allows [`Self::retry`] with operands that are changed in place. The kernel must not depend on what a
    /// lost attempt may have left in its chunk.
    pub fn retry_in_place(mut self) -> Self {
        self.options.retry_in_place = true;
        self
    }

    /// Stops the launch once `limit` has passed since the call. The time spent waiting for launches of other
    /// threads counts.
    ///
    /// Workers stop at their next chunk, or where the kernel checks [`is_cancelled`](crate::is_cancelled).
    /// Worker processes that do not stop are killed after [`Self::grace`]. The call returns once no worker
    /// can touch the operands any more. With `Backend::Threads` and `Backend::Inline`, where nothing can be
    /// killed, that is when the kernels end.
    ///
    /// ```
    /// use phalanx::{LaunchError, Pool};
    /// use std::time::Duration;
    ///
    /// let pool = Pool::builder().workers(2).build()?;
    /// let endless = pool.launch().timeout(Duration::from_millis(20)).for_each(0..2, |_| loop {
    ///     std::hint::spin_loop();
    /// });
    /// assert!(matches!(endless, Err(LaunchError::TimedOut { .. })));
    /// pool.for_each(0..2, |_| ())?; // on new workers
    /// # Ok::<(), phalanx::Error>(())
    /// ```
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.options.timeout = Some(limit);
        self
    }

    /// Sets how long workers have to stop by themselves after a time limit or a cancellation before they are
    /// killed.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.options.grace = grace;
        self
    }

    /// Stops the launch when `token` is cancelled.
    ///
    /// ```
    /// use phalanx::{CancelToken, LaunchError, Pool};
    ///
    /// let pool = Pool::builder().workers(2).build()?;
    /// let token = CancelToken::new();
    /// token.cancel(); // usually on another thread, while the launch runs
    /// let outcome = pool.launch().cancel(&token).for_each(0..100, |_| ());
    /// assert!(matches!(outcome, Err(LaunchError::Cancelled { .. })));
    /// # Ok::<(), phalanx::Error>(())
    /// ```
    pub fn cancel(mut self, token: &'p CancelToken) -> Self {
        self.options.cancel = Some(token);
        self
    }

    /// Calls `callback` on the calling thread about ten times a second while that thread waits for the
    /// launch. Broadcasts and regions report no progress.
    pub fn progress(mut self, callback: &'p dyn Fn(Progress)) -> Self {
        self.options.progress = Some(callback);
        self
    }

    /// Runs `kernel` once on every chunk. See [`Pool::for_each`](crate::Pool::for_each).
    #[track_caller]
    pub fn for_each<O, K>(self, mut operands: O, kernel: K) -> Result<(), LaunchError>
    where
        O: Operand,
        K: for<'w> Fn(O::View<'w>) + Copy + Send + Sync,
    {
        const { NoCapture::<K>::OK };
        let _carried_by_its_type = kernel;
        let description = self.describe(&operands)?;
        let wire = operands.wire();
        let call =
            LaunchCall { entry: for_each_entry::<O, K>, layout: O::LAYOUT, wire: WireBytes::of(&wire) };
        let (scratch, leaves) = self.run(&call, &description, Location::caller(), None)?;
        if let Some(scratch) = &scratch {
            // SAFETY: the launch succeeded with these operands, and nobody else has this scratch.
            operands.settle(&mut unsafe { Leaves::new(scratch.base(), leaves) });
        }
        self.launcher.put_back(scratch);
        Ok(())
    }

    /// Combines the kernel's results over all chunks into one value. See
    /// [`Pool::reduce`](crate::Pool::reduce).
    #[track_caller]
    pub fn reduce<O, A, K, C>(self, operands: O, identity: A, kernel: K, combine: C) -> Result<A, LaunchError>
    where
        O: Operand,
        A: Element,
        K: for<'w> Fn(O::View<'w>) -> A + Copy + Send + Sync,
        C: Fn(A, A) -> A + Copy + Send + Sync,
    {
        const { (NoCapture::<K>::OK, NoCapture::<C>::OK) };
        let leaves = self.leaves(operands, kernel, combine, Location::caller())?;
        Ok(fold_tree(&leaves, &combine).unwrap_or(identity))
    }

    /// Runs `kernel` once on every worker. See [`Pool::broadcast`](crate::Pool::broadcast).
    #[track_caller]
    pub fn broadcast<O, K>(self, operands: O, kernel: K) -> Result<(), LaunchError>
    where
        O: Operand,
        K: for<'w> Fn(usize, O::View<'w>) + Copy + Send + Sync,
    {
        const { NoCapture::<K>::OK };
        let _carried_by_its_type = kernel;
        let mut description = Description::default();
        operands.describe(&mut description)?;
        description.check_broadcast()?;
        self.options.check_rank_bound()?;
        let wire = operands.wire();
        let ranks = self.launcher.team_size();
        let job = Job {
            entry: broadcast_entry::<O, K>,
            layout: mix(O::LAYOUT, Tag::Broadcast as u64),
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
        self.launcher.launch(&self.options, &job)
    }

    pub(crate) fn describe<'o, O: Operand>(&self, operands: &'o O) -> Result<Description<'o>, LaunchError> {
        let mut description = Description::default();
        description.leaf_len(self.options.leaf_len);
        operands.describe(&mut description)?;
        if self.options.retries > 0 && !description.is_repeatable() && !self.options.retry_in_place {
            return Err(LaunchError::NotRepeatable);
        }
        Ok(description)
    }

    /// Runs a launch that is cut into chunks. Returns the scratch memory with its leaves, and their number.
    pub(crate) fn run(
        &self,
        call: &LaunchCall<'_>,
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
            None => self.launcher.scratch(description, leaves)?,
            kept => kept,
        };
        let job = Job {
            entry: call.entry,
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
        self.launcher.launch(&self.options, &job)?;
        Ok((scratch, leaves))
    }
}

/// The typed part of a launch, with its types erased.
pub(crate) struct LaunchCall<'a> {
    pub(crate) entry: LaunchEntry,
    pub(crate) layout: u64,
    pub(crate) wire: WireBytes<'a>,
}
