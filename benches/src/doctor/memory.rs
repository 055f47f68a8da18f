//! Memory: how much there is, where shared memory may lie, and which pages it can have.

use super::finding::Finding;
use super::group;
use super::host::{Host, bytes};
use super::pages;
use phalanx::SharedArray;
use phalanx::topology::Machine;
use rustix::fs::StatVfsMountFlags;

/// Room in `/dev/shm` below which named arrays are likely to find none; containers have 64 MiB by default.
const LITTLE_SHM: u64 = 256 << 20;
/// An array that every program of any size makes.
const USUAL_ARRAY: usize = 64 << 20;

/// Looks at memory.
pub fn look(host: &Host, machine: &Machine) -> Vec<Finding> {
    let mut found = vec![available(host)];
    found.extend(group(host));
    found.extend([shared(), shm(host)]);
    found.extend(huge(host));
    found.extend(numa(host, machine));
    found.extend([swap(host), overcommit(host), oom(host)]);
    found
}

fn available(host: &Host) -> Finding {
    let [total, free] = ["MemTotal", "MemAvailable"].map(|name| host.line("proc/meminfo", name));
    let (Some(total), Some(free)) = (total, free) else {
        return Finding::note("memory", "unknown", "mount /proc");
    };
    let found = format!("{} of {} available", bytes(free), bytes(total));
    if free >= total / 10 {
        return Finding::good("memory", found);
    }
    Finding::note("memory", found, "arrays reserve their pages when they are made: large ones may be refused")
}

fn group(host: &Host) -> Option<Finding> {
    let bound = group::memory(host)?;
    let found = format!("{} of {} used in this cgroup", bytes(bound.used), bytes(bound.limit));
    Some(if bound.room() > bound.limit / 10 {
        Finding::good("memory limit", found)
    } else {
        let advice = "arrays beyond it are refused: raise the cgroup's limit (docker --memory)";
        Finding::note("memory limit", found, advice)
    })
}

/// Whether an array can be made as programs make it.
fn shared() -> Finding {
    match SharedArray::<u8>::zeros(USUAL_ARRAY) {
        Ok(_) => {
            Finding::good("shared memory", format!("an array of {} was reserved", bytes(USUAL_ARRAY as u64)))
        }
        Err(error) => {
            let found = format!("an array of {} was refused: {error}", bytes(USUAL_ARRAY as u64));
            Finding::note("shared memory", found, "no program with arrays of that size will run")
        }
    }
}

fn shm(host: &Host) -> Finding {
    let advice = "only named arrays and named blocks need it: mount a tmpfs there (docker --shm-size)";
    if !host.has("dev/shm") {
        return Finding::note("/dev/shm", "missing", advice);
    }
    match rustix::fs::statvfs("/dev/shm") {
        Ok(room) if room.f_flag.contains(StatVfsMountFlags::RDONLY) => {
            Finding::note("/dev/shm", "mounted read-only", advice)
        }
        Ok(room) => {
            let free = room.f_bavail.saturating_mul(room.f_frsize);
            let found = format!("{} free", bytes(free));
            if free < LITTLE_SHM {
                Finding::note("/dev/shm", found, advice)
            } else {
                Finding::good("/dev/shm", found)
            }
        }
        Err(error) => Finding::note("/dev/shm", format!("cannot be asked: {error}"), advice),
    }
}

fn huge(host: &Host) -> Vec<Finding> {
    let reserved = host.line("proc/meminfo", "HugePages_Total").unwrap_or(0);
    let free = host.line("proc/meminfo", "HugePages_Free").unwrap_or(0);
    let size = host.line("proc/meminfo", "Hugepagesize").unwrap_or(2 << 20);
    let shmem = host.choice("sys/kernel/mm/transparent_hugepage/shmem_enabled");
    let private = host.choice("sys/kernel/mm/transparent_hugepage/enabled");
    let name = |choice: &Option<String>| choice.clone().unwrap_or("unknown".into());
    let found = format!(
        "transparent: {} for shared memory, {} for private; {free} of {reserved} reserved pages of {} free",
        name(&shmem),
        name(&private),
        bytes(size),
    );
    let has_shared = matches!(shmem.as_deref(), Some("always" | "advise" | "within_size" | "force"));
    let mut findings = vec![if has_shared || free > 0 {
        Finding::good("huge pages", found)
    } else {
        let advice = "arrays have pages of 4 KiB: echo advise > \
                      /sys/kernel/mm/transparent_hugepage/shmem_enabled, or reserve some (vm.nr_hugepages)";
        Finding::note("huge pages", found, advice)
    }];
    // What small pages cost, on private memory, which may have huge ones where shared memory has not.
    let has_private = matches!(private.as_deref(), Some("always" | "madvise"));
    if has_private && room(host) < pages::NEEDED {
        // The kernel would not refuse the memory, but end whoever takes it.
        let found = format!(
            "not measured: {} of memory are left, and it takes {}",
            bytes(room(host)),
            bytes(pages::NEEDED)
        );
        findings.push(Finding::good("small pages", found));
    } else if has_private && let Some([small, large]) = pages::random_reads_ns() {
        let found =
            format!("random reads of 256 MiB: {small:.1} ns on small pages, {large:.1} ns on huge ones");
        let share = (1.0 - large / small).max(0.0);
        let advice = "programs that read at random places lose this, those that stream do not";
        findings.push(if has_shared || free > 0 {
            Finding::good("small pages", found)
        } else {
            Finding::note("small pages", format!("{found}: {:.0} %", share * 100.0), advice)
        });
    }
    findings
}

