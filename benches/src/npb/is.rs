//! IS: not written yet.

use super::{Benchmark, Class, Measured, Team};
use crate::harness::Outcome;

/// IS.
pub struct Is;

impl Benchmark for Is {
    fn name(&self) -> &'static str {
        "is"
    }

    fn size(&self, _class: Class) -> String {
        String::new()
    }

    fn run(&self, _class: Class, _team: &Team<'_>) -> Outcome<Measured> {
        Err("not written yet".into())
    }
}
