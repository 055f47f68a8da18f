//! `SharedList<T>`: items of any serde type in a fixed room.
//!
//! Words: a lock, the number of items, and the two sizes, which never change. Then slots. A slot has two
//! halves, each with a length and bytes, and a word that says which half counts.
//!
//! | actor, under the lock | step | a death after it leaves |
//! |---|---|---|
//! | setter | S1 bytes and length into the half that does not count | the old item |
//! | | S2 the other half counts, in one store | the new item |
//! | pusher | S1, S2 in the slot behind the last, P1 one item more | without P1, the list as it was |
//! | popper | Q1 one item fewer | - |
//!
//! So at every instant the list is sound, and the next holder after a death has nothing to repair: it clears
//! the poison and goes on. Values that make no sense (a length beyond the slot) are an error, never a read
//! past the end.
//!
//! # Safety
//! Slots lie behind the words in one block, whose length `of` compares with the sizes before any use; they
//! are touched only under the lock, which gives one thread at a time exclusive access.
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use crate::base::atomic::{AtomicU32, AtomicU64, Ordering};
use crate::base::notation;
use crate::sync::place::{self, CreateError, Place, Remote};
use crate::sync::wait::Patience;
use crate::sync::{Held, LockError, LockWord};
use crate::sys::fork;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::marker::PhantomData;
use std::ptr::NonNull;

/// A type that a [`SharedList`] can hold: any type that serde can serialize and deserialize.
pub trait Item: Serialize + DeserializeOwned + 'static {}

impl<T: Serialize + DeserializeOwned + 'static> Item for T {}

/// A list operation failed; nothing was changed.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum ListError {
    /// No more items fit.
    #[error("the list is full: it has room for {capacity} items; make it larger, or pop some first")]
    Full {
        /// Capacity of the list.
        capacity: usize,
    },
    /// The index is out of range.
    #[error("item {index} was asked for, but the list has {len}")]
    OutOfRange {
        /// The index.
        index: usize,
        /// Number of items in the list.
        len: usize,
    },
    /// The item, as bytes, does not fit into its slot.
    #[error(
        "the item takes {needed} bytes, but the list was made for items of {room} bytes at most; make it with more"
    )]
    TooLarge {
        /// Size of the item in bytes.
        needed: usize,
        /// Size of a slot in bytes.
        room: usize,
    },
    /// serde refused the item, or the stored bytes are not an item of this type.
    #[error("the item cannot be written to or read from the list: {why}")]
    Codec {
        /// The error message.
        why: String,
    },
    /// The list's lock could not be acquired.
    #[error("the list cannot be used now: {0}")]
    Lock(#[from] LockError),
    /// Shared memory could not be allocated.
    #[error(transparent)]
    Create(#[from] CreateError),
    /// The words in shared memory hold what no list operation writes.
    #[error(
        "the list's {what} in shared memory is {seen}, which no list operation writes; unsafe code in some process wrote \
         past its data; make a new list"
    )]
    Corrupt {
        /// The affected word.
        what: &'static str,
        /// The value found there.
        seen: u64,
    },
}

crate::base::debug_is_display!(ListError);

#[derive(Debug)]
#[repr(C)]
pub(crate) struct ListWords {
    lock: LockWord,
    len: AtomicU64,
    capacity: AtomicU64,
    item_bytes: AtomicU64,
}

/// Before a slot's bytes: which half counts, and the length of each.
#[derive(Debug)]
#[repr(C)]
struct SlotWords {
    counts: AtomicU32,
    lens: [AtomicU32; 2],
    _pad: u32,
}

const WORDS: usize = size_of::<ListWords>();
/// Most bytes that an item can take: its length travels in 32 bits.
const MOST_ITEM_BYTES: usize = u32::MAX as usize / 2;
const SLOT: usize = size_of::<SlotWords>();

#[cfg(not(loom))]
const _: () = assert!(WORDS == 32 && SLOT == 16);

