//! Handles in messages: when a handle of a shared object may be written down, and what the numbers then mean.
//!
//! A handle is only a few numbers in a message; what makes them worth anything is that somebody keeps the object alive
//! until the receiver has no handle left. So handles are serialised only inside [`pack`], which collects what must be kept
//! as the message's [`Luggage`], and deserialised only inside [`unpack`], which knows where this process maps things and
//! counts what it gave out.
//!
//! # Who keeps what alive, and why that is enough
//!
//! T1. The sender keeps the luggage until the receiver has unpacked, run, dropped everything it unpacked, found
//!     [`Leases::alive`] to be 0, and said so (or until its death is confirmed). A lease begins only inside `unpack`, or as a
//!     clone of a living one; so a count that is 0 after `unpack` has returned stays 0, and nobody there can touch
//!     the object any more. Where it is not 0 (a task put a handle into a static), the sender keeps the luggage for as
//!     long as that worker lives.
//! T2. In the process that made an object the numbers lead to a table of its live objects, and the receiver becomes a
//!     full co-owner: no lease, nothing to count.
//! T3. An answer ([`pack_answer`]) is unpacked by the sender of the question while it still has the question's luggage.
//! T4. A worker that sends a leased handle anywhere else (`pack`), or clones one that a launch lent it, *pins* the object:
//!     a word beside it tells its maker never to give the memory back. That costs memory until the driver ends, and
//!     is the price of not asking anybody.
//! T5. Every message has a token, never used twice, that travels outside of what user code serialises. A handle's
//!     numbers carry it and are refused in any other message: bytes that a hand-written `Serialize` put aside are worth nothing.
//! T6. What the numbers lead to is checked: the range, the alignment, and the tag before the object, which names its type.
//!
//! # Safety
//! The resolver is called only through the pointer that `unpack` puts on this thread's stack of contexts, and takes off
//! before it returns or unwinds.
#![allow(unsafe_code)]
#![allow(dead_code, reason = "whole as a protocol; some of it only its tests call")]

use super::Segment;
use super::place::{Body, Farewell};
use crate::base::{member, notation, with_own};
use crate::sys::fork;
use serde::{Deserialize, Serialize};
use std::any::Any;
use std::cell::RefCell;
use std::ptr::NonNull;
use std::sync::Arc;
// Plain atomics on purpose: process-local counts, no word of a protocol between processes.
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// A handle in a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Wire {
    /// The message it belongs to.
    pub(crate) token: u64,
    /// The process that made the object.
    pub(crate) maker: u32,
    /// The segment, by its maker's numbers.
    pub(crate) segment: u64,
    /// Bytes from its base.
    pub(crate) offset: u64,
    /// What lies there.
    pub(crate) kind: u64,
}

/// A handle cannot be written down, or not be found again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum TravelError {
    #[error(
        "a {what} travels only as an argument or result of a task or process: these keep it alive on \
         its way; it cannot be saved or sent by other means"
    )]
    NotTravelling { what: &'static str },
    #[error("a {what} cannot be sent: {}", super::AllocError::Forked)]
    Forked { what: &'static str },
    #[error("a {what} in the message cannot be opened: {why}")]
    NotFound { what: &'static str, why: String },
}

/// Where this process maps segment `.0`, made writable if `.1`: base and length. It stays mapped while leases live (T1).
pub(crate) type Resolver<'a> = &'a mut dyn FnMut(u64, bool) -> Result<(NonNull<u8>, usize), String>;

thread_local! {
    static PACKING: RefCell<Vec<Packing>> = const { RefCell::new(Vec::new()) };
    static UNPACKING: RefCell<Vec<Unpacking>> = const { RefCell::new(Vec::new()) };
}

static LAST_TOKEN: AtomicU64 = AtomicU64::new(0);
static LEASES: AtomicUsize = AtomicUsize::new(0);

/// A message that is being written.
pub(crate) struct Packing {
    token: u64,
    is_answer: bool,
    luggage: Vec<Item>,
}

struct Item {
    _keep: Arc<dyn Any + Send + Sync>,
    segments: Vec<(Arc<Segment>, bool)>,
}

/// What must stay alive until the receiver of a message has let go of it. See the module, T1.
#[derive(Default)]
#[must_use = "dropped, it lets the message's objects go while they travel"]
pub(crate) struct Luggage {
    token: u64,
    items: Vec<Item>,
}

impl Luggage {
    /// The message's name: the receiver needs it for [`unpack`]. 0 where no handle is in the message.
    pub(crate) fn token(&self) -> u64 {
        self.token
    }

    /// Whether no handle of an object of this process is in the message: nothing to keep.
    pub(crate) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// The segments that the receiver must map, and whether for writing too; some more than once.
    pub(crate) fn segments(&self) -> impl Iterator<Item = (&Arc<Segment>, bool)> {
        self.items.iter().flat_map(|item| &item.segments).map(|(segment, writable)| (segment, *writable))
    }
}

impl std::fmt::Debug for Luggage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Luggage").field("token", &self.token).field("objects", &self.items.len()).finish()
    }
}

