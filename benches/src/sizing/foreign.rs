//! What other programs took of the CPUs while a command measured.

use crate::usage::{Shares, Usage};
use phalanx::topology::{CpuSet, Limits};
use serde_json::{Value, json};

/// From here, a reader should not believe the figures.
pub const HEAVY: f64 = 0.05;

/// A reading of the clocks when it began.
pub struct Foreign {
    began: Option<(Usage, u64)>,
    allowed: CpuSet,
}

impl Foreign {
    /// Begins to watch.
    pub fn watch() -> Foreign {
        let allowed = Limits::detect().allowed;
        Foreign { began: read(&allowed), allowed }
    }

    /// Shares of the allowed CPUs that went elsewhere since. Call it when all workers have ended: their time
    /// is known from then on.
    pub fn shares(&self) -> Option<Shares> {
        let ((before, own_before), (after, own_after)) = (self.began?, read(&self.allowed)?);
        Some(after.foreign_since(&before, own_after.saturating_sub(own_before)))
    }
}

/// One sentence for the reader.
pub fn text(shares: Option<Shares>) -> String {
    let Some(Shares { busy, stolen }) = shares else {
        return "foreign load: cannot be told, /proc/stat is not readable".into();
    };
    let told = format!(
        "foreign load: other programs took {:.0} % of the allowed CPUs meanwhile, the hypervisor {:.0} %",
        busy * 100.0,
        stolen * 100.0
    );
    if busy + stolen > HEAVY { format!("{told}: figures are not those of this machine alone") } else { told }
}

/// One object for programs.
pub fn json(bench: &str, shares: Option<Shares>) -> Value {
    let of = |share: fn(&Shares) -> f64| shares.as_ref().map(share);
    json!({"bench": bench, "foreign": {"busy": of(|own| own.busy), "stolen": of(|own| own.stolen)}})
}

/// The usage of the CPUs, and the ticks of this program and of its workers that have ended.
fn read(allowed: &CpuSet) -> Option<(Usage, u64)> {
    let text = |path: &str| std::fs::read_to_string(path).ok();
    Some((Usage::parse(&text("/proc/stat")?, allowed)?, ticks(&text("/proc/self/stat")?)?))
}

/// The sum of utime, stime, cutime and cstime in a line of `/proc/PID/stat`.
fn ticks(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(") ")?;
    let fields: Vec<u64> = rest.split(' ').skip(11).take(4).filter_map(|field| field.parse().ok()).collect();
    (fields.len() == 4).then(|| fields.iter().sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_time_is_that_of_the_program_and_its_children() {
        let stat = "42 (a (b) c) R 1 42 42 0 -1 4194304 100 0 0 0 70 30 5 6 20 0 1 0 100 0 0";
        assert_eq!(ticks(stat), Some(111));
        assert_eq!(ticks("42 (a"), None);
    }

    #[test]
    fn a_busy_machine_is_said_to_be() {
        let said = text(Some(Shares { busy: 0.5, stolen: 0.01 }));
        assert!(said.contains("50 %") && said.ends_with("alone"), "{said}");
        assert!(text(Some(Shares { busy: 0.02, stolen: 0.0 })).ends_with("hypervisor 0 %"));
        assert!(text(None).contains("cannot be told"));
    }
}
