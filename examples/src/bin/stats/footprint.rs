//! Memory of processes as the kernel counts it: each page shared by n processes counts as 1/n for each (PSS).

/// PSS of the given processes together in bytes; those that ended meanwhile or may not be asked count nothing.
pub fn pss_bytes(pids: &[u32]) -> u64 {
    let of = |pid: &u32| {
        let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
        line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()
    };
    pids.iter().filter_map(of).sum::<u64>() * 1024
}
