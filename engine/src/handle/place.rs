//! Where a small shared object lives in the arena, and what keeps it there: its maker, a lease, or somebody's
//! borrow.
//!
//! Every object stands behind a [`Tag`] that says what it is. Whoever finds an object by numbers from a
//! message believes the tag, checked, and nothing else.
//!
//! # Safety
//! The invariant of a `Place`: `base` points to `len_bytes` readable and writable bytes, a tag before them,
//! that stay mapped while the place lives (`keep` owns them, or leases them, see `travel`, or who made it by
//! `borrowed` promised it, or who called `lend` keeps the place lent), are shared only through the atomics of
//! one word struct and the values that it guards or not written once others know them (a frozen array's
//! descriptor), and were all zero before that struct's first use. Of a sparse object only the first
//! `reserved` bytes are backed; who touches more populates it first.
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use super::lease::{Lease, OnLastDrop};
use super::travel::{self, Packing};
use crate::base::atomic::{AtomicU32, AtomicU64, Ordering};
use crate::base::member::{self, MemberId};
use crate::code;
use crate::memory::arena::{self, Block};
use crate::memory::{AllocError, Segment};
use crate::sys::fork;
use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use std::any::Any;
use std::ptr::NonNull;
// Plain on purpose: process-local.
use std::sync::atomic::{AtomicBool, AtomicU64 as SerialCount};
use std::sync::{Arc, LazyLock, Weak};

/// What an object is, right before its first byte. Written by its maker before anybody else knows the object;
/// only `pinned` changes later.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Tag {
    /// What lies behind the tag; never 0.
    kind: AtomicU64,
    /// Bytes of it.
    len_bytes: AtomicU64,
    /// The process in whose arena it lies.
    maker: AtomicU32,
    /// Not 0 once a member holds a handle that its maker does not know of: the memory is never given back
    /// then.
    pinned: AtomicU32,
    /// No other object of the maker ever has the same: a line of a message that outlived its object leads
    /// nowhere, whatever lies in its place by then.
    serial: AtomicU64,
}

const TAG: usize = 32;

/// How many objects this process has made.
static MADE: SerialCount = SerialCount::new(0);

#[cfg(not(loom))]
const _: () = assert!(size_of::<Tag>() == TAG && align_of::<Tag>() <= 16);

/// Name of a layout: words `W` and, behind them, a value `V`. The same in all members, as they run the same
/// build.
pub(crate) fn kind_of<W: 'static, V: ?Sized + 'static>() -> u64 {
    code::type_key::<fn(*const W, *const V)>()
}

/// How another member finds an object's words inside a launch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub(crate) struct PlaceWire {
    /// The segment.
    pub(crate) segment: u64,
    /// Bytes from its base to the words.
    pub(crate) offset: u64,
    /// Bytes of words and value.
    pub(crate) len_bytes: u64,
}

/// What an object's maker owns of it.
struct Content {
    /// Dropped before `block`, by field order: a line in repair's list, say, which must never look at
    /// returned memory.
    upkeep: Option<Box<dyn Any + Send + Sync>>,
    /// A segment that the object's words name: those who get a handle get it too, made writable if `.1`.
    with: Option<(Arc<Segment>, bool)>,
    block: Block,
}

/// An object in the process that made it; handles share it.
pub(crate) struct SharedBody {
    content: Option<Content>,
    listed: AtomicBool,
    base: NonNull<u8>,
    wire: PlaceWire,
    _shared: fork::Shared,
}

// SAFETY: by the invariant of `Place` the bytes are touched only through atomics and under locks, or not
// written.
unsafe impl Send for SharedBody {}
// SAFETY: as for `Send`.
unsafe impl Sync for SharedBody {}

/// Objects of this process that have been sent somewhere, by segment and offset: who gets such an object back
/// shares it.
enum Known {
    Alive(Weak<SharedBody>),
    /// All handles here are gone, but it is pinned.
    Kept(Content),
}

type Sent = FxHashMap<(u64, u64), Known>;
static SENT: LazyLock<Mutex<Sent>> = LazyLock::new(|| Mutex::new(Sent::default()));

/// What an object's place keeps alive.
#[derive(Clone)]
enum Keep {
    Owned(Arc<SharedBody>),
    Leased(Arc<Lease>),
    /// The maker keeps it forever.
    Pinned,
    /// Somebody else does, for as long as the place is used.
    Borrowed,
}

