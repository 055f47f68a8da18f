//! Tasks over a cluster: the same body on one machine, and under launchers on one to three drivers. The parts of
//! drivers run where `PHALANX_MPI_WHEELS` names a folder with MPICH and Open MPI.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

mod cluster_plays;
mod common;

use cluster_plays::{INTERFACES, PART, bracketed, play_all, text, wheels};
use common::LONG;
use phalanx::cluster::{self, Cluster, ClusterError, ClusterPool};
use phalanx::sync::Lock;
use phalanx::{AsyncResult, Backend, CancelToken, ExitCause, TaskError};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

type Failed = Box<dyn std::error::Error + Send + Sync>;

/// The part of a driver, played under a launcher. Run by hand it is no test.
#[test]
fn driver() {
    let Ok(part) = std::env::var(PART) else { return };
    let result = cluster::run(|cluster| play(&part, cluster));
    if let Err(error) = result {
        println!("ended: {error}");
        std::process::exit(3);
    }
}

fn play(part: &str, cluster: &Cluster) -> Result<(), Failed> {
    let pool = cluster.pool_builder().workers(2).build()?;
    let body: fn(&ClusterPool) -> Result<String, Failed> = match part.split('=').next().unwrap_or_default() {
        "calls" => calls,
        "faults" => faults,
        "sizes" => sizes,
        "everywhere" => everywhere,
        "waits" => waits,
        "values" => values,
        "journal" => journal,
        "ends" => |pool| Err(pool.apply(|()| -> () { panic!("out of ink") }, ()).unwrap_err().into()),
        "panic" => |_| panic!("out of ink"),
        "kill" => |pool| {
            let kill = |item: u32| {
                if item == 7 {
                    // A driver: the parent of a worker.
                    common::send(parent(), rustix::process::Signal::KILL);
                }
                std::thread::sleep(Duration::from_millis(1));
            };
            pool.map(kill, 0..100_000)?;
            Ok("ran on".into())
        },
        "stop" => |pool| {
            // The first items are everybody's: some are of driver 1.
            let stop = |driver: u32| {
                if parent() == driver { std::thread::park() } else { common::send(parent(), STOP) }
            };
            let leader = std::process::id();
            pool.tasks().chunksize(1).map(stop, std::iter::repeat_n(leader, 8))?;
            Ok("ran on".into())
        },
        "signals" => return signals(cluster),
        "prepared" => return prepared(cluster),
        _ => return Err("no such part".into()),
    };
    if let Some(text) = cluster.lead_with(pool, body)? {
        println!("[{text}]");
    }
    // All are in step again.
    cluster.barrier()?;
    let again = cluster.lead(|pool| pool.map(|n: u32| n + 1, 0..10).map_err(Failed::from))?;
    assert_eq!(again.is_some(), cluster.me() == 0);
    assert!(again.is_none_or(|again| again == (1..=10).collect::<Vec<_>>()));
    Ok(())
}

/// One driver is told that the time is over, and all know.
fn signals(cluster: &Cluster) -> Result<(), Failed> {
    let last = cluster.me() + 1 == cluster.size();
    let pool = cluster.pool_builder().workers(1).build()?;
    for signal in [rustix::process::Signal::USR1, rustix::process::Signal::TERM] {
        assert_eq!(cluster.should_stop()?, signal == rustix::process::Signal::TERM);
        // Those of a job step all get it; a worker is not to end by that.
        common::send(pool.worker_pids()[0], rustix::process::Signal::USR1);
        if last {
            common::send(std::process::id(), signal);
        }
        // Delivered before the call returns, or while this thread waits in the next.
        while !cluster.should_stop()? {}
        assert!(cluster.should_stop()?);
    }
    assert_eq!(pool.apply(|n: u8| n, 3)?, 3);
    assert_eq!(pool.insights().deaths, 0);
    let told = cluster.lead(|pool| Ok::<_, ClusterError>(pool.should_stop()))?;
    if cluster.me() == 0 {
        println!("[{}]", told == Some(cluster.size() == 1));
    }
    Ok(())
}

