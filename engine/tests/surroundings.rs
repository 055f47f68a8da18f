//! Pools where the surroundings are narrow: denied system calls, one CPU, few processes, a terminal's
//! signals.
//!
//! What is set for a whole process is set in a child: this program runs itself again with one test and a
//! variable that says which surroundings that test is to make.
//!
//! # Safety
//! The filter is installed in a child that does nothing else, from memory that outlives the call.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
#![allow(unsafe_code)]

mod common;

use common::{LONG, assert_right, processes, send, state_of, within};
use phalanx::{LaunchError, Pool};
use rustix::process::Signal;
use std::io::Read;
use std::process::{Command, Stdio};
use std::time::Duration;

const VARIABLE: &str = "SURROUNDINGS";

/// This program again, for one test, with `what` in the variable.
fn again(test: &str, what: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture", "--test-threads=1"]).env(VARIABLE, what);
    command
}

#[track_caller]
fn run(mut command: Command) -> String {
    let output = command.output().unwrap();
    let text =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && text.contains("test result: ok. 1 passed"), "{text}");
    text
}

/// Makes the calling thread, and what it starts, meet `errno` at these system calls.
fn deny(calls: &[i64], errno: i32) {
    let statement =
        |code: u32, jt: usize, jf: u8, k: u32| libc::sock_filter { code: code as u16, jt: jt as u8, jf, k };
    let mut program = vec![statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0)];
    for (index, call) in calls.iter().enumerate() {
        let to_denial = calls.len() - index;
        program.push(statement(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, to_denial, 0, *call as u32));
    }
    program.push(statement(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW));
    program.push(statement(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ERRNO | errno as u32));
    let filter = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    // SAFETY: plain numbers.
    assert_eq!(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) }, 0);
    // SAFETY: a program of the given length, read during the call.
    let rc = unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const filter) };
    assert_eq!(rc, 0, "{}", std::io::Error::last_os_error());
}

/// What Docker's default profile denies without capabilities, as far as it concerns an engine (moby,
/// profiles/seccomp/default.json).
const DOCKER: [i64; 9] = [
    libc::SYS_mbind,
    libc::SYS_set_mempolicy,
    libc::SYS_get_mempolicy,
    libc::SYS_move_pages,
    libc::SYS_pidfd_getfd,
    libc::SYS_kcmp,
    libc::SYS_process_madvise,
    libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup,
];

fn endless() {
    loop {
        std::hint::spin_loop();
    }
}

/// Not a test of its own: what the tests below run in a child.
#[test]
fn child() {
    let Ok(what) = std::env::var(VARIABLE) else { return };
    match what.as_str() {
        "docker" => docker(),
        "no clone3" => no_clone3(),
        "no affinity" => no_affinity(),
        "no pidfd" => no_pidfd(),
        "no pidfd signals" => no_pidfd_signals(),
        "no memfd" => no_memfd(),
        "few files" => few_files(),
        "ignored children" => ignored_children(),
        "wait forever" => wait_forever(),
        other => panic!("{other}?"),
    }
}

fn docker() {
    deny(&DOCKER, libc::EPERM);
    assert_right(&processes(2));
}

fn no_clone3() {
    deny(&[libc::SYS_clone3], libc::ENOSYS);
    assert_right(&processes(2));
}

fn no_affinity() {
    deny(&[libc::SYS_sched_setaffinity], libc::EPERM);
    let pool = processes(2);
    assert_right(&pool);
    let refused: Vec<_> = pool.stats().workers.into_iter().flat_map(|worker| worker.refused).collect();
    println!("refused: {refused:?}");
    assert!(!refused.is_empty() || pool.reason().contains("not bound") || pool.reason().contains("unbound"));
}

fn no_pidfd() {
    deny(&[libc::SYS_pidfd_open], libc::ENOSYS);
    let error = Pool::builder().workers(2).build().unwrap_err().to_string();
    assert!(error.contains("pidfd"), "{error}");
    assert_right(&Pool::builder().workers(2).backend(phalanx::Backend::Threads).build().unwrap());
}

