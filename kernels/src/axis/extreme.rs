//! Extremes along an axis, and their places.

use super::fold::{Fold, each_row, fold};
use super::layout::Axes;
use crate::error::KernelError;
use crate::input::Input;
use crate::layout::{Lines, resolve};
use crate::number::{Number, Real};
use crate::simd::vectorized;
use phalanx::{Pool, SharedArray};
use std::marker::PhantomData;

/// Lanes in which the best element of a contiguous line is looked for.
const LANES: usize = 16;
/// Elements whose best one is found before its place is, while they are in the first-level cache.
const BLOCK: usize = 2048;

/// Which of two elements is better, which is worse than all, and what becomes of NaN.
trait Order: 'static {
    type In: Number;
    fn worst() -> Self::In;
    fn better(a: Self::In, b: Self::In) -> bool;
    /// The better of two; the first of equals.
    #[inline(always)]
    fn pick(best: Self::In, x: Self::In) -> Self::In {
        if Self::better(x, best) | x.is_unordered() { x } else { best }
    }
}

macro_rules! orders { ($(
    $name:ident[$bound:path]: $worst:expr, |$a:ident, $b:ident| $better:expr $(, |$best:ident, $x:ident| $pick:expr)?;
)*) => { $(
    struct $name<T>(PhantomData<T>);
    impl<T: $bound> Order for $name<T> {
        type In = T;
        #[inline(always)]
        fn worst() -> T {
            $worst
        }
        #[inline(always)]
        fn better($a: T, $b: T) -> bool {
            $better
        }
        $(
            #[inline(always)]
            fn pick($best: T, $x: T) -> T {
                $pick
            }
        )?
    }
)* } }

orders! {
    Least[Number]: T::HIGHEST, |a, b| a < b;
    Most[Number]: T::LOWEST, |a, b| a > b;
    // From NaN on, which every number is better than.
    LeastKnown[Real]: T::nan(), |a, b| a < b || (b.is_unordered() && !a.is_unordered()),
        |best, x| if (x < best) | best.is_unordered() { x } else { best };
    MostKnown[Real]: T::nan(), |a, b| a > b || (b.is_unordered() && !a.is_unordered()),
        |best, x| if (x > best) | best.is_unordered() { x } else { best };
    Furthest[Real]: T::ZERO, |a, b| a.abs() > b.abs(),
        |best, x| if (x.abs() > best) | x.is_unordered() { x.abs() } else { best };
}

/// The fold to the best element.
struct Best<O>(PhantomData<O>);

impl<O: Order> Fold for Best<O> {
    type In = O::In;
    type State = O::In;
    type Out = O::In;

    fn start() -> O::In {
        O::worst()
    }
    fn line(x: &[O::In], _first: usize) -> O::In {
        vectorized(
            #[inline(always)]
            || best_of::<O>(x),
        )
    }
    fn rows(states: &mut [O::In], x: &[O::In], stride: usize, rows: usize, _first: usize) {
        vectorized(
            #[inline(always)]
            || {
                each_row(
                    states,
                    x,
                    stride,
                    rows,
                    #[inline(always)]
                    |best, x| O::pick(best, x),
                );
            },
        );
    }
    fn merge(left: O::In, right: O::In) -> O::In {
        O::pick(left, right)
    }
    fn finish(best: O::In, _len: usize, _parameter: u64) -> O::In {
        best
    }
}

#[inline(always)]
fn best_of<O: Order>(x: &[O::In]) -> O::In {
    let (groups, rest) = x.as_chunks::<LANES>();
    let mut best = [O::worst(); LANES];
    for group in groups {
        for lane in 0..LANES {
            best[lane] = O::pick(best[lane], group[lane]);
        }
    }
    best.iter().chain(rest).fold(O::worst(), |best, x| O::pick(best, *x))
}

/// The bits of an element, and its place in the line.
type Found = [u64; 2];
/// No place at all.
const NOWHERE: Found = [0, u64::MAX];

/// The fold to the place of the best element: the first of equal ones, the first NaN before all others if NaN
/// counts.
struct Place<O>(PhantomData<O>);

impl<O: Order> Place<O> {
    /// Whether an element takes the place of the best one before it: NaN takes it from numbers, unless NaN
    /// counts for nothing.
    #[inline(always)]
    fn is_taken(best: O::In, x: O::In) -> bool {
        if Self::skips() {
            return O::better(x, best);
        }
        !best.is_unordered() & (O::better(x, best) | x.is_unordered())
    }

    /// Whether NaN counts for nothing.
    #[inline(always)]
    fn skips() -> bool {
        O::worst().is_unordered()
    }
}

