//! Arrays whose pages the workers allocate, each its own block.
//!
//! # Safety
//! An array is created over a segment only after all of its pages were reserved: by the launch made for this,
//! or by the driver if the kernel refused that (`Launch::reserve`).
#![deny(clippy::arithmetic_side_effects)]
#![allow(unsafe_code)]

use super::Pool;
use crate::array::shared::byte_len;
use crate::array::{Element, Shape, SharedArray, row_elems, rows};
use crate::code::NoCapture;
use crate::launch::{LaunchError, Operand};
use crate::memory::{ArrayOptions, OWN_SEGMENT_BYTES, Segment};
use crate::shared::{Publisher, Snapshot};
use ndarray::{ArrayBase, Axis, Data, Dimension, IntoDimension, Ix1};

/// Size from which copying is worth several threads. Starting one costs about 10 us, as much as copying 100
/// KiB.
const PARALLEL_COPY_BYTES: usize = 4 << 20;

/// A publisher and a reader of its publications.
type Published<T, D> = (Publisher<T, D>, Snapshot<T, D>);

impl Pool {
    /// Creates an array of `len` zeros whose pages lie near the workers that own them under
    /// [`Schedule::Static`](crate::Schedule::Static).
    ///
    /// Each worker reserves and maps its own block, in parallel, under its own memory policy. Neither page
    /// placement nor page faults are left to the first sweep. Arrays under 1 MiB come from the shared arena.
    /// The array is returned only once all its pages exist, so touching it cannot fail.
    ///
    /// # Errors
    /// [`Error::Alloc`](crate::Error::Alloc) as for [`SharedArray::zeros`];
    /// [`Error::Launch`](crate::Error::Launch) if a worker died meanwhile. Nothing is left behind in either
    /// case.
    ///
    /// ```
    /// # fn main() -> Result<(), phalanx::Error> {
    /// let pool = phalanx::Pool::builder().workers(2).build()?;
    /// let a = pool.zeros::<f64>(1_000_000)?;
    /// assert_eq!(a.residency().absent_bytes, 0);
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn zeros<T: Element>(&self, len: usize) -> Result<SharedArray<T, Ix1>, crate::Error> {
        self.zeros_with(len, &ArrayOptions::default())
    }

    /// Like [`Self::zeros`], for any shape: a length, or a tuple or array of lengths. Workers own whole rows.
    ///
    /// # Errors
    /// As for [`Self::zeros`].
    ///
    /// ```
    /// # fn main() -> Result<(), phalanx::Error> {
    /// let pool = phalanx::Pool::builder().workers(2).build()?;
    /// let mut a = pool.zeros_nd::<f32, _>((300, 500))?;
    /// pool.for_each(a.split_mut(), |mut rows| rows.fill(1.0))?;
    /// assert_eq!(a.view().sum(), 150_000.0);
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn zeros_nd<T: Element, I: IntoDimension>(
        &self,
        shape: I,
    ) -> Result<SharedArray<T, I::Dim>, crate::Error>
    where
        I::Dim: Shape,
    {
        self.zeros_with(shape, &ArrayOptions::default())
    }

    /// Like [`Self::zeros_nd`], with options for page placement and huge pages.
    ///
    /// # Errors
    /// As for [`Self::zeros`], and `NoHugePages` if huge pages are required and not available.
    #[track_caller]
    pub fn zeros_with<T: Element, I: IntoDimension>(
        &self,
        shape: I,
        options: &ArrayOptions,
    ) -> Result<SharedArray<T, I::Dim>, crate::Error>
    where
        I::Dim: Shape,
    {
        let dim = shape.into_dimension();
        let len_bytes = byte_len::<T, I::Dim>(&dim)?;
        if len_bytes < OWN_SEGMENT_BYTES {
            return Ok(SharedArray::zeros_with(dim, options)?);
        }
        let segment = Segment::create_sparse(len_bytes, options)?;
        let row_bytes = row_elems(&dim).saturating_mul(size_of::<T>());
        self.launch().reserve(&segment, rows(&dim), row_bytes).map_err(as_error)?;
        segment.settle()?;
        // SAFETY: the new segment has `len_bytes` zeroed bytes at a page's start, all reserved by `reserve`,
        // and nobody else uses it: members map it, but the only launch that told them of it is over.
        Ok(unsafe { SharedArray::from_segment(segment, 0, dim) })
    }

