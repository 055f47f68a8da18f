//! Teams of threads of other runtimes, all with the same few calls.

use crate::harness::Outcome;
use crate::peers::pin::{Unpin, pin};
use crate::peers::{forkunion, rayon as rayon_peer};
use fork_union::Prong;
use phalanx::topology::CpuSet;
use rayon::iter::{IndexedParallelIterator, IntoParallelIterator, ParallelIterator};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

/// One team, pinned to the cores of the others.
pub enum Team {
    /// A pool of rayon; the caller waits.
    Rayon(rayon::ThreadPool),
    /// ForkUnion; the caller is a member.
    ForkUnion {
        /// The team.
        team: fork_union::ThreadPool,
        /// Gives the caller its mask back.
        _unpin: Unpin,
    },
    /// Threads of the standard library, started anew for each piece of work and joined after it.
    Threads(Vec<CpuSet>),
    /// The caller alone.
    Serial,
}

impl Team {
    /// A team of rayon.
    pub fn rayon(places: &[CpuSet]) -> Outcome<Team> {
        Ok(Team::Rayon(rayon_peer::team(places)?))
    }

    /// A team of ForkUnion.
    pub fn forkunion(places: &[CpuSet]) -> Outcome<Team> {
        let (team, unpin) = forkunion::team(places)?;
        Ok(Team::ForkUnion { team, _unpin: unpin })
    }

    /// How many take part.
    pub fn members(&self) -> usize {
        match self {
            Team::Rayon(pool) => pool.current_num_threads(),
            Team::ForkUnion { team, .. } => team.threads(),
            Team::Threads(places) => places.len(),
            Team::Serial => 1,
        }
    }

    /// Calls `body` once on every member, with its number.
    pub fn everywhere(&mut self, body: impl Fn(usize) + Sync) {
        match self {
            Team::Rayon(pool) => drop(pool.broadcast(|context| body(context.index()))),
            Team::ForkUnion { team, .. } => team.for_threads(|thread, _| body(thread)).join(),
            Team::Threads(places) => std::thread::scope(|scope| {
                for (rank, place) in places.iter().enumerate() {
                    let body = &body;
                    scope.spawn(move || {
                        pin(place);
                        body(rank);
                    });
                }
            }),
            Team::Serial => body(0),
        }
    }

    /// Calls `body` once with each part: as the runtime likes to divide them; members that are done early
    /// take more.
    pub fn each<P: Send>(&mut self, parts: Vec<P>, body: impl Fn(P) + Send + Sync) {
        match self {
            Team::Rayon(pool) => pool.install(|| parts.into_par_iter().with_max_len(1).for_each(body)),
            Team::ForkUnion { team, .. } => {
                let parts = Parts::of(parts);
                let one = |prong: Prong| {
                    parts.take(prong.task_index, &body);
                };
                if parts.0.len() > team.threads() {
                    drop(team.for_n_dynamic(parts.0.len(), one));
                } else {
                    drop(team.for_n(parts.0.len(), one));
                }
            }
            Team::Threads(_) => {
                let (parts, next) = (Parts::of(parts), AtomicUsize::new(0));
                // Relaxed: only the count matters, the parts lie under locks.
                self.everywhere(|_| while parts.take(next.fetch_add(1, Relaxed), &body) {});
            }
            Team::Serial => parts.into_iter().for_each(body),
        }
    }
}

/// Parts that any thread can take, each once. Nobody ever waits for such a lock.
struct Parts<P>(Vec<Mutex<Option<P>>>);

impl<P> Parts<P> {
    fn of(parts: Vec<P>) -> Parts<P> {
        Parts(parts.into_iter().map(|part| Mutex::new(Some(part))).collect())
    }

    /// Calls `body` with a part; false where there is none of this number.
    fn take(&self, at: usize, body: &impl Fn(P)) -> bool {
        let Some(slot) = self.0.get(at) else { return false };
        let part = slot.lock().unwrap_or_else(PoisonError::into_inner).take();
        part.into_iter().for_each(body);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use phalanx::topology::bound_cpuset;
    use std::sync::atomic::AtomicU64;

    #[test]
    fn every_team_takes_every_part_once_and_asks_every_member() {
        let all = bound_cpuset().unwrap();
        let places = vec![all.clone(), all];
        let teams = [
            Team::rayon(&places).unwrap(),
            Team::forkunion(&places).unwrap(),
            Team::Threads(places.clone()),
            Team::Serial,
        ];
        for mut team in teams {
            let members = team.members();
            for count in [0, 1, members, 37] {
                let mut values = vec![0_u64; count];
                let parts: Vec<(usize, &mut u64)> = values.iter_mut().enumerate().collect();
                team.each(parts, |(at, value)| *value += at as u64 + 1);
                assert!(values.iter().enumerate().all(|(at, value)| *value == at as u64 + 1), "{values:?}");
            }
            let seen = AtomicU64::new(0);
            team.everywhere(|rank| {
                seen.fetch_add(1 << (8 * rank), Relaxed);
            });
            assert_eq!(seen.into_inner(), (0..members).map(|rank| 1 << (8 * rank)).sum::<u64>());
        }
    }
}