const STOP: rustix::process::Signal = rustix::process::Signal::STOP;

/// The process that started this worker's fork server, or this worker.
fn parent() -> u32 {
    rustix::process::getppid().map_or(0, |pid| pid.as_raw_nonzero().get() as u32)
}

/// Every kind of call, in order and not.
fn calls(pool: &ClusterPool) -> Result<String, Failed> {
    let squares: Vec<u64> = (0..1000).map(|n| n * n).collect();
    assert_eq!(pool.map(|n: u64| n * n, 0..1000)?, squares);
    assert_eq!(pool.tasks().chunksize(1).map(|n: u64| n * n, 0..1000)?, squares);
    assert_eq!(pool.starmap(u64::pow, (0..1000).map(|n| (n, 2)))?, squares);
    assert_eq!(pool.map_async(|n: u64| n * n, 0..1000).get()?, squares);
    assert_eq!(pool.starmap_async(u64::pow, (0..1000).map(|n| (n, 2))).get()?, squares);
    assert_eq!(pool.imap(|n: u64| n * n, 0..1000).collect::<Result<Vec<_>, _>>()?, squares);
    let mut unordered = pool.imap_unordered(|n: u64| n * n, 0..1000).collect::<Result<Vec<_>, _>>()?;
    unordered.sort_unstable();
    assert_eq!(unordered, squares);
    let words =
        pool.map(|(word, times): (String, usize)| word.repeat(times), (0..50).map(|n| ("ab".into(), n)))?;
    assert!(words.iter().enumerate().all(|(n, word)| *word == "ab".repeat(n)));
    assert_eq!(pool.apply(|text: String| text.len(), "seven".into())?, 5);
    let results: Vec<_> = (0..100u64).map(|n| pool.apply_async(|n: u64| n + 1, n)).collect();
    for (n, result) in results.into_iter().enumerate() {
        assert_eq!(result.get()?, n as u64 + 1);
    }
    // Nothing, and endless.
    assert!(pool.map(|n: u64| n, std::iter::empty())?.is_empty());
    assert_eq!(pool.imap(|n: u64| n, std::iter::empty()).count(), 0);
    let mut taken = 0u64;
    let endless = std::iter::from_fn(|| {
        taken += 1;
        Some(taken)
    });
    let first =
        pool.tasks().window(100).imap(|n: u64| 2 * n, endless).take(500).collect::<Result<Vec<_>, _>>()?;
    assert!(first.iter().zip(1..).all(|(twice, n)| *twice == 2 * n));
    assert!(taken <= 600, "{taken} items were taken for 500 results and a window of 100");
    // Cancelled before and meanwhile.
    let token = CancelToken::new();
    let mut results = pool.tasks().cancel(&token).chunksize(1).imap(|n: u64| n * n, 0..);
    assert_eq!(results.next().unwrap()?, 0);
    token.cancel();
    assert!(matches!(results.last(), Some(Err(TaskError::Cancelled { .. }))));
    // Dropped while they run, and results that nobody takes.
    drop(pool.imap(|_: u64| std::thread::sleep(Duration::from_millis(1)), 0..));
    let never = pool.apply_async(|()| std::thread::sleep(Duration::from_secs(3600)), ());
    assert!(matches!(never.get_timeout(Duration::from_millis(1)), Err(TaskError::NotReady { .. })));
    never.cancel();
    assert_eq!(pool.apply(|n: u8| n, 3)?, 3);
    let sum = pool.map(|n: u64| (n as f64).sqrt(), 0..10_000)?.iter().sum::<f64>();
    Ok(format!("{:x}", sum.to_bits()))
}

