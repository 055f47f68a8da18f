//! Arguments and results as bytes: plain numbers as they lie in memory, everything else as its length
//! followed by its encoding in `base::notation`. So even if one value is invalid, the next one can still be
//! found. A result with handles is followed by its table of them and the table's length, which the length
//! before it counts; a bit beside that says so. (The handles of arguments are in one table of the task.)
#![deny(clippy::arithmetic_side_effects)]

use crate::base::{notation, plain_numbers, with_own};
use crate::handle::travel::{self, KeepAlive, Manifest};
use crate::spawn::panic_note;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::any::{Any, TypeId};
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Bytes before a value that is no number: the length of those that follow.
const HEAD: usize = size_of::<u64>();
/// In the length before a result: a table of handles is part of it.
const HAS_TABLE: u64 = 1 << 63;
/// Why a value with a handle in it does not go to another machine.
pub(crate) const ONE_MACHINE: &str =
    "handles lead to memory of one machine, and the tasks of a cluster run on all; send the value itself";
/// Scratch larger than this is given back.
const KEEP_SCRATCH: usize = 1 << 20;

thread_local! {
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Whether `T` travels as its bytes: a primitive number. Known when the program is built.
#[inline]
pub(crate) fn is_plain<T: 'static>() -> bool {
    macro_rules! one_of {
        ($($number:ty)*) => { false $(|| TypeId::of::<T>() == TypeId::of::<$number>())* };
    }
    plain_numbers!(one_of)
}

/// Why a value cannot be written: it needs more room than there is, or its type refuses.
#[derive(Debug)]
pub(crate) enum WriteError {
    NoRoom,
    Refused(String),
}

/// A result as it was written: its bytes, and what must be kept until it has been read, if it has handles.
pub(crate) type Written = (usize, Option<KeepAlive>);

/// Writes the result of a task at the start of `room`. `question` is what came with the task's arguments.
#[inline]
pub(crate) fn write<T: Serialize + 'static>(
    value: &T,
    question: Option<&Manifest>,
    room: &mut [u8],
) -> Result<Written, WriteError> {
    if is_plain::<T>() {
        return write_number(value, room).map(|len| (len, None)).ok_or(WriteError::NoRoom);
    }
    let mut scratch = with_own(&SCRATCH, std::mem::take);
    scratch.clear();
    let keep_alive = append_result(value, question, &mut scratch).map_err(WriteError::Refused)?;
    let len = scratch.len();
    let written = room.get_mut(..len).map(|room| room.copy_from_slice(&scratch));
    if scratch.capacity() <= KEEP_SCRATCH {
        with_own(&SCRATCH, |own| *own = scratch);
    }
    written.map(|()| (len, keep_alive)).ok_or(WriteError::NoRoom)
}

/// Writes a primitive number; `None` if there is no room. Returns the number of bytes used.
#[inline]
fn write_number<T: 'static>(value: &T, room: &mut [u8]) -> Option<usize> {
    macro_rules! try_number { ($($number:ty)*) => { $(
        if let Some(number) = (value as &dyn Any).downcast_ref::<$number>() {
            let bytes = bytemuck::bytes_of(number);
            room.get_mut(..bytes.len())?.copy_from_slice(bytes);
            return Some(bytes.len());
        }
    )* } }
    plain_numbers!(try_number);
    None
}

/// Reads a primitive number; `None` if the bytes are none.
#[inline]
fn read_number<T: 'static>(own: &[u8]) -> Option<T> {
    let mut made = None::<T>;
    macro_rules! try_number { ($($number:ty)*) => { $(
        if let Some(made) = (&mut made as &mut dyn Any).downcast_mut::<Option<$number>>() {
            *made = bytemuck::try_pod_read_unaligned(own).ok();
        }
    )* } }
    plain_numbers!(try_number);
    made
}

