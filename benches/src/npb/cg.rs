//! CG: not written yet.

use super::{Benchmark, Class, Measured, Team};
use crate::harness::Outcome;

/// CG.
pub struct Cg;

impl Benchmark for Cg {
    fn name(&self) -> &'static str {
        "cg"
    }

    fn size(&self, _class: Class) -> String {
        String::new()
    }

    fn run(&self, _class: Class, _team: &Team<'_>) -> Outcome<Measured> {
        Err("not written yet".into())
    }
}
