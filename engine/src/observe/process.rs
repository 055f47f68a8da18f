//! What the kernel reports of a process.

use crate::sys::descriptor;
use crate::topology::CpuSet;
use std::time::Duration;

/// A process as /proc describes it.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct ProcessView {
    /// Its number.
    pub pid: u32,
    /// Whether it is stopped, by a signal or a debugger.
    pub is_stopped: bool,
    /// CPU time that it has used, all its threads together.
    pub cpu_time: Duration,
    /// Bytes of memory that are its own; shared arrays do not count.
    pub own_bytes: u64,
    /// The CPUs that its first thread may run on.
    pub cpus: CpuSet,
}

impl ProcessView {
    /// Looks at a process; `None` if it has ended.
    pub(super) fn of(pid: u32) -> Option<ProcessView> {
        let stat = descriptor::read_text(format!("/proc/{pid}/stat")).ok()?;
        // Behind the name, which may hold anything: state, 10 fields, then utime and stime (proc(5)).
        let mut fields = stat.rsplit_once(") ")?.1.split(' ');
        let state = fields.next()?;
        if matches!(state, "Z" | "X") {
            return None;
        }
        let mut ticks = fields.skip(10).map_while(|field| field.parse::<u64>().ok());
        let ticks = ticks.next()?.saturating_add(ticks.next()?);
        let per_second = rustix::param::clock_ticks_per_second().max(1);
        let status = descriptor::read_text(format!("/proc/{pid}/status")).unwrap_or_default();
        let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        let kib = field("RssAnon:").and_then(|text| text.strip_suffix(" kB")?.parse::<u64>().ok());
        Some(ProcessView {
            pid,
            is_stopped: matches!(state, "T" | "t"),
            cpu_time: Duration::from_secs_f64(ticks as f64 / per_second as f64),
            own_bytes: kib.unwrap_or(0).saturating_mul(1024),
            cpus: field("Cpus_allowed_list:").and_then(|text| text.parse().ok()).unwrap_or_default(),
        })
    }
}
