//! A crew: the members of one pool, of whatever kind, and what the driver does with them between launches.
#![deny(clippy::arithmetic_side_effects)]

use crate::base::atomic::{AtomicU64, Ordering};
use crate::memory::{AllocError, Segment, SegmentId, registry};
use crate::sys::{descriptor, fork};
use crate::team::board::{Board, Order, Orders, WireBytes};
use crate::team::control::Control;
use crate::team::end::{self, Gate, Progress};
use crate::team::errand::{Bereaved, ErrandPlan};
use crate::team::leave::Leave;
use crate::team::log::Relay;
use crate::team::mail::Welcome;
use crate::team::member::{Extent, Member, Patience, Segments};
use crate::team::oom::OomWatch;
use crate::team::opening::Opening;
use crate::team::register::Register;
use crate::team::roster::{Roster, Slot, Stage};
use crate::team::start::{StartError, StartMethod, Starter};
use crate::team::state::States;
use crate::team::trace::{Trace, trace_bytes};
use crate::team::{burial, current, engine, log, succession, text};
use crate::topology::{CpuSet, MemoryPolicy, WorkerPlace, bind_memory, bind_thread};
use parking_lot::{Condvar, FairMutex, Mutex, MutexGuard};
use std::os::fd::OwnedFd;
// Plain atomics on purpose: driver memory outside every checked protocol.
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, OnceLock, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

/// What members are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Processes(StartMethod),
    Threads,
    /// No members: the caller does everything.
    Inline,
}

/// How a crew is to be made.
pub(crate) struct Plan {
    pub(crate) kind: Kind,
    pub(crate) places: Vec<WorkerPlace>,
    /// How many of them the team has at first.
    pub(crate) active: usize,
    pub(crate) is_bound: bool,
    pub(crate) crowded: bool,
    pub(crate) spare_core: bool,
    pub(crate) threads: usize,
    pub(crate) label: String,
    pub(crate) preload: Option<fn()>,
    /// Whether each launch is looked at more closely.
    pub(crate) is_watched: bool,
    pub(crate) trace: bool,
    /// What members do between launches.
    pub(crate) errands: Option<ErrandPlan>,
    /// What members run before they serve.
    pub(crate) opening: Option<Arc<Opening>>,
    /// What native libraries in worker processes are told of how many threads to use.
    pub(crate) native_threads: Option<usize>,
}

impl Plan {
    /// A crew without members.
    pub(crate) fn inline(places: Vec<WorkerPlace>) -> Plan {
        Plan {
            kind: Kind::Inline,
            active: places.len(),
            places,
            is_bound: false,
            crowded: false,
            spare_core: false,
            threads: 1,
            label: String::new(),
            preload: None,
            is_watched: false,
            trace: false,
            errands: None,
            opening: None,
            native_threads: None,
        }
    }
}

/// The members of one pool as driver and engine thread share them.
pub(crate) struct Crew {
    /// Places for members. How many of them are the team, see [`Crew::active`].
    pub(crate) size: usize,
    active: AtomicUsize,
    pub(crate) kind: Kind,
    /// Stands before the rank in a worker's name.
    pub(crate) label: String,
    pub(crate) control: Control,
    pub(crate) orders: Orders,
    /// Where members are threads: what they note of themselves.
    pub(crate) register: Option<Arc<Register>>,
    /// Launches from several threads pass in the order in which they came, and so does the end.
    pub(crate) gate: FairMutex<Gate>,
    pub(crate) progress: Progress,
    pub(crate) roster: Mutex<Roster>,
    /// Slots changed.
    pub(crate) changed: Condvar,
    /// Wakes the engine thread.
    pub(crate) call: OwnedFd,
    pub(crate) oom: OomWatch,
    /// To the program's log subscriber.
    pub(crate) relay: Relay,
    /// Whether each launch is looked at more closely.
    pub(crate) is_watched: bool,
    pub(crate) trace: Option<Trace>,
    /// Deaths so far; counted before the dead are struck off the launch.
    pub(crate) deaths: AtomicU64,
    /// Workers that got ready so far.
    pub(crate) newcomers: AtomicU64,
    pub(crate) patience: Patience,
    pub(crate) errands: Option<ErrandPlan>,
    pub(crate) opening: Option<Arc<Opening>>,
    native_threads: Option<usize>,
    /// Who is told of deaths, beside the launch.
    pub(crate) bereaved: OnceLock<Weak<dyn Bereaved>>,
    places: Vec<WorkerPlace>,
    is_bound: bool,
    crowded: bool,
    spare_core: bool,
    threads: usize,
    pub(crate) hands: Mutex<Vec<JoinHandle<()>>>,
    /// A fork would leave its trace behind. (With members there are threads, and no fork.)
    _shared: Option<fork::Shared>,
}

