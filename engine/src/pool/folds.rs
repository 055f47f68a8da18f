//! Launches that return any type that travels, that may fail, or that end early.

use crate::array::Element;
use crate::base::Output;
use crate::code::NoCapture;
use crate::launch::{Elements, LaunchError, Operand, TryError};
use crate::pool::Pool;

impl Pool {
    /// Folds all chunks into one value of any type that travels: maps, lists, strings, tuples.
    ///
    /// `identity` makes an accumulator, `kernel` adds a chunk to one, and `combine` adds one to another.
    /// Chunks are grouped into at most 256 leaves, as in [`reduce`](Self::reduce). Each leaf is folded into
    /// an accumulator of its own, chunk by chunk in order. The leaves' accumulators are then combined in
    /// order on the calling thread. So the result is the same for every number of workers and every schedule,
    /// with or without retried chunks. For zero elements it is `identity()`.
    ///
    /// `identity` and `kernel` run in the workers and capture nothing. `combine` runs here, and may capture;
    /// a panic in it unwinds into the caller.
    ///
    /// A leaf's accumulator travels once, encoded like the result of a task. Short ones (112 bytes) travel
    /// with the launch's other words; all others together may take 32 GiB. For plain numbers
    /// [`reduce`](Self::reduce) is cheaper.
    ///
    /// # Errors
    /// See [`LaunchError`]. Returns [`LaunchError::Codec`] if an accumulator cannot be encoded or decoded, or
    /// if there is no memory for it.
    ///
    /// ```
    /// use std::collections::HashMap;
    /// # fn main() -> Result<(), phalanx::Error> {
    /// let pool = phalanx::Pool::builder().workers(2).build()?;
    /// let keys = pool.from_fn(10_000, |i| i as u32 % 3)?;
    /// let counts = pool.fold(
    ///     keys.split(),
    ///     HashMap::new,
    ///     |counts, keys| for key in keys { *counts.entry(*key).or_insert(0) += 1 },
    ///     |counts, more| for (key, count) in more { *counts.entry(key).or_insert(0) += count },
    /// )?;
    /// assert_eq!(counts, HashMap::from([(0, 3334), (1, 3333), (2, 3333)]));
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn fold<O, R, I, K, C>(
        &self,
        operands: O,
        identity: I,
        kernel: K,
        combine: C,
    ) -> Result<R, LaunchError>
    where
        O: Operand,
        R: Output,
        I: Fn() -> R + Copy + Send + Sync,
        K: for<'w> Fn(&mut R, O::View<'w>) + Copy + Send + Sync,
        C: FnMut(&mut R, R),
    {
        const { (NoCapture::<I>::OK, NoCapture::<K>::OK) };
        self.launch().fold(operands, identity, kernel, combine)
    }

    /// Like [`fold`](Self::fold), with a kernel that may fail.
    ///
    /// # Errors
    /// As for [`try_for_each`](Self::try_for_each).
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pool = phalanx::Pool::builder().workers(2).build()?;
    /// let bytes = pool.from_slice(b"some text")?;
    /// let text = pool.try_fold(
    ///     bytes.split(),
    ///     String::new,
    ///     |text, bytes| match std::str::from_utf8(bytes) {
    ///         Ok(more) => Ok(text.push_str(more)),
    ///         Err(error) => Err(error.to_string()),
    ///     },
    ///     |text, more| text.push_str(&more),
    /// )?;
    /// assert_eq!(text, "some text");
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn try_fold<O, R, E, I, K, C>(
        &self,
        operands: O,
        identity: I,
        kernel: K,
        combine: C,
    ) -> Result<R, TryError<E>>
    where
        O: Operand,
        R: Output,
        E: Output,
        I: Fn() -> R + Copy + Send + Sync,
        K: for<'w> Fn(&mut R, O::View<'w>) -> Result<(), E> + Copy + Send + Sync,
        C: FnMut(&mut R, R),
    {
        const { (NoCapture::<I>::OK, NoCapture::<K>::OK) };
        self.launch().try_fold(operands, identity, kernel, combine)
    }

    /// Runs a kernel that may fail on every chunk, until one does.
    ///
    /// Reports the error of the lowest chunk that failed, the same for every number of workers and every
    /// schedule: chunks below a failed one still run, those above are skipped from then on. What skipped
    /// chunks, the failed one and those above it hold afterwards is unspecified.
    ///
    /// # Errors
    /// [`TryError::Kernel`] with the error and the indices of its chunk; [`TryError::Launch`] if the launch
    /// itself failed, see [`LaunchError`].
    ///
    /// ```
    /// use phalanx::TryError;
    /// # fn main() -> Result<(), phalanx::Error> {
    /// let pool = phalanx::Pool::builder().workers(2).build()?;
    /// let x = pool.from_fn(1000, |i| 500.0 - i as f64)?;
    /// let mut y = pool.zeros::<f64>(1000)?;
    /// let outcome = pool.try_for_each((y.split_mut(), x.split()), |(y, x)| {
    ///     for (y, x) in y.iter_mut().zip(x) {
    ///         *y = if *x < 0.0 { return Err(format!("no root of {x}")) } else { x.sqrt() };
    ///     }
    ///     Ok(())
    /// });
    /// match outcome {
    ///     Err(TryError::Kernel { error, .. }) => assert_eq!(error, "no root of -1"),
    ///     other => panic!("{other:?}"),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn try_for_each<O, E, K>(&self, operands: O, kernel: K) -> Result<(), TryError<E>>
    where
        O: Operand,
        E: Output,
        K: for<'w> Fn(O::View<'w>) -> Result<(), E> + Copy + Send + Sync,
    {
        const { NoCapture::<K>::OK };
        self.launch().try_for_each(operands, kernel)
    }

    /// Combines the results of a kernel that may fail, as [`reduce`](Self::reduce) does: with the same bits,
    /// if no chunk fails.
    ///
    /// # Errors
    /// As for [`try_for_each`](Self::try_for_each).
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pool = phalanx::Pool::builder().workers(2).build()?;
    /// let x = pool.from_fn(1000, |i| i as u8)?;
    /// let sum = pool.try_reduce(
    ///     x.split(),
    ///     0u16,
    ///     |x| x.iter().try_fold(0u16, |sum, x| sum.checked_add((*x).into())).ok_or("a chunk's sum is too large".to_string()),
    ///     |a, b| a.saturating_add(b),
    /// )?;
    /// assert_eq!(sum, u16::MAX);
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn try_reduce<O, A, E, K, C>(
        &self,
        operands: O,
        identity: A,
        kernel: K,
        combine: C,
    ) -> Result<A, TryError<E>>
    where
        O: Operand,
        A: Element,
        E: Output,
        K: for<'w> Fn(O::View<'w>) -> Result<A, E> + Copy + Send + Sync,
        C: Fn(A, A) -> A + Copy + Send + Sync,
    {
        const { (NoCapture::<K>::OK, NoCapture::<C>::OK) };
        self.launch().try_reduce(operands, identity, kernel, combine)
    }

    /// Looks through the chunks, and returns the answer of the lowest one that has any.
    ///
    /// The answer is the same for every number of workers and every schedule: chunks below one with an answer
    /// still run, those above are skipped from then on. The other searches ([`find_first`](Self::find_first),
    /// [`position_first`](Self::position_first), [`any`](Self::any), [`all`](Self::all)) are of this kind,
    /// for single elements.
    ///
    /// # Errors
    /// See [`LaunchError`]. Returns [`LaunchError::Codec`] if the answer cannot be encoded or decoded.
    ///
    /// ```
    /// # fn main() -> Result<(), phalanx::Error> {
    /// let pool = phalanx::Pool::builder().workers(2).build()?;
    /// let x = pool.from_fn(1000, |i| i as u64)?;
    /// let pair = pool.launch().chunk(10).find_map_first((x.split(), 100), |(x, least)| {
    ///     x.windows(2).map(|pair| (pair[0], pair[1])).find(|(a, b)| a * b > least)
    /// })?;
    /// assert_eq!(pair, Some((10, 11)));
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn find_map_first<O, A, K>(&self, operands: O, kernel: K) -> Result<Option<A>, LaunchError>
    where
        O: Operand,
        A: Output,
        K: for<'w> Fn(O::View<'w>) -> Option<A> + Copy + Send + Sync,
    {
        const { NoCapture::<K>::OK };
        self.launch().find_map_first(operands, kernel)
    }

    /// Returns the first element for which `predicate` holds.
    ///
    /// Elements are those of a 1-D [`split`](crate::SharedArray::split), of a
    /// [`split_flat`](crate::SharedArray::split_flat) in row-major order, or the indices of a range.
    /// `predicate` is inlined into the loop over a chunk. It captures nothing; [`with`](Self::with) passes
    /// what it needs. Chunks above one in which something was found are skipped.
    ///
    /// # Errors
    /// See [`LaunchError`].
    ///
    /// ```
    /// # fn main() -> Result<(), phalanx::Error> {
    /// let pool = phalanx::Pool::builder().workers(2).build()?;
    /// let x = pool.from_fn(1000, |i| i * i)?;
    /// assert_eq!(pool.find_first(x.split(), |x| x > 1000)?, Some(1024));
    /// assert_eq!(pool.find_first(2..1000, |n| 1001 % n == 0)?, Some(7));
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn find_first<X, K>(&self, elements: X, predicate: K) -> Result<Option<X::Item>, LaunchError>
    where
        X: Elements,
        K: Fn(X::Item) -> bool + Copy + Send + Sync,
    {
        const { NoCapture::<K>::OK };
        self.launch().find_first(elements, predicate)
    }

    /// Returns the position, from 0, of the first element for which `predicate` holds. Otherwise as
    /// [`find_first`](Self::find_first).
    ///
    /// # Errors
    /// See [`LaunchError`].
    ///
    /// ```
    /// # fn main() -> Result<(), phalanx::Error> {
    /// let pool = phalanx::Pool::builder().workers(2).build()?;
    /// let x = pool.from_fn(1000, |i| (i as f64).cos())?;
    /// assert_eq!(pool.position_first(x.split(), |x| x < 0.0)?, Some(2));
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn position_first<X, K>(&self, elements: X, predicate: K) -> Result<Option<usize>, LaunchError>
    where
        X: Elements,
        K: Fn(X::Item) -> bool + Copy + Send + Sync,
    {
        const { NoCapture::<K>::OK };
        self.launch().position_first(elements, predicate)
    }

    /// Returns whether `predicate` holds for any element; `false` for zero elements. As soon as one is found,
    /// all other chunks are skipped. Otherwise as [`find_first`](Self::find_first).
    ///
    /// # Errors
    /// See [`LaunchError`].
    ///
    /// ```
    /// # fn main() -> Result<(), phalanx::Error> {
    /// let pool = phalanx::Pool::builder().workers(2).build()?;
    /// let x = pool.zeros_nd::<f64, _>((30, 40))?;
    /// assert!(!pool.any(x.split_flat(), f64::is_nan)?);
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn any<X, K>(&self, elements: X, predicate: K) -> Result<bool, LaunchError>
    where
        X: Elements,
        K: Fn(X::Item) -> bool + Copy + Send + Sync,
    {
        const { NoCapture::<K>::OK };
        self.launch().any(elements, predicate)
    }

    /// Returns whether `predicate` holds for all elements; `true` for zero elements. Otherwise as
    /// [`any`](Self::any).
    ///
    /// # Errors
    /// See [`LaunchError`].
    ///
    /// ```
    /// # fn main() -> Result<(), phalanx::Error> {
    /// let pool = phalanx::Pool::builder().workers(2).build()?;
    /// let x = pool.from_fn(1000, |i| i as f64)?;
    /// assert!(pool.all(x.split(), |x| x >= 0.0)?);
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn all<X, K>(&self, elements: X, predicate: K) -> Result<bool, LaunchError>
    where
        X: Elements,
        K: Fn(X::Item) -> bool + Copy + Send + Sync,
    {
        const { NoCapture::<K>::OK };
        self.launch().all(elements, predicate)
    }
}
