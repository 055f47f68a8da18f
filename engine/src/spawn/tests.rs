//! Start methods, end to end, against this very test binary, which is executed again like any other program.
//!
//! A worker whose name begins with "puppet" runs [`puppet`] and does what the rest of its name says. Tests
//! that need a host of their own (one thread, SIGCHLD ignored, a violent death) run an ignored test as a
//! program of its own.

use super::handshake::{MARKER, Role};
use super::*;
use crate::sys::{process as sys, socket};
use rustix::event::{PollFd, PollFlags};
use std::io::Read;
use std::os::fd::{AsRawFd, OwnedFd};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

const KILLED: ExitCause = ExitCause::Signal { number: 9, core_dumped: false };

/// Counts the other constructors of this program that have run.
static OTHER_CONSTRUCTORS: AtomicU32 = AtomicU32::new(0);

extern "C" fn other_constructor() {
    OTHER_CONSTRUCTORS.fetch_add(1, Ordering::Relaxed);
}

/// Somewhere before or after ours, as the linker likes.
#[used]
#[allow(unsafe_code)]
// SAFETY: a function without parameters may be called with some; it touches an atomic only.
#[unsafe(link_section = ".init_array")]
static OTHER: extern "C" fn() = other_constructor;

/// A priority puts this one before those without.
#[used]
#[allow(unsafe_code)]
// SAFETY: as above.
#[unsafe(link_section = ".init_array.65534")]
static EARLY: extern "C" fn() = other_constructor;

/// Names the function that a host program with a single thread runs; the test harness always has more
/// threads.
const HOST: &str = "PHALANX_TEST_HOST";

#[used]
#[allow(unsafe_code)]
// SAFETY: as above; before `main` there is one thread, so the environment may be changed.
#[unsafe(link_section = ".init_array")]
static RUN_HOST: extern "C" fn() = run_host;

extern "C" fn run_host() {
    let Ok(host) = std::env::var(HOST) else { return };
    #[allow(unsafe_code)]
    // SAFETY: one thread only.
    unsafe {
        std::env::remove_var(HOST);
    }
    match host.as_str() {
        "forks" => host_forks(),
        "guards" => host_guards(),
        "loses_server" => host_loses_server(),
        "waits" => host_waits(),
        _ => panic!("no such host program: {host}"),
    }
    sys::exit_now(0)
}

fn single_threaded_host(name: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.env(HOST, name);
    command
}

/// Set by `preload` functions, in the fork server.
static PRELOADED: AtomicBool = AtomicBool::new(false);
static OWN_CHILDREN: AtomicBool = AtomicBool::new(false);

pub(super) fn own_children_only() -> bool {
    OWN_CHILDREN.load(Ordering::Relaxed)
}

/// How many more workers the server forks before it dies right after a fork; 0 for never.
static DIE_AFTER: AtomicU32 = AtomicU32::new(0);

fn preload_die_after_second() {
    DIE_AFTER.store(2, Ordering::Relaxed);
}

pub(super) fn server_step_after_fork() {
    if DIE_AFTER.load(Ordering::Relaxed) != 0 && DIE_AFTER.fetch_sub(1, Ordering::Relaxed) == 1 {
        sys::signal_own_thread(libc::SIGKILL);
    }
}

fn preload() {
    PRELOADED.store(true, Ordering::Relaxed);
}

fn preload_own_children() {
    OWN_CHILDREN.store(true, Ordering::Relaxed);
}

/// What a worker does here instead of the team's loop.
pub(super) fn puppet(name: &str, socket: OwnedFd) -> ! {
    let say = |text: String| socket::send(&socket, text.as_bytes(), &[]).unwrap();
    match name.trim_start_matches("puppet ") {
        "exit" => sys::exit_now(23),
        "descriptors" => say(open_descriptors(&socket)),
        "constructors" => say(OTHER_CONSTRUCTORS.load(Ordering::Relaxed).to_string()),
        "preloaded" => say(PRELOADED.load(Ordering::Relaxed).to_string()),
        "environment" => {
            let own = std::env::vars().any(|(key, _)| {
                key == MARKER || ["HWLOC_", "PMI_", "OMPI_"].iter().any(|own| key.starts_with(own))
            });
            let output = Command::new("env").stdin(Stdio::inherit()).output().unwrap();
            let env = String::from_utf8_lossy(&output.stdout).into_owned();
            say(format!("{own} {} {}", env.contains(MARKER), is_worker()));
        }
        "threads" => {
            // A wrong cached thread id shows here and in the mutex of the C library.
            let sum = (0..4).map(|n| std::thread::spawn(move || n)).map(|t| t.join().unwrap()).sum::<i32>();
            say(format!("{sum} {}", sys::cached_tid_address().is_some()));
        }
        "recursive" => {
            say(matches!(Starter::new(StartMethod::Spawn, None), Err(StartError::Recursive)).to_string())
        }
        "overflow" => {
            last_words::set_chunk(7, 100, 200);
            say(deep(1).to_string());
        }
        "segfault" => sys::signal_own_thread(libc::SIGSEGV),
        "busy" => loop {
            std::hint::spin_loop();
        },
        "signals" => say(std::fs::read_to_string("/proc/self/status").unwrap()),
        _ => answer_pings(&socket),
    }
    let _driver_gone = socket::recv(&socket, &mut [0; 1]);
    sys::exit_now(0)
}

