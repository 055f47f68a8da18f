//! The header of a file, read and checked.
#![deny(clippy::arithmetic_side_effects)]

use super::literal::{self, Value};
use super::{DType, FileKind, NpyError};
use crate::sys::descriptor;
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

/// The first bytes of every `.npy` file.
pub const MAGIC: &[u8; 6] = b"\x93NUMPY";

/// A longer header is refused. NumPy's own are 128 bytes, and it refuses more than 10,000 by default.
const LONGEST_HEADER: usize = 1 << 20;

/// Magic, version, and the longest length field.
const PREAMBLE_BYTES: usize = 12;

/// The memory order of an array: which axis is contiguous.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AxisOrder {
    /// C order: the last axis.
    RowMajor,
    /// Fortran order: the first axis.
    ColumnMajor,
}

/// The header of a `.npy` file. A `Header` is only returned if the file was long enough for the data it
/// describes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    dtype: DType,
    order: AxisOrder,
    shape: Vec<usize>,
    data_offset: usize,
    version: (u8, u8),
}

/// Why bytes are no header; a path makes an [`NpyError`] of it.
#[derive(Debug, PartialEq)]
pub(super) enum Fault {
    Empty,
    NotNpy(&'static str),
    Version(u8, u8),
    /// Bytes that are needed at least.
    Truncated(u64),
    Bad(String),
    Overflow(Vec<usize>, usize),
}

impl Fault {
    fn at(self, path: &Path, have: u64) -> NpyError {
        let path = path.to_owned();
        match self {
            Fault::Empty => NpyError::Empty { path },
            Fault::NotNpy(hint) => NpyError::NotNpy { path, hint },
            Fault::Version(major, minor) => NpyError::Version { path, major, minor },
            Fault::Truncated(need) => NpyError::Truncated { path, need, have },
            Fault::Bad(reason) => NpyError::BadHeader { path, reason },
            Fault::Overflow(shape, width) => NpyError::ShapeOverflow { path, shape, width },
        }
    }
}

impl Header {
    /// Reads and validates the header of a file, and checks that the file is as long as the header says.
    ///
    /// Never blocks on pipes: anything but a regular file is refused.
    ///
    /// # Errors
    /// See [`NpyError`].
    pub fn read(path: impl AsRef<Path>) -> Result<Header, NpyError> {
        let path = path.as_ref();
        let file = open_regular(path, OpenOptions::new().read(true), 0)?;
        Header::read_from(&file, path)
    }

    /// Same as [`read`](Header::read), for an open file positioned at its start; `path` is used in error
    /// messages.
    ///
    /// # Errors
    /// See [`NpyError`].
    pub fn read_from(mut file: &File, path: &Path) -> Result<Header, NpyError> {
        let io_error = |e| from_io(path, e);
        let have = file.metadata().map_err(io_error)?.len();
        let mut bytes = Vec::with_capacity(256);
        file.by_ref().take(PREAMBLE_BYTES as u64).read_to_end(&mut bytes).map_err(io_error)?;
        let header_end = preamble(&bytes).map_err(|fault| fault.at(path, have))?.1;
        let more = header_end.saturating_sub(bytes.len());
        file.take(more as u64).read_to_end(&mut bytes).map_err(io_error)?;
        Header::parse(&bytes, have).map_err(|fault| fault.at(path, have))
    }

