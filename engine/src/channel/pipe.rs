//! `Pipe`: two connected ends, each of which notices when the other is gone.
//!
//! Each direction is a queue whose block also records who has its two ends. An end is gone when it has no
//! holder: the driver has dropped its handles (those on their way in messages count), and the workers that
//! had it have dropped theirs or are dead. It is also gone when it is closed, or when the last worker that
//! had it has died and the driver never used it itself.
//!
//! # Safety
//! Ends are handles of a queue's block.
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use super::codec::Message;
use super::error::QueueError;
use super::queue::{Queue, QueueOptions, make};
use super::word::{ALIGN, Control, PIPE, RECEIVING, SENDING};
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

/// The sending end of a one-way pipe; see [`Pipe`].
pub struct Sender<T: Message>(End<T, SENDING>);

/// The receiving end of a one-way pipe; see [`Pipe`].
pub struct Receiver<T: Message>(End<T, RECEIVING>);

/// One end of one direction.
struct End<T: Message, const SIDE: usize> {
    queue: Queue<T>,
    /// Whether this handle belongs to the process that made the pipe, and is noted in the holders' table
    /// until dropped.
    noted: bool,
}

fn control_of(place: &Place) -> &Control {
    // SAFETY: the place of a pipe's direction holds one at its base.
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

/// Notes that a handle came to this process, from a message or for a launch.
fn arrive(place: Place, side: usize) -> Option<OnLastDrop> {
    let me = member::current_member();
    if me == MemberId::DRIVER {
        return None;
    }
    let control = control_of(&place);
    // With the table full it is not noted; then the driver's own handle keeps the end open.
    control.holders[side].add(me, 1)?;
    control.ended_by[side].store(0, Ordering::Release);
    Some(Box::new(move || leave(control_of(&place), side)))
}

impl<T: Message, const SIDE: usize> End<T, SIDE> {
    fn of(place: Place) -> Self {
        let noted = !fork::is_foreign()
            && place.segment().is_some()
            && control_of(&place).holders[SIDE].add(MemberId::DRIVER, 1).is_some();
        End { queue: Queue::of(place), noted }
    }

    /// Notes that the driver itself uses this end, so that no worker's death is its end.
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
    /// Sends an item. Blocks while the pipe is full.
    ///
    /// # Errors
    /// - [`QueueError::EndOfFile`]: the other end is gone.
    /// - Otherwise as [`Queue::put`].
    pub fn send(&self, item: &T) -> Result<(), QueueError> {
        self.0.used();
        self.0.queue.put_with(item, Patience::Forever).map_err(|error| self.0.error(error, RECEIVING))
    }

    /// As [`Sender::send`], but waits at most `timeout` for room.
    ///
    /// # Errors
    /// As [`Sender::send`], and [`QueueError::Full`].
    pub fn send_timeout(&self, item: &T, timeout: Duration) -> Result<(), QueueError> {
        self.0.used();
        self.0.queue.put_with(item, Patience::of(timeout)).map_err(|error| self.0.error(error, RECEIVING))
    }

    /// Sends bytes as they are, for [`Receiver::recv_bytes`].
    ///
    /// # Errors
    /// As [`Sender::send`].
    pub fn send_bytes(&self, bytes: &[u8]) -> Result<(), QueueError> {
        self.0.used();
        self.0.queue.put_bytes(bytes, Patience::Forever).map_err(|error| self.0.error(error, RECEIVING))
    }

    /// Closes this direction: the other side receives what was sent, then [`QueueError::EndOfFile`].
    pub fn close(&self) {
        self.0.queue.close();
    }
}

impl<T: Message> Receiver<T> {
    /// Receives the next item. Blocks while there is none.
    ///
    /// # Errors
    /// - [`QueueError::EndOfFile`]: the other end is gone, and everything it sent has been received.
    /// - Otherwise as [`Queue::get`].
    pub fn recv(&self) -> Result<T, QueueError> {
        self.recv_with(Patience::Forever)
    }

    /// As [`Receiver::recv`], but waits at most `timeout`.
    ///
    /// # Errors
    /// As [`Receiver::recv`], and [`QueueError::Empty`].
    pub fn recv_timeout(&self, timeout: Duration) -> Result<T, QueueError> {
        self.recv_with(Patience::of(timeout))
    }

    /// Receives the next item if there is one. Does not wait.
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
    /// other end is gone. Returns whether that is so.
    ///
    /// # Errors
    /// - [`QueueError::Corrupt`]: the words in shared memory were overwritten.
    pub fn poll(&self, timeout: Duration) -> Result<bool, QueueError> {
        self.0.used();
        let patience = if timeout.is_zero() { Patience::Try } else { Patience::of(timeout) };
        self.0.queue.core()?.poll(patience).map_err(|refused| self.0.queue.error(refused))
    }

    /// Closes this direction: senders get [`QueueError::EndOfFile`].
    pub fn close(&self) {
        self.0.queue.close();
    }
}

macro_rules! ends {
    ($handle:ident, $side:ident, $what:literal) => {
        // SAFETY: a queue's block, made and opened as such.
        unsafe impl<T: Message> Remote for $handle<T> {
            type Words = Control;
            // A pipe is no queue: its block has another kind.
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
        }

        /// Makes another handle of the same end. The end is gone only when all its handles are.
        impl<T: Message> Clone for $handle<T> {
            fn clone(&self) -> Self {
                Self::of(self.place().clone())
            }
        }

        /// Works inside arguments of tasks and processes, results of processes, and messages to and from
        /// managers; elsewhere it returns an error. In transit it counts as a handle.
        impl<T: Message> Serialize for $handle<T> {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                let noted = |packing: &mut travel::Packing| packing.add(Arc::new(self.clone()));
                // If nothing is packed, the next line reports it.
                let _ = travel::with_packing($what, noted);
                place::serialize(self.place(), $what, to)
            }
        }

        /// Works inside arguments of tasks and processes, results of processes, and messages to and from
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
ends!(Sender, SENDING, "sending end of a pipe");
ends!(Receiver, RECEIVING, "receiving end of a pipe");

/// One side of a [`Pipe`], which sends `S` and receives `R`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(bound = "S: Message, R: Message")]
pub struct Connection<S: Message, R: Message = S> {
    sender: Option<Sender<S>>,
    receiver: Option<Receiver<R>>,
}

/// Makes pipes: two connected [`Connection`]s, or the two ends of a single direction.
///
/// ```
/// use phalanx::channel::{Pipe, QueueError};
///
/// let (ours, theirs) = Pipe::duplex::<String, u32>()?;
/// std::thread::spawn(move || {
///     let word = theirs.recv().expect("it was sent");
///     theirs.send(&(word.len() as u32)).expect("somebody listens");
/// });
/// ours.send(&"seven".to_owned())?;
/// assert_eq!(ours.recv()?, 5);
/// // The thread has dropped its side.
/// assert!(matches!(ours.recv(), Err(QueueError::EndOfFile { .. })));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Pipe;

impl Pipe {
    /// Makes a pipe for both directions with one type of items.
    ///
    /// # Errors
    /// - [`CreateError`] if shared memory cannot be allocated.
    #[allow(clippy::new_ret_no_self, reason = "its users know it as the maker of two connections")]
    pub fn new<T: Message>() -> Result<(Connection<T>, Connection<T>), CreateError> {
        Pipe::duplex()
    }

    /// Makes a pipe for both directions: the first side sends `A` and receives `B`.
    ///
    /// # Errors
    /// As [`Pipe::new`].
    #[allow(clippy::type_complexity, reason = "two sides, mirrored")]
    pub fn duplex<A: Message, B: Message>() -> Result<(Connection<A, B>, Connection<B, A>), CreateError> {
        let ((to_b, at_b), (to_a, at_a)) = (Pipe::ends()?, Pipe::ends()?);
        let a = Connection { sender: Some(to_b), receiver: Some(at_a) };
        Ok((a, Connection { sender: Some(to_a), receiver: Some(at_b) }))
    }

    /// Makes a pipe for one direction: the first side only receives, the second only sends.
    ///
    /// # Errors
    /// As [`Pipe::new`].
    pub fn simplex<T: Message>() -> Result<(Connection<T>, Connection<T>), CreateError> {
        let (sender, receiver) = Pipe::ends()?;
        let receiving = Connection { sender: None, receiver: Some(receiver) };
        Ok((receiving, Connection { sender: Some(sender), receiver: None }))
    }

    /// Makes a pipe for one direction, with a separate type for each end.
    ///
    /// # Errors
    /// As [`Pipe::new`].
    pub fn ends<T: Message>() -> Result<(Sender<T>, Receiver<T>), CreateError> {
        let place = make::<Sender<T>>("pipe", QueueOptions::default(), PIPE)?;
        Ok((Sender::of(place.clone()), Receiver::of(place)))
    }
}

impl<S: Message, R: Message> Connection<S, R> {
    fn sender(&self) -> Result<&Sender<S>, QueueError> {
        self.sender.as_ref().ok_or(QueueError::WrongWay { can: "receives" })
    }

    fn receiver(&self) -> Result<&Receiver<R>, QueueError> {
        self.receiver.as_ref().ok_or(QueueError::WrongWay { can: "sends" })
    }

    /// Sends an item. Blocks while the pipe is full.
    ///
    /// # Errors
    /// As [`Sender::send`], and [`QueueError::WrongWay`] at the receiving end of a one-way pipe.
    pub fn send(&self, item: &S) -> Result<(), QueueError> {
        self.sender()?.send(item)
    }

    /// As [`Connection::send`], but waits at most `timeout` for room.
    ///
    /// # Errors
    /// As [`Connection::send`], and [`QueueError::Full`].
    pub fn send_timeout(&self, item: &S, timeout: Duration) -> Result<(), QueueError> {
        self.sender()?.send_timeout(item, timeout)
    }

    /// Sends bytes as they are, for [`Connection::recv_bytes`].
    ///
    /// # Errors
    /// As [`Connection::send`].
    pub fn send_bytes(&self, bytes: &[u8]) -> Result<(), QueueError> {
        self.sender()?.send_bytes(bytes)
    }

    /// Receives the next item. Blocks while there is none.
    ///
    /// # Errors
    /// As [`Receiver::recv`], and [`QueueError::WrongWay`] at the sending end of a one-way pipe.
    pub fn recv(&self) -> Result<R, QueueError> {
        self.receiver()?.recv()
    }

    /// As [`Connection::recv`], but waits at most `timeout`.
    ///
    /// # Errors
    /// As [`Connection::recv`], and [`QueueError::Empty`].
    pub fn recv_timeout(&self, timeout: Duration) -> Result<R, QueueError> {
        self.receiver()?.recv_timeout(timeout)
    }

    /// Receives the next item if there is one. Does not wait.
    ///
    /// # Errors
    /// As [`Connection::recv`], and [`QueueError::Empty`].
    pub fn try_recv(&self) -> Result<R, QueueError> {
        self.receiver()?.try_recv()
    }

    /// Receives bytes sent by [`Connection::send_bytes`].
    ///
    /// # Errors
    /// As [`Connection::recv`].
    pub fn recv_bytes(&self) -> Result<Vec<u8>, QueueError> {
        self.receiver()?.recv_bytes()
    }

    /// Waits at most `timeout` until [`Connection::recv`] would not block. Returns whether that is so.
    ///
    /// # Errors
    /// As [`Receiver::poll`], and [`QueueError::WrongWay`] at the sending end of a one-way pipe.
    pub fn poll(&self, timeout: Duration) -> Result<bool, QueueError> {
        self.receiver()?.poll(timeout)
    }

    /// Closes both directions.
    pub fn close(&self) {
        self.sender.iter().for_each(Sender::close);
        self.receiver.iter().for_each(Receiver::close);
    }

    /// The places of the two directions; `None` for a direction that this end does not have.
    pub(crate) fn places(&self) -> [Option<&Place>; 2] {
        [self.sender.as_ref().map(Remote::place), self.receiver.as_ref().map(Remote::place)]
    }

    /// Rebuilds the connection over directions mapped here, in the order of `places`.
    ///
    /// # Safety
    /// As for `Remote::from_base`, with a sender's and a receiver's place.
    pub(crate) unsafe fn from_bases<'w>(bases: [Option<(NonNull<u8>, SyncWire)>; 2]) -> Borrowed<'w, Self> {
        let [sender, receiver] = bases.map(|at| {
            // SAFETY: the caller's promise.
            at.map(|(base, wire)| unsafe { Place::borrowed(base, wire) })
        });
        for (place, side) in [(&sender, SENDING), (&receiver, RECEIVING)] {
            // As after any launch, no last-drop hook runs.
            drop(place.as_ref().and_then(|place| arrive(place.lend(), side)));
        }
        Borrowed::new(Connection { sender: sender.map(Remote::of), receiver: receiver.map(Remote::of) })
    }
}
