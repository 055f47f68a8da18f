//! The thread that calls the program's callbacks when no thread waits for their result. It is never the
//! thread that collects results and watches time limits. So a callback may be slow, or wait for other tasks,
//! and delays only other callbacks.
#![deny(clippy::arithmetic_side_effects)]

use crate::task::queue::TaskQueue;
use crate::task::queued::Receiver;
use crate::team::{current, program};
use parking_lot::{Condvar, Mutex};
use std::collections::VecDeque;
use std::sync::{Arc, Weak};

/// Receivers whose calls are to be made, in the order in which they came.
#[derive(Default)]
pub(crate) struct Calls {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Arc<dyn Receiver>>,
    has_thread: bool,
    is_calling: bool,
    /// The queue has ended: the thread ends when it has nothing left to do.
    is_over: bool,
}

impl Calls {
    /// Has the callback thread make this receiver's calls. Starts the thread when it is first needed.
    pub(crate) fn push(self: &Arc<Calls>, queue: &Arc<TaskQueue>, receiver: &Arc<dyn Receiver>) {
        let mut state = self.state.lock();
        state.queue.push_back(receiver.clone());
        self.changed.notify_all();
        if state.has_thread {
            return;
        }
        let (calls, weak) = (self.clone(), Arc::downgrade(queue));
        let name = "phalanx callbacks".into();
        state.has_thread = std::thread::Builder::new().name(name).spawn(move || calls.run(&weak)).is_ok();
        if state.has_thread {
            return;
        }
        // No thread can be started now: the caller's makes the calls, and the next call tries again.
        while let Some(receiver) = state.queue.pop_front() {
            drop(state);
            call(&receiver, Some(queue));
            state = self.state.lock();
        }
    }

    fn run(&self, queue: &Weak<TaskQueue>) {
        let mut state = self.state.lock();
        loop {
            let Some(receiver) = state.queue.pop_front() else {
                if state.is_over {
                    state.has_thread = false;
                    return;
                }
                self.changed.wait(&mut state);
                continue;
            };
            state.is_calling = true;
            drop(state);
            call(&receiver, queue.upgrade().as_ref());
            discard(receiver);
            state = self.state.lock();
            state.is_calling = false;
            self.changed.notify_all();
        }
    }

    /// Waits until no call is left to be made. For threads that may wait
    /// ([`may_wait`](crate::team::current::may_wait)).
    pub(crate) fn wait_idle(&self) {
        let mut state = self.state.lock();
        while state.is_calling || !state.queue.is_empty() {
            self.changed.wait(&mut state);
        }
    }

    /// Lets the thread end once all calls are made.
    pub(crate) fn close(&self) {
        self.state.lock().is_over = true;
        self.changed.notify_all();
    }
}

fn call(receiver: &Arc<dyn Receiver>, queue: Option<&Arc<TaskQueue>>) {
    receiver.make_calls();
    if let Some(queue) = queue {
        queue.tell_waiters();
    }
}

/// Drops something that may hold values of the program, whose destructors are its own code.
pub(crate) fn discard<T>(thing: T) {
    let _telling = current::enter_telling();
    program::call("a destructor", || drop(thing));
}