    /// Creates an array from a function of the index. The workers compute it in parallel, and its pages are
    /// placed as by [`Self::zeros`].
    ///
    /// # Errors
    /// As for [`Self::zeros`]. A panic of `f` is reported as [`Error::Launch`](crate::Error::Launch).
    ///
    /// ```
    /// let pool = phalanx::Pool::builder().workers(2).build()?;
    /// let squares = pool.from_fn(1000, |i| (i * i) as u64)?;
    /// assert_eq!(squares.as_slice()[12], 144);
    /// # Ok::<(), phalanx::Error>(())
    /// ```
    #[track_caller]
    pub fn from_fn<T: Element, F>(&self, len: usize, f: F) -> Result<SharedArray<T, Ix1>, crate::Error>
    where
        F: Fn(usize) -> T + Copy + Send + Sync,
    {
        const { NoCapture::<F>::OK };
        let mut array = self.zeros(len)?;
        self.launch().fill_with(array.split_out(), f)?;
        Ok(array)
    }

    /// Creates an array of any shape from a function of the index (a number in one dimension, a tuple in
    /// more). The workers compute it in parallel, and its pages are placed as by [`Self::zeros_nd`].
    ///
    /// # Errors
    /// As for [`Self::from_fn`].
    ///
    /// ```
    /// # fn main() -> Result<(), phalanx::Error> {
    /// let pool = phalanx::Pool::builder().workers(2).build()?;
    /// let a = pool.from_shape_fn((100, 200), |(i, j)| (1000 * i + j) as u32)?;
    /// assert_eq!(a.view()[(42, 7)], 42_007);
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn from_shape_fn<T: Element, I, F>(
        &self,
        shape: I,
        f: F,
    ) -> Result<SharedArray<T, I::Dim>, crate::Error>
    where
        I: IntoDimension,
        I::Dim: Shape,
        F: Fn(<I::Dim as Dimension>::Pattern) -> T + Copy + Send + Sync,
    {
        const { NoCapture::<F>::OK };
        let mut array = self.zeros_nd(shape)?;
        self.launch().fill_with(array.split_out(), f)?;
        Ok(array)
    }

