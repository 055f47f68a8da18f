//! The machine that a plan is made for: this one, or one that is not at hand.

use crate::harness::Outcome;
use clap::Args;
use phalanx::topology::{Limits, Machine};
use std::path::PathBuf;

/// Options that describe another machine than this one.
#[derive(Debug, Default, Args)]
pub struct Described {
    /// Describe another machine: a file of hwloc's XML (lstopo --of xml), or the root of a recorded /sys
    #[arg(long, value_name = "PATH", conflicts_with = "synthetic")]
    from: Option<PathBuf>,

    /// Describe a machine in words, as "package:2 numa:1 l3:2 core:4 pu:2"
    #[arg(long, value_name = "TEXT")]
    synthetic: Option<String>,
}

impl Described {
    /// Whether it is another machine.
    pub fn is_elsewhere(&self) -> bool {
        self.from.is_some() || self.synthetic.is_some()
    }

    /// The machine, and what of it a process may use: of one that is not at hand, all of it.
    pub fn machine(&self) -> Outcome<(Machine, Limits)> {
        let machine = match (&self.from, &self.synthetic) {
            (Some(path), _) if path.is_dir() => Machine::from_sysfs(path)?,
            (Some(path), _) => Machine::from_xml_file(path)?,
            (None, Some(text)) => Machine::from_synthetic(text)?,
            (None, None) => return Ok((Machine::detect()?, Limits::detect())),
        };
        let limits = Limits::of(machine.cpuset().clone());
        Ok((machine, limits))
    }
}