/// What costs an item costs no other, and is told with the item's number and machine.
fn faults(pool: &ClusterPool) -> Result<String, Failed> {
    let halve = |n: u32| match n % 10 {
        3 => panic!("{n} is odd"),
        5 => std::process::abort(),
        _ => n / 2,
    };
    for chunk in [1, 7] {
        let outcomes = pool.tasks().chunksize(chunk).try_map(halve, 0..60)?;
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        for (item, outcome) in outcomes.iter().enumerate() {
            let text = outcome.as_ref().err().map(ToString::to_string).unwrap_or_default();
            let is_right = match (item % 10, outcome) {
                (3, Err(TaskError::Panicked { item: told, host: on, .. })) => {
                    *told == item && **on == *host && text.contains(&format!("{item} is odd"))
                }
                (5, Err(TaskError::WorkerDied { item: told, host: on, cause, .. })) => {
                    *told == item && **on == *host && matches!(cause, ExitCause::Signal { number: 6, .. })
                }
                (_, Ok(half)) => *half == item as u32 / 2,
                _ => false,
            };
            assert!(is_right, "item {item} of chunks of {chunk}: {outcome:?}");
        }
    }
    let error = pool.map(halve, 0..60).unwrap_err();
    assert!(matches!(error.item(), Some(item) if item % 10 == 3 || item % 10 == 5), "{error}");
    let nap = |ms: u64| std::thread::sleep(Duration::from_millis(ms));
    let long = |item: u64| if item % 4 == 1 { 3_600_000 } else { 0 };
    let outcomes =
        pool.tasks().chunksize(1).timeout(Duration::from_millis(300)).try_map(nap, (0..12).map(long))?;
    for (item, outcome) in outcomes.iter().enumerate() {
        let is_late = matches!(outcome, Err(TaskError::TimedOut { item: told, .. }) if *told == item);
        assert_eq!(is_late, item % 4 == 1, "item {item}: {outcome:?}");
    }
    let parse = |text: String| text.parse::<u32>().map_err(|error| error.to_string());
    let texts = (0..40).map(|n| if n % 9 == 4 { "four".to_owned() } else { n.to_string() });
    let results = pool.tasks().chunksize(3).try_map_results(parse, texts)?;
    for (n, result) in results.iter().enumerate() {
        match result {
            Ok(value) => assert_eq!(*value, n as u32),
            Err(error) => {
                assert_eq!((n % 9, error.item()), (4, Some(n)));
                assert_eq!(error.failure::<String>().unwrap(), "invalid digit found in string");
            }
        }
    }
    retries(pool)?;
    handles(pool)?;
    Ok("faults".into())
}

/// An item that fails is run again, wherever it was.
fn retries(pool: &ClusterPool) -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let flaky = |(folder, n): (String, u32)| {
        let mark = Path::new(&folder).join(n.to_string());
        assert!(mark.exists() || std::fs::write(&mark, "").is_err(), "not yet");
        n
    };
    let items = || (0..20).map(|n| (folder.path().to_str().unwrap().to_owned(), n));
    let is_panic = |error: &TaskError| matches!(error, TaskError::Panicked { .. });
    let tasks = pool.tasks().chunksize(3).retry(1).retry_on(is_panic);
    assert_eq!(tasks.map(flaky, items())?, (0..20).collect::<Vec<_>>());
    Ok(())
}

/// Handles lead to memory of one machine.
fn handles(pool: &ClusterPool) -> Result<(), Failed> {
    let lock = Lock::new(1u64)?;
    let items = vec![(1, None), (2, Some(lock)), (3, None)];
    let outcomes = pool.try_map(|(n, lock): (u8, Option<Lock<u64>>)| n + u8::from(lock.is_some()), items)?;
    assert!(matches!(
        outcomes[..],
        [Ok(1), Err(TaskError::Codec { item: 1, what: "the argument", .. }), Ok(3)]
    ));
    assert!(outcomes[1].as_ref().unwrap_err().to_string().contains("memory of one machine"));
    let made =
        pool.tasks().chunksize(1).try_map(|n: u64| (n % 2 == 1).then(|| Lock::new(n).unwrap()), 0..12)?;
    for (item, made) in made.iter().enumerate() {
        match made {
            Ok(lock) => assert!(item % 2 == 0 && lock.is_none()),
            Err(error) => {
                assert!(item % 2 == 1 && error.to_string().contains("memory of one machine"), "{error}")
            }
        }
    }
    Ok(())
}