impl<O: Order> Fold for Place<O> {
    type In = O::In;
    type State = Found;
    type Out = u64;

    fn start() -> Found {
        NOWHERE
    }
    fn line(x: &[O::In], first: usize) -> Found {
        vectorized(
            #[inline(always)]
            || {
                let mut found = NOWHERE;
                for (index, block) in x.chunks(BLOCK).enumerate() {
                    let best = best_of::<O>(block);
                    if found[1] != u64::MAX && !Self::is_taken(O::In::from_word(found[0]), best) {
                        continue;
                    }
                    let is_meant = |x: &O::In| *x == best || (x.is_unordered() && best.is_unordered());
                    if let Some(at) = block.iter().position(is_meant) {
                        found = [block[at].to_word(), (first + index * BLOCK + at) as u64];
                    }
                }
                found
            },
        )
    }
    fn rows(states: &mut [Found], x: &[O::In], stride: usize, rows: usize, first: usize) {
        let width = states.len();
        for at in 0..rows {
            for (state, x) in states.iter_mut().zip(&x[at * stride..][..width]) {
                if state[1] == u64::MAX || Self::is_taken(O::In::from_word(state[0]), *x) {
                    *state = [x.to_word(), (first + at) as u64];
                }
            }
        }
    }
    fn merge(left: Found, right: Found) -> Found {
        if left[1] == u64::MAX || right[1] == u64::MAX {
            return if left[1] == u64::MAX { right } else { left };
        }
        let (a, b) = (O::In::from_word(left[0]), O::In::from_word(right[0]));
        match (Self::is_taken(a, b), Self::is_taken(b, a)) {
            (true, false) => right,
            (false, true) => left,
            // Equal ones: parts of a line need not come in order.
            _ => {
                if right[1] < left[1] {
                    right
                } else {
                    left
                }
            }
        }
    }
    fn spread(state: Found, group: usize, at: usize) -> Found {
        if state[1] == u64::MAX { state } else { [state[0], state[1] * group as u64 + at as u64] }
    }
    fn finish(found: Found, _len: usize, _parameter: u64) -> u64 {
        // A line of NaN has no place for those that skip them.
        if Self::skips() && O::In::from_word(found[0]).is_unordered() { u64::MAX } else { found[1] }
    }
}

/// Refuses an axis without elements, unless there are no results either.
fn not_empty<D: Axes>(
    kernel: &'static str,
    x: &(impl Input<Dim = D> + ?Sized),
    axis: isize,
) -> Result<(), KernelError> {
    let shape = x.shape();
    let lines = Lines::of(&shape, resolve(&shape, axis)?);
    if lines.len == 0 && (lines.count() > 0 || shape.len() == 1) {
        return Err(KernelError::Empty { kernel });
    }
    Ok(())
}

