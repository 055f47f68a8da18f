//! The trace: what members and driver did and when, for [`Pool::write_trace`](crate::Pool::write_trace).
//!
//! Each rank has a ring of events of fixed size in a segment that all members of the team map, so that what a
//! killed worker did is there to read afterwards. An event is written when it begins and completed when it
//! ends; one that has no end was cut short by a panic or a death. The newest events are kept, and how many
//! there were is counted, so a reader knows what is missing. What the driver did stands in its own memory.
//!
//! A ring has one writer at a time: the member of its rank, which was confirmed dead before its successor
//! starts, or the driver in that rank's seat, in launches that the worker has no part in. It is read under
//! the pool's gate, between launches. A kill leaves at most one event without an end, and one half-written
//! slot beyond the count, which is not read. Tasks keep to neither: one that runs meanwhile may cost events
//! or mix them, and harms nothing else.
//!
//! # Safety
//! A [`Tracer`] is made from the address of a ring that the maker promises to keep mapped. Everything in it
//! is an atomic, for which every bit pattern is valid, and indices are taken modulo the ring's length.
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use crate::base::atomic::{AtomicU64, Ordering};
use crate::base::{Line, Span};
use crate::memory::{AllocError, AllocOptions, Segment};
use crate::spawn::ExitCause;
use crate::sys::clock::ticks;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::os::fd::BorrowedFd;
use std::panic::Location;
use std::ptr::NonNull;
use std::sync::Arc;

/// Events kept of each rank. A power of two.
pub(crate) const RING_EVENTS: usize = 1 << 15;
/// Launches kept of the driver, and as many deaths.
const NOTES: usize = 1 << 15;

/// What an event records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EventKind {
    /// One member's part in one launch.
    Launch,
    /// A chunk of its own block.
    Chunk,
    /// A chunk of another member's block.
    StolenChunk,
    /// A task; the epoch is its number, the span its items.
    Task,
}

impl EventKind {
    pub(crate) fn of_chunk(is_own: bool) -> EventKind {
        if is_own { EventKind::Chunk } else { EventKind::StolenChunk }
    }
}

/// An event as read from a ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) kind: EventKind,
    /// The round of the launch.
    pub(crate) epoch: u64,
    pub(crate) span: Span,
    pub(crate) begin: u64,
    /// Zero if it never ended.
    pub(crate) end: u64,
}

#[repr(C)]
struct EventWords {
    /// Epoch, and the kind in the lowest two bits.
    head: AtomicU64,
    lo: AtomicU64,
    hi: AtomicU64,
    begin: AtomicU64,
    end: AtomicU64,
}

#[repr(C)]
struct Ring {
    /// Events written so far.
    count: Line<AtomicU64>,
    events: Line<[EventWords; RING_EVENTS]>,
}

/// Bytes of the segment for a team of `size`.
#[expect(clippy::arithmetic_side_effects, reason = "a team has at most `MAX_MEMBERS`")]
pub(crate) const fn trace_bytes(size: usize) -> usize {
    size * size_of::<Ring>()
}

/// One rank's ring in this process.
#[derive(Clone, Copy)]
pub(crate) struct Tracer {
    ring: NonNull<Ring>,
}

// SAFETY: a ring is atomics.
unsafe impl Send for Tracer {}

impl Tracer {
    /// # Safety
    /// `base` is page-aligned, and `trace_bytes(size)` bytes there, with `rank < size`, stay mapped, readable
    /// and writable, for as long as the result is used.
    pub(crate) unsafe fn new(base: NonNull<u8>, rank: usize) -> Tracer {
        // SAFETY: inside the mapping by the contract.
        Tracer { ring: unsafe { base.cast::<Ring>().add(rank) } }
    }

    fn ring(&self) -> &Ring {
        // SAFETY: mapped by the contract of `new`; atomics only.
        unsafe { self.ring.as_ref() }
    }

    /// Notes that something begins; returns what `end` needs.
    pub(crate) fn begin(&self, kind: EventKind, epoch: u64, span: Span) -> u64 {
        let ring = self.ring();
        let index = ring.count.load(Ordering::Relaxed);
        let slot = &ring.events[index as usize % RING_EVENTS];
        slot.head.store(epoch << 2 | kind as u64, Ordering::Relaxed);
        slot.lo.store(span.lo as u64, Ordering::Relaxed);
        slot.hi.store(span.hi as u64, Ordering::Relaxed);
        slot.end.store(0, Ordering::Relaxed);
        slot.begin.store(ticks(), Ordering::Relaxed);
        // Release: pairs with the Acquire in `read`; a counted event is whole.
        ring.count.store(index.wrapping_add(1), Ordering::Release);
        index
    }

    /// Notes that event `index` is over, unless it was overwritten meanwhile.
    pub(crate) fn end(&self, index: u64) {
        let ring = self.ring();
        if ring.count.load(Ordering::Relaxed).wrapping_sub(index) <= RING_EVENTS as u64 {
            ring.events[index as usize % RING_EVENTS].end.store(ticks(), Ordering::Release);
        }
    }

    /// Runs `work` as one event.
    #[inline]
    pub(crate) fn record<R>(&self, kind: EventKind, epoch: u64, span: Span, work: impl FnOnce() -> R) -> R {
        let index = self.begin(kind, epoch, span);
        let result = work();
        self.end(index);
        result
    }

