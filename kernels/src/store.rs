//! How results reach memory: through the caches, or past them.
//!
//! A store to a line that is not in the cache reads the line first. For an output that is far longer than the caches that read
//! is wasted, and so is the room that the line then takes. Non-temporal stores avoid both: results of a block are
//! computed into a buffer that stays in the first-level cache and are copied out past the caches.
//!
//! Measured (2 cores of an Intel Xeon, family 6 model 167, KVM, Linux 6.18, 2026-11-21; float64, 256 MiB arrays in base pages of shared
//! memory, STREAM's count of bytes, two threads): triad 38.7 instead of 29.2 GB/s, copy 35.5 instead of 26.1, fill 42.4 instead of
//! 15.2. In-place kernels (axpy) read their output anyway and gain nothing.
//!
//! # Safety
//! Non-temporal stores write exactly the bytes of a destination slice that the caller has exclusively, aligned as the
//! instruction demands, and are fenced before the function that made them returns.
#![allow(unsafe_code)]

use crate::simd::vectorized;
use phalanx::Element;

/// Elements computed at a time before they are copied out: 4 KiB of float64.
pub(crate) const BLOCK: usize = 512;

/// Bytes of all operands of a call from which results go past the caches: beyond two cores' second-level caches.
const BEYOND_CACHE_BYTES: usize = 8 << 20;

/// Where results go; travels as an operand.
pub(crate) type Way = u8;
const CACHED: Way = 0;
const PAST_CACHES: Way = 1;

/// The way for a call that touches `bytes` in all.
pub(crate) fn way(bytes: usize) -> Way {
    if cfg!(target_arch = "x86_64") && bytes >= BEYOND_CACHE_BYTES { PAST_CACHES } else { CACHED }
}

/// Writes `out` by `block(part, first)`, which computes the elements of `out` from `first` on into `part`.
#[inline(always)]
pub(crate) fn produce<T: Element>(out: &mut [T], way: Way, block: impl Fn(&mut [T], usize)) {
    if way == CACHED {
        return vectorized(
            #[inline(always)]
            || block(out, 0),
        );
    }
    vectorized(
        #[inline(always)]
        || {
            let mut buffer = [T::zeroed(); BLOCK];
            for (index, out) in out.chunks_mut(BLOCK).enumerate() {
                let part = &mut buffer[..out.len()];
                block(part, index * BLOCK);
                copy_past_caches(out, part);
            }
        },
    );
    fence();
}

/// Copies `from` to `out`.
pub(crate) fn copy<T: Element>(out: &mut [T], from: &[T], way: Way) {
    if way == CACHED {
        return out.copy_from_slice(from);
    }
    copy_past_caches(out, from);
    fence();
}

#[cfg(target_arch = "x86_64")]
fn fence() {
    // SAFETY: every x86-64 processor has SSE.
    unsafe { std::arch::x86_64::_mm_sfence() };
}

#[cfg(not(target_arch = "x86_64"))]
fn fence() {}

/// Copies past the caches; other members see it after [`fence`].
///
/// 128-bit stores, which every x86-64 processor has: four of them fill a line's write-combining buffer just as one of 512 bits does.
#[cfg(target_arch = "x86_64")]
#[inline(never)]
fn copy_past_caches<T: Element>(out: &mut [T], from: &[T]) {
    use std::arch::x86_64::{__m128i, _mm_loadu_si128, _mm_stream_si128};
    let out: &mut [u8] = bytemuck::cast_slice_mut(out);
    let from: &[u8] = &bytemuck::cast_slice(from)[..out.len()];
    let head = out.as_ptr().align_offset(64).min(out.len());
    let (out_head, out) = out.split_at_mut(head);
    let (from_head, from) = from.split_at(head);
    out_head.copy_from_slice(from_head);
    let (out_lines, out_tail) = out.as_chunks_mut::<64>();
    let (from_lines, from_tail) = from.as_chunks::<64>();
    for (out, from) in out_lines.iter_mut().zip(from_lines) {
        let (out, from) = (out.as_mut_ptr().cast::<__m128i>(), from.as_ptr().cast::<__m128i>());
        for part in 0..4 {
            // SAFETY: a line has four parts of 16 bytes.
            let from = unsafe { from.add(part) };
            // SAFETY: these 16 bytes are initialised and borrowed; the load has no alignment to keep.
            let value = unsafe { _mm_loadu_si128(from) };
            // SAFETY: a line has four parts of 16 bytes.
            let out = unsafe { out.add(part) };
            // SAFETY: these 16 bytes are borrowed exclusively, and aligned since lines begin at multiples of 64. The callers
            // fence before anybody else can come to read them.
            unsafe { _mm_stream_si128(out, value) };
        }
    }
    out_tail.copy_from_slice(from_tail);
}

#[cfg(not(target_arch = "x86_64"))]
fn copy_past_caches<T: Element>(out: &mut [T], from: &[T]) {
    out.copy_from_slice(from);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_write_the_same_and_nothing_else() {
        let source: Vec<u16> = (0..5000).map(|i| i as u16 ^ 0x5a5a).collect();
        for start in [0, 1, 7, 31, 32, 33] {
            for len in [0, 1, 15, 32, 63, 511, 512, 513, 1024, 4000] {
                for way in [CACHED, PAST_CACHES] {
                    let mut out = vec![7u16; 5000];
                    produce(&mut out[start..start + len], way, |part, first| {
                        part.copy_from_slice(&source[first..first + part.len()]);
                    });
                    assert_eq!(out[start..start + len], source[..len]);
                    assert!(out[..start].iter().chain(&out[start + len..]).all(|&x| x == 7));
                    let mut copied = vec![7u16; 5000];
                    copy(&mut copied[start..start + len], &source[..len], way);
                    assert_eq!(out, copied);
                }
            }
        }
    }
}
