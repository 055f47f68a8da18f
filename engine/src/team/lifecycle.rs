//! How a crew is made, and made larger or smaller.
#![deny(clippy::arithmetic_side_effects)]

use crate::base::atomic::{AtomicU64, Ordering};
use crate::memory::AllocError;
use crate::spawn::log::Relay;
use crate::spawn::oom::OomWatch;
use crate::spawn::watching::Call;
use crate::spawn::{StartError, StartMethod, Starter};
use crate::sys::fork;
use crate::team::control::Control;
use crate::team::crew::{Crew, CrewError, CrewKind, CrewPlan};
use crate::team::gate::Progress;
use crate::team::leave::Leave;
use crate::team::member::SpinBudget;
use crate::team::plate::{self, Plate};
use crate::team::register::Register;
use crate::team::roster::{MemberStage, Roster, RosterSlot};
use crate::team::trace::Trace;
use crate::team::{current, engine, succession};
use parking_lot::{Condvar, FairMutex, Mutex, MutexGuard};
// Plain atomics on purpose: driver memory outside every checked protocol.
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

impl CrewKind {
    /// What a crew of this kind has in memory for its control.
    fn control(self, size: usize) -> Result<Control, AllocError> {
        match self {
            CrewKind::Inline => Control::private(size),
            CrewKind::Threads => Control::of_threads(size),
            CrewKind::Processes(_) => Control::new(size),
        }
    }
}

impl Crew {
    /// Makes a crew and waits until all its members serve.
    pub(crate) fn new(plan: CrewPlan) -> Result<Arc<Crew>, CrewError> {
        let size = plan.places.len();
        let control = plan.kind.control(size).map_err(CrewError::Alloc)?;
        current::forget_in_children();
        let trace = plan.trace.then(|| Trace::new(size)).transpose().map_err(CrewError::Alloc)?;
        let call = Call::new().map_err(CrewError::Os)?;
        let crew = Arc::new(Crew {
            size,
            active: AtomicUsize::new(plan.active),
            there: AtomicUsize::new(plan.active),
            kind: plan.kind,
            label: plan.label,
            orders: control.orders(),
            control,
            register: (plan.kind == CrewKind::Threads).then(|| Arc::new(Register::new(size))),
            gate: FairMutex::default(),
            progress: Progress::new(),
            roster: Mutex::new(Roster::new(size, plan.active)),
            changed: Condvar::new(),
            call,
            oom: OomWatch::new(),
            relay: Relay::default(),
            is_watched: plan.is_watched || plan.trace,
            trace,
            deaths: AtomicU64::new(0),
            newcomers: AtomicU64::new(0),
            patience: SpinBudget::new(plan.crowded, plan.tuning.spin),
            idle_work: plan.idle_work,
            initializer: plan.initializer,
            exits: plan.exits,
            native_threads: plan.native_threads,
            ready_within: plan.ready_within,
            death_observer: OnceLock::new(),
            taken: plan
                .places
                .iter()
                .filter(|_| plan.is_bound)
                .flat_map(|place| place.cpuset.iter())
                .collect(),
            places: plan.places,
            is_bound: plan.is_bound,
            reservation: Mutex::new(plan.reservation),
            crowded: plan.crowded,
            spare_core: plan.spare_core,
            tuning: plan.tuning,
            threads: plan.threads,
            hands: Mutex::new(Vec::new()),
            _shared: (plan.trace && plan.kind == CrewKind::Inline).then(fork::Shared::new),
        });
        crew.orders.set_serving(plan.active);
        crew.roster.lock().plate = crew.new_plate();
        match plan.kind {
            CrewKind::Processes(method) => crew.start_processes(method, plan.preload)?,
            // Threads that were started before one could not be hold the crew: it must be ended by hand.
            CrewKind::Threads => crew.start_threads().inspect_err(|_| crew.end(|| ()))?,
            CrewKind::Inline => {
                crew.roster.lock().slots.iter_mut().for_each(|slot| slot.stage = MemberStage::Ready)
            }
        }
        crew.wait_until_started()?;
        Ok(crew)
    }

    /// What observers see; nothing where the system refuses, since nobody needs it to compute.
    fn new_plate(&self) -> Option<Plate> {
        let [orders, board] = self.control.fds().filter(|_| self.kind != CrewKind::Inline)?;
        let team = plate::Team {
            size: self.size,
            has_threads: self.kind == CrewKind::Threads,
            label: &self.label,
            orders,
            board,
            tasks: self.idle_work.as_ref().map(|plan| plan.segment.fd()),
        };
        Plate::of(&team).ok()
    }

    fn start_processes(
        self: &Arc<Crew>,
        method: StartMethod,
        preload: Option<fn()>,
    ) -> Result<(), CrewError> {
        // The copy that `Fork` works from is the caller as it is now: before we add a thread.
        let early = (method == StartMethod::Fork).then(|| Starter::new(method, preload));
        let native_threads = self.native_threads;
        let crew = self.clone();
        let hand = std::thread::Builder::new()
            .name("phalanx engine".into())
            .spawn(move || {
                engine::run(
                    &crew,
                    early.unwrap_or_else(|| Starter::with_native_threads(method, preload, native_threads)),
                )
            })
            .map_err(CrewError::Os)?;
        self.hands.lock().push(hand);
        Ok(())
    }