/// Why a crew cannot be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CrewError {
    #[error(transparent)]
    Start(StartError),
    #[error(transparent)]
    Alloc(AllocError),
    #[error(transparent)]
    Os(std::io::Error),
}

impl Crew {
    /// Makes a crew and waits until all its members serve.
    pub(crate) fn new(plan: Plan) -> Result<Arc<Crew>, CrewError> {
        let size = plan.places.len();
        let control = match plan.kind {
            Kind::Inline => Control::private(size),
            Kind::Threads => Control::of_threads(size),
            Kind::Processes(_) => Control::new(size),
        };
        let control = control.map_err(CrewError::Alloc)?;
        current::forget_in_children();
        let trace = plan.trace.then(|| Trace::new(size)).transpose().map_err(CrewError::Alloc)?;
        let call = descriptor::counter().map_err(CrewError::Os)?;
        let crew = Arc::new(Crew {
            size,
            active: AtomicUsize::new(plan.active),
            kind: plan.kind,
            label: plan.label,
            orders: control.orders(),
            control,
            register: (plan.kind == Kind::Threads).then(|| Arc::new(Register::new(size))),
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
            patience: Patience::new(plan.crowded),
            errands: plan.errands,
            opening: plan.opening,
            native_threads: plan.native_threads,
            bereaved: OnceLock::new(),
            places: plan.places,
            is_bound: plan.is_bound,
            crowded: plan.crowded,
            spare_core: plan.spare_core,
            threads: plan.threads,
            hands: Mutex::new(Vec::new()),
            _shared: (plan.trace && plan.kind == Kind::Inline).then(fork::Shared::new),
        });
        match plan.kind {
            Kind::Processes(method) => crew.start_processes(method, plan.preload)?,
            // Threads that were started before one could not be hold the crew: it must be ended by hand.
            Kind::Threads => crew.start_threads().inspect_err(|_| crew.end(|| ()))?,
            Kind::Inline => crew.roster.lock().slots.iter_mut().for_each(|slot| slot.stage = Stage::Ready),
        }
        crew.wait_until_started()?;
        Ok(crew)
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
            if roster.slots[..roster.active].iter().all(|slot| slot.stage == Stage::Ready) {
                roster.refresh();
                roster.started = true;
                return Ok(());
            }
            self.changed.wait(&mut roster);
        }
    }

    /// Members of the team now.
    #[inline]
    pub(crate) fn active(&self) -> usize {
        self.active.load(Ordering::Relaxed)
    }

    /// Makes the team `active` members large. The caller holds the pool's gate, so no launch is on its way. Those that are too many
    /// end when they have done the task they are at; those that are missing are started, and waited for. If one cannot be started,
    /// the team stays as large as it was.
    pub(crate) fn resize(self: &Arc<Crew>, active: usize) -> Result<(), StartError> {
        let active = active.clamp(1, self.size);
        let mut roster = self.roster.lock();
        let before = roster.active;
        roster.start_error = None;
        roster.growing = Some(before);
        let missing = self.set_team(&mut roster, active);
        if self.kind == Kind::Threads {
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
            self.set_team(&mut roster, before);
        }
        roster.start_error.take().or(broken).map_or(Ok(()), Err)
    }

    /// Has the team reach up to `active`: dismisses the ranks beyond, and gives those that are missing, which are to be started.
    fn set_team(&self, roster: &mut MutexGuard<'_, Roster>, active: usize) -> Vec<usize> {
        let before = std::mem::replace(&mut roster.active, active);
        self.active.store(active, Ordering::Relaxed);
        let board = self.board();
        for rank in active..before {
            roster.slots[rank].start_at = None;
            roster.slots[rank].is_dismissed = roster.slots[rank].is_coming();
            end::give_leave(self, rank, &mut roster.slots[rank]);
            let slot = &mut roster.slots[rank];
            if slot.stage != Stage::Leaving && !slot.kill() {
                slot.stage = Stage::Absent;
            }
        }
        for rank in before..active {
            let slot = &mut roster.slots[rank];
            // Still at the task that it was to finish: it need not end at all. One that has asked for leave serves no more tasks.
            if slot.stage == Stage::Leaving && !slot.is_retiring && self.with_leave(rank, Leave::withdraw) {
                slot.stage = Stage::Ready;
                self.bereaved().inspect(|bereaved| bereaved.joined());
            }
        }
        board.muster(&self.orders).ring();
        let missing: Vec<usize> =
            (before..active).filter(|rank| roster.slots[*rank].stage == Stage::Absent).collect();
        missing.iter().for_each(|rank| roster.slots[*rank].stage = Stage::Starting);
        roster.refresh();
        missing
    }

    /// Makes the engine thread look round.
    pub(crate) fn call_engine(&self) {
        // The counter of an eventfd cannot overflow by ones.
        let _woken = rustix::io::write(&self.call, &1u64.to_ne_bytes());
    }

    /// The board as mapped here.
    pub(crate) fn board(&self) -> Board {
        self.control.board()
    }

    /// A member with this process's view of board, orders and segments.
    pub(crate) fn member(&self, rank: usize) -> Member {
        Member {
            rank,
            orders: self.orders,
            board: self.board(),
            segments: Box::new(InProcess),
            victims: self.victims(rank),
            states: States::default(),
            threads: None,
            patience: self.patience,
            tracer: self.trace.as_ref().map(|trace| trace.tracer(rank)),
            mail_seen: 0,
            register: self.register.clone(),
            errands: None,
            is_retiring: false,
            deadline: None,
        }
    }

    fn victims(&self, rank: usize) -> Vec<u32> {
        self.places[rank].steal_order.iter().map(|other| *other as u32).collect()
    }

    /// Whether members outnumber the cores that they may use.
    pub(crate) fn is_crowded(&self) -> bool {
        self.crowded
    }

    /// Whether the driver has a core to itself while all members run.
    pub(crate) fn has_spare_core(&self) -> bool {
        self.spare_core
    }

    /// The CPUs that a rank is bound to; `None` if it is not.
    pub(crate) fn cpus_of(&self, rank: usize) -> Option<&CpuSet> {
        self.is_bound.then_some(&self.places[rank].cpuset)
    }

    /// Binds the calling thread to a rank's place; says what was refused.
    pub(crate) fn bind_here(&self, rank: usize) -> Vec<String> {
        let place = &self.places[rank];
        bind_to(self.is_bound.then_some(&place.cpuset), place.memory_node)
    }

    /// Binds the calling thread to a rank's CPUs only.
    pub(crate) fn bind_cpus_here(&self, rank: usize) -> Vec<String> {
        bind_to(self.is_bound.then_some(&self.places[rank].cpuset), None)
    }

    pub(super) fn welcome_for_thread(&self, rank: usize) -> Welcome {
        Welcome {
            rank: rank as u32,
            size: self.size as u32,
            member: 0,
            arena: 0,
            arena_len: 0,
            cpus: if self.is_bound { self.places[rank].cpuset.iter().collect() } else { Vec::new() },
            node: self.places[rank].memory_node,
            victims: self.victims(rank),
            threads: self.threads as u32,
            crowded: self.crowded,
            trace_len: self.trace.as_ref().map_or(0, |_| trace_bytes(self.size) as u64),
            log_level: log::level_code(),
            errands: (0, 0),
            opening: None,
        }
    }

    /// What a new worker process of `rank` is told.
    pub(crate) fn welcome_for(
        &self,
        rank: usize,
        member: u32,
        arena: &Segment,
    ) -> Result<Welcome, StartError> {
        let errands = match &self.errands {
            Some(plan) => (plan.segment.len_bytes() as u64, text::offset_of(plan.open as usize)?),
            None => (0, 0),
        };
        Ok(Welcome {
            member,
            arena: arena.id().0,
            arena_len: arena.len_bytes() as u64,
            errands,
            opening: self.opening.as_ref().map(|opening| opening.wire()).transpose()?,
            ..self.welcome_for_thread(rank)
        })
    }

    /// Tells whoever is told of deaths.
    pub(crate) fn bereaved(&self) -> Option<Arc<dyn Bereaved>> {
        self.bereaved.get().and_then(Weak::upgrade)
    }

    /// Lets the members end that asked for it, if no launch is on its way; returns whether some still wait.
    pub(crate) fn give_leave(&self) -> bool {
        let mut roster = self.roster.lock();
        if !roster.slots.iter().any(Slot::wants_leave) {
            return false;
        }
        let board = self.board();
        let muster = board.muster(&self.orders);
        if !muster.is_over() {
            return true;
        }
        // No launch can be opened while the roster is locked, and none will count on those that leave.
        for (rank, slot) in roster.slots.iter_mut().enumerate() {
            if slot.wants_leave() {
                end::give_leave(self, rank, slot);
            }
        }
        roster.refresh();
        muster.ring();
        false
    }

    /// Kills the member of that id, if it is still there.
    pub(crate) fn kill_member(&self, member: u32) -> bool {
        let roster = self.roster.lock();
        roster.slots.iter().find(|slot| slot.member == member).is_some_and(Slot::kill)
    }

    /// Writes the next order. The caller holds the gate, and the last launch is over.
    #[allow(unsafe_code)]
    pub(crate) fn write_order(&self, order: &Order, wire: WireBytes<'_>) {
        // SAFETY: our mapping is writable; one driver at a time by the caller's word, and no member is in a launch,
        // since the last one is over.
        unsafe { self.orders.write(order, wire) }
    }

    /// Kills the members that have not finished, as far as they can be killed; their deaths end the launch.
    pub(crate) fn kill_unfinished(&self) -> Vec<usize> {
        let mut roster = self.roster.lock();
        roster.abandoned = roster.epoch;
        burial::release(self, &mut roster);
        let unfinished = self.board().muster(&self.orders).unfinished();
        let killed = unfinished.iter().filter(|rank| roster.slots[*rank].kill());
        killed.collect()
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        if fork::is_foreign() {
            // The threads are the parent's: there is nothing here to let go of.
            std::mem::forget(std::mem::take(self.hands.get_mut()));
        }
    }
}

/// Binds the calling thread; says what was refused.
pub(crate) fn bind_to(cpuset: Option<&crate::topology::CpuSet>, node: Option<u32>) -> Vec<String> {
    let mut refused = Vec::new();
    if let Some(cpuset) = cpuset {
        let binding = bind_thread(cpuset);
        if !binding.is_bound() {
            refused.push(format!("binding to CPUs {cpuset}: {binding}"));
        }
    }
    if let Some(node) = node {
        let binding = bind_memory(MemoryPolicy::Preferred(node));
        if !binding.is_bound() {
            refused.push(format!("preferring memory of node {node}: {binding}"));
        }
    }
    refused
}

/// Segments as members in the driver's own process see them.
pub(crate) struct InProcess;

impl Segments for InProcess {
    fn attach(&mut self, id: u64, _writable: bool) -> Result<Extent, String> {
        // The launch borrows the array, which keeps the segment alive until every member is done.
        let segment = registry::lookup(SegmentId(id)).ok_or_else(|| format!("segment {id} is gone"))?;
        Ok(Extent { base: segment.base().as_ptr(), len_bytes: segment.len_bytes() })
    }

    fn retired_states(&mut self, held: &States) -> Vec<u64> {
        held.orphans()
    }
}
