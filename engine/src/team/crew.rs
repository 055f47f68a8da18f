//! A crew: the members of one pool, of whatever kind, and what the driver does with them between launches.
#![deny(clippy::arithmetic_side_effects)]

use crate::base::atomic::{AtomicU64, Ordering};
use crate::code;
use crate::memory::{AllocError, Segment};
use crate::spawn::log::{self, Relay};
use crate::spawn::oom::OomWatch;
use crate::spawn::watching::Call;
use crate::spawn::{StartError, StartMethod};
use crate::sys::{affinity, fork};
use crate::team::board::Board;
use crate::team::control::Control;
use crate::team::exit_function::Exits;
use crate::team::fork_join::TeamSize;
use crate::team::gate::{Gate, Passage, Phase, Progress};
use crate::team::idle_work::{DeathObserver, IdleWorkPlan};
use crate::team::in_process::InProcess;
use crate::team::initializer::Initializer;
use crate::team::leave::Leave;
use crate::team::member::{Member, SpinBudget};
use crate::team::orders::{Order, Orders, WireBytes};
use crate::team::register::Register;
use crate::team::roster::{MemberStage, Roster, RosterSlot};
use crate::team::state::States;
use crate::team::trace::{Trace, trace_bytes};
use crate::team::welcome::Welcome;
use crate::topology::{CpuSet, Reservation, WorkerPlace, bind_to};
use crate::tuning::Tuning;
use parking_lot::{Condvar, FairMutex, Mutex};
// Plain atomics on purpose: driver memory outside every checked protocol.
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, OnceLock, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// What members are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CrewKind {
    Processes(StartMethod),
    Threads,
    /// No members: the caller does everything.
    Inline,
}

/// How a crew is to be made.
pub(crate) struct CrewPlan {
    pub(crate) kind: CrewKind,
    pub(crate) places: Vec<WorkerPlace>,
    /// How many of them the team has at first.
    pub(crate) active: usize,
    pub(crate) is_bound: bool,
    /// Keeps the cores of the places from other pools.
    pub(crate) reservation: Option<Reservation>,
    pub(crate) crowded: bool,
    pub(crate) spare_core: bool,
    pub(crate) tuning: Tuning,
    pub(crate) threads: usize,
    pub(crate) label: String,
    pub(crate) preload: Option<fn()>,
    /// Whether each launch is looked at more closely.
    pub(crate) is_watched: bool,
    pub(crate) trace: bool,
    /// What members do between launches.
    pub(crate) idle_work: Option<IdleWorkPlan>,
    /// What members run before they serve.
    pub(crate) initializer: Option<Arc<Initializer>>,
    /// What members run before they end.
    pub(crate) exits: Option<Exits>,
    /// How many threads native libraries in worker processes should use.
    pub(crate) native_threads: Option<usize>,
    /// How long a worker that was started may take until it serves.
    pub(crate) ready_within: Duration,
}

/// Enough for a worker whose initializer does not take long.
pub(crate) const READY_WITHIN: Duration = Duration::from_secs(10);

impl CrewPlan {
    /// A crew without members.
    pub(crate) fn inline(places: Vec<WorkerPlace>) -> CrewPlan {
        CrewPlan {
            kind: CrewKind::Inline,
            active: places.len(),
            places,
            is_bound: false,
            reservation: None,
            crowded: false,
            spare_core: false,
            tuning: Tuning::default(),
            threads: 1,
            label: String::new(),
            preload: None,
            is_watched: false,
            trace: false,
            idle_work: None,
            initializer: None,
            exits: None,
            native_threads: None,
            ready_within: READY_WITHIN,
        }
    }
}

/// The members of one pool as driver and engine thread share them.
pub(crate) struct Crew {
    /// Places for members. How many of them are the team, see [`Crew::active`].
    pub(crate) size: usize,
    pub(super) active: AtomicUsize,
    /// How many are there, the parked ones included.
    pub(super) there: AtomicUsize,
    pub(crate) kind: CrewKind,
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
    pub(crate) call: Call,
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
    pub(crate) patience: SpinBudget,
    pub(crate) idle_work: Option<IdleWorkPlan>,
    pub(crate) initializer: Option<Arc<Initializer>>,
    pub(crate) exits: Option<Exits>,
    pub(super) native_threads: Option<usize>,
    pub(super) ready_within: Duration,
    /// Observers of deaths, beside the launch.
    pub(crate) death_observer: OnceLock<Weak<dyn DeathObserver>>,
    pub(super) places: Vec<WorkerPlace>,
    pub(super) is_bound: bool,
    /// Until the members are gone.
    pub(super) reservation: Mutex<Option<Reservation>>,
    pub(super) crowded: bool,
    pub(super) spare_core: bool,
    /// The CPUs that members are bound to.
    pub(super) taken: CpuSet,
    pub(crate) tuning: Tuning,
    pub(super) threads: usize,
    pub(crate) hands: Mutex<Vec<JoinHandle<()>>>,
    /// A fork would leave its trace behind. (With members there are threads, and no fork.)
    pub(super) _shared: Option<fork::Shared>,
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
    /// Members of the team now.
    #[inline]
    pub(crate) fn active(&self) -> usize {
        self.active.load(Ordering::Relaxed)
    }

    /// Members of the team now, and those that are parked.
    pub(crate) fn team(&self) -> TeamSize {
        TeamSize { serving: self.active(), there: self.there.load(Ordering::Relaxed) }
    }

