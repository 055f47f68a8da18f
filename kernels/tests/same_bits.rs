//! The same bits on every architecture: results of each family, as one number each, which x86-64 and aarch64
//! print alike. What other libraries compute with fused multiply-adds where a processor has them (products of
//! matrices, Fourier transforms) is not promised to agree, and is not here.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use bytemuck::{NoUninit, bytes_of};
use phalanx::{Backend, Pool, SharedArray};
use phalanx_kernels::stencil::Boundary;
use phalanx_kernels::{dense, order, particles, random, reduce, scan, sparse, stencil, stream};

/// Long enough to be shared out among workers.
const LEN: usize = 100_003;

/// All bytes of some values in one number (FNV-1a).
fn bits<T: NoUninit>(values: &[T]) -> u64 {
    let bytes = values.iter().flat_map(bytes_of);
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3))
}

/// Numbers of many magnitudes, with both signs.
fn numbers(pool: &Pool, seed: u64) -> SharedArray<f64> {
    let (mut x, mut y) = (pool.zeros::<f64>(LEN).unwrap(), pool.zeros::<f64>(LEN).unwrap());
    random::normal(pool, &mut x, seed, 0.1, 3.0).unwrap();
    random::uniform(pool, &mut y, seed, -1e6..1e6).unwrap();
    let mut out = pool.zeros::<f64>(LEN).unwrap();
    stream::map2(pool, &mut out, &x, &y, |x, y| x * x * y + x / (1.0 + y * y)).unwrap();
    out
}

fn narrow(pool: &Pool, x: &SharedArray<f64>) -> SharedArray<f32> {
    let mut out = pool.zeros::<f32>(x.len()).unwrap();
    stream::map(pool, &mut out, x, |x| x as f32).unwrap();
    out
}

fn of_random(pool: &Pool) -> Vec<(&'static str, u64)> {
    let (mut wide, mut narrow) = (pool.zeros::<f64>(LEN).unwrap(), pool.zeros::<f32>(LEN).unwrap());
    let mut whole = pool.zeros::<i32>(LEN).unwrap();
    let mut all = Vec::new();
    random::uniform(pool, &mut wide, 7, -1.0..2.5).unwrap();
    random::uniform(pool, &mut narrow, 7, -1.0..2.5).unwrap();
    all.extend([("uniform f64", bits(wide.as_slice())), ("uniform f32", bits(narrow.as_slice()))]);
    random::normal(pool, &mut wide, 7, 1.0, 0.3).unwrap();
    random::normal(pool, &mut narrow, 7, 1.0, 0.3).unwrap();
    all.extend([("normal f64", bits(wide.as_slice())), ("normal f32", bits(narrow.as_slice()))]);
    random::integers(pool, &mut whole, 7, -1000..=2000).unwrap();
    all.push(("integers i32", bits(whole.as_slice())));
    all
}

fn of_reduce(pool: &Pool) -> Vec<(&'static str, u64)> {
    let (x, y) = (numbers(pool, 1), numbers(pool, 2));
    let single = narrow(pool, &x);
    let m = reduce::moments(pool, &x).unwrap();
    let sums = [
        reduce::sum(pool, &x).unwrap(),
        reduce::sum_compensated(pool, &x).unwrap(),
        reduce::dot(pool, &x, &y).unwrap(),
        reduce::norm1(pool, &x).unwrap(),
        reduce::norm2(pool, &x).unwrap(),
        reduce::mean(pool, &x).unwrap(),
    ];
    let singles = [reduce::sum(pool, &single).unwrap(), reduce::norm2(pool, &single).unwrap()];
    let moments =
        [m.mean(), m.variance(1), m.skewness(), m.kurtosis(), reduce::variance(pool, &x, 0).unwrap()];
    let counts = reduce::histogram(pool, &x, 100, -1e6..1e6).unwrap();
    vec![
        ("sums f64", bits(&sums)),
        ("sums f32", bits(&singles)),
        ("moments", bits(&moments)),
        ("histogram", bits(&counts.counts)),
    ]
}

fn of_order(pool: &Pool) -> Vec<(&'static str, u64)> {
    let x = numbers(pool, 3);
    let mut sorted = numbers(pool, 3);
    order::sort(pool, &mut sorted).unwrap();
    let mut by_place = pool.zeros::<u64>(LEN).unwrap();
    order::argsort(pool, &mut by_place, &x).unwrap();
    let quantiles = order::quantiles(pool, &x, &[0.01, 0.3, 0.5, 0.999]).unwrap();
    let mut sums = pool.zeros::<f64>(LEN).unwrap();
    scan::inclusive_sum(pool, &mut sums, &x).unwrap();
    vec![
        ("sort", bits(sorted.as_slice())),
        ("argsort", bits(by_place.as_slice())),
        ("quantiles", bits(&quantiles)),
        ("scan", bits(sums.as_slice())),
    ]
}

