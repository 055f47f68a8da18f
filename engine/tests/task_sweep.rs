//! The kill sweep of tasks: a worker process is single-stepped through a chunk and killed at one instruction, again and again, from
//! its waking up to its sleeping again: each item has its result or is the one that was lost, none runs twice, nothing hangs.
//!
//! # Safety
//! Plain `ptrace` calls on a worker of this test's own pool, by the thread that attached to it.
#![allow(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use phalanx::sync::Counter;
use phalanx::{Backend, Pool, TaskError};

/// Items of the chunk.
const ITEMS: usize = 4;
/// Instructions at which the worker is killed, spread over all.
const POINTS: usize = if cfg!(debug_assertions) { 8 } else { 400 };

/// Waits until the traced process stops or ends; whether it stopped.
fn stops(pid: i32) -> bool {
    let mut status = 0;
    // SAFETY: the status outlives the call.
    let rc = unsafe { libc::waitpid(pid, &mut status, libc::__WALL) };
    // The engine, which watches its worker too, may have seen its end first.
    rc == pid && libc::WIFSTOPPED(status)
}

/// A worker that this thread steps.
struct Traced(i32);

impl Traced {
    /// None where tracing is refused.
    fn attach(pid: u32) -> Option<Traced> {
        let pid = pid as i32;
        // SAFETY: plain system call.
        let rc = unsafe { libc::ptrace(libc::PTRACE_ATTACH, pid, 0, 0) };
        (rc == 0 && stops(pid)).then_some(Traced(pid))
    }

    fn step(&self) {
        // SAFETY: it is stopped and traced by this thread.
        let rc = unsafe { libc::ptrace(libc::PTRACE_SINGLESTEP, self.0, 0, 0) };
        assert_eq!(rc, 0, "{}", std::io::Error::last_os_error());
        assert!(stops(self.0), "the worker ended by itself");
    }

    fn kill(self) {
        // SAFETY: our own worker, not reaped yet.
        unsafe { libc::kill(self.0, libc::SIGKILL) };
        while stops(self.0) {}
    }
}

fn run((n, runs): (usize, Counter)) -> String {
    runs.add(1);
    "x".repeat(n * 7)
}

/// Kills the worker so many instructions into a chunk, or when the chunk is done. Gives the instructions that it made, and how many
/// items were lost; `None` where tracing is refused.
fn trial(pool: &Pool, steps: usize) -> Option<(usize, usize)> {
    let runs = Counter::new(0).unwrap();
    let traced = Traced::attach(pool.worker_pids()[0])?;
    let (made, results) = std::thread::scope(|scope| {
        let calling = scope.spawn(|| {
            let items = (0..ITEMS).map(|n| (n, runs.clone()));
            pool.tasks().always_out().chunksize(ITEMS).try_map(run, items).unwrap()
        });
        let mut made = 0;
        while made < steps && !calling.is_finished() {
            traced.step();
            made += 1;
        }
        traced.kill();
        (made, calling.join().unwrap())
    });
    assert_eq!(results.len(), ITEMS);
    let mut lost = 0;
    for (n, result) in results.iter().enumerate() {
        match result {
            Ok(text) => assert_eq!(text.len(), n * 7, "step {steps}"),
            Err(TaskError::WorkerDied { item, .. }) => {
                assert_eq!(*item, n, "step {steps}");
                lost += 1;
            }
            Err(error) => panic!("step {steps}, item {n}: {error}"),
        }
    }
    let ran = usize::try_from(runs.get()).unwrap();
    assert!(lost <= 1 && (ITEMS - lost..=ITEMS).contains(&ran), "step {steps}: {lost} lost, {ran} runs");
    Some((made, lost))
}

#[test]
fn a_worker_killed_at_any_instruction_of_a_chunk_loses_one_item_at_most() {
    let pool = Pool::builder().workers(1).backend(Backend::Processes).build().unwrap();
    let serves = || assert_eq!(pool.apply(|n: u64| n + 1, 1).unwrap(), 2);
    serves();
    let Some((length, _)) = trial(&pool, usize::MAX) else {
        println!("SKIPPED: kill sweep of tasks: ptrace is refused: {}", std::io::Error::last_os_error());
        return;
    };
    let mut seen = [0; 2];
    for point in 0..POINTS {
        serves();
        let (_, lost) = trial(&pool, length * point / POINTS).unwrap();
        seen[lost] += 1;
    }
    println!("killed at {POINTS} of {length} instructions: {} times an item was lost", seen[1]);
    serves();
}
