//! A token that Ctrl-C cancels.

use crate::base::member::{self, MemberId};
use crate::launch::cancel::{CancelToken, Shared};
use crate::sys::{ctrl_c, fork};
use parking_lot::Mutex;
use std::io;
use std::sync::{Arc, Weak};

/// The token of this process, while a handle of it exists.
static TOKEN: Mutex<Weak<Shared>> = Mutex::new(Weak::new());

impl CancelToken {
    /// Returns the token that the first Ctrl-C (SIGINT) cancels. From then on, calls that use it wind down:
    /// what workers are running finishes, nothing else begins, and the calls return
    /// [`LaunchError::Cancelled`](crate::LaunchError::Cancelled), or
    /// [`TaskError::Cancelled`](crate::TaskError::Cancelled) for each item that did not run. The program can
    /// then save what it has and end. A second Ctrl-C does what the first would have done without the token:
    /// it ends the program and its workers, unless the program has a handler of its own, which is called.
    ///
    /// Unlike with other tokens, a launch's workers get all the time they need, whatever its
    /// [`grace`](crate::Launch::grace), unless it has a time limit: that stays. Long kernels can look at
    /// [`is_cancelled`](crate::is_cancelled) to end sooner.
    ///
    /// All calls return the same token while a handle of it exists. When the last one is dropped, Ctrl-C does
    /// again what it did before. If the program was started with SIGINT ignored, as a shell's background jobs
    /// are, it stays ignored. Programs that replace the handler afterwards keep theirs, and the token is then
    /// never cancelled.
    ///
    /// # Errors
    /// [`io::ErrorKind::Unsupported`] in workers and in forks of the program; otherwise the system's error if
    /// the thread that waits for the signal cannot be started.
    ///
    /// ```
    /// use phalanx::{CancelToken, Pool, TaskError};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let stop = CancelToken::on_ctrl_c()?;
    /// let pool = Pool::builder().workers(2).build()?;
    /// let outcomes = pool.tasks().cancel(&stop).try_map(|n: u64| n * n, 0..100)?;
    /// let done = outcomes.iter().filter(|outcome| !matches!(outcome, Err(TaskError::Cancelled { .. }))).count();
    /// println!("{done} of {} are done{}", outcomes.len(), if stop.is_cancelled() { "; saved" } else { "" });
    /// # assert_eq!(done, 100);
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias("SIGINT", "KeyboardInterrupt", "signal"))]
    pub fn on_ctrl_c() -> io::Result<CancelToken> {
        if member::current_member() != MemberId::DRIVER || fork::is_foreign() {
            let why = "Ctrl-C is for the main process: workers and forks do not decide what it means";
            return Err(io::Error::new(io::ErrorKind::Unsupported, why));
        }
        let mut token = TOKEN.lock();
        if let Some(shared) = token.upgrade() {
            return Ok(CancelToken { shared });
        }
        let watch = ctrl_c::watch()?;
        let turn = watch.as_ref().map(ctrl_c::Watch::turn);
        let shared = Arc::new(Shared::on_ctrl_c(watch));
        if let Some(turn) = turn {
            let cancels = Arc::downgrade(&shared);
            std::thread::Builder::new().name("phalanx ctrl-c".into()).spawn(move || {
                if turn.wait()
                    && let Some(shared) = cancels.upgrade()
                {
                    CancelToken { shared }.cancel();
                }
            })?;
        }
        *token = Arc::downgrade(&shared);
        Ok(CancelToken { shared })
    }
}
