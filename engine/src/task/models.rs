//! Model checks of the board, its bells, and reaping: a driver that submits, sleeps and collects, beside two
//! members, one of which may stop forever at any of its steps.
//!
//! The board, the fork-join barrier's bell and the deaths are those of programs. The driver's books are
//! written again here, without what they hold of users, since queued tasks lie in an arena.
//!
//! # Safety
//! What a slot's task works on are cells of the model, one an item, in the place of its bytes: every access
//! said to be exclusive is checked to be.
#![allow(unsafe_code)]
#![allow(clippy::arithmetic_side_effects, reason = "a test may fail by panicking")]

use super::*;
use crate::base::model::{Arc, UnsafeCell, beside, check, thread};
use crate::task::deaths::Deaths;
use crate::task::slot::*;
use crate::team::fork_join::{ForkJoin, TeamSize};
use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::sync::atomic::AtomicU32 as Plain;

#[path = "tests/limit_models.rs"]
mod limits;

/// A board of its own.
pub(super) struct Heap {
    pub(super) board: TaskBoard,
    layout: Layout,
}

impl Heap {
    pub(super) fn new(size: usize) -> Heap {
        let layout = Layout::from_size_align(board_bytes(size), 4096).unwrap();
        // SAFETY: the layout has a size.
        let base = NonNull::new(unsafe { alloc_zeroed(layout) }).unwrap();
        #[cfg(loom)]
        Heap::fill(base, size);
        // SAFETY: zeroed just now, as long as asked for, and freed with `self` only.
        Heap { board: unsafe { TaskBoard::new(base, size) }, layout }
    }

    /// The checker's words are not made of zeros.
    #[cfg(loom)]
    fn fill(base: NonNull<u8>, size: usize) {
        fn put<T: Default>(base: NonNull<u8>, at: usize, count: usize) {
            for index in 0..count {
                // SAFETY: inside the board by its layout, and nobody looks yet.
                unsafe { base.add(at).cast::<T>().add(index).write(T::default()) };
            }
        }
        put::<Head>(base, 0, 1);
        put::<AtomicU64>(base, RING_AT, SLOTS);
        put::<Line<TaskSlot>>(base, SLOTS_AT, SLOTS);
        put::<DoneRing>(base, DONE_AT, size);
    }
}

impl Drop for Heap {
    fn drop(&mut self) {
        // SAFETY: allocated in `new` with this layout.
        unsafe { dealloc(self.board.base.as_ptr(), self.layout) }
    }
}

/// Members.
const SIZE: usize = 2;
/// Items that a task has at most, and that there are.
const ITEMS: usize = 2;
/// Slots in use.
const USED: usize = 2;
/// What an item's cell holds: its number, and this once it has its result.
const RESULT: u32 = 100;

/// Nobody is parked.
fn whole_team() -> TeamSize {
    TeamSize { serving: SIZE, there: SIZE }
}

/// Where a member stops forever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dies {
    /// On its way to sleep.
    Dozing,
    /// Awake again, perhaps by the only wake-up for a task.
    Woken,
    /// Having claimed a task, with no item begun.
    Claimed,
    /// In an item.
    Begun,
    /// Having counted an item.
    Counted,
    /// Its task is done, and not in its list.
    Done,
    /// In its list, and nobody was told.
    Listed,
}

struct Team {
    heap: Heap,
    /// The fork-join barrier's.
    bell: AtomicU32,
    asleep: [Line<AtomicU64>; 1],
    attendance: [Line<crate::team::fork_join::Attendance>; SIZE],
    leave: AtomicU32,
    deaths: Deaths<u32>,
    /// By slot and place.
    bytes: [[UnsafeCell<u32>; ITEMS]; USED],
    /// How often each item was run; no part of the protocol.
    ran: [Plain; ITEMS],
}

// SAFETY: the model's checker watches the accesses to the cells.
unsafe impl Sync for Team {}
// SAFETY: as above.
unsafe impl Send for Team {}

struct InFlight {
    queued: TaskState,
    first: usize,
    items: usize,
    /// A living member was told to end it: what came of it was told then.
    is_told: bool,
}

/// The driver's.
struct Books {
    free: Vec<usize>,
    in_flight: [Option<InFlight>; USED],
    tail: u64,
    taken: [u64; SIZE],
    /// Whether each item has a result, once it has an outcome.
    outcomes: [Option<bool>; ITEMS],
}

