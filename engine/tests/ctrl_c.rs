//! Ctrl-C as a program asks for it: the first lets calls wind down, the second ends the program.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
#![allow(unsafe_code, reason = "signal actions of the child")]

mod common;

use common::within;
use phalanx::sync::Counter;
use phalanx::{Backend, CancelToken, LaunchError, Pool, TaskError};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

const VARIABLE: &str = "CTRL_C";
const LONG: Duration = Duration::from_secs(120);

fn pool(backend: Backend) -> Pool {
    Pool::builder().workers(2).backend(backend).build().unwrap()
}

// ------------------------------------------------------------------------------------------- the child

/// What the child does is in the variable.
#[test]
fn child() {
    let Ok(what) = std::env::var(VARIABLE) else { return };
    // Whoever runs the tests may have it ignored.
    let first = if what == "ignored" { libc::SIG_IGN } else { libc::SIG_DFL };
    // SAFETY: a default action.
    unsafe { libc::signal(libc::SIGINT, first) };
    match what.as_str() {
        "tasks of processes" => tasks(Backend::Processes),
        "tasks of threads" => tasks(Backend::Threads),
        "tasks inline" => tasks(Backend::Inline),
        "launch of processes" => launch(Backend::Processes),
        "launch of threads" => launch(Backend::Threads),
        "stuck" => stuck(),
        "own handler" => own_handler(),
        "dropped" => dropped(),
        "ignored" => ignored(),
        "forked" => forked(),
        other => panic!("{other}?"),
    }
}

fn ready(pool: Option<&Pool>) {
    let pids = pool.filter(|pool| !pool.worker_pids().contains(&std::process::id()));
    println!("\nready {:?}", pids.map(Pool::worker_pids).unwrap_or_default());
}

fn until(what: impl Fn() -> bool) {
    let limit = Instant::now() + LONG;
    while !what() {
        assert!(Instant::now() < limit, "it never comes");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn tasks(backend: Backend) {
    let stop = CancelToken::on_ctrl_c().unwrap();
    let pool = pool(backend);
    let (begun, ended) = (Counter::new(0).unwrap(), Counter::new(0).unwrap());
    let slow = |(n, begun, ended): (u64, Counter, Counter)| {
        begun.add(1);
        std::thread::sleep(Duration::from_millis(40));
        ended.add(1);
        n * n
    };
    ready(Some(&pool));
    let items = (0..2000u64).map(|n| (n, begun.clone(), ended.clone()));
    let outcomes = pool.tasks().cancel(&stop).chunksize(3).try_map(slow, items).unwrap();
    assert!(stop.is_cancelled());
    assert_eq!(outcomes.len(), 2000);
    let mut done = 0;
    for (n, outcome) in outcomes.iter().enumerate() {
        match outcome {
            Ok(square) => {
                assert_eq!(*square, (n * n) as u64);
                done += 1;
            }
            Err(TaskError::Cancelled { item }) => assert_eq!(*item, n),
            Err(error) => panic!("{error}"),
        }
    }
    // What had begun was finished, and delivered.
    assert_eq!((begun.get(), ended.get()), (done, done));
    assert!(done < 2000);
    // Nothing begins in later calls with the token, and others go on.
    let later = pool.tasks().cancel(&stop).map(|n: u64| n, 0..10);
    assert!(matches!(later, Err(TaskError::Cancelled { .. })), "{later:?}");
    assert_eq!(pool.map(|n: u64| n + 1, 0..3).unwrap(), [1, 2, 3]);
    println!("saved {done}");
}

fn launch(backend: Backend) {
    let stop = CancelToken::on_ctrl_c().unwrap();
    let pool = pool(backend);
    let (begun, ended) = (Counter::new(0).unwrap(), Counter::new(0).unwrap());
    ready(Some(&pool));
    let launch = pool.launch().cancel(&stop).chunk(1);
    let outcome = launch.for_each((0..2000, &begun, &ended), |(_, begun, ended)| {
        begun.add(1);
        // Longer than the grace period, after which workers would be killed.
        std::thread::sleep(Duration::from_millis(200));
        ended.add(1);
    });
    assert!(
        matches!(&outcome, Err(LaunchError::Cancelled { killed, .. }) if killed.is_empty()),
        "{outcome:?}"
    );
    assert!(begun.get() == ended.get() && ended.get() < 2000);
    // A time limit holds all the same.
    let never = pool.launch().cancel(&stop).for_each(0..10, |_| ());
    assert!(matches!(never, Err(LaunchError::Cancelled { .. })));
    println!("saved {}", ended.get());
}

fn stuck() {
    let stop = CancelToken::on_ctrl_c().unwrap();
    let (pool, begun) = (pool(Backend::Processes), Counter::new(0).unwrap());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // A launch that has not begun when the key is pressed never does.
            until(|| begun.get() > 0);
            ready(Some(&pool));
            until(|| stop.is_cancelled());
            println!("winding down");
        });
        let never = pool.launch().cancel(&stop).for_each((0..2, &begun), |(_, begun)| {
            begun.add(1);
            loop {
                std::hint::spin_loop();
            }
        });
        panic!("{never:?}");
    });
}

