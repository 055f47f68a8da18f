//! Floor 4: the team of workers.

pub(crate) mod start;
pub(crate) mod text;
pub(crate) mod worker;
