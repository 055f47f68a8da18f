//! Lines of JSON: what every bench prints, with the parameters and the machine.

use super::bootstrap::Interval;
use crate::report::{Record, cpu_model};
use phalanx::topology::Limits;
use serde::Serialize;
use serde_json::Value;

/// A record with its parameters.
#[derive(Debug, Serialize)]
pub struct Line {
    /// Bench, variant, workers and figures.
    #[serde(flatten)]
    pub record: Record,
    /// What was set, for example sizes.
    pub parameters: Value,
    /// The 95 % interval of the median.
    pub interval: [f64; 2],
    /// The machine.
    pub machine: String,
}

impl Line {
    /// Of samples in seconds.
    pub fn of(record: Record, parameters: Value, median: Interval) -> Line {
        Line { record, parameters, interval: [median.low, median.high], machine: machine() }
    }
}

/// The processor and how many CPUs of it this program may use.
pub fn machine() -> String {
    format!("{}, {} CPUs", cpu_model(), Limits::detect().allowed.len())
}

/// A number as JSON has it: `null` for infinite ones and for none.
pub fn number(value: f64) -> Value {
    if value.is_finite() { Value::from(value) } else { Value::Null }
}

/// Seconds for people.
pub fn seconds(value: f64) -> String {
    match value {
        _ if !value.is_finite() => "-".into(),
        _ if value < 1e-3 => format!("{:.1} us", value * 1e6),
        _ if value < 1.0 => format!("{:.2} ms", value * 1e3),
        _ => format!("{value:.3} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_what_every_record_has_and_more() {
        let record = Record::of("pool-size", "triad", 2, vec![0.5, 0.25], "s");
        let median = Interval { value: 0.375, low: 0.25, high: 0.5 };
        let line = serde_json::to_string(&Line::of(record, serde_json::json!({"size": 2}), median)).unwrap();
        let parsed: Value = serde_json::from_str(&line).unwrap();
        for field in ["bench", "variant", "workers", "n", "median", "p5", "p95", "unit", "machine"] {
            assert!(parsed.get(field).is_some(), "{field}");
        }
        assert_eq!(parsed["parameters"]["size"], 2);
        assert_eq!(parsed["interval"], serde_json::json!([0.25, 0.5]));
        assert!(!line.contains('\n'));
    }

    #[test]
    fn numbers_are_written_for_their_reader() {
        assert_eq!(number(f64::INFINITY), Value::Null);
        assert_eq!(
            [3.2e-6, 0.0125, 2.0, f64::NAN].map(seconds),
            ["3.2 us", "12.50 ms", "2.000 s", "-"].map(str::to_owned)
        );
    }
}