/// A million tiny items, and a few large ones.
fn sizes(pool: &ClusterPool) -> Result<String, Failed> {
    let squares = pool.map(|n: u64| n * n, 0..1_000_000)?;
    assert!(squares.iter().enumerate().all(|(n, square)| *square == (n * n) as u64));
    // Bytes as serde writes them in one piece are fast in a test build, too.
    let reverse = |text: String| {
        let (front, back) = text.split_at(text.len() / 2);
        [back, front].concat()
    };
    let parts = |n: usize| ("ab".repeat(700_000 + n), "xyz".repeat(400_000));
    let large = |n: usize| [parts(n).0, parts(n).1].concat();
    for (n, back) in pool.tasks().chunksize(1).imap(reverse, (0..8).map(large)).enumerate() {
        let whole = large(n);
        let (front, back_half) = whole.split_at(whole.len() / 2);
        assert!(back? == [back_half, front].concat(), "item {n}");
    }
    let lens = pool.tasks().chunksize(1).map(|len: usize| "x".repeat(len), (0..6).map(|n| n * 1_000_000))?;
    assert!(lens.iter().enumerate().all(|(n, text)| text.len() == n * 1_000_000));
    Ok("sizes".into())
}

/// Every worker of every driver has something to do.
fn everywhere(pool: &ClusterPool) -> Result<String, Failed> {
    let workers = pool.workers();
    let meet = |(folder, workers): (String, usize)| {
        std::fs::write(Path::new(&folder).join(std::process::id().to_string()), "").unwrap();
        while std::fs::read_dir(&folder).unwrap().count() < workers {
            std::thread::yield_now();
        }
        std::process::id()
    };
    let folder = tempfile::tempdir()?;
    let item = (folder.path().to_str().unwrap().to_owned(), workers);
    let pids = pool.tasks().chunksize(1).map(meet, std::iter::repeat_n(item, workers))?;
    assert_eq!(pids.iter().collect::<BTreeSet<_>>().len(), workers);
    // Fewer items than drivers.
    assert_eq!(pool.map(|n: u32| n, 0..1)?, [0]);
    Ok(format!("{workers} workers"))
}

/// Waiting for one of several, for all, for so long; and what is called when a result comes.
fn waits(pool: &ClusterPool) -> Result<String, Failed> {
    let nap = |ms: u64| {
        std::thread::sleep(Duration::from_millis(ms));
        ms
    };
    let start = |times: &[u64]| times.iter().map(|ms| pool.apply_async(nap, *ms)).collect::<Vec<_>>();
    // In order of completion, with some that are done before.
    let results = start(&[0, 0, 1, 1, 2, 2, 3, 3]);
    assert!(phalanx::wait_all(&results[..2], LONG));
    let mut places: Vec<_> = phalanx::as_completed(results).map(|(place, ms)| (place, ms.unwrap())).collect();
    places.sort_unstable();
    assert_eq!(places, [0, 0, 1, 1, 2, 2, 3, 3].into_iter().enumerate().collect::<Vec<_>>());
    let results = start(&[3_600_000, 0]);
    assert_eq!(phalanx::wait_first(&results, LONG), Some(1));
    assert!(!phalanx::wait_all(&results, Duration::from_millis(2)) && !results[0].ready());
    assert_eq!(phalanx::wait_first(&results[..1], Duration::from_millis(2)), None);
    results[0].cancel();
    assert_eq!(phalanx::wait_first(&results[..1], LONG), Some(0));
    // Asked again and again, without waiting: also this brings answers.
    let results = start(&[0; 12]);
    while !results.iter().all(AsyncResult::ready) {}
    // Futures, on the thread that leads.
    let sum = futures(start(&[1, 2, 3, 4, 5, 6]))?;
    assert_eq!(sum, 21);
    // Callbacks, of results and of errors.
    let called = Arc::new(AtomicU64::new(0));
    fn add(to: &AtomicU64, n: u64) {
        to.fetch_add(n, Ordering::SeqCst);
    }
    let calls = |n: u64| {
        let (on_success, on_error) = (called.clone(), called.clone());
        let result = pool.apply_async(|n: u64| if n == 3 { panic!("three") } else { n }, n);
        let result = result.on_success(move |n| add(&on_success, *n));
        result.on_error(move |_| add(&on_error, 100))
    };
    let results: Vec<_> = (0..8).map(calls).collect();
    assert_eq!(results.into_iter().filter_map(|result| result.get().err()).count(), 1);
    assert_eq!(called.load(Ordering::SeqCst), 125);
    // An imap that is not patient, and one that comes to an error.
    let mut slow = pool.tasks().chunksize(1).imap(nap, [0, 300, 0]);
    assert_eq!(slow.next_timeout(LONG).unwrap()?, 0);
    assert!(matches!(slow.next_timeout(Duration::ZERO), Some(Err(TaskError::NotReady { .. }))));
    assert_eq!(slow.collect::<Result<Vec<_>, _>>()?, [300, 0]);
    let bad = |n: u32| if n == 5 { panic!("five") } else { n };
    let outcomes: Vec<_> = pool.tasks().chunksize(2).imap_unordered(bad, 0..20).collect();
    assert_eq!((outcomes.len(), outcomes.iter().filter(|outcome| outcome.is_err()).count()), (20, 1));
    // From a thread of the program, while this one waits.
    let other = pool.map_async(|n: u64| n, 0..100);
    let taker = std::thread::spawn(move || other.get().map(|all| all.len()));
    while !taker.is_finished() {
        pool.apply(|n: u64| n, 1)?;
    }
    assert_eq!(taker.join().unwrap()?, 100);
    // Left over at the end: the pool waits for it.
    let _later = pool.apply_async(nap, 5);
    Ok("waits".into())
}

