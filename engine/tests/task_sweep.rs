//! The kill sweep of tasks: a worker process is single-stepped through a chunk and killed at one instruction,
//! again and again, from its waking up to its sleeping again: each item has its result or is the one that was
//! lost, none runs twice, nothing hangs.
//!
//! A step takes 10 to 30 us, and a chunk of a debug build about 100,000 of them. So only the first chunk is
//! stepped through, and noted; to come to a point of it, a worker runs freely to a waypoint, a place shortly
//! before that point to which it has not come often by then, and is stepped from there. The processor stops
//! it there (a debug register), so no other thread meets the waypoint.
//!
//! # Safety
//! Plain `ptrace` calls on a worker of this test's own pool, by the thread that attached to it.
#![allow(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod registers;

use phalanx::sync::Counter;
use phalanx::{Backend, Pool, TaskError};
use std::collections::HashMap;
use std::ops::Range;

/// Items of the chunk.
const ITEMS: usize = 4;
/// Instructions at which the worker is killed, spread over all.
const POINTS: usize = if cfg!(debug_assertions) { 3000 } else { 10_000 };

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

    /// Where it is, from the start of the program's code; beyond the code it is elsewhere, in a library or
    /// the kernel's page.
    fn place(&self, code: &Range<u64>) -> u64 {
        registers::program_counter(self.0).wrapping_sub(code.start)
    }

    /// Has the processor stop it at an address, or nowhere any more; whether that can be had.
    fn stop_at(&self, address: Option<u64>) -> bool {
        registers::stop_at(self.0, address)
    }

    /// Lets it run until it has come to an address so many times; false if it is `idle` before.
    fn run_to(&self, address: u64, times: usize, idle: &dyn Fn() -> bool) -> bool {
        assert!(self.stop_at(Some(address)), "{}", std::io::Error::last_os_error());
        (0..times).all(|time| {
            if registers::STOPS_AGAIN && time > 0 {
                self.stop_at(None);
                self.step();
                self.stop_at(Some(address));
            }
            // SAFETY: as in `step`.
            let rc = unsafe { libc::ptrace(libc::PTRACE_CONT, self.0, 0, 0) };
            assert_eq!(rc, 0, "{}", std::io::Error::last_os_error());
            self.stops_before(idle)
        }) && self.stop_at(None)
    }

    /// Waits until it stops; false if it is `idle` before.
    fn stops_before(&self, idle: &dyn Fn() -> bool) -> bool {
        loop {
            let mut status = 0;
            // SAFETY: the status outlives the call.
            let rc = unsafe { libc::waitpid(self.0, &mut status, libc::__WALL | libc::WNOHANG) };
            assert!(rc >= 0 && (rc == 0 || libc::WIFSTOPPED(status)), "the worker ended by itself");
            if rc == self.0 || idle() {
                return rc == self.0;
            }
            std::thread::yield_now();
        }
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

/// Where a worker has the program's code.
fn code_of(pid: u32) -> Range<u64> {
    let executable = std::fs::read_link(format!("/proc/{pid}/exe")).unwrap();
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let is_code = |line: &&str| line.contains(" r-xp ") && line.ends_with(executable.to_str().unwrap());
    let line = maps.lines().find(is_code).expect("a program has code");
    let (start, end) = line.split(' ').next().unwrap().split_once('-').unwrap();
    let number = |text| u64::from_str_radix(text, 16).unwrap();
    number(start)..number(end)
}

/// A point of a chunk: so many steps behind a waypoint, or behind the start where there is none.
#[derive(Clone, Copy, Debug)]
struct Point {
    /// From the start of the code, and the how manieth time that it comes there.
    waypoint: Option<(u64, usize)>,
    steps: usize,
    /// Where that was.
    place: u64,
}

/// The points of a chunk whose places were noted, step by step.
fn points_of(places: &[u64], code: &Range<u64>) -> Vec<Point> {
    let mut been = HashMap::new();
    let times: Vec<usize> = places
        .iter()
        .map(|&place| {
            let times = been.entry(place).or_insert(0);
            *times += 1;
            *times
        })
        .collect();
    let point = |at: usize| {
        let mut best = Point { waypoint: None, steps: at, place: places[at] };
        let mut stops = at;
        for steps in 0..at {
            let (place, times) = (places[at - steps], times[at - steps]);
            if steps >= stops {
                break;
            }
            if place < code.end - code.start && steps + times < stops {
                stops = steps + times;
                best = Point { waypoint: Some((place, times)), steps, ..best };
            }
        }
        best
    };
    (0..POINTS).map(|n| point(places.len() * n / POINTS)).collect()
}

/// What became of a worker in a chunk.
#[derive(Debug, PartialEq, Eq)]
enum End {
    /// It was killed in the chunk, and so many items were lost.
    Killed { lost: usize },
    /// It did not come by the waypoint, and was killed when it had nothing to do any more.
    Missed,
}

/// What drives a worker through a chunk; whether it came where it was to be killed. It is told when the chunk
/// is done.
type Drive<'a> = &'a mut dyn FnMut(&Traced, &Range<u64>, &dyn Fn() -> bool) -> bool;

/// Kills the worker where `drive` leaves it. `None` where tracing is refused.
fn trial(pool: &Pool, what: &str, drive: Drive<'_>) -> Option<End> {
    let runs = Counter::new(0).unwrap();
    // A successor may have served a task before the engine has noted that it is ready.
    let pid = std::iter::repeat_with(|| pool.worker_pids()[0])
        .inspect(|_| std::thread::yield_now())
        .find(|&pid| pid != 0)?;
    let traced = Traced::attach(pid)?;
    let code = code_of(pid);
    let (came, results) = std::thread::scope(|scope| {
        let calling = scope.spawn(|| {
            let items = (0..ITEMS).map(|n| (n, runs.clone()));
            pool.tasks().always_out().chunksize(ITEMS).try_map(run, items).unwrap()
        });
        let came = drive(&traced, &code, &|| calling.is_finished());
        traced.kill();
        (came, calling.join().unwrap())
    });
    assert_eq!(results.len(), ITEMS);
    let mut lost = 0;
    for (n, result) in results.iter().enumerate() {
        match result {
            Ok(text) => assert_eq!(text.len(), n * 7, "{what}"),
            Err(TaskError::WorkerDied { item, .. }) => {
                assert_eq!(*item, n, "{what}");
                lost += 1;
            }
            Err(error) => panic!("{what}, item {n}: {error}"),
        }
    }
    let ran = usize::try_from(runs.get()).unwrap();
    assert!(lost <= 1 && (ITEMS - lost..=ITEMS).contains(&ran), "{what}: {lost} lost, {ran} runs");
    Some(if came { End::Killed { lost } } else { End::Missed })
}

/// Steps a worker through a chunk; where it was before each step.
fn noted(pool: &Pool) -> Option<(Vec<u64>, Range<u64>)> {
    let (mut places, mut all_code) = (Vec::new(), 0..0);
    trial(pool, "the first chunk", &mut |traced, code, is_done| {
        while !is_done() {
            places.push(traced.place(code));
            traced.step();
        }
        all_code = code.clone();
        true
    })?;
    Some((places, all_code))
}

#[test]
fn a_worker_killed_at_any_instruction_of_a_chunk_loses_one_item_at_most() {
    if !registers::can_be_stepped() {
        println!("SKIPPED: kill sweep of tasks: this processor has no atomic instructions (LSE)");
        return;
    }
    let pool = Pool::builder().workers(1).backend(Backend::Processes).build().unwrap();
    let serves = || assert_eq!(pool.apply(|n: u64| n + 1, 1).unwrap(), 2);
    serves();
    let Some((places, code)) = noted(&pool) else {
        println!("SKIPPED: kill sweep of tasks: ptrace is refused: {}", std::io::Error::last_os_error());
        return;
    };
    let (mut kept, mut lost_one, mut missed, mut there) = (0, 0, 0, 0);
    for point in points_of(&places, &code) {
        serves();
        let end = trial(&pool, &format!("{point:x?}"), &mut |traced, code, is_done| {
            if let Some((place, times)) = point.waypoint
                && !traced.run_to(code.start + place, times, is_done)
            {
                return false;
            }
            for _ in 0..point.steps {
                if is_done() {
                    break;
                }
                traced.step();
            }
            there += usize::from(traced.place(code) == point.place);
            true
        });
        match end.unwrap() {
            End::Killed { lost: 0 } => kept += 1,
            End::Killed { .. } => lost_one += 1,
            End::Missed => missed += 1,
        }
    }
    println!(
        "{POINTS} points of {} instructions: killed {} times, {there} times at the very place; {lost_one} times an item was lost",
        places.len(),
        kept + lost_one,
    );
    serves();
    assert!(lost_one > 0 && kept > 0 && missed < POINTS / 4 && there > POINTS / 4);
}
