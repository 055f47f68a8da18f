//! Items as bytes: vectors of plain numbers as they lie in memory, everything else in the encoding of
//! `base::notation`.
//!
//! # Safety
//! A vector of one of the listed number types, and only of these, is seen as its bytes and made from bytes:
//! they have no padding and every bit pattern is a value.
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use super::error::QueueError;
use crate::base::{notation, plain_numbers};
use crate::handle::travel;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::any::{Any, TypeId};

/// A type that can go through a queue: anything that serde can encode and decode again.
///
/// `Vec`s of plain numbers are copied as bytes, everything else in a self-describing format.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot go through a queue",
    label = "not an item of a queue",
    note = "items own their data and have serde's traits: `#[derive(serde::Serialize, serde::Deserialize)]`"
)]
pub trait Message: Serialize + DeserializeOwned + 'static {}
#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned + 'static> Message for T {}

/// The item's bytes, its own or in `scratch`.
pub(super) fn encode<'a, T: Message>(item: &'a T, scratch: &'a mut Vec<u8>) -> Result<&'a [u8], QueueError> {
    macro_rules! try_plain { ($($n:ty)*) => { $(
        if let Some(plain) = (item as &dyn Any).downcast_ref::<Vec<$n>>() {
            return Ok(bytemuck::cast_slice(plain));
        }
    )* } }
    plain_numbers!(try_plain);
    scratch.clear();
    let (appended, handle) = travel::without_handles(|| notation::append(item, scratch));
    let type_name = std::any::type_name::<T>();
    match (appended, handle) {
        (Ok(()), _) => Ok(scratch),
        (Err(_), Some(what)) => Err(QueueError::Handle { what, type_name }),
        (Err(error), None) => Err(QueueError::Encode { type_name, why: error.to_string() }),
    }
}

/// Bytes of an element, if `T` is a vector of plain numbers.
pub(super) fn plain_element<T: 'static>() -> Option<usize> {
    macro_rules! try_plain { ($($n:ty)*) => { $(
        if TypeId::of::<T>() == TypeId::of::<Vec<$n>>() {
            return Some(size_of::<$n>());
        }
    )* } }
    plain_numbers!(try_plain);
    None
}

/// A vector of plain numbers from `len` bytes, which `fill` writes; `None` where they are no whole number of
/// them, or memory has no room.
///
/// # Safety
/// `fill`, unless it fails, initialises `len` bytes at the address it is given. `T` has `plain_element`.
#[expect(clippy::arithmetic_side_effects, reason = "numbers have a size")]
pub(super) unsafe fn decode_plain<T: 'static, E>(
    len: usize,
    fill: impl FnOnce(*mut u8) -> Result<(), E>,
) -> Result<Option<T>, E> {
    let mut fill = Some(fill);
    let mut made = None::<T>;
    macro_rules! try_plain { ($($n:ty)*) => { $(
        if let Some(slot) = (&mut made as &mut dyn Any).downcast_mut::<Option<Vec<$n>>>()
            && len.is_multiple_of(size_of::<$n>())
            && let Some(fill) = fill.take()
        {
            let mut items = Vec::<$n>::new();
            if items.try_reserve_exact(len / size_of::<$n>()).is_err() {
                return Ok(None);
            }
            fill(items.as_mut_ptr().cast())?;
            // SAFETY: `fill` initialised all bytes of so many items, by the caller's promise.
            unsafe { items.set_len(len / size_of::<$n>()) };
            *slot = Some(items);
        }
    )* } }
    plain_numbers!(try_plain);
    Ok(made)
}

/// An item from its bytes.
pub(super) fn decode<T: Message>(bytes: &[u8]) -> Result<T, QueueError> {
    notation::read(bytes).map_err(|error| QueueError::Decode {
        bytes: bytes.len(),
        type_name: std::any::type_name::<T>(),
        why: error.to_string(),
    })
}
