//! What happened, counted.

use crate::trouble::{Kind, Trouble};
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
    pub errors: BTreeMap<Kind, u64>,
    pub wrong: u64,
    /// Pools that gave up.
    pub broken: u64,
    pub leaks: Vec<String>,
}

impl Tally {
    /// Counts an error that the call is there to provoke.
    pub fn expected(&mut self, kind: Kind) {
        *self.errors.entry(kind).or_default() += 1;
    }

    /// Counts an error. One that no kill explains is a wrong result.
    pub fn error(&mut self, call: &'static str, trouble: &Trouble) {
        self.expected(trouble.kind);
        match trouble.kind {
            Kind::Died => {}
            Kind::PoolBroken => {
                self.broken += 1;
                eprintln!("chaos: {call}: {}", trouble.text);
            }
            _ => self.wrong(call, &trouble.text),
        }
    }

    /// Counts a wrong result.
    pub fn wrong(&mut self, call: &'static str, what: &str) {
        self.wrong += 1;
        eprintln!("chaos: {call}: {what}");
    }

    pub fn is_clean(&self) -> bool {
        self.wrong == 0 && self.broken == 0 && self.leaks.is_empty()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tally { calls, pools, kills, stops, respawns, retried, wrong, broken, leaks, .. } = self;
        write!(
            f,
            "{calls} calls, {pools} pools, {kills} kills, {stops} stops, {respawns} respawns, {retried} retried"
        )?;
        write!(f, ", errors:")?;
        for (kind, count) in &self.errors {
            write!(f, " {} {count}", kind.name())?;
        }
        write!(f, ", wrong results {wrong}, pools broken {broken}, leaks {}", leaks.len())?;
        if leaks.is_empty() { Ok(()) } else { write!(f, " ({})", leaks.join(", ")) }
    }
}
