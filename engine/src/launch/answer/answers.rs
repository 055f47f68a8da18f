//! Values of any type that kernels return: how they reach the driver, and which one is the lowest.
//!
//! A value is encoded by the member, into a place of the launch's spill. For launches that end early, one
//! word holds the lowest chunk that has an answer, together with the answer's place. README.md of `launch`
//! has the steps, V1 to V4.
//!
//! # Safety
//! A place is the member's alone from V1 on, and lies inside the spill as mapped here: its end is checked.
//! The head is made of atomics.
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use crate::base::atomic::Ordering;
use crate::base::{Span, notation};
use crate::launch::answer::try_error::TryError;
use crate::launch::driver::spill::{READY_BYTES, Spill, SpillHead};
use crate::launch::error::LaunchError;
use crate::launch::grid::Grid;
use crate::launch::member::chunk::Chunk;
use crate::launch::operand::Operand;
use crate::launch::operand::describe::Description;
use crate::launch::operand::tag::{Tag, of};
use crate::memory::check_room;
use crate::sys::memory::{self, Hint};
use crate::team::board::Board;
use crate::team::current::Leave;
use crate::team::fault::{Fault, FaultKind};
use crate::team::member::{LaunchContext, fault};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::cell::{Cell, RefCell};
use std::panic::Location;
use std::ptr::NonNull;

/// The length before each value. Places are multiples of it.
const LEN_BYTES: usize = size_of::<u64>();
/// Whether there is memory is looked up once a megabyte.
const CHECK_SHIFT: u32 = 20;

/// The launch's spill, as an operand that the kernel does not see.
pub(crate) struct Answers<'a>(pub(crate) &'a Spill<'a>);

/// The spill as one member sees it, and what went wrong with its values: kernels are called from closures
/// that return nothing.
pub struct AnswerPlaces {
    base: NonNull<u8>,
    len_bytes: u64,
    board: Board,
    epoch: u64,
    encoded: Cell<Vec<u8>>,
    fault: RefCell<Option<Fault>>,
}

// SAFETY: what is reached is atomics, and places that members of this launch took for themselves.
unsafe impl Operand for Answers<'_> {
    type Wire = [u64; 3];
    type Local = AnswerPlaces;
    type View<'w> = ();
    const LAYOUT: u64 = of(Tag::Answers);

    fn describe(&self, to: &mut Description<'_>) -> Result<(), LaunchError> {
        if let Some(segment) = self.0.segment() {
            to.segment(segment);
        }
        Ok(())
    }
    fn wire(&self) -> [u64; 3] {
        self.0.place()
    }
    unsafe fn open(wire: &[u64; 3], context: &mut LaunchContext<'_>) -> Result<AnswerPlaces, Fault> {
        let [segment, offset, len_bytes] = *wire;
        let corrupt = || fault(FaultKind::Corrupt, "the place for the kernels' results makes no sense");
        let len = usize::try_from(len_bytes).ok().filter(|len| *len >= READY_BYTES).ok_or_else(corrupt)?;
        let base = NonNull::new(context.attach(segment, offset, len, true)?).ok_or_else(corrupt)?;
        if !base.addr().get().is_multiple_of(memory::page_size()) {
            return Err(corrupt());
        }
        let (board, epoch) = (context.member.board, context.order.epoch);
        Ok(AnswerPlaces {
            base,
            len_bytes,
            board,
            epoch,
            encoded: Cell::default(),
            fault: RefCell::default(),
        })
    }
    unsafe fn view<'w>(_local: &AnswerPlaces, _chunk: &Chunk) -> Self::View<'w> {}
}

impl AnswerPlaces {
    fn head(&self) -> &SpillHead {
        // SAFETY: the first bytes of the spill, which `open` found mapped and aligned; atomics.
        unsafe { self.base.cast().as_ref() }
    }

    /// Whether this chunk is to run. Until the result is dropped, `is_cancelled` says whether a lower chunk
    /// has an answer meanwhile. `None` if a lower chunk has one already, or this one itself.
    pub(crate) fn admit(&self, chunk: usize) -> Option<Leave> {
        let lowest = &self.head().lowest;
        (!lowest.decides(chunk)).then(|| lowest.watch_below(chunk))
    }

    /// Whether any chunk has an answer.
    pub(crate) fn has_answer(&self) -> bool {
        self.head().lowest.is_some()
    }

    /// Offers an answer on behalf of chunk `index`, from the units `span`.
    pub(crate) fn offer<A: Serialize>(&self, index: usize, span: Span, answer: &A) {
        let place = self.encoded(answer, |bytes| self.keep(bytes));
        match place.flatten() {
            Ok(place) => self.head().lowest.offer(index, place),
            Err(why) => self.fail(span, &why),
        }
    }