fn no_pidfd_signals() {
    deny(&[libc::SYS_pidfd_send_signal], libc::EPERM);
    let pool = processes(2);
    let outcome = pool.launch().timeout(Duration::from_millis(20)).for_each(0..2, |_| endless());
    assert!(matches!(outcome, Err(LaunchError::TimedOut { .. })), "{outcome:?}");
    assert_right(&pool);
    let never = pool.apply_async(|()| endless(), ());
    pool.terminate();
    assert!(never.get().is_err());
    let process = phalanx::Process::spawn(|()| endless(), ()).unwrap();
    process.kill();
    assert!(process.join().is_err());
}

fn no_memfd() {
    deny(&[libc::SYS_memfd_create], libc::EPERM);
    let error = Pool::builder().workers(2).build().unwrap_err().to_string();
    assert!(error.contains("memfd"), "{error}");
}

fn few_files() {
    // SAFETY: a limit of this process, from a plain struct.
    let rc = unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &libc::rlimit { rlim_cur: 14, rlim_max: 14 }) };
    assert_eq!(rc, 0);
    let error = Pool::builder().workers(8).build().unwrap_err().to_string();
    assert!(error.contains("open files") || error.contains("limit"), "{error}");
    let children = std::fs::read_to_string("/proc/thread-self/children").unwrap();
    assert_eq!(children.trim(), "", "started workers are left");
}

fn ignored_children() {
    // SAFETY: no handler, a plain disposition.
    unsafe { libc::signal(libc::SIGCHLD, libc::SIG_IGN) };
    let pool = processes(2);
    let outcome = pool.launch().chunk(1).for_each(0..4, |i| {
        if i.start == 1 {
            std::process::abort()
        }
    });
    assert!(matches!(outcome, Err(LaunchError::WorkerDied { .. })), "{outcome:?}");
    assert_right(&pool);
}

fn wait_forever() {
    // Whatever started the tests (nohup, a shell's background) may ignore some of them.
    for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
        // SAFETY: the default action is no handler that could run.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    let pool = processes(2);
    println!("pids {:?}", pool.worker_pids());
    let _never = pool.launch().chunk(1).for_each(0..1, |_| {
        loop {
            std::hint::spin_loop();
        }
    });
}

#[test]
fn f1_dockers_default_filter() {
    run(again("child", "docker"));
    run(again("child", "no clone3"));
}

#[test]
fn f2_stricter_filters_degrade_or_say_why() {
    run(again("child", "no affinity"));
    run(again("child", "no pidfd"));
    run(again("child", "no memfd"));
}

#[test]
fn f2_without_signals_through_pidfds_everything_ends_as_ever() {
    within(LONG, || run(again("child", "no pidfd signals")));
}

#[test]
fn a_variable_that_looks_like_a_workers_is_nobodys() {
    for value in ["1", "", "0.0.1-dead-worker", "0.1.0-dead-server"] {
        let mut command = again("child", "docker");
        command.env("PHALANX_WORKER", value).stdin(Stdio::null());
        run(command);
    }
}

#[test]
fn f3_too_few_descriptors_are_named_and_nothing_is_left() {
    run(again("child", "few files"));
}

#[test]
fn d9_a_host_that_ignores_its_children() {
    run(again("child", "ignored children"));
}

#[test]
fn f5_one_cpu() {
    let mut command = Command::new("taskset");
    let inner = again("child", "docker");
    command.args(["-c", "0"]).arg(inner.get_program()).args(inner.get_args()).env(VARIABLE, "docker");
    if Command::new("taskset").arg("-V").output().is_err() {
        return println!("SKIPPED: no taskset on this machine");
    }
    run(command);
}

/// Reads until the child has told its workers' pids.
fn pids(output: &mut impl Read) -> Vec<u32> {
    let (mut text, mut byte) = (String::new(), [0]);
    while !(text.contains("pids [") && text.trim_end().ends_with(']')) {
        assert_eq!(output.read(&mut byte).unwrap(), 1, "ended early: {text}");
        text.push(byte[0] as char);
    }
    let list = text.rsplit_once('[').unwrap().1.trim_end().trim_end_matches(']');
    list.split(", ").map(|pid| pid.parse().unwrap()).collect()
}

