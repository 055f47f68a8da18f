//! Writing the trace as a file for timeline viewers.

use super::Pool;
use crate::memory::draft;
use crate::sys::fork;
use crate::team::trace::{Event, EventKind, Journal, Trace};
use serde_json::{Value, json};
use std::io;
use std::path::{Path, PathBuf};

/// Why a trace cannot be written.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum TraceError {
    /// The pool keeps no trace, or runs inline.
    #[error("this pool keeps no trace; make it with Pool::builder().trace(true)")]
    Off,
    /// The trace was requested in a kernel, a task or a callback of a launch, which it would wait for.
    #[error(
        "the trace cannot be written in a kernel, a task or a callback of a launch: it would wait for itself; write it elsewhere"
    )]
    Inside,
    /// This process was forked from one that uses phalanx. The pool belongs to the parent.
    #[error("no trace can be written here: {}", crate::memory::AllocError::Forked)]
    Forked,
    /// The file cannot be written.
    #[error("cannot write the trace to {path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The error from the operating system.
        #[source]
        source: io::Error,
    },
}

crate::base::debug_is_display!(TraceError);

/// Row of the driver's launches; ranks follow.
const DRIVER_ROW: usize = 0;

const fn row_of(rank: usize) -> usize {
    rank + 1
}

impl Pool {
    /// Writes what the driver and the workers have done, as JSON in the Chrome trace event format. Open the
    /// file at <https://ui.perfetto.dev> (*Open trace file*; nothing leaves your machine) or in Chromium at
    /// `chrome://tracing`.
    ///
    /// The viewer shows the pool as one process. Its first row holds the launches, named by the source line
    /// of the call. Below, each worker has a row with its part of each launch and, inside that, the chunks it
    /// ran. Stolen chunks are marked: `cat` is `chunk` or `stolen`. Deaths of workers appear as marks on
    /// their rows. What a killed worker did before its death is kept; the chunk it was running ends at its
    /// death with `"unfinished": true`. Times are in microseconds since the pool was made.
    ///
    /// Waits for a running launch. The pool must have been made with [`trace`](crate::PoolBuilder::trace).
    /// Only the newest events of a long run are kept; `otherData` reports how many were dropped.
    ///
    /// # Errors
    /// - [`TraceError::Off`]: the pool keeps no trace, or runs inline.
    /// - [`TraceError::Inside`]: called in a kernel, a task or a callback of a launch.
    /// - [`TraceError::Forked`]: called in a process forked from one that uses phalanx.
    /// - [`TraceError::Io`]: the file cannot be written.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pool = phalanx::Pool::builder().workers(2).trace(true).build()?;
    /// let mut y = pool.zeros::<f64>(100_000)?;
    /// pool.for_each(y.split_mut(), |y| y.fill(1.0))?;
    /// let path = std::env::temp_dir().join(format!("trace-{}.json", std::process::id()));
    /// pool.write_trace(&path)?;
    /// # std::fs::remove_file(&path)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn write_trace(&self, path: impl AsRef<Path>) -> Result<(), TraceError> {
        let path = path.as_ref();
        if fork::is_foreign() {
            return Err(TraceError::Forked);
        }
        let trace = self.core.launcher.crew.trace.as_ref().ok_or(TraceError::Off)?;
        let document =
            self.core.launcher.between_launches(|| self.document(trace)).ok_or(TraceError::Inside)?;
        let text = serde_json::to_vec(&document).map_err(io::Error::from);
        text.and_then(|text| draft::replace(path, &[&text]))
            .map_err(|source| TraceError::Io { path: path.into(), source })
    }

    fn document(&self, trace: &Trace) -> Value {
        let clock = Clock { origin: trace.origin, ns_per_tick: self.core.rate.ns_per_tick() };
        let mut sheet = Sheet { clock, pid: std::process::id(), rows: Vec::new() };
        let crew = &self.core.launcher.crew;
        sheet.name_process(&format!("phalanx {}({} workers)", crew.label, crew.size));
        sheet.name_row(DRIVER_ROW, "launches");
        let mut lost = Vec::new();
        trace.with_journal(|journal| {
            sheet.driver(journal);
            for rank in 0..crew.size {
                let place = crew.cpus_of(rank).map_or("unbound".into(), |cpus| format!("CPUs {cpus}"));
                sheet.name_row(row_of(rank), &format!("worker {rank}, {place}"));
                let (events, overwritten) = trace.events(rank);
                lost.push(overwritten);
                sheet.worker(rank, &events, journal);
            }
        });
        let dropped = trace.with_journal(|journal| journal.dropped);
        json!({
            "displayTimeUnit": "ns",
            "otherData": { "overwritten_events_by_rank": lost, "dropped_driver_notes": dropped },
            "traceEvents": sheet.finish(),
        })
    }
}

