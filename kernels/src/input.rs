//! What kernels read: shared arrays as they are, ndarray arrays, views and slices as copies.
#![deny(clippy::arithmetic_side_effects)]

use crate::error::KernelError;
use crate::inline::is_inline;
use ndarray::{ArrayBase, ArrayRef, ArrayView, Data, Dimension, Ix1};
use phalanx::{Element, FrozenArray, MappedArray, Pool, Shape, SharedArray};
use std::borrow::Cow;
use std::ops::Deref;

mod sealed {
    /// Kernels trust an input, in unsafe code too: its view, length and elements must belong to one array.
    pub trait Sealed {}
}
use sealed::Sealed;

/// An array that a kernel can read. The trait is sealed: kernels rely on its view, length and elements to
/// agree.
///
/// - [`SharedArray`], [`MappedArray`] and [`FrozenArray`] are read in place. (A frozen array that another
///   process made is copied, like an ndarray array.)
/// - ndarray arrays and views of any layout, slices, `Vec` and `[T; N]` are copied into a shared array once
///   per call. Reserving its pages and copying cost more than most kernels. To call kernels on the same data
///   more than once, make the shared array yourself, with [`Pool::from_ndarray`] or [`Pool::from_slice`].
///
/// Short inputs, below [`INLINE_ELEMENTS`](crate::INLINE_ELEMENTS), are read in place in either case.
///
/// ```
/// use ndarray::{Array2, s};
/// use phalanx_kernels::{KernelError, reduce};
///
/// # fn main() -> Result<(), KernelError> {
/// # let pool = phalanx::Pool::builder().workers(2).build().unwrap();
/// let table = Array2::<f64>::from_elem((300, 400), 0.5);
/// assert_eq!(reduce::sum(&pool, &table)?, 60_000.0);
/// assert_eq!(reduce::sum(&pool, &table.slice(s![.., ..;2]))?, 30_000.0);
/// assert_eq!(reduce::sum(&pool, &pool.from_ndarray(&table)?)?, 60_000.0);
/// assert_eq!(reduce::sum(&pool, &[1.0f64, 2.0, 4.0])?, 7.0);
/// # Ok(())
/// # }
/// ```
///
/// A type of your own passes the array that it holds; it cannot implement the trait itself:
///
/// ```compile_fail,E0277
/// use phalanx_kernels::{Input, KernelError, Shared};
///
/// struct Mine;
/// impl Input for Mine {
///     type Elem = f64;
///     type Dim = ndarray::Ix2;
///     fn view(&self) -> ndarray::ArrayView2<'_, f64> {
///         ndarray::ArrayView2::from_shape((1000, 1000), &[0.0; 1_000_000]).unwrap()
///     }
///     fn share(&self, _: &phalanx::Pool) -> Result<Shared<'_, f64, ndarray::Ix2>, KernelError> {
///         Ok(Shared::Copied(phalanx::SharedArray::zeros((1, 1))?))
///     }
///     fn elements(&self) -> std::borrow::Cow<'_, [f64]> {
///         vec![0.0].into()
///     }
/// }
/// ```
pub trait Input: Sealed {
    /// The element type.
    type Elem: Element;
    /// The ndarray dimension of the array.
    type Dim: Shape;

    /// Returns the array as an ndarray view.
    fn view(&self) -> ArrayView<'_, Self::Elem, Self::Dim>;

    /// Returns the array in shared memory, where workers can read it: the array itself, or a copy.
    ///
    /// # Errors
    /// `Memory` if there is not enough for the copy.
    fn share(&self, pool: &Pool) -> Result<Shared<'_, Self::Elem, Self::Dim>, KernelError>;

    /// Returns the number of elements.
    fn len(&self) -> usize {
        self.view().len()
    }

    /// Returns whether there are no elements.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the length of each axis.
    fn shape(&self) -> Vec<usize> {
        self.view().shape().to_vec()
    }

    /// Returns all elements in row-major order, copied only if they are stored in another order.
    fn elements(&self) -> Cow<'_, [Self::Elem]>;
}

/// An input in shared memory, where workers can read it.
#[derive(Debug)]
pub enum Shared<'a, T, D: Dimension> {
    /// The caller's array.
    Own(&'a SharedArray<T, D>),
    /// A copy for this call.
    Copied(SharedArray<T, D>),
}

impl<T, D: Dimension> Deref for Shared<'_, T, D> {
    type Target = SharedArray<T, D>;
    fn deref(&self) -> &SharedArray<T, D> {
        match self {
            Shared::Own(array) => array,
            Shared::Copied(array) => array,
        }
    }
}

