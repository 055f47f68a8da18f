//! Exact percentiles: which ranks NumPy interpolates between, and the search for the values of these ranks.
//!
//! A rank is first located in a bin of pass 1. What its bin holds is then either few enough to be gathered and sorted
//! (one more pass), or is divided into cells that know their extremes (one pass that narrows the search at least
//! `CELLS`-fold; a cell of one distinct value ends it at once, so data with few distinct values never needs a third).
//! Work is on keys, so every step narrows an integer interval and the search always ends.

use crate::number::{ABOVE, Number, Plan, keys_of_bins};
use crate::simd::widen;
use crate::summary::Moments;
use bytemuck::{Pod, Zeroable};

/// The percentiles reported.
pub const PERCENTS: [u32; 7] = [1, 5, 25, 50, 75, 95, 99];
/// Each percentile lies between two neighbouring ranks.
pub const MOST_INTERVALS: usize = 2 * PERCENTS.len();
/// Cells an interval is divided into.
pub const CELLS: usize = 512;
/// Values gathered and sorted at most: 8 MiB of keys.
pub const MOST_GATHERED: usize = 1 << 20;

/// Disjoint, ascending intervals of keys, ends included; fixed size, plain data.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable)]
pub struct Intervals {
    /// How many of the following are used.
    pub len: u64,
    /// First keys.
    pub low: [u64; MOST_INTERVALS],
    /// Last keys.
    pub high: [u64; MOST_INTERVALS],
}

impl Intervals {
    fn iter(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.low.iter().copied().zip(self.high).take(self.len as usize)
    }
}

/// How many values fell into a cell, and between which keys they lie. All-zero is not empty.
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

    /// Two cells' values together.
    pub fn combine(a: Self, b: Self) -> Self {
        Self { count: a.count + b.count, min: a.min.min(b.min), max: a.max.max(b.max) }
    }
}

/// Position of a percentile among `n` sorted values: rank of the lower neighbour, of the upper one, and the weight
/// between them, exactly as `numpy.percentile` computes them. `n` is at least 1.
pub fn position(percent: u32, n: u64) -> (u64, u64, f64) {
    let at = (n - 1) as f64 * (f64::from(percent) / 100.0);
    let lower = at.floor() as u64;
    if lower >= n - 1 { (n - 1, n - 1, 0.0) } else { (lower, lower + 1, at - at.floor()) }
}

/// NumPy's linear interpolation: from the nearer end, with the gap taken in the element type.
pub fn interpolate(a: f64, b: f64, gap: f64, weight: f64) -> f64 {
    if weight >= 0.5 { b - gap * (1.0 - weight) } else { a + gap * weight }
}

/// Elements that are looked at together before deciding that none is wanted.
const GROUP: usize = 64;

widen! {
    /// Divides each interval into `CELLS` cells and adds the values of a chunk to them; `cells` holds `CELLS` per interval.
    pub fn refine<T: Number>(chunk: &[T], wanted: &Intervals, cells: &mut [Cell]) = refine_body
}
widen! {
    /// Appends the keys of the wanted values of a chunk. The caller knows from earlier counts how many there will be.
    pub fn gather<T: Number>(chunk: &[T], wanted: &Intervals, keys: &mut Vec<u64>) = gather_body
}

#[inline(always)]
fn refine_body<T: Number>(chunk: &[T], wanted: &Intervals, cells: &mut [Cell]) {
    let shifts: Vec<u32> = wanted.iter().map(|(low, high)| cell_shift(low, high)).collect();
    visit(chunk, wanted, |interval, key| {
        let cell = interval * CELLS + ((key - wanted.low[interval]) >> shifts[interval]) as usize;
        cells[cell] = Cell::combine(cells[cell], Cell { count: 1, min: key, max: key });
    });
}

#[inline(always)]
fn gather_body<T: Number>(chunk: &[T], wanted: &Intervals, keys: &mut Vec<u64>) {
    visit(chunk, wanted, |_, key| keys.push(key));
}

fn cell_shift(low: u64, high: u64) -> u32 {
    (0..64).find(|&shift| (high - low) >> shift < CELLS as u64).unwrap_or(63)
}

/// Calls `found` with interval and key of each wanted value. Nearly all groups hold none, and to see that is all that
/// vectors are used for; comparing values instead of keys may let a zero of the other sign through, hence the check.
#[inline(always)]
fn visit<T: Number>(chunk: &[T], wanted: &Intervals, mut found: impl FnMut(usize, u64)) {
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
    for &x in rest.iter().filter(|x| !x.is_nan()) {
        look(x);
    }
}

