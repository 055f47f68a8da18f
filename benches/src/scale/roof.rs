//! Where a workload stands under the roofs of the machine: the roofline model of Williams, Waterman and
//! Patterson (2009). Pure functions.

use super::peak::Peak;
use crate::sizing::bootstrap::Interval;

/// What a run does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Work {
    /// Floating-point operations.
    pub flops: f64,
    /// Bytes.
    pub bytes: f64,
}

/// What limits a workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// Operations.
    Compute,
    /// Bytes.
    Memory,
}

/// A workload under the roofs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Position {
    /// Operations per byte; infinite where memory does not matter, 0 where there are no operations.
    pub intensity: f64,
    /// The roof above it.
    pub bound: Bound,
    /// The shortest time that the roof allows.
    pub least: f64,
    /// The share of the roof that it reaches.
    pub share: Interval,
}

/// Places a run that took this long; `None` where neither operations nor bytes are counted.
pub fn position(work: Work, peak: &Peak, seconds: &Interval) -> Option<Position> {
    let (compute, memory) = (work.flops / peak.flops, work.bytes / peak.bytes);
    let least = compute.max(memory);
    if !(least > 0.0 && least.is_finite()) {
        return None;
    }
    let intensity = if work.bytes > 0.0 { work.flops / work.bytes } else { f64::INFINITY };
    // A long time is a low share.
    let share =
        Interval { value: least / seconds.value, low: least / seconds.high, high: least / seconds.low };
    let bound = if compute > memory { Bound::Compute } else { Bound::Memory };
    Some(Position { intensity, bound, least, share })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEAK: Peak = Peak { flops: 1e11, bytes: 2e10, mib: 64 };

    fn took(value: f64) -> Interval {
        Interval { value, low: value * 0.9, high: value * 1.25 }
    }

    #[test]
    fn the_lower_roof_is_the_bound() {
        // 2 operations and 24 bytes: far left of the ridge at 5 operations a byte.
        let triad = position(Work { flops: 2e6, bytes: 24e6 }, &PEAK, &took(2.4e-3)).unwrap();
        assert_eq!(triad.bound, Bound::Memory);
        assert!((triad.intensity - 1.0 / 12.0).abs() < 1e-12 && (triad.share.value - 0.5).abs() < 1e-12);
        assert!((triad.share.low - 0.4).abs() < 1e-12 && triad.share.high > triad.share.value);
        let dense = position(Work { flops: 1e9, bytes: 1e6 }, &PEAK, &took(0.02)).unwrap();
        assert_eq!(dense.bound, Bound::Compute);
        assert!((dense.share.value - 0.5).abs() < 1e-12);
    }

    #[test]
    fn what_is_not_counted_has_no_roof() {
        assert_eq!(position(Work { flops: 0.0, bytes: 0.0 }, &PEAK, &took(1.0)), None);
        let bytes = position(Work { flops: 0.0, bytes: 1e6 }, &PEAK, &took(1.0)).unwrap();
        assert_eq!((bytes.bound, bytes.intensity), (Bound::Memory, 0.0));
        let flops = position(Work { flops: 1e6, bytes: 0.0 }, &PEAK, &took(1.0)).unwrap();
        assert_eq!((flops.bound, flops.intensity), (Bound::Compute, f64::INFINITY));
    }
}
