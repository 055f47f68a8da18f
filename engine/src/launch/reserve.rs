//! Reserving an array's pages where they will be used: each member reserves its own rows, under its own
//! memory policy.
//!
//! # Safety
//! The operand hands out only addresses, inside a mapping that the member checked; populating pages changes
//! no contents. No array, and so no view, exists over the segment before the launch has succeeded and no page
//! is missing.
#![allow(unsafe_code)]
#![deny(
    clippy::arithmetic_side_effects,
    reason = "sizes come from the program; what wraps would leave the array"
)]

use crate::launch::builder::Launch;
use crate::launch::error::LaunchError;
use crate::launch::member::chunk::Chunk;
use crate::launch::operand::Operand;
use crate::launch::operand::describe::Description;
use crate::launch::operand::tag::{Tag, of};
use crate::launch::schedule::Schedule;
use crate::memory::{AllocError, Segment};
use crate::sys::memory::{self, Hint};
use crate::team::current;
use crate::team::fault::{Fault, FaultKind};
use crate::team::member::{LaunchContext, fault};
use std::marker::PhantomData;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

/// A new segment for an array of `rows` rows. As an operand it is split as the array will be, and each kernel
/// call receives the pages of its chunk.
struct Unreserved<'a> {
    segment: &'a Arc<Segment>,
    rows: usize,
    row_bytes: usize,
    huge: bool,
}

/// What travels: plain numbers.
#[derive(Clone, Copy)]
#[repr(C)]
struct UnreservedWire {
    segment: u64,
    len_bytes: u64,
    rows: u64,
    row_bytes: u64,
    huge: u64,
}

/// The segment as mapped by one member.
struct UnreservedLocal {
    base: *mut u8,
    len_bytes: usize,
    rows: usize,
    row_bytes: usize,
}

/// The whole pages of one chunk: those whose first byte lies in its rows.
struct ChunkPages<'w> {
    at: *mut u8,
    len_bytes: usize,
    mapped: PhantomData<&'w ()>,
}

// SAFETY: the view is an address and a length inside the member's mapping, and nothing is read or written
// through it.
unsafe impl Operand for Unreserved<'_> {
    type Wire = UnreservedWire;
    type Local = UnreservedLocal;
    type View<'w> = ChunkPages<'w>;
    const LAYOUT: u64 = of(Tag::Unreserved);

    fn describe(&self, to: &mut Description<'_>) -> Result<(), LaunchError> {
        to.segment(self.segment);
        to.length(self.rows, "a new array")?;
        to.unit_bytes(self.row_bytes);
        Ok(())
    }

    fn wire(&self) -> UnreservedWire {
        UnreservedWire {
            segment: self.segment.id().0,
            len_bytes: self.segment.len_bytes() as u64,
            rows: self.rows as u64,
            row_bytes: self.row_bytes as u64,
            huge: u64::from(self.huge),
        }
    }

    unsafe fn open(wire: &UnreservedWire, context: &mut LaunchContext<'_>) -> Result<UnreservedLocal, Fault> {
        let (rows, row_bytes, len_bytes) =
            (wire.rows as usize, wire.row_bytes as usize, wire.len_bytes as usize);
        context.check_rows(rows)?;
        if rows.checked_mul(row_bytes).is_none_or(|bytes| bytes > len_bytes) {
            return Err(fault(FaultKind::Corrupt, "a new array is larger than its segment"));
        }
        let base = context.attach(wire.segment, 0, len_bytes, true)?;
        if let Some(at) = NonNull::new(base).filter(|_| wire.huge != 0) {
            // Without it come base pages, which the array's report shows.
            // SAFETY: the member maps these bytes, as `attach` checked; the advice changes no contents.
            let _base_pages = unsafe { memory::advise(at, len_bytes, Hint::HugePage) };
        }
        Ok(UnreservedLocal { base, len_bytes, rows, row_bytes })
    }

    unsafe fn view<'w>(local: &UnreservedLocal, chunk: &Chunk) -> ChunkPages<'w> {
        let page = memory::page_size();
        let first_page = |row: usize| match row == local.rows {
            // What the segment holds beyond the array belongs to the last row.
            true => local.len_bytes.next_multiple_of(page),
            // No wrap: inside the array, as `open` checked.
            false => row.wrapping_mul(local.row_bytes).next_multiple_of(page),
        };
        let (lo, hi) = (first_page(chunk.span.lo), first_page(chunk.span.hi));
        ChunkPages { at: local.base.wrapping_add(lo), len_bytes: hi.saturating_sub(lo), mapped: PhantomData }
    }
}

