//! How a rank gets its next worker: it is wanted, started, welcomed, or given up. Nothing here waits.

use crate::base::atomic::Ordering;
use crate::code;
use crate::memory::{Segment, SegmentId};
use crate::spawn::mail::{self, ToWorker};
use crate::spawn::worker::Main;
use crate::spawn::{ExitCause, StartError, Started, Starter, Wish, WorkerProcess};
use crate::team::crew::Crew;
use crate::team::exit_function::ExitProgress;
use crate::team::record::Reached;
use crate::team::roster::{MemberStage, Roster, RosterSlot};
use crate::team::worker;
use parking_lot::MutexGuard;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a worker that may end may take to drop its states and end, from when it is at no task any more,
/// and from when its exit function is over.
const GONE_WITHIN: Duration = Duration::from_secs(5);
/// How long a team of which nobody serves may want for what workers are made of, until it is given up.
const WANTING_AT_MOST: Duration = Duration::from_secs(30);

/// Wants a worker for `rank` after a pause; frees its place where the team does not reach so far.
pub(crate) fn want(roster: &mut Roster, rank: usize, pause: Duration) {
    let is_of_team = rank < roster.active && !roster.dissolving;
    let slot = &mut roster.slots[rank];
    slot.start_at = is_of_team.then(|| Instant::now() + pause);
    slot.stage = if is_of_team { MemberStage::Dead } else { MemberStage::Absent };
    if !is_of_team {
        slot.record = Default::default();
    }
}

/// Sets the starts going whose time has come, and takes in what has come of others; gives when the next is
/// due.
pub(crate) fn go_on(crew: &Crew, starter: &mut Starter) -> Option<Instant> {
    loop {
        let next = set_going(crew, starter);
        let started = starter.advance();
        if started.is_empty() {
            return next;
        }
        for started in started {
            settle(crew, starter, started);
        }
    }
}

fn set_going(crew: &Crew, starter: &mut Starter) -> Option<Instant> {
    let mut roster = crew.roster.lock();
    if roster.broken.is_some() {
        return None;
    }
    let now = Instant::now();
    let mut next: Option<Instant> = None;
    for (rank, slot) in roster.slots.iter_mut().enumerate().filter(|(_, slot)| !slot.is_underway) {
        match slot.start_at {
            Some(at) if at <= now => {
                slot.start_at = None;
                slot.is_underway = true;
                starter.wish(Wish { tag: rank as u64, name: format!("worker {}{rank}", crew.label) });
            }
            Some(at) => next = Some(next.map_or(at, |next| next.min(at))),
            None => {}
        }
    }
    next
}

/// Takes in what has come of a start.
fn settle(crew: &Crew, starter: &mut Starter, (tag, outcome): Started) {
    let rank = tag as usize;
    let (is_wanted, is_dismissed) = {
        let mut roster = crew.roster.lock();
        let is_wanted = rank < roster.active && !roster.dissolving && roster.broken.is_none();
        let slot = &mut roster.slots[rank];
        slot.is_underway = false;
        slot.start_at = None;
        (is_wanted, std::mem::take(&mut slot.is_dismissed))
    };
    match outcome {
        Ok(process) if !is_wanted => starter.discard(process),
        Err(_) if !is_wanted => {}
        // The team has grown again since: the next start is the one that counts.
        Err(_) if is_dismissed => want(&mut crew.roster.lock(), rank, Duration::ZERO),
        Ok(process) => match introduction(crew, rank) {
            Ok(introduction) => welcome(crew, rank, process, introduction),
            Err(error) => {
                starter.discard(process);
                failed(crew, &mut crew.roster.lock(), rank, error);
            }
        },
        Err(error) => failed(crew, &mut crew.roster.lock(), rank, error),
    }
}

/// What a new worker receives first.
struct Introduction<'a> {
    member: u32,
    mail: ToWorker,
    fds: Vec<BorrowedFd<'a>>,
    arena: SegmentId,
}

fn introduction(crew: &Crew, rank: usize) -> Result<Introduction<'_>, StartError> {
    let member = crate::base::member::next_member().ok_or(StartError::Recursive)?.get();
    let arena =
        crate::memory::arena::global().map_err(|error| StartError::CannotServe { why: error.to_string() })?;
    let segment = arena.segment();
    let [orders, board] = crew.control.fds().ok_or(StartError::Recursive)?;
    let mut fds = vec![orders, board, segment.fd()];
    fds.extend(crew.trace.as_ref().map(|trace| trace.fd()));
    fds.extend(crew.idle_work.as_ref().map(|plan| plan.segment.fd()));
    let main: Main = worker::main;
    let mail = ToWorker::begin(code::offset_of(main as usize)?, &crew.welcome_for(rank, member, segment)?)
        .map_err(|source| StartError::System { call: "writing a worker's welcome", source })?;
    Ok(Introduction { member, mail, fds, arena: segment.id() })
}

/// Gives a started worker its place.
fn welcome(crew: &Crew, rank: usize, process: WorkerProcess, introduction: Introduction<'_>) {
    // The roster is locked from here on, so no launch is opened between the worker's first look and our
    // record.
    let mut roster = crew.roster.lock();
    let slot = &mut roster.slots[rank];
    slot.member = introduction.member;
    slot.known.clear();
    slot.states.clear();
    slot.exit = ExitProgress::default();
    // It may begin with a task before we hear that it is ready.
    let board = crew.board();
    let status = board.status(rank);
    slot.served_at_start = status.served();
    // Its predecessor may have died at a task.
    status.idle_work_over.store(status.idle_work.load(Ordering::Relaxed), Ordering::Relaxed);
    slot.stage = MemberStage::Starting;
    slot.started = Instant::now();
    // The first packet, for which there is room. A worker that died meanwhile is found out by its pidfd.
    let _dead = mail::try_send(&process.socket, &introduction.mail, &introduction.fds);
    slot.known.insert(introduction.arena.0);
    for segment in crew.initializer.iter().flat_map(|initializer| initializer.segments()) {
        if slot.known.insert(segment.id().0) {
            slot.outbox.push_back(segment.clone());
        }
    }
    post(slot, &process);
    slot.process = Some(Arc::new(process));
    roster.refresh();
}

