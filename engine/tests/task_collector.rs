//! The threads of a pool's tasks that cannot be started at first are started later. A process of its own: it
//! has a limit set.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use phalanx::{Pool, TaskError};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::sync::mpsc;
use std::time::Duration;

const LONG: Duration = Duration::from_secs(60);

/// Limits the address space to what is used, so that no thread finds room for a stack.
fn without_room<R>(body: impl FnOnce() -> R) -> R {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmSize:")).unwrap();
    let kib: u64 = line.trim().trim_end_matches(" kB").parse().unwrap();
    let before = getrlimit(Resource::As);
    setrlimit(Resource::As, Rlimit { current: Some((kib + 512) << 10), maximum: before.maximum }).unwrap();
    let result = body();
    setrlimit(Resource::As, before).unwrap();
    result
}

#[test]
fn threads_that_could_not_be_started_are_started_later() {
    let pool = Pool::builder().workers(2).build().unwrap();
    let refused = without_room(|| pool.apply_async(|n: u64| n, 1).get());
    assert!(matches!(refused, Err(TaskError::NoThread { .. })), "{refused:?}");

    // The collector runs now: limits, callbacks and futures fire.
    let slow = |()| std::thread::sleep(Duration::from_secs(3600));
    let late = pool.tasks().timeout(Duration::from_millis(20)).apply(slow, ());
    assert!(matches!(late, Err(TaskError::TimedOut { .. })));

    // The thread of callbacks cannot be started: another makes them, and the next call tries again.
    for with_room in [false, true] {
        let (told, tells) = mpsc::channel();
        let call = || {
            let nap = |ms: u64| std::thread::sleep(Duration::from_millis(ms));
            let _nobody_waits = pool.apply_async(nap, 20).on_success(move |()| told.send(()).unwrap());
            tells.recv_timeout(LONG).unwrap();
        };
        if with_room { call() } else { without_room(call) }
    }
}
