//! Kernels that read each input once, write each output once and compute little in between: memory bandwidth
//! sets their speed.
//!
//! | kernel | computes | bytes per element of 8 bytes | flops |
//! |---|---|---|---|
//! | [`fill`] | `out = value` | 8 | 0 |
//! | [`copy`] | `out = x` | 16 | 0 |
//! | [`scale`] | `out = a * x` | 16 | 1 |
//! | [`add`] | `out = x + y` | 24 | 1 |
//! | [`triad`] | `out = x + a * y` | 24 | 2 |
//! | [`axpy`] | `y = a * x + y` | 24 | 2 |
//! | [`axpby`] | `y = a * x + b * y` | 24 | 3 |
//! | [`map`] | `out = f(x)` | 16 | those of `f` |
//! | [`map2`] | `out = f(x, y)` | 24 | those of `f` |
//!
//! Outputs have the shape of the inputs; shapes are compared before anything is written. If the operands of a
//! call exceed 8 MiB in all, results bypass the caches on x86-64, which saves reading each line of the output
//! before it is overwritten. Each product and each sum is rounded (no fused multiply-add), so results have
//! the same bits on every machine. Integers wrap around.
//!
//! After J. D. McCalpin's STREAM (<https://www.cs.virginia.edu/stream/ref.html>) and the BLAS
//! (<https://www.netlib.org/blas/>).

#[cfg(test)]
mod tests;

use crate::error::{KernelError, check_shape};
use crate::inline::{here, is_inline, repeatable};
use crate::input::Input;
use crate::number::Number;
use crate::simd::vectorized;
use crate::store::{self, way};
use phalanx::{Element, Pool, Shape, SharedArray, Val};

/// Sets every element of `out` to `value`.
///
/// Cost: `size_of::<T>()` bytes per element, no flops.
///
/// # Errors
/// `Launch`.
///
/// ```
/// # fn main() -> Result<(), phalanx_kernels::KernelError> {
/// # let pool = phalanx::Pool::builder().workers(2).build().unwrap();
/// let mut out = pool.zeros::<f32>(100_000)?;
/// phalanx_kernels::stream::fill(&pool, &mut out, 1.5)?;
/// assert!(out.as_slice().iter().all(|&x| x == 1.5));
/// # Ok(())
/// # }
/// ```
pub fn fill<T: Element, D: Shape>(
    pool: &Pool,
    out: &mut SharedArray<T, D>,
    value: T,
) -> Result<(), KernelError> {
    if is_inline(out.len()) {
        out.fill(value);
        return Ok(());
    }
    let way = way(pool, out.len_bytes());
    let operands = (out.split_flat_out(), Val(value), way);
    Ok(repeatable(pool).for_each(operands, |(out, value, way)| store::fill(out, way, value))?)
}

/// Copies `x` to `out`.
///
/// Cost: `2 * size_of::<T>()` bytes per element, no flops.
///
/// # Errors
/// `Shape` if the shapes differ, `Memory`, `Launch`.
///
/// ```
/// # fn main() -> Result<(), phalanx_kernels::KernelError> {
/// # let pool = phalanx::Pool::builder().workers(2).build().unwrap();
/// let x = pool.from_shape_fn((200, 300), |(i, j)| i * j)?;
/// let mut out = pool.zeros_nd((200, 300))?;
/// phalanx_kernels::stream::copy(&pool, &mut out, &x)?;
/// assert_eq!(out.view(), x.view());
/// # Ok(())
/// # }
/// ```
pub fn copy<T: Element, D: Shape>(
    pool: &Pool,
    out: &mut SharedArray<T, D>,
    x: &(impl Input<Elem = T, Dim = D> + ?Sized),
) -> Result<(), KernelError> {
    check_shape("x", out.shape(), x.view().shape())?;
    if is_inline(out.len()) {
        out.view_mut().assign(&x.view());
        return Ok(());
    }
    let x = x.share(pool)?;
    let way = way(pool, 2 * out.len_bytes());
    let operands = (out.split_flat_out(), x.split_flat(), way);
    Ok(repeatable(pool).for_each(operands, |(out, x, way)| store::copy(out, x, way))?)
}