#[allow(unconditional_recursion)]
fn deep(n: u64) -> u64 {
    let ballast = std::hint::black_box([n; 64]);
    deep(n + 1) + ballast[(n % 64) as usize]
}

fn open_descriptors(socket: &OwnedFd) -> String {
    let entries: Vec<_> = std::fs::read_dir("/proc/self/fd").unwrap().map(|e| e.unwrap().path()).collect();
    let mut open: Vec<i32> = entries
        .iter()
        .filter(|path| std::fs::read_link(path).is_ok_and(|to| !to.starts_with("/proc")))
        .map(|path| path.file_name().unwrap().to_str().unwrap().parse().unwrap())
        .filter(|&number| number != socket.as_raw_fd())
        .collect();
    open.sort_unstable();
    format!("{open:?} stdin={}", std::fs::read_link("/proc/self/fd/0").unwrap().display())
}

/// Until the driver is gone.
fn answer_pings(socket: &OwnedFd) -> ! {
    let mut buffer = [0; 16];
    while let Ok(packet) = socket::recv(socket, &mut buffer) {
        if &buffer[..packet.len] != b"ping" || socket::send(socket, b"pong", &[]).is_err() {
            break;
        }
    }
    sys::exit_now(0)
}

impl Starter {
    /// Starts so many processes, and waits for what comes of each.
    fn start_all(&mut self, names: &[&str]) -> Vec<Result<WorkerProcess, StartError>> {
        for (tag, name) in names.iter().enumerate() {
            self.wish(Wish { tag: tag as u64, name: name.to_string() });
        }
        let mut outcomes: Vec<_> = names.iter().map(|_| None).collect();
        loop {
            for (tag, outcome) in self.advance() {
                outcomes[tag as usize] = Some(outcome);
            }
            if outcomes.iter().all(Option::is_some) {
                return outcomes.into_iter().flatten().collect();
            }
            self.wait();
        }
    }

    fn wait(&self) {
        let sources = self.sources();
        let mut fds: Vec<_> = sources.iter().map(|source| PollFd::new(source, PollFlags::IN)).collect();
        let limit = self.due().map(socket::left_until);
        rustix::event::poll(&mut fds, limit.as_ref()).unwrap();
    }

    /// Starts a process and waits until it has answered.
    fn start(&mut self, name: &str) -> Result<WorkerProcess, StartError> {
        self.start_all(&[name]).pop().unwrap()
    }
}

fn ask(starter: &mut Starter, name: &str) -> String {
    let worker = starter.start(name).unwrap();
    let mut buffer = [0; 8192];
    let packet = socket::recv(&worker.socket, &mut buffer).unwrap();
    let answer = String::from_utf8_lossy(&buffer[..packet.len]).into_owned();
    worker.kill();
    worker.reap();
    answer
}

fn ping(worker: &WorkerProcess) {
    socket::send(&worker.socket, b"ping", &[]).unwrap();
    let mut buffer = [0; 16];
    let packet = socket::recv(&worker.socket, &mut buffer).unwrap();
    assert_eq!(&buffer[..packet.len], b"pong");
}

