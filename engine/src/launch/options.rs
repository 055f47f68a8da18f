//! The options of a launch.

use crate::launch::cancel::CancelToken;
use crate::launch::error::LaunchError;
use crate::launch::schedule::Schedule;
use std::time::Duration;

/// The progress of a launch, as passed to a progress callback.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// Units (elements, rows, parts) done, counted in whole chunks.
    pub done: usize,
    /// Units in total.
    pub len: usize,
}

/// The options of one launch.
#[derive(Clone, Copy)]
pub(crate) struct Options<'a> {
    pub(crate) schedule: Schedule,
    pub(crate) chunk: Option<usize>,
    /// Units of a leaf, if they are not for the launch to choose: each leaf is one chunk.
    pub(crate) leaf_len: Option<usize>,
    pub(crate) retries: u32,
    pub(crate) retry_in_place: bool,
    pub(crate) timeout: Option<Duration>,
    pub(crate) grace: Duration,
    pub(crate) cancel: Option<&'a CancelToken>,
    pub(crate) progress: Option<&'a dyn Fn(Progress)>,
}

impl Options<'_> {
    /// Refuses options that make no sense if every rank has its own part.
    pub(crate) fn check_rank_bound(&self) -> Result<(), LaunchError> {
        if self.retries > 0 {
            let why =
                "in a broadcast or region every rank has its own part, which no other can run again".into();
            return Err(LaunchError::BadGrant { what: "retry()", why });
        }
        Ok(())
    }
}

impl Default for Options<'_> {
    fn default() -> Self {
        Options {
            schedule: Schedule::default(),
            chunk: None,
            leaf_len: None,
            retries: 0,
            retry_in_place: false,
            timeout: None,
            grace: Duration::from_millis(50),
            cancel: None,
            progress: None,
        }
    }
}