fn of_fields(pool: &Pool) -> Vec<(&'static str, u64)> {
    let x = numbers(pool, 4);
    let side = 300;
    let mut a = pool.from_shape_fn((side, side), |(i, j)| 1.3 / (1.0 + (i * 7 + j * 3) as f64)).unwrap();
    let mut out = pool.zeros_nd::<f64, _>((side, side)).unwrap();
    let weights: [&[f64]; 2] = [&[0.1, -1.7, 0.3], &[0.2, 0.9, 1.1]];
    stencil::star_2d(pool, weights, &a, Boundary::Wrap, &mut out).unwrap();
    let star = bits(out.as_slice());
    let kernel = pool.from_shape_fn((3, 3), |(i, j)| 0.1 + (i as f64) / 3.0 - (j as f64) / 7.0).unwrap();
    stencil::convolve_2d(pool, &a, &kernel, Boundary::Wrap, &mut out).unwrap();
    let convolved = bits(out.as_slice());
    stencil::heat_2d(pool, &mut a, &mut out, 0.2, 5).unwrap();
    let mut triad = pool.zeros::<f64>(LEN).unwrap();
    stream::triad(pool, &mut triad, &x, 0.3, &x).unwrap();
    vec![
        ("star", star),
        ("convolution", convolved),
        ("heat", bits(a.as_slice())),
        ("triad", bits(triad.as_slice())),
    ]
}

fn of_systems(pool: &Pool) -> Vec<(&'static str, u64)> {
    let n = 4000_usize;
    // A ring of nodes, each joined to the next.
    let rows = pool.from_fn(3 * n, |k| [k / 3, k / 3, (k / 3 + 1) % 4000][k % 3] as u32).unwrap();
    let columns = pool.from_fn(3 * n, |k| [k / 3, (k / 3 + 1) % 4000, k / 3][k % 3] as u32).unwrap();
    let values = pool.from_fn(3 * n, |k| if k % 3 == 0 { 4.0 + k as f64 / 7.0 } else { -1.0 / 3.0 }).unwrap();
    let a = sparse::Csr::from_coo(pool, (n, n), &rows, &columns, &values).unwrap();
    let b = pool.from_fn(n, |i| 1.0 / (1.0 + i as f64)).unwrap();
    let mut y = pool.zeros::<f64>(n).unwrap();
    sparse::spmv(pool, 1.7, &a, &b, 0.0, &mut y).unwrap();
    let mut solution = pool.zeros::<f64>(n).unwrap();
    sparse::conjugate_gradient(pool, &a, &b, &mut solution, sparse::SolverOptions::default()).unwrap();
    let full = pool.from_shape_fn((400, n), |(i, j)| 1.0 / (1.0 + (i + 2 * j) as f64)).unwrap();
    let mut product = pool.zeros::<f64>(400).unwrap();
    dense::gemv(pool, 1.1, &full, &b, 0.0, &mut product).unwrap();
    let bodies = 500;
    let places = pool.from_shape_fn((bodies, 3), |(i, k)| ((i * 31 + k * 17) % 101) as f64 / 9.0).unwrap();
    let masses = pool.from_fn(bodies, |i| 1.0 / (1.0 + i as f64)).unwrap();
    let mut pulls = pool.zeros_nd::<f64, _>((bodies, 3)).unwrap();
    particles::accelerations(pool, &mut pulls, &places, &masses, 0.01).unwrap();
    vec![
        ("spmv", bits(y.as_slice())),
        ("conjugate gradient", bits(solution.as_slice())),
        ("gemv", bits(product.as_slice())),
        ("accelerations", bits(pulls.as_slice())),
    ]
}

/// As x86-64 computes them.
const EXPECTED: [(&str, u64); 21] = [
    ("uniform f64", 0x51db75c0e86bb122),
    ("uniform f32", 0x797049de18cc738a),
    ("normal f64", 0x929f16c065a5803f),
    ("normal f32", 0xc1e942affe289a37),
    ("integers i32", 0x6ed2a14675b27846),
    ("sums f64", 0x9db683233c04e0a2),
    ("sums f32", 0xe17ba34408804b6c),
    ("moments", 0x483c4fc20b0fb95e),
    ("histogram", 0xf7c16bef2677d563),
    ("sort", 0x945479935a998be1),
    ("argsort", 0xec6d3c7cb8d2d5c1),
    ("quantiles", 0x233b7c9d6c1daf30),
    ("scan", 0x667a978c065da41e),
    ("star", 0x733f7d43bb56bec4),
    ("convolution", 0x5eb77d66e570fbf5),
    ("heat", 0xfb1b6eac6bb23548),
    ("triad", 0xd935385501a91b13),
    ("spmv", 0x728b50a504bb36f1),
    ("conjugate gradient", 0x40689534159b00e4),
    ("gemv", 0x95de646742e5188e),
    ("accelerations", 0xc840c5e068c46bbd),
];

#[test]
fn every_architecture_computes_the_same_bits() {
    let pool = Pool::builder().workers(2).backend(Backend::Processes).build().unwrap();
    let computed: Vec<_> =
        [of_random(&pool), of_reduce(&pool), of_order(&pool), of_fields(&pool), of_systems(&pool)].concat();
    // All that differ, in the form in which they stand above.
    let differs = |(computed, expected): &(&(&str, u64), _)| computed != expected;
    let different: Vec<_> =
        computed.iter().zip(&EXPECTED).filter(differs).map(|(computed, _)| computed).collect();
    assert!(different.is_empty() && computed.len() == EXPECTED.len(), "{different:#x?}");
}