static CALLS: AtomicU32 = AtomicU32::new(0);

fn own_handler() {
    extern "C" fn count(_number: i32) {
        CALLS.fetch_add(1, Ordering::SeqCst);
    }
    let handler: extern "C" fn(i32) = count;
    // SAFETY: the handler counts and does nothing else.
    unsafe { libc::signal(libc::SIGINT, handler as libc::sighandler_t) };
    let stop = CancelToken::on_ctrl_c().unwrap();
    ready(None);
    until(|| stop.is_cancelled());
    assert_eq!(CALLS.load(Ordering::SeqCst), 0);
    ready(None);
    until(|| CALLS.load(Ordering::SeqCst) == 1);
    ready(None);
    until(|| CALLS.load(Ordering::SeqCst) == 2);
    drop(stop);
    // A new token is a new beginning, and puts the same handler back.
    let stop = CancelToken::on_ctrl_c().unwrap();
    assert!(!stop.is_cancelled());
    ready(None);
    until(|| stop.is_cancelled());
    drop(stop);
    ready(None);
    until(|| CALLS.load(Ordering::SeqCst) == 3);
    println!("saved");
}

fn dropped() {
    for _ in 0..100 {
        let stop = CancelToken::on_ctrl_c().unwrap();
        let again = CancelToken::on_ctrl_c().unwrap();
        again.cancel();
        assert!(stop.is_cancelled(), "they are the same");
    }
    assert!(!CancelToken::on_ctrl_c().unwrap().is_cancelled());
    // No thread is left that waits.
    let waiting = || {
        let threads = std::fs::read_dir("/proc/self/task").unwrap();
        let names =
            threads.filter_map(|thread| std::fs::read_to_string(thread.ok()?.path().join("comm")).ok());
        names.filter(|name| name.contains("ctrl-c")).count()
    };
    until(|| waiting() == 0);
    ready(None);
    std::thread::sleep(LONG);
}

fn ignored() {
    let stop = CancelToken::on_ctrl_c().unwrap();
    // SAFETY: a plain number.
    unsafe { libc::raise(libc::SIGINT) };
    std::thread::sleep(Duration::from_millis(50));
    assert!(!stop.is_cancelled());
    println!("saved");
}

fn forked() {
    let stop = CancelToken::on_ctrl_c().unwrap();
    // SAFETY: the fork makes no other call than to wait for its end.
    let fork = unsafe { libc::fork() };
    if fork == 0 {
        // SAFETY: takes nothing.
        unsafe { libc::raise(libc::SIGINT) };
        // SAFETY: a plain number. Not reached.
        unsafe { libc::_exit(0) };
    }
    let mut status = 0;
    // SAFETY: a local that outlives the call.
    assert_eq!(unsafe { libc::waitpid(fork, &raw mut status, 0) }, fork);
    assert!(libc::WIFSIGNALED(status) && libc::WTERMSIG(status) == libc::SIGINT, "{status:x}");
    assert!(!stop.is_cancelled());
    println!("saved");
}

// ------------------------------------------------------------------------------------------- the parent

struct Program {
    child: Child,
    output: BufReader<ChildStdout>,
    pids: String,
}

impl Program {
    fn start(what: &str) -> Program {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "child", "--nocapture", "--test-threads=1"]).env(VARIABLE, what);
        let mut child = command.process_group(0).stdout(Stdio::piped()).spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Program { child, output, pids: String::new() }
    }

    /// Reads on until a line that begins like this.
    fn read_until(&mut self, start: &str) -> String {
        loop {
            let mut line = String::new();
            assert!(self.output.read_line(&mut line).unwrap() > 0, "no {start:?} came");
            if let Some(rest) = line.strip_prefix(start) {
                return rest.trim().to_owned();
            }
        }
    }

    fn await_ready(&mut self) {
        self.pids = self.read_until("ready ");
    }

    fn press(&self, in_group: bool) {
        let pid = Pid::from_child(&self.child);
        let sent =
            if in_group { kill_process_group(pid, Signal::INT) } else { kill_process(pid, Signal::INT) };
        sent.unwrap();
    }

    /// Its end, the rest of what it said, and that nothing is left.
    fn end(mut self) -> (ExitStatus, String) {
        let mut rest = String::new();
        // Ends when the last worker has.
        self.output.read_to_string(&mut rest).unwrap();
        let status = self.child.wait().unwrap();
        let workers = self.pids.trim_matches(['[', ']']).split(", ").filter(|pid| !pid.is_empty());
        for pid in workers {
            let is_gone = || common::state_of(pid.parse().unwrap()).is_none_or(|state| state == 'Z');
            until(is_gone);
        }
        let own = self.child.id().to_string();
        let shm = std::fs::read_dir("/dev/shm").unwrap().flatten();
        let left: Vec<_> = shm.filter(|entry| entry.file_name().to_string_lossy().contains(&own)).collect();
        assert!(left.is_empty(), "{left:?}");
        (status, rest)
    }
}

