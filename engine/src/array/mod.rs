//! Arrays in shared memory.
//!
//! A [`SharedArray`] is the only owner of its bytes, so `&` and `&mut` mean for it what they mean for a
//! `Vec`: in the driver and, through [grants](crate::grant), in every worker. A [`FrozenArray`] is read-only
//! and can be sent to tasks; [`ArrayParts`] lets tasks write it; a [`MappedArray`] reads a file in place;
//! [`npy`] describes `.npy` files. [`crate::shared`] compares them with values under locks.
//!
//! ```
//! let pool = phalanx::Pool::builder().workers(2).build()?;
//! let mut x = pool.from_fn(1000, |i| i as f64)?;
//! pool.for_each(x.split_mut(), |x| x.iter_mut().for_each(|x| *x = x.sqrt()))?;
//! assert_eq!(x.as_slice()[81], 9.0);
//! # Ok::<(), phalanx::Error>(())
//! ```

mod attach;
mod descriptor;
mod element;
mod frozen;
mod mapped;
mod named;
pub mod npy;
mod part;
mod parts;
mod range_ref;
pub(crate) mod shape;
pub(crate) mod shared;
#[cfg(feature = "shared_memory")]
mod shmem;
mod slice_ref;
mod value;

pub use attach::AttachError;
pub(crate) use attach::{check_axes, check_type};
pub use element::Element;
pub use frozen::FrozenArray;
pub use mapped::{MappedArray, PrivateArray};
pub(crate) use named::to_native;
pub use part::{ArrayPart, PartGuard};
pub use parts::{ArrayParts, PartsError};
pub(crate) use range_ref::rows_of;
pub use range_ref::{RangeRef, RangeRefMut};
pub use shape::Shape;
pub(crate) use shape::{row_elems, rows};
pub use shared::SharedArray;
pub use slice_ref::{SliceRef, SliceRefMut};
pub use value::{FrozenValue, SharedValue};

/// What must not compile.
///
/// Elements that are no plain data (H2):
/// ```compile_fail,E0277
/// let a = phalanx::SharedArray::<bool>::zeros(3);
/// ```
/// ```compile_fail,E0277
/// let a = phalanx::SharedArray::<&'static u8>::zeros(3);
/// ```
/// ```compile_fail,E0277
/// let a = phalanx::SharedArray::<fn()>::zeros(3);
/// ```
/// ```compile_fail,E0277
/// let a = phalanx::SharedArray::<(u8, u32)>::zeros(3);
/// ```
/// A second owner, and two exclusive borrows (H12):
/// ```compile_fail,E0599
/// let a = phalanx::SharedArray::<u8>::zeros(3).unwrap();
/// let b = a.clone();
/// ```
/// ```compile_fail,E0499
/// let mut a = phalanx::SharedArray::<u8>::zeros(3).unwrap();
/// let (x, y) = (a.as_mut_slice(), a.as_mut_slice());
/// x[0] = y[0];
/// ```
/// A view that outlives its array (C21):
/// ```compile_fail,E0505
/// let a = phalanx::SharedArray::<u8>::zeros(3).unwrap();
/// let x = a.as_slice();
/// drop(a);
/// assert_eq!(x[0], 0);
/// ```
/// Writing to a mapped file:
/// ```compile_fail,E0596
/// # let path = "";
/// let mut a = unsafe { phalanx::MappedArray::<u8>::map_npy(path).unwrap() };
/// a.as_mut_slice()[0] = 1;
/// ```
/// Alignment above a page, which no address in shared memory has in all processes; above 128 bytes in the
/// leaves of a reduction:
/// ```compile_fail,E0080
/// #[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
/// #[repr(C, align(8192))]
/// struct Wide([u8; 8192]);
/// let lock = phalanx::sync::Lock::new(Wide([0; 8192]));
/// ```
/// ```compile_fail,E0080
/// #[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
/// #[repr(C, align(8192))]
/// struct Wide([u8; 8192]);
/// let a = phalanx::SharedArray::<Wide>::zeros(1);
/// ```
/// ```compile_fail,E0080
/// #[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
/// #[repr(C, align(256))]
/// struct Wide([u8; 256]);
/// let pool = phalanx::Pool::builder().workers(1).build().unwrap();
/// let wide = pool.reduce(0..10, Wide([0; 256]), |_| Wide([1; 256]), |a, _| a);
/// ```
#[cfg(doctest)]
pub struct MustNotCompile;

#[cfg(test)]
mod tests;

#[cfg(test)]
mod file_tests;

#[cfg(all(test, not(loom)))]
mod frozen_tests;
