//! Floor 1: the only system calls. Thin wrappers over rustix (libc where rustix lacks the call); no policy here.

pub(crate) mod futex;
pub(crate) mod memory;
