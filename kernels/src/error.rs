//! Why a kernel refuses its arguments or fails.

use phalanx::{AllocError, LaunchError};

/// Why a kernel failed.
///
/// `Shape`, `Empty`, `Argument` and `Index` are reported before anything runs, and outputs are unchanged.
/// After `Launch` the outputs hold unspecified values.
///
/// It converts into [`phalanx::Error`], so `?` works on both in one function, and prints the same text for
/// `Debug` as for `Display`, so that a `main` may return it.
///
/// ```
/// fn main() -> Result<(), phalanx::Error> {
///     let pool = phalanx::Pool::builder().workers(1).build()?;
///     let numbers = pool.from_fn(10, |i| i as f64)?;
///     assert_eq!(phalanx_kernels::reduce::sum(&pool, &numbers)?, 45.0);
///     Ok(())
/// }
/// ```
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum KernelError {
    /// An argument has the wrong shape for the other arguments. Nothing was run.
    #[error(
        "{what} has shape {got:?}, and shape {expected:?} is needed; shapes are not stretched to fit: create it with that shape"
    )]
    Shape {
        /// The argument.
        what: &'static str,
        /// The shape it must have.
        expected: Vec<usize>,
        /// The shape it has.
        got: Vec<usize>,
    },
    /// The result is not defined for an array without elements. Nothing was run.
    #[error("{kernel} of an array without elements is not defined; ask for the length first")]
    Empty {
        /// The kernel that was called.
        kernel: &'static str,
    },
    /// An argument has an invalid value. Nothing was run.
    #[error("{what}: {why}")]
    Argument {
        /// The argument.
        what: &'static str,
        /// What is wrong with it, and what is valid.
        why: String,
    },
    /// An index is out of range. Nothing was run.
    #[error("{what}: number {at} is {index}, which lies outside 0..{len}")]
    Index {
        /// What the index refers to.
        what: &'static str,
        /// The position of the first invalid index, counted from 0.
        at: usize,
        /// The index.
        index: String,
        /// The bound that it must be below.
        len: usize,
    },
    /// A number is NaN or infinite where finite numbers are needed. No result was written.
    #[error("{what}: element {at:?} is {value}, and finite numbers are needed")]
    NotFinite {
        /// The argument.
        what: &'static str,
        /// The index of the first such element, axis by axis.
        at: Vec<usize>,
        /// The number.
        value: String,
    },
    /// A matrix has no inverse. No result was written, unless the kernel's documentation says otherwise.
    #[error(
        "{kernel}: the matrix is singular at {at}, so there is no solution, or more than one; least squares \
         by singular values may be what is meant"
    )]
    Singular {
        /// The kernel that was called.
        kernel: &'static str,
        /// The first row or column that depends on those before it; for batches, the first such matrix.
        at: usize,
    },
    /// A matrix is not positive definite. No result was written, unless the kernel's documentation says
    /// otherwise.
    #[error("{kernel}: the matrix is not positive definite, as its leading {} rows and columns show", at + 1)]
    NotPositiveDefinite {
        /// The kernel that was called.
        kernel: &'static str,
        /// The first row whose pivot is not above 0; for batches, the first such matrix.
        at: usize,
    },
    /// A file has invalid contents. No result was made.
    #[error("{path:?}, line {line}: {why}")]
    File {
        /// The file.
        path: std::path::PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// What is wrong, and what is expected.
        why: String,
    },
    /// A file could not be read or written. A file that was to be replaced is unchanged.
    #[error("{path:?}: {source}")]
    Io {
        /// The file.
        path: std::path::PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// An iteration did not reach the tolerance; the result holds the last iterate.
    #[error(
        "{solver} did not converge in {iterations} iterations (residual {residual:e}); allow more, or a larger tolerance"
    )]
    NotConverged {
        /// The method.
        solver: &'static str,
        /// Iterations made.
        iterations: usize,
        /// Norm of the last residual.
        residual: f64,
    },
    /// An iteration cannot continue; the result holds the last iterate.
    #[error("{solver} broke down after {iterations} iterations: {why}")]
    Breakdown {
        /// The method.
        solver: &'static str,
        /// Iterations made.
        iterations: usize,
        /// What happened, and what it means for the system.
        why: String,
    },
    /// The launch failed: a worker died too often, or a function that was passed in panicked.
    #[error(transparent)]
    Launch(#[from] LaunchError),
    /// There is not enough memory for a copy of an input, for a result or for working space.
    #[error("a kernel needs shared memory for a copied input, a result or working space, and got none: {0}")]
    Memory(#[source] phalanx::Error),
}

// As in the engine.
impl std::fmt::Debug for KernelError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

impl From<KernelError> for phalanx::Error {
    fn from(error: KernelError) -> phalanx::Error {
        match error {
            KernelError::Launch(error) => error.into(),
            error => phalanx::Error::other(error),
        }
    }
}

impl From<phalanx::Error> for KernelError {
    fn from(error: phalanx::Error) -> Self {
        match error {
            phalanx::Error::Launch(error) => KernelError::Launch(error),
            // One of these that has been there and back.
            phalanx::Error::Other(error) => match error.downcast() {
                Ok(error) => *error,
                Err(error) => KernelError::Memory(phalanx::Error::Other(error)),
            },
            error => KernelError::Memory(error),
        }
    }
}

impl From<AllocError> for KernelError {
    fn from(error: AllocError) -> Self {
        KernelError::Memory(error.into())
    }
}

impl KernelError {
    /// An argument with an invalid value.
    pub(crate) fn argument(what: &'static str, why: impl Into<String>) -> KernelError {
        KernelError::Argument { what, why: why.into() }
    }
}

/// Refuses an argument whose shape is not the one needed.
pub(crate) fn check_shape(what: &'static str, expected: &[usize], got: &[usize]) -> Result<(), KernelError> {
    if expected == got {
        return Ok(());
    }
    Err(KernelError::Shape { what, expected: expected.to_vec(), got: got.to_vec() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_reads_the_same_everywhere_and_comes_back_as_it_was() {
        let texts = |error: &dyn std::error::Error| (error.to_string(), format!("{error:?}"));
        for make in [
            || KernelError::Empty { kernel: "mean" },
            || KernelError::argument("the width", "it is 0"),
            || KernelError::Launch(LaunchError::PoolClosed),
            || KernelError::Memory(AllocError::Forked.into()),
        ] {
            let expected = make().to_string();
            assert_eq!(texts(&make()), (expected.clone(), expected.clone()));
            let general: phalanx::Error = make().into();
            assert_eq!(texts(&general), (expected.clone(), expected.clone()));
            assert_eq!(KernelError::from(general).to_string(), expected);
        }
    }
}
