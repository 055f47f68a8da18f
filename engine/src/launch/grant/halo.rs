//! `halo`: a chunk with its neighbours, for stencils.
//!
//! A view is one piece of memory, so a chunk at an end of the array cannot be seen in place together with
//! rows that lie elsewhere: it is copied. A launch copies two chunks of many. A phase of a region copies all
//! rows of the first and the last rank, into memory that the array's handle keeps from phase to phase: with 2
//! ranks on a busy machine of 2 cores, a phase over 8 Mi `f64` took 10 ms with `Shrink` and 23 ms with
//! `Wrap`, one over 16 Ki 9 us and 8 us. Launches showed no difference. A `for_each` of
//! a region cuts each rank's rows into chunks, as a launch does.
//!
//! # Safety
//! Inner chunks are seen in place. At the array's ends, where rows beyond the edge are wanted, the chunk is
//! copied into a buffer of the member's own, which lives in the opened operand, as long as the launch; one
//! call's view is used before the next call makes another. Row numbers do not wrap: `padded_bytes` of the
//! whole array is checked by the driver, and again by each member.
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use super::given::reading_grants;
use super::{ArrayWire, Located, describe};
use crate::array::{Element, RangeRef, Shape, row_elems, rows};
use crate::base::Span;
use crate::launch::error::LaunchError;
use crate::launch::member::chunk::Chunk;
use crate::launch::operand::Operand;
use crate::launch::operand::describe::Description;
use crate::launch::operand::tag::{Tag, sized};
use crate::memory::check_room;
use crate::team::fault::{Fault, FaultKind};
use crate::team::member::{LaunchContext, fault};
use std::cell::RefCell;
use std::ops::Range;

/// What a kernel sees beyond the ends of a [`halo`](crate::SharedArray::halo) array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edge<T> {
    /// Nothing: the views of the first and last chunks are shorter.
    Shrink,
    /// Copies of the first or last row.
    Clamp,
    /// The rows from the array's other end.
    Wrap,
    /// This value.
    Fill(T),
}

impl<T: Element> Edge<T> {
    pub(crate) fn to_wire(self) -> (u64, T) {
        match self {
            Edge::Shrink => (0, T::zeroed()),
            Edge::Clamp => (1, T::zeroed()),
            Edge::Wrap => (2, T::zeroed()),
            Edge::Fill(value) => (3, value),
        }
    }

    pub(super) fn from_wire((code, value): (u64, T)) -> Edge<T> {
        match code {
            1 => Edge::Clamp,
            2 => Edge::Wrap,
            3 => Edge::Fill(value),
            _ => Edge::Shrink,
        }
    }
}

/// A chunk with its neighbouring rows. Returned by [`halo`](crate::SharedArray::halo).
pub struct Halo<'a, T, D>(RangeRef<'a, T, D>, usize, Edge<T>);

reading_grants! {
    Element;

    /// Grants each kernel call read access to its chunk and to `k` rows on each side of it.
    ///
    /// The view of rows `lo..hi` holds rows `lo - k .. hi + k`, so row `i` of the chunk is row `i + k` of the
    /// view. `edge` defines what lies beyond the ends of the array. With [`Edge::Shrink`], the first chunk's
    /// view starts at row 0 and the last chunk's view ends at the last row.
    ///
    /// With other edges, the first and the last chunk are copied with what lies beyond, since a view is one
    /// piece of memory. In a [`phase`](crate::Team::phase) of a region, where each rank has one chunk, that is
    /// much of the array: use [`for_each`](crate::Team::for_each), which cuts each rank's rows into chunks, or
    /// `Shrink`.
    ///
    /// `k` may exceed the array's length. If no memory could hold the halo, the launch is refused before any
    /// work. An array without rows has nothing to clamp to or wrap around, so its views are empty.
    fn halo(part, k: usize, edge: Edge<T>) -> Halo {
        Halo(part, k, edge)
    }
}

