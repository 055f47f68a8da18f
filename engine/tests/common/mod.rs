//! What the tests of deaths share.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
#![allow(dead_code, reason = "each test binary uses its own part")]

use phalanx::{Backend, Death, ExitCause, LaunchError, Pool};
use std::time::Duration;

/// Longest time that anything may take which would otherwise hang.
pub const LONG: Duration = Duration::from_secs(60);

/// A pool of worker processes.
pub fn processes(workers: usize) -> Pool {
    Pool::builder().workers(workers).backend(Backend::Processes).build().unwrap()
}

/// Whether the pool computes what it should.
#[track_caller]
pub fn assert_right(pool: &Pool) {
    let x = pool.from_fn(10_000, |i| i as f64).unwrap();
    let mut y = pool.zeros::<f64>(10_000).unwrap();
    pool.for_each((y.split_mut(), x.split(), 3.0), |(y, x, a)| {
        for (y, x) in y.iter_mut().zip(x) {
            *y += a * x
        }
    })
    .unwrap();
    assert!(y.as_slice().iter().enumerate().all(|(i, y)| *y == 3.0 * i as f64));
    let sum = pool.reduce(y.split(), 0.0, |y| y.iter().sum(), |a, b| a + b).unwrap();
    assert_eq!(sum, 3.0 * (9_999.0 * 10_000.0 / 2.0));
}

/// The deaths and lost spans of a launch that failed so.
#[track_caller]
pub fn deaths(outcome: Result<(), LaunchError>) -> (Vec<Death>, Vec<std::ops::Range<usize>>, String) {
    match outcome {
        Err(error) => {
            let text = error.to_string();
            match error {
                LaunchError::WorkerDied { deaths, lost, .. } => {
                    (deaths, lost.into_iter().map(|span| span.range()).collect(), text)
                }
                other => panic!("no death: {other}"),
            }
        }
        Ok(()) => panic!("the launch succeeded"),
    }
}

/// The number of the signal that killed a worker.
#[track_caller]
pub fn signal(cause: ExitCause) -> i32 {
    match cause {
        ExitCause::Signal { number, .. } => number,
        other => panic!("no signal: {other}"),
    }
}

/// Sends a signal to one process.
pub fn send(pid: u32, signal: rustix::process::Signal) {
    if let Some(pid) = rustix::process::Pid::from_raw(pid as i32) {
        // It may have gone.
        let _gone = rustix::process::kill_process(pid, signal);
    }
}

/// The state letter of a process (`R`, `S`, `T`, `Z`), or `None` if it is gone.
pub fn state_of(pid: u32) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

/// Runs `body` on a thread, and fails the test if it does not end.
#[track_caller]
pub fn within<R: Send + 'static>(limit: Duration, body: impl FnOnce() -> R + Send + 'static) -> R {
    let (done, result) = std::sync::mpsc::channel();
    let hand = std::thread::spawn(move || {
        let _nobody_waits = done.send(body());
    });
    match result.recv_timeout(limit) {
        Ok(result) => result,
        Err(std::sync::mpsc::RecvTimeoutError::Timeout) => panic!("hangs for more than {limit:?}"),
        Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => match hand.join() {
            Err(payload) => std::panic::resume_unwind(payload),
            Ok(()) => unreachable!("a body that ended sent its result"),
        },
    }
}

/// The children of this process whose name, as `ps` shows it, contains `word`.
pub fn children_named(word: &str) -> Vec<u32> {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let lists =
        tasks.map(|task| std::fs::read_to_string(task.unwrap().path().join("children")).unwrap_or_default());
    let pids: Vec<u32> =
        lists.flat_map(|list| list.split(' ').map(|pid| pid.parse()).collect::<Vec<_>>()).flatten().collect();
    let name = |pid: &u32| std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    pids.into_iter().filter(|pid| name(pid).contains(word)).collect()
}
