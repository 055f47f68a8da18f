//! Starts that hang, die or find the machine's limits: nothing else waits for them, and the pool is whole
//! again afterwards.
//!
//! What is set for a whole process is set in a child: this program runs itself again with one test and
//! variables.
//!
//! # Safety
//! The start-up function reads the environment before `main`, and waits; limits are plain structs.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
#![allow(unsafe_code)]

mod common;

use common::{LONG, assert_right, children_named, deaths, send, within};
use phalanx::{LaunchError, Pool, PoolError, StartError, StartMethod, TaskError};
use rustix::process::Signal;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

/// Says what a child is to do.
const WHAT: &str = "START_FAULTS";
/// While the file named so exists, no new process gets beyond its start-up functions.
const GATE: &str = "START_FAULTS_GATE";
/// Far more than what the engine takes, and less than a start may take in `patient` pools.
const SOON: Duration = Duration::from_secs(50);

/// The same for a process, whose start may take ten seconds.
const PROCESS_SOON: Duration = Duration::from_secs(8);

#[used]
// SAFETY: a function without parameters may be called with some.
#[unsafe(link_section = ".init_array")]
static WAIT_AT_GATE: extern "C" fn() = wait_at_gate;

extern "C" fn wait_at_gate() {
    let Some(gate) = std::env::var_os(GATE) else { return };
    while std::fs::exists(&gate).unwrap_or(false) {
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// The gate of this process, for those that it starts.
struct Gate(PathBuf);

impl Gate {
    fn of_this_process() -> Gate {
        Gate(std::env::var_os(GATE).unwrap().into())
    }

    fn close(&self) {
        std::fs::write(&self.0, "").unwrap();
    }

    fn open(&self) {
        std::fs::remove_file(&self.0).unwrap();
    }
}

fn run(what: &str) {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "child", "--nocapture", "--test-threads=1"]);
    command.env(WHAT, what).env(GATE, folder.path().join("gate"));
    within(2 * LONG, move || {
        let output = command.output().unwrap();
        let text =
            format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success() && text.contains("test result: ok. 1 passed"), "{text}");
    });
}

/// Not a test of its own: what the tests below run in a child.
#[test]
fn child() {
    match std::env::var(WHAT).as_deref() {
        Ok("hanging constructor") => hanging_constructor(),
        Ok("hanging process") => hanging_process(),
        Ok("dropped") => dropped_while_a_start_hangs(),
        Ok("stopped server") => stopped_server(),
        Ok("few files") => few_files(),
        Ok("few files for a successor") => few_files_for_a_successor(),
        Ok("killed at the start") => killed_at_the_start(),
        Ok(other) => panic!("{other}?"),
        Err(_) => {}
    }
}

fn pool(workers: usize, method: StartMethod) -> Pool {
    Pool::builder().workers(workers).max_workers(8).start_method(method).build().unwrap()
}

/// A pool that gives starts ten minutes.
fn patient(workers: usize, method: StartMethod) -> Pool {
    let builder = Pool::builder().workers(workers).max_workers(8).start_method(method);
    builder.start_timeout(10 * LONG).build().unwrap()
}

/// Waits until a worker was replaced so often.
fn until_respawns(pool: &Pool, count: u64) {
    while pool.stats().respawns < count {
        std::thread::yield_now();
    }
}

fn abort() {
    std::process::abort()
}

/// One worker dies in a launch; its successor hangs in its start; the others die later in the same launch.
fn deaths_are_told_beside_a_start_that_hangs(pool: &Pool) {
    let began = Instant::now();
    let outcome = pool.launch().chunk(1).for_each(0..3, |i| {
        // The successor's start has begun by then.
        std::thread::sleep(Duration::from_millis(150 * i.start as u64));
        abort();
    });
    assert!(began.elapsed() < SOON, "told after {:?}", began.elapsed());
    let (deaths, lost, _) = deaths(outcome);
    assert!(deaths.len() >= 3 && lost.iter().map(|span| span.len()).sum::<usize>() == 3, "{lost:?}");
}

fn hanging_constructor() {
    let (gate, pool) = (Gate::of_this_process(), patient(3, StartMethod::Spawn));
    gate.close();
    deaths_are_told_beside_a_start_that_hangs(&pool);
    gate.open();
    assert_right(&pool);
    assert_eq!(pool.map(|n: u64| n + 1, 0..100).unwrap().len(), 100);
    // Tasks on those that are left.
    gate.close();
    send(pool.worker_pids()[0], Signal::KILL);
    until_respawns(&pool, 4);
    let began = Instant::now();
    let died = pool.apply(|()| abort(), ());
    assert!(matches!(died, Err(TaskError::WorkerDied { .. })) && began.elapsed() < SOON, "{died:?}");
    gate.open();
    assert_right(&pool);
}

