//! From passes to statistics: plans from a sample, asks for the passes, and computes NumPy's numbers from
//! them.

use crate::histogram::{Bar, Histogram};
use crate::quantile::{self, Next, PERCENTS, Ranks};
use crate::sweep::{Result, Sweep, Tally};
use phalanx_kernels::profile::{ABOVE, BELOW, BINS, Keyed, NAN, NOWHERE, Plan, Small, Summary, keys_of_bins};

/// A value of the data: integers exactly, whatever their width.
#[derive(Clone, Copy, Debug)]
pub enum Value {
    /// Of an integer type.
    Whole(i128),
    /// Of a floating-point type.
    Real(f64),
}

impl Value {
    /// As float64.
    pub fn to_f64(self) -> f64 {
        match self {
            Self::Whole(x) => x as f64,
            Self::Real(x) => x,
        }
    }
}

impl PartialEq for Value {
    /// Equal numbers; here NaN equals NaN.
    fn eq(&self, other: &Self) -> bool {
        match (*self, *other) {
            (Self::Whole(a), Self::Whole(b)) => a == b,
            (a, b) => a.to_f64() == b.to_f64() || (a.to_f64().is_nan() && b.to_f64().is_nan()),
        }
    }
}

/// The statistics of a dataset.
#[derive(Clone, Debug)]
pub struct Statistics {
    /// Elements, NaN included.
    pub count: u64,
    /// NaNs.
    pub nan: u64,
    /// `numpy.nanmean` in float64.
    pub mean: f64,
    /// `numpy.nanstd` with ddof 0 in float64.
    pub std: f64,
    /// Smallest value and its first position; `None` if there are only NaNs.
    pub min: Option<(Value, u64)>,
    /// Largest value and its first position.
    pub max: Option<(Value, u64)>,
    /// The percentiles of `PERCENTS`.
    pub percentiles: [f64; PERCENTS.len()],
    /// How the values are distributed.
    pub histogram: Histogram,
    /// Times the data was read.
    pub passes: u32,
}

/// Elements in the sample.
const SAMPLE: usize = 4096;
/// Neighbours sampled at one place, spread over a 4 KiB page: places cost page faults, neighbours little.
const PER_PLACE: usize = 4;

