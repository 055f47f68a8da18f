//! What happened, counted.

use phalanx::LaunchError;
use std::collections::BTreeMap;
use std::fmt;

#[derive(Debug, Default)]
pub struct Tally {
    pub calls: u64,
    pub pools: u64,
    pub kills: u64,
    pub stops: u64,
    pub respawns: u64,
    /// Calls that succeeded although workers died in them.
    pub retried: u64,
    pub errors: BTreeMap<&'static str, u64>,
    pub wrong: u64,
    pub leaks: Vec<String>,
}

impl Tally {
    /// Counts an error. Those that no kill explains are wrong results.
    pub fn error(&mut self, call: &'static str, error: &LaunchError, expected: bool) {
        let kind = match error {
            LaunchError::WorkerDied { .. } => "died",
            LaunchError::TimedOut { .. } => "timed out",
            LaunchError::Cancelled { .. } => "cancelled",
            LaunchError::Panicked { .. } => "panicked",
            LaunchError::PoolBroken { .. } => "pool broken",
            _ => "other",
        };
        *self.errors.entry(kind).or_default() += 1;
        if !expected && !matches!(kind, "died" | "pool broken") {
            self.wrong(call, &error.to_string());
        }
    }

    /// Counts a wrong result.
    pub fn wrong(&mut self, call: &'static str, what: &str) {
        self.wrong += 1;
        eprintln!("chaos: {call}: {what}");
    }

    pub fn is_clean(&self) -> bool {
        self.wrong == 0 && self.leaks.is_empty()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tally { calls, pools, kills, stops, respawns, retried, wrong, leaks, .. } = self;
        write!(
            f,
            "{calls} calls, {pools} pools, {kills} kills, {stops} stops, {respawns} respawns, {retried} retried"
        )?;
        write!(f, ", errors:")?;
        for (kind, count) in &self.errors {
            write!(f, " {kind} {count}")?;
        }
        write!(f, ", wrong results {wrong}, leaks {}", leaks.len())?;
        if leaks.is_empty() { Ok(()) } else { write!(f, " ({})", leaks.join(", ")) }
    }
}
