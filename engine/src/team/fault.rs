//! What a member reports to the driver when a launch goes wrong in it, in words of the board.

#[cfg(not(loom))]
use crate::base::Line;
use crate::base::atomic::{AtomicU32, AtomicU64, Ordering};
use crate::spawn::panic_note::{PanicNote, Trace};

const MESSAGE_BYTES: usize = 1024;
const LOCATION_BYTES: usize = 256;
/// Rounds the note up to 8 KiB: some forty calls. What is longer is cut at its far end.
const BACKTRACE_BYTES: usize = 6880;

/// A panic, as reported to the driver.
#[repr(C)]
pub(crate) struct FaultNote {
    /// The launch it belongs to; stored last.
    epoch: AtomicU64,
    kind: AtomicU32,
    lo: AtomicU64,
    hi: AtomicU64,
    message: [AtomicU64; MESSAGE_BYTES / 8],
    location: [AtomicU64; LOCATION_BYTES / 8],
    backtrace: [AtomicU64; BACKTRACE_BYTES / 8],
}

/// What a member reported.
#[derive(Clone, Debug)]
pub struct Fault {
    pub(crate) kind: FaultKind,
    pub(crate) lo: u64,
    pub(crate) hi: u64,
    pub(crate) message: String,
    pub(crate) location: String,
    pub(crate) backtrace: Trace,
}

impl From<PanicNote> for Fault {
    fn from(PanicNote { message, location, backtrace }: PanicNote) -> Fault {
        Fault { kind: FaultKind::Panic, lo: 0, hi: 0, message, location, backtrace }
    }
}

/// Kinds of faults that a member survives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum FaultKind {
    /// The kernel panicked.
    Panic = 1,
    /// The order did not make sense in this member.
    Corrupt = 2,
    /// A segment could not be mapped.
    Attach = 3,
    /// A region's body returned an error of its own.
    Body = 4,
    /// A region's team is broken, or its ranks disagreed.
    Broken = 5,
    /// A captured value could not be decoded.
    Decode = 6,
    /// A kernel's result could not be encoded, or had no room.
    Codec = 7,
}

impl FaultKind {
    fn from_code(code: u32) -> FaultKind {
        match code {
            1 => FaultKind::Panic,
            3 => FaultKind::Attach,
            4 => FaultKind::Body,
            5 => FaultKind::Broken,
            6 => FaultKind::Decode,
            7 => FaultKind::Codec,
            _ => FaultKind::Corrupt,
        }
    }

    /// Smaller is nearer to the root, where several members report.
    pub(crate) fn severity(self) -> u32 {
        match self {
            FaultKind::Panic => 0,
            FaultKind::Corrupt | FaultKind::Attach | FaultKind::Decode | FaultKind::Codec => 1,
            FaultKind::Body => 2,
            FaultKind::Broken => 3,
        }
    }
}

fn store_text(words: &[AtomicU64], text: &str) {
    let end = text.floor_char_boundary(size_of_val(words));
    let mut parts = text.as_bytes()[..end].chunks(8);
    for word in words {
        let mut packed = [0u8; 8];
        let part = parts.next().unwrap_or_default();
        packed[..part.len()].copy_from_slice(part);
        word.store(u64::from_le_bytes(packed), Ordering::Relaxed);
    }
}

fn load_text(words: &[AtomicU64]) -> String {
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.load(Ordering::Relaxed).to_le_bytes()).collect();
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

impl FaultNote {
    pub(crate) fn write(&self, epoch: u64, fault: &Fault) {
        self.kind.store(fault.kind as u32, Ordering::Relaxed);
        self.lo.store(fault.lo, Ordering::Relaxed);
        self.hi.store(fault.hi, Ordering::Relaxed);
        store_text(&self.message, &fault.message);
        store_text(&self.location, &fault.location);
        store_text(&self.backtrace, fault.backtrace.text());
        // Release: pairs with the Acquire in `read`.
        self.epoch.store(epoch, Ordering::Release);
    }

    pub(crate) fn read(&self, epoch: u64) -> Option<Fault> {
        if self.epoch.load(Ordering::Acquire) != epoch {
            return None;
        }
        Some(Fault {
            kind: FaultKind::from_code(self.kind.load(Ordering::Relaxed)),
            lo: self.lo.load(Ordering::Relaxed),
            hi: self.hi.load(Ordering::Relaxed),
            message: load_text(&self.message),
            location: load_text(&self.location),
            backtrace: Trace::Told(load_text(&self.backtrace)),
        })
    }
}

// The layout that docs/segment-layout.md lists.
#[cfg(not(loom))]
const _: () = {
    assert!(std::mem::offset_of!(FaultNote, kind) == 8 && std::mem::offset_of!(FaultNote, message) == 32);
    assert!(std::mem::offset_of!(FaultNote, location) == 1056);
    assert!(std::mem::offset_of!(FaultNote, backtrace) == 1312 && size_of::<Line<FaultNote>>() == 8192);
};

#[cfg(not(loom))]
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_too_long_is_cut_between_characters() {
        let words = [const { AtomicU64::new(u64::MAX) }; 2];
        for (text, kept) in [
            ("", ""),
            ("eightby7", "eightby7"),
            ("a text of sixty bytes", "a text of sixty "),
            ("123456789012345é", "123456789012345"),
        ] {
            store_text(&words, text);
            assert_eq!(load_text(&words), kept);
        }
    }
}
