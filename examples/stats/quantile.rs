//! Exact percentiles: which ranks NumPy interpolates between, and the search for the values of these ranks.
//!
//! A rank is first located in a bin of pass 1. What its bin holds is then either few enough to be gathered
//! and sorted (one more pass), or is divided into cells that know their extremes (one pass that narrows the
//! search at least `CELLS`-fold; a cell of one distinct value ends it at once, so data with few distinct
//! values never needs a third). Work is on keys, so every step narrows an integer interval and the search
//! always ends.

use bytemuck::Zeroable;
use phalanx_kernels::profile::{
    ABOVE, CELLS, Cell, Intervals, Keyed, MOST_INTERVALS, Plan, Summary, keys_of_bins,
};

/// The percentiles reported.
pub const PERCENTS: [u32; 7] = [1, 5, 25, 50, 75, 95, 99];
/// Each percentile lies between two neighbouring ranks.
const _: () = assert!(2 * PERCENTS.len() <= MOST_INTERVALS);
/// Values gathered and sorted at most: 8 MiB of keys.
pub const MOST_GATHERED: usize = 1 << 20;

/// Position of a percentile among `n` sorted values: rank of the lower neighbour, of the upper one, and the
/// weight between them, exactly as `numpy.percentile` computes them. `n` is at least 1.
pub fn position(percent: u32, n: u64) -> (u64, u64, f64) {
    let at = (n - 1) as f64 * (f64::from(percent) / 100.0);
    let lower = at.floor() as u64;
    if lower >= n - 1 { (n - 1, n - 1, 0.0) } else { (lower, lower + 1, at - at.floor()) }
}

/// NumPy's linear interpolation: from the nearer end, with the gap taken in the element type.
pub fn interpolate(a: f64, b: f64, gap: f64, weight: f64) -> f64 {
    if gap.is_infinite() && a.is_finite() && b.is_finite() {
        // Too far apart for the type's difference, where NumPy overflows.
        return a * (1.0 - weight) + b * weight;
    }
    if weight >= 0.5 { b - gap * (1.0 - weight) } else { a + gap * weight }
}

/// What is known of one rank: its value is one of `count` in `low ..= high`, and `before` values lie below.
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
    /// `gather` these intervals, which hold that many values.
    Gather(Intervals, usize),
    /// `refine` these intervals.
    Refine(Intervals),
}

impl Ranks {
    /// Locates every rank that the percentiles need in the bins of pass 1.
    pub fn locate<T: Keyed>(plan: &Plan, table: &[u64], moments: &Summary) -> Self {
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

    /// Returns what to do next.
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
    pub fn percentiles<T: Keyed>(&self, n: u64) -> [f64; PERCENTS.len()] {
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
