//! MPI, loaded at run time: what of it is used, safe to call, whichever library it comes from.

mod abi;
mod library;
mod table;

use super::error::ClusterError;
use super::launcher::Launcher;
use crate::sys::process;
use abi::{Mpich, OpenMpi, Standard};
use library::{Interface, Opened};
use std::io::{stderr, stdout};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};
use table::Table;

/// How long the launcher may take to read a driver's last line.
const READ_WITHIN: Duration = Duration::from_secs(1);
/// How long it may take to pass the line on.
const PASSED_ON_WITHIN: Duration = Duration::from_millis(50);

/// What one driver sends to, or receives from, another.
pub(super) struct Message<'a> {
    /// The other driver.
    pub(super) peer: usize,
    /// Messages between two drivers with the same tag arrive in the order in which they were sent.
    pub(super) tag: i32,
    pub(super) direction: Direction<'a>,
}

pub(super) enum Direction<'a> {
    To(&'a [u8]),
    /// Filled entirely: the sender sends as many bytes.
    From(&'a mut [u8]),
}

/// Finds the first message that is not done.
pub(super) type Unfinished<'a> = &'a mut dyn FnMut() -> Option<usize>;

/// An MPI that is initialized. Not `Send`: its functions are called by one thread.
pub(super) trait Mpi {
    fn rank(&self) -> Result<usize, ClusterError>;
    fn size(&self) -> Result<usize, ClusterError>;
    /// Name and version, as in "MPICH 5.0.2".
    fn version(&self) -> String;
    /// Sends and receives all messages. Calls `wait` again and again until they are done.
    fn transfer(&self, messages: &mut [Message<'_>], wait: &mut dyn FnMut(Unfinished<'_>));
    /// Says why, and ends the whole job with this status.
    fn abort(&self, status: i32, why: &str) -> !;
    /// Ends MPI, if we initialized it. All drivers have come here.
    fn end(&mut self);
}

/// Prints why the job ends, and waits a moment until the launcher has read it: one that ends a job drops what
/// it has not read.
fn say_last(why: &str) {
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

/// Loads and initializes MPI. The second part names the library.
pub(super) fn start(launcher: &Launcher) -> Result<(Box<dyn Mpi>, String), ClusterError> {
    let library = Opened::find(launcher)?;
    let (mpi, interface): (Box<dyn Mpi>, _) = match library.interface() {
        Interface::Mpich => (Box::new(Table::<Mpich>::start(&library)?), "MPICH's"),
        Interface::OpenMpi => (Box::new(Table::<OpenMpi>::start(&library)?), "Open MPI's"),
        Interface::Standard => (Box::new(Table::<Standard>::start(&library)?), "the standard"),
    };
    Ok((mpi, format!("{}, {interface} ABI", library.name)))
}
