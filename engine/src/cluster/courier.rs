//! The driver that leads, towards the others: sends them tasks, and takes their answers.
#![deny(clippy::arithmetic_side_effects)]

use super::frames::{Channel, Kind, Received};
use super::link::Link;
use super::parcel;
use super::vigil::Vigil;
use crate::task::leading::{self, NAP};
use crate::task::queue::TaskQueue;
use crate::task::remote::Remote;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a driver that leads waits for answers before it asks whether the others are there.
const ASKS_AFTER: Duration = Duration::from_secs(1);

/// All that serve.
pub(super) struct Courier {
    link: Rc<Link>,
    remote: Arc<Remote>,
    /// Where the program leads, for messages.
    site: String,
    /// In the order of [`Remote`]'s peers: driver 1 is the first.
    servers: RefCell<Vec<Server>>,
    /// Which of them is looked at next.
    turn: Cell<usize>,
}

/// One that serves.
struct Server {
    driver: usize,
    host: Box<str>,
    channel: Channel,
    /// Since the last sign of it, or since it was asked for one.
    vigil: Vigil,
    is_asked: bool,
}

impl Courier {
    pub(super) fn new(link: &Rc<Link>, remote: &Arc<Remote>, site: String) -> Courier {
        let server = |driver: usize| Server {
            driver,
            host: link.host(driver).into(),
            channel: Channel::open(link, driver),
            vigil: Vigil::default(),
            is_asked: false,
        };
        let servers = RefCell::new((1..link.size).map(server).collect());
        Courier { link: link.clone(), remote: remote.clone(), site, servers, turn: Cell::new(0) }
    }

    /// Tells all that there are no more tasks, and waits until each has ended.
    pub(super) fn end(&self) {
        for server in self.servers.borrow_mut().iter_mut() {
            server.channel.send(&self.link, Kind::End, 0, Vec::new());
        }
        let (mut looks, mut last) = (0u32, Instant::now());
        loop {
            let mut servers = self.servers.borrow_mut();
            // Late answers are to tasks that nobody awaits.
            let heard = servers.iter_mut().filter_map(|server| server.channel.poll(&self.link)).count();
            let is_over =
                |server: &mut Server| server.channel.is_over() && server.channel.is_flushed(&self.link);
            if servers.iter_mut().all(is_over) {
                return;
            }
            if heard > 0 {
                looks = 0;
                continue;
            }
            looks = looks.saturating_add(1);
            rest(looks);
            let now = Instant::now();
            for server in servers.iter_mut().filter(|server| !server.channel.is_over()) {
                server.vigil.note(now.saturating_duration_since(last), &self.link, server.driver, &self.site);
            }
            last = now;
        }
    }

    /// Takes the next message of any of them.
    fn next(&self) -> Option<(usize, Box<str>, Received)> {
        // Borrowed only where code of the program, called with an answer, waits itself: never here.
        let mut servers = self.servers.try_borrow_mut().ok()?;
        let (before, len) = (self.turn.get(), servers.len());
        for step in 0..len {
            let number = before.saturating_add(step).checked_rem(len).unwrap_or(0);
            let server = &mut servers[number];
            if let Some(received) = server.channel.poll(&self.link) {
                server.vigil.heard();
                server.is_asked &= received.kind != Kind::Pong;
                self.turn.set(number.saturating_add(1));
                return Some((number, server.host.clone(), received));
            }
        }
        None
    }
}

impl leading::Courier for Courier {
    fn send(&self, queue: &Arc<TaskQueue>) {
        let Ok(mut servers) = self.servers.try_borrow_mut() else { return };
        for stop in self.remote.take_stops() {
            let kind = if stop.is_hard { Kind::StopHard } else { Kind::Stop };
            if let Some(server) = servers.get_mut(stop.peer) {
                server.channel.send(&self.link, kind, stop.number, Vec::new());
            }
        }
        let mut left = Vec::new();
        while let Some((peer, number, bytes)) = self.remote.take_next(&mut left, parcel::write_task) {
            if let Some(server) = servers.get_mut(peer) {
                server.channel.send(&self.link, Kind::Run, number, bytes);
            }
        }
        drop(servers);
        queue.leave(left);
    }

    fn turn(&self, queue: &Arc<TaskQueue>) -> bool {
        let Some((peer, host, received)) = self.next() else { return false };
        if received.kind == Kind::Answer {
            let read = parcel::read_answer(&received.bytes, &host);
            // What cannot be read says nothing of any item.
            let (pieces, failures) = read.unwrap_or_default();
            queue.answered((peer, &host), received.number, pieces, failures);
        }
        true
    }

    fn note_silence(&self, silence: Duration) {
        let Ok(mut servers) = self.servers.try_borrow_mut() else { return };
        let asks_after = self.link.limit().map_or(ASKS_AFTER, |limit| ASKS_AFTER.min(limit.mul_f64(0.5)));
        for server in servers.iter_mut() {
            if !server.is_asked && server.vigil.waited() >= asks_after {
                server.channel.send(&self.link, Kind::Ping, 0, Vec::new());
                server.is_asked = true;
            }
            server.vigil.note(silence, &self.link, server.driver, &self.site);
        }
    }
}

/// Rests between two looks, the longer the more of them were in vain.
pub(super) fn rest(looks: u32) {
    match looks {
        0..64 => std::hint::spin_loop(),
        64..256 => std::thread::yield_now(),
        _ => std::thread::sleep(NAP),
    }
}
