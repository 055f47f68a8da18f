//! What a run cost, in the lines that every program ends with.

use phalanx::Pool;
use std::fmt::{self, Display};

/// What a run cost. Its [`Display`] is the closing block: cores, time and rate, speed-up, memory.
#[derive(Clone, Debug)]
pub struct Closing {
    cores: String,
    seconds: f64,
    done: f64,
    unit: &'static str,
    speedup: Option<(f64, &'static str)>,
    memory: Option<(f64, &'static str)>,
}

impl Closing {
    /// What the workers of `pool` took to do `done` of `unit`, such as 1e9 of "rows".
    pub fn new(pool: &Pool, seconds: f64, done: f64, unit: &'static str) -> Self {
        Self { cores: pool.reason().to_owned(), seconds, done, unit, speedup: None, memory: None }
    }

    /// With the seconds that the same work took `whom`: "one worker", or "a serial pass".
    pub fn beside(self, whom: &'static str, seconds: f64) -> Self {
        Self { speedup: Some((seconds, whom)), ..self }
    }

    /// With the memory of all processes now (their proportional set size) over `data_bytes`.
    pub fn memory(self, pool: &Pool, data_bytes: u64) -> Self {
        self.memory_beside(pool, data_bytes, "the data")
    }

    /// With the memory of all processes now over that of something else, such as "the paths, if they were
    /// kept".
    pub fn memory_beside(self, pool: &Pool, bytes: u64, what: &'static str) -> Self {
        Self { memory: Some((pool.memory().pss as f64 / bytes.max(1) as f64, what)), ..self }
    }
}

impl Display for Closing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "cores       {}", self.cores)?;
        let rate = self.done / self.seconds.max(1e-9);
        writeln!(f, "time        {:.3} s, {} {}/s", self.seconds, engineering(rate), self.unit)?;
        if let Some((seconds, whom)) = self.speedup {
            writeln!(f, "speed-up    {:.2} over {whom} ({seconds:.3} s)", seconds / self.seconds.max(1e-9))?;
        }
        match self.memory {
            Some((ratio, what)) => writeln!(f, "memory      {ratio:.3} x {what} (PSS of all processes)"),
            None => Ok(()),
        }
    }
}

/// Three digits and a power of a thousand: `12.3 M`.
fn engineering(value: f64) -> String {
    let power = (value.max(1.0).log10() / 3.0).floor().min(4.0);
    let scaled = value / 1000f64.powf(power);
    let digits = if scaled < 10.0 { 2 } else { usize::from(scaled < 100.0) };
    let letter = ["", "k ", "M ", "G ", "T "][power as usize].trim_end();
    format!("{scaled:.digits$} {letter}").trim_end().to_owned()
}

/// Bytes in binary units.
pub fn bytes(bytes: u64) -> String {
    let units = ["bytes", "KiB", "MiB", "GiB", "TiB"];
    let power = (bytes.max(1).ilog2() / 10).min(4) as usize;
    match power {
        0 => format!("{bytes} bytes"),
        _ => format!("{:.2} {}", bytes as f64 / (1u64 << (10 * power)) as f64, units[power]),
    }
}

/// A whole number with a comma after every three digits.
pub fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{bytes, engineering, grouped};

    #[test]
    fn numbers_are_short_and_whole() {
        assert_eq!(
            [1.0, 999.4, 12_345.0, 2.5e6, 1e12, 5e15].map(engineering).join(";"),
            "1.00;999;12.3 k;2.50 M;1.00 T;5000 T"
        );
        assert_eq!([0, 999, 1000, 1_234_567].map(grouped).join(" "), "0 999 1,000 1,234,567");
        assert_eq!([0, 1023, 1024, 5 << 30].map(bytes).join(" "), "0 bytes 1023 bytes 1.00 KiB 5.00 GiB");
    }
}