/// A halo operand opened by one member.
pub struct HaloLocal<T, D> {
    array: Located<T, D>,
    k: usize,
    edge: Edge<T>,
    /// The padded copy of a chunk at an end of the array.
    buffer: RefCell<Vec<T>>,
}

impl<T: Element, D: Shape> HaloLocal<T, D> {
    /// Copies are made in `buffer`, whose contents are of no matter.
    pub(crate) fn new(array: Located<T, D>, k: usize, edge: (u64, T), buffer: Vec<T>) -> HaloLocal<T, D> {
        HaloLocal { array, k, edge: Edge::from_wire(edge), buffer: RefCell::new(buffer) }
    }

    /// Takes the buffer back, after the last view.
    pub(crate) fn take_buffer(&mut self) -> Vec<T> {
        std::mem::take(self.buffer.get_mut())
    }

    /// Largest size of a view in bytes; `None` if no memory could hold it.
    pub(crate) fn padded_bytes(&self) -> Option<usize> {
        padded_bytes(&self.array.dim, self.k, &self.edge)
    }

    /// Rows `span` with the halo.
    ///
    /// # Safety
    /// `span` lies inside the array, which nobody writes for `'w`; the previous view of this operand is gone;
    /// [`Self::padded_bytes`] gave some.
    pub(crate) unsafe fn view<'w>(&self, span: Span) -> D::View<'w, T> {
        let have = self.array.rows();
        let inside = span.lo >= self.k && span.hi.saturating_add(self.k) <= have;
        if inside || matches!(self.edge, Edge::Shrink) {
            let seen = Span::new(span.lo.saturating_sub(self.k), span.hi.saturating_add(self.k).min(have));
            // SAFETY: inside the array, which is mapped and frozen.
            return unsafe { D::view_rows(self.array.base, &self.array.dim, seen) };
        }
        let (width, have) = (row_elems(&self.array.dim), have as isize);
        if have == 0 && !matches!(self.edge, Edge::Fill(_)) {
            // There is no row that could be shown in place of another.
            // SAFETY: no rows.
            return unsafe { D::view_rows(self.array.base, &self.array.dim, Span::default()) };
        }
        // Neither wraps, since the array has `padded_bytes` with as many rows or more.
        let (first, seen) = (
            (span.lo as isize).wrapping_sub_unsigned(self.k),
            span.len().wrapping_add(self.k).wrapping_add(self.k),
        );
        let mut buffer = self.buffer.borrow_mut();
        buffer.clear();
        let rows = if size_of::<T>() == 0 || width == 0 { 0 } else { seen };
        // Not left to `Vec`, which would end the process.
        let room = buffer.try_reserve(rows.saturating_mul(width));
        assert!(room.is_ok(), "no memory for {seen} rows of {width} elements with their halo");
        if rows > 0 {
            // What of it lies inside the array, in one piece.
            let inside =
                Span::new(span.lo.saturating_sub(self.k), span.hi.saturating_add(self.k).min(have as usize));
            let end = first.wrapping_add_unsigned(seen);
            // SAFETY: nobody writes the array, by the caller's word.
            unsafe { self.extend_beyond(first..inside.lo as isize, &mut buffer) };
            // SAFETY: rows of the array.
            let start = unsafe { self.array.base.add(inside.lo.wrapping_mul(width)) };
            // SAFETY: the rows are mapped, initialised and frozen.
            buffer.extend_from_slice(unsafe {
                std::slice::from_raw_parts(start, inside.len().wrapping_mul(width))
            });
            // SAFETY: as above.
            unsafe { self.extend_beyond(inside.hi as isize..end, &mut buffer) };
        }
        let mut dim = self.array.dim.clone();
        dim.slice_mut()[0] = seen;
        // SAFETY: the buffer holds exactly these rows, or they are none or without size; it is not touched
        // again before the next view.
        unsafe { D::view_rows(buffer.as_ptr(), &dim, Span::new(0, seen)) }
    }

