//! Packet sockets between the driver and a worker: whole packets, file descriptors attached.
//!
//! SOCK_SEQPACKET keeps packet borders and reports the peer's death as end of file. Every descriptor is
//! close-on-exec from the moment it exists; no call raises SIGPIPE; every call is repeated after EINTR.

use crate::sys::descriptor;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
};
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

/// Most descriptors that one packet carries (SCM_MAX_FD of the kernel is 253).
pub(crate) const MAX_FDS: usize = 253;

/// One packet as it arrived. `len` is 0 exactly when the peer has closed (nobody here sends empty packets).
#[derive(Debug)]
pub(crate) struct Packet {
    /// Bytes written into the caller's buffer.
    pub(crate) len: usize,
    /// Descriptors that came along, close-on-exec.
    pub(crate) fds: Vec<OwnedFd>,
}

/// A connected pair of packet sockets.
#[doc(alias = "socketpair")]
pub(crate) fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let (one, other) =
        rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
    Ok((descriptor::kept(one)?, descriptor::kept(other)?))
}

/// Whether `fd` is a packet socket of the kind [`pair`] makes.
pub(crate) fn is_packet_socket(fd: impl AsFd) -> bool {
    matches!(rustix::net::sockopt::socket_type(fd), Ok(SocketType::SEQPACKET))
}

/// Sends one packet, waiting for room in the socket's buffer.
#[doc(alias = "sendmsg")]
pub(crate) fn send(socket: impl AsFd, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<()> {
    send_with(socket.as_fd(), bytes, fds, SendFlags::NOSIGNAL)
}

/// Sends one packet, or fails with `WouldBlock` if there is no room for it now.
pub(crate) fn try_send(socket: impl AsFd, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<()> {
    send_with(socket.as_fd(), bytes, fds, SendFlags::NOSIGNAL | SendFlags::DONTWAIT)
}

fn send_with(
    socket: BorrowedFd<'_>,
    bytes: &[u8],
    fds: &[BorrowedFd<'_>],
    flags: SendFlags,
) -> io::Result<()> {
    if bytes.is_empty() || fds.len() > MAX_FDS {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let sent = rustix::io::retry_on_intr(|| {
        rustix::net::sendmsg(socket, &[IoSlice::new(bytes)], &mut control, flags)
    })?;
    if sent == bytes.len() { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
}

/// Receives one packet, waiting for it.
#[doc(alias = "recvmsg")]
pub(crate) fn recv(socket: impl AsFd, buffer: &mut [u8]) -> io::Result<Packet> {
    recv_with(socket.as_fd(), buffer, RecvFlags::CMSG_CLOEXEC)
}

/// Receives one packet, or fails with `WouldBlock` if none is there.
pub(crate) fn try_recv(socket: impl AsFd, buffer: &mut [u8]) -> io::Result<Packet> {
    recv_with(socket.as_fd(), buffer, RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT)
}

fn recv_with(socket: BorrowedFd<'_>, buffer: &mut [u8], flags: RecvFlags) -> io::Result<Packet> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let message = rustix::io::retry_on_intr(|| {
        rustix::net::recvmsg(socket, &mut [IoSliceMut::new(buffer)], &mut control, flags)
    })?;
    let mut fds = Vec::new();
    for item in control.drain() {
        if let RecvAncillaryMessage::ScmRights(more) = item {
            for fd in more {
                fds.push(descriptor::kept(fd)?);
            }
        }
    }
    // A cut packet is a packet of another build or a full descriptor table (CTRUNC): never half a message.
    if message.flags.contains(ReturnFlags::TRUNC) {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "packet longer than its buffer"));
    }
    if message.flags.contains(ReturnFlags::CTRUNC) {
        return Err(io::Error::from_raw_os_error(libc::EMFILE));
    }
    Ok(Packet { len: message.bytes, fds })
}

/// Waits until `fd` is readable, at end of file or in error; false if `deadline` came first. On a pidfd this
/// waits for the process to end.
#[doc(alias = "poll")]
pub(crate) fn wait_readable(fd: impl AsFd, deadline: Option<Instant>) -> io::Result<bool> {
    let fd = fd.as_fd();
    loop {
        let left = deadline.map(left_until);
        match rustix::event::poll(&mut [PollFd::new(&fd, PollFlags::IN)], left.as_ref()) {
            Ok(0) if left.is_some_and(|left| (left.tv_sec, left.tv_nsec) == (0, 0)) => return Ok(false),
            Ok(0) | Err(rustix::io::Errno::INTR) => {}
            Ok(_) => return Ok(true),
            Err(error) => return Err(error.into()),
        }
    }
}

/// The time that is left until `deadline`, for polling.
pub(crate) fn left_until(deadline: Instant) -> Timespec {
    let left = deadline.saturating_duration_since(Instant::now());
    Timespec {
        tv_sec: left.min(Duration::from_secs(1 << 30)).as_secs() as i64,
        tv_nsec: left.subsec_nanos().into(),
    }
}

/// Waits until one of the descriptors is readable, at end of file or in error, and says which is the first of
/// them.
pub(crate) fn wait_any(fds: &[BorrowedFd<'_>]) -> io::Result<Option<usize>> {
    let mut polled: Vec<PollFd<'_>> =
        fds.iter().map(|fd| PollFd::from_borrowed_fd(*fd, PollFlags::IN)).collect();
    rustix::io::retry_on_intr(|| rustix::event::poll(&mut polled, None))?;
    Ok(polled.iter().position(|fd| !fd.revents().is_empty()))
}

/// Whether the other side is gone and nothing is left to read.
pub(crate) fn is_at_end(socket: impl AsFd) -> bool {
    use rustix::net::{RecvFlags, recv};
    let mut byte = [0u8; 1];
    matches!(recv(socket, &mut byte, RecvFlags::PEEK | RecvFlags::DONTWAIT), Ok((0, _)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_arrives_whole_with_its_descriptors() {
        let (a, b) = pair().unwrap();
        let (c, d) = pair().unwrap();
        send(&a, b"with a socket", &[c.as_fd()]).unwrap();
        drop(c);
        let mut buffer = [0; 64];
        let packet = recv(&b, &mut buffer).unwrap();
        assert_eq!(&buffer[..packet.len], b"with a socket");
        assert!(rustix::io::fcntl_getfd(&packet.fds[0]).unwrap().contains(rustix::io::FdFlags::CLOEXEC));
        send(&packet.fds[0], b"through it", &[]).unwrap();
        assert_eq!(recv(&d, &mut buffer).unwrap().len, 10);
    }

    #[test]
    fn a_closed_peer_is_end_of_file_and_no_signal() {
        let (a, b) = pair().unwrap();
        drop(b);
        assert_eq!(recv(&a, &mut [0; 8]).unwrap().len, 0);
        assert_eq!(send(&a, b"x", &[]).unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }

    #[test]
    fn nothing_is_cut_silently_and_nothing_blocks_when_asked_not_to() {
        let (a, b) = pair().unwrap();
        assert_eq!(try_recv(&b, &mut [0; 8]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        assert!(!wait_readable(&b, Some(Instant::now())).unwrap());
        send(&a, &[1; 32], &[]).unwrap();
        assert_eq!(recv(&b, &mut [0; 8]).unwrap_err().kind(), io::ErrorKind::InvalidData);
        while try_send(&a, &[1; 4096], &[]).is_ok() {}
        assert_eq!(try_send(&a, &[1; 4096], &[]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    }
}
