//! An array as lines along one of its axes.

use crate::error::KernelError;
use crate::layout::resolve;
use ndarray::{Dimension, Ix1, Ix2, Ix3, Ix4, Ix5, Ix6, IxDyn, RemoveAxis, SliceInfo, SliceInfoElem};
use phalanx::{Element, Pool, Shape, SharedArray, SliceRefMut};

mod sealed {
    pub trait Sealed {}
}

/// A number of axes that kernels along an axis accept: 1 to 6, known from the type or not
/// ([`IxDyn`](type@IxDyn)). Sealed.
pub trait Axes: Shape + RemoveAxis + sealed::Sealed {
    /// The shape of what is left when one axis is gone. Arrays of one axis leave an array of one element.
    type Less: Shape;
    /// The shape with one axis more.
    type More: Shape;

    /// The block of an array whose first element and lengths are given, for a launch.
    #[doc(hidden)]
    fn block<'a, T: Element>(
        array: &'a mut SharedArray<T, Self>,
        first: &[usize],
        lengths: &[usize],
    ) -> Result<SliceRefMut<'a, T, Self>, KernelError>;
}

macro_rules! axes { ($($d:ty => $less:ty, $more:ty;)*) => { $(
    impl sealed::Sealed for $d {}
    impl Axes for $d {
        type Less = $less;
        type More = $more;

        fn block<'a, T: Element>(
            array: &'a mut SharedArray<T, $d>,
            first: &[usize],
            lengths: &[usize],
        ) -> Result<SliceRefMut<'a, T, $d>, KernelError> {
            let spans = first.iter().zip(lengths).map(|(first, length)| SliceInfoElem::Slice {
                start: *first as isize,
                end: Some((first + length) as isize),
                step: 1,
            });
            let spans = SliceInfo::<Vec<SliceInfoElem>, $d, $d>::try_from(spans.collect::<Vec<_>>());
            Ok(array.slice_mut(spans.map_err(|error| KernelError::argument("out", error.to_string()))?))
        }
    }
)* } }
axes! {
    Ix1 => Ix1, Ix2;
    Ix2 => Ix1, Ix3;
    Ix3 => Ix2, Ix4;
    Ix4 => Ix3, Ix5;
    Ix5 => Ix4, Ix6;
    Ix6 => Ix5, IxDyn;
    IxDyn => IxDyn, IxDyn;
}

/// An array of zeros with the shape of what is left without `axis`.
pub(super) fn zeros_without<T: Element, D: Axes>(
    pool: &Pool,
    shape: &[usize],
    axis: usize,
) -> Result<SharedArray<T, D::Less>, KernelError> {
    let mut dim = D::Less::zeros(D::Less::NDIM.unwrap_or(shape.len() - 1));
    if shape.len() == 1 {
        dim.slice_mut().fill(1);
    } else {
        let left = shape.iter().enumerate().filter(|(at, _)| *at != axis).map(|(_, &length)| length);
        dim.slice_mut().iter_mut().zip(left).for_each(|(to, length)| *to = length);
    }
    Ok(pool.zeros_nd(dim)?)
}

/// Gives an array one axis more, of length 1, so that axis `axis` of the result is the new one: NumPy's
/// `expand_dims`, and what `keepdims=True` does to a result. Takes the array and copies nothing.
///
/// `axis` counts the axes of the result; negative ones count from its last.
///
/// # Errors
/// `Argument` if the result has no such axis.
///
/// ```
/// # fn main() -> Result<(), phalanx_kernels::KernelError> {
/// # let pool = phalanx::Pool::builder().workers(2).build().unwrap();
/// use phalanx_kernels::axis::{expand_dims, sum};
///
/// let x = pool.from_shape_fn((300, 4), |(i, j)| (i + j) as f64)?;
/// let kept = expand_dims(sum(&pool, &x, 0)?, 0)?;
/// assert_eq!(kept.shape(), [1, 4]);
/// # Ok(())
/// # }
/// ```
#[doc(alias = "keepdims")]
#[doc(alias = "newaxis")]
pub fn expand_dims<T: Element, D: Axes>(
    array: SharedArray<T, D>,
    axis: isize,
) -> Result<SharedArray<T, D::More>, KernelError> {
    let mut shape = array.shape().to_vec();
    shape.push(1);
    let axis = resolve(&shape, axis)?;
    shape.pop();
    shape.insert(axis, 1);
    let mut dim = D::More::zeros(shape.len());
    dim.slice_mut().copy_from_slice(&shape);
    array.reshape(dim).map_err(|_| KernelError::argument("axis", "an axis of length 1 changes no length"))
}
