//! The engine thread: starts the workers, watches them, and puts right what a dead one left behind.
//!
//! It lives as long as the pool, because the kernel ends a worker when the *thread* that started it ends. It is not
//! in the way of a launch: launches go from the calling thread to the workers through the board.

use crate::base::MemberId;
use crate::base::atomic::Ordering;
use crate::sync::repair::repair;
use crate::team::board::Desk;
use crate::team::crew::Crew;
use crate::team::log::{Note, Speaker};
use crate::team::mail::{self, FromWorker, ToWorker};
use crate::team::roster::{Obituary, Roster, Slot, Stage};
use crate::team::start::{ExitCause, StartError, Starter, WorkerProcess};
use parking_lot::MutexGuard;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::os::fd::AsFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Deaths in a row, without a launch served in between, after which the team gives up.
const MAX_FAILURES: u32 = 3;
/// How long a started worker may take until it serves.
const READY_WITHIN: Duration = Duration::from_secs(10);
/// How long workers may take to end in good order when the pool is dropped.
const GRACE: Duration = Duration::from_secs(1);

/// What polling said of one worker.
#[derive(Clone, Copy)]
struct Event {
    rank: usize,
    died: bool,
    mail: bool,
}

/// Runs until the team is dissolved. `starter` is given where it had to be made on the caller's thread.
pub(crate) fn run(crew: &Crew, starter: Result<Starter, StartError>) {
    let mut starter = match starter {
        Ok(starter) => starter,
        Err(error) => return give_up(crew, &mut crew.roster.lock(), error),
    };
    // Whatever goes wrong in here, nobody may wait for ever for a worker that no longer has anybody to bury it.
    if catch_unwind(AssertUnwindSafe(|| watch(crew, &mut starter))).is_err() {
        let why = "the thread that watches the workers panicked".into();
        give_up(crew, &mut crew.roster.lock(), StartError::CannotServe { why });
        crew.roster.lock().slots.iter().for_each(|slot| {
            slot.kill();
        });
    }
    dissolve(crew);
}

fn watch(crew: &Crew, starter: &mut Starter) {
    let everyone: Vec<usize> = (0..crew.active()).collect();
    start(crew, starter, &everyone);
    loop {
        let events = wait(crew);
        for event in &events {
            if event.mail {
                read_mail(crew, event.rank);
            }
        }
        let mut dead: Vec<usize> = Vec::new();
        for event in events.iter().filter(|event| event.died) {
            if bury(crew, event.rank) {
                dead.push(event.rank);
            }
        }
        overdue(crew);
        crew.give_leave();
        {
            let mut roster = crew.roster.lock();
            if roster.dissolving {
                return;
            }
            dead.append(&mut roster.wanted);
        }
        start(crew, starter, &dead);
    }
}

/// Starts workers for `ranks`, loading in parallel, and welcomes them.
fn start(crew: &Crew, starter: &mut Starter, ranks: &[usize]) {
    if ranks.is_empty() || crew.roster.lock().broken.is_some() {
        return;
    }
    let deadline = Instant::now() + READY_WITHIN;
    let launched: Vec<_> =
        ranks.iter().map(|rank| (*rank, starter.launch(&format!("worker {}{rank}", crew.label)))).collect();
    for (rank, starting) in launched {
        let started = starting.and_then(|starting| starter.finish(starting, deadline));
        let welcomed = started.and_then(|process| welcome(crew, rank, process));
        if let Err(error) = welcomed {
            return give_up(crew, &mut crew.roster.lock(), error);
        }
    }
}

/// Gives a started worker its place.
fn welcome(crew: &Crew, rank: usize, process: WorkerProcess) -> Result<(), StartError> {
    let member = crate::base::member::next_member().ok_or(StartError::Recursive)?;
    let arena =
        crate::memory::arena::global().map_err(|error| StartError::CannotServe { why: error.to_string() })?;
    let segment = arena.segment();
    let [orders, board] = crew.control.fds().ok_or(StartError::Recursive)?;
    let mail = ToWorker::Welcome(Box::new(crew.welcome_for(rank, member.get(), segment)?));
    // The roster is locked from here on, so no launch is opened between the worker's first look and our record.
    let mut roster = crew.roster.lock();
    // A worker that died meanwhile is found out by its pidfd.
    let mut fds = vec![orders, board, segment.fd()];
    fds.extend(crew.trace.as_ref().map(|trace| trace.fd()));
    fds.extend(crew.errands.as_ref().map(|plan| plan.segment.fd()));
    // It may begin with a task before we hear that it is ready.
    let served_before = served(crew.board().desk(rank));
    let _dead = mail::send(&process.socket, &mail, &fds);
    let slot = &mut roster.slots[rank];
    slot.member = member.get();
    slot.known.clear();
    slot.known.insert(segment.id().0);
    for segment in crew.opening.iter().flat_map(|opening| opening.segments()) {
        let mail = ToWorker::Segment { id: segment.id().0, len_bytes: segment.len_bytes() as u64 };
        if slot.known.insert(segment.id().0) {
            let _dead = mail::send(&process.socket, &mail, &[segment.fd()]);
        }
    }
    slot.states.clear();
    slot.process = Some(Arc::new(process));
    slot.stage = Stage::Starting;
    slot.started = Instant::now();
    slot.served_at_start = served_before;
    roster.refresh();
    Ok(())
}

