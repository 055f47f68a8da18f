//! A worker process that has been set up: it waits for the message about what it is for, and does that for
//! the rest of its life.
//!
//! # Safety
//! The driver sends the distance of a [`Main`], after it has seen that this process runs the same build.
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use super::mail::{self, FromWorker};
use super::segments::Mapped;
use crate::code;
use crate::sys::process;
use serde::de::DeserializeOwned;
use std::os::fd::OwnedFd;
use std::sync::Arc;

/// What a worker process does once it knows what it is for.
pub(crate) type Main = fn(Given) -> !;

/// What a worker's main function receives.
pub(crate) struct Given {
    /// The worker's end of the packet socket to the driver; end of file there means that the driver is gone.
    pub(crate) socket: Arc<OwnedFd>,
    with: Vec<u8>,
    pub(crate) fds: Vec<OwnedFd>,
    pub(crate) segments: Mapped,
}

impl Given {
    /// What the driver wrote for this main function.
    pub(crate) fn read<T: DeserializeOwned>(&self) -> Result<T, String> {
        postcard::from_bytes(&self.with).map_err(|error| format!("the first packet makes no sense: {error}"))
    }
}

/// A worker's whole life. `socket` is its end of the packet socket to the driver.
pub(super) fn run(socket: OwnedFd) -> ! {
    let socket = Arc::new(socket);
    let mut segments = Mapped::new(socket.clone());
    let told = segments.first_mail().and_then(|(main, with, fds)| {
        // SAFETY: the distance of a `Main` in this same build.
        let main = unsafe { code::function_at::<Main>(main) };
        let main = main.ok_or("the first packet names no function of this program")?;
        Ok((main, with, fds))
    });
    match told {
        Ok((main, with, fds)) => main(Given { socket, with, fds, segments }),
        Err(why) => fail(&socket, why),
    }
}

/// Reports to the driver why this process cannot do its work, and ends it.
pub(crate) fn fail(socket: &OwnedFd, why: String) -> ! {
    let _gone = mail::send(socket, &FromWorker::Failed { why }, &[]);
    process::exit_now(FAILED)
}

/// Exit status of a worker that could not begin.
pub(crate) const FAILED: i32 = 1;
