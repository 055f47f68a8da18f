//! Observing a program from another one: what it does, how it ends, and what is not to be observed.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

mod common;

use common::{LONG, send};
use phalanx::observe::{self, ObserveError, Observer, PoolView, WorkerState};
use phalanx::sync::Event;
use phalanx::{Backend, ExitCause, Pool};
use rustix::process::Signal;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const VARIABLE: &str = "OBSERVE_HOST";

/// A program that is observed.
struct Host(Child);

impl Host {
    /// Starts this program again in that role, and waits until it says that it is ready.
    fn start(role: &str) -> Host {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "host", "--ignored", "--nocapture", "--test-threads=1"]).env(VARIABLE, role);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        while !line.contains("READY") {
            line.clear();
            assert_ne!(lines.read_line(&mut line).unwrap(), 0, "the program ended before it was ready");
        }
        // Read on, so that it can print.
        std::thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()));
        Host(child)
    }

    fn pid(&self) -> u32 {
        self.0.id()
    }

    fn observer(&self) -> Observer {
        let mut observers = observe::pools_of(self.pid()).unwrap();
        assert_eq!(observers.len(), 1);
        observers.remove(0)
    }

    fn go_on(&mut self) {
        self.0.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _gone = self.0.wait();
    }
}

fn wait_for_line() {
    std::io::stdin().read_line(&mut String::new()).unwrap();
}

fn ready() {
    println!("READY");
}

#[test]
#[ignore = "a host program, run by the other tests"]
fn host() {
    match std::env::var(VARIABLE).unwrap_or_default().as_str() {
        "kernel" => kernel_host(Backend::Processes),
        "threads" => kernel_host(Backend::Threads),
        "tasks" => task_host(),
        "idle" => {
            let pool = Pool::builder().workers(3).name("idle pool").build().unwrap();
            pool.park(2).unwrap();
            ready();
            wait_for_line();
        }
        "other build" => {
            let flags = rustix::fs::MemfdFlags::CLOEXEC;
            let file = rustix::fs::memfd_create("phalanx-plate", flags).unwrap();
            rustix::io::write(&file, b"phxplate\xff\0\0\0\x02\0\0\0layout!!99.0.0\0").unwrap();
            ready();
            wait_for_line();
        }
        _ => {}
    }
}

/// Eight chunks, of which two wait until they are let go.
fn kernel_host(backend: Backend) {
    let pool = Pool::builder().workers(2).backend(backend).build().unwrap();
    let open = Event::new().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            ready();
            wait_for_line();
            open.set();
        });
        let outcome = pool.launch().chunk(1).for_each((0..8, &open), |(chunk, open)| {
            if chunk.start >= 6 {
                open.wait();
            }
        });
        outcome.unwrap();
    });
    wait_for_line();
}

fn task_host() {
    let pool = Pool::builder().workers(2).build().unwrap();
    let event = Event::new().unwrap();
    let wait = |event: Event| {
        event.wait();
    };
    let results: Vec<_> = (0..10).map(|_| pool.apply_async(wait, event.clone())).collect();
    ready();
    wait_for_line();
    event.set();
    results.into_iter().for_each(|result| result.get().unwrap());
    wait_for_line();
}

/// Looks until the view is as it should be.
#[track_caller]
fn until(observer: &Observer, what: &str, is_right: impl Fn(&PoolView) -> bool) -> PoolView {
    let since = Instant::now();
    loop {
        let view = observer.look().unwrap();
        if is_right(&view) {
            return view;
        }
        assert!(since.elapsed() < LONG, "{what}: {view:?}");
        std::thread::yield_now();
    }
}

fn all_are(view: &PoolView, state: WorkerState) -> bool {
    view.workers.iter().all(|worker| worker.state == state)
}

fn pid_of(view: &PoolView, rank: usize) -> u32 {
    view.workers[rank].process.as_ref().unwrap().pid
}

#[test]
fn a_launch_is_seen_with_its_progress_and_a_stopped_worker() {
    let mut host = Host::start("kernel");
    let observer = host.observer();
    let is_half_way =
        |view: &PoolView| view.present.is_some_and(|present| (present.done, present.units) == (6, 8));
    let view =
        until(&observer, "six of eight", |view| is_half_way(view) && all_are(view, WorkerState::Kernel));
    assert_eq!((observer.pid(), view.driver.pid, view.launches), (host.pid(), host.pid(), 1));
    assert!(view.program.contains("observe"), "{}", view.program);
    assert_eq!(view.remaining(&view), None, "nothing was done meanwhile");

    let pid = pid_of(&view, 1);
    send(pid, Signal::STOP);
    until(&observer, "stopped", |view| view.workers[1].state == WorkerState::Stopped);
    send(pid, Signal::CONT);
    host.go_on();
    let view =
        until(&observer, "the end", |view| view.present.is_none() && all_are(view, WorkerState::Asleep));
    assert_eq!(view.workers.iter().map(|worker| worker.chunks).sum::<u64>(), 8);
    assert!(view.workers.iter().all(|worker| worker.launches == 1 && worker.deaths == 0));
    assert!(view.workers.iter().all(|worker| worker.process.as_ref().unwrap().own_bytes > 0));
    assert!(view.workers.iter().all(|worker| !worker.process.as_ref().unwrap().cpus.is_empty()));
}