/// Takes the innermost context off again, also when the closure panics.
struct Leave(fn());

impl Drop for Leave {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// Runs `encode`, in which handles may be serialised, and returns what must be kept alive for them. May be nested: the
/// innermost context counts. Costs two thread-local accesses, and a reference count per handle.
pub(crate) fn pack<R>(encode: impl FnOnce() -> R) -> (R, Luggage) {
    pack_with(encode, false)
}

/// As [`pack`], for an answer to the one who holds the luggage of the question (T3).
pub(crate) fn pack_answer<R>(encode: impl FnOnce() -> R) -> (R, Luggage) {
    pack_with(encode, true)
}

fn pack_with<R>(encode: impl FnOnce() -> R, is_answer: bool) -> (R, Luggage) {
    with_own(&PACKING, |stack| stack.push(Packing { token: 0, is_answer, luggage: Vec::new() }));
    // In a slot outside, so that a panic drops it after the stack is right again.
    let leave = Leave(|| drop(with_own(&PACKING, Vec::pop)));
    let result = encode();
    std::mem::forget(leave);
    let packing = with_own(&PACKING, Vec::pop);
    let luggage = packing.map_or_else(Luggage::default, |p| Luggage { token: p.token, items: p.luggage });
    (result, luggage)
}

impl Packing {
    /// The message's name, given at the first handle.
    pub(crate) fn token(&mut self) -> u64 {
        if self.token == 0 {
            // 29 bits of member, 35 of count.
            let count = LAST_TOKEN.fetch_add(1, Ordering::Relaxed) + 1;
            self.token = u64::from(member::current_member().0) << 35 | count & ((1 << 35) - 1);
        }
        self.token
    }

    pub(crate) fn is_answer(&self) -> bool {
        self.is_answer
    }

    /// Keeps something that needs no segment.
    pub(crate) fn add(&mut self, keep: Arc<dyn Any + Send + Sync>) {
        self.luggage.push(Item { _keep: keep, segments: Vec::new() });
    }

