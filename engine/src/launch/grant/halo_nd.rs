//! `halo_nd`, `tiles_halo`: a chunk or tile with its neighbours along all axes, including corners.
//!
//! # Safety
//! As in `halo.rs`: what lies inside the array is seen in place. Where elements beyond its ends are wanted,
//! all of the view is copied into a buffer of the member's own, which lives in the opened operand, as long as
//! the launch; one call's view is used before the next call makes another. Lengths do not wrap: `padded_len`
//! of the largest view is checked by the driver, and again by each member.
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use super::given::reading_grants;
use super::halo::Edge;
use super::strided::{Block, Strided, StridedWire, describe};
use super::tile::{TileGrid, TileWire, bad_tiles, tile_wire};
use crate::array::{Element, Shape, SliceRef};
use crate::launch::error::LaunchError;
use crate::launch::member::chunk::Chunk;
use crate::launch::operand::Operand;
use crate::launch::operand::describe::Description;
use crate::launch::operand::tag::{Tag, sized};
use crate::memory::check_room;
use crate::team::fault::{Fault, FaultKind};
use crate::team::member::{LaunchContext, fault};
use ndarray::{ArrayView, Dimension, IntoDimension};
use std::cell::RefCell;

/// A chunk with its neighbours along all axes. Returned by [`halo_nd`](crate::SharedArray::halo_nd).
pub struct HaloNd<'a, T, D> {
    part: SliceRef<'a, T, D>,
    k: D,
    edge: Edge<T>,
}

/// Tiles with their neighbours along all axes. Returned by [`tiles_halo`](crate::SharedArray::tiles_halo).
pub struct TilesHalo<'a, T, D> {
    part: SliceRef<'a, T, D>,
    tile: D,
    k: D,
    edge: Edge<T>,
}

/// What a kernel receives for [`HaloNd`] or [`TilesHalo`].
#[derive(Clone, Debug)]
pub struct HaloTile<'w, T, D: Dimension> {
    /// The index of the first element of the chunk or tile, without its neighbours, in the array, or in the
    /// range or slice that is cut: a number in one dimension, a tuple in more.
    pub origin: D::Pattern,
    /// The index of that element in `view`: the number of neighbours before it along each axis. Always `k`,
    /// but less at the array's ends with [`Edge::Shrink`].
    pub inset: D::Pattern,
    /// The chunk or tile and its neighbours.
    pub view: ArrayView<'w, T, D>,
}

