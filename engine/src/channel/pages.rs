//! Memory behind positions: which chunk of the area a position lies in, and whether there is memory behind
//! that chunk.
//!
//! Positions grow forever; the n-th chunk of positions lies in chunk `map[n % chunks]` of the area. So a
//! queue that is never empty still keeps to few chunks, the lowest that have memory, and one that drains
//! gives memory back.
//!
//! # Safety
//! Bytes are copied in and out by raw pointer, between `Base::byte`, whose place is checked here, and memory
//! of the caller. They are exclusive to the caller while it is inside the lock or owns the claim of the
//! record that they belong to.
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use super::error::{Refused, corrupt};
use super::word::{Base, HEADER, Record};
use crate::base::atomic::{AtomicU64, Ordering};
use crate::sys::memory::{self, Hint};
use std::ops::Range;

/// Memory that an empty queue keeps for the next items.
const KEPT_BYTES: u64 = 16 << 20;
/// Chunks whose memory is freed inside the lock at one time: a few tens of microseconds.
const GIVE_BACK: u32 = 16;
/// Populating this much at a time first checks that there is memory for it.
const CHECK_ROOM: u64 = 1 << 20;

fn bit(words: &[AtomicU64], chunk: u32) -> bool {
    words[chunk as usize / 64].load(Ordering::Relaxed) >> (chunk % 64) & 1 != 0
}

fn set(words: &[AtomicU64], chunk: u32) -> bool {
    let bit = 1 << (chunk % 64);
    words[chunk as usize / 64].fetch_or(bit, Ordering::Relaxed) & bit == 0
}

fn clear(words: &[AtomicU64], chunk: u32) -> bool {
    let bit = 1 << (chunk % 64);
    words[chunk as usize / 64].fetch_and(!bit, Ordering::Relaxed) & bit != 0
}

impl Base {
    /// The n-th chunk of positions that a position lies in.
    fn nth(&self, position: u64) -> u64 {
        position >> self.shape.shift
    }

