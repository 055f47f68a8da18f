//! The worker's side: what runs in a worker process after it has been started.

use crate::sys::{process, socket};
use std::os::fd::OwnedFd;

/// The worker's main loop. `socket` is its end of the packet socket to the driver; end of file there means that the
/// driver is gone.
pub(crate) fn main(socket: OwnedFd) -> ! {
    let mut buffer = [0; 16];
    while let Ok(packet) = socket::recv(&socket, &mut buffer) {
        if &buffer[..packet.len] != b"ping" || socket::send(&socket, b"pong", &[]).is_err() {
            break;
        }
    }
    process::exit_now(0)
}