/// A list of at most `capacity` items of any serde type in shared memory. It corresponds to
/// `multiprocessing.shared_memory.ShareableList`, but items may have any size up to a limit and can be pushed
/// and popped.
///
/// Every call holds the list's lock for the duration of a copy, and blocks while another thread or process
/// holds it. **If a process dies in the middle of a call, the change is either complete or has not
/// happened**: no reader sees half an item, and nothing needs to be recovered. Items are copied in and out;
/// to change one in place, use [`update`](SharedList::update).
///
/// Cost: two buffers of `item_bytes` plus 16 bytes per item; an uncontended lock and two copies per call.
///
/// ```
/// use phalanx::shared::SharedList;
///
/// let names = SharedList::new(100, 32)?;
/// names.push(&("ada".to_owned(), 1815))?;
/// names.push(&("grace".to_owned(), 1906))?;
/// names.update(0, |(name, _)| name.make_ascii_uppercase())?;
/// assert_eq!(names.get(0)?, ("ADA".to_owned(), 1815));
/// assert_eq!(names.pop()?, Some(("grace".to_owned(), 1906)));
/// assert_eq!(names.len()?, 1);
/// # Ok::<(), phalanx::shared::ListError>(())
/// ```
#[doc(alias = "ShareableList")]
pub struct SharedList<T> {
    place: Place,
    capacity: usize,
    item_bytes: usize,
    _items: PhantomData<fn(T) -> T>,
}

impl<T: Item> SharedList<T> {
    /// Creates an empty list with room for `capacity` items of at most `item_bytes` serialized bytes each. A
    /// number takes 1 to 9 bytes, a string its length plus 2, a list its items plus 3, a struct its fields
    /// with their names plus 3. [`ListError::TooLarge`] reports the size of an item.
    ///
    /// # Errors
    /// - [`CreateError`] if shared memory cannot be allocated.
    pub fn new(capacity: usize, item_bytes: usize) -> Result<SharedList<T>, CreateError> {
        let possible = item_bytes.clamp(1, MOST_ITEM_BYTES).next_multiple_of(8);
        // More than any memory has is refused below.
        let slot = if possible < item_bytes { usize::MAX } else { stride(possible) };
        let (item_bytes, len_bytes) = (possible, capacity.saturating_mul(slot).saturating_add(WORDS));
        let init = |base: NonNull<u8>| {
            // SAFETY: the block is long enough, zeroed, and all zero is a valid word.
            let words = unsafe { base.cast::<ListWords>().as_ref() };
            words.capacity.store(capacity as u64, Ordering::Relaxed);
            words.item_bytes.store(item_bytes as u64, Ordering::Relaxed);
        };
        let repair = |words: &ListWords, dead| words.lock.repair(dead);
        Ok(SharedList::of(place::make::<SharedList<T>>("list", len_bytes, init, Some(repair))?))
    }

