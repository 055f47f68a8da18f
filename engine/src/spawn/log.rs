//! Passes a worker's log events to the driver's `tracing` subscriber, with the worker's rank.

use super::mail::{self, FromWorker};
use super::panic_note;
use super::process::ExitCause;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
// Plain atomics on purpose: this is process-local bookkeeping outside every checked protocol.
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError};
use std::time::Duration;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// Maximum number of notes that wait for the subscriber; further ones are only counted.
const LINE_NOTES: usize = 4096;
/// How long the end of a pool waits for the subscriber.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// The target of the relay's own events.
const ORIGIN: &str = "phalanx::log";

/// How verbose the driver's subscriber is, as a number for the welcome.
pub(crate) fn level_code() -> u8 {
    match LevelFilter::current().into_level() {
        None => 0,
        Some(level) => code_of(level),
    }
}

fn code_of(level: Level) -> u8 {
    match level {
        Level::ERROR => 1,
        Level::WARN => 2,
        Level::INFO => 3,
        Level::DEBUG => 4,
        Level::TRACE => 5,
    }
}

fn level_of(code: u8) -> LevelFilter {
    match code {
        0 => LevelFilter::OFF,
        1 => LevelFilter::ERROR,
        2 => LevelFilter::WARN,
        3 => LevelFilter::INFO,
        4 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    }
}

/// Makes this worker's events go to the driver.
pub(crate) fn install(socket: Arc<OwnedFd>, level: u8) {
    let level = level_of(level);
    if level != LevelFilter::OFF {
        // Fails only if a constructor of the program has installed one, which then stays.
        let _kept =
            tracing::subscriber::set_global_default(Forwarder { socket, level, lost: AtomicU64::new(0) });
    }
}

/// The origin of an event.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Speaker {
    /// The worker of this rank.
    Worker(u32),
    /// A process outside any team.
    Process { name: Arc<str>, pid: u32 },
}

impl Speaker {
    fn rank(&self) -> Option<u32> {
        match self {
            Speaker::Worker(rank) => Some(*rank),
            Speaker::Process { .. } => None,
        }
    }

    fn name(&self) -> Option<&str> {
        match self {
            Speaker::Worker(_) => None,
            Speaker::Process { name, .. } => Some(name),
        }
    }

    fn pid(&self) -> Option<u32> {
        match self {
            Speaker::Worker(_) => None,
            Speaker::Process { pid, .. } => Some(*pid),
        }
    }
}

/// Something to pass to the driver's subscriber.
pub(crate) enum Note {
    /// A worker's event.
    Event { speaker: Speaker, level: u8, target: String, message: String },
    /// Events of a worker that were lost.
    Lost { speaker: Speaker, count: u64 },
    /// A worker's death.
    Death { speaker: Speaker, pid: u32, cause: ExitCause },
    /// When this is dropped, everything passed before it has been emitted.
    Mark { _told: SyncSender<()> },
}

/// Emits workers' events in the driver, on a thread of its own: the subscriber is the program's code and may
/// be slow, stuck or waiting for a launch, while deaths must be handled.
#[derive(Default)]
pub(crate) struct Relay(Mutex<RelayStage>);

#[derive(Default)]
enum RelayStage {
    /// No event so far: there is no thread.
    #[default]
    Silent,
    Running(Line),
    Over,
}

struct Line {
    notes: SyncSender<Note>,
    ended: Receiver<()>,
    lost: Arc<Lost>,
}

/// Number of events that did not fit into the queue, by origin.
#[derive(Default)]
struct Lost(Mutex<BTreeMap<Speaker, u64>>);

impl Lost {
    fn count(&self, note: &Note) {
        let (speaker, count) = match note {
            Note::Event { speaker, .. } => (speaker, 1),
            Note::Lost { speaker, count } => (speaker, *count),
            Note::Death { .. } | Note::Mark { .. } => return,
        };
        *self.0.lock().entry(speaker.clone()).or_default() += count;
    }

    fn tell(&self) {
        let lost = std::mem::take(&mut *self.0.lock());
        for (speaker, count) in lost {
            emit(&Note::Lost { speaker, count });
        }
    }
}

impl Relay {
    /// Passes a note to the thread, without waiting for it.
    pub(crate) fn pass(&self, note: Note) {
        let mut stage = self.0.lock();
        if let RelayStage::Silent = *stage {
            *stage = Line::open().map_or(RelayStage::Over, RelayStage::Running);
        }
        if let RelayStage::Running(line) = &*stage
            && let Err(TrySendError::Full(note)) = line.notes.try_send(note)
        {
            line.lost.count(&note);
        }
    }

    /// Passes on what a worker has logged, if that is what its mail is; returns other mail.
    pub(crate) fn take(&self, mail: FromWorker, speaker: impl FnOnce() -> Speaker) -> Option<FromWorker> {
        // The subscriber is the program's own code: not on the calling thread.
        match mail {
            FromWorker::Lost { count } => self.pass(Note::Lost { speaker: speaker(), count }),
            FromWorker::Log { level, target, message } => {
                self.pass(Note::Event { speaker: speaker(), level, target, message });
            }
            other => return Some(other),
        }
        None
    }