#[test]
fn g3_a_stopped_and_continued_group_goes_on() {
    within(LONG, || {
        let pool = std::sync::Arc::new(processes(2));
        let pids = pool.worker_pids();
        // As Ctrl-Z and fg do to all workers; the driver, which is this test, keeps watching. SIGTSTP itself
        // does nothing in a process group without a shell.
        let stopper = std::thread::spawn(move || {
            for _ in 0..5 {
                pids.iter().for_each(|pid| send(*pid, Signal::STOP));
                while pids.iter().any(|pid| state_of(*pid) != Some('T')) {
                    std::thread::yield_now();
                }
                pids.iter().for_each(|pid| send(*pid, Signal::CONT));
            }
        });
        while !stopper.is_finished() {
            assert_right(&pool);
        }
        stopper.join().unwrap();
        assert_eq!(pool.stats().respawns, 0);
    });
}

/// In a terminal: starts the child there, waits for its pids, presses a key, tells what came after it.
const PRESS: &str = r#"
import os, pty, sys, signal, time
key, program, *arguments = sys.argv[1:]
child, terminal = pty.fork()
if child == 0:
    # A shell's background jobs are started with it ignored.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.execv(program, [program] + arguments)
seen = b""
while b"pids [" not in seen or b"]" not in seen.split(b"pids [")[1]:
    seen += os.read(terminal, 1)
workers = [int(pid) for pid in seen.split(b"pids [")[1].split(b"]")[0].split(b",")]
os.write(terminal, key.encode())
after = b""
try:
    while True:
        part = os.read(terminal, 100)
        if not part: break
        after += part
except OSError:
    pass
status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
deadline = time.monotonic() + 30
left = lambda: [pid for pid in workers if os.path.exists(f"/proc/{pid}")]
while left() and time.monotonic() < deadline:
    time.sleep(0.001)
print("status", status, "left", left(), "output", repr(after.replace(b"\r\n", b"").replace(b"^C", b"")))
"#;

#[test]
fn g1_ctrl_c_in_a_terminal_ends_the_driver_and_its_workers_follow_in_silence() {
    let inner = again("child", "wait forever");
    let mut python = Command::new("python3");
    python.args(["-c", PRESS, "\u{3}"]).arg(inner.get_program()).args(inner.get_args());
    let Ok(output) = python.env(VARIABLE, "wait forever").output() else {
        return println!("SKIPPED: no python3 on this machine");
    };
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        text.contains("status -2 left [] output b''"),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn g4_a_driver_that_is_told_to_terminate_takes_its_workers_along() {
    for signal in [Signal::TERM, Signal::HUP] {
        let mut driver = again("child", "wait forever").stdout(Stdio::piped()).spawn().unwrap();
        let mut output = driver.stdout.take().unwrap();
        pids(&mut output);
        send(driver.id(), signal);
        driver.wait().unwrap();
        // The pipe ends when the last worker has.
        within(LONG, move || output.read_to_end(&mut Vec::new()).unwrap());
    }
}

#[test]
fn f3_f9_what_only_root_can_make() {
    println!("SKIPPED: pids cgroups and unmounted file systems need root and would touch the machine");
}

#[test]
fn a_zero_time_limit_is_a_limit() {
    within(LONG, || {
        let pool = processes(2);
        let outcome = pool.launch().timeout(Duration::ZERO).chunk(1).for_each(0..4, |_| {
            loop {
                std::hint::spin_loop();
            }
        });
        assert!(matches!(outcome, Err(LaunchError::TimedOut { .. })), "{outcome:?}");
        // One beyond what clocks can tell is none.
        pool.launch().timeout(Duration::MAX).grace(Duration::MAX).for_each(0..4, |_| ()).unwrap();
        assert_right(&pool);
    });
}
