//! Prefix sums over the cluster.
#![deny(clippy::arithmetic_side_effects)]

use super::error::ClusterError;
use super::meeting::Call;
use super::member::Cluster;
use crate::array::Element;
use crate::code::NoCapture;
use crate::launch::grant::Split;
use crate::launch::{LaunchError, MapOutput, Prefix};
use crate::pool::Pool;
use ndarray::Ix1;
use std::panic::Location;

impl Cluster {
    /// Sets every `out[i]` to the fold of the input from the first row of driver 0 to this one. Called by all
    /// drivers together.
    ///
    /// `out` and `input` hold this driver's rows: [`part`](Self::part) says which. The bits are the same on any
    /// number of drivers, each with any number of workers: those of a cluster of one, which may differ in their
    /// last bits from those of [`Pool::scan`]. `combine` must be associative.
    ///
    /// A call costs two messages to and from every other driver: the numbers of rows, then a value for each of
    /// its leaves, of which all drivers together have at most 4096.
    ///
    /// # Errors
    /// - As [`reduce`](Self::reduce). If a launch fails in its second half, which writes `out`, only this driver
    ///   has the error.
    ///
    /// ```
    /// use phalanx::cluster;
    ///
    /// cluster::run(|cluster| {
    ///     let pool = cluster.pool()?;
    ///     let rows = cluster.part(1000);
    ///     let ones = pool.from_fn(rows.len(), |_| 1u64)?;
    ///     let mut sums = pool.zeros::<u64>(rows.len())?;
    ///     cluster.scan(&pool, sums.split_out(), ones.split(), 0, |a, b| a + b)?;
    ///     assert!(sums.as_slice().iter().zip(rows).all(|(sum, row)| *sum == row as u64 + 1));
    ///     Ok::<(), phalanx::Error>(())
    /// })?;
    /// # Ok::<(), phalanx::Error>(())
    /// ```
    #[doc(alias = "MPI_Scan")]
    #[track_caller]
    pub fn scan<T, Out, K>(
        &self,
        pool: &Pool,
        out: Out,
        input: Split<'_, T, Ix1>,
        identity: T,
        combine: K,
    ) -> Result<(), ClusterError>
    where
        T: Element,
        Out: MapOutput<T, Dim = Ix1>,
        K: Fn(T, T) -> T + Copy + Send + Sync,
    {
        const { NoCapture::<K>::OK };
        self.prefix(Prefix::Inclusive, pool, (out, input), identity, combine, Location::caller())
    }

    /// Sets every `out[i]` to the fold of the input from the first row of driver 0 to the one before this: the
    /// first is `identity`. Otherwise as [`scan`](Self::scan).
    ///
    /// # Errors
    /// As [`scan`](Self::scan).
    #[doc(alias = "MPI_Exscan")]
    #[track_caller]
    pub fn scan_exclusive<T, Out, K>(
        &self,
        pool: &Pool,
        out: Out,
        input: Split<'_, T, Ix1>,
        identity: T,
        combine: K,
    ) -> Result<(), ClusterError>
    where
        T: Element,
        Out: MapOutput<T, Dim = Ix1>,
        K: Fn(T, T) -> T + Copy + Send + Sync,
    {
        const { NoCapture::<K>::OK };
        self.prefix(Prefix::Exclusive, pool, (out, input), identity, combine, Location::caller())
    }

    fn prefix<T, Out, K>(
        &self,
        prefix: Prefix,
        pool: &Pool,
        arrays: (Out, Split<'_, T, Ix1>),
        identity: T,
        combine: K,
        site: &'static Location<'static>,
    ) -> Result<(), ClusterError>
    where
        T: Element,
        Out: MapOutput<T, Dim = Ix1>,
        K: Fn(T, T) -> T + Copy + Send + Sync,
    {
        let rows = self.rows(Call::Scan, pool.launch().units(&arrays, site), site)?;
        let mut is_said = false;
        let mut before = |own: Result<&[T], &LaunchError>| {
            is_said = true;
            let heard = self.together(Call::Scan, own, site)?;
            Ok(heard.into_iter().take(self.me()).flatten().reduce(combine))
        };
        let launch = pool.launch().leaf_len(rows.leaf_len);
        let plain = move |a, b, ()| combine(a, b);
        let result: Result<(), ClusterError> =
            launch.with(()).prefix(prefix, arrays, identity, plain, site, |folds| before(Ok(folds)));
        if is_said {
            return result;
        }
        // Without rows, or where the first launch failed, the others still wait for this driver.
        match result {
            Err(ClusterError::Launch(error)) => {
                let _theirs = self.together::<T>(Call::Scan, Err(&error), site);
                Err(ClusterError::Launch(error))
            }
            result => {
                self.together::<T>(Call::Scan, Ok(&[]), site)?;
                result
            }
        }
    }
}
