//! MPI, loaded at run time.
#![deny(clippy::arithmetic_side_effects)]

mod abi;
mod call;
mod library;
mod table;

use super::error::ClusterError;
use super::launcher::Launcher;
use abi::{Mpich, OpenMpi, Standard};
pub(super) use call::{Direction, Message, Mpi, Posted, Unfinished};
use library::{Interface, Opened};
use table::Table;

/// Loads and initializes MPI. The second part names the library.
pub(super) fn start(launcher: &Launcher) -> Result<(Box<dyn Mpi>, String), ClusterError> {
    let library = Opened::find(launcher)?;
    let (mpi, interface): (Box<dyn Mpi>, _) = match library.interface() {
        Interface::Mpich => (Box::new(Table::<Mpich>::start(&library)?), "MPICH's"),
        Interface::OpenMpi => (Box::new(Table::<OpenMpi>::start(&library)?), "Open MPI's"),
        Interface::Standard => (Box::new(Table::<Standard>::start(&library)?), "the standard"),
    };
    Ok((mpi, format!("{}, {interface} ABI", library.name)))
}
