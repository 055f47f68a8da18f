//! The roster: who is in the team, and what has become of them. Driver memory only.

use crate::memory::Segment;
use crate::spawn::{ExitCause, WorkerProcess};
use crate::team::exit_function::ExitProgress;
use crate::team::fork_join::RankSet;
use crate::team::plate::{LastDeath, Plate, Row};
use crate::team::record::Record;
use crate::team::state;
use rustc_hash::FxHashSet;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What a rank's worker is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MemberStage {
    /// Nobody: the team is smaller.
    Absent,
    /// Being started.
    Starting,
    /// Serves launches.
    Ready,
    /// Was given leave to end; a successor follows.
    Leaving,
    /// Its death is confirmed; a successor is not started yet.
    Dead,
}

impl MemberStage {
    /// As plates tell it.
    pub(crate) fn code(self) -> u32 {
        match self {
            MemberStage::Absent => 0,
            MemberStage::Starting => 1,
            MemberStage::Ready => 2,
            MemberStage::Leaving => 3,
            MemberStage::Dead => 4,
        }
    }
}

/// How long a worker took to be ready.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct StartTimes {
    /// From when its process or thread ran.
    pub(crate) starting: Duration,
    /// Of that, in the pool's initializer.
    pub(crate) initializing: Duration,
}

/// One rank.
#[derive(Debug)]
pub(crate) struct RosterSlot {
    pub(crate) stage: MemberStage,
    pub(crate) process: Option<Arc<WorkerProcess>>,
    /// Identity of the present worker in words of shared memory.
    pub(crate) member: u32,
    /// Segments sent to the present worker.
    pub(crate) known: FxHashSet<u64>,
    /// Handles of per-worker state that the present worker may hold states of.
    pub(crate) states: FxHashSet<u64>,
    /// The launch in progress waits for the successor of this one, who died before it had entered.
    pub(crate) owed: Option<DeathRecord>,
    /// How many of its workers have died, and how the last one did.
    pub(crate) deaths: u32,
    pub(crate) last_death: Option<LastDeath>,
    /// What its workers' deaths say against the rank.
    pub(crate) record: Record,
    /// When the next worker is to be started, if one is wanted.
    pub(crate) start_at: Option<Instant>,
    /// A worker is being started that has not answered yet.
    pub(crate) is_underway: bool,
    /// Its start was of a larger team that came to nothing: whatever becomes of it is nobody's news.
    pub(crate) is_dismissed: bool,
    /// Since when workers cannot be started.
    pub(crate) hindered_since: Option<Instant>,
    /// What the present worker needs before it is ready, and was not sent for want of room.
    pub(crate) outbox: VecDeque<Arc<Segment>>,
    /// When the present worker was started.
    pub(crate) started: Instant,
    pub(crate) start_times: StartTimes,
    /// What its status said it had served then.
    pub(crate) served_at_start: u64,
    /// It asked for leave, and runs no more tasks.
    pub(crate) is_retiring: bool,
    /// Since when it may end and is at no task any more, where it [leaves](MemberStage::Leaving), or when it
    /// last told of its exit function.
    pub(crate) leaving_since: Instant,
    /// How far the present worker has come with the pool's exit function.
    pub(crate) exit: ExitProgress,
    /// What the machine refused this worker.
    pub(crate) refused: Vec<String>,
}

impl RosterSlot {
    /// The present worker is gone, and its states with it; at the end of the pool that is nobody's loss.
    pub(crate) fn lose_states(&mut self, dissolving: bool) {
        let states = std::mem::take(&mut self.states);
        if !dissolving {
            state::lose(states);
        }
    }

    fn new(stage: MemberStage) -> RosterSlot {
        RosterSlot {
            stage,
            process: None,
            member: 0,
            known: FxHashSet::default(),
            states: FxHashSet::default(),
            owed: None,
            deaths: 0,
            last_death: None,
            record: Record::default(),
            start_at: None,
            is_underway: false,
            is_dismissed: false,
            hindered_since: None,
            outbox: VecDeque::new(),
            started: Instant::now(),
            start_times: StartTimes::default(),
            served_at_start: 0,
            is_retiring: false,
            leaving_since: Instant::now(),
            exit: ExitProgress::default(),
            refused: Vec::new(),
        }
    }

    /// The process that serves; 0 if none does.
    pub(crate) fn pid(&self) -> u32 {
        let serves = matches!(self.stage, MemberStage::Ready | MemberStage::Leaving);
        self.process.as_ref().filter(|_| serves).map_or(0, |process| process.pid)
    }

    /// What observers see of the rank.
    fn row(&self) -> Row {
        let pid = self.process.as_ref().map_or(0, |process| process.pid);
        Row::new(pid, self.stage.code(), self.deaths, self.last_death)
    }

