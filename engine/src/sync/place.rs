//! Where an object's words live and what keeps them alive.
//!
//! # Safety
//! The invariant of a `Place`: `base` points to `len` readable and writable bytes, aligned to `align`, that stay
//! mapped while the place lives (`keep` owns them, or the maker of a borrowed place promised it), are shared only through
//! the atomics of one word struct and the value that a lock guards, and were all zero before that struct's first use.
#![allow(unsafe_code)]

use crate::memory::{AllocError, Segment, arena};
use crate::sync::repair::{Registration, RepairFn};
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::ptr::NonNull;
use std::sync::Arc;

/// How another process finds an object's words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub(crate) struct SyncWire {
    /// The segment.
    pub(crate) segment: u64,
    /// Bytes from its base.
    pub(crate) offset: u64,
}

/// Shared memory for a lock, counter or the like could not be had.
///
/// Raised by the constructors of this module; nothing was made.
#[derive(Debug, thiserror::Error)]
#[error("cannot make a {what}: {source}; a {what} takes {len_bytes} bytes of shared memory")]
#[non_exhaustive]
pub struct CreateError {
    what: &'static str,
    len_bytes: usize,
    #[source]
    source: AllocError,
}

impl CreateError {
    /// `what`, of so many bytes, could not be had because of `source`.
    pub(crate) fn new(what: &'static str, len_bytes: usize, source: AllocError) -> CreateError {
        CreateError { what, len_bytes, source }
    }
}

/// The memory of one object.
pub(crate) struct Place {
    base: NonNull<u8>,
    wire: SyncWire,
    /// Dropped before `keep`, by field order: repair must never look at returned memory.
    registration: Option<Registration>,
    keep: Option<arena::Block>,
}

// SAFETY: by the invariant the bytes are touched only through atomics and under locks, which any thread may do.
unsafe impl Send for Place {}
// SAFETY: as for `Send`.
unsafe impl Sync for Place {}

// A panic leaves atomics in a state of their protocol, and values under a lock reported as suspect.
impl std::panic::UnwindSafe for Place {}
impl std::panic::RefUnwindSafe for Place {}

impl Place {
    /// Zeroed memory for a `what` of `len_bytes` with `align`, reachable by every member: a block of the arena.
    fn allocate(len_bytes: usize, align: usize, what: &'static str) -> Result<Place, CreateError> {
        let block = arena::allocate(len_bytes, align);
        let block = block.map_err(|source| CreateError { what, len_bytes, source })?;
        let wire = SyncWire { segment: block.segment().id().0, offset: block.offset() as u64 };
        Ok(Place { base: block.ptr(), wire, registration: None, keep: Some(block) })
    }

    /// A place for the words `W` followed, `data_offset` bytes from the base, by a value; initialised by
    /// `init`, then known to repair, so that a death never meets half-made words.
    pub(crate) fn make<W>(
        what: &'static str,
        len_bytes: usize,
        align: usize,
        init: impl FnOnce(&Place),
        repair: Option<RepairFn<W>>,
    ) -> Result<Place, CreateError> {
        // A line of its own, so that two objects never slow each other down (see `Line` for the 128).
        let mut place = Place::allocate(len_bytes, align.max(128), what)?;
        init(&place);
        if let Some(repair) = repair {
            // SAFETY: the words lie at the base, and the registration is dropped before `keep` returns the memory.
            place.registration = Some(unsafe { Registration::new(place.base.cast::<W>(), repair) });
        }
        Ok(place)
    }

    /// A place in memory that somebody else keeps alive.
    ///
    /// # Safety
    /// `base` has the module's invariant for as long as the place is used.
    pub(crate) unsafe fn borrowed(base: NonNull<u8>, wire: SyncWire) -> Place {
        Place { base, wire, registration: None, keep: None }
    }

    pub(crate) fn base(&self) -> NonNull<u8> {
        self.base
    }

    pub(crate) fn wire(&self) -> SyncWire {
        self.wire
    }

    /// The segment it lies in; `None` for a borrowed place.
    pub(crate) fn segment(&self) -> Option<&Arc<Segment>> {
        self.keep.as_ref().map(arena::Block::segment)
    }
}

/// A handle that a member can rebuild over the same words.
///
/// # Safety
/// `from_base` needs no more than `LEN_BYTES` bytes at an address aligned to `ALIGN`, where `place` leads to in its process.
pub(crate) unsafe trait Remote: Sized {
    /// What it is, with its article, for error texts.
    const WHAT: &'static str;
    /// Bytes of words and value.
    const LEN_BYTES: usize;
    /// Alignment of the first.
    const ALIGN: usize;
    /// Where it lies.
    fn place(&self) -> &Place;
    /// How another process finds it.
    fn wire(&self) -> SyncWire {
        self.place().wire()
    }
    /// Rebuilds the handle for `'w`.
    ///
    /// # Safety
    /// `base` is where this process maps the block of a live handle of the same type, aligned and mapped read-write during
    /// `'w`.
    unsafe fn from_base<'w>(base: NonNull<u8>, wire: SyncWire) -> Borrowed<'w, Self>;
}

/// Implements [`Remote`] for a handle over the words `$words`, followed by a value of type `$value`.
macro_rules! remote {
    ([$($bound:tt)*] $handle:ty, $what:literal, $words:ty, $value:ty, |$this:ident| $place:expr) => {
        // SAFETY: the same type's constructor makes the block of these words and this value.
        unsafe impl<$($bound)*> crate::sync::place::Remote for $handle {
            const WHAT: &'static str = $what;
            const LEN_BYTES: usize = crate::sync::lock::data_offset::<$words, $value>() + size_of::<$value>();
            const ALIGN: usize =
                if align_of::<$words>() > align_of::<$value>() { align_of::<$words>() } else { align_of::<$value>() };
            fn place(&self) -> &Place {
                let $this = self;
                &$place
            }
            unsafe fn from_base<'w>(base: NonNull<u8>, wire: SyncWire) -> Borrowed<'w, Self> {
                // SAFETY: the caller's promise.
                unsafe { <$handle>::from_base(base, wire) }
            }
        }
    };
}
pub(crate) use remote;

/// A handle to an object that lives elsewhere: what a kernel gets for a lock or counter operand.
///
/// It dereferences to the handle itself and cannot outlive the launch `'w`; dropping it frees nothing.
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
