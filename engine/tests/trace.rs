//! Statistics of a launch, and the trace file: valid, complete, ordered, and with what the dead did.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use phalanx::sync::Event;
use phalanx::{Backend, LaunchError, LaunchStats, Pool, PoolBuilder, Schedule, TraceError};
use serde_json::Value;
use std::collections::BTreeMap;

fn builders() -> Vec<PoolBuilder> {
    vec![Pool::builder().workers(3), Pool::builder().workers(2).backend(Backend::Threads)]
}

/// The events of a pool's trace file.
fn events(pool: &Pool) -> Vec<Value> {
    let file = tempfile::NamedTempFile::new().unwrap();
    pool.write_trace(file.path()).unwrap();
    let text = std::fs::read_to_string(file.path()).unwrap();
    let document: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(document["otherData"]["dropped_driver_notes"], 0);
    document["traceEvents"].as_array().unwrap().clone()
}

fn of_kind<'a>(events: &'a [Value], kind: &str) -> Vec<&'a Value> {
    events.iter().filter(|event| event["cat"] == kind).collect()
}

fn number(event: &Value, field: &str) -> f64 {
    event[field].as_f64().unwrap()
}

/// Spans of the chunks, own and stolen, in the order of their indices.
fn chunks(events: &[Value]) -> Vec<(u64, u64)> {
    let mut spans: Vec<(u64, u64)> = events
        .iter()
        .filter(|event| event["cat"] == "chunk" || event["cat"] == "stolen")
        .map(|event| (event["args"]["lo"].as_u64().unwrap(), event["args"]["hi"].as_u64().unwrap()))
        .collect();
    spans.sort();
    spans
}

#[test]
fn every_chunk_is_in_the_trace_once_inside_its_launch() {
    for builder in builders() {
        let pool = builder.trace(true).build().unwrap();
        let mut array = pool.zeros::<f64>(10_007).unwrap();
        for schedule in [Schedule::Stealing, Schedule::Dynamic(2), Schedule::Static, Schedule::Guided] {
            let launch = pool.launch().chunk(100).schedule(schedule);
            launch.for_each(array.split_mut(), |part| part.fill(2.0)).unwrap();
        }
        let events = events(&pool);
        let expected: Vec<(u64, u64)> =
            (0..101).map(|i| (i * 100, (i * 100 + 100).min(10_007))).flat_map(|span| [span; 4]).collect();
        assert_eq!(chunks(&events), expected);
        // In the order of time, names first.
        let times: Vec<f64> = events.iter().filter_map(|event| event["ts"].as_f64()).collect();
        assert!(times.is_sorted(), "{times:?}");
        // Launches do not overlap, and name their place in this file.
        let launches = of_kind(&events, "launch");
        assert_eq!(launches.len(), 4);
        for pair in launches.windows(2) {
            assert!(number(pair[0], "ts") + number(pair[0], "dur") <= number(pair[1], "ts"));
        }
        assert!(launches.iter().all(|launch| launch["name"].as_str().unwrap().contains("tests/trace.rs:")));
        // Each chunk lies in its worker's part of the launch, and chunks of one worker do not overlap.
        let mut ends: BTreeMap<u64, f64> = BTreeMap::new();
        for event in events.iter().filter(|event| event["ph"] == "X" && event["cat"] != "launch") {
            let (begin, row) = (number(event, "ts"), event["tid"].as_u64().unwrap());
            let end = begin + number(event, "dur");
            if event["cat"] == "part" {
                continue;
            }
            assert!(begin + 0.0005 >= *ends.get(&row).unwrap_or(&0.0), "{event}");
            ends.insert(row, end);
            let part = of_kind(&events, "part")
                .into_iter()
                .find(|part| part["tid"] == event["tid"] && part["args"]["epoch"] == event["args"]["epoch"])
                .unwrap();
            assert!(number(part, "ts") <= begin && end <= number(part, "ts") + number(part, "dur") + 0.0005);
        }
        // Rows have names.
        let names: Vec<&str> = events
            .iter()
            .filter(|event| event["name"] == "thread_name")
            .map(|event| event["args"]["name"].as_str().unwrap())
            .collect();
        assert_eq!(names.len(), pool.workers() + 1);
        assert!(names[0] == "launches" && names[1].starts_with("worker 0, "), "{names:?}");
    }
}

