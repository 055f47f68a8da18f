//! NumPy's `.npy` files: reads and validates the header before any of the data is used.
//!
//! [`Header::read`] opens a file, reads its header and checks it against the file's size. No element type is
//! needed, so a program can inspect a file first and decide how to open it. Format: NumPy's
//! `numpy.lib.format`, versions 1.0, 2.0 and 3.0
//! (<https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>).
//!
//! ```no_run
//! let header = phalanx::npy::Header::read("data.npy")?;
//! println!("{} {:?}, data from byte {}", header.dtype(), header.shape(), header.data_offset());
//! # Ok::<(), phalanx::npy::NpyError>(())
//! ```

mod dtype;
mod error;
mod header;
mod literal;
mod spelling;
mod write;

pub use dtype::{ByteOrder, DType, Kind, NpyElement};
pub use error::{FileKind, NpyError};
pub(crate) use header::open_regular;
pub use header::{AxisOrder, Header, MAGIC};
pub(crate) use write::header_bytes;

/// Alignment of the data in files written by this library, in bytes, so that it can be mapped.
pub const DATA_ALIGN: usize = 4096;

#[cfg(test)]
mod tests;