/// Bytes that this process can still take.
fn room(host: &Host) -> u64 {
    let free = host.line("proc/meminfo", "MemAvailable").unwrap_or(0);
    group::memory(host).map_or(free, |bound| bound.room().min(free))
}

fn numa(host: &Host, machine: &Machine) -> Option<Finding> {
    if machine.nodes().len() < 2 {
        return Some(Finding::good("NUMA", "one node"));
    }
    Some(match host.number("proc/sys/kernel/numa_balancing") {
        Some(0) | None => {
            Finding::good("NUMA", format!("{} nodes, pages stay where they are", machine.nodes().len()))
        }
        Some(_) => Finding::note(
            "NUMA",
            format!("{} nodes, and the kernel moves pages between them", machine.nodes().len()),
            "workers and their pages are placed already, and the scans cost time: sysctl kernel.numa_balancing=0",
        ),
    })
}

fn swap(host: &Host) -> Finding {
    let total = host.line("proc/meminfo", "SwapTotal").unwrap_or(0);
    let used = total.saturating_sub(host.line("proc/meminfo", "SwapFree").unwrap_or(0));
    match (total, used) {
        (0, _) => Finding::good("swap", "none"),
        (_, used) if used < total / 20 => {
            Finding::good("swap", format!("{} of {} used", bytes(used), bytes(total)))
        }
        _ => Finding::note(
            "swap",
            format!("{} of {} used", bytes(used), bytes(total)),
            "a page of an array that was swapped out stops every worker that waits for it",
        ),
    }
}

fn overcommit(host: &Host) -> Finding {
    match host.number("proc/sys/vm/overcommit_memory") {
        Some(2) => Finding::note(
            "overcommit",
            "strict accounting",
            "address space counts as memory: large sparse mappings may be refused (vm.overcommit_memory=0)",
        ),
        _ => Finding::good("overcommit", "address space is free"),
    }
}

fn oom(host: &Host) -> Finding {
    let score = host.text("proc/self/oom_score_adj").and_then(|text| text.parse::<i32>().ok()).unwrap_or(0);
    if score <= 0 {
        return Finding::good("oom score", format!("adjusted by {score}"));
    }
    let advice = "when memory runs out the kernel kills this process and its workers before others";
    Finding::note("oom score", format!("adjusted by {score}"), advice)
}

#[cfg(test)]
mod tests {
    use super::super::finding::Verdict;
    use super::*;

    /// A machine with these files, and what is found there.
    fn of(files: &[(&str, &str)], name: &str) -> Vec<Finding> {
        let root = std::env::temp_dir().join(format!("phalanx-memory-{name}-{}", std::process::id()));
        for (path, text) in files {
            let path = root.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let found = look(&Host::at(&root), &Machine::from_synthetic("package:2 numa:1 core:2").unwrap());
        std::fs::remove_dir_all(root).unwrap();
        found
    }

    fn verdict<'a>(found: &'a [Finding], check: &str) -> (Verdict, &'a str) {
        let finding = found.iter().find(|finding| finding.check == check).unwrap();
        (finding.verdict, &finding.found)
    }

    #[test]
    fn what_is_short_is_named() {
        let meminfo = "MemTotal: 1000000 kB\nMemAvailable: 50000 kB\nSwapTotal: 1000 kB\nSwapFree: 100 kB\n\
                       HugePages_Total: 0\nHugePages_Free: 0\nHugepagesize: 2048 kB\n";
        let found = of(
            &[
                ("proc/meminfo", meminfo),
                ("proc/sys/kernel/numa_balancing", "1\n"),
                ("proc/sys/vm/overcommit_memory", "2\n"),
                ("proc/self/oom_score_adj", "500\n"),
                ("proc/self/cgroup", "0::/\n"),
                ("sys/fs/cgroup/memory.max", "1048576\n"),
                ("sys/fs/cgroup/memory.current", "1000000\n"),
                (
                    "sys/kernel/mm/transparent_hugepage/shmem_enabled",
                    "always within_size advise [never] deny force",
                ),
            ],
            "short",
        );
        for check in
            ["memory", "memory limit", "/dev/shm", "huge pages", "NUMA", "swap", "overcommit", "oom score"]
        {
            assert_eq!(verdict(&found, check).0, Verdict::Note, "{check}: {found:?}");
        }
        assert_eq!(verdict(&found, "memory limit").1, "977 KiB of 1 MiB used in this cgroup");
    }

    #[test]
    fn what_suffices_is_good() {
        let meminfo =
            "MemTotal: 1000000 kB\nMemAvailable: 900000 kB\nHugePages_Total: 8\nHugePages_Free: 8\n";
        let found = of(
            &[
                ("proc/meminfo", meminfo),
                ("proc/sys/kernel/numa_balancing", "0\n"),
                ("proc/self/cgroup", "4:memory:/\n"),
                ("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"),
            ],
            "good",
        );
        for check in ["memory", "huge pages", "NUMA", "swap", "overcommit", "oom score"] {
            assert_eq!(verdict(&found, check).0, Verdict::Good, "{check}: {found:?}");
        }
        assert!(!found.iter().any(|finding| finding.check == "memory limit"));
    }
}