/// Converts ticks to time since the trace began, in whole nanoseconds, so that parts never extend beyond
/// their wholes.
struct Clock {
    origin: u64,
    ns_per_tick: f64,
}

impl Clock {
    fn ns(&self, ticks: u64) -> u64 {
        (ticks.saturating_sub(self.origin) as f64 * self.ns_per_tick) as u64
    }
}

/// The events of a file in the making, with their times.
struct Sheet {
    clock: Clock,
    pid: u32,
    rows: Vec<(u64, Value)>,
}

impl Sheet {
    fn name_process(&mut self, name: &str) {
        self.rows.push((
            0,
            json!({ "ph": "M", "name": "process_name", "pid": self.pid, "args": { "name": name } }),
        ));
    }

    fn name_row(&mut self, row: usize, name: &str) {
        let (pid, tid) = (self.pid, row);
        self.rows.push((
            0,
            json!({ "ph": "M", "name": "thread_name", "pid": pid, "tid": tid, "args": { "name": name } }),
        ));
        self.rows.push((
            0,
            json!({ "ph": "M", "name": "thread_sort_index", "pid": pid, "tid": tid, "args": { "sort_index": row } }),
        ));
    }

    /// Something that lasted.
    fn span(&mut self, row: usize, name: String, kind: &str, (begin, end): (u64, u64), args: Value) {
        let (begin, end) = (self.clock.ns(begin), self.clock.ns(end));
        let value = json!({
            "ph": "X", "name": name, "cat": kind, "pid": self.pid, "tid": row, "args": args,
            "ts": begin as f64 / 1e3, "dur": end.saturating_sub(begin) as f64 / 1e3,
        });
        self.rows.push((begin, value));
    }

    fn driver(&mut self, journal: &Journal) {
        for launch in &journal.launches {
            let args = json!({
                "units": launch.len, "rounds": launch.epochs.len(), "first_epoch": launch.epochs.lo,
                "failure": launch.failure,
            });
            self.span(DRIVER_ROW, launch.site.to_string(), "launch", (launch.begin, launch.end), args);
        }
        for death in &journal.deaths {
            let at = self.clock.ns(death.at);
            let value = json!({
                "ph": "i", "s": "t", "name": format!("worker {} (pid {}) was {}", death.rank, death.pid, death.cause),
                "cat": "death", "pid": self.pid, "tid": row_of(death.rank), "ts": at as f64 / 1e3,
                "args": { "rank": death.rank, "worker_pid": death.pid },
            });
            self.rows.push((at, value));
        }
    }

    fn worker(&mut self, rank: usize, events: &[Event], journal: &Journal) {
        let now = crate::sys::clock::ticks();
        // An event without an end was cut short by a death, or by a panic that its part of the launch
        // outlived.
        let cut = |event: &Event| {
            let death = journal.deaths.iter().filter(|death| death.rank == rank).map(|death| death.at);
            let part = events.iter().filter(|other| {
                other.kind == EventKind::Launch
                    && other.epoch == event.epoch
                    && event.kind != EventKind::Launch
            });
            let ends = part.map(|part| part.end).chain(death);
            ends.filter(|end| *end > event.begin).min().unwrap_or(now)
        };
        for event in events {
            let end = if event.end == 0 { cut(event) } else { event.end };
            let mut args = json!({ "epoch": event.epoch, "lo": event.span.lo, "hi": event.span.hi });
            if event.end == 0 {
                args["unfinished"] = json!(true);
            }
            let (name, kind) = match event.kind {
                EventKind::Launch => (format!("launch {}", event.epoch), "part"),
                EventKind::Chunk => (event.span.to_string(), "chunk"),
                EventKind::StolenChunk => (format!("{} (stolen)", event.span), "stolen"),
                EventKind::Task => (format!("task {} ({} items)", event.epoch, event.span.len()), "task"),
            };
            self.span(row_of(rank), name, kind, (event.begin, end), args);
        }
    }

    /// In the order of time; names first.
    fn finish(mut self) -> Vec<Value> {
        self.rows.sort_by_key(|(at, _)| *at);
        self.rows.into_iter().map(|(_, value)| value).collect()
    }
}
