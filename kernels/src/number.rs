//! Element types that kernels compute with.

use num_traits::Float;
use phalanx::{Element, Plain};
use std::fmt::{Debug, Display};

mod sealed {
    pub trait Sealed {}
}

/// An integer or floating-point type that kernels compute with. As in NumPy, integers wrap around silently,
/// and floats follow IEEE 754.
///
/// Implemented for `u8` to `u64`, `usize`, `i8` to `i64`, `isize`, `f32` and `f64`.
pub trait Number: Element + Plain + PartialOrd + Default + Debug + Display + sealed::Sealed {
    /// The type of sums and dot products: 64-bit integers of the same signedness for integers, the type
    /// itself for floats.
    type Total: Number<Total = Self::Total>;
    /// The additive identity.
    const ZERO: Self;
    /// The multiplicative identity.
    const ONE: Self;
    /// The least value: the lowest integer, or minus infinity.
    const LOWEST: Self;
    /// The greatest value: the highest integer, or infinity.
    const HIGHEST: Self;
    /// Whether this is a floating-point type.
    const IS_FLOAT: bool;

    /// Returns `self + other`; integers wrap around.
    fn plus(self, other: Self) -> Self;
    /// Returns `self - other`; integers wrap around.
    fn minus(self, other: Self) -> Self;
    /// Returns `self * other`; integers wrap around.
    fn times(self, other: Self) -> Self;
    /// Converts the value to the type of sums, exactly.
    fn to_total(self) -> Self::Total;
    /// Converts the value to float64, rounded to nearest if it has more than 53 bits.
    fn to_f64(self) -> f64;
    /// The bits of the value in the low bits of a word; for integers that are not negative, the value itself.
    #[doc(hidden)]
    fn to_word(self) -> u64;
    /// The value with these bits.
    #[doc(hidden)]
    fn from_word(word: u64) -> Self;
    /// Returns whether this is NaN, the only value that differs from itself.
    #[inline(always)]
    #[expect(clippy::eq_op, reason = "only NaN differs from itself")]
    fn is_unordered(self) -> bool {
        self != self
    }
}

/// A floating-point type: `f32` or `f64`.
pub trait Real: Number<Total = Self> + Float {
    /// Returns the value nearest to a float64.
    fn from_f64(value: f64) -> Self;
}

/// An integer type.
pub trait Integer: Number + Ord {}

macro_rules! integers { ($($t:ident => $total:ident),*) => { $(
    impl sealed::Sealed for $t {}
    impl Integer for $t {}
    impl Number for $t {
        type Total = $total;
        const ZERO: Self = 0;
        const ONE: Self = 1;
        const LOWEST: Self = $t::MIN;
        const HIGHEST: Self = $t::MAX;
        const IS_FLOAT: bool = false;
        #[inline(always)]
        fn plus(self, other: Self) -> Self { self.wrapping_add(other) }
        #[inline(always)]
        fn minus(self, other: Self) -> Self { self.wrapping_sub(other) }
        #[inline(always)]
        fn times(self, other: Self) -> Self { self.wrapping_mul(other) }
        #[inline(always)]
        fn to_total(self) -> $total { self as $total }
        #[inline(always)]
        fn to_f64(self) -> f64 { self as f64 }
        #[inline(always)]
        fn to_word(self) -> u64 { self as u64 }
        #[inline(always)]
        fn from_word(word: u64) -> Self { word as $t }
    }
)* } }
integers!(u8 => u64, u16 => u64, u32 => u64, u64 => u64, usize => u64,
          i8 => i64, i16 => i64, i32 => i64, i64 => i64, isize => i64);

macro_rules! floats { ($($t:ident),*) => { $(
    impl sealed::Sealed for $t {}
    impl Number for $t {
        type Total = $t;
        const ZERO: Self = 0.0;
        const ONE: Self = 1.0;
        const LOWEST: Self = $t::NEG_INFINITY;
        const HIGHEST: Self = $t::INFINITY;
        const IS_FLOAT: bool = true;
        #[inline(always)]
        fn plus(self, other: Self) -> Self { self + other }
        #[inline(always)]
        fn minus(self, other: Self) -> Self { self - other }
        #[inline(always)]
        fn times(self, other: Self) -> Self { self * other }
        #[inline(always)]
        fn to_total(self) -> $t { self }
        #[inline(always)]
        fn to_f64(self) -> f64 { f64::from(self) }
        #[inline(always)]
        fn to_word(self) -> u64 { u64::from(self.to_bits()) }
        #[inline(always)]
        fn from_word(word: u64) -> Self { $t::from_bits(word as _) }
    }
    impl Real for $t {
        #[inline(always)]
        fn from_f64(value: f64) -> Self { value as $t }
    }
)* } }
floats!(f32, f64);