    /// Keeps an object of this process.
    pub(crate) fn add_body(&mut self, body: &Arc<Body>) {
        body.list();
        self.luggage.push(Item { _keep: body.clone(), segments: body.segments().collect() });
    }
}

/// Calls `then` with the message that this thread is writing.
pub(crate) fn with_packing<R>(
    what: &'static str,
    then: impl FnOnce(&mut Packing) -> R,
) -> Result<R, TravelError> {
    let packed = PACKING.try_with(|stack| stack.try_borrow_mut().ok()?.last_mut().map(then));
    packed.ok().flatten().ok_or(TravelError::NotTravelling { what })
}

/// A message that is being read.
pub(crate) struct Unpacking {
    token: u64,
    resolver: Pointer,
    alive: Arc<AtomicUsize>,
}

/// The resolver of a context; valid while the context is on the stack.
type Pointer = NonNull<dyn FnMut(u64, bool) -> Result<(NonNull<u8>, usize), String>>;

/// What one [`unpack`] gave out.
#[derive(Clone, Debug, Default)]
pub(crate) struct Leases(Arc<AtomicUsize>);

impl Leases {
    /// How many leased handles of the message are alive in this process, clones of one counted once. Once 0, 0 for ever.
    pub(crate) fn alive(&self) -> usize {
        // Acquire pairs with the release in a lease's drop: what was done through it is done.
        self.0.load(Ordering::Acquire)
    }
}

/// How many leased handles are alive in this process, from all messages.
pub(crate) fn leases_alive() -> usize {
    LEASES.load(Ordering::Acquire)
}

/// Runs `decode`, in which handles of the message of this `token` may be deserialised.
///
/// Handles of objects that this process made become co-owners; others are resolved and leased.
pub(crate) fn unpack<R>(token: u64, resolver: Resolver<'_>, decode: impl FnOnce() -> R) -> (R, Leases) {
    type Resolve<'a> = dyn FnMut(u64, bool) -> Result<(NonNull<u8>, usize), String> + 'a;
    let pointer: NonNull<Resolve<'_>> = NonNull::from(resolver);
    // SAFETY: only the lifetime changes; the pointer is used only while the context below is on the stack, and this call,
    // which has the resolver borrowed, takes it off before it ends.
    let resolver = unsafe { std::mem::transmute::<NonNull<Resolve<'_>>, Pointer>(pointer) };
    let alive = Arc::new(AtomicUsize::new(0));
    with_own(&UNPACKING, |stack| stack.push(Unpacking { token, resolver, alive: alive.clone() }));
    let leave = Leave(|| drop(with_own(&UNPACKING, Vec::pop)));
    let result = decode();
    drop(leave);
    (result, Leases(alive))
}

/// Calls `then` with the message that this thread is reading.
pub(crate) fn with_unpacking<R>(
    what: &'static str,
    then: impl FnOnce(&mut Unpacking) -> Result<R, String>,
) -> Result<R, TravelError> {
    let unpacked = UNPACKING.try_with(|stack| stack.try_borrow_mut().ok()?.last_mut().map(then));
    let unpacked = unpacked.ok().flatten().ok_or(TravelError::NotTravelling { what })?;
    unpacked.map_err(|why| TravelError::NotFound { what, why })
}

impl Unpacking {
    /// That the handle belongs to this message (T5).
    pub(crate) fn check(&self, wire: &Wire) -> Result<(), String> {
        if wire.token == self.token && self.token != 0 {
            return Ok(());
        }
        Err("it was written into another message, and nobody keeps it alive for this one".into())
    }

    /// The mapping of a segment of the driver's.
    pub(crate) fn resolve(&mut self, segment: u64, writable: bool) -> Result<(NonNull<u8>, usize), String> {
        // SAFETY: the context is on the stack, so the resolver is alive and borrowed for it alone; it is not
        // entered twice, as the stack is borrowed while it runs.
        let resolver = unsafe { self.resolver.as_mut() };
        resolver(segment, writable)
    }

    /// Counts one more handle.
    pub(crate) fn lease(&mut self, farewell: Option<Farewell>) -> Arc<Lease> {
        LEASES.fetch_add(1, Ordering::Relaxed);
        self.alive.fetch_add(1, Ordering::Relaxed);
        Arc::new(Lease { alive: self.alive.clone(), farewell })
    }
}

/// A right to use an object that another process keeps alive (T1).
pub(crate) struct Lease {
    alive: Arc<AtomicUsize>,
    farewell: Option<Farewell>,
}

impl Drop for Lease {
    fn drop(&mut self) {
        if fork::is_foreign() {
            return;
        }
        if let Some(farewell) = &self.farewell {
            farewell();
        }
        // Release pairs with the acquire of who asks.
        self.alive.fetch_sub(1, Ordering::Release);
        LEASES.fetch_sub(1, Ordering::Release);
    }
}

/// A message with its handles could not be written or read.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct CodecError(String);

/// Writes a value, its handles included, as bytes that [`decode`] reads.
pub(crate) fn encode<T: Serialize + ?Sized>(value: &T) -> Result<(Vec<u8>, Luggage), CodecError> {
    encode_with(value, false)
}

/// As [`encode`], for an answer; see [`pack_answer`].
pub(crate) fn encode_answer<T: Serialize + ?Sized>(value: &T) -> Result<(Vec<u8>, Luggage), CodecError> {
    encode_with(value, true)
}

fn encode_with<T: Serialize + ?Sized>(value: &T, answer: bool) -> Result<(Vec<u8>, Luggage), CodecError> {
    // The token's place: before the value and out of its reach.
    let mut bytes = vec![0; size_of::<u64>()];
    let (written, luggage) = pack_with(|| notation::append(value, &mut bytes), answer);
    written.map_err(|error| CodecError(error.to_string()))?;
    bytes[..size_of::<u64>()].copy_from_slice(&luggage.token.to_le_bytes());
    Ok((bytes, luggage))
}

/// Reads what [`encode`] wrote; nothing may follow it.
pub(crate) fn decode<T: serde::de::DeserializeOwned>(
    bytes: &[u8],
    resolver: Resolver<'_>,
) -> Result<(T, Leases), CodecError> {
    let (token, value) =
        bytes.split_first_chunk().ok_or_else(|| CodecError("the message is empty".into()))?;
    let (result, leases) = unpack(u64::from_le_bytes(*token), resolver, || notation::read::<T>(value));
    result.map(|value| (value, leases)).map_err(|error| CodecError(error.to_string()))
}

/// Whether there are handles in what [`encode`] wrote.
pub(crate) fn has_handles(bytes: &[u8]) -> bool {
    bytes.first_chunk().is_some_and(|token: &[u8; 8]| u64::from_le_bytes(*token) != 0)
}

/// Serialises the handle of a place.
pub(crate) fn serialize<S: serde::Serializer>(
    place: &super::place::Place,
    what: &'static str,
    to: S,
) -> Result<S::Ok, S::Error> {
    let wire = place.pack(what).map_err(serde::ser::Error::custom)?;
    wire.serialize(to)
}

/// Deserialises the handle of a place.
pub(crate) fn deserialize<'de, D: serde::Deserializer<'de>>(
    expected: &super::place::Expected,
    from: D,
) -> Result<super::place::Place, D::Error> {
    let wire = Wire::deserialize(from)?;
    super::place::Place::unpack(wire, expected).map_err(serde::de::Error::custom)
}
