//! Loops compiled for several vector widths; which one runs is decided by asking the CPU once.
//!
//! No library is needed for that: a closure marked `#[inline(always)]` is compiled into each of the functions
//! below, with the vectors that the function may use. No feature licenses the compiler to reorder or contract
//! floating-point operations, so **a result has the same bits on every level**. On other processors than
//! x86-64 there is one level, that for which the program was built (NEON on aarch64).
//!
//! # Safety
//! The only unsafe operations are calls of functions compiled for CPU features that this CPU was asked for.
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

#[cfg(target_arch = "x86_64")]
use std::sync::LazyLock;

/// Vector instructions of this CPU, as far as kernels tell them apart.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    /// What every processor of the architecture has: SSE2.
    Plain,
    /// 256 bits: AVX2, FMA, BMI.
    Wide,
    /// 512 bits: AVX-512 F, BW, CD, DQ, VL.
    Widest,
}

#[cfg(target_arch = "x86_64")]
static LEVEL: LazyLock<Level> = LazyLock::new(|| {
    use std::arch::is_x86_feature_detected as has;
    let wide = has!("avx2") && has!("fma") && has!("bmi1") && has!("bmi2") && has!("lzcnt") && has!("popcnt");
    if !wide {
        return Level::Plain;
    }
    let widest =
        has!("avx512f") && has!("avx512bw") && has!("avx512cd") && has!("avx512dq") && has!("avx512vl");
    if widest { Level::Widest } else { Level::Wide }
});

/// The vectors that [`vectorized`] uses here.
#[cfg(target_arch = "x86_64")]
pub(crate) fn level() -> Level {
    *LEVEL
}

/// Runs `work` compiled for the widest vectors of this CPU.
///
/// The closure and all it calls must be marked `#[inline(always)]`, else they are compiled for the plain CPU
/// after all:
///
/// ```text
/// vectorized(#[inline(always)] || sum_body(x))
/// ```
///
/// Costs about 2 ns: call it once a chunk, not once an element.
#[inline(always)]
pub(crate) fn vectorized<R>(work: impl FnOnce() -> R) -> R {
    #[cfg(target_arch = "x86_64")]
    match level() {
        // SAFETY: `level` found every feature that the function was compiled for.
        Level::Widest => return unsafe { widest(work) },
        // SAFETY: as above.
        Level::Wide => return unsafe { wide(work) },
        Level::Plain => {}
    }
    work()
}

#[cfg(target_arch = "x86_64")]
#[inline(never)]
#[target_feature(enable = "avx512f,avx512bw,avx512cd,avx512dq,avx512vl,avx2,fma,bmi1,bmi2,lzcnt,popcnt")]
fn widest<R>(work: impl FnOnce() -> R) -> R {
    work()
}

#[cfg(target_arch = "x86_64")]
#[inline(never)]
#[target_feature(enable = "avx2,fma,bmi1,bmi2,lzcnt,popcnt")]
fn wide<R>(work: impl FnOnce() -> R) -> R {
    work()
}