    /// Waits until everything passed so far has been emitted, unless the subscriber takes too long.
    pub(crate) fn settle(&self) {
        let (told, is_told) = std::sync::mpsc::sync_channel(0);
        match &*self.0.lock() {
            // One that does not fit is dropped here, which ends the wait at once.
            RelayStage::Running(line) => drop(line.notes.try_send(Note::Mark { _told: told })),
            _ => return,
        }
        // Nothing is ever sent: the other end is dropped.
        let _told = is_told.recv_timeout(LAST_WORDS);
    }

    /// Waits until everything has been emitted, unless the subscriber takes too long.
    pub(crate) fn close(&self) {
        let stage = std::mem::replace(&mut *self.0.lock(), RelayStage::Over);
        if let RelayStage::Running(Line { notes, ended, .. }) = stage {
            drop(notes);
            let _told = ended.recv_timeout(LAST_WORDS);
        }
    }
}

impl Line {
    fn open() -> Option<Line> {
        let (notes, incoming) = std::sync::mpsc::sync_channel(LINE_NOTES);
        let (end, ended) = std::sync::mpsc::sync_channel(1);
        let lost = Arc::new(Lost::default());
        let told = lost.clone();
        let run = move || {
            for note in incoming {
                // A subscriber that panics loses this event.
                let emitted = catch_unwind(AssertUnwindSafe(|| {
                    emit(&note);
                    told.tell();
                }));
                // Its payload's own destructor may panic again.
                let _lost = emitted.map_err(panic_note::take);
            }
            let _nobody_waits = end.send(());
        };
        // Without a thread the events are lost, which is no reason to stop.
        std::thread::Builder::new().name("phalanx log".into()).spawn(run).ok()?;
        Some(Line { notes, ended, lost })
    }
}

fn emit(note: &Note) {
    match note {
        Note::Event { speaker, level, target, message } => relay(speaker, *level, target, message),
        Note::Lost { speaker, count } => relay(speaker, 2, ORIGIN, &format!("{count} log events were lost")),
        Note::Death { speaker: Speaker::Worker(rank), pid, cause } => {
            tracing::warn!(target: "phalanx", rank, pid, %cause, "a worker died");
        }
        Note::Death { speaker: Speaker::Process { name, .. }, pid, cause } => {
            tracing::warn!(target: "phalanx", process = &**name, pid, %cause, "a process died");
        }
        Note::Mark { .. } => {}
    }
}

/// Emits a worker's event in the driver. Fields that do not fit the speaker are left out.
fn relay(speaker: &Speaker, level: u8, target: &str, message: &str) {
    macro_rules! emit {
        ($level:ident) => {
            tracing::$level!(
                target: "phalanx::worker",
                rank = speaker.rank(),
                process = speaker.name(),
                pid = speaker.pid(),
                origin = target,
                "{message}"
            )
        };
    }
    match level {
        1 => emit!(error),
        2 => emit!(warn),
        3 => emit!(info),
        4 => emit!(debug),
        _ => emit!(trace),
    }
}

struct Forwarder {
    socket: Arc<OwnedFd>,
    level: LevelFilter,
    /// Events that found the socket full since the last that did not.
    lost: AtomicU64,
}

/// Writes an event's message, then its fields as `name=value`.
struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        let space = if self.0.is_empty() { "" } else { " " };
        // Writing to a String cannot fail.
        let _ = if field.name() == "message" {
            write!(self.0, "{space}{value:?}")
        } else {
            write!(self.0, "{space}{}={value:?}", field.name())
        };
    }
}

impl Subscriber for Forwarder {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= self.level
    }
    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.level)
    }
    fn new_span(&self, _span: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _span: &Id, _values: &Record<'_>) {}
    fn record_follows_from(&self, _span: &Id, _follows: &Id) {}
    fn event(&self, event: &Event<'_>) {
        let mut text = Text(String::new());
        event.record(&mut text);
        text.0.truncate(text.0.floor_char_boundary(16 << 10));
        let mail = FromWorker::Log {
            level: code_of(*event.metadata().level()),
            target: event.metadata().target().to_string(),
            message: text.0,
        };
        // A driver that does not read fast enough loses events rather than stopping its workers; it receives
        // their number.
        let lost = self.lost.swap(0, Ordering::Relaxed);
        let unsaid = match lost {
            0 => 0,
            count => {
                if mail::try_send(&*self.socket, &FromWorker::Lost { count }, &[]).is_ok() {
                    0
                } else {
                    count
                }
            }
        };
        if unsaid > 0 || mail::try_send(&*self.socket, &mail, &[]).is_err() {
            self.lost.fetch_add(unsaid + 1, Ordering::Relaxed);
        }
    }
    fn enter(&self, _span: &Id) {}
    fn exit(&self, _span: &Id) {}
}