/// Appends the result of a task, as [`append`] does, with its handles. Returns what must be kept until it has
/// been read.
pub(crate) fn append_result<T: Serialize + 'static>(
    value: &T,
    question: Option<&Manifest>,
    bytes: &mut Vec<u8>,
) -> Result<Option<KeepAlive>, String> {
    let before = bytes.len();
    let (appended, keep_alive) = travel::pack_result(question, || append(value, bytes));
    appended?;
    if is_plain::<T>() || !keep_alive.has_handles() {
        return Ok(None);
    }
    let table = bytes.len();
    keep_alive.append_table(bytes);
    let table_bytes = bytes.len().saturating_sub(table) as u64;
    bytes.extend_from_slice(&table_bytes.to_le_bytes());
    let body = before.saturating_add(HEAD);
    let len = bytes.len().saturating_sub(body) as u64 | HAS_TABLE;
    bytes[before..body].copy_from_slice(&len.to_le_bytes());
    Ok(Some(keep_alive))
}

/// The bytes of one result, and its table of handles, which is mostly empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ResultBytes<'b> {
    value: &'b [u8],
    table: &'b [u8],
}

/// As [`split`], for a result.
#[inline]
pub(crate) fn split_result<'b, T: 'static>(rest: &mut &'b [u8]) -> Option<ResultBytes<'b>> {
    if is_plain::<T>() {
        return split::<T>(rest).map(|value| ResultBytes { value, table: &[] });
    }
    let (head, bytes) = rest.split_first_chunk::<HEAD>()?;
    let head = u64::from_le_bytes(*head);
    let (own, after) = bytes.split_at_checked(usize::try_from(head & !HAS_TABLE).ok()?)?;
    let parts = if head & HAS_TABLE == 0 {
        ResultBytes { value: own, table: &[] }
    } else {
        let (own, table_bytes) = own.split_last_chunk::<HEAD>()?;
        let table_bytes = usize::try_from(u64::from_le_bytes(*table_bytes)).ok()?;
        let (value, table) = own.split_at_checked(own.len().checked_sub(table_bytes)?)?;
        ResultBytes { value, table }
    };
    *rest = after;
    Some(parts)
}

/// Reads a result in the driver. What its handles lead to is the driver's own.
#[inline]
pub(crate) fn read_result<T: DeserializeOwned + 'static>(bytes: ResultBytes<'_>) -> Result<T, String> {
    if bytes.table.is_empty() {
        return read(bytes.value);
    }
    let manifest = Manifest::read(bytes.table, &mut travel::nothing_foreign)?;
    manifest.unpack(&mut travel::nothing_foreign, || read(bytes.value))
}

/// Appends `value` to `bytes`, which stay unchanged on failure. The caller must catch panics of the type's
/// own code, here and when reading.
#[inline]
pub(crate) fn append<T: Serialize + 'static>(value: &T, bytes: &mut Vec<u8>) -> Result<(), String> {
    let before = bytes.len();
    if is_plain::<T>() {
        bytes.resize(before.saturating_add(size_of::<T>()), 0);
        let _fits = write_number(value, &mut bytes[before..]);
        return Ok(());
    }
    bytes.extend_from_slice(&[0; HEAD]);
    if let Err(error) = notation::append_uncaught(value, bytes) {
        bytes.truncate(before);
        return Err(error.to_string());
    }
    let body = before.saturating_add(HEAD);
    let len = bytes.len().saturating_sub(body) as u64;
    bytes[before..body].copy_from_slice(&len.to_le_bytes());
    Ok(())
}

/// Splits the bytes of the first value off `rest`. `None` if they are incomplete: then the start of the next
/// value is unknown.
#[inline]
pub(crate) fn split<'b, T: 'static>(rest: &mut &'b [u8]) -> Option<&'b [u8]> {
    let (len, bytes) = if is_plain::<T>() {
        (size_of::<T>(), *rest)
    } else {
        let (head, bytes) = rest.split_first_chunk::<HEAD>()?;
        (usize::try_from(u64::from_le_bytes(*head)).ok()?, bytes)
    };
    let (own, after) = bytes.split_at_checked(len)?;
    *rest = after;
    Some(own)
}

/// Reads a value from its own bytes, all of which it must take.
#[inline]
pub(crate) fn read<T: DeserializeOwned + 'static>(own: &[u8]) -> Result<T, String> {
    if is_plain::<T>() {
        return read_number(own).ok_or_else(|| "it has another length".into());
    }
    notation::read_uncaught(own).map_err(|error| error.to_string())
}

/// Runs a type's own code and turns a panic into an error.
pub(crate) fn guarded<T>(what: &str, run: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|payload| {
        let fault = panic_note::take(payload);
        let place = if fault.location.is_empty() { String::new() } else { format!(" ({})", fault.location) };
        Err(format!("its {what} panicked: {}{place}", fault.message))
    })
}

