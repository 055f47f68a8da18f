//! What this machine can do at most: operations per second and bytes per second, measured on the same team.

use crate::harness::Outcome;
use crate::npb::simd::multiversion;
use crate::watchdog;
use phalanx::Pool;
use phalanx_kernels::stream;
use std::hint::black_box;
use std::time::Instant;

/// Values that stay in the first-level cache.
const VALUES: usize = 512;
/// Operations on a value between its load and its store. Few enough that a core overlaps the chains of many
/// vectors, many enough that loads and stores cost nothing. On an AMD EPYC, 2026-11-27, 8 and 16 were about equal
/// and 32 was slower; the machine was busy.
const CHAIN: usize = 8;
/// Rounds over the values in one run: milliseconds.
pub const STEPS: u64 = 20_000;
/// Runs, of which the best counts: anything slower is not the machine's.
const RUNS: usize = 15;

/// The two roofs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Peak {
    /// Floating-point operations per second.
    pub flops: f64,
    /// Bytes per second.
    pub bytes: f64,
    /// MiB of each of the three arrays that bytes were measured on.
    pub mib: usize,
}

impl Peak {
    /// How it was measured.
    pub fn how(&self) -> String {
        format!(
            "operations: {RUNS} runs of {} of float64 on {VALUES} values on all workers, the best; bytes: {RUNS} runs of the \
             stream kernel triad over 3 x {} MiB, 24 bytes per element, the best",
            if is_fused() { "fused multiply-adds" } else { "multiplications and additions" },
            self.mib
        )
    }
}

/// Measures both on a team, with so many rounds of operations in a run ([`STEPS`] if it is to be trusted).
pub fn measure(pool: &Pool, workers: usize, mib: usize, steps: u64) -> Outcome<Peak> {
    watchdog::note("the roofs of scale".into());
    let best = |run: &mut dyn FnMut() -> Outcome<()>| -> Outcome<f64> {
        run()?;
        let mut best = f64::INFINITY;
        for _ in 0..RUNS {
            let began = Instant::now();
            run()?;
            best = best.min(began.elapsed().as_secs_f64());
        }
        Ok(best)
    };
    let run = |_rank, steps| {
        black_box(operations(steps));
    };
    let seconds = best(&mut || Ok(pool.broadcast(steps, run)?))?;
    let flops = (2 * CHAIN * VALUES * workers) as f64 * steps as f64 / seconds;
    let len = (mib << 20) / size_of::<f64>();
    let (x, y) = (pool.from_fn(len, |place| (place % 1021) as f64)?, pool.from_fn(len, |_| 2.0)?);
    let mut out = pool.zeros::<f64>(len)?;
    let seconds = best(&mut || Ok(stream::triad(pool, &mut out, &x, 0.4, &y)?))?;
    let want = |place: usize| (place % 1021) as f64 + 0.4 * 2.0;
    match out.as_slice().iter().enumerate().find(|(place, got)| **got != want(*place)) {
        Some((place, got)) => Err(format!("triad gave a wrong answer: element {place} is {got}").into()),
        None => Ok(Peak { flops, bytes: 24.0 * len as f64 / seconds, mib }),
    }
}

/// So many rounds of two operations in a chain on every value.
fn operations(steps: u64) -> f64 {
    let mut values = [0.5; VALUES];
    if is_fused() { fused(&mut values, steps) } else { apart(&mut values, steps) }
}

/// Whether the processor has fused multiply-adds: without them, `mul_add` is a call of the C library.
fn is_fused() -> bool {
    #[cfg(target_arch = "x86_64")]
    return crate::npb::simd::has_avx2();
    #[cfg(not(target_arch = "x86_64"))]
    return cfg!(target_arch = "aarch64");
}

/// A loop that the compiler turns into vectors: the values do not depend on each other.
#[inline(always)]
fn chains(values: &mut [f64], steps: u64, step: impl Fn(f64, f64, f64) -> f64) -> f64 {
    let (by, plus) = (black_box(0.999), black_box(0.001));
    for _ in 0..steps {
        for value in values.iter_mut() {
            let mut own = *value;
            for _ in 0..CHAIN {
                own = step(own, by, plus);
            }
            *value = own;
        }
    }
    values.iter().sum()
}

multiversion! {
    fn fused(values: &mut [f64], steps: u64) -> f64 {
        chains(values, steps, f64::mul_add)
    }

    fn apart(values: &mut [f64], steps: u64) -> f64 {
        chains(values, steps, #[inline(always)] |own, by, plus| own * by + plus)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use phalanx::Backend;

    #[test]
    fn both_variants_compute_the_same_sequence() {
        // It tends to 1 for every value.
        for variant in [fused, apart] {
            let mut values = [0.5; 5];
            let sum = variant(&mut values, 3000);
            assert!((sum / 5.0 - 1.0).abs() < 1e-6, "{sum}");
            assert!(values.iter().all(|value| *value == values[0]));
        }
    }

    #[test]
    fn roofs_are_numbers() {
        let pool = Pool::builder().workers(1).backend(Backend::Inline).build().unwrap();
        let peak = measure(&pool, 1, 1, 100).unwrap();
        assert!(peak.flops.is_finite() && peak.flops > 0.0 && peak.bytes.is_finite() && peak.bytes > 0.0);
        assert!(peak.how().contains("3 x 1 MiB"));
    }
}