impl Books {
    fn new() -> Books {
        let free = (0..USED).rev().collect();
        Books { free, in_flight: Default::default(), tail: 0, taken: [0; SIZE], outcomes: [None; ITEMS] }
    }

    fn tell(&mut self, item: usize, has_result: bool) {
        assert_eq!(self.outcomes[item].replace(has_result), None, "item {item} has one outcome");
    }

    fn is_done(&self) -> bool {
        self.outcomes.iter().all(Option::is_some)
    }
}

fn id_of(rank: usize) -> u32 {
    rank as u32 + 2
}

impl Team {
    fn new() -> Arc<Team> {
        Arc::new(Team {
            heap: Heap::new(SIZE),
            bell: AtomicU32::new(0),
            asleep: Default::default(),
            attendance: Default::default(),
            leave: AtomicU32::new(0),
            deaths: Deaths::new(),
            bytes: Default::default(),
            ran: Default::default(),
        })
    }

    fn board(&self) -> &TaskBoard {
        &self.heap.board
    }

    /// The words that wake members; there is no launch.
    fn fork_join(&self) -> ForkJoin<'_> {
        ForkJoin {
            bell: &self.bell,
            attendance: &self.attendance,
            pending: &[],
            asleep: &self.asleep,
            news: &self.leave,
            driver_asleep: &self.leave,
        }
    }

    // ------------------------------------------------------------------------------------------- member

    /// As a member's loop does it, without the looks before sleep; ends with leave, or at `dies`.
    fn serve(&self, rank: usize, dies: Option<Dies>) {
        let (board, fork_join) = (self.board(), self.fork_join());
        loop {
            let bell = fork_join.bell();
            if let Some((index, running)) = board.claim(id_of(rank)) {
                if !self.run(rank, index, running, dies) {
                    return;
                }
                continue;
            }
            if self.leave.load(Ordering::Acquire) != 0 {
                return;
            }
            if dies == Some(Dies::Dozing) {
                self.asleep[0].fetch_or(1 << rank, Ordering::Relaxed);
                return;
            }
            fork_join.sleep(rank, 0, bell, None, || board.waiting() > 0);
            if dies == Some(Dies::Woken) {
                return;
            }
        }
    }

    /// Runs a task that was claimed; false if the member stops in it.
    fn run(&self, rank: usize, index: usize, running: TaskState, dies: Option<Dies>) -> bool {
        let board = self.board();
        let slot = board.slot(index);
        if dies == Some(Dies::Claimed) {
            return false;
        }
        let is_timed = slot.flags.load(Ordering::Relaxed) & FLAG_TIMED != 0;
        for place in 0..slot.items.load(Ordering::Relaxed) as usize {
            if !slot.begin(place, is_timed) {
                break;
            }
            self.bytes[index][place].with_mut(|bytes| {
                // SAFETY: a claimed task's bytes are the member's; checked.
                let item = unsafe { *bytes };
                self.ran[item as usize].fetch_add(1, Ordering::Relaxed);
                // SAFETY: as above.
                unsafe { *bytes = item + RESULT };
            });
            if dies == Some(Dies::Begun) {
                return false;
            }
            slot.items_done.store(place as u64 + 1, Ordering::Release);
            if dies == Some(Dies::Counted) {
                return false;
            }
        }
        assert!(board.change(index, running, running.of(TaskStage::Done)), "a running task is its member's");
        if dies == Some(Dies::Done) {
            return false;
        }
        board.put_done(rank, index);
        if dies == Some(Dies::Listed) {
            return false;
        }
        board.tell();
        true
    }

    /// What the engine does for a member whose death the kernel has confirmed; as `TaskQueue::died`.
    fn died(&self, rank: usize) {
        self.asleep[0].fetch_and(!(1 << rank), Ordering::SeqCst);
        self.deaths.add(id_of(rank));
        self.board().alarm();
    }

    // ------------------------------------------------------------------------------------------- driver

    /// Puts items on the board and wakes members for it, as `TaskQueue::submit`.
    fn submit(&self, books: &mut Books, first: usize, items: usize) {
        self.place(books, first, items, 0);
        self.fork_join().call_out(1, whole_team);
    }

    fn place(&self, books: &mut Books, first: usize, items: usize, flags: u32) {
        let index = books.free.pop().expect("a slot is free");
        let slot = self.board().slot(index);
        for place in 0..items {
            // SAFETY: a free slot is the driver's; checked.
            self.bytes[index][place].with_mut(|bytes| unsafe { *bytes = (first + place) as u32 });
        }
        let set = [(&slot.items, items as u64), (&slot.items_done, 0), (&slot.reading, 0)];
        set.iter().for_each(|(word, value)| word.store(*value, Ordering::Relaxed));
        slot.flags.store(flags, Ordering::Relaxed);
        let queued = self.board().queue(index, books.tail).expect("the ring has room");
        books.tail += 1;
        books.in_flight[index] = Some(InFlight { queued, first, items, is_told: false });
    }

    fn release(&self, books: &mut Books, index: usize) {
        self.board().free(index);
        books.free.push(index);
    }

    /// Tells the outcomes of the first items of a task.
    fn deliver(&self, books: &mut Books, index: usize, first: usize, done: usize) {
        for place in 0..done {
            // SAFETY: done, and written before that was said; checked.
            let result = self.bytes[index][place].with(|bytes| unsafe { *bytes });
            assert_eq!(result, (first + place) as u32 + RESULT, "a result is its item's");
            books.tell(first + place, true);
        }
    }

    /// As `TaskQueue::settle`: what is done is delivered, what is in work is lost; gives what is to be run
    /// elsewhere.
    fn settle(&self, books: &mut Books, index: usize, first: usize, items: usize) -> (usize, usize) {
        let (done, begun) = self.board().slot(index).progress();
        self.deliver(books, index, first, done);
        if begun > done {
            books.tell(first + done, false);
        }
        (first + begun, items - begun)
    }

    /// As `TaskQueue::collect`.
    fn collect(&self, books: &mut Books) {
        let deaths = self.deaths.take();
        for rank in 0..SIZE {
            for _ in 0..self.board().done_since(rank, books.taken[rank]).expect("no more than there are") {
                let index = self.board().done_slot(rank, books.taken[rank]).expect("a slot");
                books.taken[rank] += 1;
                if self.board().state(index).stage() == Some(TaskStage::Done)
                    && let Some(in_flight) = books.in_flight[index].take()
                {
                    if !in_flight.is_told {
                        self.deliver(books, index, in_flight.first, in_flight.items);
                    }
                    self.release(books, index);
                }
            }
        }
        deaths.into_iter().flatten().for_each(|dead| self.reap_dead(books, dead));
    }

    /// As `TaskQueue::reap_dead`.
    fn reap_dead(&self, books: &mut Books, dead: u32) {
        for index in 0..USED {
            let state = self.board().state(index);
            if state.is_left_by(dead)
                && let Some(in_flight) = books.in_flight[index].take()
            {
                let (first, items) = self.settle(books, index, in_flight.first, in_flight.items);
                self.release(books, index);
                if items > 0 {
                    self.submit(books, first, items);
                }
            }
        }
        // A wake-up may have died with it.
        self.fork_join().call_out(self.board().waiting() as u32, whole_team);
    }

    fn has_arrivals(&self, books: &Books) -> bool {
        self.deaths.are_new()
            || books
                .taken
                .iter()
                .enumerate()
                .any(|(rank, taken)| self.board().done_since(rank, *taken) != Some(0))
    }

    /// As a thread on duty, without the looks before sleep; nobody else collects.
    fn wait(&self, books: &mut Books) {
        let board = self.board();
        loop {
            let seen = board.waiter().seen();
            self.collect(books);
            if books.is_done() {
                return;
            }
            board.be_eager();
            board.waiter().sleep(seen, None, || self.has_arrivals(books));
            board.be_easy();
        }
    }

    /// As the end of a pool: members go once nothing waits for them.
    fn give_leave(&self) {
        self.leave.store(1, Ordering::Release);
        self.fork_join().ring();
    }

    fn runs(&self) -> [u32; ITEMS] {
        [0, 1].map(|item| self.ran[item].load(Ordering::Relaxed))
    }
}

