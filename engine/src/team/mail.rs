//! What driver and workers tell each other over the packet socket: everything but launches, which go through shared
//! memory.

use crate::sys::socket::{self, Packet};
use crate::team::opening::OpeningWire;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

/// Largest packet, in bytes.
const MAX_BYTES: usize = 64 << 10;
/// Ids in one packet at most.
pub(crate) const MAX_IDS: usize = 2048;

/// From the driver.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum ToWorker {
    /// The first: who you are. With the descriptors of orders, board and arena.
    Welcome(Box<Welcome>),
    /// A segment that the next launch uses. With its descriptor.
    Segment { id: u64, len_bytes: u64 },
    /// Segments that are gone.
    Retire(Vec<u64>),
    /// Handles of per-worker state that are gone.
    Forget(Vec<u64>),
    /// Instead of a welcome: do this one thing, then end. With the descriptor of the arena.
    Assignment(Box<Assignment>),
}

/// The one thing that a process outside any team is started for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Assignment {
    pub(crate) member: u32,
    pub(crate) name: String,
    pub(crate) is_daemon: bool,
    /// The driver's working directory, which a fork server may have had another of; empty if it has none.
    pub(crate) folder: Vec<u8>,
    pub(crate) arena: u64,
    pub(crate) arena_len: u64,
    /// Most verbose level that the driver's subscriber takes, 0 (off) to 5 (trace).
    pub(crate) log_level: u8,
    /// What to call: the distance of an `assignment::Entry` from the anchor.
    pub(crate) entry: u64,
    /// The block of the arena that the entry is given.
    pub(crate) offset: u64,
    pub(crate) len_bytes: u64,
}

/// A worker's place in its team.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Welcome {
    pub(crate) rank: u32,
    pub(crate) size: u32,
    pub(crate) member: u32,
    pub(crate) arena: u64,
    pub(crate) arena_len: u64,
    /// CPUs to run on; empty means all.
    pub(crate) cpus: Vec<u32>,
    /// NUMA node for its memory.
    pub(crate) node: Option<u32>,
    /// Other ranks, nearest first.
    pub(crate) victims: Vec<u32>,
    pub(crate) threads: u32,
    /// Members outnumber cores: do not spin.
    pub(crate) crowded: bool,
    /// Bytes of the trace's segment, whose descriptor comes next; 0 if there is none.
    pub(crate) trace_len: u64,
    /// Bytes of the errands' segment, whose descriptor comes next, and the function that opens it; zeros if there is none.
    pub(crate) errands: (u64, u64),
    /// What to run before serving.
    pub(crate) opening: Option<OpeningWire>,
    /// Most verbose level that the driver's subscriber takes, 0 (off) to 5 (trace).
    pub(crate) log_level: u8,
}

/// From a worker.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum FromWorker {
    /// It serves launches from now on. What the machine refused, in words.
    Ready { refused: Vec<String> },
    /// It cannot serve.
    Failed { why: String },
    /// It wants to end, and serves launches until it is given leave.
    Retiring,
    /// So many log events did not fit into the socket before this.
    Lost { count: u64 },
    /// What an assignment gave, in shared memory of its own. With its descriptor.
    Outcome { len_bytes: u64 },
    /// A log event.
    Log { level: u8, target: String, message: String },
}

fn invalid(error: postcard::Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

/// Sends one packet; waits while the socket is full. Returns its bytes.
pub(crate) fn send(socket: impl AsFd, mail: &impl Serialize, fds: &[BorrowedFd<'_>]) -> io::Result<usize> {
    let bytes = postcard::to_stdvec(mail).map_err(invalid)?;
    socket::send(socket, &bytes, fds)?;
    Ok(bytes.len())
}

/// Sends one packet unless the socket is full. Returns its bytes.
pub(crate) fn try_send(
    socket: impl AsFd,
    mail: &impl Serialize,
    fds: &[BorrowedFd<'_>],
) -> io::Result<usize> {
    let bytes = postcard::to_stdvec(mail).map_err(invalid)?;
    socket::try_send(socket, &bytes, fds)?;
    Ok(bytes.len())
}

/// Whether a packet was refused because the other side has not read those before.
pub(crate) fn is_full(error: &io::Error) -> bool {
    // ETOOMANYREFS: more descriptors are on their way than this user may have open.
    error.kind() == io::ErrorKind::WouldBlock || error.raw_os_error() == Some(libc::ETOOMANYREFS)
}

/// Whether a packet was refused because the other side is gone.
pub(crate) fn is_closed(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset)
}

fn decode<T: DeserializeOwned>(buffer: &[u8], packet: Packet) -> io::Result<(T, Packet)> {
    if packet.len == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let mail = postcard::from_bytes(&buffer[..packet.len]).map_err(invalid)?;
    Ok((mail, packet))
}

/// Waits for one packet. End of file, when the other side is gone, is an error.
pub(crate) fn recv<T: DeserializeOwned>(socket: impl AsFd) -> io::Result<(T, Packet)> {
    let mut buffer = vec![0; MAX_BYTES];
    let packet = socket::recv(socket, &mut buffer)?;
    decode(&buffer, packet)
}

/// Takes one packet if there is one.
pub(crate) fn try_recv<T: DeserializeOwned>(socket: impl AsFd) -> io::Result<Option<(T, Packet)>> {
    let mut buffer = vec![0; MAX_BYTES];
    match socket::try_recv(socket, &mut buffer) {
        Ok(packet) => decode(&buffer, packet).map(Some),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_bytes_are_mail_or_an_error(kind in 0..8u8, mut bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            bytes.insert(0, kind);
            let _ = postcard::from_bytes::<FromWorker>(&bytes);
            if let Ok(ToWorker::Retire(ids) | ToWorker::Forget(ids)) = postcard::from_bytes(&bytes) {
                prop_assert!(ids.len() < bytes.len());
            }
        }
    }
}