/// Sends a new worker what it needs to begin, as far as there is room.
fn post(slot: &mut RosterSlot, process: &WorkerProcess) {
    let send = |segment: &Segment| {
        let mail = ToWorker::Segment { id: segment.id().0, len_bytes: segment.len_bytes() as u64 };
        mail::try_send(&process.socket, &mail, &[segment.fd()])
    };
    while let Some(segment) = slot.outbox.front() {
        // What cannot be sent is missed by the worker, which says so.
        if matches!(send(segment), Err(error) if mail::is_full(&error)) {
            return;
        }
        slot.outbox.pop_front();
    }
}

/// Goes on sending to new workers; gives whether some have not got all.
pub(crate) fn post_on(roster: &mut Roster) -> bool {
    for slot in roster.slots.iter_mut().filter(|slot| !slot.outbox.is_empty()) {
        if let Some(process) = slot.process.clone() {
            post(slot, &process);
        }
    }
    roster.slots.iter().any(|slot| !slot.outbox.is_empty())
}

/// A worker could not be started. Another is tried where that may help.
pub(crate) fn failed(crew: &Crew, roster: &mut MutexGuard<'_, Roster>, rank: usize, error: StartError) {
    let has_started = roster.started;
    let nobody_serves = roster.ready().is_empty();
    let is_growing = roster.growing.is_some();
    let slot = &mut roster.slots[rank];
    slot.vacate();
    let since = *slot.hindered_since.get_or_insert_with(Instant::now);
    let pause = match &error {
        StartError::DiedAtStart { cause } => slot.record.died(Reached::Start, *cause).ok(),
        // Who makes the pool, or makes it larger, is told rather than kept waiting.
        _ if !has_started => None,
        StartError::StartTimeout { .. } => slot.record.died(Reached::Start, ExitCause::Unknown).ok(),
        StartError::Limit { .. } | StartError::System { .. } => {
            let is_enough = (nobody_serves || slot.owed.is_some()) && since.elapsed() >= WANTING_AT_MOST;
            let pause = slot.record.pause();
            (!is_enough).then_some(pause)
        }
        _ => None,
    };
    let is_death = matches!(error, StartError::DiedAtStart { .. } | StartError::StartTimeout { .. });
    match pause {
        Some(pause) => {
            roster.hindrance = Some(error.to_string());
            roster.respawns += u64::from(is_death && has_started);
            if is_growing && !matches!(error, StartError::DiedAtStart { .. }) {
                roster.start_error.get_or_insert(error);
                crew.changed.notify_all();
            }
            want(roster, rank, pause);
        }
        None => give_up(crew, roster, rank, error, None),
    }
}

/// Kills workers that may end and do not: one that is stopped, or whose state's destructor never returns.
/// Launches and resizes that need every rank wait for their successors.
pub(crate) fn linger(crew: &Crew) {
    let mut roster = crew.roster.lock();
    let board = crew.board();
    for (rank, slot) in
        roster.slots.iter_mut().enumerate().filter(|(_, slot)| slot.stage == MemberStage::Leaving)
    {
        if board.status(rank).is_at_idle_work() {
            slot.leaving_since = Instant::now();
        } else if slot.leaving_since.elapsed() > crew.patience(slot, GONE_WITHIN) {
            slot.hasten();
        }
    }
}

/// Kills workers that do not get ready in time; their deaths are found by the next poll. Who makes the pool,
/// or makes it larger, is told of the first.
pub(crate) fn overdue(crew: &Crew) {
    let mut roster = crew.roster.lock();
    let late = |slot: &RosterSlot| {
        slot.stage == MemberStage::Starting
            && !slot.is_dismissed
            && slot.started.elapsed() > crew.ready_within
    };
    for rank in 0..roster.slots.len() {
        let slot = &roster.slots[rank];
        let is_expected = !roster.started || roster.growing.is_some_and(|before| rank >= before);
        if late(slot) && slot.kill() && is_expected {
            give_up(crew, &mut roster, rank, StartError::StartTimeout { waited: crew.ready_within }, None);
        }
    }
}

/// Wants no further worker for `rank`: a team that was to grow stays as it was, one that needs the rank
/// serves no more.
pub(crate) fn give_up(
    crew: &Crew,
    roster: &mut MutexGuard<'_, Roster>,
    rank: usize,
    error: StartError,
    why: Option<String>,
) {
    if roster.dissolving || rank >= roster.active {
        return want(roster, rank, Duration::ZERO);
    }
    if roster.growing.is_some_and(|before| rank >= before) {
        roster.start_error.get_or_insert(error);
        crew.changed.notify_all();
        return;
    }
    break_up(crew, roster, error, why);
}

/// The team serves no more.
pub(crate) fn break_up(
    crew: &Crew,
    roster: &mut MutexGuard<'_, Roster>,
    error: StartError,
    why: Option<String>,
) {
    roster.broken.get_or_insert_with(|| why.unwrap_or_else(|| error.to_string()));
    roster.start_error.get_or_insert(error);
    crew.board().fork_join(&crew.orders).notify();
    crew.death_observer().inspect(|death_observer| death_observer.broken());
    crew.changed.notify_all();
}
