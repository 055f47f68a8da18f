//! Keys and the words they are sorted as.
//!
//! A [`Key`] is turned into an unsigned integer of the same width whose order is the key's, sorted as that,
//! and turned back. The turn loses nothing: floats keep their bits, so a sorted array holds exactly the
//! elements it held before.
#![deny(clippy::arithmetic_side_effects)]

use phalanx::{Element, Plain};

mod sealed {
    pub trait Sealed {}
}

/// An unsigned integer that is sorted by its bits. Implemented for `u8` to `u128`; sealed.
pub trait Word: Element + Plain + Ord + Default + sealed::Sealed {
    /// Width in bits.
    const BITS: u32;
    /// The largest word.
    const MAX: Self;
    /// Returns `(self - lo) >> shift` as an index, 0 if `self` is below `lo`, and at most `most`.
    fn digit(self, lo: Self, shift: u32, most: usize) -> usize;
    /// Returns the same as [`Self::digit`] for a word that is not below `lo` and whose digit fits.
    fn digit_inside(self, lo: Self, shift: u32) -> usize;
    /// Returns the number of bits of `self - lo`.
    fn width_above(self, lo: Self) -> u32;
    /// Converts to the widest word.
    fn widen(self) -> u128;
    /// Returns the low bits of the widest word.
    fn narrow(wide: u128) -> Self;
}

macro_rules! words { ($($t:ty)*) => { $(
    impl sealed::Sealed for $t {}
    impl Word for $t {
        const BITS: u32 = <$t>::BITS;
        const MAX: Self = <$t>::MAX;
        #[inline(always)]
        fn digit(self, lo: Self, shift: u32, most: usize) -> usize {
            let digit = self.saturating_sub(lo) >> shift;
            // Clamped as a word, since a wide one need not fit an index.
            digit.min(<$t>::try_from(most).unwrap_or(<$t>::MAX)) as usize
        }
        #[inline(always)]
        fn digit_inside(self, lo: Self, shift: u32) -> usize {
            (self.wrapping_sub(lo) >> shift) as usize
        }
        #[inline(always)]
        fn width_above(self, lo: Self) -> u32 {
            <$t>::BITS.saturating_sub(self.wrapping_sub(lo).leading_zeros())
        }
        #[inline(always)]
        fn widen(self) -> u128 {
            self as u128
        }
        #[inline(always)]
        fn narrow(wide: u128) -> Self {
            wide as $t
        }
    }
)* } }
words!(u8 u16 u32 u64 u128);

/// An element with a total order that radix sorting can use: all integers, `f32` and `f64`. Sealed.
///
/// Floats are ordered as in NumPy: `-inf` first, then numbers, `+inf`, and all NaNs last. Where ties between
/// different bits must be broken, -0.0 comes before +0.0 and NaNs are ordered by their bits.
pub trait Key: Element + sealed::Sealed {
    /// The unsigned integer of the same width.
    type Word: Word;
    /// Returns the word that sorts as this key does, without loss.
    fn to_word(self) -> Self::Word;
    /// Returns the key of a word.
    fn from_word(word: Self::Word) -> Self;
    /// Like [`Self::to_word`], but returns the same word for keys that compare equal: -0.0 and +0.0, and all
    /// NaNs.
    fn to_rank(self) -> Self::Word;
}

macro_rules! unsigned { ($($t:ty)*) => { $(
    impl Key for $t {
        type Word = $t;
        #[inline(always)]
        fn to_word(self) -> $t { self }
        #[inline(always)]
        fn from_word(word: $t) -> $t { word }
        #[inline(always)]
        fn to_rank(self) -> $t { self }
    }
)* } }
unsigned!(u8 u16 u32 u64 u128);

macro_rules! signed { ($($t:ty as $w:ty),*) => { $(
    impl sealed::Sealed for $t {}
    impl Key for $t {
        type Word = $w;
        #[inline(always)]
        fn to_word(self) -> $w { self as $w ^ (1 << (<$w>::BITS - 1)) }
        #[inline(always)]
        fn from_word(word: $w) -> $t { (word ^ (1 << (<$w>::BITS - 1))) as $t }
        #[inline(always)]
        fn to_rank(self) -> $w { self.to_word() }
    }
)* } }
signed!(i8 as u8, i16 as u16, i32 as u32, i64 as u64, i128 as u128);

