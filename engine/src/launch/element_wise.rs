//! `map_into` and `scan`: kernels that run once per element and must therefore be inlined into the loop.
//!
//! # Safety
//! As in `entry`. The entry's own type names the kernel, so nothing is sent.
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use crate::array::{Element, Shape, row_elems};
use crate::code::conjure;
use crate::launch::builder::{Launch, LaunchCall};
use crate::launch::error::LaunchError;
use crate::launch::grant::{Split, SplitMut, SplitOut};
use crate::launch::member::chunk::Chunk;
use crate::launch::member::entry::open;
use crate::launch::member::settle::LeafPlaces;
use crate::launch::operand::Operand;
use crate::launch::operand::describe::Description;
use crate::launch::operand::tag::{Tag, mix, of};
use crate::team::fault::Fault;
use crate::team::member::LaunchContext;
use crate::team::orders::WireBytes;
use ndarray::{IntoDimension, Ix1};
use std::cell::Cell;
use std::marker::PhantomData;
use std::panic::Location;

/// Passes a function, or a closure that captures nothing, into a kernel. The kernel receives the function
/// itself.
///
/// The type names the code, so nothing is sent, and calls are inlined into the kernel's loop, where a
/// function pointer would be called once per element. Meant for your own kernels that are generic over a
/// function, as [`map_into`](crate::Pool::map_into) is. A closure that captures something does not compile,
/// except for zero-sized values. These are created anew in each worker, and must mean the same in every
/// process (premise P8 in docs/memory-model.md).
///
/// ```
/// use phalanx::{Inlined, Pool, SharedArray};
///
/// fn zip_into<F>(pool: &Pool, out: &mut SharedArray<f64>, x: &SharedArray<f64>, f: F) -> Result<(), phalanx::LaunchError>
/// where
///     F: Fn(f64, f64) -> f64 + Copy + Send + Sync + 'static,
/// {
///     pool.for_each((out.split_mut(), x.split(), Inlined::new(f)), |(out, x, f)| {
///         for (out, x) in out.iter_mut().zip(x) {
///             *out = f(*out, *x);
///         }
///     })
/// }
///
/// # fn main() -> Result<(), phalanx::Error> {
/// let pool = Pool::builder().workers(2).build()?;
/// let (mut y, x) = (pool.from_fn(100, |i| i as f64)?, pool.from_fn(100, |_| 2.0)?);
/// zip_into(&pool, &mut y, &x, |y, x| y * x)?;
/// assert_eq!(y.as_slice()[7], 14.0);
/// # Ok(())
/// # }
/// ```
///
/// ```compile_fail,E0080
/// # fn main() -> Result<(), phalanx::Error> {
/// let pool = phalanx::Pool::builder().workers(2).build()?;
/// let factor = 3.0;
/// pool.for_each((0..10, phalanx::Inlined::new(move |x: f64| factor * x)), |(_, _)| ())?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Inlined<K>(PhantomData<K>);

impl<K: Copy + Send + Sync + 'static> Inlined<K> {
    /// Passes `function`, which takes one to four arguments.
    pub fn new<Arguments>(function: K) -> Inlined<K>
    where
        K: Callable<Arguments>,
    {
        let _carried_by_its_type = function;
        Inlined(PhantomData)
    }
}

/// A function or closure with these arguments: what [`Inlined`] accepts. Other zero-sized values are refused,
/// since they may stand for something that holds in one process only.
pub trait Callable<Arguments>: sealed::Callable<Arguments> {}
impl<F: sealed::Callable<Arguments>, Arguments> Callable<Arguments> for F {}

/// Sealed: the engine relies on there being no other implementations.
mod sealed {
    use super::{Ix1, SplitMut, SplitOut};

    pub trait Output {}
    impl<U> Output for SplitMut<'_, U, Ix1> {}
    impl<U> Output for SplitOut<'_, U, Ix1> {}

    pub trait Callable<Arguments> {}
    impl<F: Fn(A) -> R, A, R> Callable<(A,)> for F {}
    impl<F: Fn(A, B) -> R, A, B, R> Callable<(A, B)> for F {}
    impl<F: Fn(A, B, C) -> R, A, B, C, R> Callable<(A, B, C)> for F {}
    impl<F: Fn(A, B, C, D) -> R, A, B, C, D, R> Callable<(A, B, C, D)> for F {}
}

