//! Limits that the system keeps, for workers that may go wrong.

use rustix::process::{Resource, Rlimit, setrlimit};

/// Limits this process: the system refuses it memory beyond so many bytes, and writes no core dumps. What it
/// starts has the same limits.
///
/// # Errors
/// One line, if the system does not accept a limit.
pub fn limit_memory(bytes: u64) -> Result<(), String> {
    let limit = |resource, bytes| {
        let limit = Rlimit { current: Some(bytes), maximum: Some(bytes) };
        setrlimit(resource, limit).map_err(|error| format!("{resource:?} cannot be limited: {error}"))
    };
    limit(Resource::Data, bytes)?;
    limit(Resource::Core, 0)
}
