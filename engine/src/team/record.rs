//! What the deaths of a rank's workers say against the rank, and how long the next start waits.

use crate::spawn::ExitCause;
use std::time::Duration;

/// Deaths in a row that count, after which a rank is given up.
const MAX_DEATHS: u32 = 3;
/// Starts in a row that came to nothing and are made up for at once. Then there is a pause before each, which
/// doubles.
const AT_ONCE: u32 = 3;
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

/// What is held against the workers of one rank (README.md, "Which deaths count").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Record {
    /// Ends by their own doing before they had served, since one served.
    faults: u32,
    /// Those that did not get ready, since one did.
    unready: u32,
    /// Starts without any use, since one served.
    idle: u32,
}

/// How far a worker had come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reached {
    /// It was being started.
    Start,
    /// It was ready, and had not begun anything.
    Ready,
    /// It had begun a launch or a task. A kernel that kills its worker says nothing against the worker.
    Service,
}

impl Record {
    /// Notes a death; returns the pause before the next start, or how many deaths in a row are enough.
    pub(crate) fn died(&mut self, reached: Reached, cause: ExitCause) -> Result<Duration, u32> {
        if reached == Reached::Service {
            *self = Record::default();
            return Ok(Duration::ZERO);
        }
        // A kill from outside of one that is ready says nothing either.
        if reached == Reached::Start {
            self.unready += 1;
        } else {
            self.unready = 0;
            self.faults += u32::from(is_own_doing(cause));
        }
        match self.faults + self.unready {
            count if count >= MAX_DEATHS => Err(count),
            _ => Ok(self.pause()),
        }
    }

    /// How long to wait before the next start, after one that came to nothing.
    pub(crate) fn pause(&mut self) -> Duration {
        self.idle += 1;
        match self.idle.checked_sub(AT_ONCE + 1) {
            None => Duration::ZERO,
            Some(doublings) => (FIRST_PAUSE * (1 << doublings.min(8))).min(LONGEST_PAUSE),
        }
    }
}

/// Whether a process brings such an end upon itself; other signals are sent by somebody.
fn is_own_doing(cause: ExitCause) -> bool {
    const FAULTS: [i32; 7] =
        [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE, libc::SIGABRT, libc::SIGTRAP, libc::SIGSYS];
    match cause {
        ExitCause::Exit(_) => true,
        ExitCause::Signal { number, .. } => FAULTS.contains(&number),
        ExitCause::Unknown => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KILLED: ExitCause = ExitCause::Signal { number: libc::SIGKILL, core_dumped: false };
    const ABORTED: ExitCause = ExitCause::Signal { number: libc::SIGABRT, core_dumped: true };

    #[test]
    fn kills_from_outside_of_idle_workers_never_count() {
        let mut record = Record::default();
        let pauses: Vec<_> = (0..100).map(|_| record.died(Reached::Ready, KILLED).unwrap()).collect();
        assert_eq!((pauses[0], pauses[99]), (Duration::ZERO, LONGEST_PAUSE));
        assert!(pauses.is_sorted());
        assert_eq!(record.died(Reached::Service, KILLED), Ok(Duration::ZERO));
        assert_eq!(record, Record::default());
    }

    #[test]
    fn three_deaths_at_the_start_are_three_and_readiness_clears_them() {
        let mut record = Record::default();
        for _ in 0..10 {
            assert!(record.died(Reached::Start, KILLED).is_ok());
            assert!(record.died(Reached::Start, ABORTED).is_ok());
            assert!(record.died(Reached::Ready, KILLED).is_ok());
        }
        assert!(record.died(Reached::Start, KILLED).is_ok());
        assert!(record.died(Reached::Start, KILLED).is_ok());
        assert_eq!(record.died(Reached::Start, KILLED), Err(3));
    }

    #[test]
    fn workers_that_end_by_their_own_doing_before_they_served_are_given_up() {
        let mut record = Record::default();
        for _ in 0..10 {
            assert!(record.died(Reached::Ready, ABORTED).is_ok());
            assert!(record.died(Reached::Ready, ExitCause::Exit(0)).is_ok());
            assert!(record.died(Reached::Service, ABORTED).is_ok());
        }
        assert!(record.died(Reached::Ready, ABORTED).is_ok());
        assert!(record.died(Reached::Start, ABORTED).is_ok());
        assert!(record.died(Reached::Ready, ExitCause::Exit(0)).is_ok());
        assert!(record.died(Reached::Ready, ABORTED).is_err());
    }
}
