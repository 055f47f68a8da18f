//! FT: not written yet.

use super::{Benchmark, Class, Measured, Team};
use crate::harness::Outcome;

/// FT.
pub struct Ft;

impl Benchmark for Ft {
    fn name(&self) -> &'static str {
        "ft"
    }

    fn size(&self, _class: Class) -> String {
        String::new()
    }

    fn run(&self, _class: Class, _team: &Team<'_>) -> Outcome<Measured> {
        Err("not written yet".into())
    }
}
