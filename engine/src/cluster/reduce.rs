//! Reductions and accumulators over the cluster, with the same bits on any number of drivers.
#![deny(clippy::arithmetic_side_effects)]

use super::error::ClusterError;
use super::meeting::Call;
use super::member::Cluster;
use super::rows::Rows;
use super::tree;
use crate::array::{Element, Shape, SharedArray};
use crate::base::Span;
use crate::code::NoCapture;
use crate::launch::{LaunchError, Operand};
use crate::pool::Pool;
use std::panic::Location;

/// Largest size of all accumulators of one driver together, in bytes.
const MAX_ACCUMULATED_BYTES: usize = 1 << 30;

impl Cluster {
    /// Combines the kernel's results over the rows of all drivers into one value, and returns it on every
    /// driver. Called by all drivers together.
    ///
    /// The operands hold this driver's rows: index ranges from [`part`](Self::part), or arrays with as many
    /// rows. `kernel` is called once for each leaf, on some worker; `fold` joins the leaves' results in a fixed
    /// tree. Leaves and tree follow from the number of all rows alone, so that the result has **the same bits
    /// on any number of drivers, each with any number of workers**; a cluster of one included. It may differ in
    /// its last bits from that of [`Pool::reduce`], which cuts differently. Without rows it is `identity`.
    ///
    /// A call costs two messages to and from every other driver: the numbers of rows, then at most 24 values.
    ///
    /// # Errors
    /// - [`ClusterError::Launch`] if the launch of this driver failed, and [`ClusterError::Driver`] on the
    ///   others, so that all drivers know of it and stay in step.
    /// - [`ClusterError::NotDealtOut`] if a driver has other rows than its own.
    /// - [`ClusterError::Disagree`].
    ///
    /// ```
    /// use phalanx::cluster;
    ///
    /// cluster::run(|cluster| {
    ///     let pool = cluster.pool()?;
    ///     let steps = 1_000_000;
    ///     let width = 1.0 / steps as f64;
    ///     let area = cluster.reduce(
    ///         &pool,
    ///         (cluster.part(steps), width),
    ///         0.0,
    ///         |(span, width)| span.map(|i| 4.0 * width / (1.0 + ((i as f64 + 0.5) * width).powi(2))).sum(),
    ///         |a, b| a + b,
    ///     )?;
    ///     assert!((area - std::f64::consts::PI).abs() < 1e-9);
    ///     Ok::<(), phalanx::Error>(())
    /// })?;
    /// # Ok::<(), phalanx::Error>(())
    /// ```
    #[doc(alias = "MPI_Reduce")]
    #[doc(alias = "MPI_Allreduce")]
    #[track_caller]
    pub fn reduce<O, A, K, C>(
        &self,
        pool: &Pool,
        operands: O,
        identity: A,
        kernel: K,
        fold: C,
    ) -> Result<A, ClusterError>
    where
        O: Operand,
        A: Element,
        K: for<'w> Fn(O::View<'w>) -> A + Copy + Send + Sync,
        C: Fn(A, A) -> A + Copy + Send + Sync,
    {
        const { (NoCapture::<K>::OK, NoCapture::<C>::OK) };
        let site = Location::caller();
        let rows = self.rows(Call::Reduce, pool.launch().units(&operands, site), site)?;
        let own = self.leaves(rows);
        let leaves = pool.launch().leaf_len(rows.leaf_len).leaves(operands, kernel, fold, site);
        let folded = leaves.map(|leaves| tree::fold(own, rows.leaves(), leaves, fold));
        let heard = self.together(Call::Reduce, folded.as_ref().map(Vec::as_slice), site);
        folded?;
        let values = self.with_nodes(rows, heard?.into_iter().map(Vec::into_iter));
        Ok(tree::finish(rows.leaves(), values, fold).unwrap_or(identity))
    }

    /// Runs `kernel` on every leaf of the rows of all drivers, each with an accumulator of `into`'s shape, and
    /// folds all accumulators into `into` on every driver: histograms and the like. Called by all drivers
    /// together.
    ///
    /// The operands are those of [`reduce`](Self::reduce). Every accumulator starts with `identity` in each
    /// element. `combine` folds them, element by element, in the fixed tree, and the result with what `into`
    /// held before, which should be the same on all drivers. The bits are the same on any number of drivers.
    ///
    /// There is an accumulator for each leaf: up to 4096, divided by the number of drivers, on each of them. A
    /// call costs two messages to and from every other driver, the second of at most 24 accumulators.
    ///
    /// # Errors
    /// As [`reduce`](Self::reduce). The launch fails if the accumulators of a driver would take more than 1 GiB.
    ///
    /// ```
    /// use phalanx::cluster;
    ///
    /// cluster::run(|cluster| {
    ///     let pool = cluster.pool()?;
    ///     let mut counts = pool.zeros::<u64>(10)?;
    ///     cluster.accumulate(&pool, cluster.part(1000), &mut counts, 0, |(span, counts)| {
    ///         for i in span {
    ///             counts[i % 10] += 1;
    ///         }
    ///     }, |a, b| a + b)?;
    ///     assert_eq!(counts.as_slice(), [100; 10]);
    ///     Ok::<(), phalanx::Error>(())
    /// })?;
    /// # Ok::<(), phalanx::Error>(())
    /// ```
    #[track_caller]
    pub fn accumulate<O, T, D, K, C>(
        &self,
        pool: &Pool,
        operands: O,
        into: &mut SharedArray<T, D>,
        identity: T,
        kernel: K,
        combine: C,
    ) -> Result<(), ClusterError>
    where
        O: Operand,
        T: Element,
        D: Shape,
        K: for<'w> Fn((O::View<'w>, D::ViewMut<'w, T>)) + Copy + Send + Sync,
        C: Fn(T, T) -> T + Copy + Send + Sync + 'static,
    {
        const { (NoCapture::<K>::OK, NoCapture::<C>::OK) };
        let site = Location::caller();
        let rows = self.rows(Call::Accumulate, pool.launch().units(&operands, site), site)?;
        let (own, len) = (self.leaves(rows), into.len());
        let launch = pool.launch().leaf_len(rows.leaf_len);
        let leaves = fits::<T>(len, own)
            .and_then(|()| launch.accumulators(operands, into.reduce(identity, combine), kernel, site));
        let both = |mut left: Vec<T>, right: Vec<T>| {
            left.iter_mut().zip(right).for_each(|(left, right)| *left = combine(*left, right));
            left
        };
        let folded = leaves.map(|leaves| tree::fold(own, rows.leaves(), leaves, both).concat());
        let heard = self.together(Call::Accumulate, folded.as_ref().map(Vec::as_slice), site);
        folded?;
        let heard = heard?;
        let split = heard.iter().map(|values| values.chunks_exact(len.max(1)).map(<[T]>::to_vec));
        if let Some(total) = tree::finish(rows.leaves(), self.with_nodes(rows, split), both) {
            into.reduce(identity, combine).fold_in(total);
        }
        Ok(())
    }

    fn leaves(&self, rows: Rows) -> Span {
        rows.leaves_of(self.me(), self.size())
    }

    /// The values of all drivers, each with the node that it is of.
    fn with_nodes<V>(
        &self,
        rows: Rows,
        values: impl Iterator<Item: Iterator<Item = V>>,
    ) -> impl Iterator<Item = (tree::Node, V)> {
        let size = self.size();
        let nodes = (0..size).map(move |driver| tree::nodes(rows.leaves_of(driver, size), rows.leaves()));
        nodes.zip(values).flat_map(|(nodes, values)| nodes.into_iter().zip(values))
    }
}

/// Whether the accumulators of these leaves are not too large, of so many elements each.
fn fits<T>(len: usize, own: Span) -> Result<(), LaunchError> {
    let bytes = len.saturating_mul(size_of::<T>()).saturating_mul(own.len());
    if bytes <= MAX_ACCUMULATED_BYTES {
        return Ok(());
    }
    let why = format!(
        "{} leaves with {len} elements each take {bytes} bytes, more than 1 GiB; where the order of additions does not matter, accumulate on each driver (pool.for_each) and add up with all_reduce",
        own.len()
    );
    Err(LaunchError::BadGrant { what: "an accumulator", why })
}
