//! The terminal: drawn anew each time, and put back as it was.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr};
use std::io::{self, Stdin, Write};
use std::time::{Duration, Instant};

/// What was typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// The user has seen enough.
    End,
}

/// A terminal whose keys are read one by one, if standard input is one.
pub struct Screen {
    input: Stdin,
    before: Option<Termios>,
}

impl Screen {
    /// Has keys arrive at once and unseen. Ctrl-C is a key too, so that the terminal can be put back.
    pub fn open() -> io::Result<Screen> {
        let input = io::stdin();
        let before = tcgetattr(&input).ok();
        if let Some(before) = &before {
            let mut raw = before.clone();
            raw.local_modes -= LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG;
            raw.special_codes[SpecialCodeIndex::VMIN] = 0;
            raw.special_codes[SpecialCodeIndex::VTIME] = 0;
            tcsetattr(&input, OptionalActions::Now, &raw)?;
        }
        Ok(Screen { input, before })
    }

    /// Waits for a key that means something, at most so long.
    pub fn wait(&self, limit: Duration) -> io::Result<Option<Key>> {
        let until = Instant::now() + limit;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if self.before.is_none() {
                std::thread::sleep(left);
                return Ok(None);
            }
            let left = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() };
            match poll(&mut [PollFd::new(&self.input, PollFlags::IN)], Some(&left)) {
                Ok(0) => return Ok(None),
                Ok(_) => {}
                Err(rustix::io::Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            }
            let mut typed = [0; 16];
            let len = rustix::io::read(&self.input, &mut typed)?;
            // Nothing to read although it is readable: the terminal is gone.
            if len == 0 || typed[..len].iter().any(|byte| is_end(*byte)) {
                return Ok(Some(Key::End));
            }
        }
    }

    /// Draws the text over what was there.
    pub fn draw(&self, out: &mut impl Write, text: &str) -> io::Result<()> {
        // Home; each line cleared behind its text, and all below the last.
        write!(out, "\x1b[H")?;
        for line in text.lines() {
            write!(out, "{line}\x1b[K\r\n")?;
        }
        write!(out, "q ends\x1b[K\x1b[J")
    }
}

/// q, Q, Ctrl-C and Ctrl-D.
fn is_end(byte: u8) -> bool {
    matches!(byte, b'q' | b'Q' | 3 | 4)
}

impl Drop for Screen {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            let _gone = tcsetattr(&self.input, OptionalActions::Now, before);
        }
        println!();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_keys_end_it() {
        let ends: Vec<u8> = (0..=255).filter(|byte| is_end(*byte)).collect();
        assert_eq!(ends, [3, 4, b'Q', b'q']);
    }
}
