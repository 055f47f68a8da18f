//! The engine thread: starts the workers, watches them, and puts right what a dead one left behind.
//!
//! It lives as long as the pool, because the kernel ends a worker when the *thread* that started it ends. It
//! is not in the way of a launch: launches go from the calling thread to the workers through the board. It
//! waits in one place only, [`wait`], for all that may happen: a start that hangs holds up nothing.

use crate::base::atomic::Ordering;
use crate::spawn::log::Speaker;
use crate::spawn::mail::{self, FromWorker};
use crate::spawn::watching::{self, Event};
use crate::spawn::{ExitCause, StartError, Starter, WorkerProcess};
use crate::team::crew::Crew;
use crate::team::gate::Phase;
use crate::team::reaping::{reap_dead, release, settle_exit};
use crate::team::roster::{MemberStage, Roster, RosterSlot, StartTimes};
use crate::team::succession;
use parking_lot::MutexGuard;
use std::os::fd::{AsFd, BorrowedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long workers may take to end in good order when the pool is dropped.
const GRACE: Duration = Duration::from_secs(1);
/// How long killed ones may take. One that cannot be killed ends with this thread.
const KILLED_WITHIN: Duration = Duration::from_secs(10);
/// How often workers are looked at that want to end while a launch is on its way, or whose socket was full.
const SOON: Duration = Duration::from_millis(5);
/// How often workers are looked at that are not ready yet.
const TICK: Duration = Duration::from_secs(1);

/// Runs until the team is dissolved. `starter` is given where it had to be made on the caller's thread.
pub(crate) fn run(crew: &Crew, starter: Result<Starter, StartError>) {
    let mut starter = match starter {
        Ok(starter) => starter,
        Err(error) => return succession::break_up(crew, &mut crew.roster.lock(), error, None),
    };
    // Whatever goes wrong in here, nobody may wait for ever for a worker that no longer has anybody to reap
    // it.
    if catch_unwind(AssertUnwindSafe(|| watch(crew, &mut starter))).is_err() {
        let why = "the thread that watches the workers panicked".into();
        succession::break_up(crew, &mut crew.roster.lock(), StartError::CannotServe { why }, None);
        crew.roster.lock().slots.iter().for_each(|slot| {
            slot.kill();
        });
    }
    dissolve(crew);
}

fn watch(crew: &Crew, starter: &mut Starter) {
    {
        let mut roster = crew.roster.lock();
        (0..crew.active()).for_each(|rank| succession::want(&mut roster, rank, Duration::ZERO));
    }
    loop {
        let next_start = succession::go_on(crew, starter);
        release_where_over(crew);
        let due = [next_start, starter.due()].into_iter().flatten().min();
        let events = wait(crew, &starter.sources(), due);
        for event in &events {
            if event.mail {
                read_mail(crew, event.index);
            }
        }
        for event in events.iter().filter(|event| event.died) {
            bury(crew, event.index);
        }
        succession::overdue(crew);
        succession::linger(crew);
        crew.give_leave();
        if crew.roster.lock().dissolving {
            return;
        }
    }
}

/// Lets the launch in progress go on without those that it waits for, where nobody will come.
fn release_where_over(crew: &Crew) {
    let mut roster = crew.roster.lock();
    if roster.broken.is_some() || roster.dissolving {
        release(crew, &mut roster);
    }
}

/// The processes to watch, and when to look at them though nothing happened.
fn watched(crew: &Crew) -> (Vec<(usize, Arc<WorkerProcess>)>, Option<Instant>) {
    let mut roster = crew.roster.lock();
    let is_soon = succession::post_on(&mut roster) || roster.slots.iter().any(RosterSlot::wants_leave);
    let is_changing =
        roster.slots.iter().any(|slot| matches!(slot.stage, MemberStage::Starting | MemberStage::Leaving));
    let watched: Vec<_> = roster
        .slots
        .iter()
        .enumerate()
        .filter_map(|(rank, slot)| Some((rank, slot.process.clone()?)))
        .collect();
    let tick = if is_soon { Some(SOON) } else { is_changing.then_some(TICK) };
    (watched, tick.map(|tick| Instant::now() + tick))
}

/// Waits for a death, mail, a call from the driver, or news of a start, at most until `limit`. The events
/// name ranks.
fn wait(crew: &Crew, starts: &[BorrowedFd<'_>], limit: Option<Instant>) -> Vec<Event> {
    let (watched, tick) = watched(crew);
    let processes: Vec<_> = watched.iter().map(|(_, process)| &**process).collect();
    let limit = [tick, limit].into_iter().flatten().min();
    let mut events = watching::wait(&crew.call, &processes, starts, limit).events;
    events.iter_mut().for_each(|event| event.index = watched[event.index].0);
    events
}

fn read_mail(crew: &Crew, rank: usize) {
    loop {
        let mut roster = crew.roster.lock();
        let Some(process) = &roster.slots[rank].process else { return };
        let mail = match mail::try_recv::<FromWorker>(process.socket.as_fd()) {
            Ok(Some((mail, _))) => mail,
            Ok(None) => return,
            // It has ended, or a kernel of its has closed our socket: no segment would reach it any more.
            Err(_) => {
                process.silence();
                return process.kill();
            }
        };
        if let Some(mail) = crew.relay.take(mail, || Speaker::Worker(rank as u32)) {
            heed(crew, &mut roster, rank, mail);
        }
    }
}

/// Does what a worker's mail asks for.
fn heed(crew: &Crew, roster: &mut MutexGuard<'_, Roster>, rank: usize, mail: FromWorker) {
    match mail {
        // It was killed when the team stayed as small as it was.
        FromWorker::Ready { .. } | FromWorker::Failed { .. } if roster.slots[rank].is_dismissed => {}
        FromWorker::Ready { refused, initializing } => welcome(crew, roster, rank, refused, initializing),
        FromWorker::Retiring => roster.slots[rank].is_retiring = true,
        FromWorker::Exit { part, is_last } => {
            let slot = &mut roster.slots[rank];
            slot.exit.receive(&part, is_last);
            slot.leaving_since = Instant::now();
        }
        FromWorker::Failed { why } => {
            succession::give_up(crew, roster, rank, StartError::CannotServe { why }, None);
        }
        // No member of a team sends an outcome, and the relay has taken what is logged.
        FromWorker::Outcome { .. } | FromWorker::Lost { .. } | FromWorker::Log { .. } => {}
    }
}

/// Takes a worker that is ready into the team.
fn welcome(
    crew: &Crew,
    roster: &mut MutexGuard<'_, Roster>,
    rank: usize,
    refused: Vec<String>,
    initializing: Duration,
) {
    let slot = &mut roster.slots[rank];
    slot.start_times = StartTimes { starting: slot.started.elapsed(), initializing };
    slot.stage = MemberStage::Ready;
    slot.refused = refused;
    slot.hindered_since = None;
    slot.owed = None;
    roster.hindrance = None;
    roster.refresh();
    // Pairs with the Acquire in `ActiveLaunch::wait`: the launch in progress may be waiting for it.
    crew.newcomers.fetch_add(1, Ordering::Release);
    crew.board().fork_join(&crew.orders).notify();
    crew.death_observer().inspect(|death_observer| death_observer.joined());
    crew.changed.notify_all();
    if roster.dissolving {
        // It came too late to be let go with the others.
        crew.let_go_of(rank, &mut roster.slots[rank]);
        crew.board().fork_join(&crew.orders).ring();
    }
}

/// Takes note of a worker's end, after what it said last.
fn bury(crew: &Crew, rank: usize) {
    let process = crew.roster.lock().slots[rank].process.clone();
    // All that it has sent is there once its end is confirmed.
    if process.is_some_and(|process| process.try_reap().is_some()) {
        read_mail(crew, rank);
        reap_dead(crew, rank);
    }
}

/// Waits for the workers to end, which were told to; kills those that do not.
fn dissolve(crew: &Crew) {
    release_where_over(crew);
    let began = Instant::now();
    let mut killed = vec![None; crew.size];
    while let Some(until) = hasten(crew, began, &mut killed) {
        for event in wait(crew, &[], Some(until)) {
            read_mail(crew, event.index);
            bury(crew, event.index);
        }
    }
}

/// Kills the workers that have had their time since the end `began`, and gives up those that cannot be
/// killed; returns when the next has had its, or `None` if nobody is left.
fn hasten(crew: &Crew, began: Instant, killed: &mut [Option<Instant>]) -> Option<Instant> {
    let mut roster = crew.roster.lock();
    let now = Instant::now();
    let mut next: Option<Instant> = None;
    for (rank, killed) in killed.iter_mut().enumerate() {
        let slot = &mut roster.slots[rank];
        let Some(pid) = slot.process.as_ref().map(|process| process.pid) else { continue };
        let due = due(crew, rank, slot, began);
        if killed.is_none() && now >= due {
            // What one that was only being started says now is no news.
            slot.is_dismissed = !crew.has_joined(rank, slot);
            slot.hasten();
            *killed = Some(now);
        }
        let until = killed.map_or(due, |at| at + KILLED_WITHIN);
        if now >= until {
            settle_exit(crew, &mut roster, rank, pid, ExitCause::Unknown, false);
            roster.slots[rank].vacate();
            continue;
        }
        next = Some(next.map_or(until, |next| next.min(until)));
    }
    next
}

/// When a worker of a team whose end `began` has had its time.
fn due(crew: &Crew, rank: usize, slot: &RosterSlot, began: Instant) -> Instant {
    if !crew.has_joined(rank, slot) || crew.has_reached(Phase::Terminated) {
        return began;
    }
    let since = if slot.exit.is_running() { slot.leaving_since } else { slot.leaving_since.max(began) };
    since + crew.patience(slot, GRACE)
}
