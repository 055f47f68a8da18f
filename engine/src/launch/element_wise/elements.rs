//! What element-wise kernels read and write: chunks as plain runs of elements.
#![deny(clippy::arithmetic_side_effects)]

use crate::array::{Element, Shape};
use crate::base::up_to_eight;
use crate::launch::error::LaunchError;
use crate::launch::grant::{Split, SplitFlat, SplitMut, SplitOut};
use crate::launch::operand::Operand;
use std::ops::Range;

/// Sealed: the engine relies on there being no other implementations.
mod sealed {
    use crate::base::up_to_eight;
    use crate::launch::grant::{Split, SplitFlat, SplitMut, SplitOut};
    use std::ops::Range;

    pub trait Elements {}
    impl<T, D> Elements for Split<'_, T, D> {}
    impl<T, D> Elements for SplitFlat<'_, T, D> {}
    impl Elements for Range<usize> {}
    macro_rules! tuples { ($( ($($input:ident $i:tt),+) )*) => { $(
        impl<$($input: Elements),+> Elements for ($($input,)+) {}
    )* } }
    up_to_eight!(tuples);

    pub trait MapOutput {}
    impl<U, D> MapOutput for SplitMut<'_, U, D> {}
    impl<U, D> MapOutput for SplitOut<'_, U, D> {}
}

/// What is read element by element, by [`map_into`](crate::Pool::map_into) and searches such as
/// [`find_first`](crate::Pool::find_first): [`split`](crate::SharedArray::split) of an array of any
/// dimension, [`split_flat`](crate::SharedArray::split_flat), an index range, or a tuple of up to 8 of these.
/// The function receives one element of each, as a tuple where there is a tuple.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be read element by element",
    label = "not elements",
    note = "inputs are `a.split()` of arrays of any dimension, `a.split_flat()`, an index range `0..n`, and tuples of up to 8 of these"
)]
pub trait Elements: sealed::Elements + Operand {
    /// What the kernel receives for each element.
    type Item;
    /// One chunk, seen as runs of elements.
    #[doc(hidden)]
    type Lanes<'w>: Copy;
    /// Calls `then` with the lengths of the axes; of a tuple, with those of its first part.
    #[doc(hidden)]
    fn with_shape<R>(&self, then: impl FnOnce(&[usize]) -> R) -> R;
    /// Refuses what has another shape.
    #[doc(hidden)]
    fn check_shape(&self, shape: &[usize]) -> Result<(), LaunchError>;
    /// Refuses parts of different shapes. Returns the number of rows.
    #[doc(hidden)]
    fn checked_rows(&self) -> Result<usize, LaunchError> {
        self.with_shape(|shape| {
            self.check_shape(shape)?;
            Ok(shape.first().copied().unwrap_or(0))
        })
    }
    /// The element at `index`, in row-major order, as the caller sees it.
    #[doc(hidden)]
    fn get(&self, index: usize) -> Option<Self::Item>;
    /// Elements of a view; of a tuple, of its first part.
    #[doc(hidden)]
    fn count(view: &Self::View<'_>) -> usize;
    /// The first `len` elements of a view. Panics if there are fewer.
    #[doc(hidden)]
    fn lanes<'w>(view: Self::View<'w>, len: usize) -> Self::Lanes<'w>;
    /// The element at `index`, which is below the `len` of the lanes.
    #[doc(hidden)]
    fn at(lanes: Self::Lanes<'_>, index: usize) -> Self::Item;
}

fn same_shape(what: &'static str, own: &[usize], shape: &[usize]) -> Result<(), LaunchError> {
    if own == shape {
        return Ok(());
    }
    let why = format!("its shape is {own:?}, but another operand's is {shape:?}; they must be equal");
    Err(LaunchError::BadGrant { what, why })
}

impl<T: Element, D: Shape> Elements for Split<'_, T, D> {
    type Item = T;
    type Lanes<'w> = &'w [T];

    fn check_shape(&self, shape: &[usize]) -> Result<(), LaunchError> {
        same_shape("a split() array", self.0.shape(), shape)
    }
    fn with_shape<R>(&self, then: impl FnOnce(&[usize]) -> R) -> R {
        then(self.0.shape())
    }
    fn get(&self, index: usize) -> Option<T> {
        self.0.view().to_slice()?.get(index).copied()
    }
    #[inline]
    fn count(view: &Self::View<'_>) -> usize {
        D::count(view)
    }
    #[inline]
    fn lanes<'w>(view: Self::View<'w>, len: usize) -> Self::Lanes<'w> {
        &D::elements(view)[..len]
    }
    #[inline]
    fn at(lanes: &[T], index: usize) -> T {
        lanes[index]
    }
}