reading_grants! {
    Element;

    /// Grants each kernel call read access to its chunk of rows and to its neighbours: `k[0]` rows on each
    /// side, and `k[i]` elements on each side along every other axis, including corners. `edge` defines what
    /// lies beyond the ends of the array, along all axes.
    ///
    /// Goes together with `split_mut` and other operands that are split into rows. Element `(i, j)` of the
    /// chunk is element `(i + k[0], j + k[1])` of the view, except with [`Edge::Shrink`], where `inset` is
    /// the number of elements before the chunk. Where `k` is 0 along an axis, nothing is added to it.
    ///
    /// A chunk that needs nothing from beyond the ends is seen in place; any other is copied into a buffer
    /// with what lies beyond. That is every chunk if any `k` but the first is above 0 and the edge is not
    /// [`Edge::Shrink`]; then [`tiles_halo`](crate::SharedArray::tiles_halo), which copies the outer tiles
    /// alone, may be faster.
    ///
    /// ```
    /// use ndarray::Zip;
    /// use phalanx::{Edge, Pool};
    ///
    /// # fn main() -> Result<(), phalanx::Error> {
    /// let pool = Pool::builder().workers(2).build()?;
    /// let u = pool.from_shape_fn((300, 200), |(i, j)| (i + j) as f64)?;
    /// let mut mean = pool.zeros_nd::<f64, _>((300, 200))?;
    /// pool.for_each((mean.split_out(), u.halo_nd([1, 1], Edge::Wrap)), |(mut mean, u)| {
    ///     Zip::from(&mut mean).and(u.view.windows((3, 3))).for_each(|mean, near| *mean = near.sum() / 9.0);
    /// })?;
    /// assert!((mean.view()[(100, 100)] - 200.0).abs() < 1e-9);
    /// # Ok(())
    /// # }
    /// ```
    fn halo_nd(part, k: impl IntoDimension<Dim = D>, edge: Edge<T>) -> HaloNd {
        SliceRef::of(&part).halo_nd(k, edge)
    }

    /// Grants each kernel call read access to one tile and to its neighbours: `k[i]` elements on each side
    /// along axis `i`, including corners. `edge` defines what lies beyond the ends of the array, along all
    /// axes.
    ///
    /// Goes together with `tiles_mut` of an array of the same shape and other operands that are cut into
    /// tiles (see [`tiles`](crate::SharedArray::tiles)). The element at `(i, j)` in the tile is the view's at
    /// `(i + k[0], j + k[1])`, except with [`Edge::Shrink`], where `inset` is the number of elements before
    /// the tile. Tiles that need nothing from beyond the ends are seen in place; others are copied into a
    /// buffer with what lies beyond.
    ///
    /// ```
    /// use phalanx::{Edge, Pool};
    ///
    /// # fn main() -> Result<(), phalanx::Error> {
    /// let pool = Pool::builder().workers(2).build()?;
    /// let u = pool.from_shape_fn((300, 200), |(i, j)| (i * i + j) as f64)?;
    /// let mut laplacian = pool.zeros_nd::<f64, _>((300, 200))?;
    /// let tile = (64, 64);
    /// let operands = (laplacian.tiles_out(tile), u.tiles_halo(tile, [1, 1], Edge::Clamp));
    /// pool.for_each(operands, |(mut out, u)| {
    ///     for ((i, j), out) in out.view.indexed_iter_mut() {
    ///         let at = |di, dj| u.view[(i + di, j + dj)];
    ///         *out = at(0, 1) + at(2, 1) + at(1, 0) + at(1, 2) - 4.0 * at(1, 1);
    ///     }
    /// })?;
    /// assert_eq!(laplacian.view()[(150, 100)], 2.0);
    /// # Ok(())
    /// # }
    /// ```
    fn tiles_halo(
        part,
        tile: impl IntoDimension<Dim = D>,
        k: impl IntoDimension<Dim = D>,
        edge: Edge<T>
    ) -> TilesHalo {
        SliceRef::of(&part).tiles_halo(tile, k, edge)
    }
}

impl<'a, T: Element, D: Shape> SliceRef<'a, T, D> {
    /// Grants each kernel call read access to its chunk of the slice and to its neighbours in the slice. See
    /// [`SharedArray::halo_nd`](crate::SharedArray::halo_nd).
    pub fn halo_nd(&self, k: impl IntoDimension<Dim = D>, edge: Edge<T>) -> HaloNd<'a, T, D> {
        HaloNd { part: self.clone(), k: k.into_dimension(), edge }
    }

    /// Grants each kernel call read access to one tile of the slice and to its neighbours in the slice. See
    /// [`SharedArray::tiles_halo`](crate::SharedArray::tiles_halo).
    pub fn tiles_halo(
        &self,
        tile: impl IntoDimension<Dim = D>,
        k: impl IntoDimension<Dim = D>,
        edge: Edge<T>,
    ) -> TilesHalo<'a, T, D> {
        TilesHalo { part: self.clone(), tile: tile.into_dimension(), k: k.into_dimension(), edge }
    }
}

/// A part of an array and what lies around it, opened by one member.
pub struct Padded<T, D> {
    part: Strided<T, D>,
    k: D,
    edge: Edge<T>,
    /// The copy of a block with what lies beyond the ends.
    buffer: RefCell<Vec<T>>,
}

/// Elements of the largest view: a block of `shape` with `k` more on each side. `None` if no memory could
/// hold them.
fn padded_len<T, D: Dimension>(shape: &[usize], k: &D, edge: &Edge<T>) -> Option<usize> {
    let mut len = 1_usize;
    for (own, k) in shape.iter().zip(k.slice()) {
        let k = if matches!(edge, Edge::Shrink) { 0 } else { *k };
        // Axes of no elements count as one, so that every partial product fits.
        len = len.checked_mul(k.checked_mul(2)?.checked_add(*own)?.max(1))?;
    }
    let bytes = len.checked_mul(size_of::<T>().max(1))?;
    isize::try_from(bytes).is_ok().then_some(len)
}