/// Two tasks, two members: all fall asleep and wake each other.
#[test]
fn loom_board_runs_every_task_once() {
    check(Some(1), || {
        let team = Team::new();
        let members = [0, 1].map(|rank| beside(&team, move |team| team.serve(rank, None)));
        let mut books = Books::new();
        team.submit(&mut books, 0, 1);
        team.submit(&mut books, 1, 1);
        team.wait(&mut books);
        team.give_leave();
        members.into_iter().for_each(|member| member.join().unwrap());
        assert_eq!((team.runs(), books.outcomes), ([1, 1], [Some(true); 2]));
    });
}

/// One member, one task after the other: each finds it asleep, about to sleep, or awake, and so does its end
/// the driver.
#[test]
fn loom_board_wakes_a_member_and_the_driver() {
    check(Some(3), || {
        let team = Team::new();
        let member = beside(&team, move |team| team.serve(0, None));
        let mut books = Books::new();
        team.submit(&mut books, 0, 1);
        books.outcomes[1] = Some(true);
        team.wait(&mut books);
        books.outcomes[1] = None;
        team.submit(&mut books, 1, 1);
        team.wait(&mut books);
        team.give_leave();
        member.join().unwrap();
        assert_eq!(team.runs(), [1, 1]);
    });
}

/// Who has read the head finds no task before it that is still queued, as the audit takes for granted.
#[test]
fn loom_board_head_passes_no_queued_task() {
    check(None, || {
        let heap = Arc::new(Heap::new(1));
        heap.board.queue(0, 0).expect("there is room");
        let member = beside(&heap, |heap| heap.board.claim(1).is_some());
        let (head, state) = (heap.board.head_position(), heap.board.state(0));
        assert!(head == 0 || state.stage() == Some(TaskStage::Running), "{head} {state:?}");
        assert!(member.join().unwrap());
    });
}

