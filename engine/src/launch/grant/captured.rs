//! Values of any serde type, for kernels that would capture them.
//!
//! # Safety
//! A view leads to what an `Arc` in the member's table of states holds. The table keeps it at least until the
//! launch's entry has returned (`worker_state`, 4), and gives out shared references alone.
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use super::{ArrayWire, Located, describe};
use crate::array::{RangeRef, SharedArray};
use crate::base::notation;
use crate::launch::error::LaunchError;
use crate::launch::member::chunk::Chunk;
use crate::launch::operand::Operand;
use crate::launch::operand::describe::Description;
use crate::launch::operand::tag::{Tag, of};
use crate::team::fault::{Fault, FaultKind};
use crate::team::member::{LaunchContext, fault};
use crate::team::state::HandleId;
use ndarray::Ix1;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::any::type_name;
use std::marker::PhantomData;
use std::sync::Arc;

/// A value of any serde type that kernels read: configurations, strings, lookup tables, models. What a
/// closure would capture.
///
/// The value is encoded once, when the handle is created, into memory that the workers share. Each worker
/// decodes it once, when a launch first names `&handle` among its operands, and keeps it for later launches.
/// The kernel receives `&T`. When the handle is dropped, workers drop their copies at their next launch, or
/// when they end.
///
/// Later changes of the original value are not seen; create another handle. For plain values use them
/// directly or [`Val`](crate::Val), and for large tables of numbers a [`SharedArray`], which is not copied at
/// all.
///
/// ```
/// use phalanx::{Captured, Pool};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// enum Filter { Above(f64), Named { names: Vec<String> } }
///
/// # fn main() -> Result<(), phalanx::Error> {
/// let pool = Pool::builder().workers(2).build()?;
/// let mut y = pool.from_fn(100, |i| i as f64)?;
/// let filter = Captured::new(&Filter::Above(9.0))?;
/// pool.for_each((y.split_mut(), &filter), |(y, filter)| {
///     if let Filter::Above(limit) = filter {
///         y.iter_mut().filter(|y| **y > *limit).for_each(|y| *y = 0.0);
///     }
/// })?;
/// assert_eq!(y.as_slice()[8..11], [8.0, 9.0, 0.0]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Captured<T> {
    id: HandleId,
    bytes: SharedArray<u8>,
    value: PhantomData<fn() -> T>,
}

impl<T: Serialize + DeserializeOwned + Send + Sync + 'static> Captured<T> {
    /// Encodes `value` and returns a handle that launches and regions take by reference.
    ///
    /// Cost: one encoding, and one decoding in each worker.
    ///
    /// # Errors
    /// - [`LaunchError::Encode`]: the type's `Serialize` failed. Handles of locks, queues and other shared
    ///   objects are refused; pass these as operands of their own.
    /// - [`LaunchError::Alloc`]: no memory for the encoded value.
    pub fn new(value: &T) -> Result<Captured<T>, LaunchError> {
        let encoded = notation::to_vec(value)
            .map_err(|error| LaunchError::Encode { type_name: type_name::<T>(), why: error.to_string() })?;
        Ok(Captured {
            id: HandleId::new(false),
            bytes: SharedArray::from_slice(&encoded)?,
            value: PhantomData,
        })
    }
}

/// The member's own copy, decoded when it meets the handle first.
fn copy_of<T: DeserializeOwned + Send + Sync + 'static>(
    (id, wire): &(u64, ArrayWire),
    context: &mut LaunchContext<'_>,
) -> Result<Arc<T>, Fault> {
    let bytes = Located::<u8, Ix1>::open(wire, context, false)?;
    let decode = || {
        // SAFETY: `open` checked that these bytes lie in the segment, which is mapped for the launch. Nobody
        // writes them after the handle was created, and the launch borrows the handle.
        let bytes = unsafe { std::slice::from_raw_parts(bytes.base, bytes.rows()) };
        notation::read::<T>(bytes).map(Arc::new).map_err(|error| {
            fault(FaultKind::Decode, &format!("a captured {} cannot be decoded: {error}", type_name::<T>()))
        })
    };
    let copy: Option<&mut Arc<T>> = context.member.states.try_get(*id, decode)?;
    copy.cloned().ok_or_else(|| fault(FaultKind::Corrupt, "a captured value has another type"))
}

// SAFETY: see the module.
unsafe impl<T: Serialize + DeserializeOwned + Send + Sync + 'static> Operand for &Captured<T> {
    type Wire = (u64, ArrayWire);
    type Local = Arc<T>;
    type View<'w> = &'w T;
    const LAYOUT: u64 = of(Tag::Captured);

    fn describe(&self, to: &mut Description<'_>) -> Result<(), LaunchError> {
        describe(&RangeRef::of(&self.bytes), "a captured value", false, to)
    }
    fn wire(&self) -> Self::Wire {
        (self.id.get(), ArrayWire::of(&RangeRef::of(&self.bytes)))
    }
    unsafe fn open(wire: &Self::Wire, context: &mut LaunchContext<'_>) -> Result<Arc<T>, Fault> {
        copy_of(wire, context)
    }
    unsafe fn view<'w>(local: &Arc<T>, _chunk: &Chunk) -> &'w T {
        // SAFETY: the member's table holds the value for the whole launch.
        unsafe { &*Arc::as_ptr(local) }
    }
}