/// Reports an array with its neighbours to the driver; `shape` is that of the largest chunk or tile.
fn describe_halo<T: Element, D: Shape>(
    part: &SliceRef<'_, T, D>,
    shape: &[usize],
    (k, edge): (&D, &Edge<T>),
    what: &'static str,
    to: &mut Description<'_>,
) -> Result<(), LaunchError> {
    describe(part, what, false, to)?;
    let own = part.view();
    let bad = |why: String| Err(LaunchError::BadGrant { what, why });
    if k.ndim() != own.ndim() {
        return bad(format!("a halo along {} axes is none of an array of {}", k.ndim(), own.ndim()));
    }
    let Some(len) = padded_len(shape, k, edge) else {
        return bad(format!("{:?} on each side of {shape:?} elements are larger than any memory", k.slice()));
    };
    // Members copy the outer chunks with what lies beyond. Much more of that than of the array is looked at
    // twice.
    if len.checked_div(2).is_some_and(|half| half > own.len()) {
        check_room(len.saturating_mul(size_of::<T>()))?;
    }
    Ok(())
}

impl<T: Element, D: Shape> Padded<T, D> {
    /// `wire` is `k` as it was sent.
    fn new(part: Strided<T, D>, wire: &TileWire, edge: (u64, T)) -> Option<Padded<T, D>> {
        let mut k = D::zeros(part.dim.ndim());
        for (own, sent) in k.slice_mut().iter_mut().zip(wire) {
            *own = usize::try_from(*sent).ok()?;
        }
        Some(Padded { part, k, edge: Edge::from_wire(edge), buffer: RefCell::new(Vec::new()) })
    }

    /// A block with its neighbours.
    ///
    /// # Safety
    /// The block lies inside the part, which nobody writes for `'w`; the previous view is gone; `padded_len`
    /// gave some for a shape that is nowhere shorter than the block's.
    unsafe fn view<'w>(&self, block: Block<D>) -> HaloTile<'w, T, D> {
        let mut seen = block.clone();
        let (mut inset, mut inside, mut is_empty) = (self.k.clone(), true, size_of::<T>() == 0);
        for axis in 0..self.k.ndim() {
            let [lo, len, k, have] =
                [&block.origin, &block.shape, &self.k, &self.part.dim].map(|of| of.slice()[axis]);
            let hi = lo.saturating_add(len);
            let (from, to) = (lo.saturating_sub(k), hi.saturating_add(k).min(have));
            inside &= lo >= k && hi.saturating_add(k) <= have;
            is_empty |= have == 0;
            (seen.origin.slice_mut()[axis], seen.shape.slice_mut()[axis]) = (from, to.saturating_sub(from));
            inset.slice_mut()[axis] = lo.saturating_sub(from);
        }
        let origin = block.origin.clone().into_pattern();
        let fills = matches!(self.edge, Edge::Fill(_));
        if inside || matches!(self.edge, Edge::Shrink) || (is_empty && !fills && size_of::<T>() > 0) {
            // There is nothing beyond, or nothing that could be shown in its place.
            // SAFETY: inside the part, which is mapped and frozen.
            let view = unsafe { self.part.view(seen) };
            return HaloTile { origin, inset: inset.into_pattern(), view };
        }
        let mut shape = block.shape.clone();
        for (len, k) in shape.slice_mut().iter_mut().zip(self.k.slice()) {
            // No wrap: `padded_len` has counted as many or more.
            *len = len.wrapping_add(*k).wrapping_add(*k);
        }
        let mut buffer = self.buffer.borrow_mut();
        buffer.clear();
        if size_of::<T>() > 0 {
            // Not left to `Vec`, which would end the process.
            let room = buffer.try_reserve(shape.size());
            assert!(room.is_ok(), "no memory for {:?} elements with their halo", shape.slice());
            // SAFETY: the caller's word: nobody writes the part.
            unsafe { self.copy(&block, &shape, &seen, &mut buffer) };
        }
        // SAFETY: the buffer holds exactly these elements, or they have no size; it is not touched again
        // before the next view.
        let view = unsafe { ArrayView::from_shape_ptr(shape, buffer.as_ptr()) };
        HaloTile { origin, inset: self.k.clone().into_pattern(), view }
    }