    /// Creates a list of these items, with one slot per item. Each slot has `item_bytes` bytes, or as many as
    /// the largest item needs if that is more.
    ///
    /// # Errors
    /// - [`ListError::Create`], [`ListError::Codec`].
    pub fn from_items<'a>(
        items: impl IntoIterator<Item = &'a T>,
        item_bytes: usize,
    ) -> Result<SharedList<T>, ListError> {
        let items: Vec<Vec<u8>> = items.into_iter().map(encoded).collect::<Result<_, _>>()?;
        let largest = items.iter().map(Vec::len).max().unwrap_or(0);
        let list = SharedList::new(items.len(), largest.max(item_bytes))?;
        let open = list.open()?;
        items.iter().try_for_each(|bytes| open.push(bytes).map(drop))?;
        drop(open);
        Ok(list)
    }

    /// Returns the number of items.
    ///
    /// # Errors
    /// - [`ListError::Lock`], [`ListError::Corrupt`].
    pub fn len(&self) -> Result<usize, ListError> {
        self.open()?.len()
    }

    /// Returns true if the list is empty.
    ///
    /// # Errors
    /// Same as [`len`](SharedList::len).
    pub fn is_empty(&self) -> Result<bool, ListError> {
        Ok(self.len()? == 0)
    }

    /// Returns the capacity in items.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Returns the largest size of an item in bytes.
    pub fn item_bytes(&self) -> usize {
        self.item_bytes
    }

    /// Returns a copy of an item.
    ///
    /// # Errors
    /// - [`ListError::OutOfRange`], [`ListError::Codec`], [`ListError::Lock`], [`ListError::Corrupt`].
    pub fn get(&self, index: usize) -> Result<T, ListError> {
        let bytes = self.open()?.read(index)?;
        decoded(&bytes)
    }

    /// Replaces an item.
    ///
    /// # Errors
    /// Same as [`get`](SharedList::get), plus [`ListError::TooLarge`].
    pub fn set(&self, index: usize, item: &T) -> Result<(), ListError> {
        let bytes = encoded(item)?;
        self.open()?.write(index, &bytes)
    }

    /// Changes an item in place while holding the lock: calls to the same list inside `change` return
    /// [`LockError::WouldDeadlock`]. If `change` panics, the item is unchanged.
    ///
    /// # Errors
    /// Same as [`set`](SharedList::set).
    pub fn update<R>(&self, index: usize, change: impl FnOnce(&mut T) -> R) -> Result<R, ListError> {
        let open = self.open()?;
        let mut item = decoded(&open.read(index)?)?;
        let result = change(&mut item);
        open.write(index, &encoded(&item)?)?;
        Ok(result)
    }

    /// Appends an item and returns its index.
    ///
    /// # Errors
    /// - [`ListError::Full`], [`ListError::TooLarge`], [`ListError::Codec`], [`ListError::Lock`],
    ///   [`ListError::Corrupt`].
    pub fn push(&self, item: &T) -> Result<usize, ListError> {
        let bytes = encoded(item)?;
        self.open()?.push(&bytes)
    }

    /// Removes and returns the last item; `None` if the list is empty.
    ///
    /// # Errors
    /// Same as [`get`](SharedList::get), except `OutOfRange`.
    pub fn pop(&self) -> Result<Option<T>, ListError> {
        let open = self.open()?;
        let Some(last) = open.len()?.checked_sub(1) else { return Ok(None) };
        let item = decoded(&open.read(last)?)?;
        open.words.len.store(last as u64, Ordering::Relaxed);
        Ok(Some(item))
    }

    /// Removes all items.
    ///
    /// # Errors
    /// Same as [`len`](SharedList::len).
    pub fn clear(&self) -> Result<(), ListError> {
        self.open()?.words.len.store(0, Ordering::Relaxed);
        Ok(())
    }

    /// Returns a consistent snapshot of all items.
    ///
    /// # Errors
    /// Same as [`get`](SharedList::get).
    pub fn to_vec(&self) -> Result<Vec<T>, ListError> {
        let open = self.open()?;
        let all: Vec<Vec<u8>> = (0..open.len()?).map(|i| open.read(i)).collect::<Result<_, _>>()?;
        drop(open);
        all.iter().map(|bytes| decoded(bytes)).collect()
    }

    /// Takes the lock, from the dead too (see the module).
    fn open(&self) -> Result<Open<'_>, ListError> {
        if fork::is_foreign() {
            return Err(ListError::Lock(LockError::Forked));
        }
        // SAFETY: the place holds the words at its base for as long as it lives.
        let words = unsafe { self.place.base().cast::<ListWords>().as_ref() };
        let held = match Held::take(&words.lock, Patience::Forever) {
            Ok(held) => held,
            Err(LockError::OwnerDied(held)) => {
                held.clear_poison();
                held
            }
            Err(other) => return Err(ListError::Lock(other.map(drop))),
        };
        // SAFETY: the block begins with the words; so many slots follow, says `of`.
        let slots = unsafe { self.place.base().add(WORDS) };
        Ok(Open { words, slots, capacity: self.capacity, item_bytes: self.item_bytes, _held: held })
    }
}

/// Bytes of a slot.
fn stride(item_bytes: usize) -> usize {
    SLOT.saturating_add(item_bytes.saturating_mul(2))
}

fn encoded<T: Item>(item: &T) -> Result<Vec<u8>, ListError> {
    notation::to_vec(item).map_err(|error| ListError::Codec { why: error.to_string() })
}

fn decoded<T: Item>(bytes: &[u8]) -> Result<T, ListError> {
    notation::read(bytes).map_err(|error| ListError::Codec { why: error.to_string() })
}

/// The list with its lock held.
struct Open<'a> {
    words: &'a ListWords,
    slots: NonNull<u8>,
    capacity: usize,
    item_bytes: usize,
    _held: Held<'a>,
}