/// The memory of one object, as seen by one handle.
pub(crate) struct Place {
    base: NonNull<u8>,
    wire: PlaceWire,
    keep: Keep,
}

// SAFETY: by the invariant the bytes are touched only through atomics and under locks, or not written any
// more; any thread may do that.
unsafe impl Send for Place {}
// SAFETY: as for `Send`.
unsafe impl Sync for Place {}

// A panic leaves atomics in a state of their protocol, and values under a lock reported as suspect.
impl std::panic::UnwindSafe for Place {}
impl std::panic::RefUnwindSafe for Place {}

impl Clone for Place {
    fn clone(&self) -> Place {
        let keep = match &self.keep {
            Keep::Borrowed => self.keep_cold(),
            keep => keep.clone(),
        };
        Place { base: self.base, wire: self.wire, keep }
    }
}

impl Place {
    /// Zeroed memory of the arena for an object of this kind; `init` fills it before anybody else knows it,
    /// and what it returns is dropped before the memory is given back.
    pub(crate) fn make(
        kind: u64,
        len_bytes: usize,
        align: usize,
        with: Option<(Arc<Segment>, bool)>,
        init: impl FnOnce(NonNull<u8>) -> Option<Box<dyn Any + Send + Sync>>,
    ) -> Result<Place, AllocError> {
        let head = TAG.next_multiple_of(align);
        // A line of its own, so that two objects never slow each other down (see `Line` for the 128).
        let block = arena::allocate(head.saturating_add(len_bytes), align.max(128))?;
        Ok(Place::fill(block, kind, head, len_bytes, with, init))
    }

    /// As [`make`](Place::make), on a page and with memory behind the first `reserved` bytes only: the rest
    /// is populated by whoever touches it.
    pub(crate) fn make_sparse(
        kind: u64,
        len_bytes: usize,
        align: usize,
        reserved: usize,
        init: impl FnOnce(NonNull<u8>) -> Option<Box<dyn Any + Send + Sync>>,
    ) -> Result<Place, AllocError> {
        let head = TAG.next_multiple_of(align);
        let block = arena::allocate_sparse(head.saturating_add(len_bytes), head.saturating_add(reserved))?;
        Ok(Place::fill(block, kind, head, len_bytes, None, init))
    }

    /// The object in its block, `head` bytes from its start.
    fn fill(
        block: Block,
        kind: u64,
        head: usize,
        len_bytes: usize,
        with: Option<(Arc<Segment>, bool)>,
        init: impl FnOnce(NonNull<u8>) -> Option<Box<dyn Any + Send + Sync>>,
    ) -> Place {
        // SAFETY: `head` bytes of the block lie before the object.
        let base = unsafe { block.ptr().add(head) };
        let wire = PlaceWire {
            segment: block.segment().id().0,
            offset: block.offset().wrapping_add(head) as u64,
            len_bytes: len_bytes as u64,
        };
        // SAFETY: the tag lies in the block, before `base`; the block is zeroed, which is a valid tag.
        let tag = unsafe { tag_before(base) };
        tag.kind.store(kind, Ordering::Relaxed);
        tag.len_bytes.store(wire.len_bytes, Ordering::Relaxed);
        tag.maker.store(member::current_member().0, Ordering::Relaxed);
        tag.serial.store(MADE.fetch_add(1, std::sync::atomic::Ordering::Relaxed), Ordering::Relaxed);
        let content = Some(Content { upkeep: init(base), with, block });
        Place::of_body(Arc::new(SharedBody {
            content,
            listed: AtomicBool::new(false),
            base,
            wire,
            _shared: fork::Shared::new(),
        }))
    }

    fn of_body(body: Arc<SharedBody>) -> Place {
        Place { base: body.base, wire: body.wire, keep: Keep::Owned(body) }
    }

    /// A place in memory that somebody else keeps alive.
    ///
    /// # Safety
    /// `base` has the module's invariant for as long as the place is used; clones of it may be used forever.
    pub(crate) unsafe fn borrowed(base: NonNull<u8>, wire: PlaceWire) -> Place {
        Place { base, wire, keep: Keep::Borrowed }
    }

    /// The same place, as long as the caller keeps this one.
    pub(crate) fn lend(&self) -> Place {
        Place { base: self.base, wire: self.wire, keep: Keep::Borrowed }
    }