    /// The header at the start of `bytes`, of a file of `file_len` bytes.
    pub(super) fn parse(bytes: &[u8], file_len: u64) -> Result<Header, Fault> {
        let (text_start, text_end, version) = {
            let (start, end) = preamble(bytes)?;
            (start, end, (bytes[6], bytes[7]))
        };
        let text = bytes.get(text_start..text_end).ok_or(Fault::Truncated(text_end as u64))?;
        // Version 3 is UTF-8, the others Latin-1; in ASCII all are the same.
        let text = match version.0 {
            3 => std::str::from_utf8(text).map_err(|_| Fault::Bad("it is not UTF-8".into()))?.to_owned(),
            _ => text.iter().map(|&b| b as char).collect(),
        };
        let value = literal::parse(&text).map_err(Fault::Bad)?;
        let (dtype, order, shape) = fields(value, &text).map_err(Fault::Bad)?;
        let header = Header { dtype, order, shape, data_offset: text_end, version };
        // As ndarray and the address space: axes of length zero count as one.
        let overflow = || Fault::Overflow(header.shape.clone(), header.dtype.width);
        let spread = header
            .shape
            .iter()
            .try_fold(header.dtype.width.max(1), |n, &len| n.checked_mul(len.max(1)))
            .filter(|&n| n <= (isize::MAX as usize).saturating_sub(header.data_offset));
        spread.ok_or_else(overflow)?;
        let need = (header.data_offset as u64).saturating_add(header.data_bytes() as u64);
        if file_len < need { Err(Fault::Truncated(need)) } else { Ok(header) }
    }

    /// Returns the element type.
    pub fn dtype(&self) -> &DType {
        &self.dtype
    }

    /// Returns the memory order.
    pub fn order(&self) -> AxisOrder {
        self.order
    }

    /// Returns the length of each axis; empty for a single value.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Returns the number of elements; 1 for a shape without axes.
    pub fn len(&self) -> usize {
        // No overflow: checked when parsed.
        self.shape.iter().product()
    }

    /// Returns true if there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the byte offset of the data in the file.
    pub fn data_offset(&self) -> usize {
        self.data_offset
    }

    /// Returns the size of the data in bytes; 0 for Python objects and structures, whose width is unknown.
    pub fn data_bytes(&self) -> usize {
        // No overflow: checked when parsed.
        self.len().wrapping_mul(self.dtype.width)
    }

    /// Returns the format version (major, minor).
    pub fn version(&self) -> (u8, u8) {
        self.version
    }
}

/// Where the header's text begins and ends.
fn preamble(bytes: &[u8]) -> Result<(usize, usize), Fault> {
    if bytes.is_empty() {
        return Err(Fault::Empty);
    }
    let magic = &bytes[..bytes.len().min(MAGIC.len())];
    if !MAGIC.starts_with(magic) {
        return Err(Fault::NotNpy(looks_like(bytes)));
    }
    let [.., major, minor, l0, l1] = *bytes.first_chunk::<10>().ok_or(Fault::Truncated(10))?;
    let (start, len) = match (major, minor) {
        (1, 0) => (10, usize::from(u16::from_le_bytes([l0, l1]))),
        (2 | 3, 0) => {
            let [.., l2, l3] = *bytes.first_chunk::<12>().ok_or(Fault::Truncated(12))?;
            (12, u32::from_le_bytes([l0, l1, l2, l3]) as usize)
        }
        _ => return Err(Fault::Version(major, minor)),
    };
    if len > LONGEST_HEADER {
        return Err(Fault::Bad(format!("it claims to be {len} bytes long")));
    }
    Ok((start, start.saturating_add(len)))
}

/// What a file is that is no `.npy` file, by its first bytes.
fn looks_like(bytes: &[u8]) -> &'static str {
    match bytes {
        [b'P', b'K', 3 | 5, ..] => {
            "; it is a zip archive, perhaps .npz: unpack it and use the .npy files inside"
        }
        [0x1f, 0x8b, ..] => "; it is compressed with gzip: unpack it first",
        [0x89, b'H', b'D', b'F', ..] => "; it is an HDF5 file",
        [0x80, 2..=5, ..] => "; it looks like a Python pickle: save with numpy.save",
        b if b.iter().all(|b| b.is_ascii_graphic() || b.is_ascii_whitespace()) => {
            "; it looks like text: load it in Python and save with numpy.save"
        }
        _ => " (it does not begin with \\x93NUMPY)",
    }
}