impl<T: Element, D: Shape> Elements for SplitFlat<'_, T, D> {
    type Item = T;
    type Lanes<'w> = &'w [T];

    fn with_shape<R>(&self, then: impl FnOnce(&[usize]) -> R) -> R {
        then(&[self.0.len()])
    }
    fn check_shape(&self, shape: &[usize]) -> Result<(), LaunchError> {
        same_shape("a split_flat() array", &[self.0.len()], shape)
    }
    fn get(&self, index: usize) -> Option<T> {
        self.0.view().to_slice()?.get(index).copied()
    }
    #[inline]
    fn count(view: &Self::View<'_>) -> usize {
        view.len()
    }
    #[inline]
    fn lanes<'w>(view: Self::View<'w>, len: usize) -> Self::Lanes<'w> {
        &view[..len]
    }
    #[inline]
    fn at(lanes: &[T], index: usize) -> T {
        lanes[index]
    }
}

impl Elements for Range<usize> {
    type Item = usize;
    type Lanes<'w> = usize;

    fn check_shape(&self, shape: &[usize]) -> Result<(), LaunchError> {
        same_shape("an index range", &[self.len()], shape)
    }
    fn with_shape<R>(&self, then: impl FnOnce(&[usize]) -> R) -> R {
        then(&[self.len()])
    }
    fn get(&self, index: usize) -> Option<usize> {
        self.clone().nth(index)
    }
    #[inline]
    fn count(view: &Self::View<'_>) -> usize {
        view.len()
    }
    #[inline]
    fn lanes<'w>(view: Self::View<'w>, len: usize) -> Self::Lanes<'w> {
        assert_eq!(view.len(), len, "a chunk of an index range is as long as the output's");
        view.start
    }
    #[inline]
    fn at(start: usize, index: usize) -> usize {
        // No wrap: inside the range.
        start.wrapping_add(index)
    }
}

macro_rules! tuples { ($( ($($input:ident $i:tt),+) )*) => { $(
    impl<$($input: Elements),+> Elements for ($($input,)+) {
        type Item = ($($input::Item,)+);
        type Lanes<'w> = ($($input::Lanes<'w>,)+);

        fn check_shape(&self, shape: &[usize]) -> Result<(), LaunchError> {
            $( self.$i.check_shape(shape)?; )+
            Ok(())
        }
        fn with_shape<R>(&self, then: impl FnOnce(&[usize]) -> R) -> R {
            self.0.with_shape(then)
        }
        fn get(&self, index: usize) -> Option<Self::Item> {
            Some(($( self.$i.get(index)?, )+))
        }
        #[inline]
        fn count(view: &Self::View<'_>) -> usize {
            A::count(&view.0)
        }
        #[inline]
        fn lanes<'w>(view: Self::View<'w>, len: usize) -> Self::Lanes<'w> {
            ($( $input::lanes(view.$i, len), )+)
        }
        #[inline]
        fn at(lanes: Self::Lanes<'_>, index: usize) -> Self::Item {
            ($( $input::at(lanes.$i, index), )+)
        }
    }
)* } }
up_to_eight!(tuples);

/// What an element-wise kernel writes: [`split_out`](crate::SharedArray::split_out) or
/// [`split_mut`](crate::SharedArray::split_mut) of an array of any dimension.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be written element by element",
    label = "not an output",
    note = "the output is `a.split_out()`, or `a.split_mut()`, of an array"
)]
pub trait MapOutput<U>: sealed::MapOutput + Operand {
    /// The array's dimension.
    type Dim: Shape;
    #[doc(hidden)]
    fn dim(&self) -> &Self::Dim;
    /// All elements of a view.
    #[doc(hidden)]
    fn elements<'w>(view: Self::View<'w>) -> &'w mut [U];
}

macro_rules! outputs { ($($grant:ident)*) => { $(
    impl<U: Element, D: Shape> MapOutput<U> for $grant<'_, U, D> {
        type Dim = D;

        fn dim(&self) -> &D {
            self.0.part().raw_dim()
        }
        #[inline]
        fn elements<'w>(view: Self::View<'w>) -> &'w mut [U] {
            D::elements_mut(view)
        }
    }
)* } }
outputs!(SplitMut SplitOut);