/// Sets `out = a * x`.
///
/// Cost: `2 * size_of::<T>()` bytes and one operation per element.
///
/// # Errors
/// `Shape` if the shapes differ, `Memory`, `Launch`.
///
/// ```
/// # fn main() -> Result<(), phalanx_kernels::KernelError> {
/// # let pool = phalanx::Pool::builder().workers(2).build().unwrap();
/// let mut out = pool.zeros(3)?;
/// phalanx_kernels::stream::scale(&pool, &mut out, 3.0, &[1.0, 2.0, -0.0])?;
/// assert_eq!(out.as_slice(), [3.0, 6.0, -0.0]);
/// # Ok(())
/// # }
/// ```
pub fn scale<T: Number, D: Shape>(
    pool: &Pool,
    out: &mut SharedArray<T, D>,
    a: T,
    x: &(impl Input<Elem = T, Dim = D> + ?Sized),
) -> Result<(), KernelError> {
    one(
        pool,
        out,
        [a],
        x,
        #[inline(always)]
        |[a], x| a.times(x),
    )
}

/// Sets `out = x + y`.
///
/// Cost: `3 * size_of::<T>()` bytes and one operation per element.
///
/// # Errors
/// `Shape` if the shapes differ, `Memory`, `Launch`.
///
/// ```
/// # fn main() -> Result<(), phalanx_kernels::KernelError> {
/// # let pool = phalanx::Pool::builder().workers(2).build().unwrap();
/// let mut out = pool.zeros(2)?;
/// phalanx_kernels::stream::add(&pool, &mut out, &[250u8, 1], &[10, 2])?;
/// assert_eq!(out.as_slice(), [4, 3]);
/// # Ok(())
/// # }
/// ```
pub fn add<T: Number, D: Shape>(
    pool: &Pool,
    out: &mut SharedArray<T, D>,
    x: &(impl Input<Elem = T, Dim = D> + ?Sized),
    y: &(impl Input<Elem = T, Dim = D> + ?Sized),
) -> Result<(), KernelError> {
    two(
        pool,
        out,
        T::ONE,
        x,
        y,
        #[inline(always)]
        |_, x, y| x.plus(y),
    )
}

/// Sets `out = x + a * y`.
///
/// Cost: `3 * size_of::<T>()` bytes and two operations per element.
///
/// # Errors
/// `Shape` if the shapes differ, `Memory`, `Launch`.
///
/// ```
/// # fn main() -> Result<(), phalanx_kernels::KernelError> {
/// # let pool = phalanx::Pool::builder().workers(2).build().unwrap();
/// let (x, y) = (pool.from_fn(20_000, |i| i as f64)?, pool.from_fn(20_000, |_| 2.0)?);
/// let mut out = pool.zeros(20_000)?;
/// phalanx_kernels::stream::triad(&pool, &mut out, &x, 0.5, &y)?;
/// assert_eq!(out.as_slice()[9], 10.0);
/// # Ok(())
/// # }
/// ```
pub fn triad<T: Number, D: Shape>(
    pool: &Pool,
    out: &mut SharedArray<T, D>,
    x: &(impl Input<Elem = T, Dim = D> + ?Sized),
    a: T,
    y: &(impl Input<Elem = T, Dim = D> + ?Sized),
) -> Result<(), KernelError> {
    two(
        pool,
        out,
        a,
        x,
        y,
        #[inline(always)]
        |a, x, y| x.plus(a.times(y)),
    )
}

/// Sets `y = a * x + y`.
///
/// Cost: `3 * size_of::<T>()` bytes and two operations per element. Changes `y` in place, so the call fails
/// if a worker dies.
///
/// # Errors
/// `Shape` if the shapes differ, `Memory`, `Launch`.
///
/// ```
/// # fn main() -> Result<(), phalanx_kernels::KernelError> {
/// # let pool = phalanx::Pool::builder().workers(2).build().unwrap();
/// let x = pool.from_fn(20_000, |i| i as f64)?;
/// let mut y = pool.from_fn(20_000, |_| 1.0)?;
/// phalanx_kernels::stream::axpy(&pool, &mut y, 2.0, &x)?;
/// assert_eq!(y.as_slice()[9], 19.0);
/// # Ok(())
/// # }
/// ```
pub fn axpy<T: Number, D: Shape>(
    pool: &Pool,
    y: &mut SharedArray<T, D>,
    a: T,
    x: &(impl Input<Elem = T, Dim = D> + ?Sized),
) -> Result<(), KernelError> {
    change(
        pool,
        y,
        [a],
        x,
        #[inline(always)]
        |[a], x, y| a.times(x).plus(y),
    )
}