/// The three entries that a header must have.
fn fields(value: Value, text: &str) -> Result<(DType, AxisOrder, Vec<usize>), String> {
    let Value::Dict(entries) = value else { return Err("it is no dictionary".into()) };
    let (mut dtype, mut order, mut shape) = (None, None, None);
    for (key, value) in entries {
        let Value::Text(key) = key else { return Err("a key is no text".into()) };
        match (key.as_str(), value) {
            ("descr", Value::Text(descr)) => dtype = Some(DType::parse(&descr)?),
            ("descr", Value::Seq(_)) => dtype = Some(DType::structured(descr_text(text))),
            ("fortran_order", Value::Flag(false)) => order = Some(AxisOrder::RowMajor),
            ("fortran_order", Value::Flag(true)) => order = Some(AxisOrder::ColumnMajor),
            ("shape", Value::Seq(items)) => shape = Some(lengths(items)?),
            ("descr" | "fortran_order" | "shape", _) => return Err(format!("{key} is of the wrong type")),
            _ => return Err(format!("it has an unknown entry {key:?}")),
        }
    }
    let missing = |name| format!("it has no entry {name}");
    Ok((
        dtype.ok_or_else(|| missing("descr"))?,
        order.ok_or_else(|| missing("fortran_order"))?,
        shape.ok_or_else(|| missing("shape"))?,
    ))
}

/// The list of fields as it stands in the header, shortened for error texts.
fn descr_text(text: &str) -> String {
    let list = text.split_once('[').map_or("", |(_, rest)| rest);
    let list = list.split_once("'fortran_order'").map_or(list, |(list, _)| list);
    let list = list.trim_end_matches([' ', ',']);
    let short: String = list.chars().take(60).collect();
    if short.len() < list.len() { format!("[{short}...") } else { format!("[{short}") }
}

fn lengths(items: Vec<Value>) -> Result<Vec<usize>, String> {
    items
        .into_iter()
        .map(|item| match item {
            Value::Number(n) => usize::try_from(n).map_err(|_| format!("the length {n} is too large")),
            _ => Err("shape contains something else than whole numbers".to_owned()),
        })
        .collect()
}

/// Opens a regular file; anything else is refused without waiting for it. `flags` are further flags of
/// `open`.
pub(crate) fn open_regular(path: &Path, options: &mut OpenOptions, flags: i32) -> Result<File, NpyError> {
    let kind = |meta: &std::fs::Metadata| {
        let t = meta.file_type();
        (!t.is_file()).then(|| match t {
            t if t.is_dir() => FileKind::Directory,
            t if t.is_fifo() => FileKind::Pipe,
            t if t.is_socket() => FileKind::Socket,
            t if t.is_char_device() => FileKind::CharacterDevice,
            t if t.is_block_device() => FileKind::BlockDevice,
            _ => FileKind::Other,
        })
    };
    // Asked before, so that a device is not even opened, and after, as the name may mean something else by
    // then.
    let refuse = |meta: &std::fs::Metadata| match kind(meta) {
        Some(kind) => Err(NpyError::NotAFile { path: path.to_owned(), kind }),
        None => Ok(()),
    };
    refuse(&std::fs::metadata(path).map_err(|e| from_io(path, e))?)?;
    let options = options.custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY | flags);
    let file = descriptor::open(options, path).map_err(|e| from_io(path, e))?;
    let meta = file.metadata().map_err(|e| from_io(path, e))?;
    refuse(&meta)?;
    Ok(file)
}

fn from_io(path: &Path, source: io::Error) -> NpyError {
    let path = path.to_owned();
    match source.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => NpyError::NotFound { path },
        io::ErrorKind::PermissionDenied => NpyError::Permission { path },
        io::ErrorKind::IsADirectory => NpyError::NotAFile { path, kind: FileKind::Directory },
        _ => NpyError::Io { path, source },
    }
}
