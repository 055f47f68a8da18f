//! State that each worker creates once and keeps.
//!
//! # Safety
//! Why `&mut T` is the only reference to its state:
//! 1. A member runs one kernel call at a time, and a view ends with its call, since kernels are `for<'w>`.
//! 2. No other operand of the launch leads to the same state: `Description::state` refuses a handle named
//!    twice.
//! 3. A launch made inside a kernel runs on a member of its own, whose table of states is another
//!    (`driver::inline`).
//! 4. States are dropped before a launch's entry is called (`Member::read_mail`) or when their member ends,
//!    never while an entry runs, and what a box holds stays where it is when the table grows.
//! 5. The state may be made on one thread of a member and used on another, one after the other: `T: Send`.
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use crate::code::{self, NoCapture};
use crate::launch::error::LaunchError;
use crate::launch::member::chunk::Chunk;
use crate::launch::operand::Operand;
use crate::launch::operand::describe::Description;
use crate::launch::operand::tag::{Tag, sized};
use crate::team::fault::{Fault, FaultKind};
use crate::team::member::{LaunchContext, fault};
use crate::team::state::HandleId;
use std::marker::PhantomData;
use std::sync::Arc;

/// State that lives in each worker: created there when a kernel first uses it, and kept between launches.
///
/// Meant for scratch buffers, library handles and random generators. `T` is any type that is `Send`; the
/// state is never sent to another process. Each worker creates its own exactly once, by `make(rank)`. A
/// worker that replaces a dead one creates a new one; later launches report that ([`PerWorker::new`]) or not
/// ([`PerWorker::scratch`]).
///
/// Pass `&state` as an operand. The kernel receives `&mut T`; no second kernel call in the same worker can be
/// running then. A launch that names the same state twice among its operands is refused. If a kernel panics,
/// its state stays as it is at that point.
///
/// When the handle is dropped, workers drop their states at their next launch, or when they end. A pool can
/// hand the states over at its end: [`PoolBuilder::at_exit_with`](crate::PoolBuilder::at_exit_with).
///
/// ```
/// use phalanx::{PerWorker, Pool};
/// # fn main() -> Result<(), phalanx::Error> {
/// let pool = Pool::builder().workers(2).build()?;
/// let scratch = PerWorker::scratch(|_rank| Vec::<f64>::with_capacity(1000));
/// let mut y = pool.from_fn(1000, |i| i as f64)?;
/// pool.for_each((y.split_mut(), &scratch), |(y, scratch)| {
///     scratch.clear();
///     scratch.extend(y.iter().rev());
///     y.copy_from_slice(scratch);
/// })?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct PerWorker<T> {
    id: Arc<HandleId>,
    make: fn(usize) -> T,
}

impl<T: Send + 'static> PerWorker<T> {
    /// Returns a handle for state that workers create by `make(rank)` and that may gather results, such as
    /// sums and counts.
    ///
    /// If a worker that may hold such a state dies or leaves the team, the next launch with this operand
    /// returns [`LaunchError::StateLost`] once, before anything runs. If the worker goes during that launch,
    /// the launch returns the error instead of `Ok`, even if [`retry`](crate::Launch::retry) has completed
    /// its chunks. A launch that gathers what the states hold therefore never returns an incomplete result as
    /// `Ok`.
    pub fn new<F>(make: F) -> PerWorker<T>
    where
        F: Fn(usize) -> T + Copy + Send + Sync + 'static,
    {
        const { NoCapture::<F>::OK };
        PerWorker { id: Arc::new(HandleId::new(true)), make: code::pointer_to(make) }
    }

    /// Returns a handle for state whose contents may be lost: scratch buffers, library handles, generators. A
    /// worker that replaces a dead one creates a new one, and no launch reports that.
    pub fn scratch<F>(make: F) -> PerWorker<T>
    where
        F: Fn(usize) -> T + Copy + Send + Sync + 'static,
    {
        const { NoCapture::<F>::OK };
        PerWorker { id: Arc::new(HandleId::new(false)), make: code::pointer_to(make) }
    }

    /// The handle's name, which keeps the states while it is held.
    pub(crate) fn id(&self) -> Arc<HandleId> {
        self.id.clone()
    }
}

/// The state as resolved by one member.
#[derive(Debug)]
pub struct StateLocal<T>(*mut T, PhantomData<T>);

// SAFETY: see the module.
unsafe impl<T: Send + 'static> Operand for &PerWorker<T> {
    type Wire = (u64, u64);
    type Local = StateLocal<T>;
    type View<'w> = &'w mut T;
    const LAYOUT: u64 = sized(Tag::PerWorker, size_of::<T>());

    fn describe(&self, to: &mut Description<'_>) -> Result<(), LaunchError> {
        code::offset_of(self.make as usize)?;
        to.state(self.id.get())
    }
    fn wire(&self) -> Self::Wire {
        // `describe` has found the offset before.
        (self.id.get(), code::offset_of(self.make as usize).unwrap_or(0))
    }
    unsafe fn open(wire: &Self::Wire, context: &mut LaunchContext<'_>) -> Result<Self::Local, Fault> {
        // SAFETY: the wire is of such a handle, so the offset is that of such a function of the same build.
        let make = unsafe { context.function::<fn(usize) -> T>(wire.1) }?;
        let rank = context.member.rank;
        let state = context.member.states.get(wire.0, || make(rank));
        let state = state.ok_or_else(|| fault(FaultKind::Corrupt, "per-worker state has another type"))?;
        Ok(StateLocal(std::ptr::from_mut(state), PhantomData))
    }
    unsafe fn view<'w>(local: &Self::Local, _chunk: &Chunk) -> &'w mut T {
        // SAFETY: alive and exclusive by 1 to 4 of the module's argument, on this thread by 5.
        unsafe { &mut *local.0 }
    }
}
