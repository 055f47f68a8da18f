//! An array that was divided into parts, and how it becomes one again.
//!
//! # Safety
//! While `Whole` has the array nobody uses it: its elements are the parts' ([`ArrayPart`], P1). It is given
//! back only after every part was taken back (P2).
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use super::descriptor::Descriptor;
use super::part::{ArrayPart, Whole};
use super::{Element, Shape, SharedArray, row_elems, rows};
use crate::base::Span;
use crate::memory::AllocError;
use crate::sync::{LockError, Patience};
use crate::sys::fork;
use ndarray::{Dimension, Ix1};
use parking_lot::Mutex;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

/// An array that was divided into parts, for tasks and processes that write them. Returned by
/// [`SharedArray::into_parts`] and [`SharedArray::into_chunks`].
///
/// It dereferences to the slice of its parts. Hand out clones of these, one to each item; then
/// [`join`](Self::join) the parts to have the array back. Time limits, retries, deaths of workers and
/// progress are those of the tasks. Where every part is written by the same kernel and no item may fail on
/// its own, [`for_each`](crate::Pool::for_each) with
/// [`split_mut`](SharedArray::split_mut) is shorter and faster.
///
/// ```
/// use phalanx::{ArrayPart, Pool};
///
/// let pool = Pool::builder().workers(2).build()?;
/// let parts = pool.zeros::<f64>(1000)?.into_parts(&[10, 500])?;
/// let fill = |part: ArrayPart<f64>, value: f64| {
///     let mut rows = part.overwrite().expect("nobody takes it back");
///     rows.fill(value);
///     rows.len()
/// };
/// let sizes = pool.starmap(fill, parts.iter().cloned().zip([1.0, 2.0, 3.0]))?;
/// assert_eq!(sizes, [10, 490, 500]);
/// let array = parts.join()?;
/// assert_eq!((array.as_slice()[9], array.as_slice()[10], array.as_slice()[999]), (1.0, 2.0, 3.0));
/// # Ok::<(), phalanx::Error>(())
/// ```
pub struct ArrayParts<T, D = Ix1> {
    parts: Vec<ArrayPart<T, D>>,
    whole: Arc<Whole<T, D>>,
}

/// Parts could not be joined. Nothing was changed.
///
/// `P` is the parts, which can be joined later: [`into_parts`](Self::into_parts) returns them.
#[derive(thiserror::Error)]
#[error("part {part} of the array cannot be taken back: {source}")]
pub struct PartsError<P = ()> {
    part: usize,
    #[source]
    source: LockError,
    parts: P,
}

crate::base::debug_is_display!(PartsError<P>);

type Joined<T, D> = Result<SharedArray<T, D>, PartsError<ArrayParts<T, D>>>;

impl<T: Element, D: Shape> SharedArray<T, D> {
    /// Divides the array into parts at these rows: `cuts.len() + 1` parts, some of which may be empty. Each
    /// is a handle that can be sent to a task or process, which writes the rows in place. With no cuts, the
    /// whole array is one part.
    ///
    /// Allocates a block of 128 bytes for each part; the elements are not copied.
    ///
    /// # Errors
    /// - [`AllocError`] if a block cannot be allocated. The array is dropped.
    ///
    /// # Panics
    /// If the cuts decrease or leave the array, or the array has no axes.
    #[track_caller]
    pub fn into_parts(self, cuts: &[usize]) -> Result<ArrayParts<T, D>, AllocError> {
        assert!(self.ndim() > 0, "an array without axes has no rows to divide");
        let have = rows(self.raw_dim());
        let ends = cuts.iter().copied().chain([have]);
        let mut lo = 0;
        let spans = ends.map(|hi| {
            assert!(lo <= hi && hi <= have, "a cut at row {hi}, after row {lo} of an array of {have} rows");
            Span::new(std::mem::replace(&mut lo, hi), hi)
        });
        let spans: Vec<Span> = spans.collect();
        self.divided(&spans)
    }

    /// Divides the array into parts of `rows` rows each, as [`chunks_mut`](slice::chunks_mut) divides a
    /// slice: the last part may have fewer. An empty array has no parts. See [`Self::into_parts`].
    ///
    /// # Errors
    /// Same as [`Self::into_parts`].
    ///
    /// # Panics
    /// If `rows` is 0, or the array has no axes.
    #[track_caller]
    pub fn into_chunks(self, rows: usize) -> Result<ArrayParts<T, D>, AllocError> {
        assert!(rows > 0, "a part of 0 rows");
        assert!(self.ndim() > 0, "an array without axes has no rows to divide");
        let have = super::rows(self.raw_dim());
        let starts = (0..have).step_by(rows);
        let spans: Vec<Span> = starts.map(|lo| Span::new(lo, lo.saturating_add(rows).min(have))).collect();
        self.divided(&spans)
    }

