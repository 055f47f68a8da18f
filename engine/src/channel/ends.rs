//! `Sender` and `Receiver`: the two ends of a queue that ends when one of them is gone.
//!
//! The queue's block also records who has its ends: the driver's handles one by one, those on their way in
//! messages among them, and what workers have of messages and of clones. An end is gone when nobody has it,
//! whether it was dropped or its holders died. What a launch lends counts as the driver's own handle, which
//! outlives the launch.
//!
//! # Safety
//! Ends are handles of a queue's block.
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use super::codec::Message;
use super::error::QueueError;
use super::queue::{Iter, Queue, QueueOptions, make};
use super::word::{ALIGN, Control, ENDS, RECEIVING, SENDING};
use crate::base::atomic::Ordering;
use crate::base::member::{self, MemberId};
use crate::handle::{place, travel};
use crate::sync::Patience;
use crate::sync::place::{Borrowed, CreateError, OnLastDrop, Place, Remote, SyncWire};
use crate::sys::fork;
use serde::{Deserialize, Serialize};
use std::ptr::NonNull;
use std::sync::Arc;
use std::time::Duration;

/// The sending end of a queue. Made by [`Queue::pair`] or [`Pipe::ends`](super::Pipe::ends).
///
/// Clones are further handles of the same end. When the last one is gone, receivers get the items that are
/// left, then [`QueueError::EndOfFile`].
#[doc(alias("mpsc", "SyncSender"))]
pub struct Sender<T: Message>(End<T, SENDING>);

/// The receiving end of a queue. Made by [`Queue::pair`] or [`Pipe::ends`](super::Pipe::ends).
///
/// Clones are further handles of the same end; each item goes to one of them. When the last one is gone,
/// senders get [`QueueError::EndOfFile`].
#[doc(alias("mpsc"))]
pub struct Receiver<T: Message>(End<T, RECEIVING>);

/// Makes the two ends of a new queue.
pub(super) fn make_ends<T: Message>(
    what: &'static str,
    options: QueueOptions,
    flags: u32,
) -> Result<(Sender<T>, Receiver<T>), CreateError> {
    let place = make::<Sender<T>>(what, options, ENDS | flags)?;
    Ok((Sender::of(place.clone()), Receiver::of(place)))
}

impl<T: Message> Queue<T> {
    /// Makes a queue with two ends, which ends by itself: when the last [`Sender`] is gone, receivers get
    /// the items that are left, then [`QueueError::EndOfFile`], and iterators end. When the last
    /// [`Receiver`] is gone, `send` returns that error. No one needs to call `close`.
    ///
    /// Both ends may be cloned, be operands of launches, and travel in arguments of tasks and processes.
    /// **Dropped or dead:** the handles of a process that returns, panics or is killed are taken back, so a
    /// receiver never waits for it. A handle in an argument counts from the call until the task or process
    /// has ended, whether or not it has begun. So pass on the sender itself, or drop your own, before you
    /// wait for the end.
    ///
    /// ```
    /// use phalanx::{Pool, Queue, QueueError, Sender};
    ///
    /// # fn main() -> Result<(), phalanx::Error> {
    /// let pool = Pool::builder().workers(2).build()?;
    /// let (sender, receiver) = Queue::<u64>::pair()?;
    /// let mapper = |(sender, from): (Sender<u64>, u64)| {
    ///     (from..from + 3).for_each(|i| sender.send(&(i * i)).expect("somebody receives"));
    /// };
    /// let first = pool.apply_async(mapper, (sender.clone(), 0));
    /// let second = pool.apply_async(mapper, (sender, 3));
    /// // Ends when both mappers have ended, well or not.
    /// let squares: Result<Vec<u64>, QueueError> = receiver.iter().collect();
    /// assert_eq!(squares?.iter().sum::<u64>(), 55);
    /// assert!(matches!(receiver.recv(), Err(QueueError::EndOfFile { .. })));
    /// # first.get()?;
    /// # second.get()?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Queue::new`].
    #[doc(alias("mpsc::channel", "sync_channel"))]
    pub fn pair() -> Result<(Sender<T>, Receiver<T>), CreateError> {
        Queue::pair_with(QueueOptions::default())
    }

