//! What a worker finds of its program's command line.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use phalanx::{Pool, Process, StartMethod};

fn arguments(_: ()) -> Vec<String> {
    std::env::args().collect()
}

#[test]
fn workers_and_processes_have_the_programs_arguments() {
    let own = arguments(());
    assert!(own[0].contains("arguments"), "{own:?}");
    for method in [StartMethod::Spawn, StartMethod::ForkServer] {
        let pool = Pool::builder().workers(1).start_method(method).build().unwrap();
        assert_eq!(pool.apply(arguments, ()).unwrap(), own, "{method:?}");
        let process = Process::builder().start_method(method).spawn(arguments, ()).unwrap();
        assert_eq!(process.join().unwrap(), own, "{method:?}");
    }
}

#[test]
fn what_ps_shows_names_the_worker_as_well() {
    let pool = Pool::builder().workers(1).start_method(StartMethod::Spawn).build().unwrap();
    let line = std::fs::read_to_string(format!("/proc/{}/cmdline", pool.worker_pids()[0])).unwrap();
    assert!(line.contains(" [phalanx worker 0]\0"), "{line:?}");
}

#[test]
fn arguments_reach_a_worker_as_they_were_given() {
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "host_with_arguments", "--ignored", "--nocapture", "--", "an argument"]);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
#[ignore = "a host program, run by arguments_reach_a_worker_as_they_were_given"]
fn host_with_arguments() {
    let pool = Pool::builder().workers(1).start_method(StartMethod::Spawn).build().unwrap();
    let seen = pool.apply(arguments, ()).unwrap();
    assert_eq!(seen, arguments(()));
    assert_eq!(seen.last().unwrap(), "an argument");
}
