//! How results reach memory: through the caches, or past them.
//!
//! A store to a line that is not in the cache reads the line first. For an output that is far longer than the
//! caches that read is wasted, and so is the room that the line then takes. Non-temporal stores avoid both: a
//! line of results is made in registers and goes to memory as a whole.
//!
//! Measured (one core of an Intel Xeon, family 6 model 167, KVM, Linux 6.18, 2026-11-21; float64, 64 MiB
//! arrays in base pages of shared memory, STREAM's count of bytes over processor time): triad 19.5 instead of
//! 14.4 GB/s, add 19.7 instead of 14.5, a map by square roots 17.0 instead of 12.1. On two cores, by
//! hand-written loops over 256 MiB: triad 38.7 instead of 29.2 GB/s, copy 35.5 instead of 26.1, fill 42.4
//! instead of 15.2. Computing a block of 4 KiB before copying it out gains nothing (triad 13.9): its bursts
//! of stores do not overlap with reads. In-place kernels (axpy) read their output anyway and gain nothing
//! either.
//!
//! # Safety
//! Non-temporal stores write exactly the 64 bytes of a destination line that the caller has exclusively,
//! aligned as the instruction demands, and are fenced before the function that made them returns or unwinds.
//! Their widths are chosen by asking the CPU.
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use crate::simd::vectorized;
use phalanx::{Element, Pool};

/// Elements of a block that a kernel may compute before it copies them out by [`copy`]: 4 KiB of float64.
pub(crate) const BLOCK: usize = 512;

/// Where results go; travels as an operand.
pub(crate) type Way = u8;
pub(crate) const CACHED: Way = 0;
pub(crate) const PAST_CACHES: Way = 1;

/// The way for a call that touches `bytes` in all: past the caches from what the pool's settings say. Their default
/// of 8 MiB is beyond two cores' second-level caches.
///
/// On other processors than x86-64 there is one way: several of them notice that whole lines are overwritten,
/// and do not read them. Whether their own non-temporal stores gain anything was not measured.
pub(crate) fn way(pool: &Pool, bytes: usize) -> Way {
    if cfg!(target_arch = "x86_64") && bytes as u64 >= pool.tuning().past_caches_bytes {
        PAST_CACHES
    } else {
        CACHED
    }
}

/// As many inputs without contents as an output may want.
const NOTHING: &[()] = &[(); usize::MAX];

/// Sets every element of `out` to `value`.
pub(crate) fn fill<T: Element>(out: &mut [T], way: Way, value: T) {
    let nothing = &NOTHING[..out.len()];
    map(
        out,
        nothing,
        way,
        #[inline(always)]
        |()| value,
    );
}

/// Copies `from` to `out`.
pub(crate) fn copy<T: Element>(out: &mut [T], from: &[T], way: Way) {
    if way == CACHED {
        return out.copy_from_slice(from);
    }
    map(
        out,
        from,
        way,
        #[inline(always)]
        |x| x,
    );
}

/// Sets every `out[i]` to `f(x[i])`.
#[inline(always)]
pub(crate) fn map<T: Copy, U: Element>(out: &mut [U], x: &[T], way: Way, f: impl Fn(T) -> U) {
    let nothing = &NOTHING[..x.len()];
    map2(
        out,
        x,
        nothing,
        way,
        #[inline(always)]
        |x, ()| f(x),
    );
}

/// Sets every `out[i]` to `f(x[i], y[i])`.
///
/// # Panics
/// If an input is shorter than the output.
#[inline(always)]
pub(crate) fn map2<T: Copy, S: Copy, U: Element>(
    out: &mut [U],
    x: &[T],
    y: &[S],
    #[cfg_attr(not(target_arch = "x86_64"), allow(unused_variables, reason = "one way"))] way: Way,
    f: impl Fn(T, S) -> U,
) {
    let (x, y) = (&x[..out.len()], &y[..out.len()]);
    #[cfg(target_arch = "x86_64")]
    if way == PAST_CACHES {
        // Elements in a line.
        match size_of::<U>() {
            1 => return x86::past_caches::<T, S, U, 64>(out, x, y, f),
            2 => return x86::past_caches::<T, S, U, 32>(out, x, y, f),
            4 => return x86::past_caches::<T, S, U, 16>(out, x, y, f),
            8 => return x86::past_caches::<T, S, U, 8>(out, x, y, f),
            16 => return x86::past_caches::<T, S, U, 4>(out, x, y, f),
            _ => {}
        }
    }
    vectorized(
        #[inline(always)]
        || plain(out, x, y, &f),
    );
}

