//! What pages of 4 KiB cost a program that reads at random places.
//!
//! # Safety
//! The kernel is advised about pages of a vector that this file owns and has not filled yet: their contents
//! do not change.
#![allow(unsafe_code)]

use std::hint::black_box;
use std::time::Instant;

/// Words of the memory that is read: 256 MiB.
const WORDS: usize = 32 << 20;
const HUGE: usize = 2 << 20;
/// Bytes that have to be free: what is read, and as much again for everybody else.
pub const NEEDED: u64 = 2 * 8 * WORDS as u64;
/// Reads of one try.
const READS: usize = 1 << 20;

/// Nanoseconds of a read at a random place, on small pages and on huge ones; `None` if the kernel gave none.
pub fn random_reads_ns() -> Option<[f64; 2]> {
    Some([reads_ns(libc::MADV_NOHUGEPAGE)?, reads_ns(libc::MADV_HUGEPAGE)?])
}

fn reads_ns(advice: i32) -> Option<f64> {
    let mut words: Vec<u64> = Vec::new();
    words.try_reserve_exact(WORDS + HUGE / size_of::<u64>()).ok()?;
    let room = words.spare_capacity_mut();
    let skipped = room.as_ptr().align_offset(HUGE);
    let first = room.get_mut(skipped..skipped + WORDS)?.as_mut_ptr();
    // SAFETY: pages of the vector alone, which are not in use yet.
    if unsafe { libc::madvise(first.cast(), WORDS * size_of::<u64>(), advice) } != 0 {
        return None;
    }
    words.resize(skipped + WORDS, 1);
    let words = &words[skipped..];
    let mut best = f64::INFINITY;
    let mut place = 1u64;
    for _ in 0..5 {
        let began = Instant::now();
        for _ in 0..READS {
            // Each place depends on what was read before, so reads do not overlap.
            place = place
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(words[place as usize >> 5 & (WORDS - 1)]);
            place ^= place >> 33;
        }
        black_box(place);
        best = best.min(began.elapsed().as_nanos() as f64 / READS as f64);
    }
    Some(best)
}