/// Waits for a death, mail or a call from the driver.
fn wait(crew: &Crew) -> Vec<Event> {
    let roster = crew.roster.lock();
    let starting = roster.slots.iter().any(|slot| slot.stage == Stage::Starting);
    let retiring = roster.slots.iter().any(|slot| slot.is_retiring);
    let watched: Vec<(usize, Arc<WorkerProcess>)> = roster
        .slots
        .iter()
        .enumerate()
        .filter_map(|(rank, slot)| Some((rank, slot.process.clone()?)))
        .collect();
    drop(roster);
    let mut fds = vec![PollFd::new(&crew.call, PollFlags::IN)];
    for (_, process) in &watched {
        fds.push(PollFd::new(&process.pidfd, PollFlags::IN));
        fds.push(PollFd::new(&process.socket, PollFlags::IN));
    }
    let soon = Timespec { tv_sec: 0, tv_nsec: 5_000_000 };
    let tick = Timespec { tv_sec: 1, tv_nsec: 0 };
    let limit = if retiring { Some(&soon) } else { starting.then_some(&tick) };
    // Interrupted or out of memory: the next round looks again.
    let polled = poll(&mut fds, limit);
    if matches!(polled, Err(errno) if errno != rustix::io::Errno::INTR) {
        // Out of memory, or more descriptors than the limit allows by now: look at every worker, but not without rest.
        std::thread::sleep(Duration::from_millis(10));
        return watched.iter().map(|(rank, _)| Event { rank: *rank, died: true, mail: true }).collect();
    }
    let mut counter = [0u8; 8];
    if fds[0].revents().contains(PollFlags::IN) {
        let _drained = rustix::io::read(&crew.call, &mut counter);
    }
    watched
        .iter()
        .enumerate()
        .map(|(index, (rank, ..))| Event {
            rank: *rank,
            died: !fds[1 + 2 * index].revents().is_empty(),
            mail: fds[2 + 2 * index].revents().contains(PollFlags::IN),
        })
        .filter(|event| event.died || event.mail)
        .collect()
}

fn read_mail(crew: &Crew, rank: usize) {
    loop {
        let mut roster = crew.roster.lock();
        let Some(process) = &roster.slots[rank].process else { return };
        let mail = match mail::try_recv::<FromWorker>(process.socket.as_fd()) {
            Ok(Some((mail, _))) => mail,
            Ok(None) => return,
            // It has ended, or a kernel of its has closed our socket: no segment would reach it any more.
            Err(_) => return process.kill(),
        };
        match mail {
            FromWorker::Ready { refused } => {
                let slot = &mut roster.slots[rank];
                slot.stage = Stage::Ready;
                slot.refused = refused;
                roster.refresh();
                crew.bereaved().inspect(|bereaved| bereaved.joined());
                crew.changed.notify_all();
            }
            FromWorker::Retiring => roster.slots[rank].is_retiring = true,
            FromWorker::Failed { why } => give_up(crew, &mut roster, StartError::CannotServe { why }),
            // No member of a team sends one.
            FromWorker::Outcome { .. } => {}
            FromWorker::Lost { count } => {
                crew.relay.pass(Note::Lost { speaker: Speaker::Worker(rank as u32), count });
            }
            FromWorker::Log { level, target, message } => {
                // The subscriber is the program's own code: not on this thread.
                crew.relay.pass(Note::Event {
                    speaker: Speaker::Worker(rank as u32),
                    level,
                    target,
                    message,
                });
            }
        }
    }
}

/// Launches and errands that the rank's members have begun.
fn served(desk: &Desk) -> u64 {
    desk.launches.load(Ordering::Relaxed).wrapping_add(desk.errands.load(Ordering::Relaxed))
}

/// Frees the place of a worker that has left in good order; returns whether a successor is wanted.
fn see_off(crew: &Crew, roster: &mut MutexGuard<'_, Roster>, rank: usize) -> bool {
    let is_wanted = rank < roster.active && !roster.dissolving;
    let dissolving = roster.dissolving;
    let slot = &mut roster.slots[rank];
    slot.lose_states(dissolving);
    slot.process = None;
    slot.stage = if is_wanted { Stage::Dead } else { Stage::Absent };
    repair(MemberId(slot.member));
    crew.board().muster(&crew.orders).forget(rank);
    roster.retirements += u64::from(is_wanted);
    roster.refresh();
    crew.changed.notify_all();
    is_wanted
}

