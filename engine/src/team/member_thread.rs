//! A member that is a thread: how it is started, serves and leaves, and gets its successor.
#![deny(clippy::arithmetic_side_effects)]

use crate::spawn::StartError;
use crate::team::crew::{Crew, CrewError};
use crate::team::current;
use crate::team::idle_work::IdleWorkPlace;
use crate::team::leave::Leave;
use crate::team::member::Member;
use crate::team::roster::{MemberStage, Roster, StartTimes};
use crate::team::{succession, threads};
use parking_lot::MutexGuard;
use std::sync::Arc;
use std::time::{Duration, Instant};

impl Crew {
    pub(super) fn start_threads(self: &Arc<Crew>) -> Result<(), CrewError> {
        (0..self.active()).try_for_each(|rank| self.start_thread(rank))
    }

    /// Starts a thread for `rank`, if it lacks one.
    pub(super) fn start_thread(self: &Arc<Crew>, rank: usize) -> Result<(), CrewError> {
        let slot = &mut self.roster.lock().slots[rank];
        // One that was wanted before, and then not any more, is on its way or there already; it is wanted
        // again.
        if slot.is_underway || slot.stage != MemberStage::Starting {
            return Ok(());
        }
        slot.is_underway = true;
        let crew = self.clone();
        let member = self.member_with_idle_work(rank);
        let hand = std::thread::Builder::new()
            .name(format!("phalanx {}{rank}", self.label))
            .spawn(move || run(&crew, member))
            .map_err(CrewError::Os)
            .inspect_err(|_| slot.is_underway = false)?;
        self.hands.lock().push(hand);
        Ok(())
    }

    fn member_with_idle_work(&self, rank: usize) -> Member {
        let mut member = self.member(rank);
        member.idle_work = self.idle_work.as_ref().map(|plan| {
            let segment = &plan.segment;
            let place =
                IdleWorkPlace { base: segment.base(), len_bytes: segment.len_bytes(), rank, size: self.size };
            (plan.open)(place)
        });
        member
    }

    /// A member thread has ended.
    fn thread_has_left(self: &Arc<Crew>, mut roster: MutexGuard<'_, Roster>, rank: usize) {
        self.with_leave(rank, Leave::clear);
        roster.slots[rank].stage = MemberStage::Absent;
        let is_wanted = !roster.dissolving && rank < roster.active;
        if is_wanted {
            roster.slots[rank].stage = MemberStage::Starting;
        }
        drop(roster);
        if is_wanted && let Err(error) = self.start_thread(rank) {
            let mut roster = self.roster.lock();
            roster.broken.get_or_insert_with(|| error.to_string());
            self.changed.notify_all();
        }
    }
}

/// A member thread's life. It holds the crew, and so all that the member looks at, until it ends; it ends
/// with the pool.
fn run(crew: &Arc<Crew>, mut member: Member) {
    let rank = member.rank;
    let started = Instant::now();
    let mut initializing = Duration::ZERO;
    current::become_member();
    let welcome = crew.welcome_for_thread(rank);
    let refused = crew.bind_here(rank);
    let opened = threads::rayon_pool(&welcome).and_then(|threads| {
        member.threads = threads;
        if let Some(initializer) = &crew.initializer {
            let began = Instant::now();
            initializer.run_here(&mut *member.segments)?;
            initializing = began.elapsed();
        }
        Ok(())
    });
    if let Err(why) = opened {
        return fail(crew, rank, StartError::CannotServe { why });
    }
    let mut last = member.board.fork_join(&member.orders).last_seen(rank);
    member.register.iter().for_each(|register| register.refuse(rank, last));
    if !take_place(crew, rank, refused, StartTimes { starting: started.elapsed(), initializing }) {
        return;
    }
    member.serve_from(&mut last);
    crew.exits.iter().for_each(|exits| exits.run_here(&mut member));
    member.states.let_go(rank);
    crew.thread_has_left(crew.roster.lock(), rank);
}

/// It cannot serve.
fn fail(crew: &Arc<Crew>, rank: usize, error: StartError) {
    let mut roster = crew.roster.lock();
    roster.slots[rank].is_underway = false;
    if std::mem::take(&mut roster.slots[rank].is_dismissed) {
        return crew.thread_has_left(roster, rank);
    }
    succession::give_up(crew, &mut roster, rank, error, None);
}

/// It can serve; false if it need not.
fn take_place(crew: &Crew, rank: usize, refused: Vec<String>, start_times: StartTimes) -> bool {
    let mut roster = crew.roster.lock();
    let is_wanted = !roster.dissolving && rank < roster.active;
    let slot = &mut roster.slots[rank];
    slot.is_underway = false;
    slot.is_dismissed = false;
    if is_wanted {
        slot.stage = MemberStage::Ready;
        slot.refused = refused;
        slot.start_times = start_times;
        roster.refresh();
        crew.changed.notify_all();
    }
    is_wanted
}