    /// Like [`Queue::pair`], with these options.
    ///
    /// # Errors
    /// As [`Queue::with_options`].
    pub fn pair_with(options: QueueOptions) -> Result<(Sender<T>, Receiver<T>), CreateError> {
        make_ends("queue", options, 0)
    }
}

/// One end.
struct End<T: Message, const SIDE: usize> {
    queue: Queue<T>,
    /// Whether this handle is noted in the holders' table until dropped: in the process that made the queue,
    /// and where a worker has cloned what a launch lent. What came with a message is noted by its lease.
    noted: bool,
}

fn control_of(place: &Place) -> &Control {
    // SAFETY: the place of an end holds one at its base.
    unsafe { place.words().cast().as_ref() }
}

/// Notes that this process has one handle of an end less.
fn leave(control: &Control, side: usize) {
    let (me, holders) = (member::current_member(), &control.holders[side]);
    if let Some(slot) = holders.slot_of(me) {
        let _held = holders.sub(me, slot, 1);
    }
    if holders.total() == 0 {
        control.rouse_all();
    }
}

/// Notes that a handle came to this process in a message. Its sender's handle counts until that message is
/// done with, so the end has a holder all the time.
fn arrive(place: Place, side: usize) -> Option<OnLastDrop> {
    let me = member::current_member();
    if me == MemberId::DRIVER {
        return None;
    }
    let control = control_of(&place);
    // With the table full it is not noted; then the message's handle keeps the end open.
    control.holders[side].add(me, 1)?;
    control.ended_by[side].store(0, Ordering::Release);
    Some(Box::new(move || leave(control_of(&place), side)))
}

/// Notes that a launch lends an end to this process. The driver's handle outlives the launch, so only a pipe
/// counts it, to tell by this process's death that nobody uses the end. No last-drop hook runs, as after any
/// launch: the next one lends the same again.
pub(super) fn lend(place: &Place, side: usize) {
    if control_of(place).lends() {
        drop(arrive(place.lend(), side));
    }
}

impl<T: Message, const SIDE: usize> End<T, SIDE> {
    fn of(place: Place) -> Self {
        let noted = !fork::is_foreign()
            && (place.segment().is_some() || place.is_pinned())
            && control_of(&place).holders[SIDE].add(member::current_member(), 1).is_some();
        End { queue: Queue::of(place), noted }
    }

    /// Notes that the driver itself uses this end, so that no worker's death is a pipe's end.
    fn used(&self) {
        if member::current_member() == MemberId::DRIVER && !fork::is_foreign() {
            let uses = &self.queue.control().driver_uses[SIDE];
            if uses.load(Ordering::Relaxed) == 0 {
                uses.store(1, Ordering::Relaxed);
            }
        }
    }

    fn error(&self, error: QueueError, other: usize) -> QueueError {
        match error {
            QueueError::Closed => {
                let died = self.queue.control().ended_by[other].load(Ordering::Relaxed);
                QueueError::EndOfFile { died: (died != 0).then_some(MemberId(died)) }
            }
            error => error,
        }
    }
}

impl<T: Message, const SIDE: usize> Drop for End<T, SIDE> {
    fn drop(&mut self) {
        if self.noted && !fork::is_foreign() {
            leave(self.queue.control(), SIDE);
        }
    }
}

impl<T: Message> Sender<T> {
    /// Sends an item. Blocks while the queue is full. The caller keeps the item, so nothing is lost if it
    /// cannot be sent.
    ///
    /// # Errors
    /// - [`QueueError::EndOfFile`]: no receiver is left.
    /// - Otherwise as [`Queue::put`].
    pub fn send(&self, item: &T) -> Result<(), QueueError> {
        self.send_with(item, Patience::Forever)
    }

