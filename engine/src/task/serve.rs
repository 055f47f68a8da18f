//! The member's side of the task board: claim a task, run it, leave its result, notify the driver.
//!
//! # Safety
//! A claimed slot and its block are this member's until it changes the slot's state to done, or dies
//! (README.md, rule 2). Entry and function are offsets of the same build's code, checked to lie in it; that
//! an entry starts there follows from equal builds.
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use crate::base::atomic::{AtomicU64, Ordering};
use crate::base::{Span, member};
use crate::code;
use crate::handle::travel::Manifest;
use crate::spawn::segments::{Segments, resolver};
use crate::spawn::{last_words, panic_note};
use crate::sys::clock::ticks;
use crate::sys::{futex, process};
use crate::task::board::{TaskBoard, board_bytes};
use crate::task::entry::{TaskCall, TaskEntry};
use crate::task::results::{Results, Room};
use crate::task::slot::{
    FLAG_BY_VALUE, FLAG_TIMED, FLAGS, INLINE_BYTES, TaskSlot, TaskStage, TaskState, Trouble, seal_of,
};
use crate::team::idle_work::IdleWorkPlace;
use crate::team::member::{After, IdleWork, Member};
use crate::team::trace::EventKind;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

/// How often a member checks its own size.
const WEIGH_EVERY: Duration = Duration::from_millis(50);
/// Longest sleep of a member that waits for room; then it checks whether it was given up.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// A [`TaskSlot::grant`], below the number of the grant (from bit 2 on).
pub(crate) const GRANTED: u32 = 1;
/// See [`GRANTED`].
pub(crate) const REFUSED: u32 = 2;
/// The member waits for an answer.
pub(crate) const ASKED: u32 = 3;

/// Opens the board in a member.
pub(crate) fn open(place: IdleWorkPlace) -> Box<dyn IdleWork> {
    assert!(place.len_bytes >= board_bytes(place.size), "the board is as long as the driver made it");
    // SAFETY: mapped for the member's life with the length of a board of that size.
    let board = unsafe { TaskBoard::new(place.base, place.size) };
    Box::new(Server {
        board,
        rank: place.rank,
        begun: Instant::now(),
        tasks: 0,
        weighed: Instant::now(),
        first_weight: None,
        has_untold: false,
    })
}

/// One member's view of the board.
struct Server {
    board: TaskBoard,
    rank: usize,
    /// When the member began, and how many tasks it has run.
    begun: Instant,
    tasks: u64,
    weighed: Instant,
    /// Bytes of its own memory after the first task.
    first_weight: Option<u64>,
    /// Tasks were done whose end has not been announced.
    has_untold: bool,
}

impl IdleWork for Server {
    fn is_waiting(&self) -> bool {
        self.board.waiting() > 0
    }

    fn run(&mut self, member: &mut Member) -> After {
        let board = self.board;
        let id = member::current_member().get();
        let Some((index, running)) = board.claim(id) else { return After::GoOn };
        let slot = board.slot(index);
        slot.rank.store(self.rank as u32, Ordering::Relaxed);
        let began = ticks();
        slot.began.store(began, Ordering::Relaxed);
        last_words::set_task(self.rank as u32);
        let number = slot.stop_number();
        let span = Span::new(0, slot.items.load(Ordering::Relaxed) as usize);
        let event = member.tracer.map(|tracer| (tracer, tracer.begin(EventKind::Task, number, span)));
        if let Err(why) = catch_unwind(AssertUnwindSafe(|| self.perform(member, index, slot, number))) {
            // The items' own panics are caught one by one; what has ended is counted in any case.
            let _told = panic_note::take(why);
        }
        if let Some((tracer, event)) = event {
            tracer.end(event);
        }
        // With a time limit, `began` is its last item's. No room is asked for any more.
        slot.wanted.store(began, Ordering::Relaxed);
        slot.ended.store(ticks(), Ordering::Relaxed);
        self.finish(index, running);
        self.tasks = self.tasks.wrapping_add(1);
        if self.wants_out() { After::Retire } else { After::GoOn }
    }

