//! MG: not written yet.

use super::{Benchmark, Class, Measured, Team};
use crate::harness::Outcome;

/// MG.
pub struct Mg;

impl Benchmark for Mg {
    fn name(&self) -> &'static str {
        "mg"
    }

    fn size(&self, _class: Class) -> String {
        String::new()
    }

    fn run(&self, _class: Class, _team: &Team<'_>) -> Outcome<Measured> {
        Err("not written yet".into())
    }
}
