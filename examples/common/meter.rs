//! One progress bar over all passes of a run, shown only where a person watches and waits.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use phalanx::launch::Progress;
use std::cell::Cell;
use std::time::{Duration, Instant};

/// Runs shorter than this show no bar.
const PATIENCE: Duration = Duration::from_millis(1500);

/// Counts bytes, or other things, over all passes. Draws a bar on standard error if that is a terminal and
/// the run takes long.
pub struct Meter {
    bar: ProgressBar,
    start: Instant,
    shown: Cell<bool>,
    begun: Cell<u64>,
}

impl Meter {
    /// Returns a meter for about that many bytes. More are counted if there are more passes.
    pub fn new(what: &'static str, bytes: u64) -> Self {
        Self::with_style(what, bytes, "{msg} {wide_bar} {bytes}/{total_bytes} {binary_bytes_per_sec} {eta}")
    }

    /// Returns a meter for so many of anything else.
    pub fn counting(what: &'static str, total: u64) -> Self {
        Self::with_style(what, total, "{msg} {wide_bar} {human_pos}/{human_len} {per_sec} {eta}")
    }

    fn with_style(what: &'static str, total: u64, style: &str) -> Self {
        let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::hidden());
        let style = ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar());
        let (shown, begun) = (Cell::new(false), Cell::new(0));
        Self { bar: bar.with_message(what).with_style(style), start: Instant::now(), shown, begun }
    }

    /// A callback for the progress of a launch, all of whose units together count as `whole`.
    pub fn follow(&self, whole: u64) -> impl Fn(Progress) + '_ {
        let told = Cell::new(0);
        move |progress| {
            let now = u128::from(whole) * progress.done as u128 / progress.len.max(1) as u128;
            self.advance((now as u64).saturating_sub(told.replace(now as u64)));
        }
    }

    /// Begins a pass over that many bytes.
    pub fn pass(&self, bytes: u64) {
        self.begun.set(self.begun.get() + bytes);
        if self.bar.length().is_some_and(|length| length < self.begun.get()) {
            self.bar.set_length(self.begun.get());
        }
    }

    /// Counts that many more as done.
    pub fn advance(&self, bytes: u64) {
        self.bar.inc(bytes);
        if !self.shown.get() && self.start.elapsed() > PATIENCE {
            self.shown.set(true);
            self.bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(8));
        }
    }

    /// Sets the message beside the bar.
    pub fn name(&self, what: &'static str) {
        self.bar.set_message(what);
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
