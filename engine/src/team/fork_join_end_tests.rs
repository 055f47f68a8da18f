//! The end of a team beside launches of two threads: the gate of `end.rs`, in a model.
//!
//! # Safety
//! What the protocol guards are cells of the model, so every access said to be exclusive is checked to be.
#![allow(unsafe_code)]

use super::*;
use crate::base::model::{self, Arc, Mutex, UnsafeCell, beside, thread};
use Presence::Required;

/// A team of one, with the order that drivers write and the result that the member writes.
struct Team {
    words: tests::Words,
    /// Launches so far, and whether the team has ended.
    gate: Mutex<(u64, bool)>,
    leave: AtomicU64,
    order: UnsafeCell<u64>,
    result: UnsafeCell<u64>,
    member: Mutex<Option<thread::JoinHandle<()>>>,
}

// SAFETY: the model's checker watches the accesses to the cells.
unsafe impl Sync for Team {}
// SAFETY: as above.
unsafe impl Send for Team {}

impl Team {
    fn new() -> Arc<Team> {
        let team = Arc::new(Team {
            words: tests::Words::new(1),
            gate: Mutex::new((0, false)),
            leave: AtomicU64::new(0),
            order: UnsafeCell::new(0),
            result: UnsafeCell::new(0),
            member: Mutex::new(None),
        });
        let member = team.clone();
        *team.member.lock().unwrap() = Some(thread::spawn(move || member.serve()));
        team
    }

    /// As a member does: launches until it has leave.
    fn serve(&self) {
        let (fork_join, mut last) = (self.words.fork_join(), 0);
        loop {
            let bell = fork_join.bell();
            if let Some(epoch) = fork_join.poll(0, last) {
                // SAFETY: in the launch; checked.
                let order = self.order.with(|order| unsafe { *order });
                assert_eq!(order, epoch, "a member runs the order of the launch that it entered");
                // SAFETY: as above.
                self.result.with_mut(|result| unsafe { *result = epoch });
                fork_join.finish(0, epoch, Required);
                last = epoch;
            } else if self.leave.load(Ordering::Acquire) != 0 {
                return;
            } else {
                fork_join.sleep(0, last, bell, None, || false);
            }
        }
    }

    /// A launch that ran, or the word that the team has ended.
    fn launch(&self) -> Option<()> {
        let mut gate = self.gate.lock().unwrap();
        if gate.1 {
            return None;
        }
        gate.0 += 1;
        // SAFETY: nobody is in a launch; checked.
        self.order.with_mut(|order| unsafe { *order = gate.0 });
        self.words.fork_join().open(gate.0, &RankSet::full(1), Required);
        self.words.await_end();
        // SAFETY: nobody is in a launch; checked.
        let result = self.result.with(|result| unsafe { *result });
        assert_eq!(result, gate.0, "a launch that says so has run");
        Some(())
    }

    /// As `Crew::end`; then what the member used is let go.
    fn end(&self) {
        let mut gate = self.gate.lock().unwrap();
        if !std::mem::replace(&mut gate.1, true) {
            self.leave.store(1, Ordering::Release);
            self.words.fork_join().ring();
            let member = self.member.lock().unwrap().take();
            member.into_iter().for_each(|member| member.join().unwrap());
            // SAFETY: the member is gone; checked.
            self.order.with_mut(|order| unsafe { *order = u64::MAX });
        }
    }

    /// After an end of one's own.
    fn assert_over(&self) {
        // SAFETY: nobody writes it any more; checked.
        assert_eq!(self.order.with(|order| unsafe { *order }), u64::MAX, "an end that returns is over");
        assert!(self.launch().is_none());
    }
}

/// Two threads launch, and each ends the team after that, while the other launches or ends it too.
#[test]
fn loom_fork_join_two_drivers_and_two_ends() {
    model::check(Some(2), || {
        let team = Team::new();
        let other = beside(&team, move |team| {
            let _closed = team.launch();
            team.end();
            team.assert_over();
        });
        let _closed = team.launch();
        team.end();
        team.assert_over();
        other.join().unwrap();
    });
}

/// An end beside a launch: the member is asleep, about to sleep, in the launch or leaving.
#[test]
fn loom_fork_join_an_end_beside_a_launch() {
    model::check(Some(3), || {
        let team = Team::new();
        let other = beside(&team, move |team| team.launch());
        team.end();
        team.assert_over();
        let _closed = other.join().unwrap();
    });
}
