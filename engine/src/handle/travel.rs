//! Handles in messages: when a handle of a shared object may be written down, and how it is found again.
//!
//! A handle is only a number in a message: the line of the message's own table. What makes it worth anything
//! is that somebody keeps the object alive until the receiver has no handle left. So handles are serialised
//! only inside [`pack`], which collects what must be kept as the message's [`KeepAlive`], and deserialised
//! only inside [`Manifest::unpack`], which has the table, knows where this process maps things, and counts
//! what it gives out.
//!
//! # Who keeps what alive, and why that is enough
//!
//! T1. The sender keeps the keep-alive set for as long as [`KeepAlive::is_held`], or until the receiver's
//!     death is confirmed. A lease begins only inside `unpack`, which has a share in the message's tally, or
//!     as a clone of a living one; the hold is let go by the tally's drop alone (see `lease`). So who finds
//!     it let go knows that nobody there can touch the objects any more, whatever way that came about; where
//!     a task put a handle into a static, the sender keeps the keep-alive set until that is gone as well.
//! T2. In the process that made an object its line leads to a table of its live objects, and the receiver
//!     becomes a full co-owner: no lease, nothing to count.
//! T3. An answer ([`encode_answer`]) to the maker of what it leads to is unpacked while who answers still has
//!     its own lease, or the maker the question's keep-alive set. The result of a task ([`pack_result`]) is
//!     such an answer where it leads to what the task's own arguments led to, and comes with no hold: who
//!     reads it is the maker, and becomes a co-owner. What a thread of the maker's returns is kept beside
//!     the task (`results`).
//! T4. A worker that sends a leased handle anywhere else (`pack`), or clones one that a launch lent it,
//!     *pins* the object: a word beside it tells its maker never to give the memory back. That costs memory
//!     until the driver ends, and is the price of not asking anybody.
//! T5. The table travels outside of what user code serialises, and what user code deserialises is a line of
//!     it. So bytes that a hand-written `Serialize` or `Deserialize` makes up, or puts aside, lead to an
//!     object that this very message keeps alive, and of the type that is asked for, or nowhere.
//! T6. What a line leads to is checked: the range, the alignment, and the tag before the object, which names
//!     its type and its serial number. So a line that outlived its object is an error, and never another
//!     object that lies there now.
//!
//! # Safety
//! The resolver is called only through the pointer that `unpack` puts on this thread's stack of contexts, and
//! takes off before it returns or unwinds.
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use super::lease::{Hold, HoldWire, Lease, Leases, OnLastDrop, Resolver};
use crate::base::member::MemberId;
use crate::base::{notation, with_own};
use crate::memory::{AllocError, Segment};
use serde::Serialize;
use std::any::Any;
use std::cell::{Cell, RefCell};
use std::ptr::NonNull;
use std::sync::Arc;

/// A line of a message's table: an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub(crate) struct Wire {
    /// The process that made it.
    pub(crate) maker: u64,
    /// The segment, by its maker's numbers.
    pub(crate) segment: u64,
    /// Bytes from its base.
    pub(crate) offset: u64,
    /// What lies there.
    pub(crate) kind: u64,
    /// Which object of its maker's.
    pub(crate) serial: u64,
}

