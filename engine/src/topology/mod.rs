//! Topology: the layout of the machine, and the placement of workers on it.
//!
//! A [`Machine`] holds plain owned values. They are read through libhwloc if it is installed (it is loaded at
//! run time and not needed for building), from `/sys` otherwise, or from a recorded or synthetic description.
//! [`plan`] is a pure function: from a machine, [`Limits`] and a [`Request`] it computes a place per worker
//! and one sentence that explains their number. [`bind_thread`] binds the calling thread and reads the
//! binding back.
//!
//! # Examples
//! ```
//! use phalanx::topology::{Limits, Machine, Request, plan};
//! let machine = Machine::detect()?;
//! let plan = plan(&machine, &Limits::detect(), &Request::default())?;
//! println!("{machine}{}", plan.reason);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod bind;
mod cpuset;
mod detect;
mod draft;
mod error;
mod hwloc;
mod limits;
mod machine;
mod placement;
mod places;
mod reservation;
mod steal;
mod synthetic;
mod sysfs;
mod tree;
mod xml;

pub(crate) use bind::bind_to;
pub use bind::{Binding, MemoryPolicy, bind_memory, bind_thread, bound_cpuset, current_pu};
pub use cpuset::{CpuSet, CpuSetError, NodeSet};
pub use detect::TOPOLOGY_VARIABLE;
pub use error::TopologyError;
pub use limits::Limits;
pub use machine::{Cache, Core, Machine, NumaNode, Package, Pu, Source};
pub use placement::{MAX_WORKERS, Placement, PlacementError, Plan, Request, WorkerPlace, plan};
pub(crate) use reservation::Reservation;
