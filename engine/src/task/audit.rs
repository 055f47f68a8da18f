//! Checks from time to time, while tasks are in progress, whether the board's words make sense.
//!
//! A stray write by some process (unsafe code in a task, a library's bug) may leave words in which a task
//! waits forever: it is queued where no member looks, or marked as running although no member runs it. A
//! state that a member or the driver leaves behind, dying or not, either makes sense or is gone by the next
//! check. So an odd state that lasts for two checks ends the pool, since nobody knows what else was
//! overwritten. Loops over the board's words are bounded by what the driver itself noted, so that they end
//! even while words are being overwritten.
#![deny(clippy::arithmetic_side_effects)]

use crate::base::atomic::Ordering;
use crate::sys::clock::ticks;
use crate::task::board::SLOTS;
use crate::task::queue::{Books, InFlight, TaskQueue};
use crate::task::slot::{TaskStage, TaskState};
use crate::team::gate::Phase;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Time between two checks.
const EVERY: Duration = Duration::from_millis(500);
/// Clocks of two cores differ by less.
const SKEW: Duration = Duration::from_millis(100);

/// What a check needs to know.
pub(crate) struct Audit {
    /// When to check next.
    next: Instant,
    /// What the last check found odd.
    odd: Vec<(usize, TaskState)>,
    /// The board's rules as they were written.
    rules: [u64; 4],
}

impl Audit {
    #[expect(clippy::arithmetic_side_effects, reason = "a constant moment from now")]
    pub(crate) fn new(rules: [u64; 4]) -> Audit {
        Audit { next: Instant::now() + EVERY, odd: Vec::new(), rules }
    }
}

impl TaskQueue {
    /// Looks at the board, if it is time to. Ends the pool if words there make no sense.
    #[expect(clippy::arithmetic_side_effects, reason = "a constant moment from now")]
    pub(crate) fn audit(self: &Arc<TaskQueue>) {
        let now = Instant::now();
        if now < self.books.lock().audit.next {
            return;
        }
        let members = self.crew.members();
        let (finding, waiting) = {
            let mut books = self.books.lock();
            books.audit.next = now + EVERY;
            let is_ending = self.crew.has_reached(Phase::Terminated) || self.is_over.load(Ordering::Acquire);
            if books.under_way == 0 || is_ending || self.is_broken.load(Ordering::Acquire) {
                books.audit.odd.clear();
                return;
            }
            (self.look(&mut books, &members), self.board.waiting())
        };
        match finding {
            Some(what) => self.break_down(what),
            // A wake-up may have been overwritten as well.
            None => self.call_out(u32::try_from(waiting).unwrap_or(u32::MAX)),
        }
    }

    /// Looks for a state that is impossible.
    fn look(&self, books: &mut Books, members: &[u32]) -> Option<&'static str> {
        // Before any task's state: the head passes no task that is still queued.
        let head = self.board.head_position();
        if self.board.tail_position() != books.tail || books.tail.wrapping_sub(head) > SLOTS as u64 {
            return Some("the ends of its ring are elsewhere");
        }
        if self.board.rules().words() != books.audit.rules {
            return Some("its rules were changed");
        }
        let mut odd = Vec::new();
        for index in 0..books.in_flight.len() {
            let Some(in_flight) = &books.in_flight[index] else { continue };
            let state = self.board.state(index);
            if !self.makes_sense(index, in_flight, state, head, members) {
                odd.push((index, state));
            }
        }
        let before = std::mem::replace(&mut books.audit.odd, odd);
        let lasting = books.audit.odd.iter().filter(|odd| before.contains(odd));
        let (done, lost): (Vec<_>, Vec<_>) = lasting
            .map(|(index, state)| (*index, state.stage()))
            .partition(|odd| odd.1 == Some(TaskStage::Done));
        // Done, and its member could not announce it: harmless.
        books.strays.clear();
        books.strays.extend(done.into_iter().map(|(index, _)| index));
        lost.first().map(|_| "a task waits where no member looks, or is run by none")
    }

    /// Whether a task in this state will make progress.
    fn makes_sense(
        &self,
        index: usize,
        in_flight: &InFlight,
        state: TaskState,
        head: u64,
        members: &[u32],
    ) -> bool {
        match state.stage() {
            Some(TaskStage::Queued) => {
                let at = in_flight.position;
                state == in_flight.queued && at >= head && self.board.is_on_ring(at, index)
            }
            Some(TaskStage::Running | TaskStage::Condemned) => {
                state.position() == in_flight.queued.position()
                    && (!self.can_kill() || members.contains(&state.member()))
            }
            // Its member is about to announce it.
            Some(TaskStage::Done) | Some(TaskStage::Free) | None => false,
        }
    }

    /// How long the current item of a task has run, by the member's own clock word. A clock that cannot be
    /// right is restarted.
    pub(crate) fn ran(&self, index: usize, in_flight: &InFlight) -> Duration {
        let (word, now) = (&self.board.slot(index).began, ticks());
        let ns_per_tick = self.rate.ns_per_tick();
        let skew = (SKEW.as_nanos() as f64 / ns_per_tick) as u64;
        let began = word.load(Ordering::Relaxed);
        let may_be = in_flight.queued_task.queued.saturating_sub(skew)..=now.saturating_add(skew);
        if began == 0 || may_be.contains(&began) {
            // Its member sets the clock when it begins.
            let ran = if began == 0 { 0 } else { now.saturating_sub(began) };
            return Duration::from_nanos((ran as f64 * ns_per_tick) as u64);
        }
        word.store(now, Ordering::Relaxed);
        Duration::ZERO
    }

    /// Ends the pool: words in shared memory make no sense.
    pub(crate) fn break_down(self: &Arc<TaskQueue>, what: &str) {
        tracing::error!(what, "the task board was overwritten; its workers are killed");
        self.crew.break_down(&format!(
            "words of its task board make no sense ({what}); unsafe code in some process probably wrote past its data"
        ));
    }
}