/// The driver takes a task back while a member claims it, and uses its slot again.
#[test]
fn loom_board_task_is_taken_back_or_run() {
    check(Some(3), || {
        let team = Team::new();
        let member = beside(&team, move |team| team.serve(0, None));
        let mut books = Books::new();
        team.submit(&mut books, 0, 1);
        // As `TaskQueue::take_unbegun`.
        let index = books.in_flight.iter().position(Option::is_some).expect("it was submitted");
        let queued = books.in_flight[index].as_ref().expect("as above").queued;
        let is_back = team.board().change(index, queued, queued.of(TaskStage::Free));
        if is_back {
            books.in_flight[index] = None;
            team.release(&mut books, index);
            books.tell(0, false);
        }
        team.submit(&mut books, 1, 1);
        team.wait(&mut books);
        team.give_leave();
        member.join().unwrap();
        assert_eq!(team.runs(), [u32::from(!is_back), 1]);
    });
}

/// A task that is done, and whose member has not said so, is found whole where it is looked for.
#[test]
fn loom_board_stray_is_whole() {
    check(None, || {
        let team = Team::new();
        let mut books = Books::new();
        team.place(&mut books, 0, 1, 0);
        let member = beside(&team, move |team| team.serve(0, Some(Dies::Done)));
        // As `TaskQueue::take_done`, at the audit that finds it.
        while team.board().state(0).stage() != Some(TaskStage::Done) {
            thread::yield_now();
        }
        team.deliver(&mut books, 0, 0, 1);
        member.join().unwrap();
    });
}

/// Rank 1 stops at `dies`; the engine, told by the kernel, tells the driver, which sleeps or not; the
/// survivor runs what is left.
fn a_member_dies(dies: Dies) {
    check(Some(2), move || {
        let team = Team::new();
        let survivor = beside(&team, move |team| team.serve(0, None));
        // What follows the death in this thread is the engine's: the kernel's word comes after the last step.
        let dying = beside(&team, move |team| {
            team.serve(1, Some(dies));
            team.died(1);
        });
        let mut books = Books::new();
        team.submit(&mut books, 0, 2);
        team.wait(&mut books);
        team.give_leave();
        survivor.join().unwrap();
        dying.join().unwrap();
        for (ran, outcome) in team.runs().into_iter().zip(books.outcomes) {
            assert_eq!(ran, 1, "no item is run twice, and none is lost unless it was begun");
            assert!(outcome == Some(true) || dies == Dies::Begun);
        }
    });
}

#[test]
fn loom_board_death_of_a_dozing_member() {
    a_member_dies(Dies::Dozing);
}

#[test]
fn loom_board_death_of_a_member_that_was_woken() {
    a_member_dies(Dies::Woken);
}

#[test]
fn loom_board_death_between_claim_and_first_item() {
    a_member_dies(Dies::Claimed);
}

#[test]
fn loom_board_death_in_an_item() {
    a_member_dies(Dies::Begun);
}

#[test]
fn loom_board_death_between_items() {
    a_member_dies(Dies::Counted);
}

#[test]
fn loom_board_death_between_end_and_list() {
    a_member_dies(Dies::Done);
}

#[test]
fn loom_board_death_between_list_and_notice() {
    a_member_dies(Dies::Listed);
}
