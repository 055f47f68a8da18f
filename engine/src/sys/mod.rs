//! The only system calls. Thin wrappers over rustix (libc where rustix lacks it); no policy here.

pub(crate) mod affinity;
pub(crate) mod cache;
pub(crate) mod clock;
pub(crate) mod ctrl_c;
pub(crate) mod descriptor;
pub(crate) mod file;
pub(crate) mod file_lock;
pub(crate) mod fork;
pub(crate) mod futex;
pub(crate) mod lineage;
pub(crate) mod memory;
pub(crate) mod object;
pub(crate) mod process;
pub(crate) mod socket;
pub(crate) mod stop_signal;
