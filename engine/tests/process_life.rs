//! Processes in narrow or dying surroundings. What is set for a whole process is set in a child: this program
//! runs itself again with one test and a variable that says which surroundings that test is to make.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

mod common;

use common::{LONG, within};
use phalanx::sync::{Counter, Lock, LockError};
use phalanx::{JoinError, Process, SpawnError, StartError, StartMethod, active_children};
use std::io::Read;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const VARIABLE: &str = "PROCESS_LIFE";

/// This program again, for one test, with `what` in the variable.
fn again(what: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "child", "--nocapture", "--test-threads=1"])
        .env(VARIABLE, what)
        .env("RUST_BACKTRACE", "0");
    command
}

#[track_caller]
fn run(what: &str) {
    let output = again(what).output().unwrap();
    let text =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && text.contains("test result: ok. 1 passed"), "{text}");
}

/// Not a test of its own: what the tests below run in a child.
#[test]
fn child() {
    match std::env::var(VARIABLE).as_deref() {
        Ok("parent") => parent_to_be_killed(),
        Ok("ignored") => sigchld_ignored(),
        Ok("reaped") => children_reaped_by_the_host(),
        Ok("fork") => fork_is_refused(),
        Ok("leaks") => rounds(),
        Ok("idle") => fork_server_comes_and_goes(),
        Ok("folder") => another_folder(),
        Ok("descriptors") => fewest_descriptors(),
        _ => {}
    }
}

fn spin() {
    loop {
        std::hint::spin_loop();
    }
}

fn parent_to_be_killed() {
    let busy = Process::builder().start_method(StartMethod::Spawn).spawn(|()| spin(), ()).unwrap();
    let idle = Process::spawn(|()| std::thread::park(), ()).unwrap();
    println!("pids [{}, {}]", busy.pid(), idle.pid());
    spin();
}

#[test]
fn processes_end_with_their_parent() {
    let mut parent = again("parent").stdout(Stdio::piped()).spawn().unwrap();
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

/// Runs processes to every kind of end.
fn every_end() {
    let fine = Process::spawn(|n: u32| n + 1, 1).unwrap();
    assert_eq!(fine.join().unwrap(), 2);
    assert_eq!(fine.exitcode(), Some(0));
    let panicked = Process::spawn(|()| -> () { panic!("once") }, ()).unwrap();
    assert!(matches!(panicked.join(), Err(JoinError::Panicked { .. })));
    assert_eq!(panicked.exitcode(), Some(1));
    let killed = Process::spawn(|()| spin(), ()).unwrap();
    killed.kill();
    assert!(matches!(killed.join(), Err(JoinError::Died { .. })));
}

fn sigchld_ignored() {
    // SAFETY: plain numbers.
    #[allow(unsafe_code)]
    unsafe {
        libc::signal(libc::SIGCHLD, libc::SIG_IGN)
    };
    every_end();
}

#[test]
fn a_host_that_ignores_sigchld_loses_nothing_but_the_exit_status() {
    run("ignored");
}

fn children_reaped_by_the_host() {
    std::thread::spawn(|| {
        loop {
            // SAFETY: waits for any child, which is what this host does.
            #[allow(unsafe_code)]
            unsafe {
                libc::waitpid(-1, std::ptr::null_mut(), 0)
            };
        }
    });
    every_end();
}

#[test]
fn a_host_that_reaps_every_child_loses_nothing_but_the_exit_status() {
    run("reaped");
}

fn fork_is_refused() {
    // The test harness has threads of its own.
    let refused = Process::builder().start_method(StartMethod::Fork).spawn(|()| (), ());
    match refused {
        Err(SpawnError::Start { source: StartError::ForkNeedsOneThread { threads }, .. }) => {
            assert!(threads > 1)
        }
        other => panic!("{other:?}"),
    }
    // Nothing was broken by it.
    every_end();
}

#[test]
fn fork_is_refused_where_there_are_threads() {
    run("fork");
}

fn count(path: &str) -> usize {
    std::fs::read_dir(path).map_or(0, Iterator::count)
}

/// Descriptors, threads, mappings of shared memory.
fn census() -> [usize; 3] {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    [
        count("/proc/self/fd"),
        count("/proc/self/task"),
        maps.lines().filter(|line| line.contains("memfd:")).count(),
    ]
}

fn rounds() {
    every_end();
    let before = census();
    for _ in 0..100 {
        every_end();
    }
    let large = Process::spawn(|n: usize| vec![1u64; n], 1 << 20).unwrap();
    assert_eq!(large.join().unwrap().len(), 1 << 20);
    drop(large);
    assert_eq!(census(), before);
    assert_eq!(active_children(), []);
}

#[test]
fn rounds_of_every_end_leave_nothing() {
    run("leaks");
}

fn fewest_descriptors() {
    every_end();
    let limit = libc::rlimit { rlim_cur: 256, rlim_max: 256 };
    // SAFETY: the limit outlives the call.
    #[allow(unsafe_code)]
    let rc = unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) };
    assert_eq!(rc, 0);
    let mut files: Vec<_> = std::iter::from_fn(|| std::fs::File::open("/dev/null").ok()).collect();
    for _ in 0..2 {
        let refused = Process::spawn(|()| (), ());
        assert!(
            matches!(refused, Err(SpawnError::Start { source: StartError::Limit { .. }, .. })),
            "{refused:?}"
        );
        // One more is not enough either.
        files.pop();
    }
    drop(files);
    every_end();
}

