//! The other runtimes.

pub mod forkunion;
pub mod pin;
pub mod rayon;
pub mod robust;
pub mod spin;

use clap::ValueEnum;

/// Runtimes to compare with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Peer {
    /// Work-stealing threads; the caller waits.
    Rayon,
    /// Fork-join threads; the caller takes part.
    #[value(name = "forkunion")]
    ForkUnion,
    /// Nothing but Phalanx.
    None,
}
