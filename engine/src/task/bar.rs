//! Progress bars of calls through the pool.

use crate::task::Tasks;
use indicatif::{ProgressBar, ProgressFinish, ProgressStyle};
use std::time::Duration;

/// What a bar shows; without a total there is neither a bar nor a time to go.
const BAR: &str = "{msg} {wide_bar} {pos}/{len} {per_sec} {elapsed} ETA {eta}";
const NO_BAR: &str = "{msg} {spinner} {pos} {per_sec} {elapsed}";

impl Tasks<'_> {
    /// Shows a progress bar on standard error: items done, the total if it is known, items per second, and
    /// the time remaining. Nothing is shown where standard error is not a terminal. A callback set earlier
    /// with [`Self::progress`] is still called. The total, and with it the remaining time, is known for maps
    /// over inputs that report their length, and for `imap` once its input has ended.
    ///
    /// Requires the cargo feature `indicatif`.
    ///
    /// ```
    /// # fn main() -> Result<(), phalanx::Error> {
    /// let pool = phalanx::Pool::builder().workers(2).build()?;
    /// let squares = pool.tasks().progress_bar("squares").map(|n: u64| n * n, 1..=3)?;
    /// assert_eq!(squares, [1, 4, 9]);
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "tqdm")]
    pub fn progress_bar(mut self, label: impl Into<String>) -> Self {
        let bar = ProgressBar::no_length().with_finish(ProgressFinish::Abandon).with_message(label.into());
        bar.set_style(style(NO_BAR));
        bar.enable_steady_tick(Duration::from_millis(250));
        let before = self.options.progress.take();
        let show = shows(bar);
        self.progress(move |done, all| {
            before.iter().for_each(|before| before(done, all));
            show(done, all);
        })
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// Brings the bar to what is done; it ends when all is.
fn shows(bar: ProgressBar) -> impl Fn(usize, Option<usize>) + Send + Sync + 'static {
    move |done, all| {
        if let Some(all) = all
            && bar.length() != Some(all as u64)
        {
            bar.set_style(style(BAR));
            bar.set_length(all as u64);
        }
        bar.set_position(done as u64);
        if all == Some(done) {
            bar.finish();
        }
    }
}

#[cfg(all(test, not(loom)))]
#[path = "bar_tests.rs"]
mod tests;