#[test]
fn too_few_descriptors_are_a_clear_error_and_pass() {
    run("descriptors");
}

/// Children of this process, zombies included.
fn children() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    tasks
        .map(|task| std::fs::read_to_string(task.unwrap().path().join("children")).unwrap_or_default())
        .map(|list| list.split_whitespace().count())
        .sum()
}

fn fork_server_comes_and_goes() {
    within(LONG, || {
        for _ in 0..2 {
            every_end();
            while children() > 0 {
                std::thread::yield_now();
            }
        }
    });
}

#[test]
fn a_program_without_processes_has_no_fork_server_for_long() {
    run("idle");
}

fn another_folder() {
    every_end();
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().canonicalize().unwrap();
    std::env::set_current_dir(&folder).unwrap();
    let there = Process::spawn(|()| std::env::current_dir().unwrap(), ()).unwrap();
    assert_eq!(there.join().unwrap(), folder);
}

#[test]
fn processes_start_where_the_caller_is() {
    run("folder");
}

/// Lengths of time without a pattern: 0 to 2 ms, busy.
fn dawdle(seed: u64) {
    let mut x = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..3).for_each(|_| {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
    });
    let end = Instant::now() + Duration::from_micros(x % 2000);
    while Instant::now() < end {
        std::hint::spin_loop();
    }
}

#[test]
fn kills_at_any_moment_lose_no_lock_and_no_count() {
    type Shared = (Lock<[u64; 2]>, Counter);
    within(LONG, || {
        let (lock, begun): Shared = (Lock::new([0; 2]).unwrap(), Counter::new(0).unwrap());
        let work = |(lock, begun): Shared| {
            begun.add(1);
            loop {
                let mut pair = match lock.lock() {
                    Ok(pair) => pair,
                    Err(LockError::OwnerDied(mut pair)) => {
                        // An earlier holder may have been killed between the two.
                        let [a, b] = *pair;
                        assert!(a == b || a == b + 1);
                        *pair = [a, a];
                        pair.clear_poison();
                        pair
                    }
                    Err(other) => panic!("{}", other.map(drop)),
                };
                pair[0] += 1;
                pair[1] += 1;
            }
        };
        for round in 0..60 {
            let processes: Vec<Process> =
                (0..3).map(|_| Process::spawn(work, (lock.clone(), begun.clone())).unwrap()).collect();
            dawdle(round);
            processes.iter().for_each(Process::kill);
            for process in &processes {
                assert!(matches!(process.join(), Err(JoinError::Died { .. })), "{process:?}");
            }
            let pair = match lock.lock() {
                Ok(pair) => pair,
                Err(LockError::OwnerDied(mut pair)) => {
                    let [a, b] = *pair;
                    assert!(a == b || a == b + 1, "{a} {b}");
                    *pair = [a, a];
                    pair.clear_poison();
                    pair
                }
                Err(other) => panic!("{}", other.map(drop)),
            };
            assert_eq!(pair[0], pair[1]);
        }
        let pair = lock.lock().unwrap();
        assert!(begun.get() <= 180 && pair[0] > 0, "{} {}", begun.get(), pair[0]);
    });
}
