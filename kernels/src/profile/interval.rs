//! The passes that find values inside intervals of keys: they count them in cells, or collect them.
//!
//! A group of elements is compared with the borders by vectors; nearly all groups hold no wanted value, and
//! are done with then.
#![deny(clippy::arithmetic_side_effects)]

use super::grid::Keyed;
use crate::error::KernelError;
use crate::simd::vectorized;
use bytemuck::{Pod, Zeroable};

/// Most intervals of one pass.
pub const MOST_INTERVALS: usize = 14;
/// Number of cells that an interval is divided into.
pub const CELLS: usize = 512;
/// Disjoint, ascending intervals of keys, ends included. Plain data of fixed size.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable)]
pub struct Intervals {
    /// Number of intervals in use.
    pub len: u64,
    /// First keys.
    pub low: [u64; MOST_INTERVALS],
    /// Last keys.
    pub high: [u64; MOST_INTERVALS],
}

impl Intervals {
    /// Itself, or why not.
    pub(super) fn checked(&self) -> Result<Intervals, KernelError> {
        if self.len as usize > MOST_INTERVALS {
            return Err(KernelError::argument(
                "wanted",
                format!("{} intervals are more than {MOST_INTERVALS}", self.len),
            ));
        }
        let ordered = self.iter().all(|(low, high)| low <= high)
            && self.iter().zip(self.iter().skip(1)).all(|(a, b)| a.1 < b.0);
        if !ordered {
            return Err(KernelError::argument("wanted", "intervals must ascend, and must not overlap"));
        }
        Ok(*self)
    }

    /// Returns the first and last key of each interval.
    pub fn iter(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.low.iter().copied().zip(self.high).take(self.len as usize)
    }
}

/// How many values fell into a cell, and the range of their keys. An all-zero cell is not empty.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
pub struct Cell {
    /// Values seen.
    pub count: u64,
    /// Lowest key seen.
    pub min: u64,
    /// Highest key seen.
    pub max: u64,
}

impl Cell {
    /// No values: the identity of `combine`.
    pub const EMPTY: Self = Self { count: 0, min: u64::MAX, max: 0 };

    /// Returns the cell of both cells' values.
    pub fn combine(a: Self, b: Self) -> Self {
        Self { count: a.count.wrapping_add(b.count), min: a.min.min(b.min), max: a.max.max(b.max) }
    }
}

/// Elements that are looked at together before deciding that none is wanted.
const GROUP: usize = 64;

/// Divides each interval into [`CELLS`] cells and adds the values of a chunk to them; `cells` has `CELLS`
/// elements per interval. This is the body of [`refine`](super::refine).
///
/// # Panics
/// If there are more intervals than [`MOST_INTERVALS`], or too few cells for them.
pub fn refine_slice<T: Keyed>(chunk: &[T], wanted: &Intervals, cells: &mut [Cell]) {
    vectorized(
        #[inline(always)]
        || refine_body(chunk, wanted, cells),
    );
}

/// Appends the keys of those values of a chunk that lie inside the intervals. This is the body of
/// [`gather`](super::gather).
///
/// # Panics
/// If there are more intervals than [`MOST_INTERVALS`].
pub fn gather_slice<T: Keyed>(chunk: &[T], wanted: &Intervals, keys: &mut Vec<u64>) {
    vectorized(
        #[inline(always)]
        || gather_body(chunk, wanted, keys),
    );
}

#[inline(always)]
#[expect(
    clippy::arithmetic_side_effects,
    reason = "keys found lie in their interval, of which there are 14 at most"
)]
fn refine_body<T: Keyed>(chunk: &[T], wanted: &Intervals, cells: &mut [Cell]) {
    let shifts: Vec<u32> = wanted.iter().map(|(low, high)| cell_shift(low, high)).collect();
    visit(chunk, wanted, |interval, key| {
        let cell = interval * CELLS + ((key - wanted.low[interval]) >> shifts[interval]) as usize;
        cells[cell] = Cell::combine(cells[cell], Cell { count: 1, min: key, max: key });
    });
}

#[inline(always)]
fn gather_body<T: Keyed>(chunk: &[T], wanted: &Intervals, keys: &mut Vec<u64>) {
    visit(chunk, wanted, |_, key| keys.push(key));
}

fn cell_shift(low: u64, high: u64) -> u32 {
    (0..64).find(|&shift| high.saturating_sub(low) >> shift < CELLS as u64).unwrap_or(63)
}

/// Calls `found` with interval and key of each wanted value. Nearly all groups hold none, and to see that is
/// all that vectors are used for; comparing values instead of keys may let a zero of the other sign through,
/// hence the check.
#[inline(always)]
#[expect(clippy::arithmetic_side_effects, reason = "hits are not 0")]
fn visit<T: Keyed>(chunk: &[T], wanted: &Intervals, mut found: impl FnMut(usize, u64)) {
    let mut ends = [(T::HIGHEST, T::LOWEST); MOST_INTERVALS];
    for (end, (low, high)) in ends.iter_mut().zip(wanted.iter()) {
        *end = (T::from_key(low), T::from_key(high));
    }
    let ends = &ends[..wanted.len as usize];
    let mut look = |x: T| {
        let key = x.key();
        if let Some(interval) = wanted.iter().position(|(low, high)| (low..=high).contains(&key)) {
            found(interval, key);
        }
    };
    let (groups, rest) = chunk.as_chunks::<GROUP>();
    for group in groups {
        if any_within(group, ends) {
            let hits = which_within(group, ends);
            for (hits, part) in hits.as_chunks::<8>().0.iter().zip(group.as_chunks::<8>().0) {
                let mut hits = u64::from_le_bytes(*hits);
                while hits != 0 {
                    look(part[hits.trailing_zeros() as usize / 8]);
                    hits &= hits - 1;
                }
            }
        }
    }
    for &x in rest.iter().filter(|x| !x.is_unordered()) {
        look(x);
    }
}

#[inline(always)]
fn any_within<T: Keyed>(group: &[T; GROUP], ends: &[(T, T)]) -> bool {
    let mut any = false;
    for &(low, high) in ends {
        let mut hit = false;
        for &x in group {
            hit |= (x >= low) & (x <= high);
        }
        any |= hit;
    }
    any
}

/// One in the byte of each element that lies within an interval.
#[inline(always)]
fn which_within<T: Keyed>(group: &[T; GROUP], ends: &[(T, T)]) -> [u8; GROUP] {
    let mut hits = [0; GROUP];
    for &(low, high) in ends {
        for (hit, &x) in hits.iter_mut().zip(group) {
            *hit |= u8::from((x >= low) & (x <= high));
        }
    }
    hits
}