    /// Like [`Sender::send`], but waits at most `timeout` for room.
    ///
    /// # Errors
    /// As [`Sender::send`], and [`QueueError::Full`].
    pub fn send_timeout(&self, item: &T, timeout: Duration) -> Result<(), QueueError> {
        self.send_with(item, Patience::of(timeout))
    }

    /// Sends an item if there is room. Does not wait for room, but like [`Receiver::try_recv`] perhaps for
    /// the lock.
    ///
    /// # Errors
    /// As [`Sender::send`], and [`QueueError::Full`].
    pub fn try_send(&self, item: &T) -> Result<(), QueueError> {
        self.send_with(item, Patience::Try)
    }

    fn send_with(&self, item: &T, patience: Patience) -> Result<(), QueueError> {
        self.0.used();
        self.0.queue.put_with(item, patience).map_err(|error| self.0.error(error, RECEIVING))
    }

    /// Sends bytes as they are, for [`Receiver::recv_bytes`].
    ///
    /// # Errors
    /// As [`Sender::send`].
    pub fn send_bytes(&self, bytes: &[u8]) -> Result<(), QueueError> {
        self.0.used();
        self.0.queue.put_bytes(bytes, Patience::Forever).map_err(|error| self.0.error(error, RECEIVING))
    }

    /// Closes the queue for all senders: receivers get what was sent, then [`QueueError::EndOfFile`].
    pub fn close(&self) {
        self.0.queue.close();
    }
}

impl<T: Message> Receiver<T> {
    /// Receives the next item. Blocks while there is none.
    ///
    /// # Errors
    /// - [`QueueError::EndOfFile`]: no sender is left, and everything that was sent has been received.
    /// - Otherwise as [`Queue::get`].
    pub fn recv(&self) -> Result<T, QueueError> {
        self.recv_with(Patience::Forever)
    }

    /// Like [`Receiver::recv`], but waits at most `timeout`.
    ///
    /// # Errors
    /// As [`Receiver::recv`], and [`QueueError::Empty`].
    pub fn recv_timeout(&self, timeout: Duration) -> Result<T, QueueError> {
        self.recv_with(Patience::of(timeout))
    }

    /// Receives the next item if there is one. Does not wait. (A process that was stopped inside
    /// the queue's lock holds the call up for 50 ms at most.)
    ///
    /// # Errors
    /// As [`Receiver::recv`], and [`QueueError::Empty`].
    pub fn try_recv(&self) -> Result<T, QueueError> {
        self.recv_with(Patience::Try)
    }

    fn recv_with(&self, patience: Patience) -> Result<T, QueueError> {
        self.0.used();
        self.0.queue.get_with(patience).map_err(|error| self.0.error(error, SENDING))
    }

    /// Receives bytes sent by [`Sender::send_bytes`].
    ///
    /// # Errors
    /// As [`Receiver::recv`].
    pub fn recv_bytes(&self) -> Result<Vec<u8>, QueueError> {
        self.0.used();
        self.0.queue.get_bytes(Patience::Forever).map_err(|error| self.0.error(error, SENDING))
    }

    /// Waits at most `timeout` until [`Receiver::recv`] would not block, because an item is there or the
    /// other end is gone. Returns whether it would not block.
    ///
    /// # Errors
    /// - [`QueueError::Corrupt`]: the words in shared memory were overwritten.
    pub fn poll(&self, timeout: Duration) -> Result<bool, QueueError> {
        self.0.used();
        let patience = if timeout.is_zero() { Patience::Try } else { Patience::of(timeout) };
        self.0.queue.core()?.poll(patience).map_err(|refused| self.0.queue.error(refused))
    }

