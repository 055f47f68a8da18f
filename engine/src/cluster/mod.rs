//! The same program on many machines: one driver with its own pool on each, joined by MPI.
//!
//! [`run`] makes every process that `mpirun` or `srun` starts a **driver** of one [`Cluster`]. Each driver has
//! its share of its machine's cores ([`Cluster::pool`]) and its own arrays; drivers talk to each other through
//! the methods of `Cluster`, which all of them call together. Without a launcher the same program is a cluster
//! of one, which loads no MPI.
//!
//! A [`ClusterArray`] is dealt out to all drivers by rows, with ghost rows that [`Cluster::exchange`] fills, in launches
//! and in regions ([`Cluster::region`]), and is read and written as one file.
//!
//! MPI is loaded at run time, as libhwloc is: building needs none, and one binary runs with MPICH and its kin,
//! with Open MPI, and with libraries of the MPI-5 standard ABI.
//!
//! ```
//! use phalanx::cluster;
//!
//! fn main() -> Result<(), phalanx::Error> {
//!     cluster::run(|cluster| {
//!         let pool = cluster.pool()?;
//!         // Every driver adds up its part of the numbers.
//!         let part = cluster.part(1_000_000);
//!         let sum = pool.reduce(part, 0, |span| span.sum::<usize>(), |a, b| a + b)?;
//!         let total = cluster.all_reduce(&sum, |a, b| a + b)?;
//!         assert_eq!(total, 499_999_500_000);
//!         Ok(())
//!     })
//! }
//! ```
//!
//! | start | with |
//! |---|---|
//! | one driver a machine | `mpirun -N 1 --bind-to none ./program` (Open MPI), `mpiexec -ppn 1 ./program` (MPICH), `srun -N 8 --ntasks-per-node=1 --cpus-per-task=64 ./program` |
//! | one driver a NUMA node | `mpirun --map-by ppr:1:numa:pe=16 ./program` |

mod array;
mod batch;
mod courier;
mod draft;
mod error;
mod exchange;
mod flight;
mod frames;
mod launcher;
mod lead;
mod link;
mod meeting;
mod member;
mod mpi;
mod npy;
mod parcel;
mod pool;
mod reduce;
mod region;
mod rows;
mod run;
mod scan;
mod serve;
mod share;
mod together;
mod tree;
mod vigil;

pub use array::ClusterArray;
pub use batch::array_part;
pub use error::ClusterError;
pub use exchange::Exchange;
pub use flight::InFlight;
pub use lead::lead;
pub use member::Cluster;
pub use pool::ClusterPool;
pub use region::{ClusterTeam, RegionArray, RegionExchange};
pub use run::run;