// SAFETY: no memory is shared.
unsafe impl<K: Copy + Send + Sync + 'static> Operand for Inlined<K> {
    type Wire = ();
    type Local = ();
    type View<'w> = K;
    const LAYOUT: u64 = of(Tag::Inlined);

    fn describe(&self, _to: &mut Description<'_>) -> Result<(), LaunchError> {
        Ok(())
    }
    fn wire(&self) {}
    unsafe fn open(_wire: &(), _visit: &mut LaunchContext<'_>) -> Result<(), Fault> {
        Ok(())
    }
    unsafe fn view<'w>(_local: &(), _chunk: &Chunk) -> Self::View<'w> {
        conjure()
    }
}

/// An output of one element per unit: [`SharedArray::split_out`](crate::SharedArray::split_out) or
/// [`split_mut`](crate::SharedArray::split_mut) of a 1-D array.
pub trait Output<U: 'static>: sealed::Output + for<'w> Operand<View<'w> = &'w mut [U]> {}
impl<U: Element> Output<U> for SplitMut<'_, U, Ix1> {}
impl<U: Element> Output<U> for SplitOut<'_, U, Ix1> {}

/// Which prefixes a scan computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Prefix {
    /// Element `i` holds the fold of `0..=i`.
    Inclusive,
    /// Element `i` holds the fold of `0..i`.
    Exclusive,
}

impl Launch<'_> {
    /// Sets every `out[i]` to `kernel(input[i])`. See [`Pool::map_into`](crate::Pool::map_into).
    #[track_caller]
    pub fn map_into<T, U, Out, K>(
        self,
        out: Out,
        input: Split<'_, T, Ix1>,
        kernel: K,
    ) -> Result<(), LaunchError>
    where
        T: Element,
        U: Element,
        Out: Output<U>,
        K: Fn(T) -> U + Copy + Send + Sync + 'static,
    {
        let _carried_by_its_type = kernel;
        let operands = (out, input);
        let description = self.describe(&operands)?;
        let wire = operands.wire();
        let call = LaunchCall {
            entry: map_entry::<T, U, Out, K>,
            kernel: 0,
            combine: 0,
            layout: mix(Out::LAYOUT, Tag::MapInto as u64),
            wire: WireBytes::of(&wire),
        };
        let (scratch, _) = self.run(&call, &description, Location::caller(), None)?;
        self.launcher.put_back(scratch);
        Ok(())
    }

    /// Sets every `out[i]` to `kernel(i)`.
    #[track_caller]
    pub fn fill_with<U, Out, K>(self, out: Out, kernel: K) -> Result<(), LaunchError>
    where
        U: Element,
        Out: Output<U>,
        K: Fn(usize) -> U + Copy + Send + Sync + 'static,
    {
        let _carried_by_its_type = kernel;
        let description = self.describe(&out)?;
        let wire = out.wire();
        let call = LaunchCall {
            entry: fill_entry::<U, Out, K>,
            kernel: 0,
            combine: 0,
            layout: mix(Out::LAYOUT, Tag::Fill as u64),
            wire: WireBytes::of(&wire),
        };
        let (scratch, _) = self.run(&call, &description, Location::caller(), None)?;
        self.launcher.put_back(scratch);
        Ok(())
    }

    /// Sets every element of an array of any shape to `kernel(index)`.
    #[track_caller]
    pub(crate) fn fill_shape_with<U, D, K>(
        self,
        out: SplitOut<'_, U, D>,
        kernel: K,
    ) -> Result<(), LaunchError>
    where
        U: Element,
        D: Shape,
        K: Fn(D::Pattern) -> U + Copy + Send + Sync + 'static,
    {
        let _carried_by_its_type = kernel;
        let description = self.describe(&out)?;
        let wire = out.wire();
        let call = LaunchCall {
            entry: fill_shape_entry::<U, D, K>,
            kernel: 0,
            combine: 0,
            layout: mix(SplitOut::<'_, U, D>::LAYOUT, Tag::FillShape as u64),
            wire: WireBytes::of(&wire),
        };
        let (scratch, _) = self.run(&call, &description, Location::caller(), None)?;
        self.launcher.put_back(scratch);
        Ok(())
    }

    /// Sets every `out[i]` to the fold of `input[0..=i]`. See [`Pool::scan`](crate::Pool::scan).
    #[track_caller]
    pub fn scan<T, Out, K>(
        self,
        out: Out,
        input: Split<'_, T, Ix1>,
        identity: T,
        combine: K,
    ) -> Result<(), LaunchError>
    where
        T: Element,
        Out: Output<T>,
        K: Fn(T, T) -> T + Copy + Send + Sync + 'static,
    {
        self.prefix(Prefix::Inclusive, out, input, identity, combine, Location::caller())
    }

    /// Sets every `out[i]` to the fold of `input[0..i]`, so that `out[0]` is `identity`.
    #[track_caller]
    pub fn scan_exclusive<T, Out, K>(
        self,
        out: Out,
        input: Split<'_, T, Ix1>,
        identity: T,
        combine: K,
    ) -> Result<(), LaunchError>
    where
        T: Element,
        Out: Output<T>,
        K: Fn(T, T) -> T + Copy + Send + Sync + 'static,
    {
        self.prefix(Prefix::Exclusive, out, input, identity, combine, Location::caller())
    }

    /// Sweeps twice over the same leaves: first computes each leaf's fold, then each leaf's prefixes from the
    /// total before it. The result's bits depend only on the leaves.
    fn prefix<T, Out, K>(
        self,
        prefix: Prefix,
        out: Out,
        input: Split<'_, T, Ix1>,
        identity: T,
        combine: K,
        site: &'static Location<'static>,
    ) -> Result<(), LaunchError>
    where
        T: Element,
        Out: Output<T>,
        K: Fn(T, T) -> T + Copy + Send + Sync + 'static,
    {
        let operands = (out, input, [u64::from(prefix == Prefix::Exclusive)]);
        let mut description = self.describe(&operands)?;
        description.leaf(size_of::<T>());
        let wire = operands.wire();
        let fold_wire = operands.1.wire();
        let fold = LaunchCall {
            entry: fold_entry::<T, K>,
            kernel: 0,
            combine: 0,
            layout: of(Tag::ScanFold),
            wire: WireBytes::of(&fold_wire),
        };
        let (Some(scratch), leaves) = self.run(&fold, &description, site, None)? else { return Ok(()) };
        // SAFETY: the launch succeeded with one `T` a leaf, and nobody else has this scratch.
        let places = unsafe { LeafPlaces::<T>::of_driver(scratch.base(), 1) };
        let mut before = identity;
        for leaf in 0..leaves {
            // SAFETY: one leaf's place at a time, no member is in a launch with this scratch.
            let place = &mut unsafe { places.at(leaf) }[0];
            let total = std::mem::replace(place, before);
            before = if leaf == 0 { total } else { combine(before, total) };
        }
        let spread = LaunchCall {
            entry: spread_entry::<T, Out, K>,
            kernel: 0,
            combine: 0,
            layout: mix(Out::LAYOUT, Tag::ScanSpread as u64),
            wire: WireBytes::of(&wire),
        };
        let (scratch, _) = self.run(&spread, &description, site, Some(scratch))?;
        self.launcher.put_back(scratch);
        Ok(())
    }
}