macro_rules! extremes { ($(
    $(#[$doc:meta])*
    $name:ident[$bound:path] -> $out:ty: $fold:ty;
)*) => { $(
    $(#[$doc])*
    ///
    /// # Errors
    /// `Argument` if there is no such axis; `Empty` if it has no elements and the result is not empty;
    /// `Memory`, `Launch`.
    pub fn $name<T: $bound, D: Axes>(
        pool: &Pool,
        x: &(impl Input<Elem = T, Dim = D> + ?Sized),
        axis: isize,
    ) -> Result<SharedArray<$out, D::Less>, KernelError> {
        not_empty::<D>(stringify!($name), x, axis)?;
        fold::<$fold, D>(pool, x, axis, 0)
    }
)* } }

extremes! {
    /// Returns the smallest elements along an axis; NaN where one is NaN. If both zeros are smallest, either
    /// of them.
    ///
    /// Cost: every element read once, with two operations.
    ///
    /// ```
    /// # fn main() -> Result<(), phalanx_kernels::KernelError> {
    /// # let pool = phalanx::Pool::builder().workers(2).build().unwrap();
    /// let x = ndarray::array![[3, 0], [1, 2]];
    /// assert_eq!(phalanx_kernels::axis::min(&pool, &x, 0)?.as_slice(), [1, 0]);
    /// # Ok(())
    /// # }
    /// ```
    min[Number] -> T: Best<Least<T>>;

    /// Returns the largest elements along an axis, like [`min`].
    ///
    /// ```
    /// # fn main() -> Result<(), phalanx_kernels::KernelError> {
    /// # let pool = phalanx::Pool::builder().workers(2).build().unwrap();
    /// let x = ndarray::array![[3, 0], [1, 2]];
    /// assert_eq!(phalanx_kernels::axis::max(&pool, &x, 1)?.as_slice(), [3, 2]);
    /// # Ok(())
    /// # }
    /// ```
    max[Number] -> T: Best<Most<T>>;

    /// Returns the smallest elements along an axis that are not NaN; NaN where all are. Otherwise like
    /// [`min`].
    ///
    /// ```
    /// # fn main() -> Result<(), phalanx_kernels::KernelError> {
    /// # let pool = phalanx::Pool::builder().workers(2).build().unwrap();
    /// let x = ndarray::array![[3.0, f64::NAN], [1.0, 2.0]];
    /// assert_eq!(phalanx_kernels::axis::nanmin(&pool, &x, 0)?.as_slice(), [1.0, 2.0]);
    /// # Ok(())
    /// # }
    /// ```
    nanmin[Real] -> T: Best<LeastKnown<T>>;

    /// Returns the largest elements along an axis that are not NaN; NaN where all are. Otherwise like
    /// [`min`].
    ///
    /// ```
    /// # fn main() -> Result<(), phalanx_kernels::KernelError> {
    /// # let pool = phalanx::Pool::builder().workers(2).build().unwrap();
    /// let x = ndarray::array![[3.0, f64::NAN], [1.0, 2.0]];
    /// assert_eq!(phalanx_kernels::axis::nanmax(&pool, &x, 1)?.as_slice(), [3.0, 2.0]);
    /// # Ok(())
    /// # }
    /// ```
    nanmax[Real] -> T: Best<MostKnown<T>>;

    /// Returns the largest absolute values along an axis; NaN where one is NaN.
    ///
    /// Cost: every element read once, with three operations.
    ///
    /// ```
    /// # fn main() -> Result<(), phalanx_kernels::KernelError> {
    /// # let pool = phalanx::Pool::builder().workers(2).build().unwrap();
    /// let x = ndarray::array![[3.0, -4.0], [1.0, 2.0]];
    /// assert_eq!(phalanx_kernels::axis::norm_inf(&pool, &x, 1)?.as_slice(), [4.0, 2.0]);
    /// # Ok(())
    /// # }
    /// ```
    norm_inf[Real] -> T: Best<Furthest<T>>;

    /// Returns the places of the smallest elements along an axis, counted from 0: the first of equal ones, or
    /// the first NaN.
    ///
    /// Cost: every element read once, and those near the smallest one again.
    ///
    /// ```
    /// # fn main() -> Result<(), phalanx_kernels::KernelError> {
    /// # let pool = phalanx::Pool::builder().workers(2).build().unwrap();
    /// let x = ndarray::array![[3.0, 0.0, 0.0], [1.0, 2.0, f64::NAN]];
    /// assert_eq!(phalanx_kernels::axis::argmin(&pool, &x, 1)?.as_slice(), [1, 2]);
    /// # Ok(())
    /// # }
    /// ```
    argmin[Number] -> u64: Place<Least<T>>;

    /// Returns the places of the largest elements along an axis, like [`argmin`].
    ///
    /// ```
    /// # fn main() -> Result<(), phalanx_kernels::KernelError> {
    /// # let pool = phalanx::Pool::builder().workers(2).build().unwrap();
    /// let x = ndarray::array![[3, 0], [1, 2]];
    /// assert_eq!(phalanx_kernels::axis::argmax(&pool, &x, 0)?.as_slice(), [0, 1]);
    /// # Ok(())
    /// # }
    /// ```
    argmax[Number] -> u64: Place<Most<T>>;

    /// Returns the places of the smallest elements along an axis that are not NaN, like [`argmin`];
    /// `u64::MAX` where all are NaN (NumPy raises an error).
    ///
    /// ```
    /// # fn main() -> Result<(), phalanx_kernels::KernelError> {
    /// # let pool = phalanx::Pool::builder().workers(2).build().unwrap();
    /// let x = ndarray::array![[f64::NAN, 0.0], [f64::NAN, f64::NAN]];
    /// assert_eq!(phalanx_kernels::axis::nanargmin(&pool, &x, 1)?.as_slice(), [1, u64::MAX]);
    /// # Ok(())
    /// # }
    /// ```
    nanargmin[Real] -> u64: Place<LeastKnown<T>>;

    /// Returns the places of the largest elements along an axis that are not NaN, like [`nanargmin`].
    ///
    /// ```
    /// # fn main() -> Result<(), phalanx_kernels::KernelError> {
    /// # let pool = phalanx::Pool::builder().workers(2).build().unwrap();
    /// let x = ndarray::array![[f64::NAN, 0.0, 3.0]];
    /// assert_eq!(phalanx_kernels::axis::nanargmax(&pool, &x, 1)?.as_slice(), [2]);
    /// # Ok(())
    /// # }
    /// ```
    nanargmax[Real] -> u64: Place<MostKnown<T>>;
}