/// Faults the pages in. The first refusal in this member is kept for the driver. `Relaxed` suffices, since
/// the end of the launch orders it.
fn populate(pages: ChunkPages<'_>, refusals: &[AtomicI32]) {
    let Some(at) = NonNull::new(pages.at).filter(|_| pages.len_bytes > 0) else { return };
    let Some(refusal) = current::current_rank().and_then(|rank| refusals.get(rank)) else { return };
    if refusal.load(Ordering::Relaxed) != 0 {
        return;
    }
    // SAFETY: the member maps these pages, as `open` checked; populating changes no contents.
    if let Err(error) = unsafe { memory::advise(at, pages.len_bytes, Hint::PopulateWrite) } {
        refusal.store(error.raw_os_error().unwrap_or(libc::EIO), Ordering::Relaxed);
    }
}

impl Launch<'_> {
    /// Reserves all pages of a new segment for an array of `rows` rows. Each member reserves those of the
    /// rows that it owns under [`Schedule::Static`], and maps them permanently, so that its first sweep takes
    /// no page fault.
    ///
    /// # Errors
    /// `Alloc` if there is no room; otherwise whatever ended the launch. The segment must not be used then.
    #[track_caller]
    pub(crate) fn reserve(
        self,
        segment: &Arc<Segment>,
        rows: usize,
        row_bytes: usize,
    ) -> Result<(), LaunchError> {
        // One per place, since the team may grow before the launch starts.
        let mut refusals = crate::array::SharedArray::<i32>::zeros(self.launcher.crew.size.max(1))?;
        let array = Unreserved { segment, rows, row_bytes, huge: segment.is_thp_advised() };
        self.schedule(Schedule::Static)
            .for_each((array, refusals.atomic()), |(pages, refusals)| populate(pages, refusals))?;
        // Errors of populating if the file cannot grow or memory is exhausted.
        let is_full = |errno: &i32| matches!(*errno, libc::EFAULT | libc::ENOMEM | libc::ENOSPC);
        if refusals.as_slice().iter().any(is_full) {
            let source = std::io::Error::from_raw_os_error(libc::ENOSPC);
            let call = "madvise(MADV_POPULATE_WRITE)";
            return Err(AllocError::from_os(call, segment.len_bytes(), source).into());
        }
        if refusals.as_slice().iter().any(|errno| *errno != 0) {
            // Unsupported before Linux 5.14, or denied: the driver reserves what is missing, wherever the
            // pages land.
            segment.reserve(0..segment.len_bytes())?;
        }
        Ok(())
    }
}

#[cfg(not(loom))]
#[cfg(test)]
mod tests {
    use crate::{Backend, Pool};
    use rustix::fs::fstat;
    use std::sync::atomic::{AtomicBool, Ordering};

    /// Ranks that come between the look at the team and the launch have rows of their own to reserve.
    #[test]
    fn all_is_reserved_though_the_team_changes_meanwhile() {
        let pool = Pool::builder().workers(1).max_workers(4).backend(Backend::Threads).build().unwrap();
        let is_over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    pool.resize(4).unwrap();
                    pool.resize(1).unwrap();
                }
            });
            for round in 0..200 {
                let array = pool.zeros::<u8>(4 << 20).unwrap();
                let reserved = fstat(array.segment().fd()).unwrap().st_blocks * 512;
                if reserved < 4 << 20 {
                    is_over.store(true, Ordering::Relaxed);
                    panic!("round {round}: only {reserved} bytes");
                }
            }
            is_over.store(true, Ordering::Relaxed);
        });
    }
}
