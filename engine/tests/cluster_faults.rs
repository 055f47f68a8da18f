//! What ends or stops a driver, a worker, the launcher or the network ends the job within its limit, is named, and
//! leaves nothing: on one machine, and on two that `.ci/hosts` makes.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

mod cluster_plays;
mod common;

use cluster_plays::{
    INTERFACES, PART, Place, Play, ask_nodes, assert_is_over, nodes, processes, text, wheels,
};
use common::{LONG, send, within};
use phalanx::cluster::{self, Cluster};
use phalanx::{Backend, Pool};
use rustix::process::Signal;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Output, Stdio};
use std::time::{Duration, Instant};

type Outcome = Result<(), Box<dyn std::error::Error + Send + Sync>>;

/// The interface of each MPI's own launcher.
const MPIS: [(&str, &str); 2] = [INTERFACES[0], INTERFACES[2]];

/// Names a file that driver 0 makes on its way.
const MARK: &str = "PHALANX_TEST_MARK";

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

/// What happens to the last driver, or to one of its workers.
fn play(part: &str, cluster: &Cluster) -> Outcome {
    if part.ends_with("stop") || part.ends_with("stopped") {
        cluster.limit(Some(Duration::from_secs(1)));
    }
    let pool = cluster.pool_builder().workers(2).backend(Backend::Processes).build()?;
    let is_last = cluster.me() + 1 == cluster.size();
    for round in 0.. {
        if round == 3 {
            // All are under way. Whoever waits for this line may strike now.
            println!("[driver {} is ready]", cluster.me());
        }
        let strikes = is_last && round == 5;
        match part {
            "error" if strikes => return Err("no more paper".into()),
            "panic" if strikes => panic!("out of ink"),
            "kill" if strikes => send(std::process::id(), Signal::KILL),
            "stop" if strikes => stop_self(),
            "disagree" if strikes => drop(cluster.broadcast(0, || 1)?),
            "go on" if round == 500 && cluster.me() == 0 => std::fs::write(std::env::var(MARK)?, "")?,
            "go on" if round == 1_000 => return Ok(()),
            _ => {}
        }
        let what = if strikes { part } else { "" };
        let signal = ["worker killed", "worker stopped"].iter().position(|part| *part == what);
        round_of_all(cluster, &pool, signal.map_or(0, |signal| [9, 19][signal]))?;
    }
    Ok(())
}

/// Every worker of this driver that gets the first index sends itself the signal.
fn round_of_all(cluster: &Cluster, pool: &Pool, signal: i32) -> Outcome {
    let kernel = |(span, signal): (std::ops::Range<usize>, i32)| {
        if let Some(signal) = Signal::from_named_raw(signal) {
            send(std::process::id(), signal);
        }
        span.len() as u64
    };
    let total = cluster.reduce(pool, (cluster.part(100), signal), 0, kernel, |a, b| a + b)?;
    assert_eq!(total, 100);
    Ok(())
}

fn stop_self() {
    send(std::process::id(), Signal::STOP);
    // It takes a moment until all threads have stopped.
    loop {
        std::thread::park();
    }
}

/// What each fault prints.
const FAULTS: [(&str, &[&str]); 7] = [
    ("error", &["driver 1 of 2 on ", "failed: no more paper"]),
    ("panic", &["out of ink", "driver 1 of 2 on ", "panicked, so the job ends"]),
    ("kill", &[]),
    (
        "stop",
        &["driver 0 on ", " for driver 1 on ", "in reduce (engine/tests/cluster_faults.rs:", "the limit"],
    ),
    ("disagree", &["driver 1 of 2 on", "calls broadcast with driver 0 (", "calls reduce ("]),
    ("worker killed", &["driver 1 ", "was killed by SIGKILL"]),
    (
        "worker stopped",
        &["driver 0 on ", " for driver 1 on ", "in reduce (engine/tests/cluster_faults.rs:", "the limit"],
    ),
];

fn faults(wheels: &Path, place: Place, faults: &[(&str, &[&str])]) {
    for interface in MPIS {
        for (part, expected) in faults {
            let output = Play::new(wheels, place, interface, 2, part).run();
            let text = text(&output);
            assert!(!output.status.success(), "{interface:?} {part} succeeded: {text}");
            for expected in *expected {
                assert!(text.contains(expected), "{interface:?} {part}: no {expected:?} in {text}");
            }
        }
    }
}

#[test]
fn faults_of_workers_on_one_machine() {
    let Some(wheels) = wheels() else { return };
    // tests/cluster.rs has the others.
    faults(&wheels, Place::Here, &FAULTS[5..]);
}

#[test]
fn faults_on_two_machines() {
    let (Some(wheels), Some(_)) = (wheels(), nodes()) else { return };
    faults(&wheels, Place::Nodes, &FAULTS);
}

/// A play that is under way.
struct Running {
    child: Child,
    name: String,
    place: Place,
    printed: String,
}

impl Running {
    /// Starts a play, and returns when both drivers are in the middle of it.
    fn start(
        wheels: &Path,
        place: Place,
        interface: (&str, &str),
        part: &str,
        mark: Option<&Path>,
    ) -> Running {
        let Play { name, mut command, .. } = Play::new(wheels, place, interface, 2, part);
        command.env(MARK, mark.unwrap_or(Path::new("")));
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (running, played) = (Running { child, name, place, printed: String::new() }, part.to_owned());
        within(LONG, move || running.until_ready(&played))
    }

