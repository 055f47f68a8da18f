//! `tiles`, `tiles_mut`, `tiles_out`: blocks along all axes, each of which is one chunk.
//!
//! # Safety
//! Tiles of one grid share no element, and each lies inside the part of the array that is cut into them
//! ([`TileGrid::block`]). The part itself is checked by `Strided::open`.
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use super::MAX_AXES;
use super::given::{reading_grants, writing_grants};
use super::strided::{Block, Strided, StridedWire, describe};
use crate::array::{Element, Shape, SliceRef, SliceRefMut};
use crate::launch::error::LaunchError;
use crate::launch::member::chunk::Chunk;
use crate::launch::operand::Operand;
use crate::launch::operand::describe::Description;
use crate::launch::operand::tag::{Tag, sized};
use crate::team::fault::{Fault, FaultKind};
use crate::team::member::{LaunchContext, fault};
use ndarray::{ArrayView, ArrayViewMut, Dimension, IntoDimension};

/// Read-only tiles. Returned by [`tiles`](crate::SharedArray::tiles).
pub struct Tiles<'a, T, D> {
    part: SliceRef<'a, T, D>,
    tile: D,
}

/// Writable tiles. Returned by [`tiles_mut`](crate::SharedArray::tiles_mut).
pub struct TilesMut<'a, T, D> {
    part: SliceRefMut<'a, T, D>,
    tile: D,
}

/// Tiles to be overwritten. Returned by [`tiles_out`](crate::SharedArray::tiles_out).
pub struct TilesOut<'a, T, D> {
    part: SliceRefMut<'a, T, D>,
    tile: D,
}

/// What a kernel receives for one of [`Tiles`].
#[derive(Clone, Debug)]
pub struct Tile<'w, T, D: Dimension> {
    /// The index of the tile's first element in the array, or in the range or slice that is cut into tiles: a
    /// number in one dimension, a tuple in more.
    pub origin: D::Pattern,
    /// The tile's elements.
    pub view: ArrayView<'w, T, D>,
}

/// What a kernel receives for one of [`TilesMut`] or [`TilesOut`].
#[derive(Debug)]
pub struct TileMut<'w, T, D: Dimension> {
    /// The index of the tile's first element in the array, or in the range or slice that is cut into tiles: a
    /// number in one dimension, a tuple in more.
    pub origin: D::Pattern,
    /// The tile's elements.
    pub view: ArrayViewMut<'w, T, D>,
}

reading_grants! {
    Element;

    /// Grants each kernel call read access to one tile: a block of `tile` elements along each axis. Tiles at
    /// the far ends of the array are smaller.
    ///
    /// Each tile is one chunk, and tiles follow each other in row-major order. All arrays of a launch that
    /// are cut into tiles must have equally many along each axis. Other operands that are split have one unit
    /// per tile: an array with a result for each, say. No axis of a tile may be 0.
    ///
    /// ```
    /// use phalanx::Pool;
    ///
    /// # fn main() -> Result<(), phalanx::Error> {
    /// let pool = Pool::builder().workers(2).build()?;
    /// let a = pool.from_shape_fn((300, 200), |(i, j)| (1000 * i + j) as u64)?;
    /// let mut transposed = pool.zeros_nd::<u64, _>((200, 300))?;
    /// // Tiles of the transposed array in the order of the array's own.
    /// let to = transposed.slice_mut(ndarray::s![.., ..]).permuted_axes([1, 0]);
    /// pool.for_each((to.tiles_out((64, 64)), a.tiles((64, 64))), |(mut to, from)| {
    ///     assert_eq!(to.origin, from.origin);
    ///     to.view.assign(&from.view);
    /// })?;
    /// assert_eq!(transposed.view()[(150, 299)], 299_150);
    /// # Ok(())
    /// # }
    /// ```
    fn tiles(part, tile: impl IntoDimension<Dim = D>) -> Tiles {
        SliceRef::of(&part).tiles(tile)
    }
}

