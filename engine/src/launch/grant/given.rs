//! How grants are given: each is written once, and is a method of arrays and of ranges of them.
#![deny(clippy::arithmetic_side_effects)]

/// Reading grants, as methods of [`SharedArray`](crate::SharedArray), [`FrozenArray`](crate::FrozenArray) and
/// [`RangeRef`](crate::RangeRef).
macro_rules! reading_grants {
    ($bound:path; $(
        $(#[$doc:meta])*
        fn $name:ident($part:ident $(, $argument:ident: $kind:ty)*) -> $grant:ident { $make:expr }
    )+) => {
        impl<T: $bound, D: $crate::array::Shape> $crate::array::SharedArray<T, D> { $(
            $(#[$doc])*
            pub fn $name(&self $(, $argument: $kind)*) -> $grant<'_, T, D> {
                let $part = $crate::array::RangeRef::of(self);
                $make
            }
        )+ }

        impl<T: $bound, D: $crate::array::Shape> $crate::array::FrozenArray<T, D> { $(
            #[doc = concat!(
                "Same as [`SharedArray::", stringify!($name),
                "`](crate::array::SharedArray::", stringify!($name),
                "). The array can be granted in the process that made it only."
            )]
            pub fn $name(&self $(, $argument: $kind)*) -> $grant<'_, T, D> {
                let $part = $crate::array::RangeRef::of_frozen(self);
                $make
            }
        )+ }

        impl<'a, T: $bound, D: $crate::array::Shape> $crate::array::RangeRef<'a, T, D> { $(
            #[doc = concat!(
                "[`SharedArray::", stringify!($name), "`](crate::array::SharedArray::", stringify!($name),
                ") of these rows."
            )]
            pub fn $name(&self $(, $argument: $kind)*) -> $grant<'a, T, D> {
                let $part = self.clone();
                $make
            }
        )+ }
    };
}

/// Writing grants, as methods of [`SharedArray`](crate::SharedArray) and
/// [`RangeRefMut`](crate::RangeRefMut).
macro_rules! writing_grants {
    ($bound:path; $(
        $(#[$doc:meta])*
        fn $name:ident($part:ident $(, $argument:ident: $kind:ty)*) -> $grant:ident { $make:expr }
    )+) => {
        impl<T: $bound, D: $crate::array::Shape> $crate::array::SharedArray<T, D> { $(
            $(#[$doc])*
            pub fn $name(&mut self $(, $argument: $kind)*) -> $grant<'_, T, D> {
                let $part = $crate::array::RangeRefMut::of(self);
                $make
            }
        )+ }

        impl<'a, T: $bound, D: $crate::array::Shape> $crate::array::RangeRefMut<'a, T, D> { $(
            #[doc = concat!(
                "[`SharedArray::", stringify!($name), "`](crate::array::SharedArray::", stringify!($name),
                ") of these rows."
            )]
            pub fn $name(self $(, $argument: $kind)*) -> $grant<'a, T, D> {
                let $part = self;
                $make
            }
        )+ }
    };
}

pub(super) use {reading_grants, writing_grants};
