//! Element types as NumPy names them.

use super::spelling;
use crate::array::Element;
use std::fmt;

/// The kind of data an element holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// `b`: one byte, 0 or 1.
    Bool,
    /// `i`: signed integer.
    Int,
    /// `u`: unsigned integer.
    Uint,
    /// `f`: IEEE float (a `float128` is 16 bytes, of which x86-64 uses 10).
    Float,
    /// `c`: two floats.
    Complex,
    /// `S`: bytes of a string.
    Bytes,
    /// `U`: a string in UTF-32.
    Unicode,
    /// `V`: raw bytes.
    Void,
    /// `M`: a date and time.
    DateTime,
    /// `m`: a span of time.
    TimeDelta,
    /// `O`: pickled Python objects.
    Object,
    /// Several named fields.
    Structured,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Bool => "bool",
            Kind::Int => "int",
            Kind::Uint => "uint",
            Kind::Float => "float",
            Kind::Complex => "complex",
            Kind::Bytes => "bytes",
            Kind::Unicode => "unicode",
            Kind::Void => "void",
            Kind::DateTime => "datetime",
            Kind::TimeDelta => "timedelta",
            Kind::Object => "Python object",
            Kind::Structured => "structured",
        }
    }
}

/// The byte order of a number: which byte comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ByteOrder {
    /// `<`: the least significant.
    Little,
    /// `>`: the most significant.
    Big,
    /// `|`: not applicable.
    None,
}

impl ByteOrder {
    /// The native byte order of this machine.
    pub const NATIVE: ByteOrder =
        if cfg!(target_endian = "little") { ByteOrder::Little } else { ByteOrder::Big };
}

/// The element type of a file.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DType {
    pub(super) kind: Kind,
    pub(super) width: usize,
    pub(super) order: ByteOrder,
    pub(super) descr: String,
}

impl DType {
    /// Returns the kind of data.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Returns the size of one element in bytes, or 0 for objects and structures.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Returns the byte order.
    pub fn byte_order(&self) -> ByteOrder {
        self.order
    }

    /// Returns true if this machine can use the bytes without conversion.
    pub fn is_native(&self) -> bool {
        self.order == ByteOrder::None || self.order == ByteOrder::NATIVE
    }

    /// Returns the type string from the header, such as `<f8`.
    pub fn descr(&self) -> &str {
        &self.descr
    }

    /// Returns true if the elements have the same representation as `T` on this machine.
    pub fn is<T: NpyElement>(&self) -> bool {
        self.is_swapped_or_native::<T>() && self.is_native()
    }

    /// Whether the elements are what `T` is, but perhaps for the order of their bytes.
    pub(crate) fn is_swapped_or_native<T: NpyElement>(&self) -> bool {
        self.kind == T::KIND && self.width == size_of::<T>()
    }

    /// Returns the type of `T` in a file written by this machine.
    pub fn of<T: NpyElement>() -> DType {
        let width = size_of::<T>();
        let (order, mark) = match (width, ByteOrder::NATIVE) {
            (1, _) => (ByteOrder::None, '|'),
            (_, ByteOrder::Big) => (ByteOrder::Big, '>'),
            _ => (ByteOrder::Little, '<'),
        };
        let letter = match T::KIND {
            Kind::Int => 'i',
            Kind::Uint => 'u',
            Kind::Float => 'f',
            Kind::Complex => 'c',
            _ => 'V',
        };
        DType { kind: T::KIND, width, order, descr: format!("{mark}{letter}{width}") }
    }