    /// Where value and words lie. In a fork of the program's own nothing can be touched there; whoever calls
    /// makes sure that it is none, or gives out references whose use ends it.
    pub(crate) fn base(&self) -> NonNull<u8> {
        self.base
    }

    /// Where the words lie, for methods that cannot fail otherwise.
    ///
    /// # Panics
    /// In a fork of the program's own.
    #[inline]
    pub(crate) fn words(&self) -> NonNull<u8> {
        if fork::is_foreign() {
            in_the_wrong_process();
        }
        self.base
    }

    pub(crate) fn wire(&self) -> PlaceWire {
        self.wire
    }

    /// Bytes of words and value.
    pub(crate) fn len_bytes(&self) -> usize {
        self.wire.len_bytes as usize
    }

    /// The segment it lies in; `None` if this process did not make the object.
    pub(crate) fn segment(&self) -> Option<&Arc<Segment>> {
        match &self.keep {
            Keep::Owned(body) => body.content.as_ref().map(|content| content.block.segment()),
            _ => None,
        }
    }

    /// Whether this is a clone of what was only lent to this process.
    pub(crate) fn is_pinned(&self) -> bool {
        matches!(self.keep, Keep::Pinned)
    }

    /// What the maker gave to be kept with the object, in the process that made it.
    pub(crate) fn upkeep<U: 'static>(&self) -> Option<&U> {
        match &self.keep {
            Keep::Owned(body) => body.content.as_ref()?.upkeep.as_ref()?.downcast_ref(),
            _ => None,
        }
    }

    /// What the maker gave to be kept with the object, where this is the only handle anywhere.
    pub(crate) fn into_upkeep(self) -> Result<Option<Box<dyn Any + Send + Sync>>, Place> {
        let Place { base, wire, keep } = self;
        match keep {
            keep if fork::is_foreign() => Err(Place { base, wire, keep }),
            Keep::Owned(body) => match Arc::try_unwrap(body) {
                Ok(mut body) if !body.is_pinned() => {
                    Ok(body.content.as_mut().and_then(|content| content.upkeep.take()))
                }
                Ok(body) => Err(Place::of_body(Arc::new(body))),
                Err(body) => Err(Place::of_body(body)),
            },
            keep => Err(Place { base, wire, keep }),
        }
    }

    /// Lists the object, so that a handle which comes back, or is cloned in a kernel of this process, shares
    /// it.
    pub(crate) fn list(&self) {
        if let Keep::Owned(body) = &self.keep {
            body.list();
        }
    }

    /// What keeps a clone of a borrowed place: its maker's table in this process, else a pin.
    #[cold]
    fn keep_cold(&self) -> Keep {
        if fork::is_foreign() {
            return Keep::Borrowed;
        }
        if self.is_made_here()
            && let Some(body) = find(self.wire.segment, self.wire.offset, self.serial())
        {
            return Keep::Owned(body);
        }
        self.pin();
        Keep::Pinned
    }

    fn tag(&self) -> &Tag {
        // SAFETY: every object has a tag before it, mapped as long as the object is.
        unsafe { tag_before(self.base) }
    }

    fn pin(&self) {
        // Ordered before the maker's look by whatever tells the maker that this member is done (a launch's
        // end, a task's result), or not at all if this process dies, and then nobody needs the pin.
        self.tag().pinned.store(1, Ordering::Release);
    }

    fn serial(&self) -> u64 {
        self.tag().serial.load(Ordering::Relaxed)
    }

    fn is_made_here(&self) -> bool {
        MemberId(self.tag().maker.load(Ordering::Relaxed)) == member::current_member()
    }

    /// Puts this place into the message that is being packed, and gives its line there (see `travel`).
    pub(crate) fn pack(&self, what: &'static str) -> Result<u32, travel::TravelError> {
        if fork::is_foreign() {
            return Err(travel::TravelError::Forked { what });
        }
        let maker = self.tag().maker.load(Ordering::Relaxed);
        let kind = self.tag().kind.load(Ordering::Relaxed);
        let line = travel::with_packing(what, |packing| {
            match &self.keep {
                Keep::Owned(body) => body.pack(packing)?,
                Keep::Leased(lease) if packing.may_return(maker, lease) => packing.add(lease.clone()),
                Keep::Pinned => {}
                Keep::Leased(_) | Keep::Borrowed => match self.keep_cold() {
                    Keep::Owned(body) => body.pack(packing)?,
                    _pinned => {}
                },
            }
            let (segment, offset) = (self.wire.segment, self.wire.offset);
            let serial = self.serial();
            Ok(packing.note(travel::Wire { maker: maker.into(), segment, offset, kind, serial }))
        })?;
        line.map_err(|source| travel::TravelError::Memory { what, source })
    }

    /// Finds the object that a line of the message names that is being unpacked; see `travel`.
    pub(crate) fn unpack(line: u32, shape: &Expected) -> Result<Place, travel::TravelError> {
        travel::with_unpacking(shape.what, |unpacking| {
            let wire = unpacking.line(line)?;
            if wire.kind != shape.kind {
                return Err(format!("what lies there is no {} of this type", shape.what));
            }
            let maker = MemberId(wire.maker as u32);
            if maker == member::current_member() {
                let body =
                    find(wire.segment, wire.offset, wire.serial).ok_or("it does not exist any more")?;
                return match body.tag().kind.load(Ordering::Relaxed) == shape.kind {
                    true => Ok(Place::of_body(body)),
                    false => Err(format!("what lies there is no {} of this type", shape.what)),
                };
            }
            if maker != MemberId::DRIVER {
                let why =
                    "made by a worker, whose memory no other process maps; make it in the driver and pass it";
                return Err(format!("it was {why}"));
            }
            let (base, len_bytes) = unpacking.resolve(wire.segment, true)?;
            Place::open(base, len_bytes, &wire, shape, unpacking)
        })
    }

    /// Checks a place that a message names in a segment mapped here, and leases it.
    fn open(
        segment: NonNull<u8>,
        segment_bytes: usize,
        wire: &travel::Wire,
        shape: &Expected,
        unpacking: &mut travel::Unpacking,
    ) -> Result<Place, String> {
        let outside = || format!("offset {} lies outside its segment or is not aligned", wire.offset);
        let offset = usize::try_from(wire.offset).map_err(|_| outside())?;
        let aligned = offset.is_multiple_of(shape.align.max(align_of::<Tag>()));
        if offset < TAG || offset >= segment_bytes || !aligned {
            return Err(outside());
        }
        // SAFETY: inside the mapping, says the check above.
        let base = unsafe { segment.add(offset) };
        if !base.addr().get().is_multiple_of(shape.align.max(align_of::<Tag>())) {
            return Err(outside());
        }
        // SAFETY: the tag's bytes lie inside the mapping before `base`, aligned; atomics may have any value.
        let tag = unsafe { tag_before(base) };
        let (kind, len_bytes) = (tag.kind.load(Ordering::Relaxed), tag.len_bytes.load(Ordering::Relaxed));
        if kind != shape.kind || u64::from(tag.maker.load(Ordering::Relaxed)) != wire.maker {
            return Err(format!("no {} of this type lies there", shape.what));
        }
        if tag.serial.load(Ordering::Relaxed) != wire.serial {
            return Err("it does not exist any more".into());
        }
        match usize::try_from(len_bytes) {
            Ok(len) if len <= segment_bytes.saturating_sub(offset) && (shape.fits)(len) => {}
            _ => return Err(format!("a {} of {len_bytes} bytes makes no sense there", shape.what)),
        }
        let wire = PlaceWire { segment: wire.segment, offset: wire.offset, len_bytes };
        // Only lent to the last-drop hook, which the lease runs before it ends.
        let on_last_drop =
            shape.arrived.and_then(|arrived| arrived(Place { base, wire, keep: Keep::Borrowed }));
        Ok(Place { base, wire, keep: Keep::Leased(unpacking.lease(on_last_drop)) })
    }
}

