//! The element types a dataset may have, and the way from a type's name at run time to code for that type.

use crate::cli::Raw;

/// Integers and floats of every width NumPy has, little-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dtype {
    I1,
    I2,
    I4,
    I8,
    U1,
    U2,
    U4,
    U8,
    F2,
    F4,
    F8,
}

impl Dtype {
    /// Name and width in bytes.
    pub fn describe(self) -> (&'static str, usize) {
        match self {
            Self::I1 => ("int8", 1),
            Self::I2 => ("int16", 2),
            Self::I4 => ("int32", 4),
            Self::I8 => ("int64", 8),
            Self::U1 => ("uint8", 1),
            Self::U2 => ("uint16", 2),
            Self::U4 => ("uint32", 4),
            Self::U8 => ("uint64", 8),
            Self::F2 => ("float16", 2),
            Self::F4 => ("float32", 4),
            Self::F8 => ("float64", 8),
        }
    }

    /// The type with NumPy's kind letter and width.
    pub fn from_kind(kind: char, width: usize) -> Option<Self> {
        Some(match (kind, width) {
            ('i', 1) => Self::I1,
            ('i', 2) => Self::I2,
            ('i', 4) => Self::I4,
            ('i', 8) => Self::I8,
            ('u', 1) => Self::U1,
            ('u', 2) => Self::U2,
            ('u', 4) => Self::U4,
            ('u', 8) => Self::U8,
            ('f', 2) => Self::F2,
            ('f', 4) => Self::F4,
            ('f', 8) => Self::F8,
            _ => return None,
        })
    }
}

impl From<Raw> for Dtype {
    fn from(raw: Raw) -> Self {
        match raw {
            Raw::F32 => Self::F4,
            Raw::F64 => Self::F8,
            Raw::I32 => Self::I4,
            Raw::I64 => Self::I8,
        }
    }
}

/// `by_dtype!(dtype, small: f(a), large: g(b))` calls `f::<T>(a)` for 8 and 16 bit types and
/// `g::<T>(b, to_value)` for the others.
macro_rules! by_dtype {
    ($dtype:expr, small: $small:ident($($a:expr),*), large: $large:ident($($b:expr),*)) => {{
        use $crate::{analysis::Value, dtype::Dtype};
        match $dtype {
            Dtype::I1 => $small::<i8>($($a),*),
            Dtype::I2 => $small::<i16>($($a),*),
            Dtype::U1 => $small::<u8>($($a),*),
            Dtype::U2 => $small::<u16>($($a),*),
            Dtype::F2 => $small::<half::f16>($($a),*),
            Dtype::I4 => $large::<i32>($($b,)* |x| Value::Whole(x.into())),
            Dtype::I8 => $large::<i64>($($b,)* |x| Value::Whole(x.into())),
            Dtype::U4 => $large::<u32>($($b,)* |x| Value::Whole(x.into())),
            Dtype::U8 => $large::<u64>($($b,)* |x| Value::Whole(x.into())),
            Dtype::F4 => $large::<f32>($($b,)* |x| Value::Real(x.into())),
            Dtype::F8 => $large::<f64>($($b,)* Value::Real),
        }
    }};
}
pub(crate) use by_dtype;
