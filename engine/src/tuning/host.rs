//! What identifies a host: its topology, its kernel and its processor.

use crate::sys::descriptor;
use crate::topology::Machine;
use std::fmt::Write as _;
use std::io::Read;
use twox_hash::XxHash3_64;

/// Lines of `/proc/cpuinfo` that name a kind of processor, on the architectures of Linux.
const MODEL: [&str; 12] = [
    "vendor_id",
    "cpu family",
    "model",
    "model name",
    "stepping",
    "CPU implementer",
    "CPU architecture",
    "CPU variant",
    "CPU part",
    "CPU revision",
    "cpu",
    "uarch",
];
/// Enough for the first CPU. The whole file takes long to read where there are many.
const FIRST_CPU_BYTES: u64 = 4096;

/// A host in a few words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Host {
    /// Equal on hosts with the same topology, kernel and kind of processor.
    pub(super) key: u64,
    /// For people.
    pub(super) name: String,
}

impl Host {
    /// This host, with the topology that a pool goes by.
    pub(super) fn of(machine: &Machine) -> Host {
        let kernel = rustix::system::uname().release().to_string_lossy().into_owned();
        Host::described(machine, &kernel, &first_cpu())
    }

    fn described(machine: &Machine, kernel: &str, cpuinfo: &str) -> Host {
        let text = format!("{}{kernel}\n{}", topology(machine), model(cpuinfo));
        let name = value(cpuinfo, "model name").unwrap_or("unknown processor");
        let name = format!("{name}, {} cores, Linux {kernel}", machine.cores().len());
        Host { key: XxHash3_64::oneshot(text.as_bytes()), name }
    }
}

/// What of the topology tells machines apart. Not how much memory there is, which differs a little from boot to
/// boot.
fn topology(machine: &Machine) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    for own in machine.packages() {
        let _ = writeln!(text, "package {}", own.cpuset);
    }
    for own in machine.cores() {
        let _ = writeln!(text, "core {} {}", own.cpuset, own.efficiency);
    }
    for own in machine.caches() {
        let _ = writeln!(text, "cache {} {} {}", own.level, own.size_bytes, own.cpuset);
    }
    for own in machine.nodes() {
        let _ = writeln!(text, "node {} {}", own.os_index, own.cpuset);
    }
    text
}

fn first_cpu() -> String {
    let mut text = Vec::new();
    let file = descriptor::open_to_read("/proc/cpuinfo");
    // Where it cannot be read, the topology and the kernel have to do.
    let _read = file.and_then(|file| file.take(FIRST_CPU_BYTES).read_to_end(&mut text));
    String::from_utf8_lossy(&text).into_owned()
}

fn model(cpuinfo: &str) -> String {
    MODEL.iter().map(|key| format!("{key}={}\n", value(cpuinfo, key).unwrap_or_default())).collect()
}

/// The first value of a key.
fn value<'t>(cpuinfo: &'t str, key: &str) -> Option<&'t str> {
    let pairs = cpuinfo.lines().filter_map(|line| line.split_once(':'));
    pairs.into_iter().find(|(own, _)| own.trim() == key).map(|(_, value)| value.trim())
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    const XEON: &str = "processor\t: 0\nvendor_id\t: GenuineIntel\nmodel\t\t: 167\nmodel name\t: A Xeon\n\
        cpu MHz\t\t: 2400.0\n\nprocessor\t: 1\nmodel name\t: Another\n";

    #[test]
    fn a_host_is_told_by_its_topology_its_kernel_and_its_processor() {
        let machine = |text| Machine::from_synthetic(text).unwrap();
        let own = Host::described(&machine("package:1 core:2 pu:2"), "6.18", XEON);
        assert_eq!(own.name, "A Xeon, 2 cores, Linux 6.18");
        let faster = XEON.replace("2400.0", "3100.0");
        assert_eq!(own, Host::described(&machine("package:1 core:2 pu:2"), "6.18", &faster));
        let others = [
            Host::described(&machine("package:1 core:2 pu:1"), "6.18", XEON),
            Host::described(&machine("package:1 l3:2 core:1 pu:2"), "6.18", XEON),
            Host::described(&machine("package:1 core:2 pu:2"), "6.19", XEON),
            Host::described(&machine("package:1 core:2 pu:2"), "6.18", &XEON.replace("167", "168")),
        ];
        others.iter().for_each(|other| assert_ne!(other.key, own.key, "{other:?}"));
    }

    #[test]
    fn this_host_is_the_same_every_time() {
        let machine = Machine::detect().unwrap();
        assert_eq!(Host::of(&machine), Host::of(&machine));
        assert!(Host::of(&machine).name.contains("Linux "));
    }
}