/// Sets `y = a * x + b * y`.
///
/// Cost: `3 * size_of::<T>()` bytes and three operations per element. Changes `y` in place, so the call fails
/// if a worker dies.
///
/// # Errors
/// `Shape` if the shapes differ, `Memory`, `Launch`.
///
/// ```
/// # fn main() -> Result<(), phalanx_kernels::KernelError> {
/// # let pool = phalanx::Pool::builder().workers(2).build().unwrap();
/// let x = pool.from_fn(20_000, |i| i as f64)?;
/// let mut y = pool.from_fn(20_000, |_| 4.0)?;
/// phalanx_kernels::stream::axpby(&pool, &mut y, 2.0, &x, 0.5)?;
/// assert_eq!(y.as_slice()[9], 20.0);
/// # Ok(())
/// # }
/// ```
pub fn axpby<T: Number, D: Shape>(
    pool: &Pool,
    y: &mut SharedArray<T, D>,
    a: T,
    x: &(impl Input<Elem = T, Dim = D> + ?Sized),
    b: T,
) -> Result<(), KernelError> {
    change(
        pool,
        y,
        [a, b],
        x,
        #[inline(always)]
        |[a, b], x, y| a.times(x).plus(b.times(y)),
    )
}

/// Sets every `out[i]` to `f(x[i])`.
///
/// `f` is a function or a closure that captures nothing. It is inlined into the loop, which is compiled for
/// the CPU's vector instructions. Cost: one element read, one written and one call of `f` per element.
///
/// # Errors
/// `Shape` if the shapes differ, `Memory`, `Launch`; also if `f` panics.
///
/// ```
/// # fn main() -> Result<(), phalanx_kernels::KernelError> {
/// # let pool = phalanx::Pool::builder().workers(2).build().unwrap();
/// let x = pool.from_fn(20_000, |i| i as f64)?;
/// let mut roots = pool.zeros::<f32>(20_000)?;
/// phalanx_kernels::stream::map(&pool, &mut roots, &x, |x| x.sqrt() as f32)?;
/// assert_eq!(roots.as_slice()[81], 9.0);
/// # Ok(())
/// # }
/// ```
pub fn map<T: Element, U: Element, D: Shape, F>(
    pool: &Pool,
    out: &mut SharedArray<U, D>,
    x: &(impl Input<Elem = T, Dim = D> + ?Sized),
    f: F,
) -> Result<(), KernelError>
where
    F: Fn(T) -> U + Copy + Send + Sync,
{
    check_shape("x", out.shape(), x.view().shape())?;
    if is_inline(out.len()) {
        let (out, x) = (out.as_mut_slice(), x.elements());
        return Ok(here(x.len(), || {
            vectorized(
                #[inline(always)]
                || out.iter_mut().zip(&*x).for_each(|(out, x)| *out = f(*x)),
            );
        })?);
    }
    let x = x.share(pool)?;
    let way = way(pool, out.len_bytes() + x.len_bytes());
    let operands = (out.split_flat_out(), x.split_flat(), way);
    Ok(repeatable(pool).for_each(operands, move |(out, x, way)| store::map(out, x, way, f))?)
}

/// Sets every `out[i]` to `f(x[i], y[i])`.
///
/// Like [`map`], with two inputs.
///
/// # Errors
/// `Shape` if the shapes differ, `Memory`, `Launch`; also if `f` panics.
///
/// ```
/// # fn main() -> Result<(), phalanx_kernels::KernelError> {
/// # let pool = phalanx::Pool::builder().workers(2).build().unwrap();
/// let x = pool.from_fn(20_000, |i| i as f64)?;
/// let mut out = pool.zeros::<f64>(20_000)?;
/// phalanx_kernels::stream::map2(&pool, &mut out, &x, &x, |x, y| x.hypot(y))?;
/// assert_eq!(out.as_slice()[1], 2f64.sqrt());
/// # Ok(())
/// # }
/// ```
pub fn map2<T: Element, S: Element, U: Element, D: Shape, F>(
    pool: &Pool,
    out: &mut SharedArray<U, D>,
    x: &(impl Input<Elem = T, Dim = D> + ?Sized),
    y: &(impl Input<Elem = S, Dim = D> + ?Sized),
    f: F,
) -> Result<(), KernelError>
where
    F: Fn(T, S) -> U + Copy + Send + Sync,
{
    two(
        pool,
        out,
        0u8,
        x,
        y,
        #[inline(always)]
        move |_, x, y| f(x, y),
    )
}

