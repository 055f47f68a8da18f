//! What is heard of a worker that panics with a backtrace, overflows its stack, or aborts.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use phalanx::{Backend, LaunchError, Pool, TaskError};
use std::process::Command;
use std::time::Duration;

/// Runs one of the ignored tests below as a program of its own; returns what it wrote as errors.
fn host(name: &str, backtrace: &str) -> String {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", name, "--ignored", "--test-threads=1", "--nocapture"]);
    let output = command.env("RUST_BACKTRACE", backtrace).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{errors}{}", String::from_utf8_lossy(&output.stdout));
    errors
}

fn pool() -> Pool {
    Pool::builder().workers(1).backend(Backend::Processes).build().unwrap()
}

#[inline(never)]
fn the_culprit(value: u64) -> u64 {
    assert_ne!(value, 3, "on purpose");
    value
}

fn launch_panics() -> LaunchError {
    pool()
        .for_each(0..10, |range| range.for_each(|i| assert_eq!(the_culprit(i as u64), i as u64)))
        .unwrap_err()
}

fn task_panics() -> TaskError {
    pool().apply(the_culprit, 3).unwrap_err()
}

#[test]
fn a_panic_comes_with_its_backtrace_where_the_environment_asks() {
    host("host_with_backtraces", "1");
    host("host_without_backtraces", "0");
}

#[test]
#[ignore = "a host program, run by a_panic_comes_with_its_backtrace_where_the_environment_asks"]
fn host_with_backtraces() {
    let (launch, task) = (launch_panics(), task_panics());
    let texts = [launch.to_string(), task.to_string()];
    let LaunchError::Panicked { message, backtrace: first, .. } = launch else { panic!("{launch}") };
    let TaskError::Panicked { backtrace: second, .. } = task else { panic!("{task}") };
    assert!(message.contains("on purpose"), "{message}");
    for (text, backtrace) in texts.iter().zip([&first, &second]) {
        assert!(text.ends_with(&format!("; called from\n{backtrace}")), "{text}");
        assert!(backtrace.lines().next().unwrap().contains("the_culprit"), "{backtrace}");
        assert!(!backtrace.contains("phalanx::spawn") && !backtrace.contains("_start"), "{backtrace}");
    }
    assert!(first.contains("launch_panics"), "the kernel too: {first}");
}

#[test]
#[ignore = "a host program, run by a_panic_comes_with_its_backtrace_where_the_environment_asks"]
fn host_without_backtraces() {
    let LaunchError::Panicked { backtrace, location, .. } = launch_panics() else { panic!("no panic") };
    assert_eq!(&*backtrace, "");
    assert!(location.contains("last_words.rs"), "{location}");
    let text = task_panics().to_string();
    assert!(text.ends_with(')') && !text.contains('\n') || text.contains("left: 3"), "{text}");
}

#[allow(unconditional_recursion)]
fn deep(n: u64) -> u64 {
    std::hint::black_box(deep(std::hint::black_box(n) + 1)) + 1
}

#[test]
fn an_overflow_names_the_chunk_or_the_task_at_work() {
    let errors = host("host_overflows", "0");
    let said: Vec<&str> = errors.lines().filter(|line| line.contains("overflowed its stack")).collect();
    assert_eq!(
        said,
        [
            "phalanx: worker 0 overflowed its stack in chunk 4..8",
            "phalanx: worker 0 overflowed its stack in a task",
            "phalanx: worker 0 overflowed its stack",
        ],
        "{errors}"
    );
}

#[test]
#[ignore = "a host program, run by an_overflow_names_the_chunk_or_the_task_at_work"]
fn host_overflows() {
    let pool = pool();
    let chunks = pool.launch().chunk(4).for_each(0..8, |range| {
        if range.start == 4 {
            deep(1);
        }
    });
    assert!(matches!(chunks, Err(LaunchError::WorkerDied { .. })), "{chunks:?}");
    // A chunk before it must not be named.
    pool.for_each(0..8, |_| ()).unwrap();
    let task = pool.apply(|n: u64| deep(n), 1);
    assert!(matches!(task, Err(TaskError::WorkerDied { item: 0, .. })), "{task:?}");
    pool.for_each(0..8, |_| ()).unwrap();
    let region = pool.region((), |_, ()| Ok(deep(1)));
    assert!(matches!(region, Err(LaunchError::WorkerDied { .. })), "{region:?}");
}

/// A panic in a function of the C calling convention aborts, as every panic does where the program is built
/// with `panic = "abort"`: the hook runs, and then the process dies of the signal.
extern "C" fn aborts() {
    panic!("the words of the panic");
}

#[test]
fn an_abort_after_a_panic_keeps_its_message_and_place() {
    let errors = host("host_aborts", "0");
    let said: Vec<&str> = errors.lines().filter(|line| line.starts_with("phalanx: worker")).collect();
    assert_eq!(said.len(), 2, "{errors}");
    assert!(
        said[0].starts_with("phalanx: worker 0 aborts in chunk 4..8; its last panic was at "),
        "{errors}"
    );
    assert!(said[1].starts_with("phalanx: worker 0 aborts in a task; its last panic was at "), "{errors}");
    for line in said {
        assert!(line.contains("last_words.rs:") && line.ends_with(": the words of the panic"), "{line}");
    }
}

#[test]
#[ignore = "a host program, run by an_abort_after_a_panic_keeps_its_message_and_place"]
fn host_aborts() {
    let pool = pool();
    let chunks = pool.launch().chunk(4).for_each(0..8, |range| {
        if range.start == 4 {
            aborts();
        }
    });
    assert!(matches!(chunks, Err(LaunchError::WorkerDied { .. })), "{chunks:?}");
    let task = pool.apply(|()| aborts(), ());
    assert!(matches!(task, Err(TaskError::WorkerDied { .. })), "{task:?}");
    // Without a panic nothing is said.
    assert!(pool.broadcast((), |_, ()| std::process::abort()).is_err());
}

/// Calls that panic at once, with a time limit shorter than the first look at this program's debug
/// information takes.
#[test]
fn looking_up_names_is_not_the_time_of_what_panicked() {
    host("host_with_short_limits", "1");
}

#[test]
#[ignore = "a host program, run by looking_up_names_is_not_the_time_of_what_panicked"]
fn host_with_short_limits() {
    // Threads print their panics themselves, which is the program's own time.
    let limit = Duration::from_millis(100);
    for threads in [1, 2] {
        let pool = || Pool::builder().workers(2).threads_per_worker(threads).build().unwrap();
        let kernel =
            |range: std::ops::Range<usize>| range.for_each(|i| assert_eq!(the_culprit(i as u64), i as u64));
        let outcome = pool().launch().timeout(limit).chunk(1).for_each(0..4, kernel);
        let Err(LaunchError::Panicked { backtrace, .. }) = outcome else { panic!("{outcome:?}") };
        assert!(backtrace.contains("the_culprit"), "{backtrace}");
        let outcome = pool().launch().timeout(limit).region((), |team, ()| {
            assert_ne!(the_culprit(team.rank() as u64 + 2), 2, "rank 0");
            team.barrier()?;
            Ok(())
        });
        let Err(LaunchError::Panicked { backtrace, .. }) = outcome else { panic!("{outcome:?}") };
        assert!(backtrace.contains("host_with_short_limits"), "{backtrace}");
        let outcome = pool().tasks().timeout(limit).apply(the_culprit, 3);
        let Err(TaskError::Panicked { backtrace, .. }) = outcome else { panic!("{outcome:?}") };
        assert!(backtrace.contains("the_culprit"), "{backtrace}");
    }
}
