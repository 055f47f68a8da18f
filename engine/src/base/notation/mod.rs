//! Values as bytes: what every argument, result and message that is not plain numbers is written in.
//!
//! The format describes itself: before each value stands what it is, and fields and variants go by their
//! names. So every attribute of serde works (`tag`, `untagged`, `flatten`, `default` with
//! `skip_serializing_if`, `skip` ..), and so do types that ask for whatever comes, such as
//! `serde_json::Value`. Nothing is lost on the way: `Some(None)` stays apart from `None`, a NaN keeps its
//! bits, and maps may have keys of any type. Errors keep serde's own words.
//!
//! It says that it is readable by humans, as serde's own buffers for `flatten`, `tag` and `untagged` do: an
//! IP address, say, is written and read as text, inside of such types and elsewhere.
//!
//! One byte says what follows:
//!
//! | byte | value |
//! |---|---|
//! | 0 to 127 | that number |
//! | `U8` .. `U128`, `I8` .. `I128` | 1 to 16 bytes, little-endian; the shortest that fits, but for 128 bits |
//! | `F32`, `F64`, `CHAR` | its bits |
//! | `UNIT`, `FALSE`, `TRUE`, `NONE` | nothing |
//! | `SOME` | a value |
//! | `TEXT`, `BYTES` | a length, and so many bytes |
//! | `LIST` | about how many, values, `END` |
//! | `MAP` | about how many, keys and values in turn, `END` |
//! | `FIELDS` | about how many, names and values in turn, `END` |
//! | `UNIT_VARIANT` | a name |
//! | `VARIANT` | a name, a value |
//!
//! A length, also that of a name, is one byte below 254, or 254 and 8 bytes.

mod read;
#[cfg(all(test, not(loom)))]
mod tests;
mod write;

use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::{self, Display};
use std::panic::{AssertUnwindSafe, catch_unwind};

const UNIT: u8 = 0x80;
const FALSE: u8 = 0x81;
const TRUE: u8 = 0x82;
const NONE: u8 = 0x83;
const SOME: u8 = 0x84;
const U8: u8 = 0x90;
const U16: u8 = 0x91;
const U32: u8 = 0x92;
const U64: u8 = 0x93;
const U128: u8 = 0x94;
const I8: u8 = 0x95;
const I16: u8 = 0x96;
const I32: u8 = 0x97;
const I64: u8 = 0x98;
const I128: u8 = 0x99;
const F32: u8 = 0x9a;
const F64: u8 = 0x9b;
const CHAR: u8 = 0x9c;
const TEXT: u8 = 0xa0;
const BYTES: u8 = 0xa1;
const LIST: u8 = 0xa2;
const MAP: u8 = 0xa3;
const FIELDS: u8 = 0xa4;
const UNIT_VARIANT: u8 = 0xa5;
const VARIANT: u8 = 0xa6;
/// In the place of a length: 8 bytes of it follow.
const LONG: u8 = 0xfe;
/// In the place of a value or a name: there are no more.
const END: u8 = 0xff;

/// The most that values inside of each other may take of the stack while they are written or read. A thread
/// has 2 MiB, if nobody says otherwise.
const MAX_STACK: usize = 1 << 20;

/// Where the stack was when a value was begun: types call each other's code, as deep as the value is.
#[derive(Clone, Copy)]
struct Depth(usize);

impl Depth {
    #[inline(never)]
    fn begin() -> Depth {
        Depth(Depth::here())
    }

    #[inline]
    fn here() -> usize {
        let here = 0u8;
        std::hint::black_box(&raw const here).addr()
    }

    /// Whether there is stack for one value more inside of the others.
    #[inline]
    fn check(self) -> Result<(), NotationError> {
        match Depth::here().abs_diff(self.0) {
            0..MAX_STACK => Ok(()),
            _ => Err(NotationError("its values are nested too deeply for the stack of a thread".into())),
        }
    }
}

/// Why a value cannot be written or read: serde's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NotationError(String);

impl Display for NotationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NotationError {}

impl serde::ser::Error for NotationError {
    fn custom<T: Display>(text: T) -> NotationError {
        NotationError(text.to_string())
    }
}

impl serde::de::Error for NotationError {
    fn custom<T: Display>(text: T) -> NotationError {
        NotationError(text.to_string())
    }

    fn missing_field(field: &'static str) -> NotationError {
        NotationError(format!(
            "missing field `{field}`; a field that `skip_serializing` or `skip_serializing_if` leaves out needs \
             `#[serde(default)]`"
        ))
    }
}

/// Appends a value to `bytes`, which are as before where that fails.
///
/// Writing and reading call the type's own code; a panic there is an error of the value.
pub(crate) fn append<T: Serialize + ?Sized>(value: &T, bytes: &mut Vec<u8>) -> Result<(), NotationError> {
    let before = bytes.len();
    let written = guarded("Serialize", || append_uncaught(value, bytes));
    if written.is_err() {
        bytes.truncate(before);
    }
    written
}

/// As [`append`], for a caller who catches panics; in the end there may be a part of the value where it
/// fails.
pub(crate) fn append_uncaught<T: Serialize + ?Sized>(
    value: &T,
    bytes: &mut Vec<u8>,
) -> Result<(), NotationError> {
    value.serialize(&mut write::Writer::new(bytes))
}

/// Bytes of most values: these are written without moving.
const SHORT: usize = 64;

/// A value as bytes.
pub(crate) fn to_vec<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, NotationError> {
    let mut bytes = Vec::with_capacity(SHORT);
    append(value, &mut bytes)?;
    Ok(bytes)
}

/// Reads a value, which must be all of `bytes`.
pub(crate) fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, NotationError> {
    guarded("Deserialize", || read_uncaught(bytes))
}

/// As [`read`], for a caller who catches panics.
pub(crate) fn read_uncaught<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, NotationError> {
    let mut reader = read::Reader::new(bytes);
    let value = T::deserialize(&mut reader)?;
    reader.end()?;
    Ok(value)
}

/// Runs a type's own code, whose panic is an error.
fn guarded<T>(what: &str, run: impl FnOnce() -> Result<T, NotationError>) -> Result<T, NotationError> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|payload| {
        let message = payload.downcast_ref::<&str>().map(ToString::to_string);
        let message = message.or_else(|| payload.downcast_ref::<String>().cloned());
        // A payload's own destructor may panic as well.
        if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
            std::mem::forget(second);
        }
        let message = message.unwrap_or_else(|| "with a payload that is no text".into());
        Err(NotationError(format!("its {what} panicked: {message}")))
    })
}
