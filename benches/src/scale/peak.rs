//! What this machine can do at most: operations per second and bytes per second, measured on the same team.

use crate::harness::Outcome;
use crate::npb::simd::multiversion;
use crate::watchdog;
use phalanx::Pool;
use phalanx_kernels::stream;
use std::hint::black_box;
use std::time::Instant;

/// Sums side by side: two fused operations a cycle that each take four keep eight vectors busy. Ten of four
/// elements leave six of AVX2's sixteen registers, eight of eight leave most of AVX-512's.
const NARROW: usize = 40;
const WIDE: usize = 64;
/// Steps of a rank in one run: milliseconds.
const STEPS: u64 = 1_000_000;
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
            "operations: {RUNS} runs of {} of float64 in registers on all workers, the best; bytes: {RUNS} runs of the \
             stream kernel triad over 3 x {} MiB, 24 bytes per element, the best",
            if is_fused() { "fused multiply-adds" } else { "multiplications and additions" },
            self.mib
        )
    }
}

/// Measures both on a team.
pub fn measure(pool: &Pool, workers: usize, mib: usize) -> Outcome<Peak> {
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
    let seconds =
        best(&mut || Ok(pool.broadcast(STEPS, |_rank, steps| drop(black_box(operations(steps))))?))?;
    let flops = (workers as u64 * STEPS * 2) as f64 * lanes() as f64 / seconds;
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

/// A million steps of what is counted as two operations each, on every lane.
fn operations(steps: u64) -> f64 {
    match lanes() {
        WIDE => wide(steps),
        _ if is_fused() => narrow(steps),
        _ => apart(steps),
    }
}

fn lanes() -> usize {
    #[cfg(target_arch = "x86_64")]
    if crate::npb::simd::has_avx512() {
        return WIDE;
    }
    NARROW
}

/// Whether the processor has fused multiply-adds: without them, `mul_add` is a call of the C library.
fn is_fused() -> bool {
    #[cfg(target_arch = "x86_64")]
    return crate::npb::simd::has_avx2();
    #[cfg(not(target_arch = "x86_64"))]
    return cfg!(target_arch = "aarch64");
}

#[inline(always)]
fn lanes_of<const LANES: usize>(steps: u64, step: impl Fn(f64, f64, f64) -> f64) -> f64 {
    let (by, plus) = (black_box(0.999), black_box(0.001));
    let mut sums: [f64; LANES] = std::array::from_fn(|lane| lane as f64);
    for _ in 0..steps {
        sums = sums.map(
            #[inline(always)]
            |sum| step(sum, by, plus),
        );
    }
    sums.iter().sum()
}

multiversion! {
    fn wide(steps: u64) -> f64 {
        lanes_of::<WIDE>(steps, f64::mul_add)
    }

    fn narrow(steps: u64) -> f64 {
        lanes_of::<NARROW>(steps, f64::mul_add)
    }

    fn apart(steps: u64) -> f64 {
        lanes_of::<NARROW>(steps, #[inline(always)] |sum, by, plus| sum * by + plus)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use phalanx::Backend;

    #[test]
    fn every_variant_computes_the_same_sequence() {
        // It tends to 1 on every lane.
        for (sum, lanes) in [(wide(20_000), WIDE), (narrow(20_000), NARROW), (apart(20_000), NARROW)] {
            assert!((sum / lanes as f64 - 1.0).abs() < 1e-6, "{sum} of {lanes}");
        }
    }

    #[test]
    fn roofs_are_numbers() {
        let pool = Pool::builder().workers(1).backend(Backend::Inline).build().unwrap();
        let peak = measure(&pool, 1, 1).unwrap();
        assert!(peak.flops.is_finite() && peak.flops > 0.0 && peak.bytes.is_finite() && peak.bytes > 0.0);
        assert!(peak.how().contains("3 x 1 MiB"));
    }
}