#[test]
fn chunks_of_another_block_are_marked_as_stolen() {
    let pool = Pool::builder().workers(2).backend(Backend::Threads).trace(true).build().unwrap();
    let rest_is_done = Event::new().unwrap();
    // Whoever runs chunk 0 waits until chunk 1, of the same block, is done: by the other member, then.
    pool.launch()
        .chunk(1)
        .for_each((0..4, &rest_is_done), |(range, rest_is_done)| match range.start {
            0 => rest_is_done.wait(),
            1 => rest_is_done.set(),
            _ => {}
        })
        .unwrap();
    let events = events(&pool);
    let stolen = of_kind(&events, "stolen");
    let first = chunks(&events);
    assert_eq!(first, [(0, 1), (1, 2), (2, 3), (3, 4)]);
    assert!(!stolen.is_empty());
    assert!(pool.last_launch().unwrap().steals >= 1);
    for event in events.iter().filter(|event| event["cat"] == "chunk" || event["cat"] == "stolen") {
        let rank = event["tid"].as_u64().unwrap() - 1;
        let owner = event["args"]["lo"].as_u64().unwrap() / 2;
        assert_eq!(event["cat"] == "stolen", rank != owner, "{event}");
    }
}

#[test]
fn what_a_killed_worker_did_survives_it() {
    let pool = Pool::builder().workers(2).trace(true).build().unwrap();
    let died = pool.launch().chunk(1).schedule(Schedule::Static).for_each(0..20, |range| {
        if range.start == 4 {
            std::process::abort();
        }
    });
    assert!(matches!(died, Err(LaunchError::WorkerDied { .. })), "{died:?}");
    pool.for_each(0..20, |_| ()).unwrap();
    let events = events(&pool);
    let deaths = of_kind(&events, "death");
    assert_eq!(deaths.len(), 1);
    assert_eq!((deaths[0]["ph"].as_str(), deaths[0]["args"]["rank"].as_u64()), (Some("i"), Some(0)));
    let died_at = number(deaths[0], "ts");
    let on_row_1: Vec<&Value> =
        events.iter().filter(|event| event["tid"] == 1 && event["cat"] == "chunk").collect();
    for index in 0..=4u64 {
        let chunk = on_row_1.iter().find(|event| event["args"]["lo"] == index).unwrap();
        assert_eq!(chunk["args"]["unfinished"] == true, index == 4, "{chunk}");
        assert!(number(chunk, "ts") + number(chunk, "dur") <= died_at + 0.0005);
    }
    let launches = of_kind(&events, "launch");
    assert!(launches[0]["args"]["failure"].as_str().unwrap().contains("lost 4..5"), "{}", launches[0]);
    assert!(launches[1]["args"]["failure"].is_null());
}

#[test]
fn a_panic_in_a_kernel_ends_its_chunk_with_its_launch() {
    let pool = Pool::builder().workers(1).trace(true).build().unwrap();
    let failed = pool.launch().chunk(1).for_each(0..3, |range| assert_ne!(range.start, 1));
    assert!(matches!(failed, Err(LaunchError::Panicked { .. })), "{failed:?}");
    let events = events(&pool);
    let (chunks, parts) = (of_kind(&events, "chunk"), of_kind(&events, "part"));
    assert_eq!((chunks.len(), parts.len()), (2, 1));
    assert_eq!(chunks[1]["args"]["unfinished"], true);
    let end = |event: &Value| number(event, "ts") + number(event, "dur");
    assert!((end(chunks[1]) - end(parts[0])).abs() < 0.0005);
}

