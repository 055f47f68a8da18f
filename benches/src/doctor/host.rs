//! The files under `/proc` and `/sys` that say what a machine is, or a recorded tree of them.

use std::path::PathBuf;

/// A tree of files.
pub struct Host {
    root: PathBuf,
}

impl Host {
    /// This machine.
    pub fn here() -> Host {
        Host { root: "/".into() }
    }

    /// A tree below another root.
    #[cfg(test)]
    pub fn at(root: impl Into<PathBuf>) -> Host {
        Host { root: root.into() }
    }

    /// A file's text without space at its ends; `None` if it cannot be read.
    pub fn text(&self, path: &str) -> Option<String> {
        let text = std::fs::read_to_string(self.root.join(path)).ok()?;
        Some(text.trim().to_owned())
    }

    /// A file's number.
    pub fn number(&self, path: &str) -> Option<u64> {
        self.text(path)?.parse().ok()
    }

    /// Whether there is such a file.
    pub fn has(&self, path: &str) -> bool {
        self.root.join(path).exists()
    }

    /// The word in brackets of a file such as `always [madvise] never`.
    pub fn choice(&self, path: &str) -> Option<String> {
        let text = self.text(path)?;
        let (_, rest) = text.split_once('[')?;
        Some(rest.split_once(']')?.0.to_owned())
    }

    /// A line `name: number unit` of a file such as `/proc/meminfo`, in bytes where the unit is kB.
    pub fn line(&self, path: &str, name: &str) -> Option<u64> {
        let text = self.text(path)?;
        let rest = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        let mut words = rest.split_whitespace();
        let number: u64 = words.next()?.parse().ok()?;
        Some(if words.next() == Some("kB") { number.saturating_mul(1024) } else { number })
    }

    /// What a file of each CPU says, each once, for example all governors in use.
    pub fn of_cpus(&self, cpus: impl Iterator<Item = u32>, file: &str) -> Vec<String> {
        let texts = cpus.filter_map(|cpu| self.text(&format!("sys/devices/system/cpu/cpu{cpu}/{file}")));
        let mut texts: Vec<String> = texts.collect();
        texts.sort();
        texts.dedup();
        texts
    }
}

/// A number of bytes, to be read by people.
pub fn bytes(bytes: u64) -> String {
    let mut value = bytes as f64;
    for unit in ["B", "KiB", "MiB"] {
        if value < 1024.0 {
            return format!("{value:.0} {unit}");
        }
        value /= 1024.0;
    }
    format!("{value:.1} GiB")
}
