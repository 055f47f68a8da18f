//! How long a driver has heard nothing of another for which it waits.
#![deny(clippy::arithmetic_side_effects)]

use super::link::Link;
use std::time::Duration;

/// When a driver first says that it waits.
const FIRST_NOTICE: Duration = Duration::from_secs(60);
/// Time between two looks that counts at most: a driver that was stopped itself has not waited.
const MOST_AT_ONCE: Duration = Duration::from_millis(10);
/// Status of a job that was ended because a driver waited too long.
const TOO_LONG: i32 = 101;

/// One wait for one driver.
#[derive(Default)]
pub(super) struct Vigil {
    waited: Duration,
    /// When it is said next.
    next_notice: Option<Duration>,
}

impl Vigil {
    /// The other driver gave a sign.
    pub(super) fn heard(&mut self) {
        *self = Vigil::default();
    }

    pub(super) fn waited(&self) -> Duration {
        self.waited
    }

    /// Notes that nothing came for so long. Says so now and then, and ends the job where the limit is over.
    pub(super) fn note(&mut self, silence: Duration, link: &Link, peer: usize, site: &str) {
        self.waited = self.waited.saturating_add(silence.min(MOST_AT_ONCE));
        if link.limit().is_some_and(|limit| self.waited > limit) {
            link.abort(
                TOO_LONG,
                &format!("{}, which is the limit: the job ends", self.text(link, peer, site)),
            );
        }
        let next = self.next_notice.unwrap_or(FIRST_NOTICE);
        if self.waited > next {
            self.next_notice = Some(next.saturating_mul(2));
            let line = format!("phalanx: {}\n", self.text(link, peer, site));
            crate::sys::process::write_stderr(line.as_bytes());
        }
    }

    fn text(&self, link: &Link, peer: usize, site: &str) -> String {
        let (me, here, there) = (link.me, link.host(link.me), link.host(peer));
        let waited = self.waited.as_secs_f64();
        format!("driver {me} on {here} has waited {waited:.0} s for driver {peer} on {there} in {site}")
    }
}