writing_grants! {
    Element;

    /// Grants each kernel call read and write access to one tile. See [`tiles`](crate::SharedArray::tiles).
    ///
    /// Neighbouring tiles share cache lines where a tile's last axis does not end on one: choose tiles of
    /// whole lines, 64 bytes on most machines, along the last axis.
    ///
    /// ```
    /// use phalanx::Pool;
    ///
    /// # fn main() -> Result<(), phalanx::Error> {
    /// let pool = Pool::builder().workers(2).build()?;
    /// let mut a = pool.zeros_nd::<u64, _>((300, 200))?;
    /// pool.for_each(a.tiles_mut((128, 128)), |mut tile| {
    ///     let (row, column) = tile.origin;
    ///     for ((i, j), element) in tile.view.indexed_iter_mut() {
    ///         *element = (1000 * (row + i) + column + j) as u64;
    ///     }
    /// })?;
    /// assert_eq!(a.view()[(299, 150)], 299_150);
    /// # Ok(())
    /// # }
    /// ```
    fn tiles_mut(part, tile: impl IntoDimension<Dim = D>) -> TilesMut {
        SliceRefMut::of(part).tiles_mut(tile)
    }

    /// Grants each kernel call write access to one tile. What it holds beforehand is unspecified, as with
    /// [`split_out`](crate::SharedArray::split_out).
    fn tiles_out(part, tile: impl IntoDimension<Dim = D>) -> TilesOut {
        SliceRefMut::of(part).tiles_out(tile)
    }
}

impl<'a, T: Element, D: Shape> SliceRef<'a, T, D> {
    /// Grants each kernel call read access to one tile of the slice. Origins count from the slice's first
    /// element. See [`SharedArray::tiles`](crate::SharedArray::tiles).
    pub fn tiles(&self, tile: impl IntoDimension<Dim = D>) -> Tiles<'a, T, D> {
        Tiles { part: self.clone(), tile: tile.into_dimension() }
    }
}

impl<'a, T: Element, D: Shape> SliceRefMut<'a, T, D> {
    /// Grants each kernel call read and write access to one tile of the slice. Origins count from the slice's
    /// first element. See [`SharedArray::tiles_mut`](crate::SharedArray::tiles_mut).
    pub fn tiles_mut(self, tile: impl IntoDimension<Dim = D>) -> TilesMut<'a, T, D> {
        TilesMut { part: self, tile: tile.into_dimension() }
    }

    /// Grants each kernel call write access to one tile of the slice. Origins count from the slice's first
    /// element. See [`SharedArray::tiles_out`](crate::SharedArray::tiles_out).
    pub fn tiles_out(self, tile: impl IntoDimension<Dim = D>) -> TilesOut<'a, T, D> {
        TilesOut { part: self, tile: tile.into_dimension() }
    }
}

/// How a shape is cut into tiles.
#[derive(Clone, Debug)]
pub struct TileGrid<D> {
    shape: D,
    pub(super) tile: D,
    /// Tiles along each axis.
    counts: D,
    /// Tiles altogether.
    pub(super) len: usize,
}

impl<D: Shape> TileGrid<D> {
    /// `None` if the axes do not fit, an axis of the tile is 0, or there are more tiles than can be counted.
    pub(super) fn new(shape: &D, tile: &D) -> Option<TileGrid<D>> {
        if shape.ndim() != tile.ndim() {
            return None;
        }
        let mut counts = shape.clone();
        for (count, tile) in counts.slice_mut().iter_mut().zip(tile.slice()) {
            *count = if *tile == 0 { return None } else { count.div_ceil(*tile) };
        }
        let len = counts.slice().iter().try_fold(1_usize, |len, count| len.checked_mul(*count))?;
        Some(TileGrid { shape: shape.clone(), tile: tile.clone(), counts, len })
    }

    /// The grid that was sent beside a part of this shape.
    pub(super) fn from_wire(shape: &D, tile: &TileWire) -> Option<TileGrid<D>> {
        let mut own = D::zeros(shape.ndim());
        for (own, sent) in own.slice_mut().iter_mut().zip(tile) {
            *own = usize::try_from(*sent).ok()?;
        }
        TileGrid::new(shape, &own)
    }