/// The sum of results, as futures that are polled until they are ready.
fn futures(results: Vec<AsyncResult<u64>>) -> Result<u64, TaskError> {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let poll = |mut result: AsyncResult<u64>| loop {
        match std::pin::Pin::new(&mut result).poll(&mut context) {
            Poll::Ready(value) => return value,
            Poll::Pending => std::thread::yield_now(),
        }
    };
    results.into_iter().map(poll).sum()
}

/// A value whose own code fails on its way.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Fragile(u32);

impl serde::Serialize for Fragile {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            1 => Err(serde::ser::Error::custom("not this one")),
            2 => panic!("nor this"),
            n => to.serialize_u32(n),
        }
    }
}

impl<'de> serde::Deserialize<'de> for Fragile {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Fragile, D::Error> {
        match <u32 as serde::Deserialize>::deserialize(from)? {
            3 => Err(serde::de::Error::custom("unreadable")),
            n => Ok(Fragile(n)),
        }
    }
}

/// Values that cannot be written, or not be read, cost their items.
fn values(pool: &ClusterPool) -> Result<String, Failed> {
    let sent =
        pool.tasks().chunksize(2).try_map(|value: Fragile| value.0, (0..12).map(|n| Fragile(n % 6)))?;
    let made = pool.tasks().chunksize(2).try_map(|n: u32| Fragile(n % 6), 0..12)?;
    for (item, (sent, made)) in sent.iter().zip(&made).enumerate() {
        let of = |error: Option<&TaskError>, what: &str| match (item % 6, error) {
            (0 | 4 | 5, None) => true,
            // A panic in a worker is the item's, whatever it was doing.
            (2, Some(TaskError::Panicked { item: told, .. })) => *told == item && what == "the result",
            (1..=3, Some(TaskError::Codec { item: told, what: which, .. })) => {
                *told == item && *which == what
            }
            _ => false,
        };
        assert!(of(sent.as_ref().err(), "the argument"), "{item}: {sent:?}");
        assert!(of(made.as_ref().err(), "the result"), "{item}: {made:?}");
    }
    Ok("values".into())
}

/// What the initializer has left in a worker.
static PREPARED: AtomicU64 = AtomicU64::new(0);