    /// The n-th chunks of positions that belong to records and tail.
    #[expect(
        clippy::arithmetic_side_effects,
        reason = "positions are checked on entry to lie far below the end, and lengths are at most the capacity"
    )]
    fn mapped(&self, head: u64, tail: u64) -> Range<u64> {
        self.nth(head)..self.nth(tail + (self.shape.chunk_bytes() as u64 - 1))
    }

    /// Whether `need` bytes at `tail` leave each chunk of positions a chunk of its own.
    #[expect(
        clippy::arithmetic_side_effects,
        reason = "positions are checked on entry to lie far below the end, and lengths are at most the capacity"
    )]
    pub(super) fn has_bytes(&self, head: u64, tail: u64, need: u64) -> bool {
        self.nth(tail + need - 1) - self.nth(head) < u64::from(self.shape.chunks)
    }

    #[expect(clippy::arithmetic_side_effects, reason = "chunks are a power of two")]
    fn slot(&self, nth: u64) -> &crate::base::atomic::AtomicU32 {
        &self.map()[(nth & u64::from(self.shape.chunks - 1)) as usize]
    }

    fn chunk_of(&self, nth: u64) -> Result<u32, Refused> {
        let chunk = self.slot(nth).load(Ordering::Relaxed);
        if chunk < self.shape.chunks { Ok(chunk) } else { Err(corrupt("chunk map", chunk.into())) }
    }

    /// The header of the record at a position.
    pub(super) fn header(&self, position: u64) -> Result<&AtomicU64, Refused> {
        if !position.is_multiple_of(HEADER) {
            return Err(corrupt("record position", position));
        }
        let offset = position as usize & self.shape.chunk_bytes().wrapping_sub(1);
        let at = self.byte(self.chunk_of(self.nth(position))?, offset);
        // SAFETY: inside the area, aligned to 8 as the position is, so it does not cross a chunk's end.
        Ok(unsafe { at.cast().as_ref() })
    }

    pub(super) fn record(&self, position: u64) -> Result<Record, Refused> {
        Ok(Record(self.header(position)?.load(Ordering::Relaxed)))
    }

    /// Inside the lock: finds chunks for the positions from the tail to `tail + need`, those with memory
    /// first.
    #[expect(
        clippy::arithmetic_side_effects,
        reason = "positions are checked on entry to lie far below the end, and lengths are at most the capacity"
    )]
    pub(super) fn map_chunks(&self, tail: u64, need: u64) -> Result<(), Refused> {
        let wanted = self.mapped(tail, tail).end..self.mapped(tail, tail + need).end;
        let (mut warm, mut cold) = (0, 0);
        // Mostly none: the tail's own chunk has room.
        for nth in wanted {
            let chunk = self.find(&mut warm, true).or_else(|| self.find(&mut cold, false));
            let chunk = chunk.ok_or_else(|| corrupt("table of used chunks", u64::MAX))?;
            self.slot(nth).store(chunk, Ordering::Relaxed);
            set(self.used(), chunk);
        }
        Ok(())
    }

    /// The lowest chunk not used, from word `from` on, which moves along.
    #[expect(
        clippy::arithmetic_side_effects,
        reason = "the bitmap has a bit a chunk, and chunks are a power of two"
    )]
    fn find(&self, from: &mut usize, with_memory: bool) -> Option<u32> {
        for (i, used) in self.used().iter().enumerate().skip(*from) {
            let mut free = !used.load(Ordering::Relaxed);
            if with_memory {
                free &= self.backed()[i].load(Ordering::Relaxed);
            }
            let chunk = (i * 64) as u32 + free.trailing_zeros();
            if free != 0 && chunk < self.shape.chunks {
                *from = i;
                return Some(chunk);
            }
        }
        *from = self.used().len();
        None
    }

    /// Inside the lock: returns the chunks of a span that was mapped but then not used.
    #[expect(
        clippy::arithmetic_side_effects,
        reason = "positions are checked on entry to lie far below the end, and lengths are at most the capacity"
    )]
    pub(super) fn unmap_chunks(&self, tail: u64, need: u64) {
        for nth in self.mapped(tail, tail).end..self.mapped(tail, tail + need).end {
            if let Ok(chunk) = self.chunk_of(nth) {
                clear(self.used(), chunk);
            }
        }
    }

    /// Inside the lock: frees the chunks that the head has passed.
    pub(super) fn leave_chunks(&self, old_head: u64, new_head: u64) {
        for nth in self.nth(old_head)..self.nth(new_head) {
            if let Ok(chunk) = self.chunk_of(nth) {
                clear(self.used(), chunk);
            }
        }
    }

    /// Inside the lock: derives which chunks are used.
    pub(super) fn recount_chunks(&self, head: u64, tail: u64) -> Result<(), Refused> {
        for word in self.used() {
            word.store(0, Ordering::Relaxed);
        }
        for nth in self.mapped(head, tail) {
            set(self.used(), self.chunk_of(nth)?);
        }
        let backed = self.backed().iter().map(|word| word.load(Ordering::Relaxed).count_ones()).sum();
        self.control().backed.store(backed, Ordering::Relaxed);
        Ok(())
    }

    /// Makes sure that there is memory behind the positions of a span, which the caller owns.
    #[expect(
        clippy::arithmetic_side_effects,
        reason = "positions are checked on entry to lie far below the end, and lengths are at most the capacity"
    )]
    pub(super) fn back(&self, position: u64, len: u64) -> Result<(), std::io::Error> {
        if len >= CHECK_ROOM {
            crate::memory::check_room(len as usize).map_err(std::io::Error::other)?;
        }
        for nth in self.nth(position)..=self.nth(position + len - 1) {
            let chunk = self.chunk_of(nth).map_err(|_| std::io::Error::other("the chunk map is corrupt"))?;
            if !bit(self.backed(), chunk) {
                // SAFETY: a chunk of the area, which belongs to the span's owner.
                unsafe {
                    memory::advise(self.byte(chunk, 0), self.shape.chunk_bytes(), Hint::PopulateWrite)
                }?;
                if set(self.backed(), chunk) {
                    self.control().backed.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
        Ok(())
    }

    /// Whether there is memory behind the positions of a span, a chunk for each chunk of it, as there is for
    /// every record that was put.
    #[expect(
        clippy::arithmetic_side_effects,
        reason = "positions are checked on entry to lie far below the end, and lengths are at most the capacity"
    )]
    pub(super) fn is_backed(&self, position: u64, len: u64) -> bool {
        let mut chunks = self.nth(position)..=self.nth(position + len.max(1) - 1);
        let there: u32 = self.backed().iter().map(|word| word.load(Ordering::Relaxed).count_ones()).sum();
        // Entries of the map that were never written all name the same chunk.
        chunks.end() - chunks.start() < u64::from(there)
            && chunks.all(|nth| self.chunk_of(nth).is_ok_and(|chunk| bit(self.backed(), chunk)))
    }

    /// Whether so much memory backs the chunks that an empty queue should free some.
    pub(super) fn has_excess(&self) -> bool {
        u64::from(self.control().backed.load(Ordering::Relaxed)) << self.shape.shift > KEPT_BYTES
    }

    /// Inside the lock: frees the memory of some unused chunks. Returns whether there is more to free.
    pub(super) fn give_back(&self) -> bool {
        let mut left = GIVE_BACK;
        for chunk in (0..self.shape.chunks).rev() {
            if left == 0 || !self.has_excess() {
                break;
            }
            if !bit(self.used(), chunk) && clear(self.backed(), chunk) {
                // A death here leaves memory that nobody knows of until the chunk is populated again: no
                // harm. SAFETY: a chunk that no record uses, and nobody takes while we are inside the lock.
                let gone =
                    unsafe { memory::advise(self.byte(chunk, 0), self.shape.chunk_bytes(), Hint::Remove) };
                // Where that is refused the memory stays; it is found populated the next time.
                let _kept = gone;
                let backed = &self.control().backed;
                backed.store(backed.load(Ordering::Relaxed).saturating_sub(1), Ordering::Relaxed);
                left = u32::saturating_sub(left, 1);
            }
        }
        left == 0 && self.has_excess()
    }

    /// Copies into the span at a position, which the caller owns and which has memory.
    pub(super) fn write(&self, position: u64, data: &[u8]) -> Result<(), Refused> {
        self.pieces(position, data.len(), |at, done, len| {
            // SAFETY: `len` bytes of the area from `at` on, and of `data` from `done` on; they cannot
            // overlap, as there are no references into the area but those to headers.
            unsafe { at.copy_from_nonoverlapping(data.as_ptr().add(done), len) }
        })
    }

    /// Copies the span at a position, which the caller owns, to `to`.
    ///
    /// # Safety
    /// `to` is valid for writes of `len` bytes, outside of the area.
    pub(super) unsafe fn read(&self, position: u64, len: usize, to: *mut u8) -> Result<(), Refused> {
        self.pieces(position, len, |at, done, len| {
            // SAFETY: `len` bytes of the area from `at` on, and of the caller's memory from `done` on.
            unsafe { to.add(done).copy_from_nonoverlapping(at, len) }
        })
    }

    #[inline]
    #[expect(
        clippy::arithmetic_side_effects,
        reason = "positions are checked on entry to lie far below the end, and lengths are at most the capacity"
    )]
    fn pieces(
        &self,
        position: u64,
        len: usize,
        mut copy: impl FnMut(*mut u8, usize, usize),
    ) -> Result<(), Refused> {
        let (mut done, chunk_bytes) = (0, self.shape.chunk_bytes());
        while done < len {
            let position = position + done as u64;
            let offset = position as usize & (chunk_bytes - 1);
            let piece = (chunk_bytes - offset).min(len - done);
            copy(self.byte(self.chunk_of(self.nth(position))?, offset).as_ptr(), done, piece);
            done += piece;
        }
        Ok(())
    }
}