/// Appends `items` numbers, which lie one after the other in `bytes`. Returns false, and does nothing, if `T`
/// is not a number or the bytes are incomplete.
#[expect(clippy::ptr_arg, reason = "only a vector is asked which vector it is")]
pub(crate) fn append_numbers<T: 'static>(bytes: &[u8], items: usize, values: &mut Vec<T>) -> bool {
    macro_rules! try_numbers { ($($number:ty)*) => { $(
        if let Some(values) = (values as &mut dyn Any).downcast_mut::<Vec<$number>>() {
            let (numbers, rest) = bytes.as_chunks::<{ size_of::<$number>() }>();
            let is_whole = numbers.len() == items && rest.is_empty();
            if is_whole {
                values.extend(numbers.iter().map(|number| <$number>::from_ne_bytes(*number)));
            }
            return is_whole;
        }
    )* } }
    plain_numbers!(try_numbers);
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_travel_as_bytes_and_the_rest_with_its_length() {
        let mut bytes = Vec::new();
        append(&1.5f64, &mut bytes).unwrap();
        append(&u128::MAX, &mut bytes).unwrap();
        append(&("text".to_string(), Some(3u8)), &mut bytes).unwrap();
        append(&7u8, &mut bytes).unwrap();
        assert_eq!(&bytes[..8], 1.5f64.to_ne_bytes());
        let mut rest = &bytes[..];
        assert_eq!(read::<f64>(split::<f64>(&mut rest).unwrap()), Ok(1.5));
        assert_eq!(read::<u128>(split::<u128>(&mut rest).unwrap()), Ok(u128::MAX));
        // As another type than was written, which reads less, or more: the next is where it is.
        let own = split::<(String, Option<u8>)>(&mut rest).unwrap();
        assert_eq!(read::<(String, Option<u8>)>(own), Ok(("text".into(), Some(3))));
        assert!(read::<(String,)>(own).is_err() && read::<(String, u8, u8)>(own).is_err());
        assert_eq!((split::<u8>(&mut rest), rest), (Some(&[7][..]), &[][..]));
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
        assert!(split::<u64>(&mut &[1, 2, 3][..]).is_none());
        assert!(
            split::<String>(&mut &[1, 2, 3][..]).is_none() && split::<String>(&mut &[255; 20][..]).is_none()
        );
        assert!(matches!(write(&7u64, None, &mut [0; 7]), Err(WriteError::NoRoom)));
        assert!(matches!(write(&"longer than that", None, &mut [0; 4]), Err(WriteError::NoRoom)));
    }

    #[cfg(not(loom))]
    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig { cases: 500, failure_persistence: None, ..Default::default() })]

        #[test]
        fn any_bytes_are_values_or_errors(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200), len in 0..64u8) {
            // Now and then with a length that may be true.
            let framed = [&[len, 0, 0, 0, 0, 0, 0, 0], &bytes[..]].concat();
            for bytes in [&bytes, &framed] {
                let mut rest = &bytes[..];
                while let Some(own) = split::<Vec<String>>(&mut rest) {
                    assert!(own.len().saturating_add(HEAD) <= bytes.len());
                    let read = read::<Vec<(String, Option<u64>)>>(own);
                    assert!(read.is_err() || own.len() <= bytes.len());
                    let _ = (super::read::<std::collections::BTreeMap<u8, String>>(own), super::read::<char>(own));
                }
                let mut rest = &bytes[..];
                while let Some(own) = split_result::<Vec<String>>(&mut rest) {
                    assert!(own.value.len().saturating_add(own.table.len()) <= bytes.len());
                    let _ = read_result::<Vec<String>>(own);
                }
                // As if it had a table, of any length.
                let tabled = [&[len, 0, 0, 0, 0, 0, 0, 0x80], &bytes[..], &[len / 2, 0, 0, 0, 0, 0, 0, 0]].concat();
                let own = split_result::<Vec<String>>(&mut &tabled[..]);
                let _ = own.map(read_result::<Vec<String>>);
                let faults = crate::task::results::read_faults(bytes);
                assert!(faults.is_none_or(|faults| faults.len() <= bytes.len()));
            }
        }
    }
}
