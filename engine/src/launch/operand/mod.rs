//! Operands: what a kernel works on, and how it reaches the workers.
//!
//! The driver describes an operand (lengths, segments, what it writes) and sends it as a fixed number of
//! plain bytes (`Wire`). Each member opens it once per launch (`Local`: the wire resolved to addresses of
//! that process) and passes the kernel one `View` per chunk.
//!
//! # Safety
//! Values are copied out of the wire, whose bytes the driver wrote from a value of the same type.
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

pub(crate) mod describe;
pub(crate) mod tag;

use crate::base::up_to_eight;
use crate::launch::error::LaunchError;
use crate::launch::member::chunk::Chunk;
use crate::launch::member::settle::Leaves;
use crate::launch::operand::describe::Description;
use crate::launch::operand::tag::{Tag, mix, of, sized};
use crate::team::fault::Fault;
use crate::team::member::LaunchContext;
use bytemuck::NoUninit;
use std::ops::Range;
use std::time::Duration;

/// A kernel argument: a grant of a shared array (`a.split()`, `a.split_mut()`, ...), a plain value
/// ([`Plain`], [`Val`]), any serde value ([`Captured`](crate::Captured)), an index range, a shared value,
/// lock or counter, per-worker state, or a tuple of up to 8 of these.
///
/// # Safety
/// Views of chunks of one launch that live at the same time must not alias mutably. (A member holds one view
/// of an operand at a time.) `open` must check every place that the wire names against its segment.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot travel to a worker process",
    label = "not an operand",
    note = "operands are grants of shared arrays (`a.split()`, `a.split_mut()`, `a.whole()`, ..), index ranges `0..n`, plain values (numbers, `bool`, `char`, and `Option` and `[T; N]` of them), `Val(value)` of your own plain types, `&Captured` for any other serde value, `&SharedValue`, shared locks and counters, `&PerWorker`, `&CancelToken` and tuples of up to 8 of these",
    note = "of a tuple, each element must be one: look for a `String`, `Vec`, slice or struct among them; a struct of numbers travels as `Val(it)`, anything with serde as `&Captured::new(&it)?`"
)]
pub unsafe trait Operand {
    /// What is sent: plain bytes of fixed size.
    #[doc(hidden)]
    type Wire: Copy + 'static;
    /// The wire as resolved by one member for one launch.
    #[doc(hidden)]
    type Local;
    /// What the kernel receives for one chunk.
    type View<'w>;
    /// Distinguishes the layouts of operand types.
    #[doc(hidden)]
    const LAYOUT: u64;
    /// Reports lengths, segments and access rights to the driver.
    #[doc(hidden)]
    fn describe(&self, to: &mut Description<'_>) -> Result<(), LaunchError>;
    #[doc(hidden)]
    fn wire(&self) -> Self::Wire;
    /// # Safety
    /// `wire` was made by [`Self::wire`] of the same type in this launch, the launch is entered, and the
    /// result is kept no longer than the launch.
    #[doc(hidden)]
    unsafe fn open(wire: &Self::Wire, context: &mut LaunchContext<'_>) -> Result<Self::Local, Fault>;
    /// # Safety
    /// The chunk is claimed by this member, or in a broadcast belongs to its rank. The launch lasts at least
    /// as long as `'w`, `local` stays in place meanwhile, and the previous view of `local` is gone.
    #[doc(hidden)]
    unsafe fn view<'w>(local: &Self::Local, chunk: &Chunk) -> Self::View<'w>;
    /// Folds the leaves' accumulators into the operand after a successful launch.
    #[doc(hidden)]
    fn settle(&mut self, _leaves: &mut Leaves<'_>) {}
}

/// Plain values, which are sent as they are.
///
/// Implemented for the integer and floating-point types, `bool`, `char`, `Duration`, and options and arrays
/// of these. For your own types use [`Val`], or [`Captured`](crate::Captured) for those that own memory.
///
/// # Safety
/// A copy of the bytes is the same value in every process of the program: the type holds no reference, no
/// pointer and nothing that stands for one.
pub unsafe trait Plain: Copy + Send + Sync + 'static {}

macro_rules! plain { ($($t:ty)*) => { $(
    // SAFETY: a value that says all.
    unsafe impl Plain for $t {}
)* } }
plain!(u8 u16 u32 u64 u128 usize i8 i16 i32 i64 i128 isize f32 f64 bool char Duration);

// SAFETY: as plain as its elements.
unsafe impl<T: Plain, const N: usize> Plain for [T; N] {}
// SAFETY: as plain as what it may hold.
unsafe impl<T: Plain> Plain for Option<T> {}

/// Passes a value of any `bytemuck::NoUninit` type as an operand: structs and enums of numbers, `bool` and
/// `char` that derive it. The kernel receives the value itself.
///
/// ```
/// use bytemuck::NoUninit;
/// use phalanx::{Pool, Val};
///
/// #[derive(Clone, Copy, NoUninit)]
/// #[repr(C)]
/// struct Line { slope: f64, offset: f64 }
///
/// # fn main() -> Result<(), phalanx::Error> {
/// let pool = Pool::builder().workers(2).build()?;
/// let mut y = pool.from_fn(100, |i| i as f64)?;
/// pool.for_each((y.split_mut(), Val(Line { slope: 2.0, offset: 1.0 })), |(y, line)| {
///     for y in y { *y = line.slope * *y + line.offset }
/// })?;
/// assert_eq!(y.as_slice()[10], 21.0);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Val<T: NoUninit + Send + Sync>(pub T);

// One implementation for all: with one for each type, a literal such as `2.0` would have no type yet where
// methods are looked up. For that, the compiler names a whole tuple where one of its elements is no operand.
// SAFETY: a copy of the value; no memory is shared.
#[diagnostic::do_not_recommend]
unsafe impl<T: Plain> Operand for T {
    type Wire = T;
    type Local = T;
    type View<'w> = T;
    const LAYOUT: u64 = sized(Tag::Plain, size_of::<T>());

    fn describe(&self, _to: &mut Description<'_>) -> Result<(), LaunchError> {
        Ok(())
    }
    fn wire(&self) -> T {
        *self
    }
    unsafe fn open(wire: &T, _visit: &mut LaunchContext<'_>) -> Result<T, Fault> {
        Ok(*wire)
    }
    unsafe fn view<'w>(local: &T, _chunk: &Chunk) -> Self::View<'w> {
        *local
    }
}

// SAFETY: as above.
unsafe impl<T: NoUninit + Send + Sync> Operand for Val<T> {
    type Wire = T;
    type Local = T;
    type View<'w> = T;
    const LAYOUT: u64 = sized(Tag::Val, size_of::<T>());

    fn describe(&self, _to: &mut Description<'_>) -> Result<(), LaunchError> {
        Ok(())
    }
    fn wire(&self) -> T {
        self.0
    }
    unsafe fn open(wire: &T, _visit: &mut LaunchContext<'_>) -> Result<T, Fault> {
        Ok(*wire)
    }
    unsafe fn view<'w>(local: &T, _chunk: &Chunk) -> Self::View<'w> {
        *local
    }
}

// An index range: the kernel receives its chunk of it.
// SAFETY: no memory is shared.
unsafe impl Operand for Range<usize> {
    type Wire = [usize; 2];
    type Local = usize;
    type View<'w> = Range<usize>;
    const LAYOUT: u64 = of(Tag::Range);

    fn describe(&self, to: &mut Description<'_>) -> Result<(), LaunchError> {
        to.length(self.len(), "an index range")
    }
    fn wire(&self) -> [usize; 2] {
        [self.start, self.end]
    }
    unsafe fn open(wire: &[usize; 2], _visit: &mut LaunchContext<'_>) -> Result<usize, Fault> {
        Ok(wire[0])
    }
    unsafe fn view<'w>(start: &usize, chunk: &Chunk) -> Self::View<'w> {
        start.wrapping_add(chunk.span.lo)..start.wrapping_add(chunk.span.hi)
    }
}

// SAFETY: no operand at all.
unsafe impl Operand for () {
    type Wire = ();
    type Local = ();
    type View<'w> = ();
    const LAYOUT: u64 = of(Tag::Nothing);

    fn describe(&self, _to: &mut Description<'_>) -> Result<(), LaunchError> {
        Ok(())
    }
    fn wire(&self) {}
    unsafe fn open(_wire: &(), _visit: &mut LaunchContext<'_>) -> Result<(), Fault> {
        Ok(())
    }
    unsafe fn view<'w>(_local: &(), _chunk: &Chunk) -> Self::View<'w> {}
}

macro_rules! tuples { ($( ($($o:ident $i:tt),+) )*) => { $(
    // SAFETY: each element keeps its own promises; grants of one array in one tuple are kept apart by the
    // borrow checker, since a grant that writes borrows its array mutably; of states, each stands in a launch
    // once, as `Description::state` sees to.
    unsafe impl<$($o: Operand),+> Operand for ($($o,)+) {
        type Wire = ($($o::Wire,)+);
        type Local = ($($o::Local,)+);
        type View<'w> = ($($o::View<'w>,)+);
        const LAYOUT: u64 = { let hash = of(Tag::Tuple); $( let hash = mix(hash, $o::LAYOUT); )+ hash };

        fn describe(&self, to: &mut Description<'_>) -> Result<(), LaunchError> {
            $( self.$i.describe(to)?; )+
            Ok(())
        }
        fn wire(&self) -> Self::Wire {
            ($( self.$i.wire(), )+)
        }
        unsafe fn open(wire: &Self::Wire, context: &mut LaunchContext<'_>) -> Result<Self::Local, Fault> {
            // SAFETY: element by element, by the caller's promise.
            Ok(unsafe { ($( $o::open(&wire.$i, context)?, )+) })
        }
        unsafe fn view<'w>(local: &Self::Local, chunk: &Chunk) -> Self::View<'w> {
            // SAFETY: element by element, by the caller's promise.
            unsafe { ($( $o::view(&local.$i, chunk), )+) }
        }
        fn settle(&mut self, leaves: &mut Leaves<'_>) {
            $( self.$i.settle(leaves); )+
        }
    }
)* } }
up_to_eight!(tuples);
