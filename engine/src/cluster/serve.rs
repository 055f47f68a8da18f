//! A driver that serves: its workers run the tasks of the driver that leads.
#![deny(clippy::arithmetic_side_effects)]

use super::courier::rest;
use super::frames::{Channel, Kind, Received};
use super::link::Link;
use super::parcel::{self, Answer, Parcel};
use super::vigil::Vigil;
use crate::launch::CancelToken;
use crate::pool::Pool;
use crate::task::TaskError;
use crate::task::queue::TaskQueue;
use crate::task::queued::{Arrival, QueuedTask, Receiver};
use crate::task::remote::Remote;
use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use std::sync::Arc;
use std::time::Instant;

/// The driver that leads.
const LEADER: usize = 0;

/// Answers that are whole, with the numbers of their tasks.
type Outbox = Arc<Mutex<Vec<(u64, Answer)>>>;

/// Receives the results of one task, which whichever thread collects brings here.
struct Served {
    number: u64,
    items: usize,
    /// How many items have an outcome, and which.
    state: Mutex<(usize, Answer)>,
    outbox: Outbox,
}

impl Served {
    fn note(&self, items: usize, add: impl FnOnce(&mut Answer)) {
        let mut state = self.state.lock();
        add(&mut state.1);
        state.0 = state.0.saturating_add(items);
        if state.0 >= self.items {
            self.outbox.lock().push((self.number, std::mem::take(&mut state.1)));
        }
    }
}

impl Receiver for Served {
    fn deliver(&self, arrival: Arrival<'_>) {
        let Arrival { first, items, results, faults, .. } = arrival;
        self.note(items, |answer| answer.add(first, items, results, faults));
    }

    fn fail(&self, first: usize, items: usize, error: TaskError) {
        self.note(items, |answer| answer.add_failure(first, items, &error));
    }

    // Every item is answered, so that the one that leads knows how many tasks are here.
    fn is_open(&self) -> bool {
        true
    }
}

/// A task that is here, and what winds it down.
type Task = (Arc<dyn Receiver>, CancelToken);

struct Server<'a> {
    link: &'a Link,
    queue: &'a Arc<TaskQueue>,
    channel: Channel,
    outbox: Outbox,
    tasks: FxHashMap<u64, Task>,
}

/// Runs tasks until the driver that leads has no more. `site` is the call, and where it is.
pub(super) fn serve(link: &Link, pool: &Pool, site: &str) {
    let mut channel = Channel::open(link, LEADER);
    let Some(queue) = pool.queue() else {
        // It has told that it has no workers.
        return end(link, &mut channel, site);
    };
    queue.join_cluster(Remote::new(&link.host(link.me), []));
    let outbox = Outbox::default();
    let mut server = Server { link, queue, channel, outbox, tasks: FxHashMap::default() };
    server.run(site);
    // What still runs is wanted by nobody.
    pool.terminate();
}

impl Server<'_> {
    fn run(&mut self, site: &str) {
        let (mut looks, mut last, mut vigil) = (0u32, Instant::now(), Vigil::default());
        loop {
            let received = self.channel.poll(self.link);
            let collected = self.queue.collect_for_others();
            let answered = self.answer();
            if let Some(received) = received {
                vigil.heard();
                if received.kind == Kind::End {
                    self.channel.send(self.link, Kind::Ended, 0, Vec::new());
                    return flush(self.link, &mut self.channel, site);
                }
                self.take(received);
            } else if collected == 0 && !answered {
                looks = looks.saturating_add(1);
                let outbox = &self.outbox;
                self.queue.rest(looks, &|| !outbox.lock().is_empty());
                let now = Instant::now();
                if self.tasks.is_empty() {
                    vigil.note(now.saturating_duration_since(last), self.link, LEADER, site);
                }
                last = now;
                continue;
            }
            looks = 0;
        }
    }

    /// Sends the answers that are whole.
    fn answer(&mut self) -> bool {
        let whole = std::mem::take(&mut *self.outbox.lock());
        let is_some = !whole.is_empty();
        for (number, answer) in whole {
            self.tasks.remove(&number);
            self.channel.send(self.link, Kind::Answer, number, answer.into_bytes());
        }
        is_some
    }

    fn take(&mut self, received: Received) {
        let Received { kind, number, bytes } = received;
        match kind {
            Kind::Run => self.start(number, &bytes),
            Kind::Ping => self.channel.send(self.link, Kind::Pong, 0, Vec::new()),
            Kind::Stop | Kind::StopHard => {
                if let Some((receiver, token)) = self.tasks.get(&number) {
                    token.cancel();
                    self.queue.wind_down(receiver);
                    if kind == Kind::StopHard {
                        self.queue.cancel(receiver);
                    }
                }
            }
            // Never sent here.
            Kind::Answer | Kind::Pong | Kind::End | Kind::Ended => {}
        }
    }

    fn start(&mut self, number: u64, bytes: &[u8]) {
        match parcel::read_task(bytes) {
            Ok(parcel) => {
                let Parcel { body, packed, limit } = parcel;
                let (items, token) = (packed.items, CancelToken::new());
                let (state, outbox) = (Mutex::default(), self.outbox.clone());
                let receiver: Arc<dyn Receiver> = Arc::new(Served { number, items, state, outbox });
                self.tasks.insert(number, (receiver.clone(), token.clone()));
                let plain = QueuedTask::new(body, packed, 0, receiver);
                self.queue.submit([QueuedTask { limit, cancel: Some(token), ..plain }]);
            }
            Err((items, why)) => {
                let mut answer = Answer::default();
                answer.add_failure(0, items, &TaskError::Machine { item: 0, host: "".into(), why });
                self.outbox.lock().push((number, answer));
            }
        }
    }
}

/// Waits for the end of a driver that runs nothing.
fn end(link: &Link, channel: &mut Channel, site: &str) {
    let (mut looks, mut last, mut vigil) = (0u32, Instant::now(), Vigil::default());
    loop {
        match channel.poll(link).map(|received| received.kind) {
            Some(Kind::End) => break,
            Some(Kind::Ping) => channel.send(link, Kind::Pong, 0, Vec::new()),
            Some(_) => {}
            None => {
                looks = looks.saturating_add(1);
                rest(looks);
                let now = Instant::now();
                vigil.note(now.saturating_duration_since(last), link, LEADER, site);
                last = now;
                continue;
            }
        }
        (looks, vigil) = (0, Vigil::default());
    }
    channel.send(link, Kind::Ended, 0, Vec::new());
    flush(link, channel, site);
}

/// Waits until all that was sent is on its way.
fn flush(link: &Link, channel: &mut Channel, site: &str) {
    let (mut looks, mut last, mut vigil) = (0u32, Instant::now(), Vigil::default());
    while !channel.is_flushed(link) {
        looks = looks.saturating_add(1);
        rest(looks);
        let now = Instant::now();
        vigil.note(now.saturating_duration_since(last), link, LEADER, site);
        last = now;
    }
}