    fn wait_until_started(&self) -> Result<(), CrewError> {
        let mut roster = self.roster.lock();
        loop {
            if let Some(error) = roster.start_error.take() {
                drop(roster);
                self.end(|| ());
                return Err(CrewError::Start(error));
            }
            if roster.slots[..roster.active].iter().all(|slot| slot.stage == MemberStage::Ready) {
                roster.refresh();
                roster.started = true;
                return Ok(());
            }
            self.changed.wait(&mut roster);
        }
    }

    /// Makes the team `active` members large. The caller holds the pool's gate, so no launch is on its way.
    /// Those that are too many end when they have done the task they are at; those that are missing are
    /// started, and waited for. If one cannot be started, the team stays as large as it was. Parked members
    /// serve again, or end.
    pub(crate) fn resize(self: &Arc<Crew>, active: usize) -> Result<(), StartError> {
        let active = active.clamp(1, self.size);
        self.set_sizes(active, active)
    }

    /// Has the first `active` members serve, and parks the others: they stay, take part in no launch and no
    /// task, and keep what they have. Otherwise as [`Self::resize`]; a team does not grow by this.
    pub(crate) fn park(self: &Arc<Crew>, active: usize) -> Result<(), StartError> {
        let there = self.roster.lock().there;
        self.set_sizes(active.clamp(1, there), there)
    }

    fn set_sizes(self: &Arc<Crew>, active: usize, there: usize) -> Result<(), StartError> {
        let mut roster = self.roster.lock();
        let (before, there_before) = (roster.active, roster.there);
        roster.start_error = None;
        roster.growing = Some(before);
        let missing = self.set_team(&mut roster, active, there);
        if self.kind == CrewKind::Threads {
            drop(roster);
            let started = missing.into_iter().try_for_each(|rank| self.start_thread(rank));
            roster = self.roster.lock();
            if let Err(error) = started {
                roster.start_error.get_or_insert(StartError::CannotServe { why: error.to_string() });
            }
        } else {
            missing.into_iter().for_each(|rank| succession::want(&mut roster, rank, Duration::ZERO));
            self.call_engine();
        }
        while roster.broken.is_none() && roster.start_error.is_none() && roster.everyone.is_none() {
            self.changed.wait(&mut roster);
        }
        roster.growing = None;
        let broken = roster.broken.as_ref().map(|why| StartError::CannotServe { why: why.clone() });
        if roster.everyone.is_some() && broken.is_none() {
            return Ok(());
        }
        if broken.is_none() && active > before {
            let there = roster.there.min(there_before).max(before);
            self.set_team(&mut roster, before, there);
        }
        roster.start_error.take().or(broken).map_or(Ok(()), Err)
    }

    /// Has the team reach up to `active`, and keeps members up to `there`: dismisses the ranks beyond, and
    /// gives those that are missing, which are to be started.
    fn set_team(&self, roster: &mut MutexGuard<'_, Roster>, active: usize, there: usize) -> Vec<usize> {
        let before = std::mem::replace(&mut roster.active, active);
        let there_before = std::mem::replace(&mut roster.there, there);
        self.active.store(active, Ordering::Relaxed);
        self.there.store(there, Ordering::Relaxed);
        self.orders.set_serving(active);
        let board = self.board();
        for rank in active..there_before.max(before) {
            let slot = &mut roster.slots[rank];
            // One that is only coming is not worth keeping.
            if rank >= there || slot.stage != MemberStage::Ready {
                self.dismiss(rank, slot);
            }
        }
        for rank in before..active {
            let slot = &mut roster.slots[rank];
            // Still at the task that it was to finish: it need not end at all. One that has asked for leave
            // serves no more tasks.
            if slot.stage == MemberStage::Leaving
                && !slot.is_retiring
                && self.with_leave(rank, Leave::withdraw)
            {
                slot.stage = MemberStage::Ready;
            }
            if slot.stage == MemberStage::Ready {
                self.death_observer().inspect(|death_observer| death_observer.joined());
            }
        }
        board.fork_join(&self.orders).ring_for_all();
        let missing: Vec<usize> =
            (before..active).filter(|rank| roster.slots[*rank].stage == MemberStage::Absent).collect();
        missing.iter().for_each(|rank| roster.slots[*rank].stage = MemberStage::Starting);
        roster.refresh();
        missing
    }

    /// Lets the member of a rank end that the team no longer has, or gives up its start.
    fn dismiss(&self, rank: usize, slot: &mut RosterSlot) {
        slot.start_at = None;
        slot.is_dismissed = slot.is_coming();
        self.let_go_of(rank, slot);
        if slot.stage != MemberStage::Leaving && !slot.kill() {
            slot.stage = MemberStage::Absent;
        }
    }
}
