//! `reduce`: one accumulator per leaf, folded in a fixed tree after the launch.
//!
//! # Safety
//! A leaf's accumulator lies in the launch's scratch and is seen only by the member that claimed the leaf.
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use super::given::writing_grants;
use crate::array::{Element, RangeRefMut, Shape};
use crate::base::Span;
use crate::code::{NoCapture, conjure};
use crate::launch::error::LaunchError;
use crate::launch::grant::MAX_AXES;
use crate::launch::member::chunk::Chunk;
use crate::launch::member::settle::{LeafPlaces, Leaves};
use crate::launch::operand::Operand;
use crate::launch::operand::describe::Description;
use crate::launch::operand::tag::{Tag, sized};
use crate::team::fault::{Fault, FaultKind};
use crate::team::member::{LaunchContext, fault};

/// Accumulators, one per leaf. Returned by [`reduce`](crate::SharedArray::reduce).
pub struct Accumulate<'a, T, D> {
    array: RangeRefMut<'a, T, D>,
    identity: T,
    combine: fn(T, T) -> T,
}

writing_grants! {
    Element;

    /// Grants each kernel call an accumulator of this array's shape, for histograms and the like.
    ///
    /// The index space is divided into at most 256 fixed leaves. Their accumulators together take at most 64
    /// MiB, unless a single one is larger. Every leaf's accumulator starts with `identity` in each element.
    /// After the launch, `combine` folds the accumulators into the array, element by element, in a fixed
    /// tree. What the array held before is the first operand. The result is bit-identical for every number of
    /// workers.
    fn reduce(part, identity: T, combine: impl Fn(T, T) -> T + Copy + Send + Sync + 'static) -> Accumulate {
        Accumulate { array: part, identity, combine: pointer(combine) }
    }
}

impl<T, D: Shape> Accumulate<'_, T, D> {
    /// Elements of an accumulator.
    pub(crate) fn len(&self) -> usize {
        self.array.len()
    }

    /// Folds the accumulators of all leaves, once they are one, into the array.
    pub(crate) fn fold_in(&mut self, total: Vec<T>)
    where
        T: Element,
    {
        let mut array = self.array.view_mut();
        array.iter_mut().zip(total).for_each(|(into, value)| *into = (self.combine)(*into, value));
    }
}

/// A function of this executable that calls `combine`.
fn pointer<T, C>(_carried_by_its_type: C) -> fn(T, T) -> T
where
    C: Fn(T, T) -> T + Copy + Send + Sync + 'static,
{
    const { NoCapture::<C>::OK };
    |a, b| conjure::<C>()(a, b)
}

/// An accumulator operand opened by one member.
pub struct AccumulateLocal<T, D> {
    places: LeafPlaces<T>,
    dim: D,
    identity: T,
}

// SAFETY: see the module.
unsafe impl<T: Element, D: Shape> Operand for Accumulate<'_, T, D> {
    type Wire = (u64, [u64; MAX_AXES], T);
    type Local = AccumulateLocal<T, D>;
    type View<'w> = D::ViewMut<'w, T>;
    const LAYOUT: u64 = sized(Tag::Accumulate, size_of::<T>());

    fn describe(&self, to: &mut Description<'_>) -> Result<(), LaunchError> {
        let what = "a reduce() accumulator";
        if self.array.ndim() == 0 || self.array.ndim() > MAX_AXES {
            return Err(LaunchError::BadGrant { what, why: "arrays of 1 to 6 axes can be operands".into() });
        }
        to.leaf(self.array.part().len_bytes());
        Ok(())
    }
    fn wire(&self) -> Self::Wire {
        let mut shape = [1; MAX_AXES];
        for (to, from) in shape.iter_mut().zip(self.array.shape()) {
            *to = *from as u64;
        }
        (self.array.ndim() as u64, shape, self.identity)
    }
    unsafe fn open(wire: &Self::Wire, context: &mut LaunchContext<'_>) -> Result<Self::Local, Fault> {
        let (axes, shape, identity) = *wire;
        let corrupt = || fault(FaultKind::Corrupt, "an accumulator's shape makes no sense");
        if axes as usize > MAX_AXES || D::NDIM.is_some_and(|own| own as u64 != axes) {
            return Err(corrupt());
        }
        let mut dim = D::zeros(axes as usize);
        for (to, from) in dim.slice_mut().iter_mut().zip(shape) {
            *to = usize::try_from(from).map_err(|_| corrupt())?;
        }
        let places = LeafPlaces::open(context, dim.size())?;
        Ok(AccumulateLocal { places, dim, identity })
    }
    unsafe fn view<'w>(local: &Self::Local, chunk: &Chunk) -> Self::View<'w> {
        // SAFETY: this member claimed the leaf, and sees it through one call's view at a time.
        let place: &'w mut [T] = unsafe { local.places.at(chunk.leaf) };
        if chunk.opens_leaf {
            place.fill(local.identity);
        }
        let rows = Span::new(0, crate::array::rows(&local.dim));
        // SAFETY: the place holds an array of this shape, this call's alone.
        unsafe { D::view_rows_mut(place.as_mut_ptr(), &local.dim, rows) }
    }
    fn settle(&mut self, leaves: &mut Leaves<'_>) {
        let mut level: Vec<Vec<T>> =
            leaves.take::<T>(self.array.len()).into_iter().map(<[T]>::to_vec).collect();
        let combine = self.combine;
        // Neighbours are folded in pairs until one is left: a tree that depends on the number of leaves only.
        while level.len() > 1 {
            let mut next = Vec::with_capacity(level.len().div_ceil(2));
            let mut pairs = level.into_iter();
            while let Some(mut left) = pairs.next() {
                if let Some(right) = pairs.next() {
                    left.iter_mut().zip(right).for_each(|(left, right)| *left = combine(*left, right));
                }
                next.push(left);
            }
            level = next;
        }
        if let Some(total) = level.pop() {
            self.fold_in(total);
        }
    }
}
