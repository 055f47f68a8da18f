//! ForkUnion: the caller is one of the threads. Its idle threads spin for as long as the team exists.

use super::pin::{Unpin, pin};
use crate::harness::Outcome;
use fork_union::ThreadPool;
use phalanx::topology::CpuSet;

/// A team whose threads, the caller among them, are pinned like our workers until the guard is dropped.
pub fn team(places: &[CpuSet]) -> Outcome<(ThreadPool, Unpin)> {
    let before = Unpin::later()?;
    let mut team = start(places.len())?;
    team.for_threads(|index, _| pin(&places[index])).join();
    Ok((team, before))
}

/// A team of `threads`, the caller among them, that has run once.
pub fn start(threads: usize) -> Outcome<ThreadPool> {
    let mut team = ThreadPool::try_spawn(threads).map_err(|error| format!("ForkUnion: {error:?}"))?;
    team.for_threads(|_, _| {}).join();
    Ok(team)
}