/// Every promise that does not depend on the method.
fn conforms(starter: &mut Starter) {
    for worker in starter.start_all(&["puppet 0", "puppet 1", "puppet 2"]) {
        let worker = worker.unwrap();
        ping(&worker);
        assert_eq!(worker.try_reap(), None);
        worker.kill();
        assert_eq!(worker.reap(), KILLED);
        assert_eq!(worker.try_reap(), Some(KILLED), "may be asked again");
    }
    assert_eq!(starter.start("puppet exit").unwrap().reap(), ExitCause::Exit(23));
    let died = starter.start("puppet segfault").unwrap().reap();
    assert!(matches!(died, ExitCause::Signal { number: libc::SIGSEGV, .. }), "{died}");
    let constructors = OTHER_CONSTRUCTORS.load(Ordering::Relaxed);
    assert_eq!(ask(starter, "puppet constructors"), constructors.to_string());
    assert_eq!(ask(starter, "puppet recursive"), "true");
    assert_eq!(ask(starter, "puppet environment"), "false false true");
    let glibc = cfg!(target_env = "gnu");
    assert_eq!(ask(starter, "puppet threads"), format!("6 {glibc}"));
    let listening = starter.start("puppet").unwrap();
    let pidfd = listening.pidfd.try_clone().unwrap();
    drop(listening);
    assert!(socket::wait_readable(&pidfd, None).unwrap(), "end of file ends a worker");
    assert_eq!(sys::try_wait(&pidfd, false).ok().filter(|w| *w == sys::Wait::Running), None);
}

#[test]
fn all_constructors_of_this_program_ran() {
    assert_eq!(OTHER_CONSTRUCTORS.load(Ordering::Relaxed), 2);
    assert!(constructor::is_linked());
}

#[test]
fn spawn_conforms() {
    conforms(&mut Starter::new(StartMethod::Spawn, None).unwrap());
}

#[test]
fn fork_server_conforms() {
    conforms(&mut Starter::new(StartMethod::ForkServer, None).unwrap());
}

#[test]
fn fork_server_conforms_where_siblings_are_refused() {
    conforms(&mut Starter::new(StartMethod::ForkServer, Some(preload_own_children)).unwrap());
}

#[test]
fn preload_runs_once_in_the_server_and_nowhere_else() {
    let mut starter = Starter::new(StartMethod::ForkServer, Some(preload)).unwrap();
    assert_eq!(ask(&mut starter, "puppet preloaded"), "true");
    assert!(!PRELOADED.load(Ordering::Relaxed));
}

fn preload_exits() {
    std::process::exit(3);
}

fn preload_starts_a_thread() {
    std::thread::spawn(std::thread::park);
}

#[test]
fn a_process_that_ends_while_it_starts_is_reported_with_its_cause() {
    let mut starter = Starter::new(StartMethod::ForkServer, Some(preload_exits)).unwrap();
    let error = starter.start("puppet").unwrap_err();
    assert!(matches!(error, StartError::DiedAtStart { cause: ExitCause::Exit(3) }), "{error}");
}

#[test]
fn a_server_with_threads_does_not_fork() {
    let mut starter = Starter::new(StartMethod::ForkServer, Some(preload_starts_a_thread)).unwrap();
    let error = starter.start("puppet").unwrap_err();
    assert!(matches!(error, StartError::ServerHasThreads), "{error}");
}

#[test]
fn a_killed_fork_server_is_replaced() {
    let mut starter = Starter::new(StartMethod::ForkServer, None).unwrap();
    let before = starter.start("puppet").unwrap();
    starter.kill_server_for_test();
    if cfg!(target_env = "gnu") {
        ping(&before); // Its sibling's death does not touch it; elsewhere workers are children of the server.
    }
    ping(&starter.start("puppet").unwrap());
}

