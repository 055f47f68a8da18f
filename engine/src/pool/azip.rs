//! `azip!`: a loop over the elements of several grants.

use crate::base::up_to_eight;

/// Runs a loop body once for every element of some operands at the same place, like `azip!` of ndarray.
///
/// ```text
/// azip!(pool, [captures], (pattern in operand, ..) { body })
/// ```
///
/// The operands are those of [`for_each`](crate::Pool::for_each) whose views can be iterated:
/// [`split`](crate::SharedArray::split), `split_mut` and `split_out` of arrays of any dimension, `split_flat`
/// and its kin, and index ranges; at most 8. The captures are variables that the body reads, at most 8: plain
/// values and other operands (`&`[`Captured`](crate::Captured), `whole()`, locks). They may be left out. A
/// launch with options may stand in place of the pool: `pool.launch().retry(3)`.
///
/// Returns what `for_each` returns. Operands of different lengths are an error, as there; in a chunk of rows
/// of n-D arrays whose rows differ, it is a panic of the kernel. One-dimensional views, and flat ones, are
/// the fastest: the loop over them is vectorised where the body allows.
///
/// ```
/// # fn main() -> Result<(), phalanx::Error> {
/// let pool = phalanx::Pool::builder().workers(2).build()?;
/// let x = pool.from_fn(1000, |i| i as f64)?;
/// let mut y = pool.zeros::<f64>(1000)?;
/// let (a, is_shifted) = (2.0, true);
/// phalanx::azip!(pool, [a, is_shifted], (y in y.split_mut(), &x in x.split()) {
///     *y += a * x;
///     if is_shifted {
///         *y += 1.0;
///     }
/// })?;
/// assert_eq!(y.as_slice()[10], 21.0);
/// # Ok(())
/// # }
/// ```
#[macro_export]
macro_rules! azip {
    ($pool:expr, [$($capture:ident),* $(,)?], ($($pattern:pat in $operand:expr),+ $(,)?) $body:block) => {
        $pool.for_each((($($operand,)+), ($($capture,)*)), |(views, ($($capture,)*))| {
            for ($($pattern,)+) in $crate::ZipViews::zip_views(views) $body
        })
    };
    ($pool:expr, ($($operands:tt)+) $body:block) => {
        $crate::azip!($pool, [], ($($operands)+) $body)
    };
}

/// Tuples of views that [`azip!`](crate::azip) iterates together.
#[doc(hidden)]
pub trait ZipViews {
    /// One element of each view.
    type Item;
    /// Panics if the views have different lengths.
    fn zip_views(self) -> impl Iterator<Item = Self::Item>;
}

/// `zip` nested from the left, whose items are made flat.
macro_rules! zipped {
    ([$zip:expr, $nested:pat, ($($flat:ident)+)]) => { $zip.map(|$nested| ($($flat,)+)) };
    ([$zip:expr, $nested:pat, ($($flat:ident)+)] $next:ident $($rest:ident)*) => {
        zipped!([$zip.zip($next), ($nested, $next), ($($flat)+ $next)] $($rest)*)
    };
}

macro_rules! tuples { ($( ($first:ident 0 $(, $view:ident $i:tt)*) )*) => { $(
    impl<$first, $($view),*> ZipViews for ($first, $($view,)*)
    where
        $first: IntoIterator<IntoIter: ExactSizeIterator>,
        $($view: IntoIterator<IntoIter: ExactSizeIterator>,)*
    {
        type Item = ($first::Item, $($view::Item,)*);

        #[inline]
        #[allow(non_snake_case, reason = "variables are named as their types")]
        fn zip_views(self) -> impl Iterator<Item = Self::Item> {
            let ($first, $($view,)*) = self;
            let $first = $first.into_iter();
            $(
                let $view = $view.into_iter();
                assert_eq!($first.len(), $view.len(), "the operands of azip! have rows of different lengths");
            )*
            zipped!([$first, $first, ($first)] $($view)*)
        }
    }
)* } }
up_to_eight!(tuples);
