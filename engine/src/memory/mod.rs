//! Memory of arrays: [options](ArrayOptions) such as huge pages and NUMA placement, and reports of where
//! pages are.

// Segments. A segment is one shared object (a sealed memfd or a mapped file) and the driver's mapping of
// it; arrays, values, locks and counters are places inside segments.
//
// Premises and invariants, cited by number in this floor:
//
// - M1 A sealed memfd neither shrinks nor grows, so an address inside its mapping stays backed.
// - M2 Every page that is handed out was reserved (`fallocate`) before, so touching it cannot fail. Of
//   sparse blocks only the first part was: who touches more populates it first. Files mapped for reading
//   alone reserve nothing.
// - M3 A segment id is never used twice in a process.
// - M4 Mappings are not inherited by fork, and their addresses are covered in the child (`sys/fork.rs`),
//   which never frees, punches or unmaps what its parent made.
// - M5 Bytes of an arena block are zero when it is handed out.

pub(crate) mod arena;
pub(crate) mod draft;
mod error;
pub(crate) mod file;
mod freelist;
mod mapping;
mod options;
mod pages;
pub(crate) mod reclaim;
pub(crate) mod registry;
mod residency;
mod room;
mod segment;

pub use error::{AllocError, LimitKind};
pub(crate) use mapping::{MapAccess, MapOptions, Mapping, Zeros};
pub(crate) use options::ArrayOptions as AllocOptions;
pub use options::{ArrayOptions, HugePages, PagePlacement};
pub use pages::{PageKind, PageReport};
pub use residency::Residency;
pub(crate) use room::check as check_room;
pub(crate) use segment::{Access, Segment, SegmentId, check_file_limit};

/// Bytes of the huge pages that mappings are aligned for.
pub(crate) const HUGE_PAGE: usize = 2 << 20;

/// Arrays of at least this many bytes get a segment of their own; smaller ones live in the arena.
///
/// A segment of its own costs a worker 64 us and a descriptor the first time, a place in the arena nothing.
pub(crate) const OWN_SEGMENT_BYTES: usize = 1 << 20;

/// The largest alignment of anything in shared memory: the smallest page there is, at a multiple of which
/// every process maps a segment, each at an address of its own.
pub(crate) const MOST_ALIGN: usize = 4096;

#[cfg(test)]
mod tests;