fn sample<T: Keyed>(data: &[T]) -> Vec<T> {
    let mut seen: Vec<T> = if data.len() <= 4 * SAMPLE {
        data.to_vec()
    } else {
        let (places, page) = (SAMPLE / PER_PLACE, 4096 / size_of::<T>());
        let pages = data.len() / page;
        // A fixed stride could fall in step with rows of the data, so the golden ratio spreads the places.
        let place = |i: usize| {
            let jitter = (i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
            (i * pages / places * page) + jitter as usize % (page / PER_PLACE)
        };
        (0..places).flat_map(|i| (0..PER_PLACE).map(move |k| data[place(i) + k * page / PER_PLACE])).collect()
    };
    seen.retain(|x| !x.is_unordered() && !x.is_infinite());
    seen.sort_unstable_by_key(|x| x.key());
    seen
}

/// A grid from the sample: over all of it, unless a few far outliers would make everything else one bin.
fn plan<T: Keyed>(data: &[T]) -> Plan {
    let seen = sample(data);
    let (Some(&first), Some(&last)) = (seen.first(), seen.last()) else {
        return Plan {
            centre: 0.0,
            low_key: T::from_key(T::LOWEST.key() / 2 + T::HIGHEST.key() / 2).key(),
            exponent: 0,
        };
    };
    let at = |permille: usize| seen[(seen.len() - 1) * permille / 1000];
    let (low, high) = (at(10).to_f64(), at(990).to_f64());
    let spread = if high > low { high - low } else { f64::INFINITY };
    let low = seen.iter().copied().find(|x| x.to_f64() >= low - spread).unwrap_or(first);
    let high = seen.iter().rev().copied().find(|x| x.to_f64() <= high + spread).unwrap_or(last);
    // What the sample did not see is mostly close to what it saw.
    let margin = if seen.len() < data.len() { high.to_f64() / 8.0 - low.to_f64() / 8.0 } else { 0.0 };
    let (low, high) = (T::nearest(low.to_f64() - margin), T::nearest(high.to_f64() + margin));
    let (low_key, exponent) = T::plan_grid(low, high);
    Plan { centre: at(500).to_f64(), low_key, exponent }
}

/// Statistics of 32 and 64 bit elements; `to_value` makes a value for people of an element.
pub fn analyse<T: Keyed>(sweep: &mut impl Sweep<T>, to_value: fn(T) -> Value) -> Result<Statistics> {
    let plan = plan(sweep.data());
    // Where sums are taken about, and in what units; the bins stay the plan's.
    let mut about = plan;
    let (mut moments, table) = sweep.summarise(&plan)?;
    let (nan, mut passes) = (table[NAN], 1);
    let n = moments.count - nan;
    let bounds = [T::from_key(moments.min).to_f64(), T::from_key(moments.max).to_f64()];
    let squares_fit = moments.sum.is_finite() && moments.square.is_finite();
    if n > 0 && !squares_fit && bounds.iter().all(|bound| bound.is_finite()) {
        // An outlier that the sample missed is too far out to be squared. Again, in units of the whole range.
        let range = bounds[1] / 2.0 - bounds[0] / 2.0;
        about.exponent = (range.log2() as i64).max(Plan::MOST_PLAIN + 1);
        (moments, passes) = (sweep.summarise(&about)?.0, 2);
    }
    let unit = about.unit();
    let shift = moments.sum / n as f64;
    if shift.is_finite() && shift * shift > 1e6 * (moments.square / n as f64 - shift * shift) && shift != 0.0
    {
        // The sample's centre was far off and digits were lost. Again, about the mean, which is near enough.
        about.centre += shift * unit;
        (moments, passes) = (sweep.summarise(&about)?.0, passes + 1);
    }
    let mut ranks = Ranks::locate::<T>(&plan, &table, &moments);
    loop {
        match ranks.next() {
            Next::Done => break,
            Next::Gather(wanted, expected) => ranks.gathered(sweep.gather(&wanted, expected)?),
            Next::Refine(wanted) => ranks.refined(&wanted, &sweep.refine(&wanted)?),
        }
        passes += 1;
    }
    let extreme = |key: u64, at: u64| (at != NOWHERE).then(|| (T::from_key(key), at));
    let (min, max) = (extreme(moments.min, moments.argmin), extreme(moments.max, moments.argmax));
    let (mean, std) = mean_and_std(&moments, n, &about, min.map(|x| x.0), max.map(|x| x.0));
    Ok(Statistics {
        count: moments.count,
        nan,
        mean,
        std,
        min: min.map(|(x, at)| (to_value(x), at)),
        max: max.map(|(x, at)| (to_value(x), at)),
        percentiles: ranks.percentiles::<T>(n),
        histogram: match (min, max) {
            (Some((min, _)), Some((max, _))) => bars(&plan, &table, min, max, to_value),
            _ => Histogram::default(),
        },
        passes,
    })
}

fn mean_and_std<T: Keyed>(m: &Summary, n: u64, plan: &Plan, min: Option<T>, max: Option<T>) -> (f64, f64) {
    let (Some(min), Some(max)) = (min, max) else { return (f64::NAN, f64::NAN) };
    if min.is_infinite() || max.is_infinite() {
        // The sum of the extremes is that of all values: infinite, or NaN for infinities of both signs.
        return (min.to_f64() + max.to_f64(), f64::NAN);
    }
    let shift = m.sum / n as f64;
    let variance = m.square / n as f64 - shift * shift;
    // By halves, since the way from the centre may be longer than the longest number.
    let mean = 2.0 * (plan.centre / 2.0 + shift / 2.0 * plan.unit());
    (mean, if variance.is_nan() { f64::INFINITY } else { variance.max(0.0).sqrt() * plan.unit() })
}

/// The bins as ascending bars; bins outside the grid stay what they are, the tails.
fn bars<T: Keyed>(plan: &Plan, table: &[u64], min: T, max: T, to_value: fn(T) -> Value) -> Histogram {
    let start = |bin: usize| keys_of_bins::<T>(plan, bin, ABOVE).map(|(key, _)| to_value(T::from_key(key)));
    let bar = |bin: usize| Some(Bar { start: start(bin)?, count: table[bin] });
    let above = bar(ABOVE).unwrap_or(Bar { start: to_value(max), count: table[ABOVE] });
    let used = |bin: &usize| table[*bin] > 0;
    let (Some(first), Some(last)) = ((1..=BINS).find(used), (1..=BINS).rev().find(used)) else {
        return Histogram::of_bars(&[], table[BELOW], above, to_value(min), to_value(max));
    };
    let (first, last) = without_thin_ends(table, first, last);
    let bars: Vec<Bar> = (first..=last).filter_map(bar).collect();
    let sum = |bins: std::ops::RangeInclusive<usize>| table[bins].iter().sum::<u64>();
    let above = Bar { count: sum(last + 1..=ABOVE), ..bar(last + 1).unwrap_or(above) };
    Histogram::of_bars(&bars, sum(BELOW..=first - 1), above, to_value(min), to_value(max))
}

/// Moves bins at the ends into the tails if a third of the width holds at most a thousandth of the values.
fn without_thin_ends(table: &[u64], first: usize, last: usize) -> (usize, usize) {
    let thin = table[..=ABOVE].iter().sum::<u64>() / 2000;
    let mut sums = [0; 2];
    let mut enough = |end: usize, bin: usize| {
        sums[end] += table[bin];
        sums[end] > thin
    };
    let ends = ((0..=ABOVE).find(|&bin| enough(0, bin)), (0..=ABOVE).rev().find(|&bin| enough(1, bin)));
    let (Some(low), Some(high)) = ends else { return (first, last) };
    let (low, high) = (low.clamp(first, last), high.clamp(first, last));
    let margin = high.saturating_sub(low) / 20;
    if high < low || 3 * (high - low + 2 * margin) > 2 * (last - first) {
        return (first, last);
    }
    (low.saturating_sub(margin).max(first), (high + margin).min(last))
}

/// Statistics of 8 and 16 bit elements.
pub fn analyse_small<T: Small>(sweep: &mut impl Tally<T>) -> Result<Statistics> {
    let (table, extremes) = sweep.tally()?;
    let count = table.iter().sum::<u64>();
    let values: Vec<(f64, u64)> =
        table.iter().enumerate().filter_map(|(code, &count)| Some((T::value(code)?, count))).collect();
    let n = values.iter().map(|(_, count)| count).sum::<u64>();
    let to_value = |x: f64| if T::WHOLE { Value::Whole(x as i128) } else { Value::Real(x) };
    let extreme =
        |code: u64, at: u64| T::value(code as usize).filter(|_| at != NOWHERE).map(|x| (to_value(x), at));
    let (min, max) = (extreme(extremes.min, extremes.argmin), extreme(extremes.max, extremes.argmax));
    let seen = || values.iter().filter(|(_, count)| *count > 0);
    let mean = seen().map(|&(x, count)| x * count as f64).sum::<f64>() / n as f64;
    let variance = seen().map(|&(x, count)| (x - mean) * (x - mean) * count as f64).sum::<f64>() / n as f64;
    let mut below: Vec<u64> = Vec::with_capacity(values.len());
    let mut sum = 0;
    for (_, count) in &values {
        sum += count;
        below.push(sum);
    }
    let value_at = |rank: u64| values[below.partition_point(|&ranks| ranks <= rank)].0;
    let percentile = |percent: u32| {
        if n == 0 {
            return f64::NAN;
        }
        let (lower, upper, weight) = quantile::position(percent, n);
        let (a, b) = (value_at(lower), value_at(upper));
        quantile::interpolate(a, b, T::gap(a, b), weight)
    };
    let finite = |edge: f64| values.iter().filter(|(x, _)| *x == edge).map(|(_, count)| count).sum::<u64>();
    let (low_tail, high_tail) = (finite(f64::NEG_INFINITY), finite(f64::INFINITY));
    let bars: Vec<Bar> =
        seen().filter(|(x, _)| x.is_finite()).map(|&(x, count)| Bar { start: to_value(x), count }).collect();
    Ok(Statistics {
        count,
        nan: count - n,
        mean,
        std: variance.sqrt(),
        min,
        max,
        percentiles: PERCENTS.map(percentile),
        histogram: match (min, max) {
            (Some((min, _)), Some((max, _))) => Histogram::of_bars(
                &bars,
                low_tail,
                Bar { start: Value::Real(f64::INFINITY), count: high_tail },
                min,
                max,
            ),
            _ => Histogram::default(),
        },
        passes: 1,
    })
}