    /// The type that a header's simple description names, in every spelling that NumPy reads: `<f8`, `f8`,
    /// `d`, `float64`.
    pub(super) fn parse(descr: &str) -> Result<DType, String> {
        let unknown = || format!("the element type {descr:?} is unknown");
        // One of a type is that type.
        if let Some(single) =
            descr.strip_prefix('1').filter(|rest| rest.starts_with(|c: char| c.is_ascii_alphabetic()))
        {
            return Ok(DType { descr: descr.to_owned(), ..DType::parse(single)? });
        }
        if descr.contains(',') && !descr.contains('[')
            || descr.starts_with(|c: char| c == '(' || c.is_ascii_digit())
        {
            // Several types, or one several times.
            return Ok(DType::structured(descr.to_owned()));
        }
        let (order, code) = match descr.split_at_checked(1).ok_or_else(unknown)? {
            ("<", code) => (ByteOrder::Little, code),
            (">", code) => (ByteOrder::Big, code),
            ("|" | "=", code) => (ByteOrder::NATIVE, code),
            _ => (ByteOrder::NATIVE, spelling::named(descr)),
        };
        let (kind, width) = spelling::kind_and_width(spelling::letter(code)).ok_or_else(unknown)?;
        let indifferent =
            width <= 1 || matches!(kind, Kind::Bytes | Kind::Void | Kind::Object | Kind::Structured);
        let order = if indifferent { ByteOrder::None } else { order };
        Ok(DType { kind, width, order, descr: descr.to_owned() })
    }

    /// What to do about elements of this type that are wanted as another, in an error's words.
    pub(in crate::array) fn advice(&self) -> &'static str {
        match (self.kind, self.width) {
            (Kind::Float, 2) if !cfg!(feature = "half") => {
                "; half::f16 is an element with the cargo feature `half`, or save a.astype('f4')"
            }
            (Kind::Float, 12..) => "; there is no Rust type like that: save a.astype('f8')",
            (Kind::Bool, _) => "; a bool of a file need not be one: save a.view('u1'), which is 0 or 1",
            (Kind::Complex, _) => {
                "; complex numbers are no elements: save a.real and a.imag, or a.view('f8'), in pairs"
            }
            (Kind::DateTime | Kind::TimeDelta, _) => {
                "; times are no elements: save a.view('i8'), which counts their units"
            }
            (Kind::Bytes | Kind::Unicode, _) => {
                "; text is no element: save codes, such as numpy.unique(a, return_inverse=True)[1]"
            }
            (Kind::Structured | Kind::Void, _) => {
                "; save one field at a time, as in numpy.save(path, a['x'])"
            }
            (Kind::Object, _) => "; pickled objects are not read: save a.astype('f8') if they are numbers",
            _ => "; ask for that type, or convert it in NumPy with astype",
        }
    }

    /// The type of a file with named fields.
    pub(super) fn structured(descr: String) -> DType {
        DType { kind: Kind::Structured, width: 0, order: ByteOrder::None, descr }
    }
}

impl fmt::Display for DType {
    /// Writes the name NumPy prints, such as `float64`, with the byte order if it is not native.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            Kind::Int | Kind::Uint | Kind::Float | Kind::Complex => {
                write!(f, "{}{}", self.kind.name(), self.width.saturating_mul(8))?;
                if self.is_native() { Ok(()) } else { write!(f, " ({})", order_name(self.order)) }
            }
            Kind::Bool | Kind::Object => f.write_str(self.kind.name()),
            kind => write!(f, "{} {}", kind.name(), self.descr),
        }
    }
}

fn order_name(order: ByteOrder) -> &'static str {
    match order {
        ByteOrder::Little => "little-endian",
        ByteOrder::Big => "big-endian",
        ByteOrder::None => "one byte",
    }
}

/// An element that NumPy has a type for. Its width is its size in bytes, its byte order this machine's.
#[diagnostic::on_unimplemented(
    message = "NumPy has no element type like `{Self}`",
    note = "integers of 8 to 64 bits, f32 and f64 have one; f16 with the cargo feature `half`"
)]
pub trait NpyElement: Element {
    /// What its bytes mean.
    const KIND: Kind;
}

macro_rules! elements {
    ($($kind:ident: $($t:ty)*;)*) => { $($( impl NpyElement for $t { const KIND: Kind = Kind::$kind; } )*)* };
}

elements! {
    Int: i8 i16 i32 i64 isize;
    Uint: u8 u16 u32 u64 usize;
    Float: f32 f64;
}

#[cfg(feature = "half")]
impl NpyElement for half::f16 {
    const KIND: Kind = Kind::Float;
}
