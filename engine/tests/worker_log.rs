//! Workers' log events reach the program's subscriber. A program of its own: the subscriber is for the whole
//! process.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use phalanx::sync::Event as Signal;
use phalanx::{LaunchError, Pool, Process, Schedule};
use std::collections::BTreeMap;
use std::sync::{Condvar, LazyLock, Mutex, MutexGuard};
use std::time::Duration;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// An event that came from a worker.
#[derive(Clone, Debug)]
struct Line {
    level: Level,
    fields: BTreeMap<&'static str, String>,
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.fields.insert(field.name(), format!("{value:?}"));
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        self.fields.insert(field.name(), value.into());
    }
}

static LINES: Mutex<Vec<Line>> = Mutex::new(Vec::new());
static MORE: Condvar = Condvar::new();

/// Keeps events of workers at INFO and above.
struct Collector;

impl Subscriber for Collector {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::INFO
    }
    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::INFO)
    }
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, event: &Event<'_>) {
        if event.metadata().target() != "phalanx::worker" {
            return;
        }
        let mut line = Line { level: *event.metadata().level(), fields: BTreeMap::new() };
        event.record(&mut line);
        LINES.lock().unwrap().push(line);
        MORE.notify_all();
    }
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

/// One test at a time, with the subscriber in place and nothing collected yet.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    static INSTALLED: LazyLock<()> =
        LazyLock::new(|| tracing::subscriber::set_global_default(Collector).unwrap());
    let turn = TURN.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    *INSTALLED;
    LINES.lock().unwrap().clear();
    turn
}

/// Waits until `enough` of what was collected; forever means that the finding is a hang.
fn wait_for(enough: impl Fn(&[Line]) -> bool) -> Vec<Line> {
    let lines = LINES.lock().unwrap();
    let (lines, late) =
        MORE.wait_timeout_while(lines, Duration::from_secs(30), |lines| !enough(lines)).unwrap();
    assert!(!late.timed_out(), "{lines:?}");
    lines.clone()
}

#[test]
fn events_arrive_with_rank_level_and_origin() {
    let _turn = turn();
    let pool = Pool::builder().workers(3).build().unwrap();
    pool.launch()
        .chunk(1)
        .schedule(Schedule::Static)
        .for_each(0..3, |range| {
            tracing::info!(answer = 42, name = "x", "chunk {}", range.start);
            tracing::warn!(target: "solver", "careful");
            tracing::debug!("not for INFO");
            tracing::trace!("nor this");
        })
        .unwrap();
    let lines = wait_for(|lines| lines.len() >= 6);
    // Everything that was sent is there when the pool has ended.
    drop(pool);
    assert_eq!(LINES.lock().unwrap().len(), 6);
    let mut seen: Vec<(Level, &str, &str, &str)> = lines
        .iter()
        .map(|line| {
            let field = |name| line.fields[name].as_str();
            (line.level, field("rank"), field("origin"), field("message"))
        })
        .collect();
    seen.sort_by_key(|(level, rank, ..)| (*rank, *level));
    let expected: Vec<(Level, String, &str, String)> = (0..3)
        .flat_map(|rank| {
            let text = format!("chunk {rank} answer=42 name=\"x\"");
            [
                (Level::WARN, rank.to_string(), "solver", "careful".to_string()),
                (Level::INFO, rank.to_string(), "worker_log", text),
            ]
        })
        .collect();
    let mut expected: Vec<(Level, &str, &str, &str)> = expected
        .iter()
        .map(|(level, rank, origin, text)| (*level, rank.as_str(), *origin, text.as_str()))
        .collect();
    expected.sort_by_key(|(level, rank, ..)| (*rank, *level));
    assert_eq!(seen, expected);
}

#[test]
fn exit_functions_speak_and_their_panics_are_told() {
    let _turn = turn();
    let speak = || {
        tracing::info!("good bye");
        assert!(phalanx::current_rank() != Some(1), "a bad end");
    };
    let pool = Pool::builder().workers(2).at_exit(speak).build().unwrap();
    drop(pool);
    let lines = LINES.lock().unwrap();
    let mut told: Vec<_> = lines.iter().map(|line| (line.fields["rank"].as_str(), line.level)).collect();
    told.sort();
    assert_eq!(told, [("0", Level::INFO), ("1", Level::ERROR), ("1", Level::INFO)], "{lines:?}");
    let text = lines.iter().find(|line| line.level == Level::ERROR).unwrap().fields["message"].as_str();
    assert!(
        text.contains("the exit function panicked: a bad end") && text.contains("worker_log.rs"),
        "{text}"
    );
}

