//! A member of the team: one loop for worker processes, worker threads and the driver's own seat.
//!
//! # Safety
//! An order's entry is called with the order it came with. Both were written by the driver, which runs the
//! same build (checked at start), and the entry compares the operand layout with its own before it touches
//! the operands.
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use crate::base::Span;
use crate::base::atomic::{AtomicU64, Ordering, spin_loop};
use crate::code;
use crate::spawn::last_words;
use crate::spawn::panic_note::{self, Trace};
use crate::spawn::segments::Segments;
use crate::sys::clock::{TickRate, ticks, yield_core};
use crate::team::board::{Board, MemberStatus, bump};
use crate::team::fault::{Fault, FaultKind};
use crate::team::fork_join::Presence;
use crate::team::leave::Leave;
use crate::team::orders::{FLAG_REQUIRED, FLAG_SEATED, FLAG_WATCHED, Order, Orders};
use crate::team::register::Register;
use crate::team::trace::{EventKind, Tracer};
use crate::team::{current, state::States};
use std::fmt::Pointer;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Times a member looks for a launch between two looks for a task.
const LOOKS: u32 = 8;
/// Looks for a task between two looks at the clock.
const ROUNDS: u32 = 8;
/// How long a member that got no launch sleeps before it makes sure that its driver still lives; a backstop
/// behind the parent-death signal.
const LIFELINE_CHECK: Duration = Duration::from_secs(5);

/// What a member is to do after a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum After {
    /// Look for the next launch or task.
    GoOn,
    /// Take no tasks any more, and end as soon as the driver can spare it.
    Retire,
}

/// A source of tasks in one member.
pub(crate) trait IdleWork: Send {
    /// Whether there may be one: a few shared reads.
    fn is_waiting(&self) -> bool;
    /// Runs one, if another member has not been faster. Never unwinds.
    fn run(&mut self, member: &mut Member) -> After;
    /// The member is about to sleep.
    fn rest(&mut self);
}

/// How long a member looks for the next launch before it sleeps.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SpinBudget {
    /// Looking ends after so many ticks.
    pub(crate) ticks: u64,
    /// A yield that took so many ticks says that somebody else needs the core: looking ends.
    pub(crate) shared: u64,
}

impl SpinBudget {
    /// So long ([`Tuning::spin`](crate::tuning::Tuning::spin)); not at all where members outnumber the cores that they may use.
    pub(crate) fn new(crowded: bool, spin: Duration) -> SpinBudget {
        let us = u64::try_from(spin.as_micros()).unwrap_or(u64::MAX);
        SpinBudget {
            ticks: if crowded { 0 } else { TickRate::ticks_in_us(us) },
            shared: TickRate::ticks_in_us(20),
        }
    }
}

/// One member.
pub struct Member {
    pub(crate) rank: usize,
    pub(crate) orders: Orders,
    pub(crate) board: Board,
    pub(crate) segments: Box<dyn Segments>,
    /// Other ranks, nearest in the machine first.
    pub(crate) victims: Vec<u32>,
    /// State that kernels keep from launch to launch.
    pub(crate) states: States,
    /// Threads of this member, where it has more than one.
    pub(crate) threads: Option<rayon::ThreadPool>,
    pub(crate) patience: SpinBudget,
    /// Where it notes what it does, if anybody wants to know.
    pub(crate) tracer: Option<Tracer>,
    /// `Order::mail` of the last launch it took part in. A launch that went on without this member is no
    /// loss: the count has moved on at the next.
    pub(crate) mail_seen: u64,
    /// Where it notes what it does, if it is a thread.
    pub(crate) register: Option<Arc<Register>>,
    /// What it does between launches.
    pub(crate) idle_work: Option<Box<dyn IdleWork>>,
    /// It has asked for leave.
    pub(crate) is_retiring: bool,
    /// The present launch's time limit, where the member is the driver itself, who cannot watch the clock
    /// meanwhile.
    pub(crate) deadline: Option<Instant>,
}

/// One member's part in one launch: what an entry works with.
pub struct LaunchContext<'a> {
    pub(crate) order: Order,
    pub(crate) member: &'a mut Member,
    /// Bytes of the scratch handed out so far (accumulators take theirs in order).
    pub(crate) scratch_used: u64,
}

