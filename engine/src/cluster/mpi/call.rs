//! What of MPI is used, safe to call, whichever library it comes from.
#![deny(clippy::arithmetic_side_effects)]

use crate::cluster::error::ClusterError;
use crate::sys::process;
use std::any::Any;
use std::io::{stderr, stdout};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

/// How long the launcher may take to read a driver's last line.
const READ_WITHIN: Duration = Duration::from_secs(1);
/// How long it may take to pass the line on.
const PASSED_ON_WITHIN: Duration = Duration::from_millis(50);

/// What one driver sends to, or receives from, another.
pub(in crate::cluster) struct Message<'a> {
    /// The other driver.
    pub(in crate::cluster) peer: usize,
    /// Messages between two drivers with the same tag arrive in the order in which they were sent.
    pub(in crate::cluster) tag: i32,
    pub(in crate::cluster) direction: Direction<'a>,
}

pub(in crate::cluster) enum Direction<'a> {
    To(&'a [u8]),
    /// Filled entirely: the sender sends as many bytes.
    From(&'a mut [u8]),
}

/// A message that is under way by itself: it holds its bytes.
pub(in crate::cluster) struct Posted {
    bytes: Vec<u8>,
    /// The library's handles.
    pub(super) requests: Box<dyn Any>,
    pub(super) is_done: bool,
}

impl Posted {
    pub(super) fn new(bytes: Vec<u8>, requests: Box<dyn Any>) -> Posted {
        Posted { bytes, requests, is_done: false }
    }

    /// The bytes, once [`Mpi::is_done`] has said so.
    pub(in crate::cluster) fn into_bytes(mut self) -> Vec<u8> {
        if self.is_done { std::mem::take(&mut self.bytes) } else { Vec::new() }
    }
}

/// The library may still read or write the bytes of a message that is not done.
impl Drop for Posted {
    fn drop(&mut self) {
        if !self.is_done {
            std::mem::forget(std::mem::take(&mut self.bytes));
        }
    }
}

/// Finds the first message that is not done.
pub(in crate::cluster) type Unfinished<'a> = &'a mut dyn FnMut() -> Option<usize>;

/// An MPI that is initialized. Not `Send`: its functions are called by one thread.
pub(in crate::cluster) trait Mpi {
    fn rank(&self) -> Result<usize, ClusterError>;
    fn size(&self) -> Result<usize, ClusterError>;
    /// Name and version, as in "MPICH 5.0.2".
    fn version(&self) -> String;
    /// Sends and receives all messages. Calls `wait` again and again until they are done. The first `heads`
    /// are done first: `check` sees them before any other is looked at.
    fn transfer(
        &self,
        messages: &mut [Message<'_>],
        heads: usize,
        wait: &mut dyn FnMut(Unfinished<'_>),
        check: &mut dyn FnMut(&[Message<'_>]),
    );
    /// Starts to send these bytes, or to receive as many in their place.
    fn post(&self, peer: usize, tag: i32, bytes: Vec<u8>, is_receive: bool) -> Posted;
    /// Whether a message is done.
    fn is_done(&self, posted: &mut Posted) -> bool;
    /// Says why, and ends the whole job with this status.
    fn abort(&self, status: i32, why: &str) -> !;
    /// Ends MPI, if we initialized it. All drivers have come here.
    fn end(&mut self);
}

/// Prints why the job ends, and waits a moment until the launcher has read it: one that ends a job drops what
/// it has not read.
pub(super) fn say_last(why: &str) {
    process::flush_output();
    process::write_stderr(format!("phalanx: {why}\n").as_bytes());
    let is_unread = |stream: BorrowedFd<'_>| rustix::io::ioctl_fionread(stream).is_ok_and(|bytes| bytes > 0);
    let began = Instant::now();
    // A file or a terminal has nothing unread.
    while began.elapsed() < READ_WITHIN && (is_unread(stderr().as_fd()) || is_unread(stdout().as_fd())) {
        std::thread::sleep(Duration::from_millis(1));
    }
    std::thread::sleep(PASSED_ON_WITHIN);
}
