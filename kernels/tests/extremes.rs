//! Sizes at the ends of their type: every kernel gives the right result or a typed error, and neither panics,
//! wraps around, runs without end nor asks for memory that ends the program.
//!
//! A view that repeats one element has any length and costs nothing, so inputs can be as long as an index;
//! arrays with an axis of length 0 can have others that are.
// Helpers of tests fail as tests do.
#![allow(clippy::unwrap_used)]

use ndarray::{Array0, ArrayView, IntoDimension};
use phalanx::{Pool, SharedArray};
use phalanx_kernels::KernelError;
use phalanx_kernels::spectral::Complex;
use phalanx_kernels::stencil::Boundary;
use phalanx_kernels::{
    dense, order, particles, profile, random, reduce, scan, sparse, spectral, stencil, stream,
};
use std::sync::LazyLock;

/// No array has so many elements.
const ENDS: [usize; 3] = [usize::MAX, usize::MAX / 2 + 1, isize::MAX as usize];
/// Lengths of views that no memory holds: the longest, what wraps around in bytes, and what only is far too
/// much.
const LONG: [usize; 4] = [isize::MAX as usize, 1 << 61, (1 << 60) + 1, 1 << 42];
/// As long as an axis beside one of length 0 may be, for any number.
const AXIS: usize = isize::MAX as usize / 16;

fn pool() -> &'static Pool {
    static POOL: LazyLock<Pool> = LazyLock::new(|| Pool::builder().workers(2).build().unwrap());
    &POOL
}

/// One number as an array of any shape.
fn repeated<T: Clone, I: IntoDimension>(one: &Array0<T>, shape: I) -> ArrayView<'_, T, I::Dim> {
    one.broadcast(shape).unwrap()
}

fn one<T>(value: T) -> Array0<T> {
    ndarray::arr0(value)
}

fn want_memory<T: std::fmt::Debug>(what: &str, ended: Result<T, KernelError>) {
    assert!(matches!(ended, Err(KernelError::Memory(_))), "{what}: {ended:?}");
}

fn wrong_shape<T: std::fmt::Debug>(what: &str, ended: Result<T, KernelError>) {
    assert!(matches!(ended, Err(KernelError::Shape { .. })), "{what}: {ended:?}");
}

fn wrong_argument<T: std::fmt::Debug>(what: &str, ended: Result<T, KernelError>) {
    assert!(matches!(ended, Err(KernelError::Argument { .. })), "{what}: {ended:?}");
}

fn empty<D: phalanx::Shape, I: IntoDimension<Dim = D>>(shape: I) -> SharedArray<f64, D> {
    SharedArray::zeros(shape).unwrap()
}

#[test]
fn reductions_of_more_than_memory_holds_want_memory() {
    let (pool, float, whole) = (pool(), one(1.0f64), one(1u32));
    for len in LONG {
        let (x, n) = (&repeated(&float, len), &repeated(&whole, len));
        want_memory("sum", reduce::sum(pool, x));
        want_memory("sum_compensated", reduce::sum_compensated(pool, x));
        want_memory("dot", reduce::dot(pool, x, x));
        want_memory("norm1", reduce::norm1(pool, x));
        want_memory("norm2", reduce::norm2(pool, x));
        want_memory("norm_inf", reduce::norm_inf(pool, x));
        want_memory("mean", reduce::mean(pool, x));
        want_memory("moments", reduce::moments(pool, x));
        want_memory("variance", reduce::variance(pool, x, 1));
        want_memory("min", reduce::min(pool, x));
        want_memory("max", reduce::max(pool, x));
        want_memory("argmin", reduce::argmin(pool, x));
        want_memory("argmax", reduce::argmax(pool, x));
        want_memory("count_if", reduce::count_if(pool, x, |x| x > 0.0));
        want_memory("any", reduce::any(pool, x, |x| x > 0.0));
        want_memory("all", reduce::all(pool, x, |x| x > 0.0));
        want_memory("histogram", reduce::histogram(pool, x, 4, 0.0..1.0));
        want_memory("bincount", reduce::bincount(pool, n, 0));
    }
}

