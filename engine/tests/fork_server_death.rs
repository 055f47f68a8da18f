//! The fork server dies. Alone in its program, because it looks for the server among all children.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

mod common;

use common::{LONG, assert_right, send, within};
use phalanx::Pool;
use rustix::process::Signal;

/// The children of this process that are named so by `ps`.
fn children_named(word: &str) -> Vec<u32> {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let lists =
        tasks.map(|task| std::fs::read_to_string(task.unwrap().path().join("children")).unwrap_or_default());
    let pids: Vec<u32> =
        lists.flat_map(|list| list.split(' ').map(|pid| pid.parse()).collect::<Vec<_>>()).flatten().collect();
    let name = |pid: &u32| std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    pids.into_iter().filter(|pid| name(pid).contains(word)).collect()
}

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
