//! The driver's side of the task board: tasks that wait, tasks in progress, and whether more may be added.
//!
//! # Safety
//! Bytes are copied into a slot before it is queued, while it is the driver's (README.md, rule 2).
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use crate::base::atomic::Ordering;
use crate::code;
use crate::handle::travel::KeepAlive;
use crate::memory::{AllocError, AllocOptions, Segment, arena};
use crate::sys::clock::{TickRate, ticks};
use crate::task::audit::Audit;
use crate::task::board::{SLOTS, TaskBoard, board_bytes};
use crate::task::calls::{Calls, discard};
use crate::task::cost::Costs;
use crate::task::deaths::Deaths;
use crate::task::error::TaskError;
use crate::task::insight::Ledger;
use crate::task::queued::{EagerGuard, QueuedTask, Receiver, Store};
use crate::task::remote::Remote;
use crate::task::serve;
use crate::task::slot::{FLAG_BY_VALUE, FLAG_TIMED, TaskState, seal_of};
use crate::team::crew::{Crew, CrewKind};
use crate::team::gate::Phase;
use crate::team::idle_work::{DeathObserver, IdleWorkPlan};
use crate::team::roster::DeathRecord;
use crate::team::{current, program};
use parking_lot::{Condvar, Mutex};
use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};
// Plain atomics on purpose: this is process-local bookkeeping outside every checked protocol.
use std::sync::atomic::{AtomicBool, AtomicUsize};

/// When members are replaced by fresh ones; zeros mean never.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lifespan {
    pub(crate) tasks: u64,
    pub(crate) age_ms: u64,
    pub(crate) growth_bytes: u64,
}

/// The board's segment, made before the crew.
pub(crate) struct BoardSegment {
    segment: Arc<Segment>,
    size: usize,
    /// [`Rules::words`](crate::task::board::Rules::words).
    rules: [u64; 4],
}

impl BoardSegment {
    /// A board for a team of `size`. Its pages are taken at the first task.
    pub(crate) fn new(size: usize, lifespan: Lifespan) -> Result<BoardSegment, AllocError> {
        let segment = Segment::create_sparse(board_bytes(size), &AllocOptions::default())?;
        // The words that members look at while they wait.
        segment.reserve(0..crate::sys::memory::page_size())?;
        let mut made = BoardSegment { segment, size, rules: [0; 4] };
        let board = made.board();
        let rules = board.rules();
        rules.arena.store(arena::global()?.segment().id().0, Ordering::Relaxed);
        rules.max_tasks.store(lifespan.tasks, Ordering::Relaxed);
        rules.max_age_ms.store(lifespan.age_ms, Ordering::Relaxed);
        rules.max_growth.store(lifespan.growth_bytes, Ordering::Relaxed);
        made.rules = rules.words();
        Ok(made)
    }

    fn board(&self) -> TaskBoard {
        // SAFETY: the segment is held as long as any view (the queue keeps it), is as long as the board, and
        // new ones are zero.
        unsafe { TaskBoard::new(self.segment.base(), self.size) }
    }

    /// How members reach the board.
    pub(crate) fn plan(&self) -> IdleWorkPlan {
        IdleWorkPlan { segment: self.segment.clone(), open: serve::open }
    }
}

/// A task on the board.
pub(crate) struct InFlight {
    pub(crate) queued_task: QueuedTask,
    /// Its slot's state when it was queued, and where on the ring.
    pub(crate) queued: TaskState,
    pub(crate) position: u64,
}

/// What the queue's lock guards.
pub(crate) struct Books {
    /// Slots that hold no task.
    free: Vec<u16>,
    /// By slot.
    pub(crate) in_flight: Vec<Option<InFlight>>,
    /// The ring's position after the last queued task.
    pub(crate) tail: u64,
    /// How many results of each rank have been taken.
    pub(crate) taken: Vec<u64>,
    /// Slots that are done but in no rank's list.
    pub(crate) strays: Vec<usize>,
    pub(crate) audit: Audit,
    /// Tasks that the board has no slot for yet.
    pub(crate) backlog: VecDeque<QueuedTask>,
    /// Tasks that are queued again when they are due.
    pub(crate) paused: Vec<QueuedTask>,
    /// Tasks on the board or being delivered.
    pub(crate) under_way: usize,
    /// Number of tasks on the board that have a time limit.
    pub(crate) timed: usize,
    pub(crate) is_closed: bool,
    is_ready: bool,
}

