//! Which arrays of `.npy` files this program can read, and what to do about the others.

use crate::dtype::Dtype;
use phalanx::array::npy::{AxisOrder, DType, Header, Kind};

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

/// Returns the layout that a header describes, or one line on why it cannot be used.
pub fn layout(header: &Header) -> Result<Layout, String> {
    let (offset, len) = (header.data_offset(), header.len());
    let dtype = dtype(header.dtype())?;
    if header.order() == AxisOrder::ColumnMajor && header.shape().len() > 1 {
        return Err(
            "the array is in Fortran order, which positions would not fit; save numpy.ascontiguousarray(a)"
                .into(),
        );
    }
    if !offset.is_multiple_of(dtype.describe().1) {
        return Err(
            "the data is not aligned to its elements; load it and save it again with numpy.save".into()
        );
    }
    let axes: Vec<String> = header.shape().iter().map(usize::to_string).collect();
    let shape = format!("({}{})", axes.join(", "), if axes.len() == 1 { "," } else { "" });
    Ok(Layout { dtype, offset, len, shape })
}

fn dtype(dtype: &DType) -> Result<Dtype, String> {
    let known = match dtype.kind() {
        Kind::Int => Dtype::from_kind('i', dtype.width()),
        Kind::Uint => Dtype::from_kind('u', dtype.width()),
        Kind::Float => Dtype::from_kind('f', dtype.width()),
        Kind::Bool => return Err("the elements are bool; save a.astype('u1') to count them".to_owned()),
        Kind::Complex => {
            return Err(format!(
                "the elements are complex ({}); save a.real, a.imag or abs(a)",
                dtype.descr()
            ));
        }
        Kind::Structured | Kind::Void => {
            return Err(
                "the elements are structures; save one field, as in numpy.save(path, a['field'])".to_owned()
            );
        }
        Kind::DateTime | Kind::TimeDelta => {
            return Err(format!(
                "the elements are times ({}); save a.view('i8'), which counts their units",
                dtype.descr()
            ));
        }
        Kind::Bytes | Kind::Unicode => {
            return Err("the elements are text; save numbers, such as numpy.char.str_len(a)".to_owned());
        }
        Kind::Object => {
            return Err("the elements are pickled objects, which are not read; save a.astype('f8') if they are numbers".to_owned());
        }
        _ => None,
    };
    match known {
        Some(_) if !dtype.is_native() => {
            let name = dtype.descr();
            Err(format!("the elements are big-endian ({name}); save a.astype(a.dtype.newbyteorder('<'))"))
        }
        Some(dtype) => Ok(dtype),
        None => Err(format!(
            "elements of type {} are not numbers of 8 to 64 bits; save a.astype('f8')",
            dtype.descr()
        )),
    }
}