impl Open<'_> {
    fn len(&self) -> Result<usize, ListError> {
        let seen = self.words.len.load(Ordering::Relaxed);
        let len = usize::try_from(seen).ok().filter(|&len| len <= self.capacity);
        len.ok_or(ListError::Corrupt { what: "length", seen })
    }

    /// The words of a slot below the capacity, and its two halves.
    #[expect(
        clippy::arithmetic_side_effects,
        reason = "below the capacity, and so many slots lie in the block"
    )]
    fn slot(&self, index: usize) -> (&SlotWords, [NonNull<u8>; 2]) {
        assert!(index < self.capacity, "slots are looked up below the capacity");
        // SAFETY: so many slots lie in the block.
        let slot = unsafe { self.slots.add(index * stride(self.item_bytes)) };
        // SAFETY: a slot has its words and two halves.
        let first = unsafe { slot.add(SLOT) };
        // SAFETY: as above.
        let second = unsafe { first.add(self.item_bytes) };
        // SAFETY: a slot begins with its words, aligned as strides are multiples of 8.
        (unsafe { slot.cast::<SlotWords>().as_ref() }, [first, second])
    }

    fn read(&self, index: usize) -> Result<Vec<u8>, ListError> {
        let have = self.len()?;
        if index >= have {
            return Err(ListError::OutOfRange { index, len: have });
        }
        let (words, halves) = self.slot(index);
        let half = (words.counts.load(Ordering::Relaxed) & 1) as usize;
        let len = words.lens[half].load(Ordering::Relaxed) as usize;
        if len > self.item_bytes {
            return Err(ListError::Corrupt { what: "length of an item", seen: len as u64 });
        }
        // SAFETY: inside the half, and the lock is held.
        Ok(unsafe { std::slice::from_raw_parts(halves[half].as_ptr(), len) }.to_vec())
    }

    fn write(&self, index: usize, bytes: &[u8]) -> Result<(), ListError> {
        let len = self.len()?;
        if index >= len {
            return Err(ListError::OutOfRange { index, len });
        }
        self.put(index, bytes)
    }

    fn push(&self, bytes: &[u8]) -> Result<usize, ListError> {
        let len = self.len()?;
        if len == self.capacity {
            return Err(ListError::Full { capacity: len });
        }
        self.put(len, bytes)?;
        // Release, as in `put`: not before the item.
        self.words.len.store((len as u64).wrapping_add(1), Ordering::Release);
        Ok(len)
    }

    /// Steps S1 and S2.
    fn put(&self, index: usize, bytes: &[u8]) -> Result<(), ListError> {
        if bytes.len() > self.item_bytes {
            return Err(ListError::TooLarge { needed: bytes.len(), room: self.item_bytes });
        }
        let (words, halves) = self.slot(index);
        let other = (words.counts.load(Ordering::Relaxed) & 1 ^ 1) as usize;
        // SAFETY: it fits into the half, which nobody else touches while the lock is held.
        unsafe { halves[other].as_ptr().copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
        words.lens[other].store(bytes.len() as u32, Ordering::Relaxed);
        // Release: a death after this store has made those before it.
        words.counts.store(other as u32, Ordering::Release);
        Ok(())
    }
}

impl<T> std::fmt::Debug for SharedList<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SharedList")
            .field("capacity", &self.capacity)
            .field("item_bytes", &self.item_bytes)
            .finish()
    }
}

// SAFETY: `new` makes a block of these words and slots; `of` takes the sizes from the block only if they give
// its length.
unsafe impl<T: Item> Remote for SharedList<T> {
    type Words = ListWords;
    type Value = [T];
    const WHAT: &'static str = "list";
    const ALIGN: usize = 8;
    fn fits(len_bytes: usize) -> bool {
        len_bytes >= WORDS
    }
    fn place(&self) -> &Place {
        &self.place
    }
    fn of(place: Place) -> Self {
        let (capacity, item_bytes) = {
            // SAFETY: the place holds the words at its base.
            let words = unsafe { place.base().cast::<ListWords>().as_ref() };
            (words.capacity.load(Ordering::Relaxed), words.item_bytes.load(Ordering::Relaxed))
        };
        let (capacity, item_bytes) = (capacity as usize, item_bytes as usize);
        let sound = item_bytes.is_multiple_of(8)
            && capacity
                .checked_mul(stride(item_bytes))
                .and_then(|slots| slots.checked_add(WORDS))
                .is_some_and(|all| all == place.len_bytes());
        // Sizes that make no sense are those of a list without room.
        let (capacity, item_bytes) = if sound { (capacity, item_bytes) } else { (0, 0) };
        SharedList { place, capacity, item_bytes, _items: PhantomData }
    }
}
crate::sync::place::travels!([T: Item] SharedList<T>);