    fn until_ready(mut self, part: &str) -> Running {
        let mut lines = BufReader::new(self.child.stdout.take().unwrap());
        while self.printed.matches(" is ready]").count() < 2 {
            let read = lines.read_line(&mut self.printed).unwrap();
            assert!(read > 0, "{part}: not ready: {}", self.printed);
        }
        self.child.stdout = Some(lines.into_inner());
        self
    }

    /// The launcher itself.
    fn launchers(&self) -> Vec<u32> {
        let is_launcher = |pid: &u32| {
            let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
            ["mpiexec.hydra", "mpirun", "prterun"].contains(&name.trim())
        };
        let found: Vec<u32> = processes(&self.name).into_iter().filter(is_launcher).collect();
        assert!(!found.is_empty(), "{} has no launcher", self.name);
        found
    }

    /// Waits for the end, after which nothing is left.
    fn end(mut self) -> Output {
        let output = within(LONG, move || {
            let (mut stdout, mut stderr) =
                (self.child.stdout.take().unwrap(), self.child.stderr.take().unwrap());
            let stderr = std::thread::spawn(move || {
                let mut text = Vec::new();
                stderr.read_to_end(&mut text).map(|_| text)
            });
            let mut text = self.printed.into_bytes();
            stdout.read_to_end(&mut text).unwrap();
            let (status, stderr) = (self.child.wait().unwrap(), stderr.join().unwrap().unwrap());
            (Output { status, stdout: text, stderr }, self.name, self.place)
        });
        let (output, name, place) = output;
        assert_is_over(&name, place);
        output
    }
}

fn launcher_faults(wheels: &Path, place: Place) {
    for interface in MPIS {
        let running = Running::start(wheels, place, interface, "for ever", None);
        running.launchers().into_iter().for_each(|pid| send(pid, Signal::KILL));
        assert!(!running.end().status.success(), "{interface:?}");

        // A launcher that is stopped holds nobody up before the end.
        let folder = tempfile::tempdir().unwrap();
        let mark = folder.path().join("mark");
        let running = Running::start(wheels, place, interface, "go on", Some(&mark));
        let launchers = running.launchers();
        launchers.iter().for_each(|pid| send(*pid, Signal::STOP));
        until(|| mark.exists(), "drivers wait for a launcher that is stopped");
        launchers.iter().for_each(|pid| send(*pid, Signal::CONT));
        let output = running.end();
        assert!(output.status.success(), "{interface:?}: {}", text(&output));
    }
}

#[track_caller]
fn until(mut holds: impl FnMut() -> bool, otherwise: &str) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < LONG, "{otherwise}");
        std::thread::yield_now();
    }
}

#[test]
fn launchers_that_are_killed_or_stopped() {
    let Some(wheels) = wheels() else { return };
    launcher_faults(&wheels, Place::Here);
}

#[test]
fn launchers_on_two_machines() {
    let (Some(wheels), Some(_)) = (wheels(), nodes()) else { return };
    launcher_faults(&wheels, Place::Nodes);
}

/// A network that is unplugged says nothing; only the limit ends the drivers. Open MPI's launcher may stay, which
/// is for the batch system to end.
#[test]
fn a_network_that_is_unplugged() {
    let (Some(wheels), Some(_)) = (wheels(), nodes()) else { return };
    for interface in MPIS {
        let running = Running::start(&wheels, Place::Nodes, interface, "for ever", None);
        ask_nodes(&["link", "node2", "down"]);
        let own = std::env::current_exe().unwrap();
        let is_driver =
            |pid: &u32| std::fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe == own);
        until(|| !processes(&running.name).iter().any(is_driver), "drivers or workers stay");
        ask_nodes(&["link", "node2", "up"]);
        if interface == INTERFACES[2] {
            processes(&running.name).into_iter().for_each(|pid| send(pid, Signal::KILL));
        }
        let output = running.end();
        let text = text(&output);
        assert!(!output.status.success(), "{interface:?}: {text}");
        assert!(
            text.contains("driver 0 on node1 has waited 3 s for driver 1 on node2 in reduce ("),
            "{text}"
        );
    }
}

#[test]
fn another_build_is_named() {
    let Some(wheels) = wheels() else { return };
    let folder = tempfile::tempdir().unwrap();
    let (own, other) = (std::env::current_exe().unwrap(), folder.path().join("other"));
    let mut bytes = std::fs::read(&own).unwrap();
    // The note with the build's id: lengths of name and id, type, name; then the id.
    let note = b"\x04\0\0\0\x14\0\0\0\x03\0\0\0GNU\0";
    let at = bytes.windows(note.len()).position(|window| window == note).unwrap() + note.len();
    bytes[at] ^= 1;
    std::fs::write(&other, bytes).unwrap();
    std::fs::set_permissions(&other, std::fs::metadata(&own).unwrap().permissions()).unwrap();
    for interface in MPIS {
        let mut play = Play::new(&wheels, Place::Here, interface, 1, "for ever");
        play.command.args([":", "-n", "1"]).arg(&other).args(["driver", &play.name]);
        play.command.args(["--exact", "--nocapture", "--test-threads=1"]);
        let output = play.run();
        let text = text(&output);
        assert!(!output.status.success(), "{interface:?}: {text}");
        assert!(
            text.contains("driver 1 on ") && text.contains("runs another build of this program"),
            "{text}"
        );
    }
}
