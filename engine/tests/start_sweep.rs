//! The kill sweep of starts: a worker, or the server that forks workers, is killed before and after each
//! system call of its start. The pool replaces it, whichever way workers start, and nothing hangs.
//!
//! The program is two: one that makes a pool, kills its worker and goes on, and one that traces the other,
//! counts its processes as they are made, and kills one of them at one step. The first has a `main` without
//! threads, for `Fork`.
//!
//! # Safety
//! Plain `ptrace` and `waitpid` calls on the processes of the traced program, by the only thread there is.
#![allow(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use phalanx::{Pool, StartMethod, TaskError};
use rustix::process::{Pid, Signal, kill_process};
use std::collections::HashMap;
use std::os::unix::process::CommandExt;
use std::process::Command;

const ROLE: &str = "START_SWEEP";
/// Processes whose start is swept: with a server, it, the first worker and its successor.
const PROCESSES: usize = 3;
/// Steps of each at which it is killed, spread over all.
const POINTS: usize = if cfg!(debug_assertions) { 10 } else { 1000 };

fn main() {
    match std::env::var(ROLE) {
        Ok(method) => program(match method.as_str() {
            "spawn" => StartMethod::Spawn,
            "fork" => StartMethod::Fork,
            _ => StartMethod::ForkServer,
        }),
        Err(_) => {
            for method in ["spawn", "forkserver", "fork"] {
                sweep(method);
            }
        }
    }
}

/// Status of the program where the pool said that it cannot go on without the server that was killed.
const REFUSED: i32 = 9;

/// What is traced: a pool whose worker is killed while it is idle.
fn program(method: StartMethod) {
    let made = Pool::builder().workers(1).start_method(method).build();
    // A server that is a copy of the program as it was cannot be made again.
    let pool = made.unwrap_or_else(|error| match method {
        StartMethod::Fork => {
            println!("{error}");
            std::process::exit(REFUSED)
        }
        _ => panic!("{error}"),
    });
    serves(&pool);
    let pid = pool.worker_pids()[0];
    let _gone = Pid::from_raw(pid as i32).map(|pid| kill_process(pid, Signal::KILL));
    serves(&pool);
    pool.broadcast(0..1, |_, _| ()).unwrap();
}

/// That the pool runs tasks. A worker that was killed with one in its hands loses it.
fn serves(pool: &Pool) {
    for _ in 0..5 {
        match pool.apply(|n: u64| n + 1, 1) {
            Ok(sum) => return assert_eq!(sum, 2),
            Err(TaskError::WorkerDied { .. }) => {}
            Err(TaskError::PoolBroken { reason }) if reason.contains("cannot be made again") => {
                println!("{reason}");
                std::process::exit(REFUSED)
            }
            Err(error) => panic!("{error}"),
        }
    }
    panic!("its workers die one after another");
}

fn sweep(method: &str) {
    let Some((_, steps)) = trace(method, None) else {
        println!("SKIPPED: kill sweep of starts: ptrace is refused");
        return;
    };
    for process in 1..=PROCESSES.min(steps.len()) {
        let all = steps[process - 1];
        let points = all.min(POINTS);
        for point in 0..points {
            let step = all * point / points;
            let (status, _) = trace(method, Some((process, step))).unwrap();
            let is_refused = method == "fork" && process == 1 && libc::WEXITSTATUS(status) == REFUSED;
            assert!(
                status == 0 || is_refused,
                "{method}: process {process} was killed at step {step} of {all}: status {status:#x}"
            );
        }
        println!("{method}: process {process} was killed at {points} of {all} steps of its start");
    }
}

/// Runs the program, and kills one of its processes at one of its steps. Its status, and the steps that each
/// process has made; `None` where tracing is refused.
fn trace(method: &str, victim: Option<(usize, usize)>) -> Option<(i32, Vec<usize>)> {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.env(ROLE, method);
    // SAFETY: one system call between fork and exec.
    unsafe {
        command.pre_exec(|| match libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0) {
            0 => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        });
    }
    let root = command.spawn().ok()?.id() as i32;
    let mut tracer = Tracer { root, victim, numbers: HashMap::new(), steps: Vec::new() };
    Some((tracer.run(), tracer.steps))
}

struct Tracer {
    root: i32,
    victim: Option<(usize, usize)>,
    /// Number of each traced process in the order in which they were made, from 1; 0 for threads.
    numbers: HashMap<i32, usize>,
    steps: Vec<usize>,
}

impl Tracer {
    fn run(&mut self) -> i32 {
        loop {
            let mut status = 0;
            // SAFETY: the status outlives the call.
            let pid = unsafe { libc::waitpid(-1, &mut status, libc::__WALL) };
            assert!(pid > 0, "{}", std::io::Error::last_os_error());
            if libc::WIFSTOPPED(status) {
                self.stopped(pid, status);
            } else if pid == self.root {
                return status;
            }
        }
    }

    fn stopped(&mut self, pid: i32, status: i32) {
        let signal = libc::WSTOPSIG(status);
        let is_new = !self.numbers.contains_key(&pid);
        if is_new {
            self.begin(pid);
        }
        let number = self.numbers[&pid];
        let is_step = signal == libc::SIGTRAP | 0x80;
        if is_step && number > 0 {
            self.steps[number - 1] += 1;
        }
        if let Some((process, step)) = self.victim
            && number == process
            && self.steps[number - 1] == step
        {
            self.victim = None;
            // SAFETY: a process of the traced program, not reaped yet.
            unsafe { libc::kill(pid, libc::SIGKILL) };
            return;
        }
        // A new one begins with a stop, and calls and events are no signals of the program's.
        let passed = if is_new || is_step || status >> 16 != 0 { 0 } else { signal };
        let how = if number > 0 { libc::PTRACE_SYSCALL } else { libc::PTRACE_CONT };
        // SAFETY: it is stopped, or was killed meanwhile, which is an error.
        let _gone = unsafe { libc::ptrace(how, pid, 0, passed) };
    }

    /// Notes a process or thread that is seen for the first time.
    fn begin(&mut self, pid: i32) {
        let number = if pid == self.root {
            let options = libc::PTRACE_O_TRACECLONE
                | libc::PTRACE_O_TRACEFORK
                | libc::PTRACE_O_TRACEVFORK
                | libc::PTRACE_O_TRACEEXEC
                | libc::PTRACE_O_TRACESYSGOOD
                | libc::PTRACE_O_EXITKILL;
            // SAFETY: it is stopped, at the end of its exec. Those that it makes inherit the options.
            let rc = unsafe { libc::ptrace(libc::PTRACE_SETOPTIONS, pid, 0, options) };
            assert_eq!(rc, 0, "{}", std::io::Error::last_os_error());
            0
        } else if is_process(pid) {
            self.steps.push(0);
            self.steps.len()
        } else {
            0
        };
        self.numbers.insert(pid, number);
    }
}

/// Whether it is a process, and not a thread of one.
fn is_process(pid: i32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let group = status.lines().find_map(|line| line.strip_prefix("Tgid:"));
    group.is_some_and(|group| group.trim() == pid.to_string())
}