#[test]
fn orders_of_more_than_memory_holds_want_memory() {
    let (pool, float) = (pool(), one(1.0f64));
    let mut out = pool.zeros::<f64>(3).unwrap();
    let mut places = pool.zeros::<u64>(3).unwrap();
    for len in LONG {
        let x = &repeated(&float, len);
        want_memory("select_nth", order::select_nth(pool, x, len - 1));
        want_memory("quantiles", order::quantiles(pool, x, &[0.0, 0.5, 1.0]));
        want_memory("top_k", order::top_k(pool, &mut out, x));
        want_memory("unique", order::unique(pool, x));
        want_memory("unique_counts", order::unique_counts(pool, x));
        wrong_shape("argsort", order::argsort(pool, &mut places, x));
        // Rows of which each is short.
        let table = &repeated(&float, (len / 2, 2));
        want_memory("unique", order::unique(pool, table));
        want_memory("select_nth", order::select_nth(pool, table, 0));
    }
}

#[test]
fn results_of_another_shape_are_refused_at_any_length() {
    let (pool, float) = (pool(), one(1.0f64));
    let (mut out, mut table) = (pool.zeros::<f64>(3).unwrap(), pool.zeros_nd::<f64, _>((2, 3)).unwrap());
    for len in LONG {
        let x = &repeated(&float, len);
        wrong_shape("copy", stream::copy(pool, &mut out, x));
        wrong_shape("scale", stream::scale(pool, &mut out, 2.0, x));
        wrong_shape("add", stream::add(pool, &mut out, x, x));
        wrong_shape("triad", stream::triad(pool, &mut out, x, 2.0, x));
        wrong_shape("axpy", stream::axpy(pool, &mut out, 2.0, x));
        wrong_shape("axpby", stream::axpby(pool, &mut out, 2.0, x, 3.0));
        wrong_shape("map", stream::map(pool, &mut out, x, |x: f64| x));
        wrong_shape("map2", stream::map2(pool, &mut out, x, x, |x: f64, y: f64| x + y));
        wrong_shape("inclusive_sum", scan::inclusive_sum(pool, &mut out, x));
        wrong_shape("exclusive_sum", scan::exclusive_sum(pool, &mut out, x));
        wrong_shape("inclusive", scan::inclusive(pool, &mut out, x, 0.0, |a, b| a + b));
        wrong_shape("exclusive", scan::exclusive(pool, &mut out, x, 0.0, |a, b| a + b));
        let a = &repeated(&float, (1, len));
        wrong_shape("transpose", dense::transpose(pool, a, &mut table));
        wrong_shape("star_2d", stencil::star_2d(pool, [&[1.0], &[1.0]], a, Boundary::Wrap, &mut table));
        let column = [1.0; 3];
        let ended = stencil::convolve_separable(pool, a, &column, &column, Boundary::Wrap, &mut table);
        wrong_shape("convolve_separable", ended);
        wrong_shape("gemv", dense::gemv(pool, 1.0, a, &[1.0], 0.0, &mut out));
        wrong_shape("gemv_transposed", dense::gemv_transposed(pool, 1.0, a, &[1.0], 0.0, &mut out));
    }
    assert!(out.as_slice().iter().chain(table.as_slice()).all(|x| *x == 0.0));
}

#[test]
fn products_over_more_than_memory_holds_want_memory() {
    let (pool, float) = (pool(), one(1.0f64));
    let mut c = pool.zeros_nd::<f64, _>((1, 1)).unwrap();
    let mut y = pool.zeros::<f64>(1).unwrap();
    for len in LONG {
        let (row, column, x) =
            (&repeated(&float, (1, len)), &repeated(&float, (len, 1)), &repeated(&float, len));
        want_memory("gemm", dense::gemm(pool, 1.0, row, column, 0.0, &mut c));
        want_memory("gemv", dense::gemv(pool, 1.0, row, x, 0.0, &mut y));
        want_memory("gemv_transposed", dense::gemv_transposed(pool, 1.0, column, x, 0.0, &mut y));
        let bodies = len / 3;
        let (places, masses) = (&repeated(&float, (bodies, 3)), &repeated(&float, bodies));
        want_memory("energy", particles::energy(pool, places, places, masses, 0.0));
    }
    assert_eq!((c.as_slice()[0], y.as_slice()[0]), (0.0, 0.0));
}

