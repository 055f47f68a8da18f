//! Huge pages: the ways to get them, and what came of it.
//!
//! The cascade: reserved huge pages (hugetlb) where enough are free; else transparent ones, asked for before
//! the pages are populated, where the system allows them for shared memory; else collapsing the populated
//! pages (`MADV_COLLAPSE`, Linux 6.1), which works although shared memory gets none otherwise; else base
//! pages.
#![deny(clippy::arithmetic_side_effects)]

use super::{HUGE_PAGE, HugePages, Mapping};
use crate::sys::descriptor;
use crate::sys::memory::Hint;
use std::ops::Range;

/// The kind of pages that an array occupies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PageKind {
    /// Base pages only.
    Base,
    /// Transparent huge pages for a part, base pages for the rest.
    Mixed,
    /// Transparent huge pages.
    Transparent,
    /// Reserved huge pages (vm.nr_hugepages).
    Reserved,
}

/// The pages that an array currently occupies, and the result of each way to get huge pages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageReport {
    /// The requested option.
    pub wish: HugePages,
    /// The kind of pages in use.
    pub kind: PageKind,
    /// Bytes of the segment in huge pages, as mapped by this process. A small array shares its segment with
    /// others.
    pub huge_bytes: u64,
    /// Bytes of the segment that this process has touched, in pages of any kind.
    pub resident_bytes: u64,
    /// What was tried and refused, and other remarks; empty if everything requested was granted.
    pub notes: Vec<String>,
}

impl std::fmt::Display for PageReport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = match self.kind {
            PageKind::Base => "base pages",
            PageKind::Mixed => "partly huge pages",
            PageKind::Transparent => "transparent huge pages",
            PageKind::Reserved => "reserved huge pages",
        };
        write!(f, "{kind} ({} of {} bytes huge)", self.huge_bytes, self.resident_bytes)?;
        for note in &self.notes {
            write!(f, "; {note}")?;
        }
        Ok(())
    }
}

/// Resident and huge bytes of a range of addresses, as the kernel counts them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counted {
    pub(super) resident: u64,
    pub(super) huge: u64,
    pub(super) reserved_huge: u64,
}

/// Counts the pages of all mappings that begin inside `range`.
pub(super) fn count(range: Range<usize>) -> Counted {
    descriptor::read_text("/proc/self/smaps").map(|text| count_in(&text, range)).unwrap_or_default()
}

fn count_in(smaps: &str, range: Range<usize>) -> Counted {
    let mut counted = Counted::default();
    let mut inside = false;
    for line in smaps.lines() {
        let first = line.split(' ').next().unwrap_or("");
        if let Some((start, _)) = first.split_once('-') {
            inside = usize::from_str_radix(start, 16).is_ok_and(|at| range.contains(&at));
            continue;
        }
        let Some((name, value)) = line.split_once(':').filter(|_| inside) else { continue };
        let kib: u64 = value.split_whitespace().next().and_then(|n| n.parse().ok()).unwrap_or(0);
        let add = |sum: &mut u64| *sum = sum.saturating_add(kib.saturating_mul(1 << 10));
        match name {
            "Rss" => add(&mut counted.resident),
            "AnonHugePages" | "ShmemPmdMapped" | "FilePmdMapped" => add(&mut counted.huge),
            "Shared_Hugetlb" | "Private_Hugetlb" => add(&mut counted.reserved_huge),
            _ => {}
        }
    }
    counted
}

/// Bytes of reserved huge pages that nobody has taken.
pub(super) fn free_reserved() -> u64 {
    let dir = "/sys/kernel/mm/hugepages/hugepages-2048kB";
    let number = |name: &str| -> u64 {
        let text = descriptor::read_text(format!("{dir}/{name}")).unwrap_or_default();
        text.trim().parse().unwrap_or(0)
    };
    number("free_hugepages").saturating_sub(number("resv_hugepages")).saturating_mul(HUGE_PAGE as u64)
}

/// Whether shared memory gets transparent huge pages where a program asks for them.
pub(super) fn is_shmem_thp_allowed() -> bool {
    let text = descriptor::read_text("/sys/kernel/mm/transparent_hugepage/shmem_enabled").unwrap_or_default();
    ["[always]", "[within_size]", "[advise]", "[force]"].iter().any(|word| text.contains(word))
}

/// How often a range is tried again where the kernel could not get at some of its pages at that moment.
const COLLAPSE_TRIES: usize = 3;
/// Collapsing goes in steps of this many bytes, so that one failure does not cost the rest.
const COLLAPSE_STEP: usize = 16 << 20;

/// Puts populated base pages together into huge ones; says why where that was refused.
#[expect(clippy::arithmetic_side_effects, reason = "inside the mapping")]
pub(super) fn collapse(mapping: &Mapping) -> Result<(), String> {
    let whole = mapping.len_bytes() / HUGE_PAGE * HUGE_PAGE;
    let mut refused = None;
    for at in (0..whole).step_by(COLLAPSE_STEP) {
        let len = COLLAPSE_STEP.min(whole - at);
        for _ in 0..COLLAPSE_TRIES {
            match mapping.advise(at, len, Hint::Collapse) {
                Ok(()) => break,
                Err(error) => {
                    let again = error.raw_os_error() == Some(libc::EAGAIN);
                    refused = Some(error);
                    if !again {
                        break;
                    }
                }
            }
        }
        // A call that this kernel does not know, or that is denied, fails everywhere.
        if refused.as_ref().is_some_and(|e| matches!(e.raw_os_error(), Some(libc::EINVAL | libc::EPERM))) {
            break;
        }
    }
    match refused {
        None => Ok(()),
        Some(error) => Err(format!("collapsing into huge pages: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn smaps_are_added_up_over_the_range_only() {
        let text = "\
7f0000000000-7f0000200000 rw-s 00000000 00:01 1025 /memfd:phalanx (deleted)
Size:               2048 kB
Rss:                2048 kB
ShmemPmdMapped:     2048 kB
VmFlags: rd wr sh mr mw me ms dc
7f0000200000-7f0000400000 rw-s 00200000 00:01 1025 /memfd:phalanx (deleted)
Rss:                 100 kB
ShmemPmdMapped:        0 kB
Shared_Hugetlb:        4 kB
7f0000400000-7f0000401000 ---p 00000000 00:00 0
Rss:                   8 kB
";
        let counted = count_in(text, 0x7f00_0000_0000..0x7f00_0040_0000);
        assert_eq!(counted, Counted { resident: 2148 << 10, huge: 2 << 20, reserved_huge: 4 << 10 });
    }
}
