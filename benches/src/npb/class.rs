//! Problem classes.

use clap::ValueEnum;

/// How large a problem is; sizes grow by 4 to 16 from one to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
#[value(rename_all = "UPPER")]
pub enum Class {
    /// Sample: a fraction of a second.
    S,
    /// Workstation.
    W,
    /// Small.
    A,
    /// Medium.
    B,
    /// Large.
    C,
    /// Sixteen times as large.
    D,
}

impl Class {
    /// The letter.
    pub fn letter(self) -> &'static str {
        match self {
            Class::S => "S",
            Class::W => "W",
            Class::A => "A",
            Class::B => "B",
            Class::C => "C",
            Class::D => "D",
        }
    }
}