    /// Whether the end has come so far.
    #[inline]
    pub(crate) fn has_reached(&self, phase: Phase) -> bool {
        self.progress.has_reached(phase)
    }

    /// Notes how far the end has come. Never blocks.
    pub(crate) fn reach(&self, phase: Phase) {
        self.progress.reach(phase);
    }

    /// Waits for the gate, at most until the deadline.
    #[inline]
    pub(crate) fn pass_gate(&self, deadline: Option<Instant>) -> Passage<'_> {
        // Whoever ends the pool tells receivers behind the gate, and they may launch.
        if self.has_reached(Phase::Ending) {
            return Passage::Closed;
        }
        let gate = match deadline {
            None => self.gate.lock(),
            Some(at) => match self.gate.try_lock_until(at) {
                Some(gate) => gate,
                None => return Passage::Late,
            },
        };
        if self.has_reached(Phase::Ending) { Passage::Closed } else { Passage::Open(gate) }
    }

    /// Calls `then` with the word by which the member of that rank is let go.
    pub(crate) fn with_leave<R>(&self, rank: usize, then: impl FnOnce(&Leave) -> R) -> R {
        match &self.register {
            Some(register) => then(register.leave(rank)),
            None => then(&self.board().status(rank).leave),
        }
    }

    /// Makes the engine thread look round.
    pub(crate) fn call_engine(&self) {
        self.call.ring();
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
            idle_work: None,
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

    /// Whether the calling thread has a core to itself now, while all members run. Where members leave a core,
    /// the driver need not be on it: the kernel moves it there late, or not at all while it does not sleep.
    pub(crate) fn is_on_spare_core(&self) -> bool {
        self.spare_core && !self.taken.contains(affinity::current_cpu())
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
            spin: self.tuning.spin,
            trace_len: self.trace.as_ref().map_or(0, |_| trace_bytes(self.size) as u64),
            log_level: log::level_code(),
            idle_work: (0, 0),
            initializer: None,
            exit: None,
        }
    }

    /// What a new worker process of `rank` receives.
    pub(crate) fn welcome_for(
        &self,
        rank: usize,
        member: u32,
        arena: &Segment,
    ) -> Result<Welcome, StartError> {
        let idle_work = match &self.idle_work {
            Some(plan) => (plan.segment.len_bytes() as u64, code::offset_of(plan.open as usize)?),
            None => (0, 0),
        };
        Ok(Welcome {
            member,
            arena: arena.id().0,
            arena_len: arena.len_bytes() as u64,
            idle_work,
            initializer: self.initializer.as_ref().map(|initializer| initializer.wire()).transpose()?,
            exit: self.exits.as_ref().map(Exits::wire).transpose()?,
            ..self.welcome_for_thread(rank)
        })
    }

    /// Informs the observers of deaths.
    pub(crate) fn death_observer(&self) -> Option<Arc<dyn DeathObserver>> {
        self.death_observer.get().and_then(Weak::upgrade)
    }

    /// Lets the members end that asked for it, if no launch is on its way; returns whether some still wait.
    pub(crate) fn give_leave(&self) -> bool {
        let mut roster = self.roster.lock();
        if !roster.slots.iter().any(RosterSlot::wants_leave) {
            return false;
        }
        let board = self.board();
        let fork_join = board.fork_join(&self.orders);
        if !fork_join.is_over() {
            return true;
        }
        // No launch can be opened while the roster is locked, and none will count on those that leave.
        for (rank, slot) in roster.slots.iter_mut().enumerate() {
            if slot.wants_leave() {
                self.let_go_of(rank, slot);
            }
        }
        roster.refresh();
        fork_join.ring();
        false
    }

    /// Lets the member of that rank end, if it serves. The roster is locked, and no launch is on its way.
    pub(crate) fn let_go_of(&self, rank: usize, slot: &mut RosterSlot) {
        if slot.stage == MemberStage::Ready {
            slot.stage = MemberStage::Leaving;
            slot.leaving_since = Instant::now();
            self.with_leave(rank, Leave::give);
        }
    }

    /// How long a worker that may end may take from the last news of it; `gone_within` if it has no exit
    /// function to run any more.
    pub(crate) fn patience(&self, slot: &RosterSlot, gone_within: Duration) -> Duration {
        self.exits.as_ref().map_or(gone_within, |exits| exits.patience(&slot.exit, gone_within))
    }

    /// Whether the present worker of that rank has had anything to serve, or could have had.
    pub(crate) fn has_joined(&self, rank: usize, slot: &RosterSlot) -> bool {
        // It may begin with a task before we hear that it is ready.
        matches!(slot.stage, MemberStage::Ready | MemberStage::Leaving)
            || self.board().status(rank).served() != slot.served_at_start
    }

    /// Kills the member of that id, if it is still there.
    pub(crate) fn kill_member(&self, member: u32) -> bool {
        let roster = self.roster.lock();
        roster.slots.iter().find(|slot| slot.member == member).is_some_and(RosterSlot::kill)
    }

    /// Writes the next order.
    ///
    /// # Safety
    /// The caller holds the gate, and the last launch, or the last round of this one, is over.
    #[allow(unsafe_code)]
    pub(crate) unsafe fn write_order(&self, order: &Order, wire: WireBytes<'_>) {
        // SAFETY: our mapping is writable; by the caller's word there is one driver at a time, and no member
        // is in a launch.
        unsafe { self.orders.write(order, wire) }
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
