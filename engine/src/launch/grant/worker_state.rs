//! State that each worker makes once and keeps.
//!
//! # Safety
//! A member hands its state to one kernel call at a time; the box that holds it does not move while the launch runs.
#![allow(unsafe_code)]

use crate::launch::chunk::Chunk;
use crate::launch::describe::Description;
use crate::launch::error::LaunchError;
use crate::launch::operand::{Operand, SEED, mix};
use crate::team::board::{Fault, FaultKind};
use crate::team::member::{Visit, fault};
use crate::team::text;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicU64, Ordering};

static NEXT: AtomicU64 = AtomicU64::new(1);

/// State that lives in each worker: made there when a kernel first asks for it, kept from launch to launch.
///
/// For scratch buffers, library handles, random generators. `T` is any type that is `Send`: it never travels. Each worker makes its
/// own exactly once, by `make(rank)`; a worker that replaces a dead one makes it anew. Pass `&state` as an operand; the
/// kernel receives `&mut T`, and no second kernel call in the same worker can be running then.
///
/// ```
/// use phalanx::{PerWorker, Pool};
/// # fn main() -> Result<(), phalanx::Error> {
/// let pool = Pool::builder().workers(2).build()?;
/// let scratch = PerWorker::new(|_rank| Vec::<f64>::with_capacity(1000));
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
    id: u64,
    make: fn(usize) -> T,
}

impl<T: Send + 'static> PerWorker<T> {
    /// A handle for state that workers make by `make(rank)`.
    pub fn new(make: fn(usize) -> T) -> PerWorker<T> {
        PerWorker { id: NEXT.fetch_add(1, Ordering::Relaxed), make }
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
    const LAYOUT: u64 = mix(mix(SEED, 28), size_of::<T>() as u64);

    fn describe(&self, _to: &mut Description<'_>) -> Result<(), LaunchError> {
        text::offset_of(self.make as usize)?;
        Ok(())
    }
    fn wire(&self) -> Self::Wire {
        // `describe` has found the offset before.
        (self.id, text::offset_of(self.make as usize).unwrap_or(0))
    }
    unsafe fn open(wire: &Self::Wire, visit: &mut Visit<'_>) -> Result<Self::Local, Fault> {
        let make = visit.function(wire.1)?;
        // SAFETY: the layout agrees, so the driver sent the offset of such a function of the same build.
        let make = unsafe { std::mem::transmute::<usize, fn(usize) -> T>(make) };
        let rank = visit.member.rank;
        let state = visit.member.states.get(wire.0, || make(rank));
        let state = state.ok_or_else(|| fault(FaultKind::Corrupt, "per-worker state has another type"))?;
        Ok(StateLocal(std::ptr::from_mut(state), PhantomData))
    }
    unsafe fn view<'w>(local: &Self::Local, _chunk: &Chunk) -> &'w mut T {
        // SAFETY: boxed in this member's table; one operand a launch... see `open`; one call at a time.
        unsafe { &mut *local.0 }
    }
}