/// Nothing is written where something is empty, however long the other axes are.
#[test]
fn an_axis_of_length_0_leaves_nothing_to_do_beside_any_other() {
    let (pool, taps) = (pool(), [0.25, 0.5, 0.25]);
    for shape in [(0, AXIS), (AXIS, 0), (0, 0), (0, 1)] {
        let (a, mut out, mut turned) = (empty(shape), empty(shape), empty((shape.1, shape.0)));
        dense::transpose(pool, &a, &mut turned).unwrap();
        stencil::star_2d(pool, [&taps, &taps], &a, Boundary::Reflect, &mut out).unwrap();
        stencil::convolve_separable(pool, &a, &taps, &taps, Boundary::Mirror, &mut out).unwrap();
        let kernel = ndarray::array![[1.0, 2.0, 1.0]];
        stencil::convolve_2d(pool, &a, &kernel, Boundary::Nearest, &mut out).unwrap();
        stencil::heat_2d(pool, &mut out, &mut empty(shape), 0.25, 3).unwrap();
        stream::fill(pool, &mut out, 1.0).unwrap();
        stream::copy(pool, &mut out, &a).unwrap();
        stream::axpy(pool, &mut out, 2.0, &a).unwrap();
        scan::inclusive_sum(pool, &mut out, &a).unwrap();
        random::uniform(pool, &mut out, 1, 0.0..1.0).unwrap();
        random::normal(pool, &mut out, 1, 0.0, 1.0).unwrap();
        assert_eq!(reduce::sum(pool, &a).unwrap(), 0.0);
        assert_eq!(reduce::count_if(pool, &a, |_| true).unwrap(), 0);
        assert_eq!(order::unique(pool, &a).unwrap().len(), 0);
        let mut waves = SharedArray::<Complex<f64>, _>::zeros(shape).unwrap();
        spectral::fft_1d(pool, &mut waves, spectral::Direction::Forward).unwrap();
        spectral::fft_2d(pool, &mut waves, spectral::Direction::Inverse).unwrap();
    }
    for shape in [(0, AXIS, 1), (AXIS, 0, 1), (1, AXIS, 0), (0, 0, 0)] {
        let mut waves = SharedArray::<Complex<f64>, _>::zeros(shape).unwrap();
        spectral::fft_3d(pool, &mut waves, spectral::Direction::Forward).unwrap();
        let (a, mut out) = (empty(shape), empty(shape));
        stencil::star_3d(pool, [&taps; 3], &a, Boundary::Wrap, &mut out).unwrap();
        stencil::heat_3d(pool, &mut out, &mut empty(shape), 0.1, 3).unwrap();
    }
    // Sums of nothing.
    let (wide, tall) = (empty((0, AXIS)), empty((AXIS, 0)));
    dense::gemm(pool, 1.0, &wide, &tall, 0.0, &mut empty((0, 0))).unwrap();
    dense::gemv_transposed(pool, 1.0, &tall, &repeated(&one(1.0), AXIS), 0.0, &mut empty(0)).unwrap();
    dense::gemv(pool, 1.0, &wide, &repeated(&one(1.0), AXIS), 0.0, &mut empty(0)).unwrap();
    let mut c = pool.from_shape_fn((2, 3), |_| 4.0).unwrap();
    dense::gemm(pool, 1.0, &empty((2, 0)), &empty((0, 3)), 0.5, &mut c).unwrap();
    assert_eq!(c.as_slice(), [2.0; 6]);
}

#[test]
fn places_and_counts_of_orders_are_checked() {
    let pool = pool();
    for len in [0, 1, 100, 20_000] {
        let x = pool.from_fn(len, |i| i as u32).unwrap();
        for nth in [0, 1, len.saturating_sub(1), len].into_iter().chain(ENDS) {
            match order::select_nth(pool, &x, nth) {
                Ok(found) => assert!(nth < len && found == nth as u32),
                Err(KernelError::Empty { .. }) => assert_eq!(len, 0),
                ended => {
                    assert!(nth >= len && matches!(ended, Err(KernelError::Argument { .. })), "{ended:?}")
                }
            }
        }
        for k in [0, 1, len, len + 1] {
            let mut out = pool.zeros::<u32>(k).unwrap();
            let ended = order::top_k(pool, &mut out, &x);
            if k <= len {
                ended.unwrap();
                assert!(out.as_slice().iter().rev().is_sorted());
                assert!(k == 0 || out.as_slice()[0] as usize == len - 1);
            } else {
                wrong_argument("top_k", ended);
            }
        }
    }
}