/// `out = f(values, x)`, where `out` is not read.
fn one<T: Number, D: Shape, V: phalanx::Plain, F>(
    pool: &Pool,
    out: &mut SharedArray<T, D>,
    values: V,
    x: &(impl Input<Elem = T, Dim = D> + ?Sized),
    f: F,
) -> Result<(), KernelError>
where
    F: Fn(V, T) -> T + Copy + Send + Sync,
{
    check_shape("x", out.shape(), x.view().shape())?;
    if is_inline(out.len()) {
        let (out, x) = (out.as_mut_slice(), x.elements());
        vectorized(
            #[inline(always)]
            || out.iter_mut().zip(&*x).for_each(|(out, x)| *out = f(values, *x)),
        );
        return Ok(());
    }
    let x = x.share(pool)?;
    let way = way(pool, out.len_bytes() + x.len_bytes());
    let operands = (out.split_flat_out(), x.split_flat(), values, way);
    Ok(repeatable(pool).for_each(operands, move |(out, x, values, way)| {
        store::map(
            out,
            x,
            way,
            #[inline(always)]
            |x| f(values, x),
        );
    })?)
}

/// `out = f(value, x, y)`, where `out` is not read.
fn two<T: Element, S: Element, U: Element, D: Shape, V: phalanx::Plain, F>(
    pool: &Pool,
    out: &mut SharedArray<U, D>,
    value: V,
    x: &(impl Input<Elem = T, Dim = D> + ?Sized),
    y: &(impl Input<Elem = S, Dim = D> + ?Sized),
    f: F,
) -> Result<(), KernelError>
where
    F: Fn(V, T, S) -> U + Copy + Send + Sync,
{
    check_shape("x", out.shape(), x.view().shape())?;
    check_shape("y", out.shape(), y.view().shape())?;
    if is_inline(out.len()) {
        let (out, x, y) = (out.as_mut_slice(), x.elements(), y.elements());
        return Ok(here(x.len(), || {
            vectorized(
                #[inline(always)]
                || {
                    for ((out, x), y) in out.iter_mut().zip(&*x).zip(&*y) {
                        *out = f(value, *x, *y);
                    }
                },
            );
        })?);
    }
    let (x, y) = (x.share(pool)?, y.share(pool)?);
    let way = way(pool, out.len_bytes() + x.len_bytes() + y.len_bytes());
    let operands = (out.split_flat_out(), x.split_flat(), y.split_flat(), value, way);
    Ok(repeatable(pool).for_each(operands, move |(out, x, y, value, way)| {
        store::map2(
            out,
            x,
            y,
            way,
            #[inline(always)]
            |x, y| f(value, x, y),
        );
    })?)
}

/// `y = f(values, x, y)`, in place.
fn change<T: Number, D: Shape, V: phalanx::Plain, F>(
    pool: &Pool,
    y: &mut SharedArray<T, D>,
    values: V,
    x: &(impl Input<Elem = T, Dim = D> + ?Sized),
    f: F,
) -> Result<(), KernelError>
where
    F: Fn(V, T, T) -> T + Copy + Send + Sync,
{
    check_shape("x", y.shape(), x.view().shape())?;
    if is_inline(y.len()) {
        change_body(y.as_mut_slice(), &x.elements(), values, f);
        return Ok(());
    }
    let x = x.share(pool)?;
    let operands = (y.split_flat_mut(), x.split_flat(), values);
    Ok(pool.for_each(operands, move |(y, x, values)| change_body(y, x, values, f))?)
}

fn change_body<T: Number, V: Copy>(y: &mut [T], x: &[T], values: V, f: impl Fn(V, T, T) -> T) {
    vectorized(
        #[inline(always)]
        || y.iter_mut().zip(x).for_each(|(y, x)| *y = f(values, *x, *y)),
    );
}
