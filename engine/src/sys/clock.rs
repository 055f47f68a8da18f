//! The cheapest monotonic clock: the time-stamp counter where there is one.
//!
//! # Safety
//! Reading a counter register touches no memory.
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

/// A count that grows at a constant rate while the machine runs; convert with [`TickRate`].
#[inline]
pub(crate) fn ticks() -> u64 {
    // Miri knows neither counter.
    #[cfg(miri)]
    {
        let since = std::time::SystemTime::UNIX_EPOCH.elapsed();
        since.map_or(0, |since| since.as_nanos() as u64)
    }
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    // SAFETY: every x86-64 CPU has the instruction.
    unsafe {
        core::arch::x86_64::_rdtsc()
    }
    #[cfg(all(target_arch = "aarch64", not(miri)))]
    {
        let count: u64;
        // SAFETY: the virtual counter is readable from user space under Linux.
        unsafe { core::arch::asm!("mrs {}, cntvct_el0", out(reg) count, options(nomem, nostack)) };
        count
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64", miri)))]
    {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        (now.tv_sec as u64).wrapping_mul(1_000_000_000).wrapping_add(now.tv_nsec as u64)
    }
}

/// Lets another thread of this core run; returns the ticks until this one ran again.
#[doc(alias = "sched_yield")]
pub(crate) fn yield_core() -> u64 {
    let began = ticks();
    std::thread::yield_now();
    ticks().wrapping_sub(began)
}

/// How ticks relate to seconds, measured against the monotonic clock from a fixed start.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TickRate {
    ticks: u64,
    instant: std::time::Instant,
}

impl TickRate {
    /// Begins to measure now.
    pub(crate) fn start() -> TickRate {
        TickRate { ticks: ticks(), instant: std::time::Instant::now() }
    }

    /// Nanoseconds of one tick, as measured since the start; the longer ago, the better.
    pub(crate) fn ns_per_tick(&self) -> f64 {
        let passed = ticks().saturating_sub(self.ticks).max(1);
        self.instant.elapsed().as_nanos() as f64 / passed as f64
    }

    /// Ticks in `us` microseconds, measured over at least a tenth of a millisecond.
    pub(crate) fn ticks_in_us(us: u64) -> u64 {
        static PER_MS: std::sync::OnceLock<u64> = std::sync::OnceLock::new();
        let per_ms = PER_MS.get_or_init(|| {
            let rate = TickRate::start();
            while rate.instant.elapsed().as_micros() < 100 {
                std::hint::spin_loop();
            }
            (1e6 / rate.ns_per_tick()) as u64
        });
        us.saturating_mul(*per_ms) / 1000
    }
}