#[test]
fn a_flood_blocks_no_worker_and_what_is_lost_is_counted() {
    const FLOOD: usize = 20_000;
    let _turn = turn();
    let pool = Pool::builder().workers(2).build().unwrap();
    // The subscriber cannot go on while this thread has its lock.
    let held = LINES.lock().unwrap();
    pool.launch()
        .chunk(FLOOD / 2)
        .schedule(Schedule::Static)
        .for_each(0..FLOOD, |range| {
            for i in range {
                tracing::info!(
                    "event {i} of many, with some text to fill the socket sooner than with little text"
                );
            }
        })
        .unwrap();
    drop(held);
    // Whatever comes through next says how many did not.
    let told = |lines: &[Line]| -> usize {
        lines
            .iter()
            .filter_map(|line| {
                line.fields["message"].strip_suffix(" log events were lost")?.parse::<usize>().ok()
            })
            .sum()
    };
    let arrived =
        |lines: &[Line]| lines.iter().filter(|line| line.fields["message"].starts_with("event ")).count();
    let mut lines = LINES.lock().unwrap();
    let mut sent_later = 0;
    while arrived(&lines) + told(&lines) < FLOOD {
        drop(lines);
        sent_later += 2;
        pool.launch().chunk(1).schedule(Schedule::Static).for_each(0..2, |_| tracing::info!("next")).unwrap();
        // The subscriber needs the lock too, and a std lock is not fair: waiting gives it away until more has
        // come.
        lines = MORE.wait_timeout(LINES.lock().unwrap(), Duration::from_millis(100)).unwrap().0;
    }
    // What was sent later may have been lost and counted as well.
    let counted = arrived(&lines) + told(&lines);
    assert!((FLOOD..=FLOOD + sent_later).contains(&counted), "{counted} of {FLOOD} and {sent_later}");
}

#[test]
fn a_death_is_found_while_the_subscriber_is_stuck() {
    let _turn = turn();
    let pool = Pool::builder().workers(2).build().unwrap();
    let logged = Signal::new().unwrap();
    let held = LINES.lock().unwrap();
    let died =
        pool.launch().chunk(1).schedule(Schedule::Static).for_each((0..2, &logged), |(range, logged)| {
            if range.start == 0 {
                tracing::info!("the subscriber hangs on this");
                logged.set();
            } else {
                logged.wait();
                std::process::abort();
            }
        });
    assert!(matches!(died, Err(LaunchError::WorkerDied { .. })), "{died:?}");
    pool.for_each(0..10, |_| ()).unwrap();
    drop(held);
    wait_for(|lines| !lines.is_empty());
}

#[test]
fn a_panic_is_told_with_its_place() {
    let _turn = turn();
    let pool = Pool::builder().workers(2).build().unwrap();
    let line = line!() + 2;
    let failed = pool.launch().chunk(1).for_each(0..2, |range| {
        assert!(range.start > 5, "too small: {}", range.start);
    });
    let Err(error) = failed else { panic!("no error") };
    let text = error.to_string();
    assert!(text.contains("too small: "), "{text}");
    assert!(text.contains(&format!("tests/worker_log.rs:{line}:")), "{text}");
    // The call's own place as well.
    assert!(text.contains(&format!("tests/worker_log.rs:{}:", line - 1)), "{text}");
}

#[test]
fn processes_speak_with_their_name_and_panics_are_told() {
    let _turn = turn();
    let process = Process::builder()
        .name("mapper")
        .spawn(
            |n: u32| -> () {
                tracing::info!(n, "at work");
                panic!("out of ideas")
            },
            3,
        )
        .unwrap();
    assert!(process.join().is_err());
    // All that it said is there when it has been joined.
    let lines = LINES.lock().unwrap().clone();
    let told: Vec<(Level, &str)> =
        lines.iter().map(|line| (line.level, line.fields["message"].as_str())).collect();
    assert_eq!(told, [(Level::INFO, "at work n=3"), (Level::ERROR, told[1].1)]);
    assert!(told[1].1.contains("out of ideas") && told[1].1.contains("worker_log.rs"), "{}", told[1].1);
    for line in &lines {
        assert_eq!(
            (line.fields["process"].as_str(), line.fields["pid"].as_str()),
            ("mapper", &*process.pid().to_string())
        );
        assert!(!line.fields.contains_key("rank"));
    }
}
