//! What this process may do: resource limits, and system calls that containers deny.

use super::finding::Finding;
use super::group;
use super::host::{Host, bytes};
use phalanx::topology::{Binding, MemoryPolicy, bind_memory, bind_thread, bound_cpuset};
use rustix::process::{PidfdFlags, Resource, getpid, getrlimit, pidfd_open};

/// Descriptors below which a pool of many workers finds none left: each takes a few.
const FEW_FILES: u64 = 1024;
/// Processes and threads of this user.
const FEW_PROCESSES: u64 = 1024;

/// Looks at limits and rights.
pub fn look(host: &Host) -> Vec<Finding> {
    let mut found = vec![
        limit(
            "open files",
            Resource::Nofile,
            FEW_FILES,
            |n| n.to_string(),
            "each worker takes about three: ulimit -n",
        ),
        limit(
            "processes",
            Resource::Nproc,
            FEW_PROCESSES,
            |n| n.to_string(),
            "workers and threads count: ulimit -u",
        ),
        limit(
            "address space",
            Resource::As,
            u64::MAX,
            bytes,
            "arrays beyond it cannot be mapped: ulimit -v unlimited",
        ),
        limit(
            "file size",
            Resource::Fsize,
            u64::MAX,
            bytes,
            "arrays are files to the kernel: ulimit -f unlimited",
        ),
        limit(
            "CPU time",
            Resource::Cpu,
            u64::MAX,
            |n| format!("{n} s"),
            "the kernel ends a process that has used so much: ulimit -t unlimited",
        ),
        limit("locked memory", Resource::Memlock, 0, bytes, "nothing is locked by default"),
    ];
    found.extend(processes(host));
    found.extend([affinity(), memory_policy(), watches(), sandbox(host), tracing(host)]);
    found
}

fn limit(
    check: &'static str,
    resource: Resource,
    enough: u64,
    shown: impl Fn(u64) -> String,
    advice: &str,
) -> Finding {
    match getrlimit(resource).current {
        None => Finding::good(check, "unlimited"),
        Some(limit) if limit >= enough => Finding::good(check, format!("up to {}", shown(limit))),
        Some(limit) => Finding::note(check, format!("up to {}", shown(limit)), advice),
    }
}

/// The cgroup's limit on processes, where there is one.
fn processes(host: &Host) -> Option<Finding> {
    let bound = group::processes(host)?;
    let found = format!("{} of {} processes and threads used in this cgroup", bound.used, bound.limit);
    Some(if bound.room() >= FEW_PROCESSES {
        Finding::good("pids limit", found)
    } else {
        let advice = "workers and their threads count: raise the cgroup's pids.max (docker --pids-limit)";
        Finding::note("pids limit", found, advice)
    })
}

fn affinity() -> Finding {
    let outcome = match bound_cpuset() {
        Ok(own) => bind_thread(&own),
        Err(error) => Binding::Refused { errno: error.raw_os_error().unwrap_or(libc::EPERM) },
    };
    if outcome.is_bound() {
        return Finding::good("pinning", "allowed");
    }
    Finding::note("pinning", outcome.to_string(), "workers move between cores: allow sched_setaffinity")
}

fn memory_policy() -> Finding {
    let outcome = bind_memory(MemoryPolicy::Local);
    let back = bind_memory(MemoryPolicy::Default);
    if outcome.is_bound() && back.is_bound() {
        return Finding::good("memory binding", "allowed");
    }
    let advice = "pages lie where they are first touched, which is right unless the driver fills arrays: \
                  allow set_mempolicy and mbind (docker --cap-add SYS_NICE)";
    Finding::note("memory binding", outcome.to_string(), advice)
}

fn watches() -> Finding {
    match pidfd_open(getpid(), PidfdFlags::empty()) {
        Ok(_) => Finding::good("death watch", "the kernel tells at once when a worker dies"),
        Err(error) => {
            Finding::note("death watch", format!("pidfd_open is refused: {error}"), "allow it: pools need it")
        }
    }
}

fn sandbox(host: &Host) -> Finding {
    let filters = host.line("proc/self/status", "Seccomp").unwrap_or(0) != 0;
    let container = host.has(".dockerenv") || host.has("run/.containerenv");
    let found = match (container, filters) {
        (false, false) => "none",
        (true, false) => "a container, no filter of system calls",
        (false, true) => "a filter of system calls",
        (true, true) => "a container with a filter of system calls",
    };
    Finding::good("sandbox", found)
}

fn tracing(host: &Host) -> Finding {
    let paranoid = host.text("proc/sys/kernel/perf_event_paranoid").and_then(|text| text.parse::<i32>().ok());
    match paranoid {
        Some(level) if level > 2 => Finding::note(
            "counters",
            format!("perf_event_paranoid is {level}"),
            "profilers see nothing: sysctl kernel.perf_event_paranoid=1",
        ),
        Some(level) => Finding::good("counters", format!("perf_event_paranoid is {level}")),
        None => Finding::good("counters", "this kernel has none"),
    }
}
