//! What every worker runs before it serves: the pool's initializer.
//!
//! # Safety
//! An entry is called with the bytes and the function that [`Initializer::new`] put beside it; driver and
//! worker run the same build (checked at start, before the welcome).
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use crate::code;
use crate::handle::travel::{self, KeepAlive};
use crate::memory::{AllocError, arena};
use crate::spawn::StartError;
use crate::spawn::panic_note;
use crate::spawn::segments::{Segments, resolver};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The return type of an initializer: `()`, or a `Result` whose error makes building the pool fail.
pub trait Opened {
    #[doc(hidden)]
    fn outcome(self) -> Result<(), String>;
}

impl Opened for () {
    fn outcome(self) -> Result<(), String> {
        Ok(())
    }
}

impl<E: std::fmt::Display> Opened for Result<(), E> {
    fn outcome(self) -> Result<(), String> {
        self.map_err(|error| error.to_string())
    }
}

/// The monomorphised part.
///
/// # Safety
/// `function` is the address of a function of the types that the entry was made for, and the bytes are its
/// arguments.
type InitializerEntry = unsafe fn(usize, &[u8], &mut dyn Segments) -> Result<(), String>;

/// An initializer with its arguments, kept for workers that start later.
#[derive(Debug)]
pub(crate) struct Initializer {
    entry: InitializerEntry,
    function: usize,
    block: arena::Block,
    keep_alive: KeepAlive,
}

/// How a worker finds it.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct InitializerWire {
    entry: u64,
    function: u64,
    offset: u64,
    len: u64,
}

/// Why there is no initializer.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum InitializerError {
    #[error("the initializer's arguments cannot travel: {0}")]
    Codec(String),
    #[error("no shared memory for the initializer's arguments: {0}")]
    Memory(std::sync::Arc<AllocError>),
}

impl Initializer {
    pub(crate) fn new<A, O>(function: fn(A) -> O, arguments: &A) -> Result<Initializer, InitializerError>
    where
        A: Serialize + DeserializeOwned + 'static,
        O: Opened + 'static,
    {
        let (bytes, keep_alive) =
            travel::encode(arguments).map_err(|error| InitializerError::Codec(error.to_string()))?;
        let block = arena::allocate(bytes.len(), 8);
        let block = block.map_err(|error| InitializerError::Memory(std::sync::Arc::new(error)))?;
        // SAFETY: as many bytes as were asked for, ours alone.
        unsafe { block.ptr().as_ptr().copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
        Ok(Initializer { entry: call::<A, O>, function: function as usize, block, keep_alive })
    }

    pub(crate) fn wire(&self) -> Result<InitializerWire, StartError> {
        Ok(InitializerWire {
            entry: code::offset_of(self.entry as usize)?,
            function: code::offset_of(self.function)?,
            offset: self.block.offset() as u64,
            len: self.block.len() as u64,
        })
    }

    /// The segments that a worker must have before it runs this.
    pub(crate) fn segments(&self) -> impl Iterator<Item = &std::sync::Arc<crate::memory::Segment>> {
        self.keep_alive.segments().map(|(segment, _)| segment)
    }

    /// Runs it in this process.
    pub(crate) fn run_here(&self, segments: &mut dyn Segments) -> Result<(), String> {
        // SAFETY: our own block, written when it was made.
        let bytes = unsafe { std::slice::from_raw_parts(self.block.ptr().as_ptr(), self.block.len()) };
        guarded(|| {
            // SAFETY: made together in `new`.
            unsafe { (self.entry)(self.function, bytes, segments) }
        })
    }
}

impl InitializerWire {
    /// Runs it in a worker that maps the arena as segment `arena`.
    pub(crate) fn run(&self, arena: u64, segments: &mut dyn Segments) -> Result<(), String> {
        let strange = || "the welcome names an initializer that makes no sense".to_string();
        // SAFETY: `wire` put the distance of an `InitializerEntry` there, in a process of the same build.
        let entry = unsafe { code::function_at::<InitializerEntry>(self.entry) }.ok_or_else(strange)?;
        let function = code::address_of(self.function).ok_or_else(strange)?;
        let extent = segments.attach(arena, true)?;
        let (offset, len) = (self.offset as usize, self.len as usize);
        let end = offset.checked_add(len).filter(|end| *end <= extent.len_bytes);
        end.ok_or_else(strange)?;
        // SAFETY: inside the arena, which stays mapped; the driver keeps the block as it is while the pool
        // lives.
        let bytes = unsafe { std::slice::from_raw_parts(extent.base.wrapping_add(offset), len) };
        guarded(|| {
            // SAFETY: the driver put the three together.
            unsafe { entry(function, bytes, segments) }
        })
    }
}

fn guarded(run: impl FnOnce() -> Result<(), String>) -> Result<(), String> {
    let outcome = catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|payload| {
        let fault = panic_note::take(payload);
        Err(format!("it panicked: {} ({})", fault.message, fault.location))
    });
    outcome.map_err(|why| format!("the pool's initializer failed: {why}"))
}

unsafe fn call<A, O>(function: usize, bytes: &[u8], segments: &mut dyn Segments) -> Result<(), String>
where
    A: DeserializeOwned,
    O: Opened,
{
    // What the function keeps stays alive as long as the pool, which keeps the keep-alive set: leases need no
    // counting.
    let (arguments, _leases) =
        travel::decode::<A>(bytes, &mut resolver(segments)).map_err(|error| error.to_string())?;
    // SAFETY: the address of a `fn(A) -> O` by the caller's promise.
    let function = unsafe { code::function_of::<fn(A) -> O>(function) };
    function(arguments).outcome()
}
