//! Model checks of time limits where members are threads: one that is not on duty settles a task whose member
//! lives on, and tells the one that is, which sleeps.

use super::*;
use crate::base::model::Mutex;

/// An item goes on after its time: a thread that is not on duty tells the one that is, which sleeps, since
/// its member never will.
#[test]
fn loom_board_item_that_never_ends_is_told_to_a_sleeper() {
    check(None, || {
        let team = Team::new();
        let books = Arc::new(Mutex::new(Books::new()));
        books.lock().unwrap().outcomes[1] = Some(true);
        team.place(&mut books.lock().unwrap(), 0, 1, FLAG_TIMED);
        let member = {
            let (team, books) = (team.clone(), books.clone());
            // What follows the item's begin in this thread is the collector's.
            thread::spawn(move || {
                team.serve(0, Some(Dies::Begun));
                team.end_overdue(&books);
            })
        };
        team.wait_beside_another(&books);
        member.join().unwrap();
        assert_eq!(books.lock().unwrap().outcomes[0], Some(false));
    });
}

/// A thread that is not on duty ends an item whose time is over, in a member that lives on: it alone is lost.
#[test]
fn loom_board_item_whose_time_is_over_is_lost_alone() {
    check(Some(2), || {
        let team = Team::new();
        let books = Arc::new(Mutex::new(Books::new()));
        team.place(&mut books.lock().unwrap(), 0, 2, FLAG_TIMED);
        let member = beside(&team, move |team| team.serve(0, None));
        let collector = {
            let (team, books) = (team.clone(), books.clone());
            thread::spawn(move || team.end_overdue(&books))
        };
        team.wait_beside_another(&books);
        team.give_leave();
        member.join().unwrap();
        collector.join().unwrap();
        assert_eq!(team.runs(), [1, 1]);
    });
}

impl Team {
    /// As `TaskQueue::end_overdue` and `TaskQueue::condemn` for a thread: what was done is told, the item in
    /// work is lost, the rest is run elsewhere.
    fn end_overdue(&self, books: &Mutex<Books>) {
        let board = self.board();
        let slot = board.slot(0);
        let placed = {
            let mut books = books.lock().unwrap();
            let running = board.state(0);
            let reading = slot.reading.load(Ordering::Acquire);
            let Some(in_flight) = &mut books.in_flight[0] else { return };
            if running.stage() != Some(TaskStage::Running) || !slot.doom(reading) {
                return;
            }
            in_flight.is_told = true;
            let (first, items) = (in_flight.first, in_flight.items);
            let (first, items) = self.settle(&mut books, 0, first, items);
            if items > 0 {
                self.place(&mut books, first, items, FLAG_TIMED);
            }
            u32::from(items > 0)
        };
        if placed > 0 {
            self.fork_join().call_out(placed, whole_team);
        }
        // As `TaskQueue::tell_waiters`.
        fence(Ordering::SeqCst);
        board.waiter().rouse_if_watched();
    }

    /// As [`Self::wait`], with another thread that collects or settles.
    fn wait_beside_another(&self, books: &Mutex<Books>) {
        let board = self.board();
        loop {
            let seen = board.waiter().seen();
            let is_done = {
                let mut books = books.lock().unwrap();
                self.collect(&mut books);
                books.is_done()
            };
            if is_done {
                return;
            }
            board.be_eager();
            board.waiter().sleep(seen, None, || {
                let books = books.lock().unwrap();
                books.is_done() || self.has_arrivals(&books)
            });
            board.be_easy();
        }
    }
}