#[test]
fn the_first_ctrl_c_lets_what_runs_finish_and_nothing_begin() {
    let all = [
        "tasks of processes",
        "tasks of threads",
        "tasks inline",
        "launch of processes",
        "launch of threads",
    ];
    for what in all {
        for in_group in [false, true] {
            let (status, rest) = within(LONG, move || {
                let mut program = Program::start(what);
                program.await_ready();
                std::thread::sleep(Duration::from_millis(300));
                program.press(in_group);
                program.end()
            });
            assert!(status.success() && rest.contains("saved"), "{what}: {status}, {rest}");
            let done: u64 =
                rest.split("saved ").nth(1).unwrap().split_whitespace().next().unwrap().parse().unwrap();
            assert!(done > 0, "{what}: {rest}");
        }
    }
}

#[test]
fn the_second_ctrl_c_ends_program_and_workers() {
    for in_group in [false, true] {
        let (status, rest) = within(LONG, move || {
            let mut program = Program::start("stuck");
            program.await_ready();
            program.press(in_group);
            program.read_until("winding down");
            std::thread::sleep(Duration::from_millis(200));
            assert!(program.child.try_wait().unwrap().is_none(), "one is not its end");
            program.press(in_group);
            program.end()
        });
        assert_eq!(status.signal(), Some(libc::SIGINT), "{status}, {rest}");
    }
}

#[test]
fn a_handler_of_the_programs_own_is_put_back() {
    let (status, rest) = within(LONG, || {
        let mut program = Program::start("own handler");
        for _ in 0..5 {
            program.await_ready();
            program.press(false);
        }
        program.end()
    });
    assert!(status.success() && rest.contains("saved"), "{status}, {rest}");
}

#[test]
fn without_its_token_ctrl_c_is_what_it_was() {
    let (status, rest) = within(LONG, || {
        let mut program = Program::start("dropped");
        program.await_ready();
        program.press(false);
        program.end()
    });
    assert_eq!(status.signal(), Some(libc::SIGINT), "{status}, {rest}");
    for what in ["ignored", "forked"] {
        let (status, rest) = within(LONG, || Program::start(what).end());
        assert!(status.success() && rest.contains("saved"), "{what}: {status}, {rest}");
    }
}

#[test]
fn workers_do_not_decide_what_ctrl_c_means() {
    let pool = pool(Backend::Processes);
    let refused = pool.apply(|()| CancelToken::on_ctrl_c().err().map(|error| error.to_string()), ()).unwrap();
    assert!(refused.unwrap().contains("for the main process"));
}

#[test]
fn regions_wind_down_wherever_their_ranks_are() {
    for backend in [Backend::Processes, Backend::Threads] {
        let outcome = within(LONG, move || {
            let (stop, pool) = (CancelToken::on_ctrl_c().unwrap(), pool(backend));
            let begun = Counter::new(0).unwrap();
            let canceller = std::thread::spawn({
                let (stop, begun) = (stop.clone(), begun.clone());
                move || {
                    until(|| begun.get() == 2);
                    stop.cancel();
                }
            });
            // One leaves when it sees the cancellation, the others wait for it at a step.
            let outcome = pool.launch().cancel(&stop).region(&begun, |team, begun| {
                begun.add(1);
                if team.rank() == 0 {
                    while !phalanx::is_cancelled() {
                        std::thread::sleep(Duration::from_millis(1));
                    }
                    return Ok(());
                }
                loop {
                    team.barrier()?;
                }
            });
            canceller.join().unwrap();
            let fresh = pool.map(|n: u64| n, 0..3).unwrap();
            (outcome, fresh)
        });
        assert!(matches!(outcome.0, Err(LaunchError::Cancelled { .. })), "{outcome:?}");
        assert_eq!(outcome.1, [0, 1, 2]);
    }
}