    /// Reports the tiles to the driver.
    pub(super) fn describe(
        shape: &D,
        tile: &D,
        what: &'static str,
        to: &mut Description<'_>,
    ) -> Result<(), LaunchError> {
        let Some(grid) = TileGrid::new(shape, tile) else {
            let why = format!("tiles of {:?} do not cover an array of {:?}", tile.slice(), shape.slice());
            return Err(LaunchError::BadGrant { what, why });
        };
        to.tiles(grid.counts.slice(), grid.len, what)
    }

    /// Tile `index`, which is below `len`, in row-major order.
    pub(super) fn block(&self, index: usize) -> Block<D> {
        let (mut origin, mut shape, mut rest) = (self.shape.clone(), self.tile.clone(), index);
        for axis in (0..self.shape.ndim()).rev() {
            let [tile, count, whole] = [&self.tile, &self.counts, &self.shape].map(|of| of.slice()[axis]);
            let at = rest.checked_rem(count).unwrap_or(0);
            rest = rest.checked_div(count).unwrap_or(0);
            // No wrap: below the shape, since `at` is below the count.
            let first = at.wrapping_mul(tile);
            origin.slice_mut()[axis] = first;
            shape.slice_mut()[axis] = tile.min(whole.wrapping_sub(first));
        }
        Block { origin, shape }
    }
}

/// The shape of a tile as it is sent.
pub(super) type TileWire = [u64; MAX_AXES];

pub(super) fn tile_wire<D: Dimension>(tile: &D) -> TileWire {
    let mut wire = [1; MAX_AXES];
    for (to, from) in wire.iter_mut().zip(tile.slice()) {
        *to = *from as u64;
    }
    wire
}

pub(super) fn bad_tiles() -> Fault {
    fault(FaultKind::Corrupt, "an operand's tiles make no sense")
}

macro_rules! tiled {
    ($grant:ident, $name:literal, $writes:literal, $in_place:literal, $view:ident, $make:ident) => {
        // SAFETY: see the module.
        unsafe impl<T: Element, D: Shape> Operand for $grant<'_, T, D> {
            type Wire = (StridedWire, TileWire);
            type Local = (Strided<T, D>, TileGrid<D>);
            type View<'w> = $view<'w, T, D>;
            const LAYOUT: u64 = sized(Tag::$grant, size_of::<T>());

            fn describe(&self, to: &mut Description<'_>) -> Result<(), LaunchError> {
                let part = self.part.part();
                describe(&part, $name, $writes, to)?;
                TileGrid::describe(&part.view().raw_dim(), &self.tile, $name, to)?;
                if $in_place {
                    to.changes_in_place();
                }
                Ok(())
            }
            fn wire(&self) -> Self::Wire {
                (StridedWire::of(&self.part.part()), tile_wire(&self.tile))
            }
            unsafe fn open(wire: &Self::Wire, context: &mut LaunchContext<'_>) -> Result<Self::Local, Fault> {
                let part = Strided::<T, D>::open(&wire.0, context, $writes)?;
                let grid = TileGrid::from_wire(&part.dim, &wire.1).ok_or_else(bad_tiles)?;
                context.check_rows(grid.len)?;
                Ok((part, grid))
            }
            unsafe fn view<'w>(local: &Self::Local, chunk: &Chunk) -> Self::View<'w> {
                let block = local.1.block(chunk.index);
                let origin = block.origin.clone().into_pattern();
                // SAFETY: there are as many tiles as chunks at least (`check_rows`); each lies inside the
                // part, which is mapped for the launch, and for writing it is this call's alone.
                let view = unsafe { local.0.$make(block) };
                $view { origin, view }
            }
        }
    };
}
tiled!(Tiles, "a tiles() array", false, false, Tile, view);
tiled!(TilesMut, "a tiles_mut() array", true, true, TileMut, view_mut);
tiled!(TilesOut, "a tiles_out() array", true, false, TileMut, view_mut);
