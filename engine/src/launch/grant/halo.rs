//! `halo`: a chunk with its neighbours, for stencils.
//!
//! # Safety
//! Inner chunks are seen in place. At the array's ends, where rows beyond the edge are wanted, the chunk is copied into a buffer of
//! the member's own, which lives in the opened operand, as long as the launch; one call's view is used before the next
//! call makes another.
#![allow(unsafe_code)]

use super::{ArrayWire, Located, describe, row_bytes};
use crate::array::{Element, Shape, SharedArray, row_elems, rows};
use crate::base::Span;
use crate::launch::chunk::Chunk;
use crate::launch::describe::Description;
use crate::launch::error::LaunchError;
use crate::launch::operand::{Operand, SEED, mix};
use crate::team::board::Fault;
use crate::team::member::Visit;
use std::cell::RefCell;

/// What a kernel sees beyond the ends of a [`halo`](SharedArray::halo) array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edge<T> {
    /// Nothing: the first and last chunk's views are shorter.
    Shrink,
    /// The first or last row again.
    Clamp,
    /// The rows from the other end.
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

    fn from_wire((code, value): (u64, T)) -> Edge<T> {
        match code {
            1 => Edge::Clamp,
            2 => Edge::Wrap,
            3 => Edge::Fill(value),
            _ => Edge::Shrink,
        }
    }
}

/// A chunk with neighbouring rows. Made by [`SharedArray::halo`].
pub struct Halo<'a, T, D>(&'a SharedArray<T, D>, usize, Edge<T>);

impl<T: Element, D: Shape> SharedArray<T, D> {
    /// Grants each kernel call its chunk and `k` rows on each side of it, for reading.
    ///
    /// The view of rows `lo..hi` holds rows `lo - k .. hi + k`, so the chunk's own row `i` is view row `i + k`. `edge`
    /// says what stands beyond the ends of the array; with [`Edge::Shrink`] the view of the first chunk starts at row
    /// 0 and that of the last ends at the last row.
    pub fn halo(&self, k: usize, edge: Edge<T>) -> Halo<'_, T, D> {
        Halo(self, k, edge)
    }
}

/// A halo operand opened by one member.
pub struct HaloLocal<T, D> {
    array: Located<T, D>,
    k: usize,
    edge: Edge<T>,
    /// The padded copy of an end chunk.
    buffer: RefCell<Vec<T>>,
}

impl<T: Element, D: Shape> HaloLocal<T, D> {
    pub(crate) fn new(array: Located<T, D>, k: usize, edge: (u64, T)) -> HaloLocal<T, D> {
        HaloLocal { array, k, edge: Edge::from_wire(edge), buffer: RefCell::new(Vec::new()) }
    }

    /// Rows `span` with the halo.
    ///
    /// # Safety
    /// `span` lies inside the array, which nobody writes for `'w`; the previous view of this operand is gone.
    pub(crate) unsafe fn view<'w>(&self, span: Span) -> D::View<'w, T> {
        let have = self.array.rows();
        let inside = span.lo >= self.k && span.hi.saturating_add(self.k) <= have;
        if inside || matches!(self.edge, Edge::Shrink) {
            let seen = Span::new(span.lo.saturating_sub(self.k), span.hi.saturating_add(self.k).min(have));
            // SAFETY: inside the array, which is mapped and frozen.
            return unsafe { D::view_rows(self.array.base, &self.array.dim, seen) };
        }
        let width = row_elems(&self.array.dim);
        let mut buffer = self.buffer.borrow_mut();
        buffer.clear();
        for row in span.lo as isize - self.k as isize..(span.hi + self.k) as isize {
            match self.source(row, have as isize) {
                Err(value) => buffer.extend(std::iter::repeat_n(value, width)),
                Ok(row) => {
                    // SAFETY: `source` gives a row of the array.
                    let start = unsafe { self.array.base.add(row * width) };
                    // SAFETY: the row is mapped, initialised and frozen.
                    buffer.extend_from_slice(unsafe { std::slice::from_raw_parts(start, width) });
                }
            }
        }
        let mut dim = self.array.dim.clone();
        dim.slice_mut()[0] = span.len() + 2 * self.k;
        // SAFETY: the buffer holds exactly these rows, and is not touched again before the next view.
        unsafe { D::view_rows(buffer.as_ptr(), &dim, Span::new(0, span.len() + 2 * self.k)) }
    }

    /// The row to show in place of `row`, or the value to fill it with.
    fn source(&self, row: isize, have: isize) -> Result<usize, T> {
        if (0..have).contains(&row) {
            return Ok(row as usize);
        }
        match self.edge {
            Edge::Clamp => Ok(row.clamp(0, have - 1) as usize),
            Edge::Wrap => Ok(row.rem_euclid(have) as usize),
            Edge::Fill(value) => Err(value),
            Edge::Shrink => Err(T::zeroed()),
        }
    }
}

// SAFETY: see the module.
unsafe impl<T: Element, D: Shape> Operand for Halo<'_, T, D> {
    type Wire = (ArrayWire, u64, (u64, T));
    type Local = HaloLocal<T, D>;
    type View<'w> = D::View<'w, T>;
    const LAYOUT: u64 = mix(mix(SEED, 26), size_of::<T>() as u64);

    fn describe(&self, to: &mut Description<'_>) -> Result<(), LaunchError> {
        describe(self.0, "a halo() array", false, to)?;
        to.length(rows(self.0.raw_dim()), "a halo() array")?;
        to.unit_bytes(row_bytes(self.0));
        Ok(())
    }
    fn wire(&self) -> Self::Wire {
        (ArrayWire::of(self.0), self.1 as u64, self.2.to_wire())
    }
    unsafe fn open(wire: &Self::Wire, visit: &mut Visit<'_>) -> Result<Self::Local, Fault> {
        let local = Located::open(&wire.0, visit, false)?;
        visit.check_rows(local.rows())?;
        Ok(HaloLocal::new(local, wire.1 as usize, wire.2))
    }
    unsafe fn view<'w>(local: &Self::Local, chunk: &Chunk) -> Self::View<'w> {
        // SAFETY: the chunk lies inside (`check_rows`); the array is frozen for the launch; chunks come one at a time.
        unsafe { local.view(chunk.span) }
    }
}
