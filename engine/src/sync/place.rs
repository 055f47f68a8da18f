//! Where an object's words live, and what its handles have in common: they are cheap to clone, travel in
//! messages, and can be rebuilt over the same words by another member.
//!
//! # Safety
//! See `handle::place` for the invariant of a place. Here words are registered with repair for exactly as
//! long as their block is theirs, and handles are built only over places of their own kind: `make` writes the
//! kind, `Place::unpack` compares it, and a launch compares the layout of its operands.
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

pub(crate) use crate::handle::lease::OnLastDrop;
pub(crate) use crate::handle::place::{Expected, Place, PlaceWire as SyncWire};

use crate::handle::place::kind_of;
use crate::memory::AllocError;
use crate::memory::MOST_ALIGN;
use crate::sync::repair::{Registration, RepairFn};
use std::any::Any;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::ptr::NonNull;

/// Shared memory for a lock, counter or similar object could not be allocated.
///
/// Returned by the constructors of this module; nothing was made.
#[derive(thiserror::Error)]
#[error("cannot make a {what}: {source}; it takes {len_bytes} bytes of shared memory")]
#[non_exhaustive]
pub struct CreateError {
    what: &'static str,
    len_bytes: usize,
    #[source]
    source: AllocError,
}

crate::base::debug_is_display!(CreateError);

impl CreateError {
    /// `what`, with this many bytes, could not be allocated because of `source`.
    pub(crate) fn new(what: &'static str, len_bytes: usize, source: AllocError) -> CreateError {
        CreateError { what, len_bytes, source }
    }
}

/// Where the value lies: right behind the word, so that they share a line where they fit.
pub(crate) const fn data_offset<W, T>() -> usize {
    size_of::<W>().next_multiple_of(align_of::<T>())
}

/// A handle that a member can rebuild over the same words.
///
/// # Safety
/// The constructors lay a block out as `Words` and behind them what `Value` names; its kind is these two, so
/// no other type of handle has it with another layout. Whatever `of` makes is sound over every place of that
/// kind, of a length that `fits`, at an address aligned to `ALIGN`; and `of` is called for such places alone.
pub(crate) unsafe trait Remote: Sized {
    /// The words at the base: atomics, or a type without size.
    type Words: 'static;
    /// What follows them.
    type Value: ?Sized + 'static;
    /// What it is, without an article, for error texts.
    const WHAT: &'static str;
    /// Alignment of the first word.
    const ALIGN: usize;
    /// Whether words and value may have this many bytes.
    fn fits(len_bytes: usize) -> bool;
    /// Where it lies.
    fn place(&self) -> &Place;
    /// The words.
    ///
    /// # Panics
    /// In a fork of the program's own.
    #[inline]
    fn words(&self) -> &Self::Words {
        // SAFETY: `of` is called for places of this kind alone, which hold the words at their base for as long
        // as they live; words are atomics, or without size.
        unsafe { self.place().words().cast().as_ref() }
    }
    /// How a member finds it inside a launch.
    fn wire(&self) -> SyncWire {
        self.place().wire()
    }
    /// The handle over a place of its kind.
    fn of(place: Place) -> Self;
    /// Called when a handle has come to this process, over the given place. Returns what to do when its last
    /// clone is dropped.
    fn arrived(_place: Place) -> Option<OnLastDrop> {
        None
    }
    /// What a handle of this type expects at its destination.
    fn expected() -> Expected {
        Expected {
            what: Self::WHAT,
            kind: kind_of::<Self::Words, Self::Value>(),
            align: Self::ALIGN,
            fits: Self::fits,
            arrived: Some(Self::arrived),
        }
    }
    /// Rebuilds the handle for `'w`.
    ///
    /// # Safety
    /// `base` is where this process maps the block of a live handle of the same type, aligned and mapped
    /// read-write during `'w`, and as long as the process lives if the handle is cloned; `wire` is that
    /// handle's.
    unsafe fn from_base<'w>(base: NonNull<u8>, wire: SyncWire) -> Borrowed<'w, Self> {
        // SAFETY: the caller's promise is the place's invariant.
        let place = unsafe { Place::borrowed(base, wire) };
        // A launch's end is no reason to run the last-drop hook: the next one lends the same again.
        drop(Self::arrived(place.lend()));
        Borrowed::new(Self::of(place))
    }
}

