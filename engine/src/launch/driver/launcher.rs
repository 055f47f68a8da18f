//! What a pool needs to drive launches: the crew, and the callers' seats.

use crate::base::with_own;
use crate::launch::driver::active::ActiveLaunch;
use crate::launch::driver::job::Job;
use crate::launch::driver::profile::{Detail, Profile};
use crate::launch::driver::scratch::{Scratch, ScratchPool};
use crate::launch::driver::spill::{Spill, SpillShelf};
use crate::launch::driver::totals::{Cost, Tally, Totals};
use crate::launch::error::LaunchError;
use crate::launch::operand::describe::Description;
use crate::launch::options::Options;
use crate::sys::fork;
use crate::team::board::Board;
use crate::team::crew::{Crew, CrewError, CrewKind, CrewPlan};
use crate::team::current;
use crate::team::exit_function::Exits;
use crate::team::gate::{Passage, Phase};
use crate::team::member::Member;
use crate::team::state;
use crate::topology::{CpuSet, Limits, Machine, Request, plan};
use parking_lot::Mutex;
use std::cell::RefCell;
use std::sync::Arc;
use std::time::Instant;

/// Drives the launches of one crew.
pub(crate) struct Launcher {
    pub(crate) crew: Arc<Crew>,
    /// Details of the last launch, if the pool records them.
    detail: Mutex<Option<Detail>>,
    tally: Tally,
    shelf: ScratchPool,
    spills: SpillShelf,
}

/// Who sits in a seat.
type Occupant = Option<Box<Member>>;

thread_local! {
    /// Seats that this thread has taken, without their member while it is in a launch. The crew is held, not
    /// borrowed: a leaked seat outlives its pool, and its member needs the board.
    static SEATS: RefCell<Vec<(Arc<Crew>, Occupant)>> = const { RefCell::new(Vec::new()) };
    /// Launchers without workers, for launches that run inline on this thread. There are several only while
    /// launches nest.
    static INLINE: RefCell<Vec<(Arc<Launcher>, Member)>> = const { RefCell::new(Vec::new()) };
}

impl Launcher {
    pub(crate) fn new(plan: CrewPlan) -> Result<Launcher, CrewError> {
        let crew = Crew::new(plan)?;
        Ok(Launcher {
            crew,
            detail: Mutex::default(),
            tally: Tally::default(),
            shelf: ScratchPool::default(),
            spills: SpillShelf::default(),
        })
    }

    /// Runs a launch on the crew, with the caller's seat if it has one. Runs inline if the crew has no
    /// workers, or if the caller is itself inside a launch.
    pub(crate) fn launch(&self, options: &Options<'_>, job: &Job<'_>) -> Result<(), LaunchError> {
        self.launch_then(options, job, |_| ())
    }

    /// Like [`Self::launch`], and calls `then` with the board before the next launch may begin.
    pub(crate) fn launch_then(
        &self,
        options: &Options<'_>,
        job: &Job<'_>,
        then: impl FnOnce(&Board),
    ) -> Result<(), LaunchError> {
        if fork::is_foreign() {
            return Err(LaunchError::Forked);
        }
        if self.runs_inline() {
            // Tasks that an ending pool still waits for may launch.
            let last = if self.crew.kind == CrewKind::Inline { Phase::Ending } else { Phase::Terminated };
            if self.crew.has_reached(last) {
                return Err(LaunchError::PoolClosed);
            }
            return inline(|launcher, member| launcher.pass(options, job, Some(member), then));
        }
        let member = with_own(&SEATS, |seats| {
            seats.iter_mut().find(|(crew, _)| Arc::ptr_eq(crew, &self.crew))?.1.take()
        });
        match member {
            None => self.pass(options, job, None, then),
            Some(member) => {
                let mut seat = PutBack { crew: &self.crew, member: Some(member) };
                let own = seat.member.as_deref_mut();
                self.pass(options, job, own, then)
            }
        }
    }

    /// Whether a launch of the calling thread runs in that thread.
    pub(crate) fn runs_inline(&self) -> bool {
        self.crew.kind == CrewKind::Inline || current::is_inside() || current::is_bound()
    }

    /// Number of members of a launch that this thread would make now.
    pub(crate) fn team_size(&self) -> usize {
        if self.runs_inline() { 1 } else { self.crew.active() }
    }

    /// Waits for the gate and drives the launch.
    fn pass(
        &self,
        options: &Options<'_>,
        job: &Job<'_>,
        own: Option<&mut Member>,
        then: impl FnOnce(&Board),
    ) -> Result<(), LaunchError> {
        // A limit beyond the clock's range is no limit.
        let deadline = options.timeout.and_then(|limit| Instant::now().checked_add(limit));
        let mut gate = match self.crew.pass_gate(deadline) {
            Passage::Open(gate) => gate,
            Passage::Closed => return Err(LaunchError::PoolClosed),
            Passage::Late => {
                let (site, limit) = (job.site.to_string(), options.timeout.unwrap_or_default());
                return Err(LaunchError::TimedOut { site, limit, killed: Vec::new() });
            }
        };
        let board = self.crew.board();
        let (mut epoch, mut caution) = (gate.epoch, gate.caution);
        let mut active = ActiveLaunch {
            crew: &self.crew,
            board,
            options,
            job,
            own,
            caution: &mut caution,
            epoch: &mut epoch,
            cost: Cost::default(),
            newcomers: 0,
            missed: None,
            deadline,
            panic: None,
        };
        let profile = active.crew.is_watched.then(|| Profile::begin(&self.crew, *active.epoch));
        let outcome = active.run();
        let (cost, panic) = (active.cost, active.panic.take());
        (gate.epoch, gate.caution) = (epoch, caution);
        if let Some(profile) = profile {
            *self.detail.lock() = Some(profile.end(&self.crew, job, epoch, cost, &outcome));
        }
        self.tally.add(&cost);
        let outcome = outcome.inspect(|()| then(&board));
        drop(gate);
        match panic {
            // The launch is over, so no worker uses what unwinding is about to drop.
            Some(payload) => std::panic::resume_unwind(payload),
            None => outcome,
        }
    }

