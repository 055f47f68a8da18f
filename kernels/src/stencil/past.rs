//! Strips of results, copied out past the caches.
//!
//! `store` writes a whole result that way in one go. A stencil's rows come in strips with ends that are
//! computed otherwise, and one fence after many of them is enough.
//!
//! # Safety
//! Non-temporal stores write exactly the bytes of a destination slice that the caller has exclusively,
//! aligned as the instruction demands; dropping the `Out` that made them fences, also where a kernel unwinds.
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use crate::store::{CACHED, PAST_CACHES, Way};
use phalanx::Element;

/// Bytes of input and result from which a single sweep goes past the caches.
///
/// Far more than [`crate::store`] asks for: a stencil reads its input several times, and what it reads comes
/// from the shared cache as long as results that stay there do not cost more than they gain. Measured past
/// the caches, against rayon's plain loop through them (2 busy cores of an Intel Xeon with 480 MiB of shared
/// cache, 2026-11-21, 7 points, float64, `phalanx-bench kernels star_3d`): arrays of 32 MiB 15 against 35
/// GB/s, of 256 MiB 13 against 15, of 512 MiB 14 against 16.
const ONE_SWEEP_BYTES: usize = 2 << 30;
/// The same for many sweeps that go to and fro between two arrays. As above, `heat_3d`: 32 MiB 18 against 28
/// GB/s, 256 MiB 18 against 15, 512 MiB 15 against 10.
const MANY_SWEEPS_BYTES: usize = 256 << 20;

/// The way of one sweep over `bytes` in all.
pub(super) fn way_of_one(bytes: usize) -> Way {
    way_from(ONE_SWEEP_BYTES, bytes)
}

/// The way of many sweeps to and fro over `bytes` in all.
pub(super) fn way_of_many(bytes: usize) -> Way {
    way_from(MANY_SWEEPS_BYTES, bytes)
}

/// On other processors than x86-64 there is one way, as in [`crate::store`]: a copy of each row would only be
/// added.
fn way_from(least: usize, bytes: usize) -> Way {
    if cfg!(target_arch = "x86_64") && bytes >= least { PAST_CACHES } else { CACHED }
}

/// Makes what was copied past the caches visible before anything that this thread stores later.
#[cfg(target_arch = "x86_64")]
pub(super) fn fence() {
    // SAFETY: every x86-64 processor has SSE.
    unsafe { std::arch::x86_64::_mm_sfence() };
}

#[cfg(not(target_arch = "x86_64"))]
pub(super) fn fence() {}

/// Copies past the caches; other members see it after [`fence`].
///
/// 128-bit stores, which every x86-64 processor has: four of them fill a line's write-combining buffer just
/// as one of 512 bits does.
#[cfg(target_arch = "x86_64")]
#[inline(never)]
pub(super) fn copy_past_caches<T: Element>(out: &mut [T], from: &[T]) {
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
            // SAFETY: these 16 bytes are borrowed exclusively, and aligned since lines begin at multiples of
            // 64. The caller, `Out`, fences when it is dropped, before anybody else can come to read them.
            unsafe { _mm_stream_si128(out, value) };
        }
    }
    out_tail.copy_from_slice(from_tail);
}

#[cfg(not(target_arch = "x86_64"))]
pub(super) fn copy_past_caches<T: Element>(out: &mut [T], from: &[T]) {
    out.copy_from_slice(from);
}