/// The monomorphised part of a launch.
///
/// # Safety
/// Called by a member that has entered the launch whose order the launch context holds.
pub(crate) type LaunchEntry = unsafe fn(&mut LaunchContext<'_>) -> Result<(), Fault>;

impl LaunchContext<'_> {
    /// The mapping of a segment, range-checked for `len_bytes` at `offset`.
    pub(crate) fn attach(
        &mut self,
        id: u64,
        offset: u64,
        len_bytes: usize,
        writable: bool,
    ) -> Result<*mut u8, Fault> {
        let extent =
            self.member.segments.attach(id, writable).map_err(|why| fault(FaultKind::Attach, &why))?;
        let end = usize::try_from(offset).ok().and_then(|offset| offset.checked_add(len_bytes));
        match end {
            Some(end) if end <= extent.len_bytes => Ok(extent.base.wrapping_add(offset as usize)),
            _ => Err(fault(
                FaultKind::Corrupt,
                &format!("an operand of {len_bytes} bytes at {offset} lies outside its segment {id}"),
            )),
        }
    }

    /// Compares the driver's layout hash with the entry's own.
    pub(crate) fn check_layout(&self, layout: u64) -> Result<(), Fault> {
        if self.order.layout == layout {
            return Ok(());
        }
        Err(fault(FaultKind::Corrupt, "the order's operands are not those of its entry"))
    }

    /// A function that the order names.
    ///
    /// # Safety
    /// `offset` is that of an `F`, as the driver, which runs the same build, puts it beside the entry that
    /// calls this.
    pub(crate) unsafe fn function<F: Copy + Pointer>(&self, offset: u64) -> Result<F, Fault> {
        // SAFETY: the caller's word.
        unsafe { code::function_at(offset) }
            .ok_or_else(|| fault(FaultKind::Corrupt, "the order names a kernel outside this program's code"))
    }

    /// Copies the operands' wire.
    ///
    /// # Safety
    /// The driver sent the entry that calls this with a wire of type `W` (the layout alone does not show it),
    /// and `check_layout` has found the order's layout to be the entry's.
    pub(crate) unsafe fn wire<W: Copy>(&self) -> W {
        // SAFETY: the driver wrote a `W` there for this launch; the place is aligned to 128 and WIRE_BYTES
        // long.
        unsafe { self.member.orders.wire().cast::<W>().read_unaligned() }
    }
}

/// A fault with no chunk.
pub(crate) fn fault(kind: FaultKind, message: &str) -> Fault {
    Fault {
        kind,
        lo: 0,
        hi: 0,
        message: message.into(),
        location: String::new(),
        backtrace: Trace::default(),
    }
}

impl Member {
    pub(crate) fn status(&self) -> &MemberStatus {
        self.board.status(self.rank)
    }

    /// Serves launches newer than `last` until it is given leave.
    pub(crate) fn serve_from(&mut self, last: &mut u64) {
        // The newest launch that was entered: numbers only grow, while `last` is what a stray write made of
        // it.
        let (mut seated, mut newest) = (false, 0);
        loop {
            let since = ticks();
            let epoch = match self.await_call(*last, seated, since) {
                NextCall::Launch(epoch) => epoch,
                NextCall::IdleWork => {
                    self.run_idle_work();
                    continue;
                }
                NextCall::End => return,
            };
            *last = epoch;
            if epoch <= newest || !self.board.fork_join(&self.orders).is_called(self.rank, epoch) {
                // Our attendance was overwritten: there is no such launch, and the last order is not ours to
                // run again.
                self.register.iter().for_each(|register| register.refuse(self.rank, epoch));
                continue;
            }
            newest = epoch;
            self.status().entered.store(epoch, Ordering::Relaxed);
            if let Some(register) = &self.register {
                register.enter(self.rank, epoch);
            }
            // SAFETY: `await_call` entered the launch.
            let order = unsafe { self.orders.order(epoch) };
            seated = order.flags & FLAG_SEATED != 0;
            if seated {
                // The driver works on its own part now, and does not look at the word yet.
                self.board.fork_join(&self.orders).expect_finish(self.rank);
            }
            self.take_part(&order, since);
        }
    }

    /// Whether there may be a task for this member.
    fn has_idle_work(&self) -> bool {
        !self.is_retiring
            && !self.leave().is_given()
            && self.idle_work.as_ref().is_some_and(|idle_work| idle_work.is_waiting())
            && !self.is_parked()
    }

    /// Whether launches and tasks go on without it until the driver wants it back.
    fn is_parked(&self) -> bool {
        self.rank >= self.orders.serving()
    }

