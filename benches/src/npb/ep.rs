//! EP: not written yet.

use super::{Benchmark, Class, Measured, Team};
use crate::harness::Outcome;

/// EP.
pub struct Ep;

impl Benchmark for Ep {
    fn name(&self) -> &'static str {
        "ep"
    }

    fn size(&self, _class: Class) -> String {
        String::new()
    }

    fn run(&self, _class: Class, _team: &Team<'_>) -> Outcome<Measured> {
        Err("not written yet".into())
    }
}
