//! The histogram: fine bins joined into bars between round edges, and its drawing in 80 columns.
//!
//! Edges are borders of the fine bins next to round numbers, so the counts are exact for the edges reported
//! (the first edge is the minimum, the last the maximum, as `numpy.histogram(x, edges)` counts). Where a few
//! values lie far out, they share a tail bar, and infinities do too: neither can flatten the rest.

use crate::analysis::Value;
use common::grouped;
use std::fmt::Write as _;

/// Bars aimed at between the tails.
const BARS: f64 = 16.0;
/// Columns of a drawn histogram.
const WIDTH: usize = 80;

/// A fine bin: where it starts and how many values it holds.
#[derive(Clone, Copy, Debug)]
pub struct Bar {
    /// Lowest value it can hold.
    pub start: Value,
    /// Values in it.
    pub count: u64,
}

/// Counts between edges: bar `i` holds `edges[i] <= x < edges[i + 1]`, the last one its end too.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Histogram {
    /// Ascending, one more than bars.
    pub edges: Vec<Value>,
    /// Values per bar.
    pub counts: Vec<u64>,
    /// Whether the first bar is a tail of far values.
    pub low_tail: bool,
    /// Whether the last bar is.
    pub high_tail: bool,
}

impl Histogram {
    /// Joins ascending fine bins of data between `min` and `max`, with the values below and above the bins.
    pub fn of_bars(fine: &[Bar], below: u64, above: Bar, min: Value, max: Value) -> Self {
        let mut this = Self { low_tail: below > 0 && !fine.is_empty(), ..Self::default() };
        this.high_tail = above.count > 0 && !fine.is_empty();
        let (Some(first), Some(last)) = (fine.first(), fine.last()) else {
            (this.edges, this.counts) = (vec![min, max], vec![below + above.count]);
            return this;
        };
        if this.low_tail {
            this.edges.push(min);
            this.counts.push(below);
        }
        let low = if this.low_tail { first.start } else { min };
        let step = round_step((last.start.to_f64() / BARS - low.to_f64() / BARS).abs());
        this.edges.push(low);
        this.counts.push(0);
        let mut mark = (low.to_f64() / step).floor();
        for (index, bin) in fine.iter().enumerate() {
            // A border within rounding of a round number stands for it.
            let here = (bin.start.to_f64() / step + 1e-3).floor();
            if here > mark && index > 0 {
                mark = here;
                this.edges.push(bin.start);
                this.counts.push(0);
            }
            if let Some(count) = this.counts.last_mut() {
                *count += bin.count;
            }
        }
        if this.high_tail {
            this.edges.push(above.start);
            this.counts.push(above.count);
        }
        this.edges.push(max);
        this
    }

    /// Returns the drawing: one line per bar, none longer than 80 columns.
    pub fn draw(&self) -> String {
        let most = self.counts.iter().copied().max().unwrap_or(0).max(1);
        let total = self.counts.iter().sum::<u64>().max(1);
        let inner = self.edges.get(1..self.edges.len().saturating_sub(1)).unwrap_or(&[]);
        let span =
            inner.last().map_or(0.0, |x| x.to_f64() / 2.0) - inner.first().map_or(0.0, |x| x.to_f64() / 2.0);
        let near_zero = |edge: Value| matches!(edge, Value::Real(x) if x.abs() < span * 1e-3);
        let labels = labels(&self.edges, near_zero);
        let width = labels.iter().map(String::len).max().unwrap_or(0);
        let digits = grouped(most).len();
        let room = WIDTH.saturating_sub(2 * width + digits + 19).max(1);
        let mut text = String::new();
        for (i, &count) in self.counts.iter().enumerate() {
            let tail = (i == 0 && self.low_tail) || (i + 1 == self.counts.len() && self.high_tail);
            let close = if i + 1 == self.counts.len() { ']' } else { ')' };
            let share = 100.0 * count as f64 / total as f64;
            let _ = writeln!(
                text,
                "  [{:>width$}, {:>width$}{close} {:room$} {:>digits$} {share:5.1}%{}",
                labels[i],
                labels[i + 1],
                bar(count as f64 / most as f64, room),
                grouped(count),
                if tail { " *" } else { "" },
            );
        }
        if self.low_tail || self.high_tail {
            text.push_str("  * a tail: all values beyond the neighbouring bar\n");
        }
        text
    }
}

/// The next of 1, 2, 5 times a power of ten.
fn round_step(raw: f64) -> f64 {
    if raw.is_nan() || raw < f64::MIN_POSITIVE || raw.is_infinite() {
        return 1.0;
    }
    let power = 10f64.powf(raw.log10().floor());
    [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|digit| digit * power)
        .find(|&step| step >= raw * 0.999)
        .unwrap_or(raw)
}

/// A bar of `share` of `room` columns, to an eighth of a column; not empty unless the share is.
fn bar(share: f64, room: usize) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let eighths = (share * room as f64 * 8.0).round().max(if share > 0.0 { 1.0 } else { 0.0 }) as usize;
    let eighths = eighths.min(8 * room);
    "█".repeat(eighths / 8) + EIGHTHS[eighths % 8]
}

/// The shortest labels that differ: first those of [`label`], then with more and more digits.
fn labels(edges: &[Value], near_zero: impl Fn(Value) -> bool) -> Vec<String> {
    let with = |text: &dyn Fn(Value) -> String| -> Vec<String> {
        edges.iter().map(|&edge| if near_zero(edge) { "0".to_owned() } else { text(edge) }).collect()
    };
    let told_apart = |labels: &[String]| {
        labels.windows(2).zip(edges.windows(2)).all(|(text, edge)| text[0] != text[1] || edge[0] == edge[1])
    };
    let short = with(&label);
    if told_apart(&short) {
        return short;
    }
    let plain = |decimals: usize| {
        with(&|edge| match edge {
            Value::Whole(x) => x.to_string(),
            Value::Real(x) => format!("{x:.decimals$}"),
        })
    };
    let scientific = |digits: usize| with(&|edge| format!("{:.digits$e}", edge.to_f64()));
    // At most as long as a time stamp with microseconds.
    let long = |labels: &[String]| labels.iter().any(|label| label.len() > 17);
    (0..=6)
        .map(plain)
        .filter(|labels| !long(labels))
        .chain((4..=16).map(scientific))
        .find(|labels| told_apart(labels))
        .unwrap_or(short)
}

/// An edge in at most 10 characters.
fn label(value: Value) -> String {
    let x = match value {
        Value::Whole(x) if x.unsigned_abs() < 1_000_000 => return x.to_string(),
        _ => value.to_f64(),
    };
    let size = x.abs();
    if x == 0.0 {
        return "0".to_owned();
    }
    if !x.is_finite() || (1e-4..1e6).contains(&size) {
        let decimals = (4 - size.log10().floor().clamp(-4.0, 4.0) as i32) as usize;
        let text = format!("{x:.decimals$}");
        return if text.contains('.') {
            let short = text.trim_end_matches('0').trim_end_matches('.');
            (if short == "-0" { "0" } else { short }).to_owned()
        } else {
            text
        };
    }
    format!("{x:.3e}")
}
