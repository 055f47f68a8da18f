//! The messages between driver and workers on the packet socket: everything except launches, which go through
//! shared memory.

use crate::sys::socket::{self, Packet};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

/// Largest packet, in bytes.
const MAX_BYTES: usize = 64 << 10;
/// Maximum number of IDs in one packet.
pub(crate) const MAX_IDS: usize = 2048;

/// From the driver.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum ToWorker {
    /// What the worker is for, sent once: the distance of a [`Main`](super::worker::Main) from the anchor,
    /// and the data for it. With the descriptors that it needs. Only segments may come before.
    Begin { main: u64, with: Vec<u8> },
    /// A segment that the next launch uses. With its descriptor.
    Segment { id: u64, len_bytes: u64 },
    /// Segments that are gone.
    Retire(Vec<u64>),
    /// Handles of per-worker states that are gone.
    Forget(Vec<u64>),
}

/// From a worker.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum FromWorker {
    /// It serves launches from now on. What the machine refused, as text, and how long the initializer ran.
    Ready { refused: Vec<String>, initializing: Duration },
    /// It cannot serve.
    Failed { why: String },
    /// It wants to end, and serves launches until it is allowed to.
    Retiring,
    /// This many log events did not fit into the socket before this.
    Lost { count: u64 },
    /// The outcome of an assignment, in shared memory of its own. With its descriptor.
    Outcome { len_bytes: u64 },
    /// A part of what a worker says of the pool's exit function, or with an empty one that it begins with it.
    Exit {
        #[serde(with = "crate::base::bytes")]
        part: Vec<u8>,
        is_last: bool,
    },
    /// A log event.
    Log { level: u8, target: String, message: String },
}

impl ToWorker {
    /// A worker's first packet.
    pub(crate) fn begin(main: u64, with: &impl Serialize) -> io::Result<ToWorker> {
        Ok(ToWorker::Begin { main, with: postcard::to_stdvec(with).map_err(invalid)? })
    }
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