    /// The events that are left, oldest first, and how many were overwritten.
    fn read(&self) -> (Vec<Event>, u64) {
        let ring = self.ring();
        let count = ring.count.load(Ordering::Acquire);
        // A writer that was killed may have begun to overwrite the oldest.
        let first = count.saturating_sub(const { RING_EVENTS as u64 - 1 });
        let events = (first..count).map(|index| {
            let slot = &ring.events[index as usize % RING_EVENTS];
            let head = slot.head.load(Ordering::Relaxed);
            let word = |word: &AtomicU64| word.load(Ordering::Acquire);
            Event {
                kind: match head & 3 {
                    0 => EventKind::Launch,
                    1 => EventKind::Chunk,
                    2 => EventKind::StolenChunk,
                    _ => EventKind::Task,
                },
                epoch: head >> 2,
                span: Span::new(word(&slot.lo) as usize, word(&slot.hi) as usize),
                begin: word(&slot.begin),
                end: word(&slot.end),
            }
        });
        (events.collect(), first)
    }
}

/// A launch as the driver saw it.
#[derive(Clone, Debug)]
pub(crate) struct LaunchNote {
    pub(crate) site: &'static Location<'static>,
    /// Its rounds.
    pub(crate) epochs: Span,
    pub(crate) len: usize,
    pub(crate) begin: u64,
    pub(crate) end: u64,
    /// What went wrong, in words.
    pub(crate) failure: Option<String>,
}

/// A worker's death.
#[derive(Clone, Debug)]
pub(crate) struct DeathNote {
    pub(crate) rank: usize,
    pub(crate) pid: u32,
    pub(crate) cause: ExitCause,
    pub(crate) at: u64,
}

/// Notes of the driver, newest kept.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    pub(crate) launches: VecDeque<LaunchNote>,
    pub(crate) deaths: VecDeque<DeathNote>,
    /// Notes that were dropped for newer ones.
    pub(crate) dropped: u64,
}

/// The trace of one team, as its driver has it.
pub(crate) struct Trace {
    segment: Arc<Segment>,
    size: usize,
    /// When it began.
    pub(crate) origin: u64,
    journal: Mutex<Journal>,
}

impl Trace {
    /// An empty trace for a team of `size`.
    pub(crate) fn new(size: usize) -> Result<Trace, AllocError> {
        let segment = Segment::create(trace_bytes(size), &AllocOptions::default())?;
        Ok(Trace { segment, size, origin: ticks(), journal: Mutex::default() })
    }

    /// The segment's descriptor, for workers.
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.segment.fd()
    }

    /// A rank's ring. It is to be used only while the trace lives.
    pub(crate) fn tracer(&self, rank: usize) -> Tracer {
        assert!(rank < self.size);
        // SAFETY: the segment has this length and is page-aligned, and stays mapped while the crew lives,
        // which has the trace; members that are threads hold the crew until they end, and the driver's own
        // seats borrow it.
        unsafe { Tracer::new(self.segment.base(), rank) }
    }

    /// A rank's events, oldest first, and how many were overwritten.
    pub(crate) fn events(&self, rank: usize) -> (Vec<Event>, u64) {
        self.tracer(rank).read()
    }

    /// Notes a launch that is over.
    pub(crate) fn note_launch(&self, note: LaunchNote) {
        let mut journal = self.journal.lock();
        if journal.launches.len() == NOTES {
            journal.launches.pop_front();
            journal.dropped = journal.dropped.saturating_add(1);
        }
        journal.launches.push_back(note);
    }

    /// Notes a death.
    pub(crate) fn note_death(&self, rank: usize, pid: u32, cause: ExitCause) {
        let mut journal = self.journal.lock();
        if journal.deaths.len() == NOTES {
            journal.deaths.pop_front();
            journal.dropped = journal.dropped.saturating_add(1);
        }
        journal.deaths.push_back(DeathNote { rank, pid, cause, at: ticks() });
    }

    /// The driver's notes.
    pub(crate) fn with_journal<R>(&self, read: impl FnOnce(&Journal) -> R) -> R {
        read(&self.journal.lock())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_events_are_kept_and_the_others_counted() {
        let trace = Trace::new(2).unwrap();
        let tracer = trace.tracer(1);
        let outer = tracer.begin(EventKind::Launch, 9, Span::new(0, 0));
        let extra = 100;
        for i in 0..RING_EVENTS + extra {
            let index = tracer.begin(EventKind::Chunk, 9, Span::new(i, i + 1));
            if i % 2 == 0 {
                tracer.end(index);
            }
        }
        // Overwritten long ago: must not complete somebody else's event.
        tracer.end(outer);
        let (events, lost) = trace.events(1);
        assert_eq!(lost as usize + events.len(), RING_EVENTS + extra + 1);
        assert_eq!(events.len(), RING_EVENTS - 1);
        for (event, i) in events.iter().rev().zip((0..RING_EVENTS + extra).rev()) {
            assert_eq!((event.kind, event.epoch, event.span), (EventKind::Chunk, 9, Span::new(i, i + 1)));
            assert_eq!(event.end != 0, i % 2 == 0, "{i}");
            assert!(event.begin >= trace.origin);
        }
        assert_eq!(trace.events(0).0.len(), 0);
    }

    #[test]
    fn an_overwritten_count_stops_nobody() {
        let trace = Trace::new(1).unwrap();
        let tracer = trace.tracer(0);
        tracer.ring().count.store(u64::MAX, Ordering::Relaxed);
        tracer.end(tracer.begin(EventKind::Chunk, 9, Span::new(0, 1)));
        assert_eq!(trace.events(0), (Vec::new(), 0));
    }
}