/// The driver's side.
pub(crate) struct TaskQueue {
    pub(crate) crew: Arc<Crew>,
    pub(crate) board: TaskBoard,
    pub(crate) books: Mutex<Books>,
    pub(crate) costs: Costs,
    /// Whether workers are prepared for their tasks in a way that the caller is not.
    pub(crate) are_prepared: bool,
    pub(crate) ledger: Mutex<Ledger>,
    pub(crate) deaths: Deaths<DeathRecord>,
    /// Held by the waiting thread that collects for all others; `on_duty` names that thread (`waiting.rs`).
    pub(crate) duty: Mutex<()>,
    pub(crate) on_duty: AtomicUsize,
    /// Calls into the program's code that are due.
    pub(crate) calls: Arc<Calls>,
    /// Number of other waiting threads.
    pub(crate) followers: AtomicUsize,
    pub(crate) follow: Mutex<()>,
    pub(crate) delivered: Condvar,
    /// Set when the collector thread runs.
    pub(crate) collector: OnceLock<()>,
    /// The collector thread's name, as in `on_duty`.
    pub(crate) collects: AtomicUsize,
    pub(crate) is_over: AtomicBool,
    pub(crate) is_broken: AtomicBool,
    pub(crate) has_newcomers: AtomicBool,
    /// Set in a cluster: tasks that other machines may run as well.
    pub(crate) remote: OnceLock<Arc<Remote>>,
    pub(crate) rate: TickRate,
    /// The board's; last, since queued tasks in the books look at the board when they are dropped.
    segment: Arc<Segment>,
}

impl TaskQueue {
    /// The queue of a crew that was made with the board's plan.
    pub(crate) fn new(crew: &Arc<Crew>, board: BoardSegment, are_prepared: bool) -> Arc<TaskQueue> {
        let queue = Arc::new(TaskQueue {
            crew: crew.clone(),
            board: board.board(),
            segment: board.segment,
            books: Mutex::new(Books {
                free: (0..SLOTS as u16).rev().collect(),
                in_flight: (0..SLOTS).map(|_| None).collect(),
                tail: 0,
                taken: vec![0; board.size],
                strays: Vec::new(),
                audit: Audit::new(board.rules),
                backlog: VecDeque::new(),
                paused: Vec::new(),
                under_way: 0,
                timed: 0,
                is_closed: false,
                is_ready: false,
            }),
            costs: Costs::default(),
            are_prepared,
            ledger: Mutex::new(Ledger::new(board.size)),
            deaths: Deaths::new(),
            duty: Mutex::new(()),
            on_duty: AtomicUsize::new(0),
            calls: Arc::new(Calls::default()),
            followers: AtomicUsize::new(0),
            follow: Mutex::new(()),
            delivered: Condvar::new(),
            collector: OnceLock::new(),
            collects: AtomicUsize::new(0),
            is_over: AtomicBool::new(false),
            is_broken: AtomicBool::new(false),
            has_newcomers: AtomicBool::new(false),
            remote: OnceLock::new(),
            rate: TickRate::start(),
        });
        let death_observer: Arc<dyn DeathObserver> = queue.clone();
        // Nobody else sets it: the crew is new.
        let _first = crew.death_observer.set(Arc::downgrade(&death_observer));
        queue
    }

    /// Workers that run tasks, on all machines.
    pub(crate) fn workers(&self) -> usize {
        self.crew.active().saturating_add(self.remote.get().map_or(0, |remote| remote.workers()))
    }

    /// Whether workers are processes, which can be killed.
    pub(crate) fn can_kill(&self) -> bool {
        matches!(self.crew.kind, CrewKind::Processes(_))
    }

    /// Adds tasks. A task that cannot be added is reported to its receiver.
    pub(crate) fn submit(self: &Arc<TaskQueue>, queued_tasks: impl IntoIterator<Item = QueuedTask>) {
        if let Err(error) = self.prepare() {
            return queued_tasks.into_iter().for_each(|queued_task| self.refuse(queued_task, &error));
        }
        match self.remote.get() {
            Some(remote) => self.submit_anywhere(remote, queued_tasks),
            None => self.place_some(|_| queued_tasks),
        }
    }

    /// Puts tasks on the board, or behind those that wait for it; `choose` is told how many tasks there are.
    pub(crate) fn place_some<T: IntoIterator<Item = QueuedTask>>(
        self: &Arc<TaskQueue>,
        choose: impl FnOnce(usize) -> T,
    ) {
        let (mut placed, mut refused, mut is_timed) = (0, Vec::new(), false);
        {
            let mut books = self.books.lock();
            let here = books.under_way.saturating_add(books.backlog.len());
            for mut queued_task in choose(here) {
                if let Some(keep_alive) = &queued_task.packed.keep_alive {
                    self.send_segments(keep_alive);
                    queued_task.eager = Some(EagerGuard::new(self.board));
                }
                if books.is_closed || self.is_broken.load(Ordering::Acquire) {
                    refused.push(queued_task);
                    continue;
                }
                is_timed |= queued_task.limit.is_some();
                placed = u32::saturating_add(placed, self.add(&mut books, queued_task).into());
            }
        }
        self.call_out(placed);
        if !refused.is_empty() {
            let error = self.closed_error();
            refused.into_iter().for_each(|queued_task| self.refuse(queued_task, &error));
        }
        if is_timed {
            // It watches the clock.
            self.board.collector().rouse();
        }
    }

