//! How NumPy spells element types. Checked against `numpy.load` of NumPy 2.4 on 64-bit Linux.

use super::Kind;

/// The code that a type's name stands for; what is no name is one already.
pub(super) fn named(name: &str) -> &str {
    match name {
        "bool" | "bool_" => "b1",
        "int8" | "byte" => "i1",
        "int16" | "short" => "i2",
        "int32" | "intc" => "i4",
        "int64" | "int" | "int_" | "intp" | "long" | "longlong" => "i8",
        "uint8" | "ubyte" => "u1",
        "uint16" | "ushort" => "u2",
        "uint32" | "uintc" => "u4",
        "uint64" | "uint" | "uintp" | "ulong" | "ulonglong" => "u8",
        "float16" | "half" => "f2",
        "float32" | "single" => "f4",
        "float64" | "float" | "double" => "f8",
        "float128" | "longdouble" => "f16",
        "complex64" | "csingle" => "c8",
        "complex128" | "complex" | "cdouble" => "c16",
        "complex256" | "clongdouble" => "c32",
        "str" | "str_" | "unicode" => "U0",
        "bytes" | "bytes_" => "S0",
        "void" => "V0",
        "object" | "object_" => "O",
        _ => ["datetime64", "timedelta64"]
            .iter()
            .zip(["M8", "m8"])
            .find_map(|(long, code)| Some((name.strip_prefix(long)?, code)))
            .filter(|(unit, _)| unit.is_empty() || unit.starts_with('['))
            .map_or(name, |(_, code)| code),
    }
}

/// The code that a single letter stands for; what is longer is one already.
pub(super) fn letter(code: &str) -> &str {
    match code {
        "?" => "b1",
        "b" => "i1",
        "h" => "i2",
        "i" => "i4",
        "l" | "q" | "p" | "n" => "i8",
        "B" => "u1",
        "H" => "u2",
        "I" => "u4",
        "L" | "Q" | "P" | "N" => "u8",
        "e" => "f2",
        "f" => "f4",
        "d" => "f8",
        "g" => "f16",
        "F" => "c8",
        "D" => "c16",
        "G" => "c32",
        "c" => "S1",
        "S" | "a" => "S0",
        "U" => "U0",
        "V" => "V0",
        "M" => "M8",
        "m" => "m8",
        _ => code,
    }
}

/// Kind and bytes of a code: a letter and a number, times with their unit behind it.
pub(super) fn kind_and_width(code: &str) -> Option<(Kind, usize)> {
    let mut chars = code.chars();
    let (kind, widths): (Kind, &[usize]) = match chars.next()? {
        'b' => (Kind::Bool, &[1]),
        'i' => (Kind::Int, &[1, 2, 4, 8]),
        'u' => (Kind::Uint, &[1, 2, 4, 8]),
        'f' => (Kind::Float, &[2, 4, 8, 12, 16]),
        'c' => (Kind::Complex, &[8, 16, 24, 32]),
        'M' => (Kind::DateTime, &[8]),
        'm' => (Kind::TimeDelta, &[8]),
        'S' | 'a' => (Kind::Bytes, &[]),
        'U' => (Kind::Unicode, &[]),
        'V' => (Kind::Void, &[]),
        'O' => return Some((Kind::Object, 0)),
        _ => return None,
    };
    let rest = chars.as_str();
    let (digits, unit) = rest.split_at(rest.find('[').unwrap_or(rest.len()));
    let digits = digits.trim_start();
    if !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let number = digits.parse::<usize>().ok()?;
    let width = if kind == Kind::Unicode { number.checked_mul(4)? } else { number };
    let is_time = matches!(kind, Kind::DateTime | Kind::TimeDelta);
    let fits = widths.is_empty() || widths.contains(&width);
    (fits && (unit.is_empty() || is_time && unit.ends_with(']'))).then_some((kind, width))
}
