//! Tasks and their outcomes as they go between drivers.
//!
//! A task names its code by distances, which mean the same in every process of one build: builds were compared
//! when the drivers met. Arguments and results are the bytes that a board has, so no driver between the two
//! reads them.
#![deny(clippy::arithmetic_side_effects)]

use crate::base::notation;
use crate::code;
use crate::spawn::ExitCause;
use crate::task::TaskError;
use crate::task::entry::TaskBody;
use crate::task::error::ItemFault;
use crate::task::queued::{Packed, QueuedTask};
use crate::task::remote::{Failure, Piece};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Numbers before a task's arguments: entry, function, layout, items, room for results, limit in nanoseconds.
const HEAD_WORDS: usize = 6;
const HEAD: usize = HEAD_WORDS * size_of::<u64>();

/// A task as bytes.
pub(super) fn write_task(queued_task: &QueuedTask) -> Vec<u8> {
    let QueuedTask { body, packed, limit, .. } = queued_task;
    // Functions that are not part of the program were refused.
    let offset = |address| code::offset_of(address).unwrap_or(0);
    let limit = limit.map_or(u64::MAX, |limit| u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX));
    let (items, room) = (packed.items as u64, packed.room as u64);
    let head = [offset(body.entry), offset(body.function), body.layout, items, room, limit];
    let arguments = packed.arguments();
    let mut bytes = Vec::with_capacity(HEAD.saturating_add(arguments.len()));
    head.iter().for_each(|word| bytes.extend(word.to_le_bytes()));
    bytes.extend_from_slice(arguments);
    bytes
}

/// A task that another driver sent.
pub(super) struct Parcel {
    pub(super) body: TaskBody,
    pub(super) packed: Packed,
    pub(super) limit: Option<Duration>,
}

/// Reads what [`write_task`] wrote; or says why it cannot be run here, and of how many items it is.
pub(super) fn read_task(bytes: &[u8]) -> Result<Parcel, (usize, String)> {
    let incomplete = || (0, "the task is incomplete".to_owned());
    let (head, arguments) = bytes.split_at_checked(HEAD).ok_or_else(incomplete)?;
    let mut words = head.as_chunks().0.iter().map(|word| u64::from_le_bytes(*word));
    let mut word = || words.next().unwrap_or(0);
    let (entry, function, layout) = (code::address_of(word()), code::address_of(word()), word());
    let (items, room, limit) = (word() as usize, word() as usize, word());
    let no_code = || (items, "it has no such function".to_owned());
    let (entry, function) = (entry.ok_or_else(no_code)?, function.ok_or_else(no_code)?);
    // Nothing is run again here: the driver that leads sees to that.
    let body = TaskBody { entry, function, layout, split: |_| None };
    let packed = Packed::copied(arguments, items, room, None).map_err(|error| (items, error.to_string()))?;
    let limit = (limit != u64::MAX).then(|| Duration::from_nanos(limit));
    Ok(Parcel { body, packed, limit })
}

/// What came of a task's items, as far as it is known.
#[derive(Default)]
pub(super) struct Answer {
    told: Told,
    results: Vec<u8>,
}

/// What goes before the bytes of results.
#[derive(Default, Serialize, Deserialize)]
struct Told {
    /// First item, items, bytes of results, faults.
    pieces: Vec<(usize, usize, usize, Vec<ItemFault>)>,
    /// First item, items, why.
    failures: Vec<(usize, usize, Why)>,
}

impl Answer {
    pub(super) fn add(&mut self, first: usize, items: usize, results: &[u8], faults: Vec<ItemFault>) {
        self.told.pieces.push((first, items, results.len(), faults));
        self.results.extend_from_slice(results);
    }

    pub(super) fn add_failure(&mut self, first: usize, items: usize, error: &TaskError) {
        self.told.failures.push((first, items, Why::of(error)));
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        let mut bytes = vec![0; size_of::<u64>()];
        // Numbers and texts into memory: nothing to refuse. What is not there counts as no outcome.
        let _cannot_fail = notation::append(&self.told, &mut bytes);
        let end = bytes.len() as u64;
        bytes[..size_of::<u64>()].copy_from_slice(&end.to_le_bytes());
        bytes.extend_from_slice(&self.results);
        bytes
    }
}

/// Reads what [`Answer::into_bytes`] wrote.
pub(super) fn read_answer<'b>(bytes: &'b [u8], host: &str) -> Option<(Vec<Piece<'b>>, Vec<Failure>)> {
    let end = usize::try_from(u64::from_le_bytes(*bytes.first_chunk()?)).ok()?;
    let (told, mut results) = bytes.split_at_checked(end)?;
    let Told { pieces, failures } = notation::read(told.get(size_of::<u64>()..)?).ok()?;
    let mut read = Vec::with_capacity(pieces.len());
    for (first, items, len, faults) in pieces {
        let (own, rest) = results.split_at_checked(len)?;
        results = rest;
        read.push(Piece { first, items, results: own, faults });
    }
    let failures = failures.into_iter().map(|(first, items, why)| (first, items, why.into_error(host)));
    Some((read, failures.collect()))
}

