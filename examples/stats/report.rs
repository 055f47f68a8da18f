//! What is printed: text for people, or one JSON object.

use crate::analysis::{Statistics, Value};
use crate::quantile::PERCENTS;
use common::grouped;
use serde::Serialize;
use serde_json::{Map, Number, Value as Json};
use std::fmt::Write as _;

/// What the serial pass cost, and the team's under the same conditions.
#[derive(Clone, Copy, Debug)]
pub struct Check {
    /// Wall-clock time of all passes by one thread.
    pub serial_seconds: f64,
    /// Of all passes by the team.
    pub team_seconds: f64,
    /// Whether both found the file in memory.
    pub is_cached: bool,
}

/// Statistics and what they cost.
#[derive(Debug)]
pub struct Outcome {
    /// The numbers.
    pub statistics: Statistics,
    /// What was read, in words.
    pub source: String,
    /// Bytes of data.
    pub bytes: u64,
    /// Workers that took part.
    pub workers: usize,
    /// Which cores they had, and why that many.
    pub cores: String,
    /// Wall-clock time of all passes.
    pub seconds: f64,
    /// The same passes by one thread, where they were made.
    pub check: Option<Check>,
    /// Bytes sent to workers in all, so that they know where the data are.
    pub delivery_bytes: u64,
    /// PSS of all processes over the data.
    pub memory_ratio: f64,
}

#[derive(Serialize)]
struct Object {
    count: u64,
    nan: u64,
    mean: Json,
    std: Json,
    min: Json,
    argmin: Option<u64>,
    max: Json,
    argmax: Option<u64>,
    percentiles: Map<String, Json>,
    histogram: Bars,
    workers: usize,
    seconds: f64,
    bytes_per_second: f64,
    speedup: Option<f64>,
    delivery_bytes: u64,
    memory_ratio: f64,
}

#[derive(Serialize)]
struct Bars {
    edges: Vec<Json>,
    counts: Vec<u64>,
}

/// JSON has neither NaN nor infinities, and readers of it keep 64 bits of a whole number.
fn json(value: Value) -> Json {
    match value {
        Value::Whole(x) => {
            i64::try_from(x).map(Json::from).or(u64::try_from(x).map(Json::from)).unwrap_or(Json::Null)
        }
        Value::Real(x) if x.is_infinite() => Json::from(if x > 0.0 { "Infinity" } else { "-Infinity" }),
        Value::Real(x) => Number::from_f64(x).map_or(Json::Null, Json::Number),
    }
}

impl Outcome {
    /// Bytes of data per second; data that is read in several passes counts once.
    pub fn bytes_per_second(&self) -> f64 {
        self.bytes as f64 / self.seconds
    }

    /// Times faster than one thread.
    pub fn speedup(&self) -> Option<f64> {
        self.check.map(|check| check.serial_seconds / check.team_seconds)
    }

    /// One JSON object.
    ///
    /// # Errors
    /// Only if serialising fails, which no content can cause.
    pub fn to_json(&self) -> serde_json::Result<String> {
        let s = &self.statistics;
        serde_json::to_string(&Object {
            count: s.count,
            nan: s.nan,
            mean: json(Value::Real(s.mean)),
            std: json(Value::Real(s.std)),
            min: s.min.map_or(Json::Null, |(x, _)| json(x)),
            argmin: s.min.map(|(_, at)| at),
            max: s.max.map_or(Json::Null, |(x, _)| json(x)),
            argmax: s.max.map(|(_, at)| at),
            percentiles: PERCENTS
                .iter()
                .zip(s.percentiles)
                .map(|(p, x)| (p.to_string(), json(Value::Real(x))))
                .collect(),
            histogram: Bars {
                edges: s.histogram.edges.iter().map(|&edge| json(edge)).collect(),
                counts: s.histogram.counts.clone(),
            },
            workers: self.workers,
            seconds: self.seconds,
            bytes_per_second: self.bytes_per_second(),
            speedup: self.speedup(),
            delivery_bytes: self.delivery_bytes,
            memory_ratio: self.memory_ratio,
        })
    }

    /// The report for people.
    pub fn to_text(&self) -> String {
        let (s, mut text) = (&self.statistics, String::new());
        let mut line = |name: &str, value: String| {
            let _ = writeln!(text, "{name:<12}{value}");
        };
        let at = |extreme: Option<(Value, u64)>| match extreme {
            Some((x, at)) => format!("{} at position {}", number(x), grouped(at)),
            None => "NaN".to_owned(),
        };
        line("data", self.source.clone());
        line("count", grouped(s.count));
        line("NaN", format!("{} ({:.3}%)", grouped(s.nan), 100.0 * s.nan as f64 / s.count as f64));
        line("mean", number(Value::Real(s.mean)));
        line("std", number(Value::Real(s.std)));
        line("min", at(s.min));
        line("max", at(s.max));
        let percentiles = PERCENTS.iter().zip(s.percentiles);
        for (row, (percent, x)) in percentiles.enumerate() {
            line(
                if row == 0 { "percentiles" } else { "" },
                format!("{percent:>2}%  {}", number(Value::Real(x))),
            );
        }
        if !s.histogram.counts.is_empty() {
            let _ = write!(text, "\n{}", s.histogram.draw());
        }
        let _ = write!(text, "\n{}", self.costs());
        text
    }

    fn costs(&self) -> String {
        let mut text = String::new();
        let passes = self.statistics.passes;
        let _ = writeln!(text, "cores       {}", self.cores);
        let _ = writeln!(
            text,
            "time        {:.3} s, {:.2} GB/s ({} the data in {:.3} s a pass)",
            self.seconds,
            self.bytes_per_second() / 1e9,
            if passes == 1 { "one pass over".to_owned() } else { format!("{passes} passes over") },
            self.seconds / f64::from(passes),
        );
        let _ = match (self.check, self.speedup()) {
            (Some(check), Some(speedup)) => {
                let (serial, from) = (check.serial_seconds, if check.is_cached { "memory" } else { "disk" });
                writeln!(
                    text,
                    "speed-up    {speedup:.2} over a serial pass ({serial:.3} s; both read from {from})"
                )
                .and_then(|()| writeln!(text, "verified    the serial pass gave the same results"))
            }
            _ => writeln!(text, "speed-up    not measured (--no-verify)"),
        };
        let _ = writeln!(text, "sent        {} bytes to workers in all", self.delivery_bytes);
        let _ = writeln!(text, "memory      {:.3} x the data (PSS of all processes)", self.memory_ratio);
        text
    }
}

/// A number with all its digits.
fn number(value: Value) -> String {
    match value {
        Value::Whole(x) => x.to_string(),
        Value::Real(x) if x != 0.0 && x.is_finite() && !(1e-5..1e16).contains(&x.abs()) => format!("{x:e}"),
        Value::Real(x) => x.to_string(),
    }
}
