//! What becomes of a member that has ended: its remains are put right, its place is freed, and what its end
//! says against its rank is kept.

use crate::base::MemberId;
use crate::base::atomic::Ordering;
use crate::handle::kept;
use crate::spawn::log::{Note, Speaker};
use crate::spawn::{ExitCause, StartError};
use crate::sync::repair::repair;
use crate::team::crew::Crew;
use crate::team::exit_function::ExitError;
use crate::team::plate::LastDeath;
use crate::team::record::Reached;
use crate::team::roster::{DeathRecord, MemberStage, Roster};
use crate::team::succession;
use parking_lot::MutexGuard;
use std::time::Duration;

/// Frees the place of a worker that has left in good order.
fn see_off(crew: &Crew, roster: &mut MutexGuard<'_, Roster>, rank: usize) {
    let is_wanted = rank < roster.active && !roster.dissolving;
    let dissolving = roster.dissolving;
    let slot = &mut roster.slots[rank];
    slot.lose_states(dissolving);
    slot.vacate();
    repair(MemberId(slot.member));
    crew.board().fork_join(&crew.orders).forget(rank);
    roster.retirements += u64::from(is_wanted);
    succession::want(roster, rank, Duration::ZERO);
    roster.refresh();
    crew.changed.notify_all();
}

/// Records a death, if there was one, and repairs what it left.
pub(crate) fn reap_dead(crew: &Crew, rank: usize) {
    let roster = crew.roster.lock();
    let Some(process) = &roster.slots[rank].process else { return };
    let Some(cause) = process.try_reap() else { return };
    let pid = process.pid;
    settle(crew, roster, rank, pid, cause);
    // What was kept for it may be the last handle of a large array: not under the roster's lock.
    kept::sweep_all();
}

fn settle(crew: &Crew, mut roster: MutexGuard<'_, Roster>, rank: usize, pid: u32, cause: ExitCause) {
    let slot = &mut roster.slots[rank];
    slot.is_retiring = false;
    crew.board().status(rank).leave.clear();
    if slot.stage == MemberStage::Leaving && cause == ExitCause::Exit(0) {
        settle_exit(crew, &mut roster, rank, pid, cause, false);
        return see_off(crew, &mut roster, rank);
    }
    let dissolving = roster.dissolving;
    if let Some(trace) = crew.trace.as_ref().filter(|_| !dissolving) {
        trace.note_death(rank, pid, cause);
    }
    let death_record = record(crew, &mut roster, rank, pid, cause);
    crew.death_observer().inspect(|death_observer| death_observer.died(&death_record));
    crew.changed.notify_all();
    drop(roster);
    if !dissolving {
        // The subscriber is the program's own code: not under our lock.
        crew.relay.pass(Note::Death { speaker: Speaker::Worker(rank as u32), pid, cause });
    }
}

/// Notes what became of the pool's exit function in a worker that has ended.
pub(crate) fn settle_exit(
    crew: &Crew,
    roster: &mut MutexGuard<'_, Roster>,
    rank: usize,
    pid: u32,
    cause: ExitCause,
    oom: bool,
) {
    let Some(exits) = &crew.exits else { return };
    let slot = &mut roster.slots[rank];
    if crew.has_joined(rank, slot) {
        let progress = std::mem::take(&mut slot.exit);
        exits.settle(rank, progress, ExitError::Died { rank, pid, cause, oom });
    }
}