    /// Appends a block with its neighbours, of that shape, to the buffer, in row-major order. `seen` is what
    /// of it lies inside the part.
    ///
    /// # Safety
    /// Nobody writes the part meanwhile.
    unsafe fn copy(&self, block: &Block<D>, shape: &D, seen: &Block<D>, buffer: &mut Vec<T>) {
        let fill = if let Edge::Fill(value) = self.edge { value } else { T::zeroed() };
        let sources: Vec<Vec<Option<usize>>> = (0..shape.ndim())
            .map(|axis| {
                let first = (block.origin.slice()[axis] as isize).wrapping_sub_unsigned(self.k.slice()[axis]);
                let index = |at: usize| self.source(axis, first.wrapping_add_unsigned(at));
                (0..shape.slice()[axis]).map(index).collect()
            })
            .collect();
        let Some((last, outer)) = sources.split_last() else { return };
        let axis = outer.len();
        // What of the last axis lies inside, and in one piece.
        let (mut skip, mut run) = (0, 0);
        if self.part.is_contiguous_along(axis) {
            let lo = block.origin.slice()[axis];
            // No wrap: the part of the view that lies inside begins at most `k` before the block.
            let before = lo.wrapping_sub(seen.origin.slice()[axis]);
            skip = self.k.slice()[axis].wrapping_sub(before);
            run = seen.shape.slice()[axis];
        }
        let (left, rest) = last.split_at(skip);
        let (middle, right) = rest.split_at(run);
        let mut at = vec![0_usize; outer.len()];
        let lines = outer.iter().map(Vec::len).product::<usize>();
        for _ in 0..lines {
            let start = at.iter().zip(outer).try_fold(0_usize, |sum, (at, sources)| {
                // No wrap: offsets inside the part.
                sources[*at].map(|offset| sum.wrapping_add(offset))
            });
            match start {
                None => buffer.extend(std::iter::repeat_n(fill, last.len())),
                Some(start) => {
                    let element = |offset: &Option<usize>| match offset {
                        // SAFETY: `source` gives offsets of indices of the part along each axis.
                        Some(offset) => unsafe { self.part.element(start.wrapping_add(*offset)) },
                        None => fill,
                    };
                    buffer.extend(left.iter().map(element));
                    if let Some(Some(first)) = middle.first() {
                        // SAFETY: as above, for all of the run, whose elements follow each other; frozen by
                        // the caller's word.
                        buffer.extend_from_slice(unsafe {
                            self.part.elements(start.wrapping_add(*first), run)
                        });
                    }
                    buffer.extend(right.iter().map(element));
                }
            }
            // The next line: the last outer axis turns fastest.
            for (at, sources) in at.iter_mut().zip(outer).rev() {
                *at = at.wrapping_add(1);
                if *at < sources.len() {
                    break;
                }
                *at = 0;
            }
        }
    }

    /// The offset along an axis of what is shown at `index`; `None` where a value fills.
    fn source(&self, axis: usize, index: isize) -> Option<usize> {
        let have = self.part.dim.slice()[axis] as isize;
        let shown = if (0..have).contains(&index) {
            index
        } else {
            match self.edge {
                Edge::Clamp => index.clamp(0, have.saturating_sub(1)),
                Edge::Wrap => index.rem_euclid(have.max(1)),
                Edge::Fill(_) | Edge::Shrink => return None,
            }
        };
        Some(self.part.offset_along(axis, shown as usize))
    }
}

fn bad_halo() -> Fault {
    fault(FaultKind::Corrupt, "an operand's halo makes no sense")
}

