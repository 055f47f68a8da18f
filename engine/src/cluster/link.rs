//! The wire between drivers: messages, and how a driver waits for them.
//!
//! A driver that waits tests its messages, yields, and sleeps a little in between when nothing comes for a
//! while, so that it does not take a core from workers. It never waits unseen: it says after a minute for whom
//! it waits, and with a limit it ends the job.
#![deny(clippy::arithmetic_side_effects)]

use super::error::ClusterError;
use super::meeting::{Call, Notice};
use super::mpi::{Direction, Message, Mpi, Posted, Unfinished};
use std::cell::{Cell, RefCell};
use std::fmt::Display;
use std::panic::Location;
use std::time::{Duration, Instant};

/// When a driver first says that it waits.
const FIRST_NOTICE: Duration = Duration::from_secs(60);
/// Tests before a driver yields.
const SPINS: u32 = 50;
/// How long a driver yields before it sleeps between tests.
const YIELDS: Duration = Duration::from_millis(2);
const NAP: Duration = Duration::from_micros(100);
/// Status of a job that was ended because a driver waited too long.
const TOO_LONG: i32 = 101;

const NOTICES: i32 = 1;
const BYTES: i32 = 2;
/// Frames between the driver that leads and one that serves, and what follows them.
pub(super) const FRAMES: i32 = 3;
pub(super) const FRAME_BYTES: i32 = 4;

/// One driver's end.
pub(super) struct Link {
    mpi: RefCell<Box<dyn Mpi>>,
    pub(super) me: usize,
    pub(super) size: usize,
    /// Host names, once they are known.
    hosts: RefCell<Vec<String>>,
    limit: Cell<Option<Duration>>,
    /// Whether this driver leads the others, so that they make no other call.
    pub(super) leads: Cell<bool>,
}

/// What each driver has to say, by driver.
pub(super) type Said = Vec<Vec<u8>>;

impl Link {
    pub(super) fn new(mpi: Box<dyn Mpi>, limit: Option<Duration>) -> Result<Link, ClusterError> {
        let (me, size) = (mpi.rank()?, mpi.size()?);
        let (hosts, limit) = (RefCell::new(Vec::new()), Cell::new(limit));
        Ok(Link { mpi: RefCell::new(mpi), me, size, hosts, limit, leads: Cell::new(false) })
    }

    pub(super) fn set_hosts(&self, hosts: Vec<String>) {
        *self.hosts.borrow_mut() = hosts;
    }

    pub(super) fn set_limit(&self, limit: Option<Duration>) {
        self.limit.set(limit);
    }

    pub(super) fn limit(&self) -> Option<Duration> {
        self.limit.get()
    }

    /// Starts a message that holds its bytes.
    pub(super) fn post(&self, peer: usize, tag: i32, bytes: Vec<u8>, is_receive: bool) -> Posted {
        self.mpi.borrow().post(peer, tag, bytes, is_receive)
    }

    pub(super) fn is_done(&self, posted: &mut Posted) -> bool {
        self.mpi.borrow().is_done(posted)
    }

    pub(super) fn host(&self, driver: usize) -> String {
        self.hosts.borrow().get(driver).cloned().unwrap_or_else(|| "an unknown host".into())
    }

    /// Ends the job.
    pub(super) fn abort(&self, status: i32, why: &str) -> ! {
        self.mpi.borrow().abort(status, why)
    }

    pub(super) fn version(&self) -> String {
        self.mpi.borrow().version()
    }

    pub(super) fn end(&self) {
        self.mpi.borrow_mut().end();
    }

    /// Tells all drivers which call this is, and learns the same of them. All return the same answer: either
    /// all make the same call, or each has an error that names one that does not.
    fn meet(&self, notice: &Notice) -> Result<Vec<Notice>, ClusterError> {
        let mut notices = vec![Notice::empty(); self.size];
        if let Some(own) = notices.get_mut(self.me) {
            *own = *notice;
        }
        let mut messages: Vec<Message<'_>> = Vec::new();
        for (peer, notice) in notices.iter_mut().enumerate().filter(|(peer, _)| *peer != self.me) {
            let direction = Direction::From(bytemuck::bytes_of_mut(notice));
            messages.push(Message { peer, tag: NOTICES, direction });
        }
        for peer in (0..self.size).filter(|peer| *peer != self.me) {
            messages.push(Message {
                peer,
                tag: NOTICES,
                direction: Direction::To(bytemuck::bytes_of(notice)),
            });
        }
        self.transfer(messages, notice);
        match notices.iter().position(|other| !notice.agrees(other)) {
            None => Ok(notices),
            Some(driver) => Err(self.disagreement(notice, driver, &notices[driver])),
        }
    }

    /// A call of all drivers in which each says something, and hears those for whom `wants(speaker, listener)`.
    pub(super) fn say(
        &self,
        call: Call,
        detail: usize,
        bytes: &[u8],
        site: &Location<'_>,
        wants: impl Fn(usize, usize) -> bool,
    ) -> Result<Said, ClusterError> {
        let own = Notice::new(call, detail as u64, bytes, site);
        if self.leads.get() {
            return Err(ClusterError::Leads { call: own.text() });
        }
        let notices = self.meet(&own)?;
        let is_long = |notice: &Notice| notice.inline().is_none();
        let mut said: Said = Vec::with_capacity(self.size);
        for (speaker, notice) in notices.iter().enumerate() {
            said.push(match notice.inline() {
                _ if !wants(speaker, self.me) => Vec::new(),
                _ if speaker == self.me => bytes.to_vec(),
                Some(inline) => inline.to_vec(),
                None => self.room(notice.len_bytes(), speaker),
            });
        }
        let mut messages = Vec::new();
        for (peer, room) in said.iter_mut().enumerate() {
            if peer != self.me && wants(peer, self.me) && is_long(&notices[peer]) {
                messages.push(Message { peer, tag: BYTES, direction: Direction::From(room) });
            }
        }
        for peer in 0..self.size {
            if peer != self.me && wants(self.me, peer) && is_long(&own) {
                messages.push(Message { peer, tag: BYTES, direction: Direction::To(bytes) });
            }
        }
        self.transfer(messages, &own);
        Ok(said)
    }