#[test]
fn bins_and_counts_are_checked() {
    let pool = pool();
    for len in [0, 1, 20_000] {
        let x = pool.from_fn(len, |i| i as f64).unwrap();
        for bins in [0].into_iter().chain(ENDS) {
            wrong_argument("histogram", reduce::histogram(pool, &x, bins, 0.0..1e9));
        }
        assert_eq!(reduce::histogram(pool, &x, 1, 0.0..1e9).unwrap().counts, [len as u64]);
        let (wide, narrow) = (pool.from_fn(len, |_| 1u64).unwrap(), pool.from_fn(len, |_| 1u8).unwrap());
        for min_len in ENDS.into_iter().chain(LONG) {
            want_memory("bincount", reduce::bincount(pool, &wide, min_len));
            want_memory("bincount", reduce::bincount(pool, &narrow, min_len));
        }
        let want: &[u64] = if len == 0 { &[] } else { &[0, len as u64] };
        for min_len in [0, want.len()] {
            assert_eq!(reduce::bincount(pool, &wide, min_len).unwrap().as_slice(), want);
            assert_eq!(reduce::bincount(pool, &narrow, min_len).unwrap().as_slice(), want);
        }
        for end in ENDS.into_iter().filter(|_| len > 0) {
            let mut far = pool.from_fn(len, |_| 0u64).unwrap();
            far.as_mut_slice()[len - 1] = end as u64;
            want_memory("bincount", reduce::bincount(pool, &far, 0));
        }
        for ddof in [len as u64, u64::MAX, 1 << 63] {
            assert!(reduce::variance(pool, &x, ddof).unwrap().is_nan());
            assert!(reduce::moments(pool, &x).unwrap().std(ddof).is_nan());
        }
    }
}

#[test]
fn steps_that_change_nothing_are_not_made() {
    let pool = pool();
    for steps in ENDS {
        for shape in [(0, 5), (1, 1), (2, 7), (9, 2), (2, 10_000)] {
            let mut u = pool.from_shape_fn(shape, |(i, j)| (i + 10 * j) as f64).unwrap();
            let before = u.to_vec();
            stencil::heat_2d(pool, &mut u, &mut empty(shape), 0.25, steps).unwrap();
            assert_eq!(u.as_slice(), before);
        }
        for shape in [(0, 5, 5), (2, 7, 7), (9, 2, 9), (9, 9, 2), (2, 100, 100)] {
            let mut u = pool.from_shape_fn(shape, |(i, j, k)| (i + 10 * j + 100 * k) as f64).unwrap();
            let before = u.to_vec();
            stencil::heat_3d(pool, &mut u, &mut empty(shape), 0.1, steps).unwrap();
            assert_eq!(u.as_slice(), before);
        }
        let (mut x, mut v) = (empty((0, 3)), empty((0, 3)));
        let none: [f64; 0] = [];
        particles::leapfrog(pool, &mut x, &mut v, &none, 0.0, 0.1, steps).unwrap();
    }
    let mut u = pool.from_shape_fn((5, 5), |(i, j)| (i * j) as f64).unwrap();
    let before = u.to_vec();
    stencil::heat_2d(pool, &mut u, &mut empty((5, 5)), 0.25, 0).unwrap();
    assert_eq!(u.as_slice(), before);
}