    /// The word by which it is let go.
    fn leave(&self) -> &Leave {
        match &self.register {
            Some(register) => register.leave(self.rank),
            None => &self.status().leave,
        }
    }

    /// Runs a task, outside any launch.
    fn run_idle_work(&mut self) {
        let Some(mut idle_work) = self.idle_work.take() else { return };
        bump(&self.status().idle_work, 1);
        if idle_work.run(self) == After::Retire {
            self.is_retiring = true;
            self.segments.ask_leave();
        }
        bump(&self.status().idle_work_over, 1);
        self.idle_work = Some(idle_work);
    }

    /// Waits for the next launch, which it enters, or task.
    fn await_call(&mut self, last: u64, seated: bool, since: u64) -> NextCall {
        let fork_join = self.board.fork_join(&self.orders);
        loop {
            for _ in 0..ROUNDS {
                for _ in 0..LOOKS {
                    if let Some(epoch) = fork_join.poll(self.rank, last) {
                        return NextCall::Launch(epoch);
                    }
                    // Beside a seated driver every nanosecond shows, and each member has a core of its own.
                    if !seated {
                        spin_loop();
                    }
                }
                if self.has_idle_work() {
                    return NextCall::IdleWork;
                }
            }
            // The driver may be waiting for this very core; where it has a seat, it has a core of its own.
            let shared = !seated && yield_core() > self.patience.shared;
            if shared || ticks().wrapping_sub(since) > self.patience.ticks {
                return self.sleep_until_called(last);
            }
        }
    }

    #[cold]
    #[expect(clippy::arithmetic_side_effects, reason = "a constant moment from now")]
    fn sleep_until_called(&mut self, last: u64) -> NextCall {
        if let Some(idle_work) = &mut self.idle_work {
            idle_work.rest();
        }
        loop {
            if self.is_parked() {
                // No launch makes it look, and what is dropped meanwhile is to be unmapped.
                self.read_mail();
            }
            let fork_join = self.board.fork_join(&self.orders);
            let bell = fork_join.bell();
            if let Some(epoch) = fork_join.poll(self.rank, last) {
                return NextCall::Launch(epoch);
            }
            if self.has_idle_work() {
                return NextCall::IdleWork;
            }
            if self.leave().take() {
                return NextCall::End;
            }
            bump(&self.status().sleeps, 1);
            let until = Instant::now() + LIFELINE_CHECK;
            fork_join.sleep(self.rank, last, bell, Some(until), || self.has_idle_work());
            if self.segments.driver_is_gone() {
                return NextCall::End;
            }
        }
    }

    /// Runs this member's part of a launch it has entered and waited for `since`, and ends it.
    fn take_part(&mut self, order: &Order, since: u64) {
        let began = ticks();
        self.perform(order);
        let presence = if order.flags & FLAG_REQUIRED != 0 { Presence::Required } else { Presence::Optional };
        let is_watched = order.flags & FLAG_WATCHED != 0;
        if is_watched {
            self.count(began);
        }
        let woke = self.board.fork_join(&self.orders).finish(self.rank, order.epoch, presence);
        if !is_watched {
            // Counted when the driver goes on already.
            self.count(began);
        }
        bump(&self.status().wait_ticks, began.wrapping_sub(since));
        if woke {
            bump(&self.status().wakes, 1);
        }
        if order.flags & FLAG_SEATED == 0 {
            // The driver needs a core to see the end, and every core may have a member that looks for
            // launches.
            yield_core();
        }
    }

    /// Runs the driver's own part of a launch.
    pub(crate) fn work(&mut self, order: &Order) {
        let began = ticks();
        self.perform(order);
        self.count(began);
    }

    fn count(&self, began: u64) {
        let status = self.status();
        bump(&status.launches, 1);
        bump(&status.busy_ticks, ticks().wrapping_sub(began));
    }

    /// Runs this member's part of a launch, without ending it. Faults are noted on the board.
    fn perform(&mut self, order: &Order) {
        let span = Span::new(0, order.len as usize);
        let event = self.tracer.map(|tracer| (tracer, tracer.begin(EventKind::Launch, order.epoch, span)));
        if std::mem::replace(&mut self.mail_seen, order.mail) != order.mail {
            self.read_mail();
        }
        last_words::set_chunk(self.rank as u32, 0, 0);
        let outcome = catch_unwind(AssertUnwindSafe(|| self.execute(order)));
        let outcome = outcome.unwrap_or_else(|payload| Err(panic_note::take(payload).into()));
        if let Err(fault) = outcome {
            self.report(order, fault);
        }
        if let Some((tracer, index)) = event {
            tracer.end(index);
        }
        self.status().current.store(0, Ordering::Release);
    }