#[inline(always)]
fn any_within<T: Number>(group: &[T; GROUP], ends: &[(T, T)]) -> bool {
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
fn which_within<T: Number>(group: &[T; GROUP], ends: &[(T, T)]) -> [u8; GROUP] {
    let mut hits = [0; GROUP];
    for &(low, high) in ends {
        for (hit, &x) in hits.iter_mut().zip(group) {
            *hit |= u8::from((x >= low) & (x <= high));
        }
    }
    hits
}

/// What is known of one rank: its value lies in `low ..= high`, which `count` values share, `before` lie below.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Search {
    rank: u64,
    low: u64,
    high: u64,
    before: u64,
    count: u64,
}

/// The ranks wanted, and how far each has been narrowed down.
#[derive(Debug)]
pub struct Ranks {
    searches: Vec<Search>,
}

/// What the next pass over the data has to do.
#[derive(Debug)]
pub enum Next {
    /// All ranks are known.
    Done,
    /// `gather` these intervals: so many values.
    Gather(Intervals, usize),
    /// `refine` these intervals.
    Refine(Intervals),
}

impl Ranks {
    /// Locates every rank that the percentiles need in the bins of pass 1.
    pub fn locate<T: Number>(plan: &Plan, table: &[u64], moments: &Moments) -> Self {
        let n: u64 = table[..=ABOVE].iter().sum();
        let mut wanted: Vec<u64> = Vec::new();
        if n > 0 {
            wanted = PERCENTS.iter().flat_map(|&p| [position(p, n).0, position(p, n).1]).collect();
            wanted.sort_unstable();
            wanted.dedup();
        }
        // An extreme may be the zero of one sign while the other is there too: both ends of zero count.
        let (min, max) =
            if T::from_key(moments.min).to_f64() == 0.0 || T::from_key(moments.max).to_f64() == 0.0 {
                (moments.min.saturating_sub(1), moments.max.saturating_add(1))
            } else {
                (moments.min, moments.max)
            };
        let (mut bin, mut before) = (0, 0);
        let searches = wanted.into_iter().filter_map(|rank| {
            while before + table[bin] <= rank {
                before += table[bin];
                bin += 1;
            }
            let (low, high) = keys_of_bins::<T>(plan, bin, bin)?;
            Some(Search { rank, low: low.max(min), high: high.min(max), before, count: table[bin] })
        });
        Self { searches: searches.collect() }
    }

    fn open(&self) -> Vec<Search> {
        let mut open: Vec<Search> = self.searches.iter().copied().filter(|s| s.low < s.high).collect();
        open.dedup_by_key(|s| s.low);
        open
    }

    /// What to do next.
    pub fn next(&self) -> Next {
        let open = self.open();
        if open.is_empty() {
            return Next::Done;
        }
        let mut wanted = Intervals { len: open.len() as u64, ..Intervals::zeroed() };
        for (i, search) in open.iter().enumerate() {
            (wanted.low[i], wanted.high[i]) = (search.low, search.high);
        }
        let total = open.iter().map(|s| s.count).sum::<u64>();
        if total <= MOST_GATHERED as u64 {
            Next::Gather(wanted, total as usize)
        } else {
            Next::Refine(wanted)
        }
    }

    /// Takes the keys gathered in any order.
    pub fn gathered(&mut self, mut keys: Vec<u64>) {
        keys.sort_unstable();
        for search in self.searches.iter_mut().filter(|s| s.low < s.high) {
            let first = keys.partition_point(|&key| key < search.low);
            let key = keys[first + (search.rank - search.before) as usize];
            (search.low, search.high) = (key, key);
        }
    }

    /// Takes the cells of the intervals last asked for.
    pub fn refined(&mut self, wanted: &Intervals, cells: &[Cell]) {
        for search in self.searches.iter_mut().filter(|s| s.low < s.high) {
            let Some(interval) = wanted.iter().position(|(low, _)| low == search.low) else { continue };
            let mut before = search.before;
            for cell in &cells[interval * CELLS..(interval + 1) * CELLS] {
                if before + cell.count > search.rank {
                    *search = Search {
                        rank: search.rank,
                        low: cell.min,
                        high: cell.max,
                        before,
                        count: cell.count,
                    };
                    break;
                }
                before += cell.count;
            }
        }
    }

    /// The percentiles of `n` values, NaN for none.
    pub fn percentiles<T: Number>(&self, n: u64) -> [f64; PERCENTS.len()] {
        PERCENTS.map(|percent| {
            if n == 0 {
                return f64::NAN;
            }
            let (lower, upper, weight) = position(percent, n);
            let value = |rank| {
                let at = self.searches.partition_point(|s| s.rank < rank);
                T::from_key(self.searches[at].low)
            };
            let (a, b): (T, T) = (value(lower), value(upper));
            interpolate(a.to_f64(), b.to_f64(), T::gap(a, b), weight)
        })
    }
}