fn hanging_process() {
    let gate = Gate::of_this_process();
    let builder = || phalanx::Process::builder().start_method(StartMethod::Spawn);
    let child = builder().spawn(|()| std::thread::sleep(LONG), ()).unwrap();
    gate.close();
    let other = std::thread::spawn(move || builder().spawn(|n: u32| n + 1, 1).unwrap().join().unwrap());
    // Not before the start hangs; more would do no harm.
    std::thread::sleep(Duration::from_millis(200));
    let began = Instant::now();
    child.kill();
    assert!(child.join().is_err() && began.elapsed() < PROCESS_SOON);
    gate.open();
    assert_eq!(other.join().unwrap(), 2);
}

fn dropped_while_a_start_hangs() {
    let gate = Gate::of_this_process();
    for method in [StartMethod::Spawn, StartMethod::ForkServer] {
        let pool = patient(2, method);
        gate.close();
        if method == StartMethod::ForkServer {
            children_named("phalanx server").into_iter().for_each(|pid| send(pid, Signal::KILL));
        }
        send(pool.worker_pids()[1], Signal::KILL);
        until_respawns(&pool, 1);
        let began = Instant::now();
        drop(pool);
        assert!(began.elapsed() < SOON, "{method:?}: dropped after {:?}", began.elapsed());
        gate.open();
    }
    let children = std::fs::read_to_string("/proc/thread-self/children").unwrap();
    assert_eq!(children.trim(), "", "started workers are left");
}

fn stopped_server() {
    let pool = pool(3, StartMethod::ForkServer);
    let servers = children_named("phalanx server");
    assert_eq!(servers.len(), 1);
    send(servers[0], Signal::STOP);
    deaths_are_told_beside_a_start_that_hangs(&pool);
    send(servers[0], Signal::CONT);
    assert_right(&pool);
    // One that stays stopped is replaced in the end.
    send(servers[0], Signal::STOP);
    send(pool.worker_pids()[0], Signal::KILL);
    until_respawns(&pool, 4);
    let began = Instant::now();
    while let Err(error) = pool.for_each(0..8, |_| ()) {
        assert!(matches!(error, LaunchError::PoolBroken { .. }) && began.elapsed() < LONG, "{error}");
    }
    assert_right(&pool);
}

/// Descriptors of this process, open ones included.
fn allow_descriptors(count: u64) {
    let limit = libc::rlimit { rlim_cur: count, rlim_max: 256 };
    // SAFETY: the limit outlives the call.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) }, 0);
}

/// Opens files until only so many descriptors are left.
fn leave(spare: usize) -> Vec<std::fs::File> {
    allow_descriptors(256);
    let mut files: Vec<_> = std::iter::from_fn(|| std::fs::File::open("/dev/null").ok()).collect();
    files.truncate(files.len() - spare);
    files
}

fn few_files() {
    for method in [StartMethod::ForkServer, StartMethod::Spawn] {
        let pool = pool(2, method);
        assert_right(&pool);
        for spare in [0, 1, 2, 5] {
            let files = leave(spare);
            let error = pool.resize(8).unwrap_err();
            assert!(matches!(error, PoolError::Start(StartError::Limit { .. })), "{error}");
            assert_eq!(pool.workers(), 2);
            drop(files);
            assert_right(&pool);
        }
        pool.resize(8).unwrap();
        assert_eq!(pool.workers(), 8);
        assert_right(&pool);
        pool.resize(1).unwrap();
        assert_right(&pool);
    }
}

fn few_files_for_a_successor() {
    let pool = pool(2, StartMethod::Spawn);
    allow_descriptors(3);
    let before = pool.worker_pids();
    before.iter().for_each(|pid| send(*pid, Signal::KILL));
    until_respawns(&pool, 2);
    let waiting = pool.apply_async(|n: u64| n + 1, 1);
    let refused = pool.launch().timeout(Duration::from_millis(300)).for_each(0..8, |_| ());
    assert!(matches!(refused, Err(LaunchError::TimedOut { .. })), "{refused:?}");
    allow_descriptors(256);
    assert_eq!(waiting.get().unwrap(), 2);
    assert_right(&pool);
}

/// Kills a worker, and its successor as soon as it is there.
fn killed_at_the_start() {
    for method in [StartMethod::Spawn, StartMethod::ForkServer] {
        let pool = pool(2, method);
        for round in 0..60u64 {
            let known = children_named("");
            let victim = std::iter::repeat_with(|| pool.worker_pids()[1]).find(|pid| *pid != 0);
            send(victim.unwrap(), Signal::KILL);
            let newcomer = loop {
                let now = children_named("");
                if let Some(pid) = now.iter().find(|pid| !known.contains(pid)) {
                    break *pid;
                }
            };
            std::thread::sleep(Duration::from_micros(100 * (round % 20)));
            send(newcomer, Signal::KILL);
            pool.for_each(0..8, |_| ()).unwrap_or_else(|error| panic!("{method:?}, round {round}: {error}"));
        }
        assert_right(&pool);
    }
}