#[test]
fn taps_are_counted_before_they_are_made() {
    let (pool, float) = (pool(), one(1.0f64));
    let a = pool.from_shape_fn((4, 4), |(i, j)| (i + j) as f64).unwrap();
    let mut out = empty((4, 4));
    for shape in [(1, isize::MAX as usize), ((1 << 31) - 1, (1 << 31) + 1), ((1 << 20) + 1, (1 << 20) + 1)] {
        let kernel = &repeated(&float, shape);
        want_memory("convolve_2d", stencil::convolve_2d(pool, &a, kernel, Boundary::Wrap, &mut out));
    }
    for shape in [(0, AXIS), (AXIS, 0), (2, 1), (1, 1 << 40), (0, 0)] {
        let kernel = &repeated(&float, shape);
        wrong_argument("convolve_2d", stencil::convolve_2d(pool, &a, kernel, Boundary::Wrap, &mut out));
    }
    for weights in [&[][..], &[1.0, 2.0]] {
        wrong_argument("star_2d", stencil::star_2d(pool, [&[1.0], weights], &a, Boundary::Wrap, &mut out));
        let ended = stencil::convolve_separable(pool, &a, weights, &[1.0], Boundary::Wrap, &mut out);
        wrong_argument("convolve_separable", ended);
    }
    // Far more taps than the matrix has elements.
    let long = vec![1.0; 1001];
    for boundary in
        [Boundary::Wrap, Boundary::Reflect, Boundary::Mirror, Boundary::Nearest, Boundary::Constant(0.0)]
    {
        stencil::star_2d(pool, [&long, &[0.0]], &a, boundary, &mut out).unwrap();
        stencil::convolve_separable(pool, &a, &long, &[1.0], boundary, &mut out).unwrap();
    }
    let sums = [0.0, 1.0, 2.0, 3.0].map(|j| 6.0 + 4.0 * j);
    assert_eq!(&out.as_slice()[..4], sums, "a column that reaches everything sums the columns");
}

#[test]
fn sparse_matrices_of_any_shape_are_made_or_refused() {
    let (pool, float, index) = (pool(), one(1.0f64), one(0u32));
    let no_places: [u32; 0] = [];
    let no_values: [f64; 0] = [];
    let made = |shape| sparse::Csr::from_coo(pool, shape, &no_places, &no_places, &no_values);
    for rows in ENDS.into_iter().chain(LONG) {
        let ended = made((rows, 1));
        assert!(
            matches!(ended, Err(KernelError::Argument { .. } | KernelError::Memory(_))),
            "{rows}: {ended:?}"
        );
        let parts = sparse::Csr::<f64>::from_parts(
            (rows, 1),
            pool.zeros(1).unwrap(),
            pool.zeros(0).unwrap(),
            pool.zeros(0).unwrap(),
        );
        assert!(matches!(parts, Err(KernelError::Argument { .. } | KernelError::Shape { .. })), "{parts:?}");
    }
    for columns in ENDS {
        wrong_argument("from_coo", made((1, columns)));
    }
    for shape in [(0, 0), (0, 1), (1, 0), (0, 1 << 32), (3, 1 << 32)] {
        assert_eq!(made(shape).unwrap().shape(), shape);
    }
    for len in LONG {
        let (places, values) = (&repeated(&index, len), &repeated(&float, len));
        want_memory("from_coo", sparse::Csr::from_coo(pool, (1, 1), places, places, values));
        wrong_shape("from_coo", sparse::Csr::from_coo(pool, (1, 1), places, places, &no_values));
        wrong_shape("from_coo", sparse::Csr::from_coo(pool, (1, 1), &no_places, places, &no_values));
    }
    for place in [-1, i64::MIN, i64::MAX, 2] {
        let ended = sparse::Csr::from_coo(pool, (2, 2), &[1i64, place], &[1i64, 0], &[1.0, 2.0]);
        assert!(matches!(ended, Err(KernelError::Index { at: 1, len: 2, .. })), "{ended:?}");
        let ended = sparse::Csr::from_coo(pool, (2, 2), &[1i64, 0], &[place, 0], &[1.0, 2.0]);
        assert!(matches!(ended, Err(KernelError::Index { at: 0, len: 2, .. })), "{ended:?}");
    }
    for offsets in [[0, u64::MAX, 1], [0, 1 << 63, 1], [1, 1, 1], [0, 1, u64::MAX], [0, 0, 0]] {
        let (offsets, columns) = (pool.from_slice(&offsets).unwrap(), pool.zeros(1).unwrap());
        let values = pool.from_slice(&[1.0]).unwrap();
        wrong_argument("from_parts", sparse::Csr::from_parts((2, 2), offsets, columns, values));
    }
}