    /// Working memory for the leaves of a launch.
    pub(crate) fn scratch(
        &self,
        description: &Description<'_>,
        leaves: usize,
    ) -> Result<Option<Scratch>, LaunchError> {
        if fork::is_foreign() {
            return Err(LaunchError::Forked);
        }
        match description.scratch_bytes(leaves) {
            0 => Ok(None),
            bytes => Ok(Some(self.shelf.take(bytes)?)),
        }
    }

    pub(crate) fn put_back(&self, scratch: Option<Scratch>) {
        if let Some(scratch) = scratch {
            self.shelf.put(scratch);
        }
    }

    /// Room for the values that kernels of a launch return. Goes back when dropped.
    pub(crate) fn spill(&self) -> Result<Spill<'_>, LaunchError> {
        if fork::is_foreign() {
            return Err(LaunchError::Forked);
        }
        Ok(self.spills.take()?)
    }

    /// Counts of all launches, and the cost of the last one.
    pub(crate) fn totals(&self) -> Totals {
        self.tally.read()
    }

    /// Details of the last launch, if the pool records them. Waits for a running launch if this thread may
    /// wait.
    pub(crate) fn detail(&self) -> Option<Detail> {
        if current::may_wait() {
            drop(self.crew.gate.lock());
        }
        self.detail.lock().clone()
    }

    /// Runs `look` while no launch is on its way; `None` where this thread [may not wait](current::may_pass).
    pub(crate) fn between_launches<R>(&self, look: impl FnOnce() -> R) -> Option<R> {
        if !current::may_pass() {
            return None;
        }
        let _gate = self.crew.gate.lock();
        Some(look())
    }

    /// Makes the calling thread rank 0 until [`Self::leave_seat`].
    pub(crate) fn take_seat(&self) -> bool {
        if self.runs_inline()
            || SEATS.try_with(|seats| seats.borrow().iter().any(|(crew, _)| Arc::ptr_eq(crew, &self.crew)))
                != Ok(false)
        {
            return false;
        }
        let member = Box::new(self.crew.member(0));
        self.crew.exits.iter().for_each(Exits::take_seat);
        with_own(&SEATS, |seats| seats.push((self.crew.clone(), Some(member))));
        true
    }

    pub(crate) fn leave_seat(&self) {
        let left = with_own(&SEATS, |seats| {
            let index = seats.iter().position(|(crew, _)| Arc::ptr_eq(crew, &self.crew))?;
            Some(seats.remove(index))
        });
        // Outside of the borrow: dropping a state runs the program's code, which may use this thread's seats.
        if let Some(member) = left.and_then(|(_crew, member)| member) {
            leave(&self.crew, member);
        }
    }
}

/// Runs the exit function of a pool without workers on this thread, with the states of its launches here.
pub(crate) fn exit_inline(crew: &Crew) {
    if let (CrewKind::Inline, Some(exits)) = (crew.kind, &crew.exits) {
        let ran = inline(|_, member| {
            exits.run_here(member);
            Ok(())
        });
        if let Err(error) = ran {
            exits.fail_here(error.to_string());
        }
    }
}

/// Ends a member in the caller's seat.
fn leave(crew: &Crew, mut member: Box<Member>) {
    state::lose(member.states.ids());
    crew.exits.iter().for_each(|exits| exits.leave_seat(&mut member));
    member.states.let_go(member.rank);
}

/// Puts the member back into its seat when its launch is over, even if that unwinds.
struct PutBack<'a> {
    crew: &'a Arc<Crew>,
    member: Occupant,
}

impl Drop for PutBack<'_> {
    fn drop(&mut self) {
        with_own(&SEATS, |seats| {
            if let Some((_, seat)) = seats.iter_mut().find(|(crew, _)| Arc::ptr_eq(crew, self.crew)) {
                *seat = self.member.take();
            }
        });
        // The seat is gone: a callback of the launch gave it up.
        if let Some(member) = self.member.take() {
            leave(self.crew, member);
        }
    }
}

/// Runs `body` with a driver whose only member is this thread.
fn inline<R>(body: impl FnOnce(&Launcher, &mut Member) -> Result<R, LaunchError>) -> Result<R, LaunchError> {
    let kept = with_own(&INLINE, Vec::pop);
    let (launcher, mut member) = match kept {
        Some(kept) => kept,
        None => new_inline()?,
    };
    let outcome = body(&launcher, &mut member);
    with_own(&INLINE, |free| free.push((launcher, member)));
    outcome
}

fn new_inline() -> Result<(Arc<Launcher>, Member), LaunchError> {
    let broken = |why: String| LaunchError::PoolBroken { reason: why };
    let machine = Machine::from_synthetic("pu:1").map_err(|error| broken(error.to_string()))?;
    let places = plan(&machine, &Limits::of(CpuSet::single(0)), &Request::default())
        .map_err(|error| broken(error.to_string()))?
        .workers;
    let launcher = Launcher::new(CrewPlan::inline(places)).map_err(|error| broken(error.to_string()))?;
    let member = launcher.crew.member(0);
    Ok((Arc::new(launcher), member))
}