/// Why an item has no result, as it travels.
#[derive(Serialize, Deserialize)]
enum Why {
    Died { rank: usize, pid: u32, cause: End, oom: bool },
    TimedOut { limit: Duration, still_running: bool },
    Cancelled,
    Codec { is_argument: bool, why: String },
    Corrupt(String),
    Other(String),
}

#[derive(Clone, Copy, Serialize, Deserialize)]
enum End {
    Signal(i32, bool),
    Exit(i32),
    Unknown,
}

const ARGUMENT: &str = "the argument";

impl Why {
    fn of(error: &TaskError) -> Why {
        match error {
            TaskError::WorkerDied { rank, pid, cause, oom, .. } => {
                let cause = match *cause {
                    ExitCause::Signal { number, core_dumped } => End::Signal(number, core_dumped),
                    ExitCause::Exit(status) => End::Exit(status),
                    ExitCause::Unknown => End::Unknown,
                };
                Why::Died { rank: *rank, pid: *pid, cause, oom: *oom }
            }
            TaskError::TimedOut { limit, still_running, .. } => {
                Why::TimedOut { limit: *limit, still_running: *still_running }
            }
            TaskError::Cancelled { .. } => Why::Cancelled,
            TaskError::Codec { what, why, .. } => {
                Why::Codec { is_argument: *what == ARGUMENT, why: why.clone() }
            }
            TaskError::Corrupt { what, .. } => Why::Corrupt(what.clone()),
            TaskError::Memory { source, .. } => Why::Other(format!("no shared memory: {source}")),
            TaskError::Machine { why, .. } => Why::Other(why.clone()),
            other => Why::Other(other.to_string()),
        }
    }

    fn into_error(self, host: &str) -> TaskError {
        let (item, host) = (0, Box::<str>::from(host));
        match self {
            Why::Died { rank, pid, cause, oom } => {
                let cause = match cause {
                    End::Signal(number, core_dumped) => ExitCause::Signal { number, core_dumped },
                    End::Exit(status) => ExitCause::Exit(status),
                    End::Unknown => ExitCause::Unknown,
                };
                TaskError::WorkerDied { item, host, rank, pid, cause, oom }
            }
            Why::TimedOut { limit, still_running } => {
                TaskError::TimedOut { item, host, limit, still_running }
            }
            Why::Cancelled => TaskError::Cancelled { item },
            Why::Codec { is_argument, why } => {
                TaskError::Codec { item, what: if is_argument { ARGUMENT } else { "the result" }, why }
            }
            Why::Corrupt(what) => TaskError::Corrupt { item, what },
            Why::Other(why) => TaskError::Machine { item, host, why },
        }
    }
}

#[cfg(all(test, not(loom)))]
#[allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
mod tests {
    use super::*;

    #[test]
    fn answers_come_back_as_they_were() {
        let mut answer = Answer::default();
        answer.add(0, 3, &[1, 2, 3], Vec::new());
        let cause = ExitCause::Signal { number: 9, core_dumped: false };
        let died = TaskError::WorkerDied { item: 7, host: "".into(), rank: 1, pid: 2, cause, oom: true };
        answer.add_failure(3, 1, &died);
        answer.add_failure(4, 2, &TaskError::Cancelled { item: 0 });
        answer.add(6, 1, &[9], Vec::new());
        let bytes = answer.into_bytes();
        let (pieces, failures) = read_answer(&bytes, "node2").unwrap();
        let pieces: Vec<_> = pieces.iter().map(|piece| (piece.first, piece.items, piece.results)).collect();
        assert_eq!(pieces, [(0, 3, &[1, 2, 3][..]), (6, 1, &[9][..])]);
        let texts: Vec<_> =
            failures.iter().map(|(at, items, error)| format!("{at} {items} {error}")).collect();
        assert!(
            texts[0].starts_with("3 1 item 0 was lost on node2: worker 1 (pid 2) was killed"),
            "{texts:?}"
        );
        assert!(
            texts[0].contains("memory ran out") && texts[1].starts_with("4 2 item 0 was cancelled"),
            "{texts:?}"
        );
    }

    #[test]
    fn bytes_that_are_no_answer_or_task_are_refused() {
        let mut answer = Answer::default();
        answer.add(0, 3, &[1, 2, 3], Vec::new());
        let bytes = answer.into_bytes();
        for cut in 0..bytes.len() {
            assert!(read_answer(&bytes[..cut], "").is_none(), "{cut}");
        }
        assert!(
            read_task(&[0; 7]).is_err() && read_task(&[0; 48]).is_err() && read_task(&[0xff; 80]).is_err()
        );
    }
}
