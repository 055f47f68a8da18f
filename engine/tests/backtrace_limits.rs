//! Looking up the names of a backtrace takes none of the time that the caller allows.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use phalanx::{Backend, CallError, ExitError, JoinError, LaunchError, Manager, Pool, Process, TaskError};
use std::process::Command;
use std::time::{Duration, Instant};

/// Enough for code that panics at once, and less than a fresh worker needs for the names of [`DEPTH`] calls.
const LIMIT: Duration = Duration::from_millis(250);
const DEPTH: u64 = 20_000;
/// Far more than the limit and all look-ups, and less than the most that look-ups may take.
const SOON: Duration = Duration::from_secs(60);

fn pool(workers: usize) -> Pool {
    Pool::builder().workers(workers).backend(Backend::Processes).build().unwrap()
}

/// Panics below so many calls.
#[inline(never)]
fn the_culprit(depth: u64) -> u64 {
    assert_ne!(depth, 0, "on purpose");
    std::hint::black_box(the_culprit(std::hint::black_box(depth) - 1)) + 1
}

fn hang() -> u64 {
    loop {
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Runs an ignored test as a program of its own.
fn run(host: &str) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", host, "--ignored", "--test-threads=1", "--nocapture"]);
    let output = command.env("RUST_BACKTRACE", "1").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    println!("{said}{}", String::from_utf8_lossy(&output.stdout));
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn a_panic_below_the_limit_is_no_time_out() {
    run("panics");
}

#[test]
fn what_hangs_beside_a_panic_is_ended() {
    run("hangs_beside");
}

#[test]
#[ignore = "a host program, run by a_panic_below_the_limit_is_no_time_out"]
fn panics() {
    for workers in [1, 4] {
        launch_panics(workers);
        tasks_panic(workers);
    }
}

fn launch_panics(workers: usize) {
    let pool = pool(workers);
    let since = Instant::now();
    let launch = pool.launch().timeout(LIMIT).grace(Duration::ZERO).chunk(1);
    let error = launch.for_each(0..workers, |_| assert_eq!(the_culprit(DEPTH), 0)).unwrap_err();
    println!("a launch, {workers} workers: {:?}", since.elapsed());
    let LaunchError::Panicked { backtrace, .. } = error else { panic!("{error}") };
    assert!(backtrace.contains("the_culprit"), "{backtrace}");
    assert_eq!(pool.insights().deaths, 0);
}

fn tasks_panic(workers: usize) {
    let pool = pool(workers);
    let since = Instant::now();
    let results = pool.tasks().timeout(LIMIT).chunksize(2).try_map(the_culprit, [DEPTH; 8]).unwrap();
    println!("eight tasks, {workers} workers: {:?}", since.elapsed());
    for result in results {
        let error = result.unwrap_err();
        let TaskError::Panicked { backtrace, .. } = error else { panic!("{error}") };
        assert!(backtrace.contains("the_culprit"), "{}", &backtrace[..backtrace.len().min(200)]);
    }
    assert_eq!(pool.insights().deaths, 0);
}

#[test]
#[ignore = "a host program, run by what_hangs_beside_a_panic_is_ended"]
fn hangs_beside() {
    let pool = pool(2);
    let since = Instant::now();
    let launch = pool.launch().timeout(LIMIT).grace(Duration::ZERO).chunk(1);
    let outcome = launch.for_each(0..2, |range| {
        range.for_each(|i| assert_eq!(if i == 0 { the_culprit(DEPTH) } else { hang() }, 0));
    });
    let error = outcome.unwrap_err();
    assert!(matches!(error, LaunchError::TimedOut { .. }), "{error}");
    assert!(since.elapsed() < SOON);
    // The item after a panic has a limit of its own.
    let item = |n: u64| if n == 0 { the_culprit(DEPTH) } else { hang() };
    let results = pool.tasks().timeout(LIMIT).chunksize(2).try_map(item, [0, 1]).unwrap();
    assert!(matches!(&results[0], Err(TaskError::Panicked { .. })), "{results:?}");
    assert!(matches!(&results[1], Err(TaskError::TimedOut { item: 1, .. })), "{results:?}");
    assert!(since.elapsed() < SOON);
}

#[test]
fn a_worker_that_dies_at_the_look_up_has_told_its_panic() {
    run("dies_at_the_look_up");
}

#[test]
#[ignore = "a host program, run by a_worker_that_dies_at_the_look_up_has_told_its_panic"]
fn dies_at_the_look_up() {
    let pool = pool(1);
    let outcome = pool.launch().timeout(LIMIT).for_each(0..1, |range| {
        std::thread::spawn(|| {
            std::thread::sleep(LIMIT);
            std::process::abort();
        });
        range.for_each(|_| assert_eq!(the_culprit(DEPTH), 0));
    });
    let error = outcome.unwrap_err();
    println!("deaths {}", pool.insights().deaths);
    let LaunchError::Panicked { message, .. } = error else { panic!("{error}") };
    assert!(message.contains("on purpose"), "{message}");
    assert_eq!(pool.apply(|n: u64| n, 3).unwrap(), 3);
}

#[test]
fn panics_of_processes_managers_and_exit_functions_say_where_they_came_from() {
    run("panic_elsewhere");
}

fn check_trace(backtrace: &str, depth: u64) {
    let calls = backtrace.matches("the_culprit").count() as u64;
    assert!(calls > depth, "{calls} of {depth}: {}", &backtrace[..backtrace.len().min(2000)]);
    assert!(!backtrace.contains("phalanx::"), "{}", &backtrace[backtrace.len().saturating_sub(2000)..]);
}

#[test]
#[ignore = "a host program, run by panics_of_processes_managers_and_exit_functions_say_where_they_came_from"]
fn panic_elsewhere() {
    // Short enough for a process's call block, and not.
    for depth in [2, 2000] {
        let error = Process::spawn(the_culprit, depth).unwrap().join().unwrap_err();
        assert!(error.to_string().contains("on purpose") && error.to_string().contains("called from"));
        let JoinError::Panicked { backtrace, .. } = error else { panic!("{error}") };
        check_trace(&backtrace, depth);
        let manager = Manager::in_process().unwrap();
        let error = manager.host(depth).unwrap().call(|depth, ()| the_culprit(*depth), ()).unwrap_err();
        assert!(error.to_string().contains("called from"), "{error}");
        let CallError::Panicked { backtrace, .. } = error else { panic!("{error}") };
        check_trace(&backtrace, depth);
    }
    let at_exit = Pool::builder().workers(1).backend(Backend::Processes).at_exit(|| the_culprit(20));
    let pool = at_exit.build().unwrap();
    pool.join();
    let error = pool.exit_results::<u64>().unwrap_err();
    let ExitError::Panicked { backtrace, .. } = error else { panic!("{error}") };
    check_trace(&backtrace, 20);
}