/// A matrix of few entries may be as wide as an index.
#[test]
fn a_vector_as_wide_as_an_index_wants_memory() {
    let (pool, float) = (pool(), one(1.0f64));
    let mut y = pool.zeros::<f64>(1).unwrap();
    for columns in LONG {
        let (offsets, places) = (pool.from_slice(&[0, 1]).unwrap(), pool.from_slice(&[3]).unwrap());
        let values = pool.from_slice(&[2.0]).unwrap();
        let a = sparse::Csr::from_parts((1, columns), offsets, places, values).unwrap();
        want_memory("spmv", sparse::spmv(pool, 1.0, &a, &repeated(&float, columns), 0.0, &mut y));
        wrong_shape("spmv", sparse::spmv(pool, 1.0, &a, &[1.0], 0.0, &mut y));
        let options = sparse::SolverOptions::default();
        wrong_shape("cg", sparse::conjugate_gradient(pool, &a, &[1.0], &mut y, options));
    }
    // Short ones that do not lie in one piece are read as they are.
    let (offsets, places) = (pool.from_slice(&[0, 2]).unwrap(), pool.from_slice(&[0, 3]).unwrap());
    let a = sparse::Csr::from_parts((1, 4), offsets, places, pool.from_slice(&[2.0, 3.0]).unwrap()).unwrap();
    sparse::spmv(pool, 1.0, &a, &repeated(&float, 4), 0.0, &mut y).unwrap();
    assert_eq!(y.as_slice(), [5.0]);
}

#[test]
fn iterations_are_counted_to_the_end() {
    let pool = pool();
    let a = sparse::Csr::from_coo(pool, (2, 2), &[0, 1], &[0, 1], &[2.0, 4.0]).unwrap();
    for max_iterations in [0, 1].into_iter().chain(ENDS) {
        let mut x = pool.zeros::<f64>(2).unwrap();
        let options = sparse::SolverOptions { max_iterations, relative: 1e-12, ..Default::default() };
        match sparse::conjugate_gradient(pool, &a, &[2.0, 4.0], &mut x, options) {
            Ok(_) => assert!(max_iterations > 1 && x.as_slice() == [1.0, 1.0]),
            ended => assert!(matches!(ended, Err(KernelError::NotConverged { .. })), "{ended:?}"),
        }
    }
}

#[test]
fn profiles_take_any_plan_interval_and_place() {
    use profile::{Cell, Extremes, Intervals, Keyed, MOST_INTERVALS, Plan, Summary, TABLE};
    let pool = pool();
    let x = pool.from_fn(1000, |i| i as f64 - 500.0).unwrap();
    let n = pool.from_fn(1000, |i| i as u64 * (u64::MAX / 999)).unwrap();
    let whole = |sum: Vec<u64>| assert_eq!(sum.iter().sum::<u64>(), 1000);
    for low_key in [0, 1, 1 << 63, u64::MAX] {
        for exponent in [0, 1, 63, 64, i64::MIN, i64::MAX, -1] {
            let plan = Plan { centre: 0.0, low_key, exponent };
            whole(profile::summarise(pool.launch(), &x, &plan).unwrap().1);
            whole(profile::summarise(pool.launch(), &n, &plan).unwrap().1);
            for (from, to) in [(0, 0), (0, usize::MAX), (usize::MAX, usize::MAX), (usize::MAX, 0), (1, TABLE)]
            {
                // Whatever it is, it is an interval.
                let float = profile::keys_of_bins::<f64>(&plan, from, to);
                let integer = profile::keys_of_bins::<u64>(&plan, from, to);
                assert!([float, integer].into_iter().flatten().all(|(low, high)| low <= high));
            }
            for bin in [0, 1, TABLE, usize::MAX] {
                let _anywhere = (f64::guess(&plan, bin), i32::guess(&plan, bin), u64::guess(&plan, bin));
            }
        }
    }
    for (low, high) in [(u64::MAX, 0), (0, u64::MAX), (u64::MAX, u64::MAX)] {
        let (low_key, exponent) = u64::plan_grid(low, high);
        whole(profile::summarise(pool.launch(), &n, &Plan { centre: 0.0, low_key, exponent }).unwrap().1);
    }
    let intervals = |len| Intervals { len, low: [5; MOST_INTERVALS], high: [4; MOST_INTERVALS] };
    for len in [1, 2, 15, u64::MAX, 1 << 63] {
        wrong_argument("refine", profile::refine(pool.launch(), &x, &intervals(len)));
        wrong_argument("gather", profile::gather(pool.launch(), &x, &intervals(len), 0));
    }
    for expected in ENDS.into_iter().chain(LONG) {
        want_memory("gather", profile::gather(pool.launch(), &x, &intervals(0), expected));
    }
    assert!(profile::gather(pool.launch(), &x, &intervals(0), 0).unwrap().is_empty());
    wrong_shape("gather", profile::gather(pool.launch(), &x, &intervals(0), 1));
    // Positions beyond the last there is are none.
    let plan = Plan { centre: 0.0, low_key: 0, exponent: 0 };
    let mut table = vec![u64::MAX; TABLE];
    let far = profile::summarise_slice(&[2.0, 1.0], u64::MAX, &plan, &mut table);
    assert_eq!((far.count, far.argmin), (2, profile::NOWHERE));
    let far = profile::tally_slice(&[2u8, 1], u64::MAX, &mut vec![u64::MAX; 256]);
    assert_eq!((far.min, far.argmin), (1, profile::NOWHERE));
    // Counts are numbers, and integers wrap around.
    let many = Cell { count: u64::MAX, min: 0, max: 0 };
    assert_eq!(Cell::combine(many, many).count, u64::MAX - 1);
    let many = Summary { count: u64::MAX, ..Summary::EMPTY };
    assert_eq!(Summary::combine::<f64>(many, many).count, u64::MAX - 1);
    assert_eq!(Extremes::combine(Extremes::EMPTY, Extremes::EMPTY), Extremes::EMPTY);
    let many = reduce::Moments { count: u64::MAX, ..Default::default() };
    assert_eq!(reduce::Moments::combine(many, many).count, u64::MAX - 1);
    for exponent in [i64::MIN, i64::MAX] {
        let far = reduce::Moments { exponent, count: 2, ..Default::default() };
        let near = reduce::Moments { count: 1, ..Default::default() };
        assert_eq!(reduce::Moments::combine(far, near).count, 3);
        let _any = (far.variance(1), far.std(0));
    }
}

