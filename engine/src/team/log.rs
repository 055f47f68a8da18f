//! A worker's log events, told to the driver's `tracing` subscriber with the worker's rank.

use crate::team::mail::{self, FromWorker};
use std::fmt::Write as _;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

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
        let _kept = tracing::subscriber::set_global_default(Forwarder { socket, level });
    }
}

/// Emits a worker's event in the driver.
pub(crate) fn relay(rank: u32, level: u8, target: &str, message: &str) {
    match level {
        1 => tracing::error!(target: "phalanx::worker", rank, origin = target, "{message}"),
        2 => tracing::warn!(target: "phalanx::worker", rank, origin = target, "{message}"),
        3 => tracing::info!(target: "phalanx::worker", rank, origin = target, "{message}"),
        4 => tracing::debug!(target: "phalanx::worker", rank, origin = target, "{message}"),
        _ => tracing::trace!(target: "phalanx::worker", rank, origin = target, "{message}"),
    }
}

struct Forwarder {
    socket: Arc<OwnedFd>,
    level: LevelFilter,
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
        // A driver that does not read fast enough loses events rather than stopping its workers.
        let _lost = mail::try_send(&*self.socket, &mail, &[]);
    }
    fn enter(&self, _span: &Id) {}
    fn exit(&self, _span: &Id) {}
}
