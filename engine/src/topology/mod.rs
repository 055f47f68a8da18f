//! Topology: what the machine looks like, and which worker goes where.
//!
//! A [`Machine`] is plain owned values, read through libhwloc where there is one (loaded at run time, nothing
//! to install before building), from `/sys` elsewhere, or from a recorded or synthetic description. [`plan`]
//! is a pure function from machine, [`Limits`] and [`Request`] to a place per worker and one sentence that
//! says why there are that many. [`bind_thread`] binds and reads the binding back.
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