/// All elements of an input in row-major order, for the caller to read.
pub(crate) enum Flat<'a, T: Element, D: Dimension> {
    /// In place, or a copy if they are few.
    Own(Cow<'a, [T]>),
    /// A copy in shared memory, where running out of memory is an error: a view may repeat one element
    /// without end.
    Shared(Shared<'a, T, D>),
}

impl<T: Element, D: Shape> Deref for Flat<'_, T, D> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        match self {
            Flat::Own(elements) => elements,
            Flat::Shared(array) => array.as_slice(),
        }
    }
}

/// Returns the elements of an input of any length. For short inputs [`Input::elements`] is cheaper.
pub(crate) fn flat<'a, I: Input + ?Sized>(
    pool: &Pool,
    x: &'a I,
) -> Result<Flat<'a, I::Elem, I::Dim>, KernelError> {
    Ok(match x.view().to_slice() {
        Some(elements) => Flat::Own(Cow::Borrowed(elements)),
        None if is_inline(x.len()) => Flat::Own(x.elements()),
        None => Flat::Shared(x.share(pool)?),
    })
}

impl<T, D: Dimension> Sealed for SharedArray<T, D> {}
impl<T: Element, D: Shape> Input for SharedArray<T, D> {
    type Elem = T;
    type Dim = D;

    fn view(&self) -> ArrayView<'_, T, D> {
        SharedArray::view(self)
    }
    fn share(&self, _pool: &Pool) -> Result<Shared<'_, T, D>, KernelError> {
        Ok(Shared::Own(self))
    }
    fn len(&self) -> usize {
        SharedArray::len(self)
    }
    fn elements(&self) -> Cow<'_, [T]> {
        Cow::Borrowed(self.as_slice())
    }
}

impl<T, D: Dimension> Sealed for MappedArray<T, D> {}
impl<T: Element, D: Shape> Input for MappedArray<T, D> {
    type Elem = T;
    type Dim = D;

    fn view(&self) -> ArrayView<'_, T, D> {
        SharedArray::view(self)
    }
    fn share(&self, _pool: &Pool) -> Result<Shared<'_, T, D>, KernelError> {
        Ok(Shared::Own(self))
    }
    fn len(&self) -> usize {
        SharedArray::len(self)
    }
    fn elements(&self) -> Cow<'_, [T]> {
        Cow::Borrowed(self.as_slice())
    }
}

impl<T, D> Sealed for FrozenArray<T, D> {}
impl<T: Element, D: Shape> Input for FrozenArray<T, D> {
    type Elem = T;
    type Dim = D;

    fn view(&self) -> ArrayView<'_, T, D> {
        FrozenArray::view(self)
    }
    fn share(&self, pool: &Pool) -> Result<Shared<'_, T, D>, KernelError> {
        Ok(match self.as_array() {
            Some(array) => Shared::Own(array),
            None => Shared::Copied(pool.from_ndarray(&FrozenArray::view(self))?),
        })
    }
    fn elements(&self) -> Cow<'_, [T]> {
        Cow::Borrowed(self.as_slice())
    }
}

impl<T, D: Dimension, S: Data<Elem = T>> Sealed for ArrayBase<S, D> {}
impl<T: Element, D: Shape, S: Data<Elem = T>> Input for ArrayBase<S, D> {
    type Elem = T;
    type Dim = D;

    fn view(&self) -> ArrayView<'_, T, D> {
        ArrayRef::view(self)
    }
    fn share(&self, pool: &Pool) -> Result<Shared<'_, T, D>, KernelError> {
        Ok(Shared::Copied(pool.from_ndarray(self)?))
    }
    fn len(&self) -> usize {
        ArrayBase::len(self)
    }
    fn elements(&self) -> Cow<'_, [T]> {
        self.as_slice().map_or_else(|| self.iter().copied().collect(), Cow::Borrowed)
    }
}

macro_rules! slices { ($( [$($bound:tt)*] $slice:ty ),*) => { $(
    impl<$($bound)*> Sealed for $slice {}
    impl<$($bound)*> Input for $slice {
        type Elem = T;
        type Dim = Ix1;

        fn view(&self) -> ArrayView<'_, T, Ix1> {
            ArrayView::from(&self[..])
        }
        fn share(&self, pool: &Pool) -> Result<Shared<'_, T, Ix1>, KernelError> {
            Ok(Shared::Copied(pool.from_slice(self)?))
        }
        fn len(&self) -> usize {
            self[..].len()
        }
        fn elements(&self) -> Cow<'_, [T]> {
            Cow::Borrowed(self)
        }
    }
)* } }
slices!([T: Element] [T], [T: Element] Vec<T>, [T: Element, const N: usize] [T; N]);
