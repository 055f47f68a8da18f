//! Counts of everything that a program can leak.

use std::fs::read_to_string;
use std::time::{Duration, Instant};

/// One count of everything.
#[derive(Clone, Copy, Debug)]
pub struct Census {
    counts: [(&'static str, usize); 7],
}

fn entries(path: &str, word: &str) -> usize {
    let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
    entries.filter(|entry| entry.file_name().to_string_lossy().contains(word)).count()
}

fn children() -> Vec<String> {
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    tasks
        .flat_map(|task| {
            let list = read_to_string(task.path().join("children")).unwrap_or_default();
            list.split_whitespace().map(str::to_string).collect::<Vec<_>>()
        })
        .collect()
}

impl Census {
    pub fn take() -> Census {
        let maps = read_to_string("/proc/self/maps").unwrap_or_default();
        let children = children();
        let is_zombie = |pid: &&String| {
            let stat = read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('Z'))
        };
        Census {
            counts: [
                ("descriptors", entries("/proc/self/fd", "")),
                ("threads", entries("/proc/self/task", "")),
                ("shared mappings", maps.lines().filter(|line| line.contains("memfd:")).count()),
                ("children", children.len()),
                ("zombies", children.iter().filter(is_zombie).count()),
                ("entries of /dev/shm", entries("/dev/shm", "phalanx")),
                ("temporary files", entries("/tmp", "phalanx")),
            ],
        }
    }

    /// Returns, in words, what has grown for good. Threads that are ending get a moment to do so.
    pub fn lasting_growth(&self) -> Vec<String> {
        let until = Instant::now() + Duration::from_secs(2);
        loop {
            let growth = self.growth(&Census::take());
            if growth.is_empty() || Instant::now() >= until {
                return growth;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Returns, in words, what has grown.
    fn growth(&self, later: &Census) -> Vec<String> {
        let pairs = self.counts.iter().zip(later.counts);
        pairs
            .filter(|(before, after)| after.1 > before.1)
            .map(|(before, after)| format!("{} {} -> {}", before.0, before.1, after.1))
            .collect()
    }
}
