//! Which build of the program this is.
#![deny(clippy::arithmetic_side_effects)]

use super::error::JournalError;
use crate::code;
use crate::sys::descriptor;
use crate::sys::object::PT_NOTE;
use std::io::{self, Read as _};
use twox_hash::XxHash3_128;

/// The running program's file.
const EXE: &str = "/proc/self/exe";
/// The type of the note that linkers write into a program: a digest of all that they linked.
const BUILD_ID: u32 = 3;

/// A digest of the build: of the linker's own, or of the program's file if it wrote none.
pub(super) fn digest() -> Result<u128, JournalError> {
    let object = code::own_object();
    let notes = object.into_iter().flat_map(|object| {
        let notes = object.segments.iter().filter(|segment| segment.kind == PT_NOTE);
        notes.filter_map(|segment| object.constant_bytes(segment))
    });
    match notes.filter_map(build_id).next() {
        Some(id) => Ok(XxHash3_128::oneshot(id)),
        None => of_file().map_err(|source| JournalError::Io { path: EXE.into(), doing: "read", source }),
    }
}

/// The build-id among these notes: each is three lengths and a type in 32 bits, a name and a text, both
/// padded.
fn build_id(mut notes: &[u8]) -> Option<&[u8]> {
    let word = |note: &[u8], at: usize| Some(u32::from_ne_bytes(*note.get(at..)?.first_chunk()?));
    loop {
        let (name_len, len, kind) = (word(notes, 0)? as usize, word(notes, 4)? as usize, word(notes, 8)?);
        let name = notes.get(12..)?.get(..name_len)?;
        let rest = notes.get(name_len.checked_next_multiple_of(4)?.checked_add(12)?..)?;
        let text = rest.get(..len)?;
        if kind == BUILD_ID && name == b"GNU\0" && !text.is_empty() {
            return Some(text);
        }
        notes = rest.get(len.checked_next_multiple_of(4)?..)?;
    }
}

fn of_file() -> io::Result<u128> {
    let mut file = descriptor::open_to_read(EXE)?;
    let (mut digest, mut piece) = (XxHash3_128::new(), vec![0; 1 << 18]);
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(digest.finish_128()),
            len => digest.write(&piece[..len]),
        }
    }
}

#[cfg(all(test, not(loom)))]
#[allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
mod tests {
    use super::{build_id, digest, of_file};

    #[test]
    fn the_build_id_is_found_among_notes() {
        let note = |kind: u32, name: &[u8], text: &[u8]| {
            let mut bytes = [name.len() as u32, text.len() as u32, kind].map(u32::to_ne_bytes).concat();
            for part in [name, text] {
                bytes.extend(part);
                bytes.resize(bytes.len().next_multiple_of(4), 0);
            }
            bytes
        };
        let id = note(3, b"GNU\0", b"twenty bytes of sha1");
        let notes = [note(1, b"GNU\0", b"abi"), note(3, b"Other", b"x"), id.clone()].concat();
        assert_eq!(build_id(&notes), Some(&b"twenty bytes of sha1"[..]));
        assert_eq!(build_id(&notes[..notes.len() - id.len()]), None);
        for cut in 0..notes.len() {
            assert_eq!(build_id(&notes[..cut]), None, "{cut}");
        }
        assert_eq!(build_id(&[0xff; 64]), None);
    }

    #[test]
    fn a_build_has_one_digest() {
        assert_eq!(digest().unwrap(), digest().unwrap());
        assert_ne!(of_file().unwrap(), 0);
    }
}
