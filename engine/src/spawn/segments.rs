//! The segments that a process can reach.

use super::mail::{self, FromWorker, ToWorker};
use crate::base::member::{self, MemberId};
use crate::memory::{MapAccess, MapOptions, Mapping};
use crate::sys::socket;
use rustc_hash::FxHashMap;
use std::mem::ManuallyDrop;
use std::os::fd::{AsFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::{Arc, OnceLock};
// Plain on purpose: process-local, written once.
use std::sync::atomic::{AtomicPtr, Ordering};
use std::time::{Duration, Instant};

/// How long a segment may be in transit to a worker that already needs it.
const SENT_WITHIN: Duration = Duration::from_secs(5);

/// A segment as mapped in this process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Extent {
    pub(crate) base: *mut u8,
    pub(crate) len_bytes: usize,
}

/// Where a member finds the segments that operands name.
pub(crate) trait Segments: Send {
    /// The mapping of segment `id`, made writable if asked. The mapping stays for the launch that named it.
    fn attach(&mut self, id: u64, writable: bool) -> Result<Extent, String>;
    /// Reads what the driver sent since the last launch (new segments, retired ones).
    fn read_mail(&mut self) {}
    /// Those of the held states that must be dropped because their handles are gone.
    fn retired_states(&mut self, held: &[u64]) -> Vec<u64>;
    /// Tells the driver that this member wants to end; it serves launches until it is allowed to.
    fn ask_leave(&mut self) {}
    /// Whether the driver is gone.
    fn driver_is_gone(&self) -> bool {
        false
    }
}

/// Where a process finds what handles lead to, for `handle::travel`.
pub(crate) fn resolver(
    segments: &mut dyn Segments,
) -> impl FnMut(u64, bool) -> Result<(NonNull<u8>, usize), String> {
    |id, writable| {
        let extent = segments.attach(id, writable)?;
        let base = NonNull::new(extent.base).ok_or("it is mapped nowhere")?;
        if writable && ARENA.get().is_none() && member::current_member() != MemberId::DRIVER {
            let _noted_already = ARENA.set((id, AtomicPtr::new(base.as_ptr()), extent.len_bytes));
        }
        Ok((base, extent.len_bytes))
    }
}

/// The driver's arena in this worker, once a handle has led there: number, base, length. The words of handles
/// are all that is made writable for them, and lie in the arena, which stays mapped until the process ends.
static ARENA: OnceLock<(u64, AtomicPtr<u8>, usize)> = OnceLock::new();

/// As [`resolver`], for code of a worker that has no [`Segments`] at hand: leads to the arena alone.
pub(crate) fn resolve_arena(segment: u64) -> Result<(NonNull<u8>, usize), String> {
    let arena = ARENA.get().filter(|(id, ..)| *id == segment);
    let found = arena.and_then(|(_, base, len)| Some((NonNull::new(base.load(Ordering::Relaxed))?, *len)));
    found.ok_or_else(|| "what lies in a segment of its own can be found from here only in arguments".into())
}

/// The segments mapped in this worker.
pub(crate) struct Mapped {
    socket: Arc<OwnedFd>,
    /// Never dropped: a mapping stays until the driver reports that the segment is gone (`Retire`), or the
    /// process ends.
    by_id: ManuallyDrop<FxHashMap<u64, Mapping>>,
    retired: Vec<u64>,
}

impl Mapped {
    pub(super) fn new(socket: Arc<OwnedFd>) -> Mapped {
        Mapped { socket, by_id: ManuallyDrop::default(), retired: Vec::new() }
    }

    /// Waits for the driver's message about what this process is for: a main function's distance, and its
    /// data.
    pub(super) fn first_mail(&mut self) -> Result<(u64, Vec<u8>, Vec<OwnedFd>), String> {
        loop {
            let (mail, packet) = mail::recv::<ToWorker>(&*self.socket)
                .map_err(|error| format!("no welcome from the driver: {error}"))?;
            match mail {
                ToWorker::Segment { id, len_bytes } => match packet.fds.first() {
                    Some(fd) => self.map(id, len_bytes as usize, fd)?,
                    None => return Err(format!("segment {id} came without its descriptor")),
                },
                ToWorker::Begin { main, with } => return Ok((main, with, packet.fds)),
                _ => return Err("the first packet is no welcome".into()),
            }
        }
    }

    pub(crate) fn map(&mut self, id: u64, len_bytes: usize, fd: &OwnedFd) -> Result<(), String> {
        let mapping =
            Mapping::map(fd.as_fd(), len_bytes, MapAccess::ReadOnly, MapOptions { leave_out_of_dumps: true })
                .map_err(|error| format!("cannot map segment {id} of {len_bytes} bytes: {error}"))?;
        self.by_id.insert(id, mapping);
        Ok(())
    }
}

impl Segments for Mapped {
    #[expect(clippy::arithmetic_side_effects, reason = "a constant moment from now")]
    fn attach(&mut self, id: u64, writable: bool) -> Result<Extent, String> {
        if !self.by_id.contains_key(&id) {
            // Sent with a launch that went on without this worker.
            self.read_mail();
        }
        let until = Instant::now() + SENT_WITHIN;
        while !self.by_id.contains_key(&id)
            && matches!(socket::wait_readable(&*self.socket, Some(until)), Ok(true))
            && !socket::is_at_end(&*self.socket)
        {
            // A task's argument refers to it, and this worker is new: it is in transit.
            self.read_mail();
        }
        let mapping =
            self.by_id.get_mut(&id).ok_or_else(|| format!("segment {id} was never sent to this worker"))?;
        if writable {
            mapping.make_writable().map_err(|error| format!("cannot make segment {id} writable: {error}"))?;
        }
        Ok(Extent { base: mapping.base().as_ptr(), len_bytes: mapping.len_bytes() })
    }

    fn read_mail(&mut self) {
        // A packet that cannot be used shows as a segment that was never sent, in the launch that needs it.
        while let Ok(Some((mail, packet))) = mail::try_recv::<ToWorker>(&*self.socket) {
            match mail {
                ToWorker::Segment { id, len_bytes } => {
                    if let Some(fd) = packet.fds.first()
                        && let Err(why) = self.map(id, len_bytes as usize, fd)
                    {
                        tracing::error!("{why}");
                    }
                }
                ToWorker::Retire(ids) => ids.iter().for_each(|id| {
                    self.by_id.remove(id);
                }),
                ToWorker::Forget(ids) => self.retired.extend(ids),
                ToWorker::Begin { .. } => {}
            }
        }
    }

    fn retired_states(&mut self, _held: &[u64]) -> Vec<u64> {
        std::mem::take(&mut self.retired)
    }

    fn ask_leave(&mut self) {
        // A driver that is gone needs no telling.
        let _gone = mail::send(&*self.socket, &FromWorker::Retiring, &[]);
    }

    fn driver_is_gone(&self) -> bool {
        // Readable with nothing to read is end of file; mail that waits is left for the next launch.
        matches!(socket::wait_readable(&*self.socket, Some(Instant::now())), Ok(true))
            && socket::is_at_end(&*self.socket)
    }
}