    /// Returns an iterator that receives items until no sender is left and everything has been received.
    pub fn iter(&self) -> Iter<'_, T> {
        self.0.used();
        self.0.queue.iter()
    }

    /// Returns an iterator that receives the items waiting now, and ends instead of waiting for more.
    pub fn try_iter(&self) -> Iter<'_, T> {
        self.0.used();
        self.0.queue.try_iter()
    }

    /// Returns the number of items waiting now, not including those being sent.
    pub fn len(&self) -> usize {
        self.0.queue.len()
    }

    /// Returns whether no item is waiting now.
    pub fn is_empty(&self) -> bool {
        self.0.queue.is_empty()
    }

    /// Closes the queue: senders get [`QueueError::EndOfFile`].
    pub fn close(&self) {
        self.0.queue.close();
    }
}

impl<'a, T: Message> IntoIterator for &'a Receiver<T> {
    type Item = Result<T, QueueError>;
    type IntoIter = Iter<'a, T>;

    fn into_iter(self) -> Iter<'a, T> {
        self.iter()
    }
}

impl<T: Message> IntoIterator for Receiver<T> {
    type Item = Result<T, QueueError>;
    type IntoIter = Received<T>;

    fn into_iter(self) -> Received<T> {
        Received(self)
    }
}

/// An iterator that owns a [`Receiver`] and receives items until no sender is left.
#[derive(Debug)]
pub struct Received<T: Message>(Receiver<T>);

impl<T: Message> Iterator for Received<T> {
    type Item = Result<T, QueueError>;

    fn next(&mut self) -> Option<Result<T, QueueError>> {
        self.0.iter().next()
    }
}

macro_rules! ends {
    ($handle:ident, $side:ident, $what:literal) => {
        // SAFETY: a queue's block, made and opened as such.
        unsafe impl<T: Message> Remote for $handle<T> {
            type Words = Control;
            // An end is no queue: its block has another kind.
            type Value = (T, [(); 2]);
            const WHAT: &'static str = $what;
            const ALIGN: usize = ALIGN;
            fn fits(len_bytes: usize) -> bool {
                Queue::<T>::fits(len_bytes)
            }
            fn place(&self) -> &Place {
                &self.0.queue.place
            }
            fn of(place: Place) -> Self {
                $handle(End::of(place))
            }
            fn arrived(place: Place) -> Option<OnLastDrop> {
                arrive(place, $side)
            }
            unsafe fn from_base<'w>(base: NonNull<u8>, wire: SyncWire) -> Borrowed<'w, Self> {
                // SAFETY: the caller's promise is the place's invariant.
                let place = unsafe { Place::borrowed(base, wire) };
                lend(&place, $side);
                Borrowed::new(Self::of(place))
            }
        }

        /// Makes another handle of the same end. The end is gone only when all its handles are.
        impl<T: Message> Clone for $handle<T> {
            fn clone(&self) -> Self {
                Self::of(self.place().clone())
            }
        }

        /// Works inside arguments and results of tasks and processes, and messages to and from
        /// managers; elsewhere it returns an error. In transit it counts as a handle.
        impl<T: Message> Serialize for $handle<T> {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                let noted = |packing: &mut travel::Packing| packing.count(Arc::new(self.clone()));
                // If nothing is packed, the next line reports it.
                let _ = travel::with_packing($what, noted);
                place::serialize(self.place(), $what, to)
            }
        }

        /// Works inside arguments and results of tasks and processes, and messages to and from
        /// managers; elsewhere it returns an error.
        impl<'de, T: Message> Deserialize<'de> for $handle<T> {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                Ok(Self::of(place::deserialize(&Self::expected(), from)?))
            }
        }

        impl<T: Message> std::fmt::Debug for $handle<T> {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_tuple(stringify!($handle)).field(&self.0.queue).finish()
            }
        }
    };
}
ends!(Sender, SENDING, "sending end of a queue");
ends!(Receiver, RECEIVING, "receiving end of a queue");