    fn rest(&mut self) {
        if std::mem::take(&mut self.has_untold) && self.board.is_eager() {
            self.board.notify();
        }
    }
}

impl Server {
    fn perform(&self, member: &mut Member, index: usize, slot: &TaskSlot, number: u64) {
        let TaskBytes { base, args_len, room } = match self.bytes_of(member, index, slot) {
            Ok(bytes) => bytes,
            Err(why) => {
                tracing::error!(rank = self.rank, why, "a task's bytes cannot be found");
                return slot.trouble.store(Trouble::Bytes as u32, Ordering::Relaxed);
            }
        };
        let flags = slot.flags.load(Ordering::Relaxed);
        let (at, offset) = (slot.entry.load(Ordering::Relaxed), slot.function.load(Ordering::Relaxed));
        let is_sealed = flags & !FLAGS == seal_of(at, offset);
        // SAFETY: the seal says that these words are as the driver of the same build made them, with the
        // offset of a `TaskEntry`.
        let entry = is_sealed.then(|| unsafe { code::function_at::<TaskEntry>(at) }).flatten();
        let function = code::address_of(offset);
        let (Some(entry), Some(function)) = (entry, function) else {
            return slot.trouble.store(Trouble::Function as u32, Ordering::Relaxed);
        };
        // SAFETY: readable bytes of the task, this member's while it runs it.
        let arguments = unsafe { std::slice::from_raw_parts(base, args_len) };
        let table = slot.table.load(Ordering::Relaxed) as usize;
        let parts = args_len.checked_sub(table).and_then(|at| arguments.split_at_checked(at));
        let manifest = parts.and_then(|(arguments, table)| {
            let resolver = &mut resolver(&mut *member.segments);
            let manifest = if table.is_empty() { None } else { Some(Manifest::read(table, resolver).ok()?) };
            Some((arguments, manifest))
        });
        let Some((arguments, manifest)) = manifest else {
            return slot.trouble.store(Trouble::Bytes as u32, Ordering::Relaxed);
        };
        // SAFETY: inside the task's bytes, which `bytes_of` has checked.
        let behind = unsafe { base.add(args_len) };
        // SAFETY: as above, behind the arguments, and writable; the driver writes nothing there until the
        // task is done.
        let room = unsafe { Room::new(behind, room) };
        let board = self.board;
        member.within(&slot.stop, number, |member| {
            let mut call = TaskCall {
                board,
                slot,
                number,
                arguments,
                results: Results::new(room),
                function,
                items: slot.items.load(Ordering::Relaxed) as usize,
                is_timed: flags & FLAG_TIMED != 0,
                is_by_value: flags & FLAG_BY_VALUE != 0,
                manifest,
                segments: &mut *member.segments,
            };
            // SAFETY: this member claimed the task.
            unsafe { entry(&mut call) };
        });
    }

    /// The bytes of a claimed task: arguments, and room for results.
    fn bytes_of(&self, member: &mut Member, index: usize, slot: &TaskSlot) -> Result<TaskBytes, String> {
        let len = |word: &AtomicU64| word.load(Ordering::Relaxed) as usize;
        let (args_len, room) = (len(&slot.args_len), len(&slot.room));
        let total = args_len.checked_add(room).ok_or("its lengths make no sense")?;
        let base = match slot.block.load(Ordering::Relaxed) {
            0 if total <= INLINE_BYTES => self.board.inline_bytes(index),
            0 => return Err("its lengths make no sense".into()),
            place => in_arena(self.board, &mut *member.segments, place.wrapping_sub(1), total)?,
        };
        Ok(TaskBytes { base, args_len, room })
    }