#[test]
fn a_pool_without_a_trace_says_so() {
    let pool = Pool::builder().workers(1).stats(true).build().unwrap();
    assert!(matches!(pool.write_trace("/nonexistent/trace.json"), Err(TraceError::Off)));
    let pool = Pool::builder().workers(1).trace(true).build().unwrap();
    let error = pool.write_trace("/nonexistent/trace.json").unwrap_err();
    assert!(matches!(error, TraceError::Io { .. }) && error.to_string().contains("/nonexistent/trace.json"));
}

fn last(pool: &Pool) -> LaunchStats {
    pool.last_launch().unwrap()
}

#[test]
fn figures_of_a_launch_add_up() {
    for builder in builders() {
        let pool = builder.stats(true).build().unwrap();
        assert_eq!(pool.last_launch(), None);
        let mut array = phalanx::SharedArray::<f64, ndarray::Ix1>::zeros(1 << 20).unwrap();
        for round in 0..3 {
            pool.launch().chunk(1 << 12).for_each(array.split_mut(), |part| part.fill(1.0)).unwrap();
            let stats = last(&pool);
            assert_eq!((stats.chunks, stats.rounds), (256, 1));
            assert_eq!(stats.chunks, stats.workers.iter().map(|worker| worker.chunks).sum::<u64>());
            assert_eq!(stats.steals, stats.workers.iter().map(|worker| worker.steals).sum::<u64>());
            assert_eq!(stats.workers.len(), pool.workers());
            assert!(stats.site.contains("tests/trace.rs"), "{}", stats.site);
            for worker in &stats.workers {
                assert!(worker.claim <= worker.busy && worker.busy.as_secs_f64() <= stats.seconds);
                let whole = (worker.busy + worker.wait).as_secs_f64();
                assert!((whole - stats.seconds).abs() < 1e-6 * (1.0 + stats.seconds), "{stats:?}");
            }
            // The array is told of once.
            assert_eq!(stats.delivery_bytes > 0, round == 0 && pool.worker_pids() != [0u32; 0], "{stats:?}");
        }
        let whole = pool.stats();
        assert_eq!(whole.workers.iter().map(|worker| worker.chunks).sum::<u64>(), 3 * 256);
        assert_eq!((whole.launches, whole.rounds), (3, 3));
    }
}

#[test]
fn a_pool_keeps_no_figures_unasked() {
    let pool = Pool::builder().workers(1).build().unwrap();
    pool.for_each(0..10, |_| ()).unwrap();
    assert_eq!(pool.last_launch(), None);
}

#[test]
fn a_launch_takes_at_most_one_wake_and_one_wait() {
    let pool = Pool::builder().workers(2).stats(true).build().unwrap();
    let array = pool.from_fn(1000, |i| i as f64).unwrap();
    let before = pool.stats().system_calls;
    let calls: Vec<u64> = (0..1000)
        .map(|_| {
            pool.for_each(array.split(), |_| ()).unwrap();
            let stats = last(&pool);
            assert_eq!((stats.delivery_bytes, stats.delivery_calls), (0, 0));
            stats.system_calls
        })
        .collect();
    // Awake workers need no wake: one wait of the caller is left, or none.
    assert!(*calls.iter().min().unwrap() <= 1, "{calls:?}");
    // A late notice of the launch before may wake the caller once too early; no more than a few of a thousand
    // see it.
    let many = calls.iter().filter(|calls| **calls > 2).count();
    assert!(many <= 50, "{many} launches of 1000 took more than a wake and a wait: {calls:?}");
    assert_eq!(pool.stats().system_calls - before, calls.iter().sum::<u64>());
}

#[test]
fn a_second_round_after_a_death_is_counted() {
    let pool = Pool::builder().workers(2).stats(true).build().unwrap();
    let first = phalanx::sync::Counter::new(0).unwrap();
    pool.launch()
        .chunk(1)
        .retry(1)
        .retry_in_place()
        .for_each((0..8, &first), |(range, first)| {
            if range.start == 3 && first.add(1) == 0 {
                std::process::abort();
            }
        })
        .unwrap();
    assert_eq!(last(&pool).rounds, 2);
}