    /// Announces to the workers the segments that handles refer to. A worker that starts later learns of them
    /// when it serves.
    #[cold]
    fn send_segments(&self, keep_alive: &KeepAlive) {
        let mut roster = self.crew.roster.lock();
        let members = roster.ready();
        // A worker whose socket is full finds the segment missing, and reports that.
        let _cost =
            self.crew.deliver(&mut roster, &members, keep_alive.segments().map(|(segment, _)| segment), &[]);
    }

    /// Announces to new workers the segments that tasks refer to.
    pub(crate) fn equip_newcomers(&self) {
        let books = self.books.lock();
        let flying = books.in_flight.iter().flatten().map(|in_flight| &in_flight.queued_task);
        let waiting = books.backlog.iter().chain(&books.paused);
        for keep_alive in
            flying.chain(waiting).filter_map(|queued_task| queued_task.packed.keep_alive.as_ref())
        {
            self.send_segments(keep_alive);
        }
    }

    /// Wakes members for tasks that were placed.
    pub(crate) fn call_out(&self, placed: u32) {
        if placed > 0 {
            self.crew.board().fork_join(&self.crew.orders).call_out(placed, || self.crew.team());
        }
    }

    /// Why no more tasks are accepted.
    pub(crate) fn closed_error(&self) -> TaskError {
        match &self.crew.roster.lock().broken {
            Some(reason) if !self.crew.has_reached(Phase::Closed) => {
                TaskError::PoolBroken { reason: reason.clone() }
            }
            _ => TaskError::PoolClosed,
        }
    }

    /// Takes the board's pages and starts the collector, once. If that fails, the next task tries again.
    fn prepare(self: &Arc<TaskQueue>) -> Result<(), TaskError> {
        if self.collector.get().is_some() {
            return Ok(());
        }
        let mut books = self.books.lock();
        if !books.is_ready {
            let reserved = self.segment.reserve(0..self.segment.len_bytes());
            reserved.map_err(|source| TaskError::Memory { item: 0, source: Arc::new(source) })?;
            books.is_ready = true;
        }
        if self.collector.get().is_none() {
            self.start_collector()?;
            // Under the books' lock: nobody else sets it.
            let _first = self.collector.set(());
        }
        Ok(())
    }

    // ------------------------------------------------------------------------------------------- receivers

    /// Lets `tell` report to a receiver what came of its items, and makes sure that the program's code is
    /// called for that. Called without a lock held: a type's own code may read or drop values meanwhile.
    pub(crate) fn tell(
        self: &Arc<TaskQueue>,
        receiver: &Arc<dyn Receiver>,
        tell: impl FnOnce(&dyn Receiver),
    ) {
        let telling = current::enter_telling();
        program::call("a result's own code", || tell(&**receiver));
        drop(telling);
        self.pass_on(receiver);
    }

    /// Has the callback thread call the program's code for `receiver`, if no other thread will.
    pub(crate) fn pass_on(self: &Arc<TaskQueue>, receiver: &Arc<dyn Receiver>) {
        if receiver.pass_on() {
            self.calls.push(self, receiver);
        }
    }

    /// Refuses tasks that will not be run: the pool has ended, or their receivers want no more.
    pub(crate) fn leave(self: &Arc<TaskQueue>, left: impl IntoIterator<Item = QueuedTask>) {
        for queued_task in left {
            let is_cancelled = queued_task.is_cancelled();
            let error = if is_cancelled { TaskError::Cancelled { item: 0 } } else { TaskError::PoolClosed };
            self.refuse(queued_task, &error);
        }
    }

    /// Tells a task's receiver that the task was not accepted, or will not be run any more.
    pub(crate) fn refuse(self: &Arc<TaskQueue>, queued_task: QueuedTask, error: &TaskError) {
        let (first, items) = (queued_task.first, queued_task.packed.items);
        self.tell(&queued_task.receiver, |receiver| {
            receiver.fail(first, items, error.clone().of_item(first))
        });
        discard(queued_task);
    }

    // ------------------------------------------------------------------------------------------- places

    /// Puts a task on the board, or in the backlog if there is no slot. Returns whether it is on the board.
    fn add(&self, books: &mut Books, queued_task: QueuedTask) -> bool {
        if !books.backlog.is_empty() {
            books.backlog.push_back(queued_task);
            return false;
        }
        match self.place(books, queued_task) {
            None => true,
            Some(queued_task) => {
                books.backlog.push_back(queued_task);
                self.board.set_backlog(true);
                false
            }
        }
    }

