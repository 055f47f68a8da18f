//! Start methods, end to end, against this very test binary.

use super::*;
use crate::sys::socket;
use std::os::fd::OwnedFd;

/// What a worker does here instead of the team's loop, on the word of the test.
pub(super) fn puppet(_socket: OwnedFd) -> ! {
    crate::sys::process::exit_now(0)
}

fn ping(worker: &WorkerProcess) {
    socket::send(&worker.socket, b"ping", &[]).unwrap();
    let mut buffer = [0; 16];
    let packet = socket::recv(&worker.socket, &mut buffer).unwrap();
    assert_eq!(&buffer[..packet.len], b"pong");
}

#[test]
fn a_spawned_worker_answers() {
    let mut starter = Starter::new(StartMethod::Spawn, None).unwrap();
    let worker = starter.start("worker 0").unwrap();
    ping(&worker);
    worker.kill();
    assert_eq!(worker.reap(), ExitCause::Signal { number: 9, core_dumped: false });
}

#[test]
fn a_fork_server_worker_answers() {
    let mut starter = Starter::new(StartMethod::ForkServer, None).unwrap();
    let worker = starter.start("worker 0").unwrap();
    ping(&worker);
    worker.kill();
    assert_eq!(worker.reap(), ExitCause::Signal { number: 9, core_dumped: false });
}
