//! Values as a journal keeps them.

use super::error::JournalError;
use crate::base::notation;
use crate::handle::travel;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::time::Duration;

/// How often a journal is brought to the disk, if nobody says otherwise.
pub(super) const SYNC_EVERY: Duration = Duration::from_secs(1);

/// A value as it is kept. Handles mean nothing to a later program, so they are refused.
pub(super) fn write_down<T: Serialize>(
    what: impl FnOnce() -> String,
    value: &T,
) -> Result<Vec<u8>, JournalError> {
    let (written, handle) = travel::without_handles(|| notation::to_vec(value));
    match (written, handle) {
        (_, Some(handle)) => Err(format!("a {handle} is in it, which a later program would not find")),
        (Err(error), None) => Err(error.to_string()),
        (Ok(bytes), None) => Ok(bytes),
    }
    .map_err(|why| JournalError::Value { what: what(), why })
}

/// Reads what was written down.
pub(super) fn read_back<T: DeserializeOwned>(
    what: impl FnOnce() -> String,
    bytes: &[u8],
) -> Result<T, JournalError> {
    notation::read(bytes).map_err(|error| JournalError::Value { what: what(), why: error.to_string() })
}
