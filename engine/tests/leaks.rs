//! What a pool leaves behind: nothing. Tests take turns, because they count what belongs to the whole
//! process.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

mod common;

use common::{LONG, assert_right, send, within};
use phalanx::{Pool, StartMethod};
use rustix::process::Signal;
use std::io::Read;
use std::process::{Command, Stdio};
use std::sync::Mutex;

static TURN: Mutex<()> = Mutex::new(());

/// Counts of everything that could grow.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Census {
    fds: usize,
    threads: usize,
    maps: usize,
    children: usize,
    shm: usize,
    temp: usize,
}

fn count(path: &str) -> usize {
    std::fs::read_dir(path).map_or(0, Iterator::count)
}

/// Children of this process, zombies included.
fn children() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    tasks
        .map(|task| std::fs::read_to_string(task.unwrap().path().join("children")).unwrap_or_default())
        .map(|list| list.split_whitespace().count())
        .sum()
}

/// Mappings of shared memory of ours: what malloc and thread stacks map is not ours to count.
fn maps() -> usize {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    maps.lines().filter(|line| line.contains("memfd:") || line.contains("/dev/shm")).count()
}

fn census() -> Census {
    let phalanx = |path: &str| {
        let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
        entries.filter(|entry| entry.file_name().to_string_lossy().contains("phalanx")).count()
    };
    Census {
        fds: count("/proc/self/fd"),
        threads: count("/proc/self/task"),
        maps: maps(),
        children: children(),
        shm: phalanx("/dev/shm"),
        temp: phalanx("/tmp"),
    }
}

fn round(round: usize, method: StartMethod) {
    let pool = Pool::builder().workers(2).start_method(method).build().unwrap();
    let mut y = phalanx::SharedArray::<u64, _>::zeros(200_000).unwrap();
    pool.for_each(y.split_mut(), |y| y.fill(1)).unwrap();
    match round % 4 {
        0 => send(pool.worker_pids()[round / 4 % 2], Signal::KILL),
        1 => drop(pool.for_each(0..2, |_| std::process::abort())),
        2 => drop(pool.for_each(0..2, |_| panic!("once"))),
        _ => assert_right(&pool),
    }
}

#[test]
fn rounds_of_make_launch_kill_drop_leave_nothing() {
    let _turn = TURN.lock().unwrap();
    within(LONG, || {
        // What is made once and kept: the arena, thread-local things, the workers' executable.
        for first in 0..4 {
            round(first, StartMethod::Spawn);
            round(first, StartMethod::ForkServer);
        }
        let before = census();
        for number in 0..100 {
            round(number, StartMethod::Spawn);
            round(number, StartMethod::ForkServer);
        }
        assert_eq!(census(), before);
    });
}

/// Not a test of its own: the parent that [`workers_end_with_their_parent`] kills.
#[test]
fn parent_to_be_killed() {
    let Ok(method) = std::env::var("LEAKS_PARENT") else { return };
    let method = if method == "spawn" { StartMethod::Spawn } else { StartMethod::ForkServer };
    let pool = Pool::builder().workers(2).start_method(method).build().unwrap();
    println!("pids {:?}", pool.worker_pids());
    // One worker is busy forever, one is idle; both hold our standard output.
    let _never = pool.launch().chunk(1).for_each(0..1, |_| {
        loop {
            std::hint::spin_loop();
        }
    });
}

#[test]
fn workers_end_with_their_parent() {
    let _turn = TURN.lock().unwrap();
    for method in ["spawn", "forkserver"] {
        let mut parent = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "parent_to_be_killed", "--nocapture", "--test-threads=1"])
            .env("LEAKS_PARENT", method)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = parent.stdout.take().unwrap();
        let mut text = String::new();
        let mut byte = [0];
        while !(text.contains("pids [") && text.ends_with("]\n")) {
            assert_eq!(output.read(&mut byte).unwrap(), 1, "ended early: {text}");
            text.push(byte[0] as char);
        }
        parent.kill().unwrap();
        parent.wait().unwrap();
        // End of file comes when no process has the pipe any more.
        within(LONG, move || output.read_to_end(&mut Vec::new()).unwrap());
    }
}