#[cold]
fn in_the_wrong_process() -> ! {
    panic!("{}", AllocError::Forked)
}

/// What a handle expects to find.
pub(crate) struct Expected {
    /// What it is, without an article, for error texts.
    pub(crate) what: &'static str,
    /// See [`kind_of`].
    pub(crate) kind: u64,
    /// Alignment of the first word.
    pub(crate) align: usize,
    /// Whether an object may have so many bytes.
    pub(crate) fits: fn(usize) -> bool,
    /// Called with the place, which lives until the last-drop hook was called.
    pub(crate) arrived: Option<fn(Place) -> Option<OnLastDrop>>,
}

/// # Safety
/// A tag lies before `base`, aligned, in mapped memory, for as long as the reference is used.
unsafe fn tag_before<'a>(base: NonNull<u8>) -> &'a Tag {
    // SAFETY: the caller's promise.
    let tag = unsafe { base.sub(TAG) };
    // SAFETY: the caller's promise; the bytes change only as atomics.
    unsafe { tag.cast().as_ref() }
}

impl SharedBody {
    fn tag(&self) -> &Tag {
        // SAFETY: `Place::make` left room for it and the block is kept.
        unsafe { tag_before(self.base) }
    }

    fn is_pinned(&self) -> bool {
        // Pairs with the release in `pin`.
        self.tag().pinned.load(Ordering::Acquire) != 0
    }

