//! What the workers' exit functions returned.

use super::Pool;
use crate::base::Output;
use crate::sys::fork;
use crate::team::exit_function::{ExitError, ExitOutcome};
use crate::team::gate::Phase;

impl Pool {
    /// Returns what the function of [`PoolBuilder::at_exit`](crate::PoolBuilder::at_exit) returned in each
    /// worker, by rank, once the pool has [ended](Self::join).
    ///
    /// There is one result for each worker that was ready, including those that left before the pool ended,
    /// in the order in which they left: `resize` and the limits of
    /// [`max_tasks_per_worker`](crate::PoolBuilder::max_tasks_per_worker) and its neighbours make a rank have
    /// several. A [seat](Self::join_here) has one too. The results are complete, or an error: if some workers
    /// have none, [`Self::exit_outcomes`] returns what there is. Each call reads the results anew.
    ///
    /// # Errors
    /// - [`ExitError::Died`], [`Panicked`](ExitError::Panicked), [`TimedOut`](ExitError::TimedOut),
    ///   [`Terminated`](ExitError::Terminated), [`Codec`](ExitError::Codec): a worker has no result; the
    ///   lowest rank's reason.
    /// - [`ExitError::WrongType`]: the exit function returns another type than `R`.
    /// - [`ExitError::NotOver`]: the pool has not ended, or a seat is taken.
    /// - [`ExitError::NotSet`]: the pool has no exit function.
    /// - [`ExitError::Forked`]: called in a fork of the program.
    ///
    /// ```
    /// # fn main() -> Result<(), phalanx::Error> {
    /// let pool = phalanx::Pool::builder().workers(3).at_exit(phalanx::current_rank).build()?;
    /// pool.join();
    /// assert_eq!(pool.exit_results::<Option<usize>>()?, [Some(0), Some(1), Some(2)]);
    /// assert!(pool.exit_results::<String>().is_err());
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "get_exit_results")]
    pub fn exit_results<R: Output>(&self) -> Result<Vec<R>, ExitError> {
        self.exit_outcomes()?.into_iter().map(|outcome| outcome.result).collect()
    }

    /// Like [`Self::exit_results`], with the rank of each worker, and for each that has no result the reason.
    ///
    /// # Errors
    /// [`ExitError::WrongType`], [`ExitError::NotOver`], [`ExitError::NotSet`] or [`ExitError::Forked`], as
    /// for [`Self::exit_results`].
    ///
    /// ```
    /// use phalanx::{ExitError, current_rank};
    ///
    /// # fn main() -> Result<(), phalanx::Error> {
    /// let builder = phalanx::Pool::builder().workers(2);
    /// let pool = builder.at_exit(|| if current_rank() == Some(1) { std::process::abort() } else { 7 }).build()?;
    /// pool.join();
    /// for outcome in pool.exit_outcomes::<i32>()? {
    ///     match outcome.result {
    ///         Ok(result) => assert_eq!((outcome.rank, result), (0, 7)),
    ///         Err(ExitError::Died { cause, .. }) => println!("worker {} {cause}", outcome.rank),
    ///         Err(error) => return Err(error.into()),
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn exit_outcomes<R: Output>(&self) -> Result<Vec<ExitOutcome<R>>, ExitError> {
        if fork::is_foreign() {
            return Err(ExitError::Forked);
        }
        let crew = &self.core.launcher.crew;
        let exits = crew.exits.as_ref().ok_or(ExitError::NotSet)?;
        exits.check_type::<R>()?;
        if !crew.has_reached(Phase::Over) || exits.has_seats() {
            return Err(ExitError::NotOver);
        }
        Ok(exits.read())
    }
}