    /// Puts a task on the board. Returns it if there is no slot.
    fn place(&self, books: &mut Books, mut queued_task: QueuedTask) -> Option<QueuedTask> {
        let Some(index) = books.free.pop() else { return Some(queued_task) };
        let slot = self.board.slot(index.into());
        // Checked when the queued task was made; the member reports 0 as corrupt.
        let offset = |address| code::offset_of(address).unwrap_or(0);
        let (entry, function) = (offset(queued_task.body.entry), offset(queued_task.body.function));
        let packed = &queued_task.packed;
        let block = match &packed.store {
            Store::Inline(bytes) => {
                // SAFETY: the slot is free, hence the driver's, and it holds as many bytes.
                unsafe {
                    let place = self.board.inline_bytes(index.into());
                    place.copy_from_nonoverlapping(bytes.as_ptr(), packed.args_len);
                }
                0
            }
            Store::Block(block) => (block.offset() as u64).wrapping_add(1),
        };
        queued_task.queued = ticks();
        let set = [
            (&slot.entry, entry),
            (&slot.function, function),
            (&slot.layout, queued_task.body.layout),
            (&slot.block, block),
            (&slot.args_len, packed.args_len as u64),
            (&slot.room, packed.room as u64),
            (&slot.items, packed.items as u64),
            (&slot.table, packed.keep_alive.as_ref().map_or(0, |keep_alive| keep_alive.table_bytes() as u64)),
            (&slot.stop, 0),
            (&slot.items_done, 0),
            (&slot.written, 0),
            (&slot.faulted, 0),
            (&slot.next[0], 0),
            (&slot.reading, 0),
            // Its clock stands still until a member sets it.
            (&slot.began, 0),
        ];
        set.iter().for_each(|(word, value)| word.store(*value, Ordering::Relaxed));
        [&slot.home, &slot.trouble, &slot.resolving].iter().for_each(|word| word.store(0, Ordering::Relaxed));
        let timed = if queued_task.limit.is_some() { FLAG_TIMED } else { 0 };
        let by_value = if self.remote.get().is_some() { FLAG_BY_VALUE } else { 0 };
        slot.flags.store(timed | by_value | seal_of(entry, function), Ordering::Relaxed);
        slot.grant.store(0, Ordering::Relaxed);
        let position = books.tail;
        let Some(queued) = self.board.queue(index.into(), position) else {
            books.free.push(index);
            return Some(queued_task);
        };
        books.tail = books.tail.wrapping_add(1);
        books.timed = books.timed.saturating_add(queued_task.limit.is_some().into());
        books.under_way = books.under_way.saturating_add(1);
        books.in_flight[usize::from(index)] = Some(InFlight { queued_task, queued, position });
        None
    }

    /// Frees the slot of a finished task.
    pub(crate) fn release(&self, books: &mut Books, index: usize) {
        self.board.free(index);
        books.free.push(index as u16);
        books.under_way = books.under_way.saturating_sub(1);
    }

    /// Moves waiting tasks to the board while there are slots, and returns how many. Tasks that are no longer
    /// wanted go into `left`, for [`Self::leave`] after the lock is released.
    pub(crate) fn refill(&self, books: &mut Books, left: &mut Vec<QueuedTask>) -> u32 {
        let mut placed = 0;
        while let Some(queued_task) = books.backlog.pop_front() {
            if !queued_task.receiver.is_open() {
                left.push(queued_task);
                continue;
            }
            match self.place(books, queued_task) {
                None => placed = u32::saturating_add(placed, 1),
                Some(queued_task) => {
                    books.backlog.push_front(queued_task);
                    break;
                }
            }
        }
        self.board.set_backlog(!books.backlog.is_empty());
        placed
    }

    /// Whether nothing is in progress or waiting.
    pub(crate) fn is_idle(&self) -> bool {
        let books = self.books.lock();
        let is_idle_here = books.under_way == 0 && books.backlog.is_empty() && books.paused.is_empty();
        is_idle_here && self.remote.get().is_none_or(|remote| remote.is_idle())
    }

    /// Whether tasks are accepted.
    pub(crate) fn accepts(&self) -> bool {
        !self.books.lock().is_closed && !self.is_broken.load(Ordering::Acquire)
    }

    /// Stops accepting tasks.
    pub(crate) fn close(&self) {
        self.books.lock().is_closed = true;
    }
}

impl Drop for TaskQueue {
    fn drop(&mut self) {
        self.calls.close();
    }
}

impl DeathObserver for TaskQueue {
    fn died(&self, death_record: &DeathRecord) {
        self.deaths.add(death_record.clone());
        self.board.alarm();
    }

    fn joined(&self) {
        self.has_newcomers.store(true, Ordering::Release);
        self.board.collector().rouse();
    }

    fn broken(&self) {
        self.is_broken.store(true, Ordering::Release);
        self.deaths.mark();
        self.board.alarm();
    }
}
