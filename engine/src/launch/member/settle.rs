//! Leaf results: where members store them, and how the driver folds them.
//!
//! # Safety
//! The driver makes a [`Leaves`] after a successful launch, over the scratch that the launch's members
//! filled. Each taker reads the places that the same operand wrote, since both take them in the order of the
//! operands.
#![allow(unsafe_code)]
#![deny(
    clippy::arithmetic_side_effects,
    reason = "sizes come from the program; what wraps would leave the array"
)]

use crate::launch::operand::describe::LEAF_ALIGN;
use crate::team::fault::{Fault, FaultKind};
use crate::team::member::{LaunchContext, fault};
use bytemuck::Pod;
use std::marker::PhantomData;

/// The leaves' results of one launch, in the order in which operands asked for them.
pub struct Leaves<'a> {
    base: *const u8,
    leaves: usize,
    used: usize,
    scratch: PhantomData<&'a [u8]>,
}

impl<'a> Leaves<'a> {
    /// # Safety
    /// `base` holds, for `'a`, what a successful launch of `leaves` claim units with the same operands left.
    pub(crate) unsafe fn new(base: *const u8, leaves: usize) -> Leaves<'a> {
        Leaves { base, leaves, used: 0, scratch: PhantomData }
    }

    /// Takes the next operand's leaves: `len` values per leaf.
    pub(crate) fn take<T: Pod>(&mut self, len: usize) -> Vec<&'a [T]> {
        let stride = stride_of::<T>(len);
        let start = self.used;
        // This does not wrap, here and below: the members found these places inside the scratch
        // (`LeafPlaces::open`).
        self.used = self.used.wrapping_add(stride.wrapping_mul(self.leaves));
        (0..self.leaves)
            .map(|leaf| {
                // SAFETY: inside the scratch by the contract of `new`, at a multiple of LEAF_ALIGN, above
                // which no `T` is aligned (`stride_of`); plain data.
                unsafe {
                    std::slice::from_raw_parts(
                        self.base.add(start.wrapping_add(leaf.wrapping_mul(stride))).cast(),
                        len,
                    )
                }
            })
            .collect()
    }
}

/// Bytes from one leaf's `len` values to the next leaf's. Larger than any memory if no memory can hold that
/// many.
fn stride_of<T>(len: usize) -> usize {
    const { assert!(align_of::<T>() <= LEAF_ALIGN, "what is folded in leaves is aligned to 128 bytes at most") };
    let bytes = len.saturating_mul(size_of::<T>());
    bytes.checked_next_multiple_of(LEAF_ALIGN).unwrap_or(usize::MAX)
}

/// Where one operand's leaves lie, for a member.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LeafPlaces<T> {
    base: *mut u8,
    stride: usize,
    len: usize,
    item: PhantomData<T>,
}

impl<T: Pod> LeafPlaces<T> {
    /// Takes the next operand's places: `len` values per leaf.
    pub(crate) fn open(context: &mut LaunchContext<'_>, len: usize) -> Result<LeafPlaces<T>, Fault> {
        let leaves = context.plan()?.units;
        let stride = stride_of::<T>(len);
        let (order, used) = (context.order, context.scratch_used);
        let fits =
            |bytes: &usize| used.checked_add(*bytes as u64).is_some_and(|end| end <= order.scratch_len);
        let bytes = stride.checked_mul(leaves).filter(fits);
        let bytes =
            bytes.ok_or_else(|| fault(FaultKind::Corrupt, "the scratch is too small for the leaves"))?;
        context.scratch_used = used.saturating_add(bytes as u64);
        let base =
            context.attach(order.scratch_segment, order.scratch_offset.saturating_add(used), bytes, true)?;
        Ok(LeafPlaces { base, stride, len, item: PhantomData })
    }

    /// What an earlier launch with this scratch left for `leaf`.
    ///
    /// # Safety
    /// It is a leaf of the plan, and nobody writes its place meanwhile.
    pub(crate) unsafe fn get<'w>(&self, leaf: usize) -> &'w [T] {
        // SAFETY: `open` checked the range for all leaves of the plan; plain data; not written, by the
        // caller's word.
        unsafe { std::slice::from_raw_parts(self.base.add(leaf.wrapping_mul(self.stride)).cast(), self.len) }
    }

    /// The place of `leaf`.
    ///
    /// # Safety
    /// The leaf is claimed by this member, and no other view of its place lives.
    pub(crate) unsafe fn at<'w>(&self, leaf: usize) -> &'w mut [T] {
        // SAFETY: `open` checked the range for all leaves of the plan; plain data; the caller's alone.
        unsafe {
            std::slice::from_raw_parts_mut(self.base.add(leaf.wrapping_mul(self.stride)).cast(), self.len)
        }
    }
}

/// Folds `leaves` values in a fixed binary tree, so that the result depends on their number only.
pub(crate) fn fold_tree<A: Copy>(leaves: &[A], combine: &impl Fn(A, A) -> A) -> Option<A> {
    match leaves {
        [] => None,
        [one] => Some(*one),
        many => {
            let half = many.len().div_ceil(2);
            let (left, right) = many.split_at(half);
            Some(combine(fold_tree(left, combine)?, fold_tree(right, combine)?))
        }
    }
}
