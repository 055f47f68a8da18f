//! The error of launches whose kernels, or bodies, may fail.

use crate::base::Span;
use crate::launch::error::LaunchError;
use std::error::Error;
use std::fmt::{self, Debug, Display};

/// Why a launch with a kernel or a body that may fail did not succeed.
///
/// With an error type that displays itself, `?` converts it into `Box<dyn Error>`, and into
/// [`phalanx::Error`](crate::Error).
#[non_exhaustive]
pub enum TryError<E = Box<dyn Error + Send + Sync>> {
    /// The kernel returned an error. All chunks below this one have succeeded.
    Kernel {
        /// Where the launch was called.
        site: String,
        /// The indices of the lowest chunk that failed.
        span: Span,
        /// What its kernel returned.
        error: E,
    },
    /// The body of a region returned an error.
    Body {
        /// Where the region was called.
        site: String,
        /// The lowest rank that failed by itself.
        rank: usize,
        /// What its body returned.
        error: E,
    },
    /// The launch itself failed.
    Launch(LaunchError),
}

impl<E> From<LaunchError> for TryError<E> {
    fn from(error: LaunchError) -> TryError<E> {
        TryError::Launch(error)
    }
}

impl<E: Debug> Debug for TryError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TryError::Kernel { site, span, error } => {
                write!(f, "the kernel at {site} failed on {span}: {error:?}")
            }
            TryError::Body { site, rank, error } => {
                write!(f, "the region at {site} failed on rank {rank}: {error:?}")
            }
            TryError::Launch(error) => Display::fmt(error, f),
        }
    }
}

impl<E: Display> Display for TryError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TryError::Kernel { site, span, error } => {
                write!(f, "the kernel at {site} failed on {span}: {error}")
            }
            TryError::Body { site, rank, error } => {
                write!(f, "the region at {site} failed on rank {rank}: {error}")
            }
            TryError::Launch(error) => Display::fmt(error, f),
        }
    }
}

impl<E: Debug + Display> Error for TryError<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            // Its text is part of ours. It need not be an `Error`: texts are enough for many kernels.
            TryError::Kernel { .. } | TryError::Body { .. } => None,
            TryError::Launch(error) => error.source(),
        }
    }
}
