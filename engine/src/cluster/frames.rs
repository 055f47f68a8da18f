//! Messages between the driver that leads and one that serves: a frame of fixed size, and a message of its own
//! for bytes that do not fit.
//!
//! Each end always awaits one frame of the other, until one comes that is the last.
#![deny(clippy::arithmetic_side_effects)]

use super::link::{FRAME_BYTES, FRAMES, Link};
use super::mpi::Posted;

/// Bytes of a frame: what it is, a number, and the length of what it says, 8 bytes each; then what it says.
const FRAME: usize = 512;
const HEAD: usize = 24;

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub(super) enum Kind {
    /// To one that serves: run these items.
    Run = 1,
    /// End a task after the item in work, and with it.
    Stop,
    StopHard,
    /// Say that you are there.
    Ping,
    /// To the one that leads: what came of a task.
    Answer,
    Pong,
    /// The last of each: no more tasks; no more answers.
    End,
    Ended,
}

const KINDS: [Kind; 8] =
    [Kind::Run, Kind::Stop, Kind::StopHard, Kind::Ping, Kind::Answer, Kind::Pong, Kind::End, Kind::Ended];

impl Kind {
    fn is_last(self) -> bool {
        matches!(self, Kind::End | Kind::Ended)
    }
}

/// One whole message.
pub(super) struct Received {
    pub(super) kind: Kind,
    pub(super) number: u64,
    pub(super) bytes: Vec<u8>,
}

/// One end of the way to another driver.
pub(super) struct Channel {
    peer: usize,
    /// The frame that is awaited; none after the last.
    frame: Option<Posted>,
    /// A frame that has come, and the bytes that follow it.
    body: Option<(Kind, u64, Posted)>,
    sending: Vec<Posted>,
}

impl Channel {
    pub(super) fn open(link: &Link, peer: usize) -> Channel {
        Channel { peer, frame: Some(await_frame(link, peer)), body: None, sending: Vec::new() }
    }

    /// Starts to send a message. Those of one end arrive in order.
    pub(super) fn send(&mut self, link: &Link, kind: Kind, number: u64, bytes: Vec<u8>) {
        let mut frame = Vec::with_capacity(FRAME);
        [kind as u64, number, bytes.len() as u64].iter().for_each(|word| frame.extend(word.to_le_bytes()));
        let fits = bytes.len() <= FRAME.saturating_sub(HEAD);
        if fits {
            frame.extend(&bytes);
        }
        frame.resize(FRAME, 0);
        self.sending.push(link.post(self.peer, FRAMES, frame, false));
        if !fits {
            self.sending.push(link.post(self.peer, FRAME_BYTES, bytes, false));
        }
    }

    /// Takes the next message, if it is there.
    pub(super) fn poll(&mut self, link: &Link) -> Option<Received> {
        self.sending.retain_mut(|posted| !link.is_done(posted));
        if self.body.is_none() {
            if !link.is_done(self.frame.as_mut()?) {
                return None;
            }
            let frame = self.frame.take()?.into_bytes();
            let Some((kind, number, len)) = read_head(&frame) else {
                let host = link.host(self.peer);
                link.abort(1, &format!("driver {} on {host} sent something unreadable", self.peer));
            };
            if let Some(bytes) = frame.get(HEAD..).and_then(|inline| inline.get(..len)) {
                return Some(self.done(link, kind, number, bytes.to_vec()));
            }
            let room = link.room(len, self.peer);
            self.body = Some((kind, number, link.post(self.peer, FRAME_BYTES, room, true)));
        }
        let (_, _, posted) = self.body.as_mut()?;
        if !link.is_done(posted) {
            return None;
        }
        let (kind, number, posted) = self.body.take()?;
        Some(self.done(link, kind, number, posted.into_bytes()))
    }

    /// Whether all that was sent is on its way, and may be forgotten.
    pub(super) fn is_flushed(&mut self, link: &Link) -> bool {
        self.sending.retain_mut(|posted| !link.is_done(posted));
        self.sending.is_empty()
    }

    /// Whether the other end has sent its last.
    pub(super) fn is_over(&self) -> bool {
        self.frame.is_none() && self.body.is_none()
    }

    fn done(&mut self, link: &Link, kind: Kind, number: u64, bytes: Vec<u8>) -> Received {
        if !kind.is_last() {
            self.frame = Some(await_frame(link, self.peer));
        }
        Received { kind, number, bytes }
    }
}

fn await_frame(link: &Link, peer: usize) -> Posted {
    link.post(peer, FRAMES, vec![0; FRAME], true)
}

fn read_head(frame: &[u8]) -> Option<(Kind, u64, usize)> {
    let word = |at: usize| Some(u64::from_le_bytes(*frame.get(at..)?.first_chunk()?));
    let kind = word(0)?;
    let kind = *KINDS.iter().find(|known| **known as u64 == kind)?;
    Some((kind, word(8)?, usize::try_from(word(16)?).ok()?))
}
