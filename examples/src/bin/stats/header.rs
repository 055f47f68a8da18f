//! What a `.npy` header says of its data, or one line on why that is no use here.

use crate::dtype::Dtype;
use std::fs::File;
use std::os::unix::fs::FileExt;

/// Where the elements are.
#[derive(Clone, Debug)]
pub struct Layout {
    /// Their type.
    pub dtype: Dtype,
    /// Byte in the file at which they begin.
    pub offset: usize,
    /// How many there are.
    pub len: usize,
    /// The shape as NumPy writes it.
    pub shape: String,
}

/// Reads the header of an open file of `bytes` bytes.
pub fn read(file: &File, bytes: u64) -> Result<Layout, String> {
    let mut start = [0u8; 12];
    let read = file.read_at(&mut start, 0).map_err(|e| format!("cannot be read: {e}"))?;
    if !start[..read].starts_with(b"\x93NUMPY") || read < 12 {
        return Err(
            "not a .npy file (it does not begin with \\x93NUMPY); save with numpy.save, or use --raw TYPE"
                .into(),
        );
    }
    let (from, text_len) = match start[6] {
        1 => (10, usize::from(u16::from_le_bytes([start[8], start[9]]))),
        2 | 3 => (12, u32::from_le_bytes([start[8], start[9], start[10], start[11]]) as usize),
        other => {
            return Err(format!("version {other} of the .npy format is not known; save with numpy.save"));
        }
    };
    let offset = from + text_len;
    if offset as u64 > bytes {
        return Err(format!("the file is truncated inside its header ({bytes} bytes); copy it again"));
    }
    let mut text = vec![0; text_len];
    file.read_exact_at(&mut text, from as u64).map_err(|e| format!("cannot be read: {e}"))?;
    let text = String::from_utf8_lossy(&text).into_owned();
    let value = |key: &str| text.split_once(&format!("'{key}':")).map(|(_, rest)| rest.trim_start());
    let broken = || format!("the header is damaged: {}", text.trim());
    let shape = value("shape").and_then(|v| v.strip_prefix('(')?.split_once(')')).ok_or_else(broken)?.0;
    let dtype = dtype_of(value("descr").ok_or_else(broken)?)?;
    let axes = shape.split(',').map(str::trim).filter(|axis| !axis.is_empty());
    if axes.clone().count() > 1 && value("fortran_order").ok_or_else(broken)?.starts_with("True") {
        return Err(
            "the array is in Fortran order, which positions would not fit; save numpy.ascontiguousarray(a)"
                .into(),
        );
    }
    let mut len = 1usize;
    for axis in axes {
        len = axis.parse().ok().and_then(|n: usize| len.checked_mul(n)).ok_or_else(broken)?;
    }
    let need = len.checked_mul(dtype.describe().1).and_then(|n| n.checked_add(offset)).ok_or_else(broken)?;
    if (need as u64) > bytes {
        return Err(format!(
            "the file is truncated: its header promises {need} bytes, it has {bytes}; copy it again"
        ));
    }
    if !offset.is_multiple_of(dtype.describe().1) {
        return Err(
            "the data is not aligned to its elements; load it and save it again with numpy.save".into()
        );
    }
    Ok(Layout { dtype, offset, len, shape: format!("({shape})") })
}

fn dtype_of(descr: &str) -> Result<Dtype, String> {
    let name = descr.strip_prefix('\'').and_then(|d| d.split_once('\'')).map(|(name, _)| name);
    let Some(name) = name else {
        return Err(
            "the elements are structures; save one field of it, as in numpy.save(path, a['field'])".into()
        );
    };
    let (order, rest) = name.split_at(usize::from(name.starts_with(['<', '>', '|', '='])));
    let kind = rest.chars().next().unwrap_or(' ');
    let width = rest.get(1..).and_then(|w| w.parse().ok()).unwrap_or(0);
    match Dtype::from_kind(kind, width) {
        Some(_) if order == ">" && width > 1 => {
            Err(format!("the elements are big-endian ({name}); save a.astype(a.dtype.newbyteorder('<'))"))
        }
        Some(dtype) => Ok(dtype),
        None => Err(match kind {
            'b' => "the elements are bool; save a.astype('u1') to count them".to_owned(),
            'c' => format!("the elements are complex ({name}); save a.real, a.imag or abs(a)"),
            'V' => "the elements are structures; save one field of it, as in numpy.save(path, a['field'])"
                .to_owned(),
            _ => format!("elements of type {name} are not numbers of 8 to 64 bits; save a.astype('f8')"),
        }),
    }
}