/// Records a death and repairs what it left; returns whether a successor is wanted.
fn bury(crew: &Crew, rank: usize) -> bool {
    let board = crew.board();
    let mut roster = crew.roster.lock();
    let dissolving = roster.dissolving;
    let slot = &mut roster.slots[rank];
    let Some(process) = &slot.process else { return false };
    let Some(cause) = process.try_reap() else { return false };
    let pid = process.pid;
    let was_ready = slot.stage == Stage::Ready;
    let has_left = slot.stage == Stage::Leaving && cause == ExitCause::Exit(0);
    let member = slot.member;
    slot.is_retiring = false;
    board.desk(rank).leave.store(0, Ordering::Relaxed);
    if has_left {
        return see_off(crew, &mut roster, rank);
    }
    if let Some(trace) = crew.trace.as_ref().filter(|_| !dissolving) {
        trace.note_death(rank, pid, cause);
    }
    // Before the death is counted: a launch that hears of it hears of what went with it.
    slot.lose_states(dissolving);
    slot.process = None;
    slot.stage = Stage::Dead;
    let desk = board.desk(rank);
    let muster = board.muster(&crew.orders);
    let in_launch = muster.unfinished().contains(rank);
    // A kernel that kills its worker says nothing against the worker.
    let served = in_launch || served(desk) != slot.served_at_start;
    slot.failures = if was_ready && served { 1 } else { slot.failures + 1 };
    let failures = slot.failures;
    // Acquire: pairs with the Release in `Visit::chunks`.
    let unit = desk.current.swap(0, Ordering::AcqRel);
    crew.deaths.fetch_add(1, Ordering::Release);
    let obituary = Obituary {
        rank,
        member,
        pid,
        cause,
        oom: crew.oom.has_killed_since_last_asked(),
        in_launch,
        unit: unit.checked_sub(1),
    };
    roster.obituaries.push(obituary.clone());
    roster.refresh();
    repair(MemberId(member));
    // Poison: a region that the rank was part of cannot go on.
    board.step(rank).poison();
    muster.forget(rank);
    muster.strike(rank);
    muster.notify();
    if !dissolving && failures >= MAX_FAILURES {
        let why =
            format!("worker {rank} died {failures} times in a row ({cause}) before it had served a launch");
        roster.start_error.get_or_insert(StartError::DiedAtStart { cause });
        roster.broken.get_or_insert(why);
        crew.bereaved().inspect(|bereaved| bereaved.broken());
    } else if !dissolving {
        roster.respawns += 1;
    }
    crew.bereaved().inspect(|bereaved| bereaved.died(&obituary));
    crew.changed.notify_all();
    drop(roster);
    if !dissolving {
        // The subscriber is the program's own code: not under our lock.
        crew.relay.pass(Note::Death { speaker: Speaker::Worker(rank as u32), pid, cause });
    }
    let is_wanted = !dissolving && failures < MAX_FAILURES;
    is_wanted && crew.is_of_team_or_gone(rank)
}

/// Kills workers that do not get ready in time; their deaths are found by the next poll. While the pool is being made,
/// one such worker is enough to give up.
fn overdue(crew: &Crew) {
    let mut roster = crew.roster.lock();
    let late = |slot: &&Slot| slot.stage == Stage::Starting && slot.started.elapsed() > READY_WITHIN;
    let killed = roster.slots.iter().filter(late).filter(|slot| slot.kill()).count();
    if killed > 0 && !roster.started {
        give_up(crew, &mut roster, StartError::StartTimeout { waited: READY_WITHIN });
    }
}

/// The team serves no more.
fn give_up(crew: &Crew, roster: &mut MutexGuard<'_, Roster>, error: StartError) {
    roster.broken.get_or_insert_with(|| error.to_string());
    roster.start_error.get_or_insert(error);
    crew.board().muster(&crew.orders).notify();
    crew.bereaved().inspect(|bereaved| bereaved.broken());
    crew.changed.notify_all();
}

/// Waits for the workers to end, which were told to; kills those that do not.
fn dissolve(crew: &Crew) {
    let deadline = Instant::now() + GRACE;
    loop {
        let roster = crew.roster.lock();
        let Some((rank, process)) =
            roster.slots.iter().enumerate().find_map(|(rank, slot)| Some((rank, slot.process.clone()?)))
        else {
            return;
        };
        if Instant::now() >= deadline || roster.slots[rank].stage == Stage::Starting {
            process.kill();
        }
        drop(roster);
        let _ended =
            crate::sys::socket::wait_readable(&process.pidfd, Some(deadline.max(Instant::now() + GRACE)));
        read_mail(crew, rank);
        bury(crew, rank);
    }
}