#[test]
fn a_server_that_dies_after_a_fork_leaves_no_child() {
    let output = single_threaded_host("loses_server").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn host_loses_server() {
    let mut starter = Starter::new(StartMethod::ForkServer, Some(preload_die_after_second)).unwrap();
    for _ in 0..4 {
        let worker = starter.start("puppet").unwrap();
        ping(&worker);
        worker.kill();
        worker.reap();
    }
    drop(starter);
    let children = rustix::process::wait(rustix::process::WaitOptions::NOHANG);
    assert_eq!(children.unwrap_err(), rustix::io::Errno::CHILD, "a child is left");
}

#[test]
fn workers_hold_no_descriptor_of_the_host() {
    // A pipe that a careless library left open through exec.
    let (leaked, _other) = std::io::pipe().unwrap();
    rustix::io::fcntl_setfd(&leaked, rustix::io::FdFlags::empty()).unwrap();
    for method in [StartMethod::Spawn, StartMethod::ForkServer] {
        let mut starter = Starter::new(method, None).unwrap();
        assert_eq!(ask(&mut starter, "puppet descriptors"), "[0, 1, 2] stdin=/dev/null", "{method:?}");
    }
}

#[test]
fn workers_swallow_ctrl_c_and_ignore_sigpipe() {
    let mut starter = Starter::new(StartMethod::Spawn, None).unwrap();
    let status = ask(&mut starter, "puppet signals");
    let mask = |field: &str| {
        let line = status.lines().find(|line| line.starts_with(field)).unwrap();
        u64::from_str_radix(line.split_whitespace().nth(1).unwrap(), 16).unwrap()
    };
    let bit = |number: i32| 1u64 << (number - 1);
    assert_eq!(mask("SigBlk"), 0);
    // What the program itself was started with (SIGQUIT in the background of a shell) is inherited.
    assert_eq!(mask("SigIgn") & bit(libc::SIGPIPE), bit(libc::SIGPIPE));
    assert_eq!(mask("SigCgt") & bit(libc::SIGINT), bit(libc::SIGINT));
    assert!(status.starts_with("Name:\tphalanx"), "{status}");
}

#[test]
fn ctrl_c_leaves_a_worker_working() {
    let worker = Starter::new(StartMethod::Spawn, None).unwrap().start("puppet").unwrap();
    worker.signal(libc::SIGINT);
    ping(&worker);
    worker.kill();
    worker.reap();
}

#[test]
fn causes_read_as_sentences() {
    assert_eq!(KILLED.to_string(), "killed by SIGKILL (signal 9)");
    assert_eq!(ExitCause::Exit(3).to_string(), "exited with status 3");
    let dumped = ExitCause::Signal { number: 40, core_dumped: true };
    assert_eq!(dumped.to_string(), "killed by signal 40, core dumped");
}

/// Runs an ignored test of this file as a program of its own, in its main thread.
fn host(test: &str) -> Command {
    host_at(std::env::current_exe().unwrap().as_os_str(), test)
}

fn host_at(program: &std::ffi::OsStr, test: &str) -> Command {
    let mut command = Command::new(program);
    let name = format!("spawn::tests::{test}");
    command.args(["--exact", &name, "--ignored", "--test-threads=1", "--nocapture"]);
    command
}

fn succeeds(test: &str) {
    let output = host(test).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"));
}

#[test]
fn fork_works_in_a_process_with_one_thread() {
    let output = single_threaded_host("forks").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn host_forks() {
    PRELOADED.store(true, Ordering::Relaxed);
    let mut starter = Starter::new(StartMethod::Fork, None).unwrap();
    conforms(&mut starter);
    assert_eq!(ask(&mut starter, "puppet preloaded"), "true", "memory of the caller is inherited");
    // Threads made later do no harm: the workers come from the copy.
    std::thread::scope(|scope| drop(scope.spawn(|| ask(&mut starter, "puppet threads"))));
}

#[test]
fn fork_is_refused_in_a_process_with_threads() {
    let (stay, wait) = std::sync::mpsc::channel::<()>();
    let other = std::thread::spawn(move || wait.recv());
    let error = Starter::new(StartMethod::Fork, None).unwrap_err();
    assert!(matches!(error, StartError::ForkNeedsOneThread { threads: 2.. }), "{error}");
    drop(stay);
    other.join().unwrap().unwrap_err();
}

#[test]
fn a_host_that_ignores_sigchld_is_served() {
    succeeds("host_ignores_sigchld");
}

#[test]
#[ignore = "a host program, run by a_host_that_ignores_sigchld_is_served"]
fn host_ignores_sigchld() {
    sys::ignore_signal(libc::SIGCHLD);
    for method in [StartMethod::Spawn, StartMethod::ForkServer] {
        let mut starter = Starter::new(method, None).unwrap();
        let worker = starter.start("puppet").unwrap();
        ping(&worker);
        worker.kill();
        // Linux 6.15 and later still tell; before, nobody can.
        assert!(matches!(worker.reap(), KILLED | ExitCause::Unknown));
    }
}

#[test]
fn a_stack_overflow_says_which_worker_and_chunk() {
    let output = host("host_overflows").output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    assert!(errors.contains("phalanx: worker 7 overflowed its stack in chunk 100..200\n"), "{errors}");
}

#[test]
#[ignore = "a host program, run by a_stack_overflow_says_which_worker_and_chunk"]
fn host_overflows() {
    for method in [StartMethod::Spawn, StartMethod::ForkServer] {
        let died = Starter::new(method, None).unwrap().start("puppet overflow").unwrap().reap();
        assert!(matches!(died, ExitCause::Signal { number: libc::SIGSEGV, .. }), "{died}");
    }
}

#[test]
fn a_killed_driver_takes_its_busy_workers_along() {
    let output = single_threaded_host("guards").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Adopts what a killed driver leaves behind, and sees each of it die.
#[allow(clippy::zombie_processes, reason = "the loop below waits for every child, this one too")]
fn host_guards() {
    rustix::process::set_child_subreaper(rustix::process::Pid::from_raw(1)).unwrap();
    let mut driver = single_threaded_host("waits").stdout(Stdio::piped()).spawn().unwrap();
    driver.stdout.take().unwrap().read_exact(&mut [0; 7]).unwrap();
    driver.kill().unwrap();
    let mut killed = 0;
    while let Ok(Some((_, status))) = rustix::process::wait(rustix::process::WaitOptions::empty()) {
        // A fork server may see the end of its socket first, and leaves then.
        let ended = (status.terminating_signal(), status.exit_status());
        assert!(matches!(ended, (Some(libc::SIGKILL), _) | (_, Some(0))), "{ended:?}");
        killed += 1;
    }
    // The driver, three fork servers, four workers; then the kernel says that there is no child left.
    assert_eq!(killed, 8);
}

fn host_waits() {
    let mut starters = [
        Starter::new(StartMethod::Fork, None).unwrap(),
        Starter::new(StartMethod::ForkServer, None).unwrap(),
        Starter::new(StartMethod::ForkServer, Some(preload_own_children)).unwrap(),
        Starter::new(StartMethod::Spawn, None).unwrap(),
    ];
    let _workers = starters.each_mut().map(|starter| starter.start("puppet busy").unwrap());
    print!("started");
    std::io::Write::flush(&mut std::io::stdout()).unwrap();
    loop {
        std::thread::park();
    }
}

#[test]
fn a_program_replaced_while_it_runs_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let copy = dir.path().join("program");
    std::fs::copy(std::env::current_exe().unwrap(), &copy).unwrap();
    let output = loop {
        // A process that another test starts at this moment may still hold the copy open for writing.
        match host_at(copy.as_os_str(), "host_replaces_itself").output() {
            Err(error) if error.kind() == std::io::ErrorKind::ExecutableFileBusy => std::thread::yield_now(),
            output => break output.unwrap(),
        }
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
#[ignore = "a host program, run by a_program_replaced_while_it_runs_goes_on"]
fn host_replaces_itself() {
    let own = std::env::current_exe().unwrap();
    assert!(own.starts_with(std::env::temp_dir()), "only ever a copy");
    let mut early = Starter::new(StartMethod::Spawn, None).unwrap();
    let other = own.with_extension("other");
    std::fs::write(&other, "another build").unwrap();
    std::fs::rename(&other, &own).unwrap();
    ping(&early.start("puppet").unwrap());
    ping(&Starter::new(StartMethod::Spawn, None).unwrap().start("puppet").unwrap());
    std::fs::remove_file(&own).unwrap();
    ping(&early.start("puppet").unwrap());
}

#[test]
fn another_build_is_refused() {
    let mut starter = Starter::new(StartMethod::Spawn, None).unwrap();
    starter.executable.fingerprint = bytemuck::Zeroable::zeroed();
    let error = starter.start("puppet").unwrap_err();
    assert!(matches!(error, StartError::BuildMismatch), "{error}");
}

#[test]
fn a_marker_that_is_not_ours_makes_no_worker() {
    // Neither a foreign value nor the right one without a socket: the program runs as it would have.
    for value in ["1".to_owned(), Role::Worker.marker()] {
        let mut command = Command::new(std::env::current_exe().unwrap());
        let output = command.arg("--list").env(MARKER, value).stdin(Stdio::null()).output().unwrap();
        assert!(String::from_utf8_lossy(&output.stdout).contains("a_marker_that_is_not_ours"));
    }
}

/// Not a check: prints how long starts take, for docs/decisions/start-method.md.
#[test]
#[ignore = "a measurement: run alone, in release, with --nocapture"]
fn measure_start_times() {
    for method in [StartMethod::Spawn, StartMethod::ForkServer] {
        let begun = Instant::now();
        let mut starter = Starter::new(method, None).unwrap();
        let made = begun.elapsed();
        let mut single: Vec<Duration> = (0..200).map(|_| timed_start(&mut starter, 1)).collect();
        let mut eight: Vec<Duration> = (0..50).map(|_| timed_start(&mut starter, 8)).collect();
        single.sort_unstable();
        eight.sort_unstable();
        println!(
            "{method:?}: starter {made:?}, 1 worker {:?}, 8 workers {:?} (medians)",
            single[100], eight[25]
        );
    }
}

fn timed_start(starter: &mut Starter, count: usize) -> Duration {
    let begun = Instant::now();
    let workers = starter.start_all(&vec!["worker 0"; count]);
    let took = begun.elapsed();
    for worker in workers {
        let worker = worker.unwrap();
        worker.kill();
        worker.reap();
    }
    took
}
