//! Cores that pools keep for themselves, between real programs, one of which is killed.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use phalanx::topology::{CpuSet, Limits, Machine, bound_cpuset};
use phalanx::{Pool, StartMethod};
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};

/// A folder for the locks of one test, removed at the end.
struct Runtime(PathBuf);

impl Runtime {
    fn new(name: &str) -> Runtime {
        let path = std::env::temp_dir().join(format!("phalanx-reservation-{name}-{}", std::process::id()));
        std::fs::create_dir(&path).unwrap();
        Runtime(path)
    }

    fn host(&self, workers: &str, method: &str) -> Host {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "host", "--ignored", "--nocapture", "--test-threads=1"]);
        command.env("XDG_RUNTIME_DIR", &self.0).env("RESERVATION_HOST", format!("{workers} {method}"));
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        let mut told = |what| told(&mut lines, what);
        let (reason, cpus) = (told("REASON "), told("CPUS "));
        let workers = told("WORKERS ").split_whitespace().map(|pid| pid.parse().unwrap()).collect();
        Host { child, lines, reason, cpus: cpus.parse().unwrap(), workers }
    }
}

/// The rest of the next line in which a program says `what`.
fn told(lines: &mut BufReader<ChildStdout>, what: &str) -> String {
    loop {
        let mut line = String::new();
        assert_ne!(lines.read_line(&mut line).unwrap(), 0, "the program ended before it told {what}");
        if let Some((_, told)) = line.trim_end().split_once(what) {
            return told.to_owned();
        }
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        let _gone = std::fs::remove_dir_all(&self.0);
    }
}

/// A program with a pool that reserves its cores.
struct Host {
    child: Child,
    lines: BufReader<ChildStdout>,
    reason: String,
    /// What its workers are bound to, all together.
    cpus: CpuSet,
    workers: Vec<u32>,
}

impl Host {
    /// Ends the pool; the program lives on.
    fn end_pool(&mut self) {
        self.child.stdin.as_mut().unwrap().write_all(b"end\n").unwrap();
        told(&mut self.lines, "ENDED");
    }

    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _gone = self.child.wait();
    }
}

#[test]
#[ignore = "a host program, run by the other tests"]
fn host() {
    let Ok(wish) = std::env::var("RESERVATION_HOST") else { return };
    let (workers, method) = wish.split_once(' ').unwrap();
    let mut builder = Pool::builder().reserve(true).start_method(match method {
        "fork-server" => StartMethod::ForkServer,
        _ => StartMethod::Spawn,
    });
    if let Ok(workers) = workers.parse() {
        builder = builder.workers(workers);
    }
    let pool = builder.build().unwrap();
    let places = std::sync::Mutex::new(CpuSet::new());
    for pid in pool.worker_pids() {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let cpus: CpuSet = status
            .lines()
            .find_map(|line| line.strip_prefix("Cpus_allowed_list:"))
            .unwrap()
            .trim()
            .parse()
            .unwrap();
        let mut all = places.lock().unwrap();
        *all = all.union(&cpus);
    }
    println!("REASON {}", pool.reason());
    println!("CPUS {}", places.into_inner().unwrap());
    println!("WORKERS {}", pool.worker_pids().iter().map(|pid| format!("{pid} ")).collect::<String>());
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
    pool.join();
    println!("ENDED");
    std::io::stdin().read_line(&mut line).unwrap();
}

/// The places of a pool of this program, if there are at least two.
fn cores() -> Option<usize> {
    let (machine, allowed) = (Machine::detect().unwrap(), bound_cpuset().unwrap());
    let cores = machine.cores().iter().filter(|core| core.cpuset.intersects(&allowed)).count();
    let is_capped = Limits::detect().quota_cpus.is_some_and(|quota| quota < cores as f64);
    let enough = cores >= 2 && !is_capped;
    if !enough {
        println!("SKIPPED: takes two cores without a quota");
    }
    enough.then_some(cores)
}

#[test]
fn programs_take_the_cores_that_others_have_left_and_a_killed_one_has_none() {
    let Some(cores) = cores() else { return };
    let runtime = Runtime::new("kill");
    let mut first = runtime.host("1", "spawn");
    assert!(first.reason.ends_with("; reserved for this pool"), "{}", first.reason);
    let rest = runtime.host("all", "spawn");
    assert_eq!(rest.workers.len(), cores - 1, "{}", rest.reason);
    assert!(!rest.cpus.intersects(&first.cpus), "{} and {}", rest.cpus, first.cpus);
    assert!(
        rest.reason.contains("which other pools have reserved; reserved for this pool"),
        "{}",
        rest.reason
    );

    let sharing = runtime.host("1", "spawn");
    assert!(sharing.reason.contains("shared with pools that have reserved"), "{}", sharing.reason);
    assert!(sharing.reason.ends_with("; no core is left to reserve"), "{}", sharing.reason);

    first.kill();
    // Its workers may take a moment more, and the lock is not theirs.
    let successor = runtime.host("1", "spawn");
    assert_eq!(successor.cpus, first.cpus, "{}", successor.reason);
    assert!(successor.reason.ends_with("; reserved for this pool"), "{}", successor.reason);
}

#[test]
fn a_pool_that_has_ended_holds_no_core() {
    let Some(_) = cores() else { return };
    let runtime = Runtime::new("end");
    let mut first = runtime.host("1", "spawn");
    first.end_pool();
    assert_eq!(runtime.host("1", "spawn").cpus, first.cpus);
}

#[test]
fn no_worker_has_the_descriptor() {
    let runtime = Runtime::new("inherited");
    for method in ["spawn", "fork-server"] {
        let host = runtime.host("1", method);
        let has = |pid: u32| {
            let open = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
            let files = open.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
            files.filter(|file| file.ends_with("phalanx-cores")).count()
        };
        assert_eq!(has(host.child.id()), 1, "{method}");
        assert!(host.workers.iter().all(|pid| has(*pid) == 0), "{method}");
    }
}

#[test]
fn without_a_file_the_pool_says_why_and_works() {
    let runtime = Runtime::new("hostile");
    std::os::unix::fs::symlink("/etc/passwd", runtime.0.join("phalanx-cores")).unwrap();
    let host = runtime.host("1", "spawn");
    assert!(host.reason.contains("; no core could be reserved: "), "{}", host.reason);
    assert!(host.reason.contains("symbolic link"), "{}", host.reason);
}
