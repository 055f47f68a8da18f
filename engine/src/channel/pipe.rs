//! `Pipe`: two connected sides, each of which notices when the other is gone.
//!
//! Each direction has a sending and a receiving end (`ends`). A side that the driver has passed on without
//! ever using it is also gone when the last worker that had it has died: the driver's own handle is only what
//! it lent.
//!
//! # Safety
//! Sides are rebuilt over places of their directions' own kinds.
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use super::codec::Message;
use super::ends::{Receiver, Sender, lend, make_ends};
use super::error::QueueError;
use super::queue::QueueOptions;
use super::word::{LENDS, RECEIVING, SENDING};
use crate::sync::place::{Borrowed, CreateError, Place, Remote, SyncWire};
use serde::{Deserialize, Serialize};
use std::ptr::NonNull;
use std::time::Duration;

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
    ///
    /// ```
    /// use phalanx::Pipe;
    ///
    /// // This end sends numbers and receives texts; the other one the other way round.
    /// let (here, there) = Pipe::duplex::<u32, String>()?;
    /// here.send(&7)?;
    /// there.send(&format!("received {}", there.recv()?))?;
    /// assert_eq!(here.recv()?, "received 7");
    /// # Ok::<(), phalanx::Error>(())
    /// ```
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

    /// Makes a pipe for one direction, with a separate type for each end. See
    /// [`Queue::pair`](super::Queue::pair) for a queue whose ends any number of processes share.
    ///
    /// # Errors
    /// As [`Pipe::new`].
    pub fn ends<T: Message>() -> Result<(Sender<T>, Receiver<T>), CreateError> {
        make_ends("pipe", QueueOptions::default(), LENDS)
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

    /// Like [`Connection::send`], but waits at most `timeout` for room.
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

    /// Like [`Connection::recv`], but waits at most `timeout`.
    ///
    /// # Errors
    /// As [`Connection::recv`], and [`QueueError::Empty`].
    pub fn recv_timeout(&self, timeout: Duration) -> Result<R, QueueError> {
        self.receiver()?.recv_timeout(timeout)
    }

    /// Receives the next item if there is one. Does not wait. (A process that was stopped inside
    /// the queue's lock holds the call up for 50 ms at most.)
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

    /// Waits at most `timeout` until [`Connection::recv`] would not block. Returns whether it would not
    /// block.
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
        sender.iter().for_each(|place| lend(place, SENDING));
        receiver.iter().for_each(|place| lend(place, RECEIVING));
        Borrowed::new(Connection { sender: sender.map(Remote::of), receiver: receiver.map(Remote::of) })
    }
}