// SAFETY: see the module.
unsafe impl<T: Element, D: Shape> Operand for HaloNd<'_, T, D> {
    type Wire = (StridedWire, TileWire, (u64, T));
    type Local = Padded<T, D>;
    type View<'w> = HaloTile<'w, T, D>;
    const LAYOUT: u64 = sized(Tag::HaloNd, size_of::<T>());

    fn describe(&self, to: &mut Description<'_>) -> Result<(), LaunchError> {
        let (what, own) = ("a halo_nd() array", self.part.view());
        describe_halo(&self.part, own.shape(), (&self.k, &self.edge), what, to)?;
        to.length(own.shape()[0], what)?;
        to.unit_bytes(own.shape().iter().skip(1).product::<usize>().saturating_mul(size_of::<T>()));
        Ok(())
    }
    fn wire(&self) -> Self::Wire {
        (StridedWire::of(&self.part), tile_wire(&self.k), self.edge.to_wire())
    }
    unsafe fn open(wire: &Self::Wire, context: &mut LaunchContext<'_>) -> Result<Self::Local, Fault> {
        let part = Strided::<T, D>::open(&wire.0, context, false)?;
        context.check_rows(part.dim.slice()[0])?;
        let local = Padded::new(part, &wire.1, wire.2).ok_or_else(bad_halo)?;
        padded_len(local.part.dim.slice(), &local.k, &local.edge).ok_or_else(bad_halo)?;
        Ok(local)
    }
    unsafe fn view<'w>(local: &Self::Local, chunk: &Chunk) -> Self::View<'w> {
        // SAFETY: the chunk lies inside (`check_rows`); the array is frozen for the launch; chunks come one
        // at a time; `open` has found the length of the largest view.
        unsafe { local.view(local.part.rows(chunk.span)) }
    }
}

impl<T, D: Dimension> TilesHalo<'_, T, D> {
    /// The shape of the largest tile.
    fn largest(tile: &D, shape: &[usize]) -> D {
        let mut largest = tile.clone();
        largest.slice_mut().iter_mut().zip(shape).for_each(|(tile, len)| *tile = (*tile).min(*len));
        largest
    }
}

// SAFETY: see the module.
unsafe impl<T: Element, D: Shape> Operand for TilesHalo<'_, T, D> {
    type Wire = (StridedWire, TileWire, TileWire, (u64, T));
    type Local = (Padded<T, D>, TileGrid<D>);
    type View<'w> = HaloTile<'w, T, D>;
    const LAYOUT: u64 = sized(Tag::TilesHalo, size_of::<T>());

    fn describe(&self, to: &mut Description<'_>) -> Result<(), LaunchError> {
        let (what, own) = ("a tiles_halo() array", self.part.view());
        let largest = Self::largest(&self.tile, own.shape());
        describe_halo(&self.part, largest.slice(), (&self.k, &self.edge), what, to)?;
        TileGrid::describe(&own.raw_dim(), &self.tile, what, to)
    }
    fn wire(&self) -> Self::Wire {
        (StridedWire::of(&self.part), tile_wire(&self.tile), tile_wire(&self.k), self.edge.to_wire())
    }
    unsafe fn open(wire: &Self::Wire, context: &mut LaunchContext<'_>) -> Result<Self::Local, Fault> {
        let part = Strided::<T, D>::open(&wire.0, context, false)?;
        let grid = TileGrid::from_wire(&part.dim, &wire.1).ok_or_else(bad_tiles)?;
        context.check_rows(grid.len)?;
        let local = Padded::new(part, &wire.2, wire.3).ok_or_else(bad_halo)?;
        let largest = Self::largest(&grid.tile, local.part.dim.slice());
        padded_len(largest.slice(), &local.k, &local.edge).ok_or_else(bad_halo)?;
        Ok((local, grid))
    }
    unsafe fn view<'w>(local: &Self::Local, chunk: &Chunk) -> Self::View<'w> {
        // SAFETY: there are as many tiles as chunks at least (`check_rows`), each inside the part; the array
        // is frozen for the launch; chunks come one at a time; `open` has found the length of the largest
        // view.
        unsafe { local.0.view(local.1.block(chunk.index)) }
    }
}