    /// Like [`Self::from_shape_fn`], for a function that needs parameters: what a closure would capture. See
    /// [`Pool::with`] for what parameters can be.
    ///
    /// # Errors
    /// As for [`Self::from_fn`].
    ///
    /// ```
    /// # fn main() -> Result<(), phalanx::Error> {
    /// let pool = phalanx::Pool::builder().workers(2).build()?;
    /// let (start, end, n) = (0.0, 1.0, 101);
    /// let x = pool.from_fn_with(n, (start, (end - start) / 100.0), |i, (start, step)| start + i as f64 * step)?;
    /// assert_eq!(x.as_slice()[50], 0.5);
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn from_fn_with<T, I, P, F>(
        &self,
        shape: I,
        parameters: P,
        f: F,
    ) -> Result<SharedArray<T, I::Dim>, crate::Error>
    where
        T: Element,
        I: IntoDimension,
        I::Dim: Shape,
        P: Operand,
        for<'w> P::View<'w>: Copy,
        F: for<'w> Fn(<I::Dim as Dimension>::Pattern, P::View<'w>) -> T + Copy + Send + Sync,
    {
        const { NoCapture::<F>::OK };
        let mut array = self.zeros_nd(shape)?;
        self.with(parameters).fill_with(array.split_out(), f)?;
        Ok(array)
    }

    /// Copies a slice into a new array whose pages are placed as by [`Self::zeros`].
    ///
    /// Only this process can read the slice, so its own threads copy, at most one per worker.
    ///
    /// # Errors
    /// As for [`Self::zeros`].
    ///
    /// ```
    /// # fn main() -> Result<(), phalanx::Error> {
    /// let pool = phalanx::Pool::builder().workers(2).build()?;
    /// assert_eq!(pool.from_slice(&[1u8, 2, 3])?.as_slice(), [1, 2, 3]);
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn from_slice<T: Element>(&self, source: &[T]) -> Result<SharedArray<T, Ix1>, crate::Error> {
        self.from_ndarray(&ndarray::ArrayView1::from(source))
    }

    /// Creates a publisher of whole copies of an array of this shape, and a reader of them: to watch arrays
    /// while a region computes on them, for plots and checkpoints.
    ///
    /// The region takes the publisher as `&mut publisher`, and publishes with
    /// [`RegionPublisher::publish`](crate::region::RegionPublisher::publish). Any other thread, or process,
    /// reads with clones of the [`Snapshot`].
    ///
    /// Costs three copies of the array in shared memory, which exist at once. A publication costs one copy of
    /// it, which the ranks share; a read one more.
    ///
    /// # Errors
    /// [`Error::Sync`](crate::Error::Sync) if shared memory cannot be allocated.
    ///
    /// ```
    /// use phalanx::Pool;
    /// use std::time::Duration;
    /// # fn main() -> Result<(), phalanx::Error> {
    /// let pool = Pool::builder().workers(2).build()?;
    /// let mut u = pool.zeros_nd::<f64, _>((64, 48))?;
    /// let (mut publisher, mut snapshot) = pool.snapshot::<f64, _>((64, 48))?;
    /// std::thread::scope(|scope| {
    ///     let run = scope.spawn(|| {
    ///         pool.region((&mut u, &mut publisher), |team, (mut u, mut publisher)| {
    ///             for step in 1..=100 {
    ///                 team.phase(u.split_mut(), |mut u| u += 1.0)?;
    ///                 publisher.publish(team, step, u.split())?;
    ///             }
    ///             Ok(0)
    ///         })
    ///     });
    ///     while !run.is_finished() {
    ///         let Some(frame) = snapshot.next_timeout(Duration::from_millis(10))? else { continue };
    ///         assert!(frame.data.iter().all(|u| *u == frame.step as f64));
    ///     }
    ///     run.join().expect("no panic")?;
    ///     assert_eq!(snapshot.step()?, Some(100));
    ///     Ok(())
    /// })
    /// # }
    /// ```
    pub fn snapshot<T: Element, I: IntoDimension>(
        &self,
        shape: I,
    ) -> Result<Published<T, I::Dim>, crate::Error>
    where
        I::Dim: Shape,
    {
        let publisher = Publisher::new(shape.into_dimension())?;
        let snapshot = publisher.snapshot();
        Ok((publisher, snapshot))
    }

    /// Copies an ndarray array or view of any layout into a new row-major array whose pages are placed as by
    /// [`Self::zeros_nd`].
    ///
    /// # Errors
    /// As for [`Self::zeros`].
    ///
    /// ```
    /// let pool = phalanx::Pool::builder().workers(2).build()?;
    /// let table = ndarray::array![[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]];
    /// let shared = pool.from_ndarray(&table.t())?; // any layout
    /// assert_eq!(shared.view(), ndarray::array![[1.0, 4.0], [2.0, 5.0], [3.0, 6.0]]);
    /// # Ok::<(), phalanx::Error>(())
    /// ```
    #[track_caller]
    pub fn from_ndarray<T: Element, S, D>(
        &self,
        source: &ArrayBase<S, D>,
    ) -> Result<SharedArray<T, D>, crate::Error>
    where
        S: Data<Elem = T>,
        D: Shape,
    {
        let mut array = self.zeros_nd::<T, D>(source.raw_dim())?;
        let (from, mut to) = (source.view(), array.view_mut());
        let threads = self.workers().min(std::thread::available_parallelism().map_or(1, usize::from));
        let rows = rows(&source.raw_dim());
        if threads < 2 || rows < threads || source.len().saturating_mul(size_of::<T>()) < PARALLEL_COPY_BYTES
        {
            to.assign(&from);
        } else {
            let part = rows.div_ceil(threads);
            let (from, to) = (from.axis_chunks_iter(Axis(0), part), to.axis_chunks_iter_mut(Axis(0), part));
            std::thread::scope(|scope| {
                for (from, mut to) in from.zip(to) {
                    scope.spawn(move || to.assign(&from));
                }
            });
        }
        Ok(array)
    }
}

/// Unwraps an allocation error that the launch only carried.
fn as_error(error: LaunchError) -> crate::Error {
    match error {
        LaunchError::Alloc(error) => crate::Error::Alloc(error),
        error => crate::Error::Launch(error),
    }
}