/// Makes the place of a new object of type `H`: `init` fills the zeroed words; then they are registered with
/// repair, so that a death never meets half-made words.
pub(crate) fn make<H: Remote>(
    what: &'static str,
    len_bytes: usize,
    init: impl FnOnce(NonNull<u8>),
    repair: Option<RepairFn<H::Words>>,
) -> Result<Place, CreateError> {
    const { assert!(H::ALIGN <= MOST_ALIGN, "what lies in shared memory is aligned to a page at most") };
    // More than there can be is refused below.
    debug_assert!(len_bytes > isize::MAX as usize || H::fits(len_bytes));
    let place =
        Place::make(kind_of::<H::Words, H::Value>(), len_bytes, H::ALIGN, None, upkeep::<H>(init, repair));
    place.map_err(|source| CreateError { what, len_bytes, source })
}

/// As [`make`], with memory behind the first `reserved` bytes only.
pub(crate) fn make_sparse<H: Remote>(
    what: &'static str,
    len_bytes: usize,
    reserved: usize,
    init: impl FnOnce(NonNull<u8>),
    repair: Option<RepairFn<H::Words>>,
) -> Result<Place, CreateError> {
    const { assert!(H::ALIGN <= MOST_ALIGN, "what lies in shared memory is aligned to a page at most") };
    debug_assert!(H::fits(len_bytes));
    let kind = kind_of::<H::Words, H::Value>();
    let place = Place::make_sparse(kind, len_bytes, H::ALIGN, reserved, upkeep::<H>(init, repair));
    place.map_err(|source| CreateError { what, len_bytes, source })
}

/// Fills the words, then registers them with repair.
fn upkeep<H: Remote>(
    init: impl FnOnce(NonNull<u8>),
    repair: Option<RepairFn<H::Words>>,
) -> impl FnOnce(NonNull<u8>) -> Option<Box<dyn Any + Send + Sync>> {
    move |base: NonNull<u8>| {
        init(base);
        let repair = repair?;
        // SAFETY: the words lie at the base, and the registration is dropped before the memory is returned.
        let registration = unsafe { Registration::new(base.cast::<H::Words>(), repair) };
        Some(Box::new(registration) as Box<dyn Any + Send + Sync>)
    }
}

/// Bytes of words followed by one value.
#[expect(clippy::arithmetic_side_effects, reason = "sizes of types, added at compile time")]
pub(crate) const fn len_of<W, V>() -> usize {
    data_offset::<W, V>() + size_of::<V>()
}

/// The larger alignment of the two.
pub(crate) const fn align_of_both<W, V>() -> usize {
    if align_of::<W>() > align_of::<V>() { align_of::<W>() } else { align_of::<V>() }
}

/// Implements [`Remote`], `Clone` and travelling for a handle over the words `$words`, followed by a value of
/// type `$value`.
macro_rules! remote {
    (
        [$($bound:tt)*] $handle:ty, $what:literal, $words:ty, $value:ty,
        |$this:ident| $at:expr, |$place:ident| $make:expr $(, arrived: $arrived:expr)?
    ) => {
        // SAFETY: the same type's constructor makes the block of these words and this value.
        unsafe impl<$($bound)*> crate::sync::place::Remote for $handle {
            type Words = $words;
            type Value = $value;
            const WHAT: &'static str = $what;
            const ALIGN: usize = crate::sync::place::align_of_both::<$words, $value>();
            fn fits(len_bytes: usize) -> bool {
                len_bytes == crate::sync::place::len_of::<$words, $value>()
            }
            fn place(&self) -> &crate::sync::place::Place {
                let $this = self;
                &$at
            }
            fn of($place: crate::sync::place::Place) -> Self {
                $make
            }
            $(fn arrived(place: crate::sync::place::Place) -> Option<crate::sync::place::OnLastDrop> {
                $arrived(place)
            })?
        }
        crate::sync::place::travels!([$($bound)*] $handle);
    };
}
pub(crate) use remote;

