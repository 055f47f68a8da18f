//! The reduce family.

use super::case::{Case, Context, Entry, Work, near, same};
use crate::harness::Outcome;
use crate::report::{Goal, Target};
use phalanx_kernels::reduce;
use rayon::prelude::*;

macro_rules! at_least {
    ($bench:literal) => {
        &[Target {
            bench: concat!("kernels/", $bench),
            variant: "phalanx",
            goal: Goal::AtLeastPeer(1.0, "rayon"),
        }]
    };
}

/// The kernels of this family.
pub const ENTRIES: &[Entry] = &[
    Entry { name: "sum", about: "sum of float64", targets: at_least!("sum"), prepare: sum },
    Entry {
        name: "sum_compensated",
        about: "the same with rounding errors",
        targets: &[],
        prepare: compensated,
    },
    Entry { name: "dot", about: "dot product of float64", targets: at_least!("dot"), prepare: dot },
    Entry { name: "min", about: "smallest of float64", targets: &[], prepare: min },
    Entry { name: "argmin", about: "place of the smallest of float64", targets: &[], prepare: argmin },
    Entry { name: "variance", about: "variance of float64", targets: &[], prepare: variance },
    Entry {
        name: "histogram",
        about: "1000 bins of float64",
        targets: at_least!("histogram"),
        prepare: histogram,
    },
    Entry { name: "bincount", about: "counts of u8", targets: &[], prepare: bincount },
    Entry { name: "count_if", about: "how many float64 are positive", targets: &[], prepare: count_if },
    Entry {
        name: "sum_short",
        about: "sum of 9999 float64, worked on inline",
        targets: &[],
        prepare: sum_short,
    },
];

/// Elements of one of rayon's pieces: 256 KiB, as our chunks.
const PIECE: usize = 32 << 10;

fn x_at(index: usize) -> f64 {
    // Spread over -1 .. 1 and different in neighbouring places.
    ((index as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 11) as f64 / (1u64 << 52) as f64 - 1.0
}

fn plain<T: Send + Default + Clone>(len: usize, f: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let mut array = vec![T::default(); len];
    array.par_chunks_mut(PIECE).enumerate().for_each(|(piece, part)| {
        part.iter_mut().enumerate().for_each(|(i, x)| *x = f(piece * PIECE + i));
    });
    array
}

/// Sums in 32 lanes, which the compiler turns into vectors.
fn lanes(x: &[f64], f: impl Fn(f64) -> f64) -> f64 {
    let (groups, rest) = x.as_chunks::<32>();
    let mut sums = [0.0; 32];
    for group in groups {
        for lane in 0..32 {
            sums[lane] += f(group[lane]);
        }
    }
    sums.iter().sum::<f64>() + rest.iter().map(|x| f(*x)).sum::<f64>()
}

fn lanes2(x: &[f64], y: &[f64]) -> f64 {
    let ((xs, x_rest), (ys, y_rest)) = (x.as_chunks::<32>(), y.as_chunks::<32>());
    let mut sums = [0.0; 32];
    for (x, y) in xs.iter().zip(ys) {
        for lane in 0..32 {
            sums[lane] += x[lane] * y[lane];
        }
    }
    sums.iter().sum::<f64>() + x_rest.iter().zip(y_rest).map(|(x, y)| x * y).sum::<f64>()
}

/// The variants of a kernel that reduces one array of float64 to a number: ours, rayon's over pieces, and one
/// piece's function alone.
fn number<'c>(
    context: &'c Context,
    ours: impl Fn(&phalanx::SharedArray<f64>) -> Result<f64, phalanx_kernels::KernelError> + 'c,
    rayon: impl Fn(&[f64]) -> f64 + Send + Sync + 'c,
    serial: impl Fn(&[f64]) -> f64 + 'c,
    tolerance: f64,
) -> Outcome<Case<'c>> {
    let len = context.len(8);
    let shared = context.pool.from_fn(len, x_at)?;
    let want = serial(shared.as_slice());
    let check = move |got: f64| near(got, want, tolerance);
    Ok(Case::new(Work::Bytes((8 * len) as f64))
        .variant(
            "phalanx",
            (shared, 0.0),
            move |(x, got)| {
                *got = ours(x)?;
                Ok(())
            },
            move |(_, got)| check(*got),
        )
        .rayon(
            context,
            || (plain(len, x_at), 0.0),
            move |(x, got)| *got = rayon(x),
            move |(_, got)| check(*got),
        )
        .variant(
            "serial",
            (plain(len, x_at), 0.0),
            move |(x, got)| {
                *got = serial(x);
                Ok(())
            },
            move |(_, got)| check(*got),
        ))
}

fn sum(context: &Context) -> Outcome<Case<'_>> {
    let rayon = |x: &[f64]| x.par_chunks(PIECE).map(|x| lanes(x, |x| x)).sum();
    // The sum nearly cancels out; errors are to be seen against the size of its terms.
    number(context, |x| reduce::sum(&context.pool, x), rayon, |x| lanes(x, |x| x), 1e-6)
}