    /// The parts with these rows, which lie inside the array and do not overlap.
    fn divided(self, spans: &[Span]) -> Result<ArrayParts<T, D>, AllocError> {
        let (base, dim, segment) = (self.base_ptr(), self.raw_dim().clone(), self.segment().clone());
        let descriptors: Vec<(usize, Descriptor)> = spans
            .iter()
            .map(|span| {
                // No wrap: at most the array's size.
                let skipped = span.lo.wrapping_mul(row_elems(&dim));
                (skipped, Descriptor::of(&self, skipped.wrapping_mul(size_of::<T>())))
            })
            .collect();
        let whole = Arc::new(Whole(Mutex::new(Some(self))));
        let parts = spans.iter().zip(descriptors).map(|(span, (skipped, descriptor))| {
            let mut dim = dim.clone();
            dim.slice_mut()[0] = span.len();
            // SAFETY: the rows lie inside the array.
            let first = unsafe { base.add(skipped) };
            // SAFETY: those are the rows' place and shape, and the array is put away.
            unsafe { ArrayPart::make((first, dim, *span), descriptor, &segment, &whole) }
        });
        let parts = parts.collect::<Result<_, _>>()?;
        Ok(ArrayParts { parts, whole })
    }
}

impl<T: Element, D: Shape> ArrayParts<T, D> {
    /// Takes all parts back and returns the array. Remaining handles become invalid: their lock calls return
    /// [`LockError::Joined`].
    ///
    /// Waits for the current holders of parts, but not for handles that are not in use. Call it when the
    /// tasks have ended: one that starts later cannot lock its part.
    ///
    /// # Errors
    /// [`PartsError`], with the parts inside, if a part cannot be taken: its last holder died or panicked, so
    /// that it may be half written ([`Self::clear_poison`] accepts it as it is); this thread holds it; or
    /// the words of its lock were overwritten.
    pub fn join(self) -> Joined<T, D> {
        self.join_with(Patience::Forever)
    }

    /// Like [`join`](Self::join), but waits at most `timeout` for holders of a part, such as threads that
    /// exceeded their time limit and cannot be stopped.
    ///
    /// # Errors
    /// Same as [`join`](Self::join), and [`LockError::TimedOut`] as the cause.
    pub fn join_timeout(self, timeout: Duration) -> Joined<T, D> {
        self.join_with(Patience::of(timeout))
    }

    fn join_with(self, patience: Patience) -> Joined<T, D> {
        if fork::is_foreign() {
            return Err(PartsError { part: 0, source: LockError::Forked, parts: self });
        }
        // Before any is taken back: most who cannot be joined are found here, and nobody notices.
        if let Some(part) = self.parts.iter().position(ArrayPart::is_poisoned) {
            return Err(PartsError { part, source: LockError::OwnerDied(()), parts: self });
        }
        for (i, part) in self.parts.iter().enumerate() {
            if let Err(source) = part.take_back(patience) {
                self.parts.iter().take(i).for_each(ArrayPart::give_out_again);
                return Err(PartsError { part: i, source, parts: self });
            }
        }
        match self.whole.0.lock().take() {
            Some(array) => Ok(array),
            None => unreachable!("the parts are joined once, by their only owner"),
        }
    }

    /// Accepts the rows of all parts as they are, even those whose holder died or panicked while writing.
    ///
    /// # Errors
    /// Same as [`ArrayPart::overwrite`].
    pub fn clear_poison(&self) -> Result<(), LockError> {
        self.parts
            .iter()
            .filter(|part| part.is_poisoned())
            .try_for_each(|part| part.overwrite().map(|_guard| ()))
    }
}

impl<T, D> Deref for ArrayParts<T, D> {
    type Target = [ArrayPart<T, D>];
    fn deref(&self) -> &[ArrayPart<T, D>] {
        &self.parts
    }
}

impl<'a, T, D> IntoIterator for &'a ArrayParts<T, D> {
    type Item = &'a ArrayPart<T, D>;
    type IntoIter = std::slice::Iter<'a, ArrayPart<T, D>>;
    fn into_iter(self) -> Self::IntoIter {
        self.parts.iter()
    }
}

impl<T, D: Dimension> std::fmt::Debug for ArrayParts<T, D> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(&self.parts).finish()
    }
}

impl<P> PartsError<P> {
    /// Returns the number of the part that could not be taken back.
    pub fn part(&self) -> usize {
        self.part
    }

    /// Returns why that part could not be taken back.
    pub fn cause(&self) -> &LockError {
        &self.source
    }

    /// Returns the parts.
    pub fn into_parts(self) -> P {
        self.parts
    }

    /// The same error without the parts.
    pub(crate) fn without_parts(self) -> PartsError {
        PartsError { part: self.part, source: self.source, parts: () }
    }
}
