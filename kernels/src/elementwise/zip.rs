//! One sweep over several arrays.

use super::broadcast::{Numbers, Plan, is_repeated, rows};
use crate::error::KernelError;
use crate::inline::{here, is_inline, repeatable};
use crate::input::{Input, flat};
use crate::simd::vectorized;
use phalanx::{Element, Pool, Shape, SharedArray};

/// Elements of a repeated input that are written out before they are read.
const BLOCK: usize = 512;

/// An input along the rows of a result.
struct Lane<'a, T> {
    x: &'a [T],
    /// Copies of one element, if the input is repeated along rows.
    repeated: Option<[T; BLOCK]>,
    place: usize,
}

impl<'a, T: Element> Lane<'a, T> {
    #[inline(always)]
    fn new(x: &'a [T], is_repeated: bool) -> Self {
        Lane { x, repeated: is_repeated.then(|| [T::zeroed(); BLOCK]), place: 0 }
    }

    /// Goes to a row of `width` elements.
    #[inline(always)]
    fn go(&mut self, place: usize, width: usize) {
        self.place = place;
        if let Some(repeated) = &mut self.repeated {
            repeated[..width.min(BLOCK)].fill(self.x[place]);
        }
    }

    /// The elements of the row from `at` on.
    #[inline(always)]
    fn block(&self, at: usize, len: usize) -> &[T] {
        match &self.repeated {
            Some(repeated) => &repeated[..len],
            None => &self.x[self.place + at..][..len],
        }
    }
}

macro_rules! zips { ($(
    $(#[$doc:meta])*
    $name:ident[$body:ident, $count:literal]: $($x:ident: $t:ident at $n:tt),+;
)*) => { $(
    $(#[$doc])*
    ///
    /// # Errors
    /// `Shape` if an input cannot be stretched to the shape of `out`; `Argument` if an input has no axes, or
    /// if the shapes differ along more than 8 groups of axes; `Memory`, `Launch`; also if `f` panics.
    pub fn $name<U: Element, D: Shape, $($t: Element,)+ F>(
        pool: &Pool,
        out: &mut SharedArray<U, D>,
        $($x: &(impl Input<Elem = $t> + ?Sized),)+
        f: F,
    ) -> Result<(), KernelError>
    where
        F: Fn($($t),+) -> U + Copy + Send + Sync,
    {
        let plan = Plan::<$count>::new(out.shape(), [$((stringify!($x), $x.view().shape())),+])?;
        let numbers = plan.numbers();
        if out.is_empty() {
            return Ok(());
        }
        if is_inline(out.len()) {
            $(let $x = flat(pool, $x)?;)+
            let out = out.as_mut_slice();
            return Ok(here(out.len(), || $body(&numbers, 0, out, ($(&*$x,)+), f))?);
        }
        $(let $x = $x.share(pool)?;)+
        let len = out.len();
        let operands = (out.split_flat_out(), 0..len, ($($x.whole_flat(),)+), numbers.0, numbers.1);
        Ok(repeatable(pool).for_each(operands, move |(out, span, ($($x,)+), shape, strides)| {
            $body(&(shape, strides), span.start, out, ($($x,)+), f);
        })?)
    }

    /// The elements of the result from number `first` on.
    fn $body<U: Element, $($t: Element),+>(
        numbers: &Numbers<$count>,
        first: usize,
        out: &mut [U],
        ($($x,)+): ($(&[$t],)+),
        f: impl Fn($($t),+) -> U,
    ) {
        vectorized(
            #[inline(always)]
            || {
                $(let mut $x = Lane::new($x, is_repeated(numbers, $n));)+
                rows(numbers, first, out.len(), #[inline(always)] |start, width, places| {
                    $($x.go(places[$n], width);)+
                    for at in (0..width).step_by(BLOCK) {
                        let len = BLOCK.min(width - at);
                        let out = &mut out[start + at..][..len];
                        $(let $x = $x.block(at, len);)+
                        for i in 0..len {
                            out[i] = f($($x[i]),+);
                        }
                    }
                });
            },
        );
    }
)* } }

zips! {
    /// Sets every `out[i]` to `f(x[i], y[i])`, where inputs of smaller shapes are stretched to that of `out`.
    ///
    /// `f` is a function or a closure that captures nothing; a scalar is passed as an array of one element.
    /// Cost: every input read and `out` written once, with one call of `f` per element; where an input is
    /// stretched and rows have fewer than about 30 elements, a few more operations per row.
    ///
    /// ```
    /// # fn main() -> Result<(), phalanx_kernels::KernelError> {
    /// # let pool = phalanx::Pool::builder().workers(2).build().unwrap();
    /// let table = pool.from_shape_fn((500, 400), |(i, j)| (i + j) as f64)?;
    /// let means = phalanx_kernels::axis::mean(&pool, &table, 0)?;
    /// let mut centred = pool.zeros_nd::<f64, _>((500, 400))?;
    /// phalanx_kernels::elementwise::zip2(&pool, &mut centred, &table, &means, |x, mean| x - mean)?;
    /// assert_eq!(centred.view()[(499, 7)], 249.5);
    /// # Ok(())
    /// # }
    /// ```
    zip2[two, 2]: x: T0 at 0, y: T1 at 1;

    /// Sets every `out[i]` to `f(x[i], y[i], z[i])`; otherwise like [`zip2`].
    ///
    /// ```
    /// # fn main() -> Result<(), phalanx_kernels::KernelError> {
    /// # let pool = phalanx::Pool::builder().workers(2).build().unwrap();
    /// let (x, y) = (pool.from_fn(20_000, |i| i as f64)?, pool.from_fn(20_000, |_| 3.0)?);
    /// let mut out = pool.zeros::<f64>(20_000)?;
    /// phalanx_kernels::elementwise::zip3(&pool, &mut out, &x, &y, &[0.5], |x, y, a| a * x + y)?;
    /// assert_eq!(out.as_slice()[10], 8.0);
    /// # Ok(())
    /// # }
    /// ```
    zip3[three, 3]: x: T0 at 0, y: T1 at 1, z: T2 at 2;

    /// Sets every `out[i]` to `f(x[i], y[i], z[i], w[i])`; otherwise like [`zip2`].
    ///
    /// ```
    /// # fn main() -> Result<(), phalanx_kernels::KernelError> {
    /// # let pool = phalanx::Pool::builder().workers(2).build().unwrap();
    /// let x = pool.from_fn(20_000, |i| i as f64)?;
    /// let mut out = pool.zeros::<f64>(20_000)?;
    /// phalanx_kernels::elementwise::zip4(&pool, &mut out, &x, &x, &x, &[[2.0, 3.0]], |x, y, z, c| {
    ///     c[0] * x + c[1] * y - z
    /// })?;
    /// assert_eq!(out.as_slice()[10], 40.0);
    /// # Ok(())
    /// # }
    /// ```
    zip4[four, 4]: x: T0 at 0, y: T1 at 1, z: T2 at 2, w: T3 at 3;
}