fn compensated(context: &Context) -> Outcome<Case<'_>> {
    fn exact(x: &[f64]) -> [f64; 2] {
        x.iter().fold([0.0, 0.0], |[sum, error], &x| {
            let new = sum + x;
            let part = new - sum;
            [new, error + ((sum - (new - part)) + (x - part))]
        })
    }
    let rayon = |x: &[f64]| {
        let sums: Vec<f64> = x.par_chunks(PIECE).flat_map_iter(exact).collect();
        let [sum, error] = exact(&sums);
        sum + error
    };
    let serial = |x: &[f64]| {
        let [sum, error] = exact(x);
        sum + error
    };
    number(context, |x| reduce::sum_compensated(&context.pool, x), rayon, serial, 1e-12)
}

fn dot(context: &Context) -> Outcome<Case<'_>> {
    let len = context.len(8);
    let y_at = |i: usize| x_at(i + 7);
    let (x, y) = (context.pool.from_fn(len, x_at)?, context.pool.from_fn(len, y_at)?);
    let want = reduce::sum_compensated(&context.pool, &{
        let mut products = context.pool.zeros::<f64>(len)?;
        phalanx_kernels::stream::map2(&context.pool, &mut products, &x, &y, |x: f64, y: f64| x * y)?;
        products
    })?;
    let check = move |got: f64| if (got - want).abs() < 1e-6 { Ok(()) } else { near(got, want, 1e-9) };
    let ours = |(x, y, got): &mut (_, _, f64)| {
        *got = reduce::dot(&context.pool, x, y)?;
        Ok(())
    };
    let plain = || (plain(len, x_at), plain(len, y_at), 0.0);
    let rayon = |(x, y, got): &mut (Vec<f64>, Vec<f64>, f64)| {
        *got = x.par_chunks(PIECE).zip(y.par_chunks(PIECE)).map(|(x, y)| lanes2(x, y)).sum();
    };
    let serial = |(x, y, got): &mut (Vec<f64>, Vec<f64>, f64)| {
        *got = lanes2(x, y);
        Ok(())
    };
    Ok(Case::new(Work::Bytes((16 * len) as f64))
        .variant("phalanx", (x, y, 0.0), ours, move |s| check(s.2))
        .rayon(context, plain, rayon, move |s| check(s.2))
        .variant("serial", plain(), serial, move |s| check(s.2)))
}

fn min(context: &Context) -> Outcome<Case<'_>> {
    fn lowest(x: &[f64]) -> f64 {
        let (groups, rest) = x.as_chunks::<32>();
        let mut low = [f64::INFINITY; 32];
        for group in groups {
            for lane in 0..32 {
                low[lane] = if group[lane] < low[lane] { group[lane] } else { low[lane] };
            }
        }
        low.iter().chain(rest).fold(f64::INFINITY, |a, b| a.min(*b))
    }
    let rayon = |x: &[f64]| x.par_chunks(PIECE).map(lowest).reduce(|| f64::INFINITY, f64::min);
    number(context, |x| reduce::min(&context.pool, x), rayon, lowest, 0.0)
}

fn argmin(context: &Context) -> Outcome<Case<'_>> {
    fn place(x: &[f64]) -> usize {
        (0..x.len()).fold(0, |best, i| if x[i] < x[best] { i } else { best })
    }
    let rayon = |x: &[f64]| {
        let places = x.par_chunks(PIECE).enumerate().map(|(piece, part)| piece * PIECE + place(part));
        places.reduce_with(|a, b| if x[b] < x[a] { b } else { a }).unwrap_or(0) as f64
    };
    number(context, |x| Ok(reduce::argmin(&context.pool, x)? as f64), rayon, |x| place(x) as f64, 0.0)
}

fn variance(context: &Context) -> Outcome<Case<'_>> {
    let rayon = |x: &[f64]| {
        let mean = x.par_chunks(PIECE).map(|x| lanes(x, |x| x)).sum::<f64>() / x.len() as f64;
        x.par_chunks(PIECE).map(|x| lanes(x, |x| (x - mean) * (x - mean))).sum::<f64>() / x.len() as f64
    };
    let serial = |x: &[f64]| {
        let mean = lanes(x, |x| x) / x.len() as f64;
        lanes(x, |x| (x - mean) * (x - mean)) / x.len() as f64
    };
    number(context, |x| reduce::variance(&context.pool, x, 0), rayon, serial, 1e-9)
}

fn count_if(context: &Context) -> Outcome<Case<'_>> {
    let count = |x: &[f64]| x.iter().filter(|x| **x > 0.0).count() as f64;
    let rayon = move |x: &[f64]| x.par_chunks(PIECE).map(count).sum();
    number(context, |x| Ok(reduce::count_if(&context.pool, x, |x| x > 0.0)? as f64), rayon, count, 0.0)
}

const BINS: usize = 1000;

