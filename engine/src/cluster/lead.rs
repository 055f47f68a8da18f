//! One driver leads, and the others run its tasks.
#![deny(clippy::arithmetic_side_effects)]

use super::courier::Courier;
use super::error::ClusterError;
use super::link::Link;
use super::meeting::{Call, Notice};
use super::member::{Cluster, read, write};
use super::pool::ClusterPool;
use super::{run, serve};
use crate::pool::Pool;
use crate::task::leading;
use crate::task::remote::Remote;
use std::fmt::Display;
use std::panic::{AssertUnwindSafe, Location, catch_unwind, resume_unwind};
use std::rc::Rc;

/// Runs `body` on driver 0 with a pool of all workers of the cluster, and returns what it returns. The other
/// drivers run its tasks, and their processes end when it has returned, with status 0.
///
/// This is all that a program needs that calls functions on many machines: the `body` is as it would be with
/// a [`Pool`]. Without a launcher the pool is that of one machine. What the program does before `lead`, every
/// driver does; what comes after it, driver 0 alone. A program that needs more of the cluster uses
/// [`Cluster::lead`] inside of [`run`](super::run).
///
/// # Errors
/// As [`run`](super::run): an error or panic of `body` ends the whole job where there are several drivers, and
/// is returned where there is one.
///
/// ```
/// use phalanx::cluster;
///
/// let squares = cluster::lead(|pool| pool.map(|n: u64| n * n, 0..1000).map_err(phalanx::Error::from))?;
/// assert_eq!(squares[31], 961);
/// # Ok::<(), phalanx::Error>(())
/// ```
#[doc(alias("MPIPoolExecutor", "MPICommExecutor"))]
#[track_caller]
pub fn lead<T, E>(body: impl FnOnce(&ClusterPool) -> Result<T, E>) -> Result<T, E>
where
    E: From<ClusterError> + Display,
{
    let site = Location::caller();
    match run(|cluster| cluster.lead_from(cluster.pool(), body, site))? {
        Some(value) => Ok(value),
        None => std::process::exit(0),
    }
}

impl Cluster {
    /// Runs `body` on driver 0, with a pool of all workers of the cluster, and returns what it returns there.
    /// The other drivers run its tasks meanwhile, and return `None` when it has ended. Called by all drivers
    /// together.
    ///
    /// Each driver makes its pool ([`Self::pool`]) for this call, and ends it after. Inside of `body`, other
    /// calls of all drivers return [`ClusterError::Leads`].
    ///
    /// # Errors
    /// - The error of `body`, on driver 0; the others have returned by then.
    /// - [`ClusterError::Pool`] or [`ClusterError::NoPool`] if a driver cannot make its pool.
    /// - [`ClusterError::Disagree`].
    ///
    /// ```
    /// use phalanx::cluster::{self, ClusterError};
    ///
    /// cluster::run(|cluster| {
    ///     let sum = cluster.lead(|pool| Ok::<u64, phalanx::Error>(pool.map(|n: u64| n * n, 0..10)?.iter().sum()))?;
    ///     // All drivers go on from here, with the value of driver 0.
    ///     let sum = cluster.broadcast(0, || sum.unwrap_or(0))?;
    ///     assert_eq!(sum, 285);
    ///     Ok::<(), phalanx::Error>(())
    /// })?;
    /// # Ok::<(), phalanx::Error>(())
    /// ```
    #[track_caller]
    pub fn lead<T, E>(&self, body: impl FnOnce(&ClusterPool) -> Result<T, E>) -> Result<Option<T>, E>
    where
        E: From<ClusterError>,
    {
        self.lead_from(self.pool(), body, Location::caller())
    }

    /// Like [`Self::lead`], with a pool that each driver has made for it: with an initializer, say, or a
    /// number of workers of its own. A pool of [`Backend::Inline`](crate::Backend::Inline) runs the tasks of
    /// driver 0 in the caller, and none on another driver.
    ///
    /// # Errors
    /// As [`Self::lead`].
    ///
    /// ```
    /// use phalanx::cluster;
    ///
    /// cluster::run(|cluster| {
    ///     let pool = cluster.pool_builder().workers(2).build()?;
    ///     cluster.lead_with(pool, |pool| {
    ///         assert_eq!(pool.workers(), 2 * cluster.size());
    ///         Ok::<(), phalanx::Error>(())
    ///     })
    /// })?;
    /// # Ok::<(), phalanx::Error>(())
    /// ```
    #[track_caller]
    pub fn lead_with<T, E>(
        &self,
        pool: Pool,
        body: impl FnOnce(&ClusterPool) -> Result<T, E>,
    ) -> Result<Option<T>, E>
    where
        E: From<ClusterError>,
    {
        self.lead_from(Ok(pool), body, Location::caller())
    }

    fn lead_from<T, E>(
        &self,
        pool: Result<Pool, ClusterError>,
        body: impl FnOnce(&ClusterPool) -> Result<T, E>,
        site: &Location<'_>,
    ) -> Result<Option<T>, E>
    where
        E: From<ClusterError>,
    {
        let Some(link) = &self.link else {
            let pool = pool.map_err(E::from)?;
            let remote = Remote::new(self.host(0), []);
            if let Some(queue) = pool.queue() {
                queue.join_cluster(remote.clone());
            }
            return body(&ClusterPool::new(pool, remote)).map(Some);
        };
        let (pool, workers) = meet(link, pool, site).map_err(E::from)?;
        let text = Notice::new(Call::Lead, 0, &[], site).text();
        if link.me == 0 {
            return lead_others(link, pool, &workers, text, body).map(Some);
        }
        serve::serve(link, &pool, &text);
        Ok(None)
    }
}

/// Tells all drivers how many workers each has, or why it has none.
fn meet(
    link: &Link,
    pool: Result<Pool, ClusterError>,
    site: &Location<'_>,
) -> Result<(Pool, Vec<usize>), ClusterError> {
    let own = match &pool {
        Ok(pool) => Ok(pool.queue().map_or(0, |_| pool.workers())),
        Err(error) => Err(error.to_string()),
    };
    let said = link.say(Call::Lead, 0, &write(&own)?, site, |_, _| true)?;
    let pool = pool?;
    let mut workers = Vec::with_capacity(said.len());
    for (driver, bytes) in said.iter().enumerate() {
        let told: Result<usize, String> = read(bytes)?;
        let refuse = |why| ClusterError::NoPool { driver, host: link.host(driver), why };
        workers.push(told.map_err(refuse)?);
    }
    Ok((pool, workers))
}

fn lead_others<T, E>(
    link: &Rc<Link>,
    pool: Pool,
    workers: &[usize],
    site: String,
    body: impl FnOnce(&ClusterPool) -> Result<T, E>,
) -> Result<T, E> {
    let remote = Remote::new(&link.host(0), workers.iter().skip(1).copied());
    let courier = Rc::new(Courier::new(link, &remote, site));
    if let Some(queue) = pool.queue() {
        queue.join_cluster(remote.clone());
        leading::set_leads(Some((queue.clone(), courier.clone())));
    }
    link.leads.set(true);
    let pool = ClusterPool::new(pool, remote);
    let result = catch_unwind(AssertUnwindSafe(|| body(&pool)));
    // As the end of a pool: waits for what was asked for, unless the program has panicked.
    match &result {
        Ok(_) => pool.pool().join(),
        Err(_) => pool.pool().terminate(),
    }
    leading::set_leads(None);
    courier.end();
    link.leads.set(false);
    drop(pool);
    result.unwrap_or_else(|panic| resume_unwind(panic))
}
