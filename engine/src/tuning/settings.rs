//! The settings, their bounds and their defaults.
#![deny(clippy::arithmetic_side_effects)]

use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

/// Settings that depend on the machine. The default ones suit most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tuning {
    /// How long a worker without work looks for more before it sleeps, at most 10 ms; 0 lets it sleep at once.
    /// The caller of a launch yields its core for as long before it sleeps too. The default is 50 us: longer
    /// than a sleep and a wake cost together, so that whoever guessed wrong loses at most twice what the best
    /// choice costs. Pools with more workers than cores never spin.
    #[doc(alias = "GOMP_SPINCOUNT")]
    #[doc(alias = "KMP_BLOCKTIME")]
    pub spin: Duration,
    /// A map that takes less time than this in the caller may stay there, at most 100 ms; 0 sends all to
    /// workers. The default is 100 us, about what waking two workers and being woken costs.
    pub inline: Duration,
    /// How long a chunk of a map is to take, once the cost of its function is known, 1 us to 1 s. The default
    /// is 200 us.
    pub task_chunk: Duration,
    /// Bytes of all operands of a call from which kernels of `phalanx-kernels` write results past the caches,
    /// 64 KiB to 1 TiB. The default is 8 MiB. Has an effect on x86-64 alone.
    #[doc(alias = "non-temporal stores")]
    pub past_caches_bytes: u64,
}

impl Default for Tuning {
    fn default() -> Tuning {
        Tuning {
            spin: Duration::from_micros(50),
            inline: Duration::from_micros(100),
            task_chunk: Duration::from_micros(200),
            past_caches_bytes: 8 << 20,
        }
    }
}

/// One setting as a number.
pub(super) struct Setting {
    /// Its key in a profile.
    pub(super) key: &'static str,
    /// Values that make sense.
    pub(super) bounds: RangeInclusive<u64>,
    pub(super) get: fn(&Tuning) -> u64,
    pub(super) set: fn(&mut Tuning, u64),
    /// In words, behind the subject.
    told: fn(&Tuning) -> String,
}

pub(super) const SETTINGS: [Setting; 4] = [
    Setting {
        key: "spin_ns",
        bounds: 0..=10_000_000,
        get: |tuning| nanoseconds(tuning.spin),
        set: |tuning, ns| tuning.spin = Duration::from_nanos(ns),
        told: |tuning| format!("workers stay awake for {:?}", tuning.spin),
    },
    Setting {
        key: "inline_ns",
        bounds: 0..=100_000_000,
        get: |tuning| nanoseconds(tuning.inline),
        set: |tuning, ns| tuning.inline = Duration::from_nanos(ns),
        told: |tuning| format!("maps of less than {:?} stay in the caller", tuning.inline),
    },
    Setting {
        key: "task_chunk_ns",
        bounds: 1_000..=1_000_000_000,
        get: |tuning| nanoseconds(tuning.task_chunk),
        set: |tuning, ns| tuning.task_chunk = Duration::from_nanos(ns),
        told: |tuning| format!("chunks of maps take {:?}", tuning.task_chunk),
    },
    Setting {
        key: "past_caches_bytes",
        bounds: 64 << 10..=1 << 40,
        get: |tuning| tuning.past_caches_bytes,
        set: |tuning, bytes| tuning.past_caches_bytes = bytes,
        told: |tuning| format!("results go past the caches from {} KiB on", tuning.past_caches_bytes >> 10),
    },
];

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

impl Tuning {
    /// Returns the same with every setting within the bounds that its field names.
    pub fn clamped(mut self) -> Tuning {
        for Setting { bounds, get, set, .. } in &SETTINGS {
            let value = get(&self);
            set(&mut self, value.clamp(*bounds.start(), *bounds.end()));
        }
        self
    }

    /// The settings that are not the default, in words; empty if all are.
    pub(crate) fn changes(&self) -> String {
        let default = Tuning::default();
        let own = SETTINGS.iter().filter(|setting| (setting.get)(self) != (setting.get)(&default));
        own.map(|setting| (setting.told)(self)).collect::<Vec<_>>().join(", ")
    }
}

/// All settings in one line.
impl fmt::Display for Tuning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: Vec<String> = SETTINGS.iter().map(|setting| (setting.told)(self)).collect();
        f.write_str(&all.join(", "))
    }
}
