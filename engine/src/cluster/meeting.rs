//! What drivers tell each other first whenever they make a call together: which call it is, and how much each
//! has to say.
#![deny(clippy::arithmetic_side_effects)]

use bytemuck::{Pod, Zeroable};
use std::panic::Location;

/// Bytes that go along with what is told first. Longer ones follow in a message of their own.
pub(super) const INLINE_BYTES: usize = 128;
/// Room for the end of the path of the source file that makes the call.
const FILE_BYTES: usize = 64;
/// Changes whenever [`Notice`] does.
const LAYOUT: u32 = 0x5048_4c01;

/// A call that all drivers make together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum Call {
    Start = 1,
    Barrier,
    Broadcast,
    Gather,
    AllGather,
    AllReduce,
    Exchange,
    LoadNpy,
    SaveNpy,
    LoadRaw,
    SaveRaw,
    Lead,
    ShouldStop,
    Reduce,
    Scan,
    Accumulate,
    End,
}

impl Call {
    pub(super) fn name(self) -> &'static str {
        CALLS.iter().find(|(call, _)| *call == self).map_or("something else", |(_, name)| name)
    }
}

const CALLS: [(Call, &str); 17] = [
    (Call::Start, "cluster::run"),
    (Call::Barrier, "barrier"),
    (Call::Broadcast, "broadcast"),
    (Call::Gather, "gather"),
    (Call::AllGather, "all_gather"),
    (Call::AllReduce, "all_reduce"),
    (Call::Exchange, "exchange"),
    (Call::LoadNpy, "load_npy"),
    (Call::SaveNpy, "save_npy"),
    (Call::LoadRaw, "load_raw"),
    (Call::SaveRaw, "save_raw"),
    (Call::Lead, "lead"),
    (Call::ShouldStop, "should_stop"),
    (Call::Reduce, "reduce"),
    (Call::Scan, "scan"),
    (Call::Accumulate, "accumulate"),
    (Call::End, "nothing more: its body has returned"),
];

/// What a driver tells every other.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Notice {
    layout: u32,
    call: u32,
    /// A number that all drivers must have alike, such as who sends.
    detail: u64,
    /// Bytes that the driver has to say.
    len_bytes: u64,
    line: u32,
    file_len: u32,
    file: [u8; FILE_BYTES],
    inline: [u8; INLINE_BYTES],
}

impl Notice {
    pub(super) fn new(call: Call, detail: u64, bytes: &[u8], site: &Location<'_>) -> Notice {
        Notice::at(call, detail, bytes, (site.file(), site.line()))
    }

    /// The same, for a call in a line of a file.
    pub(super) fn at(call: Call, detail: u64, bytes: &[u8], (file, line): (&str, u32)) -> Notice {
        let mut notice = Notice {
            layout: LAYOUT,
            call: call as u32,
            detail,
            len_bytes: bytes.len() as u64,
            line,
            file_len: 0,
            file: [0; FILE_BYTES],
            inline: [0; INLINE_BYTES],
        };
        let mut name = file;
        while name.len() > FILE_BYTES {
            let mut rest = name.chars();
            rest.next();
            name = rest.as_str();
        }
        notice.file[..name.len()].copy_from_slice(name.as_bytes());
        notice.file_len = name.len() as u32;
        if let Some(inline) = notice.inline.get_mut(..bytes.len()) {
            inline.copy_from_slice(bytes);
        }
        notice
    }

    /// Nothing yet.
    pub(super) fn empty() -> Notice {
        Notice::zeroed()
    }

    /// Whether the other driver makes the same call.
    pub(super) fn agrees(&self, other: &Notice) -> bool {
        (self.layout, self.call, self.detail) == (other.layout, other.call, other.detail)
    }

    /// Whether the notice was made by a build that makes them like this one.
    pub(super) fn is_readable(&self) -> bool {
        self.layout == LAYOUT
    }

    pub(super) fn len_bytes(&self) -> usize {
        usize::try_from(self.len_bytes).unwrap_or(usize::MAX)
    }

    /// What the driver has to say, where it fits.
    pub(super) fn inline(&self) -> Option<&[u8]> {
        self.inline.get(..self.len_bytes())
    }

    /// The call, and where it is: "broadcast (src/main.rs:12)".
    pub(super) fn text(&self) -> String {
        let name = CALLS.iter().find(|(call, _)| *call as u32 == self.call).map_or("something else", |c| c.1);
        if self.call == Call::End as u32 {
            return name.to_owned();
        }
        let detail = if self.call == Call::Broadcast as u32 || self.call == Call::Gather as u32 {
            format!(" with driver {}", self.detail)
        } else if self.call == Call::Exchange as u32 {
            self.inline().map_or_else(String::new, exchanged)
        } else {
            String::new()
        };
        let file = self.file.get(..self.file_len as usize).unwrap_or_default();
        format!("{name}{detail} ({}:{})", String::from_utf8_lossy(file), self.line)
    }
}

/// What is said of the arrays of an exchange: its number, how many there are, and of the first its ghost rows,
/// its axes and their lengths.
pub(super) type Exchanged = [u64; 10];

/// " 1742 of [300, 200] with 1 ghost row, and 1 array more".
fn exchanged(bytes: &[u8]) -> String {
    let Ok(told) = bytemuck::try_pod_read_unaligned::<Exchanged>(bytes) else { return String::new() };
    let [number, arrays, ghosts, axes, shape @ ..] = told;
    let shape = shape.get(..axes as usize).unwrap_or(&shape);
    let plural = |count: u64| if count == 1 { "" } else { "s" };
    let mut text = format!(" {number} of {shape:?} with {ghosts} ghost row{}", plural(ghosts));
    if let Some(more) = arrays.checked_sub(1).filter(|more| *more > 0) {
        text.push_str(&format!(", and {more} array{} more", plural(more)));
    }
    text
}

impl std::fmt::Display for Notice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_values_go_along_and_long_ones_do_not() {
        let site = Location::caller();
        let of = |len: usize| Notice::new(Call::Gather, 3, &vec![7; len], site);
        assert_eq!(of(INLINE_BYTES).inline(), Some(&[7; INLINE_BYTES][..]));
        assert_eq!(of(0).inline(), Some(&[][..]));
        assert_eq!(of(INLINE_BYTES + 1).inline(), None);
        assert_eq!(of(1000).len_bytes(), 1000);
        let text = of(1).text();
        assert!(text.starts_with("gather with driver 3 (") && text.contains("meeting.rs:"), "{text}");
    }

    #[test]
    fn only_the_same_call_agrees() {
        let of = |call, detail| Notice::new(call, detail, &[], Location::caller());
        assert!(of(Call::Barrier, 0).agrees(&of(Call::Barrier, 0)));
        assert!(!of(Call::Barrier, 0).agrees(&of(Call::Gather, 0)));
        assert!(!of(Call::Gather, 0).agrees(&of(Call::Gather, 1)));
        assert!(!of(Call::Barrier, 0).agrees(&Notice::empty()) && !Notice::empty().is_readable());
    }
}