#[test]
fn results_of_lengths_0_and_1_are_written() {
    let pool = pool();
    for len in [0, 1] {
        let mut whole = pool.zeros::<u64>(len).unwrap();
        random::integers(pool, &mut whole, u64::MAX, u64::MAX..=u64::MAX).unwrap();
        assert!(whole.as_slice().iter().all(|n| *n == u64::MAX));
        let mut x = pool.from_fn(len, |_| 3.0f64).unwrap();
        order::sort(pool, &mut x).unwrap();
        order::sort_by(pool, &mut x, f64::total_cmp).unwrap();
        order::sort_by_key(pool, &mut x, |x| *x).unwrap();
        order::sort_pairs(pool, &mut x, &mut whole).unwrap();
        let mut places = pool.zeros::<u64>(len).unwrap();
        order::argsort(pool, &mut places, &x).unwrap();
        let (kinds, counts) = order::unique_counts(pool, &x).unwrap();
        assert_eq!((kinds.len(), counts.to_vec()), (len, vec![1; len]));
        let mut sums = pool.zeros::<f64>(len).unwrap();
        scan::exclusive_sum(pool, &mut sums, &x).unwrap();
        let (mut places, masses) = (empty((len, 3)), pool.from_fn(len, |_| 1.0).unwrap());
        particles::accelerations(pool, &mut places, &empty((len, 3)), &masses, 0.0).unwrap();
        assert_eq!(particles::energy(pool, &places, &places, &masses, 0.0).unwrap().total(), 0.0);
    }
}

/// Blocks of these would be as large as the stack of a worker's further threads.
#[test]
fn prefixes_of_elements_of_many_lines_are_folded_too() {
    type Wide = [u64; 128];
    let pool = Pool::builder().workers(1).threads_per_worker(2).build().unwrap();
    let len = 70_000;
    let x = pool.from_fn(len, |i| -> Wide { [i as u64; 128] }).unwrap();
    let mut out = pool.zeros::<Wide>(len).unwrap();
    let add = |a: Wide, b: Wide| {
        let mut sum = a;
        (sum[0], sum[127]) = (a[0] + b[0], a[127] + b[127]);
        sum
    };
    scan::inclusive(&pool, &mut out, &x, [0; 128], add).unwrap();
    let sums = out.as_slice().iter().map(|sum| (sum[0], sum[127]));
    assert!(sums.zip(0u64..).all(|(sum, i)| sum == (i * (i + 1) / 2, i * (i + 1) / 2)));
}
