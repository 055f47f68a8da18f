//! The fork server dies. Alone in its program, because it looks for the server among all children.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

mod common;

use common::{LONG, assert_right, children_named, send, within};
use phalanx::Pool;
use rustix::process::Signal;

#[test]
fn the_fork_server_may_be_killed() {
    within(LONG, || {
        let build =
            || Pool::builder().workers(2).start_method(phalanx::StartMethod::ForkServer).build().unwrap();
        let pool = build();
        let before = pool.worker_pids();
        let servers = children_named("phalanx server");
        assert_eq!(servers.len(), 1);
        servers.iter().for_each(|pid| send(*pid, Signal::KILL));
        assert_right(&pool);
        assert_eq!(pool.worker_pids(), before, "workers do not depend on it");
        send(before[0], Signal::KILL);
        while pool.stats().respawns == 0 {
            std::thread::yield_now();
        }
        assert_right(&pool);
        assert_eq!(pool.worker_pids()[1], before[1]);
    });
}