macro_rules! sized { ($($t:ty as $w:ty),*) => { $(
    impl sealed::Sealed for $t {}
    impl Key for $t {
        type Word = $w;
        #[inline(always)]
        fn to_word(self) -> $w { (self as $w).to_word() }
        #[inline(always)]
        fn from_word(word: $w) -> $t { <$w as Key>::from_word(word) as $t }
        #[inline(always)]
        fn to_rank(self) -> $w { self.to_word() }
    }
)* } }
sized!(usize as u64);
impl sealed::Sealed for isize {}
impl Key for isize {
    type Word = u64;
    #[inline(always)]
    fn to_word(self) -> u64 {
        (self as i64).to_word()
    }
    #[inline(always)]
    fn from_word(word: u64) -> isize {
        i64::from_word(word) as isize
    }
    #[inline(always)]
    fn to_rank(self) -> u64 {
        self.to_word()
    }
}

macro_rules! floats { ($($t:ty as $w:ty, $mantissa:literal);*) => { $(
    impl sealed::Sealed for $t {}
    impl Key for $t {
        type Word = $w;
        // Negative floats sort by their complement, positive ones above them. That puts negative NaNs in
        // front of -inf; subtracting their number turns them round to the end.
        #[inline(always)]
        fn to_word(self) -> $w {
            const SIGN: $w = 1 << (<$w>::BITS - 1);
            const NEGATIVE_NANS: $w = (1 << $mantissa) - 1;
            let bits = self.to_bits();
            let ordered = if bits & SIGN != 0 { !bits } else { bits | SIGN };
            ordered.wrapping_sub(NEGATIVE_NANS)
        }
        #[inline(always)]
        fn from_word(word: $w) -> $t {
            const SIGN: $w = 1 << (<$w>::BITS - 1);
            const NEGATIVE_NANS: $w = (1 << $mantissa) - 1;
            let ordered = word.wrapping_add(NEGATIVE_NANS);
            <$t>::from_bits(if ordered & SIGN != 0 { ordered & !SIGN } else { !ordered })
        }
        #[inline(always)]
        fn to_rank(self) -> $w {
            if self.is_nan() { <$w>::MAX } else { (self + 0.0).to_word() }
        }
    }
)* } }
floats!(f32 as u32, 23; f64 as u64, 52);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn words_of_floats_keep_bits_and_order(a in any::<u64>(), b in any::<u64>()) {
            let (a, b) = (f64::from_bits(a), f64::from_bits(b));
            prop_assert_eq!(f64::from_word(a.to_word()).to_bits(), a.to_bits());
            if let Some(order) = a.partial_cmp(&b).filter(|order| order.is_ne()) {
                prop_assert_eq!(a.to_word().cmp(&b.to_word()), order);
            }
            prop_assert_eq!(a.is_nan() && !b.is_nan(), a.to_word() > b.to_word() && a.is_nan() && !b.is_nan());
        }

        #[test]
        fn words_of_signed_numbers_keep_order(a in any::<i32>(), b in any::<i32>()) {
            prop_assert_eq!(a.to_word().cmp(&b.to_word()), a.cmp(&b));
            prop_assert_eq!(i32::from_word(a.to_word()), a);
            prop_assert_eq!(isize::from_word((a as isize).to_word()), a as isize);
        }
    }

    #[test]
    fn special_floats_lie_where_the_documentation_says() {
        let in_order = [
            f32::NEG_INFINITY,
            -1.0,
            -f32::MIN_POSITIVE,
            -0.0,
            0.0,
            1e-45,
            1.0,
            f32::INFINITY,
            f32::NAN,
            -f32::NAN,
        ];
        assert!(in_order.windows(2).all(|pair| pair[0].to_word() < pair[1].to_word()));
        assert_eq!((-0.0f32).to_rank(), 0.0f32.to_rank());
        assert_eq!(f32::NAN.to_rank(), (-f32::NAN).to_rank());
        assert!(f32::NAN.to_rank() > f32::INFINITY.to_rank());
    }
}