    /// Somebody is being started who does not serve yet.
    pub(crate) fn is_coming(&self) -> bool {
        self.is_underway || (self.stage == MemberStage::Starting && self.process.is_some())
    }

    /// It asked for leave, and was given none so far.
    pub(crate) fn wants_leave(&self) -> bool {
        self.is_retiring && self.stage == MemberStage::Ready
    }

    /// Nobody is there any more.
    pub(crate) fn vacate(&mut self) {
        self.process = None;
        self.outbox.clear();
        self.stage = MemberStage::Dead;
    }

    /// Kills the present worker, since it has had its time.
    pub(crate) fn hasten(&mut self) {
        self.exit.is_overdue |= self.kill();
    }

    /// Kills the present worker; false if there is none that can be killed.
    pub(crate) fn kill(&self) -> bool {
        self.process.as_ref().inspect(|process| process.kill()).is_some()
    }
}

/// A worker's death.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DeathRecord {
    pub(crate) rank: usize,
    /// Its identity in words of shared memory.
    pub(crate) member: u32,
    pub(crate) pid: u32,
    pub(crate) cause: ExitCause,
    /// Whether the kernel killed it for want of memory, as far as can be known.
    pub(crate) oom: bool,
    /// The launch it had entered and not finished.
    pub(crate) in_launch: bool,
    /// The claim unit it was working on.
    pub(crate) unit: Option<u64>,
}

/// The team's state, under one lock that is held while a launch is opened and while a death is recorded.
#[derive(Debug)]
pub(crate) struct Roster {
    pub(crate) slots: Vec<RosterSlot>,
    /// Deaths that the launch in progress has not looked at yet.
    pub(crate) death_records: Vec<DeathRecord>,
    /// Why the team serves no more.
    pub(crate) broken: Option<String>,
    /// All workers have served once: the pool is made.
    pub(crate) started: bool,
    /// The start failed with this; taken by whoever makes the pool.
    pub(crate) start_error: Option<crate::spawn::StartError>,
    /// The pool ends: nobody is started any more.
    pub(crate) dissolving: bool,
    /// Number of the newest launch that was opened.
    pub(crate) epoch: u64,
    /// The newest launch that waits for nobody's successor any more.
    pub(crate) abandoned: u64,
    /// Workers replaced so far, because they died.
    pub(crate) respawns: u64,
    /// Workers replaced so far, because they asked for it.
    pub(crate) retirements: u64,
    /// Segment ids that every ready worker has; the second, that every one but rank 0 has (whose seat the
    /// driver takes).
    pub(crate) common: [FxHashSet<u64>; 2],
    /// The registry's drop count when retired segments and handles were last looked for.
    pub(crate) drops_seen: u64,
    /// Packets sent to workers so far; see `Order::mail`.
    pub(crate) mail: u64,
    /// Ranks below this are the team; others are parked, not there, or about to leave.
    pub(crate) active: usize,
    /// Ranks from `active` up to this are parked, unless they have ended.
    pub(crate) there: usize,
    /// While the team is made larger: how large it was. What goes wrong with those that come is told to
    /// whoever makes it so.
    pub(crate) growing: Option<usize>,
    /// Why a worker could not be started, the last time.
    pub(crate) hindrance: Option<String>,
    /// What observers in other programs see.
    pub(crate) plate: Option<Plate>,
    /// Every rank of the team, if all are ready.
    pub(crate) everyone: Option<RankSet>,
}

impl Roster {
    /// With places for `size`, of which the first `active` are the team.
    pub(crate) fn new(size: usize, active: usize) -> Roster {
        Roster {
            slots: (0..size)
                .map(|rank| {
                    RosterSlot::new(if rank < active { MemberStage::Starting } else { MemberStage::Absent })
                })
                .collect(),
            death_records: Vec::new(),
            broken: None,
            started: false,
            start_error: None,
            dissolving: false,
            epoch: 0,
            abandoned: 0,
            respawns: 0,
            retirements: 0,
            common: Default::default(),
            drops_seen: 0,
            mail: 0,
            active,
            there: active,
            growing: None,
            hindrance: None,
            plate: None,
            everyone: None,
        }
    }

    /// Notes that slots have changed.
    pub(crate) fn refresh(&mut self) {
        let team = &self.slots[..self.active];
        let ready = team.iter().all(|slot| slot.stage == MemberStage::Ready);
        self.everyone = ready.then(|| RankSet::full(self.active));
        self.common.iter_mut().for_each(FxHashSet::clear);
        self.plate.iter_mut().for_each(|plate| plate.update(self.slots.iter().map(RosterSlot::row)));
    }

    /// The ranks of the team that serve launches now.
    pub(crate) fn ready(&self) -> RankSet {
        let mut set = RankSet::empty(self.slots.len());
        for (rank, slot) in self.slots.iter().enumerate().take(self.active) {
            if slot.stage == MemberStage::Ready {
                set.insert(rank);
            }
        }
        set
    }
}
