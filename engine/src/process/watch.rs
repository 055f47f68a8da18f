//! The watch: one thread that starts processes, learns of their deaths, and repairs what they left behind.
//!
//! It is made at the first start and lives as long as the program, because the kernel ends a process when the
//! *thread* that started it ends.

use super::child::{Child, End, Ending};
use crate::handle::kept;
use crate::spawn::log::{Note, Relay};
use crate::spawn::mail::{self, FromWorker};
use crate::spawn::oom::OomWatch;
use crate::spawn::watching::{self, Call};
use crate::spawn::{ExitCause, OUTSIDE_TEAMS, StartError, StartMethod, Starter, Wish, WorkerProcess};
use crate::sync::repair::repair;
use crate::sys::{fork, process};
use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::{Duration, Instant};

/// How long a fork server without processes is kept for the next start.
const LINGER: Duration = Duration::from_secs(2);

/// A request for a process, from any thread.
struct Request {
    method: StartMethod,
    name: String,
    answer: Answer,
}

/// Where the caller waits for its process.
type Answer = SyncSender<Result<WorkerProcess, StartError>>;

/// What callers and the watching thread share.
pub(super) struct Watch {
    /// The process whose thread watches; forks of it have none.
    owner: u32,
    /// Wakes the thread.
    call: Call,
    requests: Mutex<VecDeque<Request>>,
    children: Mutex<Vec<Arc<Child>>>,
    /// What `Fork` forks from, a copy of the caller as it was when it first asked, on its way to the thread.
    copy: Mutex<Option<Starter>>,
    /// There is, or was, such a copy.
    has_copy: AtomicBool,
    relay: Relay,
    oom: OomWatch,
}

static WATCH: Mutex<Option<&'static Watch>> = Mutex::new(None);
/// Held while a watch is made. It is not `WATCH` itself, because a copy made by `Fork` would find that locked
/// for ever.
static MAKING: Mutex<()> = Mutex::new(());

/// The watch of this process, if it has one already.
pub(super) fn present() -> Option<&'static Watch> {
    if fork::is_foreign() {
        // The lock may be held by a thread that is not here.
        return None;
    }
    WATCH.lock().filter(|watch| watch.owner == process::own_pid())
}

/// The watch of this process, ready to start processes by `method`.
pub(super) fn for_start(method: StartMethod) -> Result<&'static Watch, StartError> {
    let _one_at_a_time = MAKING.lock();
    let present = present();
    let wants_copy =
        method == StartMethod::Fork && present.is_none_or(|watch| !watch.has_copy.load(Ordering::Relaxed));
    // The copy is the caller as it is now: on its own thread, and before there is another.
    let copy = if wants_copy { Some(Starter::new(method, None)?) } else { None };
    let present = match present {
        Some(present) => present,
        None => Watch::begin()?,
    };
    *WATCH.lock() = Some(present);
    if copy.is_some() {
        *present.copy.lock() = copy;
        present.has_copy.store(true, Ordering::Relaxed);
    }
    Ok(present)
}

