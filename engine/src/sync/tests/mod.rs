//! Tests of the sync floor: behaviour between threads, deaths of real processes, and a death at every
//! instruction.

mod process;
mod repair;
pub(crate) mod sweep;
mod thread;
mod travel;

use crate::base::member::{MemberId, Owner, next_member};

/// A member that has no process: its operations are done by the test, and abandoned when it "dies".
fn stranger() -> Owner {
    Owner { member: next_member().unwrap(), thread: 1 }
}

/// Everything that a death of `dead` entails.
fn dies(dead: MemberId) {
    crate::sync::repair::repair(dead);
}