    /// Takes note of new and dropped segments, and drops states whose handles are gone.
    #[cold]
    fn read_mail(&mut self) {
        self.segments.read_mail();
        for id in self.segments.retired_states(&self.states.ids()) {
            self.states.let_go_of(id, self.rank);
        }
    }

    /// Runs `body` as part `number` of this member's work, in its own threads where it has any; it stops
    /// early when `stop` holds the number.
    pub(crate) fn within<R: Send>(
        &mut self,
        stop: &AtomicU64,
        number: u64,
        body: impl FnOnce(&mut Member) -> R,
    ) -> R {
        let _current = current::enter(self.rank, self.board.size(), stop, number, None);
        let Some(pool) = self.threads.take() else { return body(self) };
        let (rank, size) = (self.rank, self.board.size());
        let carried = Carried((self, body));
        let (member, result) = pool
            .install(move || {
                let Carried((member, body)) = { carried };
                let _current = current::enter(rank, size, stop, number, None);
                let result = catch_unwind(AssertUnwindSafe(|| body(member)));
                Carried((member, result))
            })
            .0;
        member.threads = Some(pool);
        result.unwrap_or_else(|payload| std::panic::resume_unwind(payload))
    }

    fn execute(&mut self, order: &Order) -> Result<(), Fault> {
        // SAFETY: the driver wrote the offset of a `LaunchEntry` of the same build.
        let Some(entry) = (unsafe { code::function_at::<LaunchEntry>(order.entry) }) else {
            return Err(fault(FaultKind::Corrupt, "the order names an entry outside this program's code"));
        };
        let _current =
            current::enter(self.rank, order.size as usize, self.board.stop(), order.epoch, self.deadline);
        let threads = self.threads.take();
        let mut context = LaunchContext { order: *order, member: self, scratch_used: 0 };
        let outcome = match &threads {
            None => {
                // SAFETY: we entered the launch, and the launch context holds its order.
                unsafe { entry(&mut context) }
            }
            Some(pool) => {
                let context = Carried(&mut context);
                pool.install(move || {
                    let Carried(context) = { context };
                    let member = &context.member;
                    let _current = current::enter(
                        member.rank,
                        context.order.size as usize,
                        member.board.stop(),
                        context.order.epoch,
                        member.deadline,
                    );
                    // SAFETY: as above; `install` runs it to its end before it returns.
                    catch_unwind(AssertUnwindSafe(|| unsafe { entry(context) }))
                        .unwrap_or_else(|payload| Err(panic_note::take(payload).into()))
                })
            }
        };
        self.threads = threads;
        outcome
    }

    /// Notes a fault on the board and stops the launch for everybody.
    fn report(&self, order: &Order, mut fault: Fault) {
        let unit = self.status().current.load(Ordering::Relaxed);
        if fault.hi == 0 && unit > 0 {
            let of_a_unit = order.unit.saturating_mul(order.chunk_len);
            let lo = unit.saturating_sub(1).saturating_mul(of_a_unit);
            fault.lo = lo.min(order.len);
            fault.hi = lo.saturating_add(of_a_unit).min(order.len);
        }
        let note = self.board.fault(self.rank);
        note.write(order.epoch, &fault);
        bump(&self.status().faults, 1);
        let is_captured = fault.backtrace.is_captured();
        if is_captured {
            self.status().resolving.store(order.epoch, Ordering::Release);
        }
        self.board.stop().store(order.epoch, Ordering::Release);
        if is_captured {
            // The driver, which knows of the fault, counts none of this.
            fault.backtrace = Trace::Told(fault.backtrace.resolve());
            note.write(order.epoch, &fault);
        }
    }
}

/// What a member waited for.
enum NextCall {
    /// A launch of this number, which it has entered.
    Launch(u64),
    IdleWork,
    /// The driver is gone, or has given leave.
    End,
}

/// Carries what a member works with onto a thread of its own pool and back.
struct Carried<T>(T);

// SAFETY: `install` blocks the lending thread until the borrowing one is done, so only one uses the value at
// a time; nothing in a launch context, in a member (states are `Send`) or in what `within` is given depends
// on the thread that uses it.
unsafe impl<T> Send for Carried<T> {}