/// # Safety
/// As [`LaunchEntry`](crate::team::member::LaunchEntry).
unsafe fn map_entry<T, U, Out, K>(context: &mut LaunchContext<'_>) -> Result<(), Fault>
where
    T: Element,
    U: Element,
    Out: Output<U>,
    K: Fn(T) -> U + Copy + Send + Sync + 'static,
{
    let kernel: K = conjure();
    // SAFETY: this entry goes with the wire of such operands, and we are in the launch.
    let local = unsafe { open::<(Out, Split<'_, T, Ix1>)>(context, mix(Out::LAYOUT, Tag::MapInto as u64)) }?;
    context.chunks(
        |chunk| {
            // SAFETY: `chunks` hands out chunks that this member claimed, one after the other.
            let (out, input) = unsafe { <(Out, Split<'_, T, Ix1>)>::view(&local, chunk) };
            for (out, value) in out.iter_mut().zip(input) {
                *out = kernel(*value);
            }
        },
        |_| (),
    )
}

/// # Safety
/// As [`LaunchEntry`](crate::team::member::LaunchEntry).
unsafe fn fill_entry<U, Out, K>(context: &mut LaunchContext<'_>) -> Result<(), Fault>
where
    U: Element,
    Out: Output<U>,
    K: Fn(usize) -> U + Copy + Send + Sync + 'static,
{
    let kernel: K = conjure();
    // SAFETY: this entry goes with the wire of such operands, and we are in the launch.
    let local = unsafe { open::<Out>(context, mix(Out::LAYOUT, Tag::Fill as u64)) }?;
    context.chunks(
        |chunk| {
            // SAFETY: `chunks` hands out chunks that this member claimed, one after the other.
            let out = unsafe { Out::view(&local, chunk) };
            for (index, out) in chunk.span.range().zip(out) {
                *out = kernel(index);
            }
        },
        |_| (),
    )
}

/// # Safety
/// As [`LaunchEntry`](crate::team::member::LaunchEntry).
#[expect(clippy::arithmetic_side_effects, reason = "the chunk's rows lie inside the array")]
unsafe fn fill_shape_entry<U, D, K>(context: &mut LaunchContext<'_>) -> Result<(), Fault>
where
    U: Element,
    D: Shape,
    K: Fn(D::Pattern) -> U + Copy + Send + Sync + 'static,
{
    let kernel: K = conjure();
    // SAFETY: this entry goes with the wire of such operands, and we are in the launch.
    let local = unsafe {
        open::<SplitOut<'_, U, D>>(context, mix(SplitOut::<'_, U, D>::LAYOUT, Tag::FillShape as u64))
    }?;
    let row = row_elems(&local.dim);
    context.chunks(
        |chunk| {
            // SAFETY: the chunk's rows lie inside the array, as `open` and the grid see to.
            let first = unsafe { local.base.add(chunk.span.lo * row) };
            // SAFETY: rows are contiguous, mapped for the launch and this chunk's alone.
            let out = unsafe { std::slice::from_raw_parts_mut(first, chunk.span.len() * row) };
            let mut shape = local.dim.clone();
            shape.slice_mut()[0] = chunk.span.len();
            for (index, out) in ndarray::indices(shape).into_iter().zip(out) {
                let mut index = index.into_dimension();
                index.slice_mut()[0] += chunk.span.lo;
                *out = kernel(index.into_pattern());
            }
        },
        |_| (),
    )
}

/// The fold of each leaf.
///
/// # Safety
/// As [`LaunchEntry`](crate::team::member::LaunchEntry).
unsafe fn fold_entry<T, K>(context: &mut LaunchContext<'_>) -> Result<(), Fault>
where
    T: Element,
    K: Fn(T, T) -> T + Copy + Send + Sync + 'static,
{
    let combine: K = conjure();
    // SAFETY: this entry goes with the wire of such operands, and we are in the launch.
    let local = unsafe { open::<Split<'_, T, Ix1>>(context, of(Tag::ScanFold)) }?;
    let leaves = LeafPlaces::<T>::open(context, 1)?;
    let total = Cell::new(T::zeroed());
    context.chunks(
        |chunk| {
            // SAFETY: `chunks` hands out chunks that this member claimed, one after the other.
            let input: &[T] = unsafe { Split::<'_, T, Ix1>::view(&local, chunk) };
            let folded = input.iter().copied().reduce(combine).unwrap_or(T::zeroed());
            total.set(if chunk.opens_leaf { folded } else { combine(total.get(), folded) });
        },
        // SAFETY: the leaf was claimed by this member, and its place is written here only.
        |leaf| unsafe { leaves.at(leaf) }[0] = total.get(),
    )
}

/// The prefixes of each leaf, from what stands before it.
///
/// # Safety
/// As [`LaunchEntry`](crate::team::member::LaunchEntry).
unsafe fn spread_entry<T, Out, K>(context: &mut LaunchContext<'_>) -> Result<(), Fault>
where
    T: Element,
    Out: Output<T>,
    K: Fn(T, T) -> T + Copy + Send + Sync + 'static,
{
    let combine: K = conjure();
    // SAFETY: this entry goes with the wire of such operands, and we are in the launch.
    let local = unsafe {
        open::<(Out, Split<'_, T, Ix1>, [u64; 1])>(context, mix(Out::LAYOUT, Tag::ScanSpread as u64))
    }?;
    let leaves = LeafPlaces::<T>::open(context, 1)?;
    let running = Cell::new(T::zeroed());
    context.chunks(
        |chunk| {
            // SAFETY: `chunks` hands out chunks that this member claimed, one after the other.
            let (out, input, [exclusive]) =
                unsafe { <(Out, Split<'_, T, Ix1>, [u64; 1])>::view(&local, chunk) };
            // SAFETY: the leaf was claimed by this member; the driver wrote its place before the launch.
            let offered = unsafe { leaves.at(chunk.leaf) };
            let before = if chunk.opens_leaf { offered[0] } else { running.get() };
            let whole_start = chunk.span.lo == 0;
            running.set(prefixes(out, input, before, whole_start, exclusive == 1, combine));
        },
        |_| (),
    )
}

/// Writes the prefixes of one chunk, and returns the fold of everything up to its end. If `first`, nothing
/// precedes the chunk, so `before` is the identity and does not take part.
fn prefixes<T: Copy>(
    out: &mut [T],
    input: &[T],
    before: T,
    first: bool,
    exclusive: bool,
    combine: impl Fn(T, T) -> T,
) -> T {
    let mut running = before;
    for (index, (out, value)) in out.iter_mut().zip(input).enumerate() {
        let next = if first && index == 0 { *value } else { combine(running, *value) };
        *out = if exclusive { running } else { next };
        running = next;
    }
    running
}