fn prepared(cluster: &Cluster) -> Result<(), Failed> {
    let builder = cluster.pool_builder().workers(2);
    let pool = builder.initializer(|n| PREPARED.store(n, Ordering::SeqCst), 7u64).build()?;
    let look = |_: u8| PREPARED.load(Ordering::SeqCst);
    let found =
        cluster.lead_with(pool, |pool| Ok::<_, Failed>(pool.tasks().chunksize(1).map(look, 0..20)?))?;
    if let Some(found) = found {
        println!("[{}]", found == [7; 20]);
    }
    Ok(())
}

/// Each item leaves a line, and one of them ends the whole job the first time.
fn journal(pool: &ClusterPool) -> Result<String, Failed> {
    let part = std::env::var(PART)?;
    let folder = part.split_once('=').ok_or("no folder")?.1.to_owned();
    let work = |(folder, n): (String, u32)| {
        use std::io::Write;
        let folder = Path::new(&folder);
        let mut log = std::fs::File::options().append(true).create(true).open(folder.join("log")).unwrap();
        log.write_all(format!("{n}\n").as_bytes()).unwrap();
        if n == 60 && !folder.join("second").exists() {
            let leader = std::fs::read_to_string(folder.join("leader")).unwrap().parse().unwrap();
            // When some are in the file for sure.
            while std::fs::metadata(folder.join("run.phx")).unwrap().len() < 1000 {
                std::thread::yield_now();
            }
            common::send(leader, rustix::process::Signal::KILL);
            std::thread::park();
        }
        std::thread::sleep(Duration::from_millis(2));
        u64::from(n) * 3
    };
    std::fs::write(Path::new(&folder).join("leader"), std::process::id().to_string())?;
    let items = (0..100).map(|n| (folder.clone(), n));
    let tasks = pool.tasks().chunksize(1).journal(Path::new(&folder).join("run.phx"));
    let values = tasks.map(work, items)?;
    assert!(values.iter().zip(0..).all(|(value, n)| *value == 3 * n));
    let other = pool.tasks().journal(Path::new(&folder).join("run.phx")).map(|n: u64| n, 0..3);
    assert!(other.unwrap_err().to_string().contains("remove it"), "another call went on from the journal");
    Ok("whole".into())
}

#[test]
fn one_machine_runs_the_same_bodies() {
    for body in [calls, faults, sizes, everywhere, waits, values] {
        let led = cluster::run(|cluster| {
            let pool = cluster.pool_builder().workers(2).build().map_err(ClusterError::from)?;
            cluster.lead_with(pool, body)
        });
        assert!(led.unwrap().is_some());
    }
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    assert!(!maps.contains("libmpi"), "a cluster of one has loaded MPI");
}

#[test]
fn one_machine_learns_that_its_time_is_over() {
    let told = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["driver", "--exact", "--nocapture"])
        .env(PART, "signals")
        .output()
        .unwrap();
    assert!(told.status.success() && bracketed(&text(&told)) == ["true"], "{}", text(&told));
}

#[test]
fn lead_returns_what_the_body_returns() {
    let sum = cluster::lead(|pool| Ok::<u64, phalanx::Error>(pool.map(|n: u64| n, 0..10)?.iter().sum()));
    assert_eq!(sum.unwrap(), 45);
    let failed =
        cluster::lead(|pool| pool.apply(|()| -> () { panic!("ours") }, ()).map_err(phalanx::Error::from));
    assert!(failed.unwrap_err().to_string().contains("panicked"));
    let panicked =
        std::panic::catch_unwind(|| cluster::lead(|_| -> Result<(), ClusterError> { panic!("ours") }));
    assert_eq!(panicked.unwrap_err().downcast_ref::<&str>(), Some(&"ours"));
}

#[test]
fn pools_without_processes_lead_as_well() {
    for backend in [Backend::Inline, Backend::Threads] {
        let led = cluster::run(|cluster| {
            let pool =
                cluster.pool_builder().workers(2).backend(backend).build().map_err(ClusterError::from)?;
            cluster.lead_with(pool, |pool| Ok::<_, phalanx::Error>(pool.map(|n: u64| n * n, 0..100)?))
        });
        assert_eq!(led.unwrap().unwrap()[9], 81);
    }
}

