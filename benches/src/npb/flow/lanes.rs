//! Arithmetic on a vector of neighbouring lines: formulas are written once, for numbers that are as wide as
//! this CPU's vectors.

use pulp::Simd;
use std::ops::{Add, AddAssign, Mul, Neg, Sub, SubAssign};

/// One number of each line.
#[derive(Clone, Copy)]
pub struct Lanes<S: Simd> {
    simd: S,
    value: S::f64s,
}

impl<S: Simd> Lanes<S> {
    /// The same number in every line.
    #[inline(always)]
    pub fn splat(simd: S, value: f64) -> Self {
        Lanes { simd, value: simd.splat_f64s(value) }
    }

    /// What a vector in memory holds.
    #[inline(always)]
    pub fn load(simd: S, from: &S::f64s) -> Self {
        Lanes { simd, value: *from }
    }

    /// Five of them.
    #[inline(always)]
    pub fn load5(simd: S, from: &[S::f64s; 5]) -> [Self; 5] {
        let mut five = [Self::splat(simd, 0.0); 5];
        for (lanes, from) in five.iter_mut().zip(from) {
            lanes.value = *from;
        }
        five
    }

    /// As it lies in memory.
    #[inline(always)]
    pub fn value(self) -> S::f64s {
        self.value
    }

    /// `self * factor + term`, rounded once where the CPU can.
    #[inline(always)]
    pub fn times_plus(self, factor: Self, term: Self) -> Self {
        Lanes { simd: self.simd, value: self.simd.mul_add_e_f64s(self.value, factor.value, term.value) }
    }

    /// `self - left * right`, rounded once where the CPU can.
    #[inline(always)]
    pub fn minus_product(self, left: Self, right: Self) -> Self {
        (-left).times_plus(right, self)
    }

    /// Every line's number in the line behind it; the last one's in the first.
    #[inline(always)]
    pub fn rotated_right(self) -> Self {
        Lanes { simd: self.simd, value: self.simd.rotate_right_f64s(self.value, 1) }
    }

    /// Every line's number in the line before it; the first one's in the last.
    #[inline(always)]
    pub fn rotated_left(self) -> Self {
        Lanes { simd: self.simd, value: self.simd.rotate_left_f64s(self.value, 1) }
    }

    /// One divided by it.
    #[inline(always)]
    pub fn inverse(self) -> Self {
        let one = self.simd.splat_f64s(1.0);
        Lanes { simd: self.simd, value: self.simd.div_f64s(one, self.value) }
    }

    /// Its square root.
    #[inline(always)]
    pub fn sqrt(self) -> Self {
        Lanes { simd: self.simd, value: self.simd.sqrt_f64s(self.value) }
    }
}

/// Stores five.
#[inline(always)]
pub fn store5<S: Simd>(to: &mut [S::f64s; 5], five: [Lanes<S>; 5]) {
    for (to, lanes) in to.iter_mut().zip(five) {
        *to = lanes.value;
    }
}

macro_rules! operator {
    ($trait:ident $method:ident $simd:ident) => {
        impl<S: Simd> $trait for Lanes<S> {
            type Output = Self;
            #[inline(always)]
            fn $method(self, other: Self) -> Self {
                Lanes { simd: self.simd, value: self.simd.$simd(self.value, other.value) }
            }
        }
        impl<S: Simd> $trait<f64> for Lanes<S> {
            type Output = Self;
            #[inline(always)]
            fn $method(self, other: f64) -> Self {
                self.$method(Lanes::splat(self.simd, other))
            }
        }
    };
}
operator!(Add add add_f64s);
operator!(Sub sub sub_f64s);
operator!(Mul mul mul_f64s);

impl<S: Simd> Neg for Lanes<S> {
    type Output = Self;
    #[inline(always)]
    fn neg(self) -> Self {
        Lanes { simd: self.simd, value: self.simd.neg_f64s(self.value) }
    }
}

impl<S: Simd> AddAssign for Lanes<S> {
    #[inline(always)]
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl<S: Simd> SubAssign for Lanes<S> {
    #[inline(always)]
    fn sub_assign(&mut self, other: Self) {
        *self = *self - other;
    }
}