#[inline(always)]
fn plain<T: Copy, S: Copy, U>(out: &mut [U], x: &[T], y: &[S], f: &impl Fn(T, S) -> U) {
    for ((out, x), y) in out.iter_mut().zip(x).zip(y) {
        *out = f(*x, *y);
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::plain;
    use crate::simd::{Level, level, vectorized};
    use phalanx::Element;
    use std::arch::x86_64::{
        __m128i, __m256i, __m512i, _mm_loadu_si128, _mm_sfence, _mm_stream_si128, _mm256_loadu_si256,
        _mm256_stream_si256, _mm512_loadu_si512, _mm512_stream_si512,
    };

    const LINE: usize = 64;

    /// How a line is stored.
    trait Store {
        /// Stores a line past the caches.
        ///
        /// # Safety
        /// 64 bytes may be read at `from` and written at `to`, which is a multiple of 64; the CPU has the
        /// instruction.
        unsafe fn line(to: *mut u8, from: *const u8);
    }

    macro_rules! stores { ($($name:ident: $vector:ty, $load:ident, $stream:ident);*) => { $(
        struct $name;
        impl Store for $name {
            #[inline(always)]
            unsafe fn line(to: *mut u8, from: *const u8) {
                const PARTS: usize = LINE / size_of::<$vector>();
                for part in 0..PARTS {
                    // SAFETY: inside the line.
                    let from = unsafe { from.cast::<$vector>().add(part) };
                    // SAFETY: readable, and the CPU has the instruction, says the caller; it has no alignment
                    // to keep.
                    let value = unsafe { $load(from.cast()) };
                    // SAFETY: inside the line.
                    let to = unsafe { to.cast::<$vector>().add(part) };
                    // SAFETY: writable and aligned, and the CPU has the instruction, says the caller.
                    unsafe { $stream(to, value) };
                }
            }
        }
    )* } }
    stores!(
        Quarters: __m128i, _mm_loadu_si128, _mm_stream_si128;
        Halves: __m256i, _mm256_loadu_si256, _mm256_stream_si256;
        Whole: __m512i, _mm512_loadu_si512, _mm512_stream_si512
    );

    /// Sets `out`, of which `N` elements fill a line, past the caches.
    #[inline(always)]
    pub(super) fn past_caches<T: Copy, S: Copy, U: Element, const N: usize>(
        out: &mut [U],
        x: &[T],
        y: &[S],
        f: impl Fn(T, S) -> U,
    ) {
        let _before_the_end = Fence;
        match level() {
            Level::Widest => vectorized(
                #[inline(always)]
                || lines::<T, S, U, Whole, N>(out, x, y, &f),
            ),
            Level::Wide => vectorized(
                #[inline(always)]
                || lines::<T, S, U, Halves, N>(out, x, y, &f),
            ),
            Level::Plain => lines::<T, S, U, Quarters, N>(out, x, y, &f),
        }
    }

    /// Fences when it is dropped: also where the caller's function unwinds in the middle, and somebody
    /// catches it.
    struct Fence;

    impl Drop for Fence {
        #[inline(always)]
        fn drop(&mut self) {
            // SAFETY: every x86-64 processor has SSE.
            unsafe { _mm_sfence() };
        }
    }

    /// To be called on CPUs that have the instructions of `L` only.
    #[inline(always)]
    fn lines<T: Copy, S: Copy, U: Element, L: Store, const N: usize>(
        out: &mut [U],
        x: &[T],
        y: &[S],
        f: &impl Fn(T, S) -> U,
    ) {
        debug_assert_eq!(N.checked_mul(size_of::<U>()), Some(LINE));
        let head = out.as_ptr().align_offset(LINE).min(out.len());
        plain(&mut out[..head], x, y, f);
        let (out, x, y) = (&mut out[head..], &x[head..], &y[head..]);
        let (out_lines, out_tail) = out.as_chunks_mut::<N>();
        let ((x_lines, x_tail), (y_lines, y_tail)) = (x.as_chunks::<N>(), y.as_chunks::<N>());
        for ((out, x), y) in out_lines.iter_mut().zip(x_lines).zip(y_lines) {
            let mut line = [U::zeroed(); N];
            for i in 0..N {
                line[i] = f(x[i], y[i]);
            }
            // SAFETY: both are lines; the output's is borrowed exclusively, and aligned, since lines are
            // counted from a multiple of 64. That the CPU has the instruction, the level said. The caller
            // fences before anybody else can come to read it.
            unsafe { L::line(out.as_mut_ptr().cast(), line.as_ptr().cast()) };
        }
        plain(out_tail, x_tail, y_tail, f);
    }
}

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "a test may fail by panicking")]
mod tests {
    use super::*;
    use std::fmt::Debug;

    fn check<T: Element + PartialEq + Debug>(value: impl Fn(usize) -> T, filler: T) {
        let source: Vec<T> = (0..3000).map(value).collect();
        for start in [0, 1, 7, 31, 32, 33] {
            for len in [0, 1, 15, 32, 63, 511, 512, 513, 2000] {
                for way in [CACHED, PAST_CACHES] {
                    let mut out = [filler; 3000];
                    let part = start..start + len;
                    copy(&mut out[part.clone()], &source[..len], way);
                    assert_eq!(out[part.clone()], source[..len]);
                    map2(&mut out[part.clone()], &source, &source[1..], way, |_, y| y);
                    assert_eq!(out[part.clone()], source[1..=len]);
                    fill(&mut out[part.clone()], way, source[5]);
                    assert!(out[part].iter().all(|x| *x == source[5]));
                    assert!(out[..start].iter().chain(&out[start + len..]).all(|x| *x == filler));
                }
            }
        }
    }

    #[test]
    fn both_ways_write_the_same_and_nothing_else() {
        check(|i| i as u8, 200);
        check(|i| i as u16 ^ 0x5a5a, 7);
        check(|i| i as f32, -1.0);
        check(|i| i as f64, -1.0);
        check(|i| [i as u64; 2], [1, 2]);
        check(|i| [i as u16; 3], [1, 2, 3]);
        check(|i| [i as u64; 16], [1; 16]);
    }
}
