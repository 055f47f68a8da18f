//! The first packets on a worker's socket: which process starts which, and whether both are the same build.
//!
//! Driver to new process: [`Hello`], followed by the numbers of descriptors to close. New process to driver:
//! [`Ready`]. Magic and version come first in both and never move, so that different builds can detect that
//! they differ.

use super::fingerprint::Fingerprint;
use crate::code;
use crate::sys::{process, socket};
use bytemuck::Zeroable;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

const MAGIC: u64 = u64::from_le_bytes(*b"phalanx\x01");

/// Most descriptors named for closing, a page of numbers.
const MAX_CLOSE: usize = 1024;

/// The private environment variable that makes an executed copy of this program a worker. Its value also
/// names this copy of the crate, since a program may link two versions of it.
pub(super) const MARKER: &str = "PHALANX_WORKER";

/// Between the program's name and the worker's, in what `ps` shows.
pub(super) const SHOWN: &str = " [phalanx ";

/// What a started process is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Worker,
    Server,
}

impl Role {
    /// The word in the marker.
    pub(super) fn word(self) -> &'static str {
        match self {
            Role::Worker => "worker",
            Role::Server => "server",
        }
    }

    /// The value of [`MARKER`] for a process of this role.
    pub(super) fn marker(self) -> String {
        let bias = code::own_object().map_or(0, |object| object.bias);
        let anchor = code::anchor_addr().wrapping_sub(bias);
        format!("{}-{anchor:x}-{}", env!("CARGO_PKG_VERSION"), self.word())
    }
}

/// First packet to a new process.
#[derive(Clone, Copy, Debug, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub(super) struct Hello {
    magic: u64,
    /// Process that must be the parent.
    pub(super) parent_pid: u32,
    /// Descriptor numbers that follow this struct.
    close_count: u32,
    /// Function that a fork server runs first: 1 + distance from the anchor; 0 for none.
    pub(super) preload: u64,
    name: [u8; 48],
}

/// First packet from a new process.
#[derive(Clone, Copy, Debug, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub(super) struct Ready {
    magic: u64,
    pub(super) pid: u64,
    pub(super) fingerprint: Fingerprint,
}

impl Hello {
    pub(super) fn new(parent_pid: u32, name: &str, preload: u64) -> Hello {
        let mut hello = Hello { magic: MAGIC, parent_pid, preload, ..Hello::zeroed() };
        let kept = name.len().min(hello.name.len());
        hello.name[..kept].copy_from_slice(&name.as_bytes()[..kept]);
        hello
    }

    pub(super) fn name(&self) -> String {
        let end = self.name.iter().position(|&byte| byte == 0).unwrap_or(self.name.len());
        String::from_utf8_lossy(&self.name[..end]).into_owned()
    }

    /// Sends it, with the descriptors that the new process is to close.
    pub(super) fn send(&self, to: impl AsFd, close: &[i32]) -> io::Result<()> {
        let close = &close[..close.len().min(MAX_CLOSE)];
        let hello = Hello { close_count: close.len() as u32, ..*self };
        let mut packet = bytemuck::bytes_of(&hello).to_vec();
        packet.extend_from_slice(bytemuck::cast_slice(close));
        socket::send(to, &packet, &[])
    }

    /// Waits for it. None if the driver is gone or uses another format.
    pub(super) fn recv(from: BorrowedFd<'_>) -> Option<(Hello, Vec<i32>)> {
        let mut buffer = vec![0u8; size_of::<Hello>() + MAX_CLOSE * size_of::<i32>()];
        let packet = socket::recv(from, &mut buffer).ok()?;
        let (head, rest) = buffer[..packet.len].split_at_checked(size_of::<Hello>())?;
        let hello: Hello = bytemuck::pod_read_unaligned(head);
        let close: Vec<i32> = rest.chunks_exact(4).map(bytemuck::pod_read_unaligned).collect();
        (hello.magic == MAGIC && close.len() == hello.close_count as usize).then_some((hello, close))
    }
}

impl Ready {
    pub(super) fn send(to: impl AsFd) -> io::Result<()> {
        let ready = Ready {
            magic: MAGIC,
            pid: process::own_pid().into(),
            fingerprint: Fingerprint::of_this_process(),
        };
        socket::send(to, bytemuck::bytes_of(&ready), &[])
    }

    /// Reads one; None if another build sent it.
    pub(super) fn read(packet: &[u8]) -> Option<Ready> {
        let ready: Ready = bytemuck::try_pod_read_unaligned(packet).ok()?;
        (ready.magic == MAGIC).then_some(ready)
    }
}