    /// Appends what is shown in place of rows beyond the ends of the array.
    ///
    /// # Safety
    /// Nobody writes the array meanwhile.
    unsafe fn extend_beyond(&self, beyond: Range<isize>, buffer: &mut Vec<T>) {
        let (width, have) = (row_elems(&self.array.dim), self.array.rows() as isize);
        for row in beyond {
            match self.source(row, have) {
                Err(value) => buffer.extend(std::iter::repeat_n(value, width)),
                Ok(row) => {
                    // SAFETY: `source` gives a row of the array.
                    let start = unsafe { self.array.base.add(row.wrapping_mul(width)) };
                    // SAFETY: the row is mapped, initialised, and frozen by the caller's word.
                    buffer.extend_from_slice(unsafe { std::slice::from_raw_parts(start, width) });
                }
            }
        }
    }

    /// Returns the row to show in place of `row`, or the value to fill it with. `have` must be above 0 unless
    /// a value fills.
    fn source(&self, row: isize, have: isize) -> Result<usize, T> {
        if (0..have).contains(&row) {
            return Ok(row as usize);
        }
        match self.edge {
            Edge::Clamp => Ok(if row < 0 { 0 } else { have.saturating_sub(1) as usize }),
            Edge::Wrap => Ok(row.rem_euclid(have) as usize),
            Edge::Fill(value) => Err(value),
            Edge::Shrink => Err(T::zeroed()),
        }
    }
}

/// Size in bytes of the whole array with `k` more rows on each side, or with none if the edge adds none: the
/// largest that a view can be. `None` if no memory could hold it.
fn padded_bytes<T, D: Shape>(dim: &D, k: usize, edge: &Edge<T>) -> Option<usize> {
    let k = if matches!(edge, Edge::Shrink) { 0 } else { k };
    let rows = k.checked_mul(2)?.checked_add(rows(dim)).filter(|rows| isize::try_from(*rows).is_ok())?;
    let bytes = rows.checked_mul(row_elems(dim))?.checked_mul(size_of::<T>())?;
    isize::try_from(bytes).is_ok().then_some(bytes)
}

// SAFETY: see the module.
unsafe impl<T: Element, D: Shape> Operand for Halo<'_, T, D> {
    type Wire = (ArrayWire, u64, (u64, T));
    type Local = HaloLocal<T, D>;
    type View<'w> = D::View<'w, T>;
    const LAYOUT: u64 = sized(Tag::Halo, size_of::<T>());

    fn describe(&self, to: &mut Description<'_>) -> Result<(), LaunchError> {
        let (what, dim, k) = ("a halo() array", self.0.part().raw_dim(), self.1);
        describe(self.0.part(), what, false, to)?;
        to.length(rows(dim), what)?;
        let Some(bytes) = padded_bytes(dim, k, &self.2) else {
            let why = format!("{k} rows on each side of {} rows are larger than any memory", rows(dim));
            return Err(LaunchError::BadGrant { what, why });
        };
        // Members copy the end chunks with what lies beyond. More of that than of the array is looked at
        // twice.
        if k > rows(dim) {
            check_room(bytes)?;
        }
        to.unit_bytes(self.0.part().row_bytes());
        Ok(())
    }
    fn wire(&self) -> Self::Wire {
        (ArrayWire::of(self.0.part()), self.1 as u64, self.2.to_wire())
    }
    unsafe fn open(wire: &Self::Wire, context: &mut LaunchContext<'_>) -> Result<Self::Local, Fault> {
        let local = Located::open(&wire.0, context, false)?;
        context.check_rows(local.rows())?;
        let local = HaloLocal::new(local, wire.1 as usize, wire.2, Vec::new());
        match local.padded_bytes() {
            Some(_) => Ok(local),
            None => Err(fault(FaultKind::Corrupt, "an operand's halo makes no sense")),
        }
    }
    unsafe fn view<'w>(local: &Self::Local, chunk: &Chunk) -> Self::View<'w> {
        // SAFETY: the chunk lies inside (`check_rows`); the array is frozen for the launch; chunks come one
        // at a time.
        unsafe { local.view(chunk.span) }
    }
}