impl Watch {
    fn begin() -> Result<&'static Watch, StartError> {
        let call = Call::new();
        let system = |call| move |source| StartError::System { call, source };
        // Lives as long as the program, like its thread.
        let watch: &'static Watch = Box::leak(Box::new(Watch {
            owner: process::own_pid(),
            call: call.map_err(system("eventfd"))?,
            requests: Mutex::default(),
            children: Mutex::default(),
            copy: Mutex::default(),
            has_copy: AtomicBool::new(false),
            relay: Relay::default(),
            oom: OomWatch::new(),
        }));
        std::thread::Builder::new()
            .name("phalanx watch".into())
            .spawn(move || watch.run())
            .map_err(system("starting a thread"))?;
        Ok(watch)
    }

    /// Starts a process that waits for its assignment.
    pub(super) fn start(&self, method: StartMethod, name: &str) -> Result<WorkerProcess, StartError> {
        let (answer, answered) = sync_channel(1);
        let name = format!("{OUTSIDE_TEAMS}{name}");
        self.requests.lock().push_back(Request { method, name, answer });
        self.wake();
        let lost = || StartError::CannotServe { why: "the thread that starts processes panicked".into() };
        answered.recv().map_err(|_| lost())?
    }

    /// Watches a started process from now on.
    pub(super) fn adopt(&self, child: Arc<Child>) {
        self.children.lock().push(child);
        self.wake();
    }

    /// The processes whose end has not been settled.
    pub(super) fn children(&self) -> Vec<Arc<Child>> {
        self.children.lock().clone()
    }

    /// Waits until everything that processes have logged so far has reached the program's subscriber.
    pub(super) fn settle(&self) {
        self.relay.settle();
    }

    fn wake(&self) {
        self.call.ring();
    }

    fn run(&self) {
        let mut starters = Starters::default();
        loop {
            // A panic here must not leave callers waiting for a process that nobody will reap.
            if catch_unwind(AssertUnwindSafe(|| self.round(&mut starters))).is_err() {
                std::thread::sleep(Duration::from_millis(10));
            }
        }
    }

    fn round(&self, starters: &mut Starters) {
        while let Some(request) = { self.requests.lock().pop_front() } {
            if let Some(copy) = self.copy.lock().take() {
                starters.copy = Some(copy);
            }
            starters.take(request);
        }
        starters.advance();
        let children = self.children();
        let idle = children.is_empty() && starters.are_idle();
        let mut endings = Endings::default();
        let since = Instant::now();
        let timed_out = self.wait(&children, starters, idle, &mut endings);
        drop(children);
        drop(endings);
        if timed_out && idle && since.elapsed() >= LINGER {
            starters.dismiss();
        }
    }

    /// Waits for a death, mail, a call or news of a start; for at most [`LINGER`] if nothing is going on.
    /// Returns whether nothing at all has happened.
    fn wait(&self, children: &[Arc<Child>], starters: &Starters, idle: bool, endings: &mut Endings) -> bool {
        let processes: Vec<_> = children.iter().map(|child| &child.process).collect();
        let starts: Vec<_> = starters.all().flat_map(Starter::sources).collect();
        let due = starters.all().filter_map(Starter::due);
        let until = due.chain(idle.then(|| Instant::now() + LINGER)).min();
        let happened = watching::wait(&self.call, &processes, &starts, until);
        for event in happened.events {
            let child = &children[event.index];
            if event.mail {
                self.read_mail(child);
            }
            if event.died {
                endings.0.extend(self.reap_dead(child));
            }
        }
        happened.timed_out
    }

    fn read_mail(&self, child: &Child) {
        loop {
            let (mail, packet) = match mail::try_recv::<FromWorker>(&child.process.socket) {
                Ok(Some(mail)) => mail,
                Ok(None) => return,
                // It has ended, or its function has closed our socket: then it can only leave what fits its
                // call block.
                Err(_) => return child.process.silence(),
            };
            match self.relay.take(mail, || child.speaker()) {
                Some(FromWorker::Failed { why }) => child.refuse(why),
                Some(FromWorker::Outcome { len_bytes }) => child.take_far(len_bytes, packet.fds.first()),
                // No process outside teams sends anything else.
                _ => {}
            }
        }
    }

    /// Settles the end of a process, if it has ended.
    fn reap_dead(&self, child: &Arc<Child>) -> Option<(Arc<Ending>, End)> {
        let cause = child.process.try_reap()?;
        // What it sent before its end.
        self.read_mail(child);
        let oom = self.oom.has_killed_since_last_asked();
        repair(child.member);
        // What was kept for it, before its end is announced.
        kept::sweep_all();
        self.children.lock().retain(|other| !Arc::ptr_eq(other, child));
        let was_asked_for = child.is_dismissed.load(Ordering::Relaxed);
        if matches!(cause, ExitCause::Signal { .. }) && !was_asked_for {
            self.relay.pass(Note::Death { speaker: child.speaker(), pid: child.process.pid, cause });
        }
        Some(child.reap_dead(cause, oom))
    }
}

/// Ends to be announced. Done when this is dropped, so that no panic in between keeps them back.
#[derive(Default)]
struct Endings(Vec<(Arc<Ending>, End)>);

impl Drop for Endings {
    fn drop(&mut self) {
        self.0.drain(..).for_each(|(ending, end)| ending.announce(end));
    }
}

/// What processes are started with. Made when first needed, and given up, except for the copy, when nothing
/// has run for a while.
#[derive(Default)]
struct Starters {
    spawn: Option<Starter>,
    server: Option<Starter>,
    copy: Option<Starter>,
    /// Requests so far.
    count: u64,
    /// The callers that wait for processes being started.
    waiting: FxHashMap<u64, Answer>,
}

impl Starters {
    /// Sets a start going.
    fn take(&mut self, request: Request) {
        let starter = match request.method {
            StartMethod::Fork => self
                .copy
                .as_mut()
                .ok_or_else(|| StartError::CannotServe { why: "the copy to fork from is gone".into() }),
            StartMethod::Spawn => Starters::made(&mut self.spawn, request.method),
            StartMethod::ForkServer => Starters::made(&mut self.server, request.method),
        };
        match starter {
            Ok(starter) => {
                self.count += 1;
                self.waiting.insert(self.count, request.answer);
                starter.wish(Wish { tag: self.count, name: request.name });
            }
            // A caller that is gone needs no telling.
            Err(error) => drop(request.answer.send(Err(error))),
        }
    }

    fn made(place: &mut Option<Starter>, method: StartMethod) -> Result<&mut Starter, StartError> {
        match place {
            Some(starter) => Ok(starter),
            None => Ok(place.insert(Starter::new(method, None)?)),
        }
    }

    /// Informs callers of what has become of their processes.
    fn advance(&mut self) {
        for starter in [&mut self.spawn, &mut self.server, &mut self.copy].into_iter().flatten() {
            for (tag, outcome) in starter.advance() {
                let answer = self.waiting.remove(&tag);
                let unsent = match answer {
                    Some(answer) => answer.send(outcome).err().map(|unsent| unsent.0),
                    None => Some(outcome),
                };
                if let Some(Ok(process)) = unsent {
                    starter.discard(process);
                }
            }
        }
    }

    fn all(&self) -> impl Iterator<Item = &Starter> {
        [&self.spawn, &self.server, &self.copy].into_iter().flatten()
    }

    /// Whether there is something to give up, and nothing is being started.
    fn are_idle(&self) -> bool {
        self.waiting.is_empty() && (self.spawn.is_some() || self.server.is_some())
    }

    fn dismiss(&mut self) {
        (self.spawn, self.server) = (None, None);
    }
}
