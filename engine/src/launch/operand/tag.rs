//! What kinds of operands and entries there are, and the hash of operand types by which an entry knows that
//! an order's operands are its own.
#![deny(clippy::arithmetic_side_effects)]

/// One for each kind of operand and entry. The compiler numbers them, so no two are the same.
#[derive(Clone, Copy)]
pub(crate) enum Tag {
    // Operands of launches.
    Plain = 1,
    Val,
    Range,
    Nothing,
    Tuple,
    Split,
    SplitMut,
    SplitOut,
    Whole,
    SplitAxis,
    SplitAxisMut,
    Parts,
    PartsMut,
    SplitFlat,
    SplitFlatMut,
    SplitFlatOut,
    WholeFlat,
    SplitSlice,
    SplitSliceMut,
    SplitSliceOut,
    WholeSlice,
    Tiles,
    TilesMut,
    TilesOut,
    TilesHalo,
    HaloNd,
    Scatter,
    Atomics,
    Halo,
    GhostHalo,
    Accumulate,
    PerWorker,
    Captured,
    SharedValue,
    Handle,
    Snapshot,
    Unreserved,
    Answers,
    CancelToken,
    // Operands of regions.
    RegionMut,
    RegionRef,
    RegionMutSlice,
    RegionRefSlice,
    RegionPlain,
    RegionVal,
    RegionNothing,
    RegionState,
    RegionTuple,
    RegionArray,
    /// An operand of launches, as one of regions.
    OfRegion,
    // Entries.
    Reduce,
    Broadcast,
    Region,
    TryRegion,
    MapInto,
    Fill,
    ScanFold,
    ScanSpread,
    Fold,
    TryReduce,
    Search,
}

/// The hash of a kind alone.
pub(crate) const fn of(tag: Tag) -> u64 {
    mix(SEED, tag as u64)
}

/// The hash of a kind with a size, of its elements say.
pub(crate) const fn sized(tag: Tag, size: usize) -> u64 {
    mix(of(tag), size as u64)
}

/// Mixes a hash with a number; FNV-1a, good enough to tell types apart by accident's standards.
pub(crate) const fn mix(seed: u64, value: u64) -> u64 {
    let (mut hash, mut shift) = (seed, 0);
    while shift < 64 {
        hash = (hash ^ (value >> shift & 0xff)).wrapping_mul(0x0000_0100_0000_01b3);
        shift = u32::wrapping_add(shift, 8);
    }
    hash
}

const SEED: u64 = 0xcbf2_9ce4_8422_2325;