/// As [`remote!`], for words followed by any number of values of type `$value`.
macro_rules! remote_slice {
    (
        [$($bound:tt)*] $handle:ty, $what:literal, $words:ty, $value:ty,
        |$this:ident| $at:expr, |$place:ident| $make:expr
    ) => {
        // SAFETY: the same type's constructor makes the block of these words and values.
        unsafe impl<$($bound)*> crate::sync::place::Remote for $handle {
            type Words = $words;
            type Value = [$value];
            const WHAT: &'static str = $what;
            const ALIGN: usize = {
                // Elements that are moved in words must be aligned to them, whatever their type requires.
                let align = crate::sync::place::align_of_both::<$words, $value>();
                if align < 8 { 8 } else { align }
            };
            fn fits(len_bytes: usize) -> bool {
                let values = len_bytes.checked_sub(crate::sync::data_offset::<$words, $value>());
                values.is_some_and(|values| values.is_multiple_of(size_of::<$value>()))
            }
            fn place(&self) -> &crate::sync::place::Place {
                let $this = self;
                &$at
            }
            fn of($place: crate::sync::place::Place) -> Self {
                $make
            }
        }
        crate::sync::place::travels!([$($bound)*] $handle);
    };
}
pub(crate) use remote_slice;

/// Implements `Clone` and travelling for a [`Remote`] handle.
macro_rules! travels {
    ([$($bound:tt)*] $handle:ty) => {
        /// Makes another handle of the same object. Costs a reference count; the object lives until its last
        /// handle is gone.
        impl<$($bound)*> Clone for $handle {
            fn clone(&self) -> Self {
                crate::sync::place::Remote::of(crate::sync::place::Remote::place(self).clone())
            }
        }

        /// Works inside arguments and results of tasks and processes, and messages to and from
        /// managers; elsewhere it returns an error.
        impl<$($bound)*> serde::Serialize for $handle {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                use crate::sync::place::Remote;
                crate::handle::place::serialize(self.place(), <$handle>::WHAT, to)
            }
        }

        /// Works inside arguments and results of tasks and processes, and messages to and from
        /// managers; elsewhere it returns an error.
        impl<'de, $($bound)*> serde::Deserialize<'de> for $handle {
            fn deserialize<S: serde::Deserializer<'de>>(from: S) -> Result<Self, S::Error> {
                use crate::sync::place::Remote;
                Ok(<$handle>::of(crate::handle::place::deserialize(&<$handle>::expected(), from)?))
            }
        }
    };
}
pub(crate) use travels;

/// A handle to an object that lives elsewhere: what a kernel receives for a lock or counter operand.
///
/// It dereferences to the handle itself and cannot outlive the launch `'w`; dropping it frees nothing. A
/// clone of the handle may outlive the launch; the object's memory is then kept as long as the driver lives.
pub struct Borrowed<'w, H> {
    handle: ManuallyDrop<H>,
    _life: PhantomData<&'w H>,
}

impl<H> Borrowed<'_, H> {
    /// Wraps a handle over a borrowed place.
    pub(crate) fn new(handle: H) -> Self {
        Borrowed { handle: ManuallyDrop::new(handle), _life: PhantomData }
    }
}

impl<H> Deref for Borrowed<'_, H> {
    type Target = H;
    fn deref(&self) -> &H {
        &self.handle
    }
}