fn plays_well(part: &str, drivers: &[usize], expected: fn(usize) -> String) {
    let Some(wheels) = wheels() else { return };
    for interface in INTERFACES {
        for &drivers in drivers {
            let output = play_all(&wheels, interface, drivers, part);
            let text = text(&output);
            assert!(output.status.success(), "{interface:?} x {drivers}: {text}");
            assert_eq!(bracketed(&text), [expected(drivers)], "{interface:?} x {drivers}: {text}");
        }
    }
}

#[test]
fn every_call_has_the_same_results_on_any_number_of_drivers() {
    plays_well("calls", &[1, 2, 3], |_| {
        let sum = (0..10_000).map(|n| f64::from(n).sqrt()).sum::<f64>();
        format!("{:x}", sum.to_bits())
    });
}

#[test]
fn results_are_awaited_in_every_way() {
    plays_well("waits", &[2, 3], |_| "waits".into());
}

#[test]
fn values_that_cannot_travel_cost_their_items() {
    plays_well("values", &[2], |_| "values".into());
}

#[test]
fn workers_are_prepared_on_every_machine() {
    plays_well("prepared", &[1, 2], |_| "true".into());
}

#[test]
fn a_fault_costs_its_item_on_whichever_driver_it_is() {
    plays_well("faults", &[2, 3], |_| "faults".into());
}

#[test]
fn tiny_and_large_items_travel() {
    plays_well("sizes", &[2, 3], |_| "sizes".into());
}

#[test]
fn a_signal_to_one_driver_stops_all_at_the_same_call() {
    plays_well("signals", &[1, 2, 3], |_| "true".into());
}

#[test]
fn all_workers_of_all_drivers_work() {
    plays_well("everywhere", &[1, 2, 3], |drivers| format!("{} workers", 2 * drivers));
}

#[test]
fn what_ends_a_driver_ends_the_job() {
    let Some(wheels) = wheels() else { return };
    let cases = [
        ("ends", vec!["driver 0 of 2 on ", "failed: item 0 panicked on ", "out of ink"]),
        ("panic", vec!["out of ink", "driver 0 of 2 on ", "panicked, so the job ends"]),
        ("kill", vec![]),
        (
            "stop",
            vec!["driver 0 on ", "for driver 1 on ", "in lead (engine/tests/cluster_lead.rs:", "the limit"],
        ),
    ];
    for interface in INTERFACES {
        for (part, expected) in &cases {
            let output = play_all(&wheels, interface, 2, part);
            let text = text(&output);
            assert!(!output.status.success() && !text.contains("ran on"), "{interface:?} {part}: {text}");
            for expected in expected {
                assert!(text.contains(expected), "{interface:?} {part}: no {expected:?} in {text}");
            }
        }
    }
}

#[test]
fn a_killed_job_goes_on_from_its_journal() {
    let Some(wheels) = wheels() else { return };
    for interface in INTERFACES {
        let folder = tempfile::tempdir().unwrap();
        let play = || play_all(&wheels, interface, 2, &format!("journal={}", folder.path().display()));
        let output = play();
        let killed = text(&output);
        assert!(!output.status.success(), "{interface:?}: {killed}");
        let lines = || {
            let log = std::fs::read_to_string(folder.path().join("log")).unwrap();
            log.lines().map(|line| line.parse::<u32>().unwrap()).collect::<Vec<_>>()
        };
        let first = lines();
        let kept = std::fs::metadata(folder.path().join("run.phx")).unwrap().len();
        assert!(kept >= 1000 && first.len() > 10, "{interface:?}: {first:?}");
        std::fs::write(folder.path().join("second"), "").unwrap();
        let output = play();
        assert!(output.status.success() && bracketed(&text(&output)) == ["whole"], "{}", text(&output));
        // Every item ran, and those that were noted did not run again.
        let (all, again) = (lines(), lines().len() - 100);
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), 100);
        assert!(again < first.len(), "{interface:?}: all of {first:?} ran again");
    }
}
