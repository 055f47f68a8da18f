//! Hints to the processor's caches.
//!
//! # Safety
//! A prefetch changes no memory and cannot fault, whatever the address.
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

/// Fetches the line of a word that is going to be written soon. A hint: nothing happens where the CPU does
/// not know it.
#[inline]
#[doc(alias = "PREFETCHW")]
pub(crate) fn prefetch_for_writing<T>(word: &T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch of a mapped address; CPUs without the instruction take it as no operation.
    unsafe {
        core::arch::asm!("prefetchw [{}]", in(reg) std::ptr::from_ref(word), options(nostack, preserves_flags))
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: a prefetch of a mapped address.
    unsafe {
        core::arch::asm!("prfm pstl1keep, [{}]", in(reg) std::ptr::from_ref(word), options(nostack, preserves_flags))
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let _ = word;
}
