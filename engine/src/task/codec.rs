//! Arguments and results as bytes: plain numbers as they lie in memory, everything else as postcard.
//!
//! # Safety
//! Bytes are copied to and from values of the primitive number types only, which every bit pattern is valid for; that a type is one
//! of them is asked by its `TypeId`.
#![allow(unsafe_code)]

use crate::memory::travel;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::any::TypeId;

/// Whether `T` travels as its bytes: a primitive number. Known when the program is built.
#[inline]
pub(crate) fn is_plain<T: 'static>() -> bool {
    macro_rules! one_of {
        ($($number:ty),*) => { false $(|| TypeId::of::<T>() == TypeId::of::<$number>())* };
    }
    one_of!(u8, i8, u16, i16, u32, i32, u64, i64, u128, i128, usize, isize, f32, f64)
}

/// What cannot be written: it needs more room than there is, or the type refuses.
#[derive(Debug)]
pub(crate) enum WriteError {
    NoRoom,
    Refused(String),
}

/// Writes `value` at the start of `room`; gives the bytes used.
#[inline]
pub(crate) fn write<T: Serialize + 'static>(value: &T, room: &mut [u8]) -> Result<usize, WriteError> {
    if is_plain::<T>() {
        let len = size_of::<T>();
        let Some(room) = room.get_mut(..len) else { return Err(WriteError::NoRoom) };
        // SAFETY: a number's bytes are all initialised.
        let bytes = unsafe { std::slice::from_raw_parts(std::ptr::from_ref(value).cast::<u8>(), len) };
        room.copy_from_slice(bytes);
        return Ok(len);
    }
    match postcard::to_slice(value, room) {
        Ok(used) => Ok(used.len()),
        Err(postcard::Error::SerializeBufferFull) => Err(WriteError::NoRoom),
        Err(error) => Err(WriteError::Refused(travel::error_text(&error))),
    }
}

/// Where postcard appends to.
struct Tail<'a>(&'a mut Vec<u8>);

impl postcard::ser_flavors::Flavor for Tail<'_> {
    type Output = ();
    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.0.push(byte);
        Ok(())
    }
    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }
    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}

/// Appends `value` to `bytes`, which are as before where that fails.
#[inline]
pub(crate) fn append<T: Serialize + 'static>(value: &T, bytes: &mut Vec<u8>) -> Result<(), String> {
    let before = bytes.len();
    if is_plain::<T>() {
        bytes.resize(before + size_of::<T>(), 0);
        let _fits = write(value, &mut bytes[before..]);
        return Ok(());
    }
    postcard::serialize_with_flavor(value, Tail(bytes)).map_err(|error| {
        bytes.truncate(before);
        travel::error_text(&error)
    })
}

/// Reads a value from the start of `bytes`; gives the rest.
#[inline]
pub(crate) fn read<T: DeserializeOwned + 'static>(bytes: &[u8]) -> Result<(T, &[u8]), String> {
    if is_plain::<T>() {
        let Some((own, rest)) = bytes.split_at_checked(size_of::<T>()) else {
            return Err("its bytes end too early".into());
        };
        // SAFETY: a number, for which every bit pattern is valid; as many bytes as it has, read unaligned.
        let value = unsafe { own.as_ptr().cast::<T>().read_unaligned() };
        return Ok((value, rest));
    }
    postcard::take_from_bytes(bytes).map_err(|error| travel::error_text(&error))
}

/// Appends `items` numbers, which lie one after the other in `bytes`; false, and nothing done, if `T` is no number or they
/// are not all there.
pub(crate) fn append_numbers<T: 'static>(bytes: &[u8], items: usize, values: &mut Vec<T>) -> bool {
    if !is_plain::<T>() || bytes.len() != items * size_of::<T>() {
        return false;
    }
    values.reserve(items);
    let end = values.spare_capacity_mut().as_mut_ptr().cast::<u8>();
    // SAFETY: there is capacity for `items` values more, which is as many bytes as there are.
    unsafe { end.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
    // SAFETY: their bytes were written just now, and any bytes are a number.
    unsafe { values.set_len(values.len() + items) };
    true
}

/// A number for the types of a task's argument and result, compared by the worker with its own.
pub(crate) const fn layout_of<A, R>() -> u64 {
    let argument = (size_of::<A>() as u64) << 6 | align_of::<A>() as u64;
    let result = (size_of::<R>() as u64) << 6 | align_of::<R>() as u64;
    argument.rotate_left(32) ^ result ^ 0x5048_4c58
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_travel_as_bytes_and_the_rest_as_postcard() {
        let mut bytes = Vec::new();
        append(&1.5f64, &mut bytes).unwrap();
        append(&u128::MAX, &mut bytes).unwrap();
        append(&("text".to_string(), Some(3u8)), &mut bytes).unwrap();
        assert_eq!(&bytes[..8], 1.5f64.to_ne_bytes());
        let (number, rest) = read::<f64>(&bytes).unwrap();
        let (large, rest) = read::<u128>(rest).unwrap();
        let (tuple, rest) = read::<(String, Option<u8>)>(rest).unwrap();
        assert_eq!((number, large, tuple), (1.5, u128::MAX, ("text".into(), Some(3))));
        assert!(rest.is_empty());
    }

    #[test]
    fn numbers_are_taken_all_at_once_or_not_at_all() {
        let mut values = vec![7u16];
        assert!(append_numbers(&[1, 0, 2, 0], 2, &mut values));
        assert_eq!(values, [7, 1, 2]);
        assert!(!append_numbers(&[1, 0, 2], 2, &mut values));
        assert!(!append_numbers::<char>(&[0; 8], 2, &mut Vec::new()));
        assert_eq!(values.len(), 3);
    }

    #[test]
    fn short_bytes_and_small_rooms_are_errors() {
        assert!(read::<u64>(&[1, 2, 3]).is_err());
        assert!(read::<String>(&[200]).is_err());
        assert!(matches!(write(&7u64, &mut [0; 7]), Err(WriteError::NoRoom)));
        assert!(matches!(write(&"longer than that", &mut [0; 4]), Err(WriteError::NoRoom)));
    }

    #[test]
    fn layouts_tell_types_apart() {
        assert_ne!(layout_of::<u32, u64>(), layout_of::<u64, u32>());
    }
}