    /// Calls `then` with the value's bytes.
    pub(crate) fn encoded<A: Serialize, R>(
        &self,
        value: &A,
        then: impl FnOnce(&[u8]) -> R,
    ) -> Result<R, String> {
        let mut bytes = self.encoded.take();
        bytes.clear();
        let result = notation::append(value, &mut bytes).map(|()| then(&bytes));
        self.encoded.set(bytes);
        result.map_err(|error| error.to_string())
    }

    /// Puts bytes into a place of their own, behind their length. Returns the place.
    pub(crate) fn keep(&self, bytes: &[u8]) -> Result<u64, String> {
        let full = || {
            format!("the results take more than the {} bytes that one launch has for them", self.len_bytes)
        };
        let need = bytes.len().checked_next_multiple_of(LEN_BYTES).and_then(|len| len.checked_add(LEN_BYTES));
        let need = need.filter(|need| *need as u64 <= self.len_bytes).ok_or_else(full)?;
        let place = self.head().used.fetch_add(need as u64, Ordering::Relaxed);
        let end = place.checked_add(need as u64).filter(|end| *end <= self.len_bytes).ok_or_else(full)?;
        self.back(place, end).map_err(|error| format!("there is no memory for its {need} bytes: {error}"))?;
        // SAFETY: `need` bytes from here lie inside the spill, checked above.
        let at = unsafe { self.base.add(place as usize) };
        // SAFETY: as above; they are this call's alone, and places are multiples of eight.
        unsafe { at.cast::<u64>().write(bytes.len() as u64) };
        // SAFETY: as above.
        let to = unsafe { at.add(LEN_BYTES) };
        // SAFETY: as above; the source is this process's own.
        unsafe { to.copy_from_nonoverlapping(NonNull::from(bytes).cast(), bytes.len()) };
        Ok(place)
    }

    /// Makes sure that there is memory behind a place.
    fn back(&self, place: u64, end: u64) -> Result<(), std::io::Error> {
        if end <= READY_BYTES as u64 {
            return Ok(());
        }
        if place >> CHECK_SHIFT != end >> CHECK_SHIFT {
            // Whoever takes a place over a border looks for all up to the next one.
            let need = end.saturating_sub(place).max(1 << CHECK_SHIFT);
            check_room(need as usize).map_err(std::io::Error::other)?;
        }
        let page = memory::page_size() as u64;
        let (first, last) = (place & !page.wrapping_sub(1), end.next_multiple_of(page).min(self.len_bytes));
        // SAFETY: `first` is below `end`, which lies inside the spill.
        let at = unsafe { self.base.add(first as usize) };
        // SAFETY: whole pages of the spill; populating changes no contents.
        unsafe { memory::advise(at, last.saturating_sub(first) as usize, Hint::PopulateWrite) }
    }

    /// Notes that a value cannot travel, and stops the launch.
    #[cold]
    pub(crate) fn fail(&self, span: Span, why: &str) {
        self.fault.borrow_mut().get_or_insert_with(|| Fault {
            lo: span.lo as u64,
            hi: span.hi as u64,
            ..fault(FaultKind::Codec, why)
        });
        self.board.stop().store(self.epoch, Ordering::Release);
    }

    /// What went wrong, when the member's chunks are done.
    pub(crate) fn outcome(self) -> Result<(), Fault> {
        self.fault.into_inner().map_or(Ok(()), Err)
    }
}

impl Answers<'_> {
    /// The answer of the lowest chunk that has one, and the chunk's units.
    ///
    /// # Safety
    /// No member is in a launch with this spill.
    pub(crate) unsafe fn lowest<A: DeserializeOwned>(
        &self,
        grid: &Grid,
        site: &Location<'_>,
    ) -> Result<Option<(Span, A)>, LaunchError> {
        let Some((chunk, place)) = self.0.lowest() else { return Ok(None) };
        let span = grid.span(chunk);
        // SAFETY: the caller's word.
        match unsafe { self.value(place) } {
            Ok(answer) => Ok(Some((span, answer))),
            Err(why) => Err(LaunchError::Codec { site: site.to_string(), span, why }),
        }
    }

    /// The error of the lowest chunk that failed.
    ///
    /// # Safety
    /// No member is in a launch with this spill.
    pub(crate) unsafe fn check<E: DeserializeOwned>(
        &self,
        grid: &Grid,
        site: &Location<'_>,
    ) -> Result<(), TryError<E>> {
        // SAFETY: the caller's word.
        match unsafe { self.lowest::<E>(grid, site) }? {
            None => Ok(()),
            Some((span, error)) => Err(TryError::Kernel { site: site.to_string(), span, error }),
        }
    }

    /// The value at a place.
    ///
    /// # Safety
    /// No member is in a launch with this spill.
    pub(crate) unsafe fn value<A: DeserializeOwned>(&self, place: u64) -> Result<A, String> {
        // SAFETY: the caller's word.
        let bytes = unsafe { self.0.read(place) }.ok_or("its place was overwritten")?;
        notation::read(bytes).map_err(|error| error.to_string())
    }
}