    /// Returns the task to the driver.
    fn finish(&mut self, index: usize, running: TaskState) {
        let board = self.board;
        let done = running.of(TaskStage::Done);
        if !board.change(index, running, done) {
            if board.state(index) == running.of(TaskStage::Condemned) {
                // The driver has had enough of it, and is about to kill this process.
                loop {
                    std::thread::sleep(LOOK_AGAIN);
                }
            }
            // A task is never taken from a thread, or from a process that lives on: the word was overwritten.
            return tracing::error!(
                rank = self.rank,
                "the state of a task that this worker ran was overwritten"
            );
        }
        board.put_done(self.rank, index);
        self.has_untold = !board.tell();
    }

    fn wants_out(&mut self) -> bool {
        let rules = self.board.rules();
        let (tasks, age, growth) = (
            rules.max_tasks.load(Ordering::Relaxed),
            rules.max_age_ms.load(Ordering::Relaxed),
            rules.max_growth.load(Ordering::Relaxed),
        );
        if tasks > 0 && self.tasks >= tasks {
            return true;
        }
        if age > 0 && self.begun.elapsed().as_millis() as u64 >= age {
            return true;
        }
        growth > 0 && self.has_grown_by(growth)
    }

    fn has_grown_by(&mut self, growth: u64) -> bool {
        if self.first_weight.is_some() && self.weighed.elapsed() < WEIGH_EVERY {
            return false;
        }
        self.weighed = Instant::now();
        let Some(weight) = process::private_bytes() else { return false };
        weight.saturating_sub(*self.first_weight.get_or_insert(weight)) >= growth
    }
}

/// Where a task's bytes are in this process: arguments, then room for results.
struct TaskBytes {
    base: *mut u8,
    args_len: usize,
    room: usize,
}

/// Where `len_bytes` at `offset` in the arena are in this process.
fn in_arena(
    board: TaskBoard,
    segments: &mut dyn Segments,
    offset: u64,
    len_bytes: usize,
) -> Result<*mut u8, String> {
    let extent = segments.attach(board.rules().arena.load(Ordering::Relaxed), true)?;
    let end = usize::try_from(offset).ok().and_then(|offset| offset.checked_add(len_bytes));
    match end {
        Some(end) if end <= extent.len_bytes => Ok(extent.base.wrapping_add(offset as usize)),
        _ => Err("its bytes lie outside the arena".into()),
    }
}

impl<'a> TaskCall<'a, '_> {
    /// Asks the driver for a room of this many bytes. Returns it and its number.
    #[cold]
    #[expect(clippy::arithmetic_side_effects, reason = "a constant moment from now")]
    pub(crate) fn ask_for_room(&mut self, len_bytes: usize) -> Option<(Room<'a>, u32)> {
        let slot = self.slot;
        slot.wanted.store(len_bytes as u64, Ordering::Relaxed);
        // Release: pairs with the Acquire in the driver's look; it reads how much is wanted.
        slot.grant.store(ASKED, Ordering::Release);
        self.board.ask();
        let answer = loop {
            let answer = slot.grant.load(Ordering::Acquire);
            if answer != ASKED {
                break answer;
            }
            let is_over = slot.is_condemned() || slot.stop.load(Ordering::Relaxed) == self.number;
            if is_over || self.segments.driver_is_gone() {
                return None;
            }
            futex::wait(&slot.grant, ASKED, Some(Instant::now() + LOOK_AGAIN));
        };
        let (place, room) = (slot.block.load(Ordering::Relaxed), slot.room.load(Ordering::Relaxed) as usize);
        if answer % 4 != GRANTED || place == 0 || room < len_bytes {
            return None;
        }
        let there = in_arena(self.board, &mut *self.segments, place.wrapping_sub(1), room).ok()?;
        // SAFETY: `room` bytes of a block that the driver gave to this task alone, mapped for the member's
        // life.
        Some((unsafe { Room::new(there, room) }, answer / 4))
    }
}