    /// Room for what a driver says. Without it nothing that was announced can be received any more.
    pub(super) fn room(&self, len_bytes: usize, speaker: usize) -> Vec<u8> {
        let mut room = Vec::new();
        if room.try_reserve_exact(len_bytes).is_err() {
            let host = self.host(self.me);
            self.abort(
                1,
                &format!(
                    "driver {} on {host} has no memory for the {len_bytes} bytes of driver {speaker}",
                    self.me
                ),
            );
        }
        room.resize(len_bytes, 0);
        room
    }

    /// Tells these peers which call this is, and sends and receives rows at once. A peer that makes another
    /// call ends the job: rows are under way by then.
    pub(super) fn exchange(&self, notice: &Notice, peers: &[usize], rows: Vec<Message<'_>>) {
        let mut notices = vec![Notice::empty(); peers.len()];
        let mut messages = Vec::with_capacity(rows.len().saturating_add(peers.len().saturating_mul(2)));
        for (peer, notice) in peers.iter().zip(&mut notices) {
            let direction = Direction::From(bytemuck::bytes_of_mut(notice));
            messages.push(Message { peer: *peer, tag: NOTICES, direction });
        }
        for peer in peers {
            let direction = Direction::To(bytemuck::bytes_of(notice));
            messages.push(Message { peer: *peer, tag: NOTICES, direction });
        }
        messages.extend(rows);
        self.transfer_checked(messages, peers.len(), notice, &mut |heads| {
            for head in heads {
                let Direction::From(bytes) = &head.direction else { continue };
                let theirs: Notice = bytemuck::pod_read_unaligned(bytes);
                if !notice.agrees(&theirs) {
                    let error = self.disagreement(notice, head.peer, &theirs);
                    self.abort(1, &format!("driver {} on {}: {error}", self.me, self.host(self.me)));
                }
            }
        });
    }

    fn transfer(&self, messages: Vec<Message<'_>>, site: &dyn Display) {
        self.transfer_checked(messages, 0, site, &mut |_| {});
    }

    /// Sends and receives; `check` sees the first `heads` messages before any other is looked at.
    fn transfer_checked(
        &self,
        mut messages: Vec<Message<'_>>,
        heads: usize,
        site: &dyn Display,
        check: &mut dyn FnMut(&[Message<'_>]),
    ) {
        if messages.is_empty() {
            return;
        }
        let peers: Vec<usize> = messages.iter().map(|message| message.peer).collect();
        let mut wait = Wait { link: self, site, since: None, tests: 0, notices: 0 };
        let mpi = self.mpi.borrow();
        let mut turn = |unfinished: Unfinished<'_>| {
            wait.turn(&mut || unfinished().and_then(|number| peers.get(number).copied()));
        };
        mpi.transfer(&mut messages, heads, &mut turn, check);
    }

    fn disagreement(&self, own: &Notice, driver: usize, theirs: &Notice) -> ClusterError {
        let host = self.host(driver);
        if theirs.is_readable() {
            ClusterError::Disagree { mine: own.text(), driver, host, theirs: theirs.text() }
        } else {
            ClusterError::MixedBuilds { driver, host }
        }
    }
}

/// One wait.
struct Wait<'a> {
    link: &'a Link,
    site: &'a dyn Display,
    /// When it began; the clock is not read for short ones.
    since: Option<Instant>,
    tests: u32,
    /// How often it was said.
    notices: u32,
}

impl Wait<'_> {
    /// Called between two tests.
    fn turn(&mut self, peer: Unfinished<'_>) {
        self.tests = self.tests.saturating_add(1);
        if self.tests < SPINS {
            std::hint::spin_loop();
            return;
        }
        let waited = self.since.get_or_insert_with(Instant::now).elapsed();
        if waited < YIELDS {
            std::thread::yield_now();
        } else {
            std::thread::sleep(NAP);
        }
        if self.link.limit.get().is_some_and(|limit| waited > limit)
            && let Some(peer) = peer()
        {
            self.link
                .abort(TOO_LONG, &format!("{}, which is the limit: the job ends", self.text(waited, peer)));
        }
        let next = FIRST_NOTICE.saturating_mul(1u32.checked_shl(self.notices).unwrap_or(u32::MAX));
        if waited > next
            && let Some(peer) = peer()
        {
            self.notices = self.notices.saturating_add(1);
            let line = format!("phalanx: {}\n", self.text(waited, peer));
            crate::sys::process::write_stderr(line.as_bytes());
        }
    }

    fn text(&self, waited: Duration, peer: usize) -> String {
        let Link { me, .. } = self.link;
        let (here, there) = (self.link.host(*me), self.link.host(peer));
        let waited = waited.as_secs_f64();
        format!(
            "driver {me} on {here} has waited {waited:.0} s for driver {peer} on {there} in {}",
            self.site
        )
    }
}
