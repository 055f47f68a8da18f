//! Where the elements of an array lie, as words of an object in the arena: what handles of arrays name.
//!
//! # Safety
//! `write` is called before anybody else knows the object. `open` believes nothing that it reads: what it
//! returns lies inside a mapping that its caller vouches for.
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use super::shared::byte_len;
use super::{Element, Shape, SharedArray};
use crate::handle::place::Place;
use crate::handle::travel::Unpacking;
use crate::memory::Segment;
use std::ptr::NonNull;
use std::sync::Arc;

/// The words; the lengths of the axes follow.
#[derive(Clone, Copy, Debug, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub(super) struct Descriptor {
    segment: u64,
    offset: u64,
    axes: u64,
}

const FIXED: usize = size_of::<Descriptor>();
pub(super) const WORD: usize = size_of::<u64>();

/// Arrays of more axes do not travel.
const MAX_AXES: usize = 64;

/// Whether a descriptor may have this many bytes.
pub(super) fn fits(len_bytes: usize) -> bool {
    len_bytes.is_multiple_of(WORD) && (FIXED..=FIXED + MAX_AXES * WORD).contains(&len_bytes)
}

impl Descriptor {
    /// Of `array`, or of a part of it that begins `skipped` bytes after its first element.
    pub(super) fn of<T: Element, D: Shape>(array: &SharedArray<T, D>, skipped: usize) -> Descriptor {
        Descriptor {
            segment: array.segment().id().0,
            offset: array.byte_offset().saturating_add(skipped) as u64,
            axes: array.ndim() as u64,
        }
    }

    /// Bytes of the words and the lengths.
    pub(super) fn len_bytes(&self) -> usize {
        FIXED.saturating_add((self.axes as usize).saturating_mul(WORD))
    }

    /// Writes the words and the lengths of the axes, of which there are as many as it says.
    ///
    /// # Safety
    /// As many bytes as `len_bytes` says are the caller's alone at `base`, aligned to words.
    pub(super) unsafe fn write(self, base: NonNull<u8>, shape: &[usize]) {
        debug_assert_eq!(self.axes as usize, shape.len());
        // SAFETY: the caller's promise.
        unsafe { base.cast::<Descriptor>().write(self) };
        // SAFETY: as above.
        let lengths = unsafe { base.add(FIXED) }.cast::<u64>();
        for (i, len) in shape.iter().enumerate() {
            // SAFETY: the i-th length lies inside.
            unsafe { lengths.add(i).write(*len as u64) };
        }
    }
}

/// The elements that a descriptor names which begins `at` bytes into an object, as this process maps them;
/// all of it is checked. `own` is their segment in the process that made them; others resolve it, made
/// writable if asked.
#[expect(
    clippy::arithmetic_side_effects,
    reason = "inside the object, or at most MAX_AXES axes, and none before it is checked"
)]
pub(super) fn open<T: Element, D: Shape>(
    place: &Place,
    at: usize,
    own: Option<&Arc<Segment>>,
    writable: bool,
    unpacking: &mut Unpacking,
) -> Result<(NonNull<T>, D), String> {
    let wrong = |why: &str| Err(why.to_owned());
    if place.len_bytes() < at + FIXED {
        return wrong("its words are cut off");
    }
    let read = |i: usize| {
        // SAFETY: inside the object, whose length is checked before; it does not change once others know it,
        // and if it does, it is read once.
        let word = unsafe { place.base().add(at + i * WORD) };
        // SAFETY: as above; aligned to words.
        unsafe { word.cast::<u64>().as_ptr().read_volatile() }
    };
    let (segment, offset, axes) = (read(0), read(1), read(2));
    let axes = usize::try_from(axes).unwrap_or(usize::MAX);
    if axes > MAX_AXES || place.len_bytes() != at + FIXED + axes * WORD {
        return wrong("its number of axes makes no sense");
    }
    if D::NDIM.is_some_and(|own| own != axes) {
        return wrong("it has another number of axes");
    }
    let mut dim = D::zeros(axes);
    for (i, len) in dim.slice_mut().iter_mut().enumerate() {
        *len = usize::try_from(read(FIXED / WORD + i)).map_err(|_| "an axis is too long")?;
    }
    let len_bytes = byte_len::<T, D>(&dim).map_err(|error| error.to_string())?;
    let (base, segment_bytes) = match own {
        // Made here: the array itself says best where it lies.
        Some(segment) => (segment.base(), segment.len_bytes()),
        None => unpacking.resolve(segment, writable)?,
    };
    let end = usize::try_from(offset).ok().and_then(|offset| offset.checked_add(len_bytes));
    if end.is_none_or(|end| end > segment_bytes) {
        return wrong("it lies outside its segment");
    }
    // SAFETY: inside the mapping, says the check above.
    let ptr = unsafe { base.add(offset as usize) }.cast::<T>();
    if !ptr.is_aligned() {
        return wrong("it is not aligned");
    }
    Ok((ptr, dim))
}