/// Puts right what a dead member left, and sees to its succession.
fn record(
    crew: &Crew,
    roster: &mut MutexGuard<'_, Roster>,
    rank: usize,
    pid: u32,
    cause: ExitCause,
) -> DeathRecord {
    let board = crew.board();
    let (status, fork_join) = (board.status(rank), board.fork_join(&crew.orders));
    // Who waits for it is helped by a successor, as long as nothing was begun.
    let waits_on = roster.broken.is_none() && !roster.dissolving && roster.abandoned < roster.epoch;
    let has_entered = status.entered.load(Ordering::Relaxed) == roster.epoch;
    // One whose attendance was overwritten would never find the launch.
    let may_come = fork_join.awaits(rank) && !fork_join.astray(roster.epoch).contains(rank);
    let is_awaited = waits_on && !has_entered && may_come;
    let in_launch = !is_awaited && fork_join.unfinished().contains(rank);
    let dissolving = roster.dissolving;
    let slot = &mut roster.slots[rank];
    let member = slot.member;
    let reached = match slot.stage {
        _ if in_launch || status.served() != slot.served_at_start => Reached::Service,
        MemberStage::Ready | MemberStage::Leaving => Reached::Ready,
        _ => Reached::Start,
    };
    // Before the death is counted: a launch that hears of it hears of what went with it.
    slot.lose_states(dissolving);
    let oom = crew.oom.has_killed_since_last_asked();
    settle_exit(crew, roster, rank, pid, cause, oom);
    let slot = &mut roster.slots[rank];
    slot.vacate();
    slot.deaths = slot.deaths.saturating_add(1);
    slot.last_death = Some(LastDeath::now(cause));
    let is_dismissed = std::mem::take(&mut slot.is_dismissed);
    // Acquire: pairs with the Release in `LaunchContext::chunks`.
    let unit = status.current.swap(0, Ordering::AcqRel);
    crew.deaths.fetch_add(1, Ordering::Release);
    let death_record = DeathRecord { rank, member, pid, cause, oom, in_launch, unit: unit.checked_sub(1) };
    roster.death_records.push(death_record.clone());
    roster.refresh();
    repair(MemberId(member));
    fork_join.forget(rank);
    if is_awaited {
        roster.slots[rank].owed = Some(death_record.clone());
    } else {
        strike(crew, rank);
    }
    if is_dismissed {
        succession::want(roster, rank, Duration::ZERO);
    } else {
        see_to_succession(crew, roster, rank, reached, cause);
    }
    death_record
}

/// Notes what a death says against its rank; another worker follows, unless it says too much.
fn see_to_succession(
    crew: &Crew,
    roster: &mut MutexGuard<'_, Roster>,
    rank: usize,
    reached: Reached,
    cause: ExitCause,
) {
    match roster.slots[rank].record.died(reached, cause) {
        Ok(pause) => {
            roster.respawns += u64::from(rank < roster.active && !roster.dissolving);
            succession::want(roster, rank, pause);
        }
        Err(count) => {
            let why =
                format!("worker {rank} died {count} times in a row ({cause}) before it had served a launch");
            succession::give_up(crew, roster, rank, StartError::DiedAtStart { cause }, Some(why));
        }
    }
}

/// Ends a dead rank's part in the launch in progress. The roster is locked.
fn strike(crew: &Crew, rank: usize) {
    let board = crew.board();
    let fork_join = board.fork_join(&crew.orders);
    // Poison: a region that the rank was part of cannot go on.
    board.step(rank).poison();
    fork_join.strike(rank);
    fork_join.notify();
}

/// The launch in progress waits no longer for the successors of members that died before they had entered:
/// they count as dead in it. A successor that is there already is waited for, or dies.
pub(crate) fn release(crew: &Crew, roster: &mut MutexGuard<'_, Roster>) {
    for rank in 0..roster.slots.len() {
        let slot = &mut roster.slots[rank];
        if slot.process.is_none()
            && let Some(death_record) = slot.owed.take()
        {
            roster.death_records.push(DeathRecord { in_launch: true, ..death_record });
            crew.deaths.fetch_add(1, Ordering::Release);
            strike(crew, rank);
        }
    }
}

impl Crew {
    /// Kills the members that have not finished, as far as they can be killed; their deaths end the launch.
    pub(crate) fn kill_unfinished(&self) -> Vec<usize> {
        let mut roster = self.roster.lock();
        roster.abandoned = roster.epoch;
        release(self, &mut roster);
        let unfinished = self.board().fork_join(&self.orders).unfinished();
        let killed = unfinished.iter().filter(|rank| roster.slots[*rank].kill());
        killed.collect()
    }
}