#[test]
fn a_start_that_hangs_holds_up_no_news_of_deaths() {
    run("hanging constructor");
}

#[test]
fn a_process_whose_start_hangs_holds_up_no_other() {
    run("hanging process");
}

#[test]
fn a_pool_is_dropped_soon_while_a_start_hangs() {
    run("dropped");
}

#[test]
fn a_stopped_fork_server_holds_up_nothing_but_starts() {
    run("stopped server");
}

#[test]
fn a_resize_that_finds_no_descriptors_leaves_the_pool_as_it_was() {
    run("few files");
}

#[test]
fn a_successor_that_finds_no_descriptors_comes_when_there_are_some() {
    run("few files for a successor");
}

#[test]
fn a_worker_killed_while_it_starts_is_one_death() {
    run("killed at the start");
}

#[test]
fn a_resize_whose_initializer_fails_leaves_the_pool_as_it_was() {
    fn refuses_where_marked(mark: String) -> Result<(), String> {
        if std::fs::exists(mark).unwrap() { Err("marked".into()) } else { Ok(()) }
    }
    let folder = tempfile::tempdir().unwrap();
    let mark = folder.path().join("mark");
    for backend in [phalanx::Backend::Processes, phalanx::Backend::Threads] {
        let builder = Pool::builder().workers(1).max_workers(3).backend(backend);
        let pool =
            builder.initializer(refuses_where_marked, mark.to_str().unwrap().to_owned()).build().unwrap();
        std::fs::write(&mark, "").unwrap();
        let error = pool.resize(3).unwrap_err().to_string();
        assert!(error.contains("marked"), "{error}");
        assert_eq!(pool.workers(), 1);
        assert_right(&pool);
        std::fs::remove_file(&mark).unwrap();
        pool.resize(3).unwrap();
        assert_eq!(pool.workers(), 3);
        assert_right(&pool);
    }
}

#[test]
fn what_is_left_of_a_resize_that_failed_fails_no_later_one() {
    /// With the mark, the first that comes fails as soon as there is a second, which fails late: when one
    /// without comes.
    fn fails_one_by_one(folder: String) -> Result<(), String> {
        let file = |name: &str| std::path::Path::new(&folder).join(name);
        let until = |name: &str| {
            while !std::fs::exists(file(name)).unwrap() {
                std::thread::sleep(Duration::from_millis(1));
            }
        };
        if !std::fs::exists(file("mark")).unwrap() {
            std::fs::write(file("without"), "").unwrap();
            return Ok(());
        }
        if std::fs::File::create_new(file("first")).is_ok() {
            until("second");
            return Err("the first".into());
        }
        std::fs::write(file("second"), "").unwrap();
        until("without");
        Err("the second".into())
    }
    for backend in [phalanx::Backend::Processes, phalanx::Backend::Threads] {
        within(LONG, move || {
            let folder = tempfile::tempdir().unwrap();
            let file = |name: &str| folder.path().join(name);
            let builder = Pool::builder().workers(1).max_workers(3).backend(backend);
            let argument = folder.path().to_str().unwrap().to_owned();
            let pool = builder.initializer(fails_one_by_one, argument).build().unwrap();
            std::fs::remove_file(file("without")).unwrap();
            std::fs::write(file("mark"), "").unwrap();
            let error = pool.resize(3).unwrap_err().to_string();
            assert!(error.contains("the first"), "{error}");
            std::fs::remove_file(file("mark")).unwrap();
            pool.resize(3).unwrap();
            assert_eq!((pool.workers(), pool.stats().respawns), (3, 0));
            assert_right(&pool);
        });
    }
}

#[test]
fn idle_workers_killed_from_outside_are_replaced_however_often() {
    within(LONG, || {
        let pool = pool(2, StartMethod::ForkServer);
        for round in 0..12u64 {
            while pool.worker_pids()[1] == 0 {
                std::thread::yield_now();
            }
            send(pool.worker_pids()[1], [Signal::KILL, Signal::TERM][round as usize % 2]);
            until_respawns(&pool, round + 1);
        }
        assert_right(&pool);
    });
}

/// An initializer may be given more time, or less, than a worker usually gets.
#[test]
fn an_initializer_has_as_long_as_the_pool_allows() {
    let begun = std::time::Instant::now();
    let limit = Duration::from_millis(300);
    let never = |(): ()| -> () {
        loop {
            std::thread::park();
        }
    };
    let outcome = Pool::builder().workers(1).initializer(never, ()).start_timeout(limit).build();
    match outcome {
        Err(PoolError::Start(StartError::StartTimeout { waited })) => assert_eq!(waited, limit),
        other => panic!("{other:?}"),
    }
    assert!(begun.elapsed() >= limit);
    let pool = Pool::builder().workers(1).initializer(|_: u64| (), 1).start_timeout(Duration::MAX).build();
    assert_eq!(pool.unwrap().apply(|n: u64| n + 1, 1).unwrap(), 2);
}