/// A handle cannot be written down, or not be found again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum TravelError {
    #[error(
        "a {what} travels only as an argument or result of a task or process, and to and from managers: these keep it alive on its way; it cannot be saved or sent by other means"
    )]
    NotTravelling { what: &'static str },
    #[error("a {what} cannot be sent: {}", AllocError::Forked)]
    Forked { what: &'static str },
    #[error("a {what} in the message cannot be opened: {why}")]
    NotFound { what: &'static str, why: String },
    #[error("a {what} cannot travel: {source}")]
    Memory { what: &'static str, source: AllocError },
}

thread_local! {
    static PACKING: RefCell<Vec<Packing>> = const { RefCell::new(Vec::new()) };
    static UNPACKING: RefCell<Vec<Unpacking>> = const { RefCell::new(Vec::new()) };
    /// What could not be written down last, as there was no message to keep it alive.
    static REFUSED: Cell<Option<&'static str>> = const { Cell::new(None) };
}

/// What a message is written for.
#[derive(Default)]
enum Purpose {
    #[default]
    Request,
    /// An answer to whoever asked.
    Answer(MemberId),
    /// The result of a task, with what its arguments led to.
    Result(Option<Leases>),
}

/// A message that is being written.
#[derive(Default)]
pub(crate) struct Packing {
    purpose: Purpose,
    table: Vec<Wire>,
    items: Vec<Item>,
    counted: Vec<Arc<dyn Any + Send + Sync>>,
    hold: Option<Hold>,
}

#[derive(Clone)]
struct Item {
    _keep: Arc<dyn Any + Send + Sync>,
    segments: Vec<(Arc<Segment>, bool)>,
}

/// What must stay alive until the receiver of a message has let go of it. See the module, T1.
#[derive(Default)]
#[must_use = "dropped, it lets the message's objects go while they travel"]
pub(crate) struct KeepAlive {
    table: Vec<Wire>,
    items: Vec<Item>,
    /// Handles that count as long as the message is on its way or being worked on.
    counted: Vec<Arc<dyn Any + Send + Sync>>,
    /// Last: what the word stands for goes before.
    hold: Option<Arc<Hold>>,
}

impl KeepAlive {
    /// Whether there are handles in the message.
    pub(crate) fn has_handles(&self) -> bool {
        !self.table.is_empty()
    }

    /// Bytes of the message's table.
    pub(crate) fn table_bytes(&self) -> usize {
        if self.has_handles() { size_of::<HoldWire>().wrapping_add(size_of_val(&*self.table)) } else { 0 }
    }

    /// Appends the message's table, for [`Manifest::read`]; nothing where there are no handles.
    pub(crate) fn append_table(&self, bytes: &mut Vec<u8>) {
        if self.has_handles() {
            let hold = self.hold.as_ref().map_or(HoldWire::NONE, |hold| hold.wire());
            bytes.extend_from_slice(bytemuck::bytes_of(&hold));
            bytes.extend_from_slice(bytemuck::cast_slice(&self.table));
        }
    }

    /// The same for another message with the same handles, or a part of them, to another receiver.
    pub(crate) fn again(&self) -> Result<KeepAlive, AllocError> {
        let hold = self.hold.is_some().then(Hold::new).transpose()?.map(Arc::new);
        let (table, items, counted) = (self.table.clone(), self.items.clone(), self.counted.clone());
        Ok(KeepAlive { table, items, counted, hold })
    }

    /// What must still be kept once the message has been worked on, if its receiver has something left: not
    /// the handles that only counted until then. Those that it has count for themselves.
    pub(super) fn after_use(&self) -> KeepAlive {
        KeepAlive { items: self.items.clone(), hold: self.hold.clone(), ..KeepAlive::default() }
    }

    /// Whether its receiver has something of it left, or has not said.
    pub(crate) fn is_held(&self) -> bool {
        self.hold.as_ref().is_some_and(|hold| hold.is_set())
    }

    /// Whether no handle of an object of this process is in the message: nothing to keep.
    #[cfg(all(test, not(loom)))]
    pub(crate) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// The segments that the receiver must map, and whether for writing too; some more than once.
    pub(crate) fn segments(&self) -> impl Iterator<Item = (&Arc<Segment>, bool)> {
        self.items.iter().flat_map(|item| &item.segments).map(|(segment, writable)| (segment, *writable))
    }
}

impl std::fmt::Debug for KeepAlive {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeepAlive")
            .field("handles", &self.table.len())
            .field("objects", &self.items.len())
            .finish()
    }
}

/// Takes the innermost context off again, also when the closure panics.
struct Leave(fn());

impl Drop for Leave {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// Runs `encode`, in which handles may be serialised, and returns what must be kept alive for them. May be
/// nested: the innermost context counts. Costs two thread-local accesses, and a reference count per handle.
pub(crate) fn pack<R>(encode: impl FnOnce() -> R) -> (R, KeepAlive) {
    pack_with(encode, Purpose::Request)
}

/// As [`pack`], for the result of a task, which the driver reads before it lets go of the task's arguments,
/// those of `question` (T3).
pub(crate) fn pack_result<R>(question: Option<&Manifest>, encode: impl FnOnce() -> R) -> (R, KeepAlive) {
    pack_with(encode, Purpose::Result(question.map(|question| question.leases.clone())))
}

fn pack_with<R>(encode: impl FnOnce() -> R, purpose: Purpose) -> (R, KeepAlive) {
    with_own(&PACKING, |stack| stack.push(Packing { purpose, ..Packing::default() }));
    // In a slot outside, so that a panic drops it after the stack is right again.
    let leave = Leave(|| drop(with_own(&PACKING, Vec::pop)));
    let result = encode();
    std::mem::forget(leave);
    let Packing { table, items, counted, hold, .. } = with_own(&PACKING, Vec::pop).unwrap_or_default();
    (result, KeepAlive { table, items, counted, hold: hold.map(Arc::new) })
}

impl Packing {
    /// Whether this answers the maker of an object, which keeps what the lease stands for until it has read
    /// the answer.
    pub(crate) fn may_return(&self, maker: u32, lease: &Lease) -> bool {
        match &self.purpose {
            Purpose::Request => false,
            Purpose::Answer(asker) => *asker == MemberId(maker),
            Purpose::Result(leases) => {
                MemberId(maker) == MemberId::DRIVER
                    && leases.as_ref().is_some_and(|leases| leases.gave(lease))
            }
        }
    }

    /// Notes an object; returns the line that its handle is.
    pub(crate) fn note(&mut self, wire: Wire) -> u32 {
        let line = self.table.len() as u32;
        self.table.push(wire);
        line
    }

    /// Keeps something that needs no segment.
    pub(crate) fn add(&mut self, keep: Arc<dyn Any + Send + Sync>) {
        self.items.push(Item { _keep: keep, segments: Vec::new() });
    }

    /// Keeps a handle that counts until the message has been worked on.
    pub(crate) fn count(&mut self, handle: Arc<dyn Any + Send + Sync>) {
        self.counted.push(handle);
    }

    /// Keeps an object of this process, which lies in these segments (writable or not).
    pub(crate) fn add_object(
        &mut self,
        keep: Arc<dyn Any + Send + Sync>,
        segments: Vec<(Arc<Segment>, bool)>,
    ) -> Result<(), AllocError> {
        if self.hold.is_none() && !matches!(self.purpose, Purpose::Result(_)) {
            self.hold = Some(Hold::new()?);
        }
        self.items.push(Item { _keep: keep, segments });
        Ok(())
    }
}

/// Calls `then` with the message that this thread is writing.
pub(crate) fn with_packing<R>(
    what: &'static str,
    then: impl FnOnce(&mut Packing) -> R,
) -> Result<R, TravelError> {
    let packed = PACKING.try_with(|stack| stack.try_borrow_mut().ok()?.last_mut().map(then));
    packed.ok().flatten().ok_or_else(|| {
        let _at_a_threads_end = REFUSED.try_with(|refused| refused.set(Some(what)));
        TravelError::NotTravelling { what }
    })
}

/// Runs `encode` outside of any message. The second part is a handle that it tried to write down, if any.
pub(crate) fn without_handles<R>(encode: impl FnOnce() -> R) -> (R, Option<&'static str>) {
    let _at_a_threads_end = REFUSED.try_with(Cell::take);
    let result = encode();
    (result, REFUSED.try_with(Cell::take).ok().flatten())
}

/// A message that is being read.
pub(crate) struct Unpacking {
    wires: Arc<[Wire]>,
    leases: Leases,
    resolver: Pointer,
}

/// The resolver of a context; valid while the context is on the stack.
type Pointer = NonNull<dyn FnMut(u64, bool) -> Result<(NonNull<u8>, usize), String>>;

/// A message's table where the message is read. While it lives, and any handle that came of it, the sender
/// keeps what they lead to.
pub(crate) struct Manifest {
    wires: Arc<[Wire]>,
    leases: Leases,
}

impl Manifest {
    /// Reads what [`KeepAlive::append_table`] wrote.
    pub(crate) fn read(table: &[u8], resolver: Resolver<'_>) -> Result<Manifest, String> {
        let (hold, lines) = match table.split_at_checked(size_of::<HoldWire>()) {
            Some((hold, lines)) => (bytemuck::pod_read_unaligned(hold), lines),
            None if table.is_empty() => (HoldWire::NONE, table),
            None => return Err("the message's table of handles is cut off".into()),
        };
        let lines = lines.chunks(size_of::<Wire>());
        let wires =
            lines.map(|line| bytemuck::try_pod_read_unaligned(line).map_err(|error| error.to_string()));
        Ok(Manifest { wires: wires.collect::<Result<_, _>>()?, leases: Leases::of(hold, resolver) })
    }

    /// Runs `decode`, in which handles of this message may be deserialised.
    ///
    /// Handles of objects that this process made become co-owners; others are resolved and leased.
    pub(crate) fn unpack<R>(&self, resolver: Resolver<'_>, decode: impl FnOnce() -> R) -> R {
        type Resolve<'a> = dyn FnMut(u64, bool) -> Result<(NonNull<u8>, usize), String> + 'a;
        let pointer: NonNull<Resolve<'_>> = NonNull::from(resolver);
        // SAFETY: only the lifetime changes; the pointer is used only while the context below is on the
        // stack, and this call, which has the resolver borrowed, takes it off before it ends.
        let resolver = unsafe { std::mem::transmute::<NonNull<Resolve<'_>>, Pointer>(pointer) };
        let (wires, leases) = (self.wires.clone(), self.leases.clone());
        with_own(&UNPACKING, |stack| stack.push(Unpacking { wires, leases, resolver }));
        let leave = Leave(|| drop(with_own(&UNPACKING, Vec::pop)));
        let result = decode();
        drop(leave);
        result
    }
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
    /// A line of the message's table (T5).
    pub(crate) fn line(&self, line: u32) -> Result<Wire, String> {
        let wire = self.wires.get(line as usize).copied();
        wire.ok_or_else(|| {
            format!("the message leads to {} objects, and not to number {line}", self.wires.len())
        })
    }

    /// The mapping of a segment of the driver's.
    pub(crate) fn resolve(&mut self, segment: u64, writable: bool) -> Result<(NonNull<u8>, usize), String> {
        // SAFETY: the context is on the stack, so the resolver is alive and borrowed for it alone; it is not
        // entered twice, as the stack is borrowed while it runs.
        let resolver = unsafe { self.resolver.as_mut() };
        resolver(segment, writable)
    }

    /// Counts one more handle.
    pub(crate) fn lease(&mut self, on_last_drop: Option<OnLastDrop>) -> Arc<Lease> {
        self.leases.lease(on_last_drop)
    }
}

/// For a message of which the driver can have what it made itself, and nothing else.
pub(crate) fn nothing_foreign(_segment: u64, _writable: bool) -> Result<(NonNull<u8>, usize), String> {
    Err("only what was passed from here can come back".into())
}

/// A message with its handles could not be written or read.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct CodecError(String);

/// Bytes before a message's value: how many the value takes. Its table follows.
const HEAD: usize = size_of::<u64>();

/// Writes a value, its handles included, as bytes that [`decode`] reads.
pub(crate) fn encode<T: Serialize + ?Sized>(value: &T) -> Result<(Vec<u8>, KeepAlive), CodecError> {
    encode_with(value, Purpose::Request)
}

/// As [`encode`], for an answer to `asker` (T3).
pub(crate) fn encode_answer<T: Serialize + ?Sized>(
    asker: MemberId,
    value: &T,
) -> Result<(Vec<u8>, KeepAlive), CodecError> {
    encode_with(value, Purpose::Answer(asker))
}

fn encode_with<T: Serialize + ?Sized>(
    value: &T,
    purpose: Purpose,
) -> Result<(Vec<u8>, KeepAlive), CodecError> {
    let mut bytes = vec![0; HEAD];
    let (written, keep_alive) = pack_with(|| notation::append(value, &mut bytes), purpose);
    written.map_err(|error| CodecError(error.to_string()))?;
    let len = bytes.len().saturating_sub(HEAD) as u64;
    bytes[..HEAD].copy_from_slice(&len.to_le_bytes());
    keep_alive.append_table(&mut bytes);
    Ok((bytes, keep_alive))
}

/// The value's bytes, and the table.
fn parts(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = bytes.split_first_chunk::<HEAD>()?;
    rest.split_at_checked(usize::try_from(u64::from_le_bytes(*len)).ok()?)
}

/// Reads what [`encode`] wrote; nothing may follow it.
pub(crate) fn decode<T: serde::de::DeserializeOwned>(
    bytes: &[u8],
    resolver: Resolver<'_>,
) -> Result<(T, Leases), CodecError> {
    let (value, table) = parts(bytes).ok_or_else(|| CodecError("the message is cut off".into()))?;
    let manifest = Manifest::read(table, &mut *resolver).map_err(CodecError)?;
    let read = manifest.unpack(resolver, || notation::read::<T>(value));
    read.map(|value| (value, manifest.leases.clone())).map_err(|error| CodecError(error.to_string()))
}

/// What [`encode`] wrote, for tests that read it after its sender has let go. Such a reader has no hold to
/// let go of: that word may belong to somebody else by then.
#[cfg(all(test, not(loom)))]
pub(crate) fn without_hold(bytes: &[u8]) -> Vec<u8> {
    let table = parts(bytes).map_or(0, |(_, table)| table.len());
    let mut bytes = bytes.to_vec();
    let start = bytes.len().saturating_sub(table);
    bytes[start..][..size_of::<HoldWire>().min(table)].fill(0);
    bytes
}

/// Whether there are handles in what [`encode`] wrote.
pub(crate) fn has_handles(bytes: &[u8]) -> bool {
    parts(bytes).is_some_and(|(_, table)| !table.is_empty())
}
