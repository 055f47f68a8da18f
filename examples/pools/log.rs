//! What programs log, printed as it comes.

use crate::{Outcome, Setting};
use std::fmt::Debug;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// Prints the message of every event. Programs that log more take one of the crate `tracing-subscriber`.
struct Printer;

struct Message;

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "message" {
            println!("{value:?}");
        }
    }
}

impl Subscriber for Printer {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::INFO
    }
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, event: &Event<'_>) {
        event.record(&mut Message);
    }
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

pub fn monitored(setting: &Setting) -> Outcome {
    let pool = setting.pool(4)?;
    let squares = tracing::subscriber::with_default(Printer, || {
        phalanx::pool::monitored("squares", || pool.map(|n: u64| n * n, 1..=8))
    })?;
    println!("{squares:?}");
    Ok(())
}