/// As a careful program counts: a guess by a multiplication, corrected at the borders, into a table of its
/// own.
fn count_bins(x: &[f64], table: &mut [u64]) {
    const SCALE: f64 = BINS as f64 / 2.0;
    const STEP: f64 = 2.0 / BINS as f64;
    for &x in x {
        if (-1.0..=1.0).contains(&x) {
            let mut bin = (((x + 1.0) * SCALE) as usize).min(BINS - 1);
            if x < bin as f64 * STEP - 1.0 {
                bin -= 1;
            } else if bin < BINS - 1 && x >= (bin + 1) as f64 * STEP - 1.0 {
                bin += 1;
            }
            table[bin] += 1;
        }
    }
}

fn histogram(context: &Context) -> Outcome<Case<'_>> {
    let len = context.len(8);
    let x = context.pool.from_fn(len, x_at)?;
    let mut want = vec![0; BINS];
    count_bins(x.as_slice(), &mut want);
    let check = move |got: &Vec<u64>| same(got, |bin| want[bin]);
    let checks = [check.clone(), check.clone(), check];
    let [ours_check, rayon_check, serial_check] = checks;
    let ours = |(x, got): &mut (phalanx::SharedArray<f64>, Vec<u64>)| {
        *got = reduce::histogram(&context.pool, x, BINS, -1.0..1.0)?.counts;
        Ok(())
    };
    // One table per thread, not one per piece: fold with as few splits as there are threads.
    let rayon = move |(x, got): &mut (Vec<f64>, Vec<u64>)| {
        let tables = x.par_chunks(PIECE).fold(
            || vec![0; BINS],
            |mut table, x| {
                count_bins(x, &mut table);
                table
            },
        );
        *got = tables.reduce(
            || vec![0; BINS],
            |mut a, b| {
                a.iter_mut().zip(b).for_each(|(a, b)| *a += b);
                a
            },
        );
    };
    let serial = |(x, got): &mut (Vec<f64>, Vec<u64>)| {
        got.fill(0);
        count_bins(x, got);
        Ok(())
    };
    Ok(Case::new(Work::Bytes((8 * len) as f64))
        .variant("phalanx", (x, vec![]), ours, move |s| ours_check(&s.1))
        .rayon(context, || (plain(len, x_at), vec![]), rayon, move |s| rayon_check(&s.1))
        .variant("serial", (plain(len, x_at), vec![0; BINS]), serial, move |s| serial_check(&s.1)))
}

fn bincount(context: &Context) -> Outcome<Case<'_>> {
    let len = context.len(1);
    let byte = |i: usize| ((x_at(i) + 1.0) * 127.0) as u8;
    let x = context.pool.from_fn(len, byte)?;
    let mut want = vec![0u64; 256];
    x.as_slice().iter().for_each(|x| want[usize::from(*x)] += 1);
    let check = move |got: &[u64]| same(got, |value| want[value]);
    let [ours_check, rayon_check] = [check.clone(), check];
    let ours = |(x, got): &mut (phalanx::SharedArray<u8>, phalanx::SharedArray<u64>)| {
        *got = reduce::bincount(&context.pool, x, 256)?;
        Ok(())
    };
    let rayon = |(x, got): &mut (Vec<u8>, Vec<u64>)| {
        let count = |mut table: Vec<u64>, x: &[u8]| {
            x.iter().for_each(|x| table[usize::from(*x)] += 1);
            table
        };
        let add = |mut a: Vec<u64>, b: Vec<u64>| {
            a.iter_mut().zip(b).for_each(|(a, b)| *a += b);
            a
        };
        *got = x.par_chunks(8 * PIECE).fold(|| vec![0; 256], count).reduce(|| vec![0; 256], add);
    };
    Ok(Case::new(Work::Bytes(len as f64))
        .variant("phalanx", (x, context.pool.zeros(0)?), ours, move |s| ours_check(s.1.as_slice()))
        .rayon(context, || (plain(len, byte), vec![]), rayon, move |s| rayon_check(&s.1)))
}

fn sum_short(context: &Context) -> Outcome<Case<'_>> {
    const LEN: usize = phalanx_kernels::INLINE_ELEMENTS - 1;
    const TIMES: usize = 1000;
    let x = context.pool.from_fn(LEN, x_at)?;
    let want = lanes(x.as_slice(), |x| x);
    let ours = |(x, got): &mut (phalanx::SharedArray<f64>, f64)| {
        for _ in 0..TIMES {
            *got = reduce::sum(&context.pool, std::hint::black_box(x))?;
        }
        Ok(())
    };
    let serial = |(x, got): &mut (Vec<f64>, f64)| {
        for _ in 0..TIMES {
            *got = lanes(std::hint::black_box(x), |x| x);
        }
        Ok(())
    };
    Ok(Case::new(Work::Bytes((8 * LEN * TIMES) as f64))
        .variant("phalanx", (x, 0.0), ours, move |s| near(s.1, want, 1e-9))
        .variant("serial", (plain(LEN, x_at), 0.0), serial, move |s| near(s.1, want, 1e-9)))
}