#[test]
fn threads_are_seen_by_their_words() {
    let mut host = Host::start("threads");
    let observer = host.observer();
    let view = until(&observer, "both in a chunk", |view| all_are(view, WorkerState::Kernel));
    assert!(view.workers.iter().all(|worker| worker.process.is_none()));
    host.go_on();
    until(&observer, "the end", |view| all_are(view, WorkerState::Asleep));
}

#[test]
fn tasks_are_counted_where_they_wait_run_and_are_done() {
    let mut host = Host::start("tasks");
    let observer = host.observer();
    let view = until(&observer, "two at work", |view| view.queued == 8 && all_are(view, WorkerState::Task));
    assert!(!view.has_backlog && view.present.is_none());
    host.go_on();
    let tasks = |view: &PoolView| view.workers.iter().map(|worker| worker.tasks).sum::<u64>();
    until(&observer, "ten done", |view| tasks(view) == 10 && view.queued == 0);
}

#[test]
fn a_killed_worker_leaves_its_death_and_a_parked_one_is_seen() {
    let host = Host::start("idle");
    let observer = host.observer();
    let view = until(&observer, "parked", |view| view.workers[2].state == WorkerState::Parked);
    assert_eq!(view.name, "idle pool");
    let pid = pid_of(&view, 0);
    send(pid, Signal::KILL);
    let is_replaced = |view: &PoolView| {
        view.workers[0].deaths == 1 && view.workers[0].process.as_ref().is_some_and(|new| new.pid != pid)
    };
    let view = until(&observer, "a successor", is_replaced);
    let death = view.workers[0].last_death.as_ref().unwrap();
    assert_eq!(death.cause, ExitCause::Signal { number: 9, core_dumped: false });
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    assert!(now.saturating_sub(Duration::from_secs(death.at)) < LONG, "{}", death.at);
    assert_eq!(view.workers[1].deaths, 0);
}

#[test]
fn all_pools_of_this_user_are_found() {
    let host = Host::start("idle");
    assert!(observe::pools().iter().any(|observer| observer.pid() == host.pid()));
}

#[test]
fn an_end_is_told() {
    let mut host = Host::start("idle");
    let (pid, observer) = (host.pid(), host.observer());
    host.0.kill().unwrap();
    host.0.wait().unwrap();
    assert!(matches!(observer.look(), Err(ObserveError::Ended { .. })));
    assert!(matches!(observe::pools_of(pid), Err(ObserveError::NoProcess { .. })));
}

#[test]
fn a_pool_that_has_ended_in_a_program_that_goes_on_is_not_found() {
    let pool = common::processes(1);
    let pid = std::process::id();
    let of_this = |pid| observe::pools_of(pid).unwrap_or_default().len();
    let (observers, before) = (observe::pools_of(pid).unwrap(), of_this(pid));
    assert!(before >= 1);
    drop(pool);
    assert!(observers.iter().any(|observer| matches!(observer.look(), Err(ObserveError::Ended { .. }))));
}

#[test]
fn workers_other_programs_and_other_builds_are_told_apart() {
    let host = Host::start("idle");
    let worker = pid_of(&host.observer().look().unwrap(), 0);
    assert!(matches!(observe::pools_of(worker), Err(ObserveError::NoPool { .. })));

    let mut other = Command::new("sleep").arg("600").spawn().unwrap();
    let found = observe::pools_of(other.id());
    other.kill().unwrap();
    other.wait().unwrap();
    assert!(matches!(found, Err(ObserveError::NoPool { .. })), "{found:?}");

    let host = Host::start("other build");
    let error = observe::pools_of(host.pid()).unwrap_err();
    assert!(matches!(error, ObserveError::OtherBuild { .. }), "{error}");
    assert!(error.to_string().contains("another Phalanx (99.0.0"), "{error}");
}

#[test]
fn programs_of_another_user_are_refused() {
    if !rustix::process::geteuid().is_root() {
        println!("SKIPPED: takes root to have another user");
        return;
    }
    let host = Host::start("idle");
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "look_as_another_user", "--ignored", "--nocapture"]).uid(65534).gid(65534);
    let Ok(output) = command.env("OBSERVE_PID", host.pid().to_string()).output() else {
        println!("SKIPPED: another user cannot run this program");
        return;
    };
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("belongs to user 0") && output.status.success(), "{text}");
}

#[test]
#[ignore = "a program of another user, run by programs_of_another_user_are_refused"]
fn look_as_another_user() {
    let Ok(pid) = std::env::var("OBSERVE_PID") else { return };
    let error = observe::pools_of(pid.parse().unwrap()).unwrap_err();
    assert!(matches!(error, ObserveError::Denied { owner: 0, .. }), "{error}");
    println!("{error}");
}