    fn key(&self) -> (u64, u64) {
        (self.wire.segment, self.wire.offset)
    }

    /// Has a message keep the object.
    fn pack(self: &Arc<SharedBody>, packing: &mut Packing) -> Result<(), AllocError> {
        packing.add_object(self.clone(), self.segments().collect())?;
        self.list();
        Ok(())
    }

    fn list(self: &Arc<SharedBody>) {
        if self.listed.load(Ordering::Relaxed) || fork::is_foreign() {
            return;
        }
        SENT.lock().entry(self.key()).or_insert_with(|| Known::Alive(Arc::downgrade(self)));
        self.listed.store(true, Ordering::Relaxed);
    }

    /// The segments that a receiver of a handle needs, and whether it may write there.
    fn segments(&self) -> impl Iterator<Item = (Arc<Segment>, bool)> {
        let content = self.content.as_ref();
        let own = content.map(|content| (content.block.segment().clone(), true));
        let with = content.and_then(|content| content.with.clone());
        own.into_iter().chain(with)
    }
}

impl Drop for SharedBody {
    fn drop(&mut self) {
        let Some(content) = self.content.take() else { return };
        if fork::is_foreign() {
            // All of it is the parent's.
            return std::mem::forget(content);
        }
        let pinned = {
            // SAFETY: `content` still keeps the block.
            let tag = unsafe { tag_before(self.base) };
            tag.pinned.load(Ordering::Acquire) != 0
        };
        let mut sent = SENT.lock();
        if pinned {
            sent.insert(self.key(), Known::Kept(content));
        } else {
            sent.remove(&self.key());
            drop(sent);
            drop(content);
        }
    }
}

/// The object of this process that lies there, if it was sent somewhere, is still alive, and is the one that
/// is meant.
fn find(segment: u64, offset: u64, serial: u64) -> Option<Arc<SharedBody>> {
    let key = (segment, offset);
    let is_meant = |base| {
        // SAFETY: the base of an object of this process, whose block its owner in `SENT` keeps.
        unsafe { tag_before(base) }.serial.load(Ordering::Relaxed) == serial
    };
    let mut sent = SENT.lock();
    match sent.remove(&key)? {
        Known::Alive(weak) => {
            // The last owner may be waiting for this table to take the entry out: then the object is gone.
            let body = weak.upgrade();
            sent.insert(key, Known::Alive(weak));
            drop(sent);
            body.filter(|body| is_meant(body.base))
        }
        Known::Kept(content) => {
            let offset = usize::try_from(offset).ok()?;
            let base = content.block.segment().base();
            // SAFETY: the key is that of the block's object.
            let base = unsafe { base.add(offset) };
            if !is_meant(base) {
                sent.insert(key, Known::Kept(content));
                return None;
            }
            // SAFETY: kept, with its tag.
            let len_bytes = unsafe { tag_before(base) }.len_bytes.load(Ordering::Relaxed);
            let wire = PlaceWire { segment, offset: key.1, len_bytes };
            let body = Arc::new(SharedBody {
                content: Some(content),
                listed: AtomicBool::new(true),
                base,
                wire,
                _shared: fork::Shared::new(),
            });
            sent.insert(key, Known::Alive(Arc::downgrade(&body)));
            Some(body)
        }
    }
}

/// Serialises the handle of a place.
pub(crate) fn serialize<S: serde::Serializer>(
    place: &Place,
    what: &'static str,
    to: S,
) -> Result<S::Ok, S::Error> {
    place.pack(what).map_err(serde::ser::Error::custom)?.serialize(to)
}

/// Deserialises the handle of a place.
pub(crate) fn deserialize<'de, D: serde::Deserializer<'de>>(
    expected: &Expected,
    from: D,
) -> Result<Place, D::Error> {
    Place::unpack(u32::deserialize(from)?, expected).map_err(serde::de::Error::custom)
}
