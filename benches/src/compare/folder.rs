//! A folder for temporary files that is gone when this program is, in whatever way it ends.

use crate::harness::Outcome;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Waits until its input ends, which is when the program ends or drops the folder; what ends the program by the
/// terminal or its process group does not end it.
const GUARD: &str = "trap '' HUP INT QUIT TERM; read -r line; rm -rf -- \"$0\"";

/// The folder, and the shell that removes it.
pub struct Folder {
    path: PathBuf,
    guard: Child,
}

impl Folder {
    /// Makes a folder that nobody else can open.
    pub fn new() -> Outcome<Folder> {
        let folder = tempfile::Builder::new().prefix("phalanx-bench-").tempdir()?;
        let guard = Command::new("sh")
            .args(["-c", GUARD])
            .arg(folder.path())
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("sh cannot be started, which removes temporary files: {error}"))?;
        Ok(Folder { path: folder.keep(), guard })
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Lets the shell remove it, and waits for that.
    fn remove(&mut self) {
        drop(self.guard.stdin.take());
        let _removed = self.guard.wait();
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        self.remove();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_gone_with_what_is_in_it() {
        let folder = Folder::new().unwrap();
        let path = folder.path().to_owned();
        std::fs::create_dir(path.join("of --odd name")).unwrap();
        std::fs::write(path.join("of --odd name/file"), "text").unwrap();
        drop(folder);
        assert!(!path.exists());
    }

    #[test]
    fn the_shell_survives_what_ends_the_program() {
        let mut folder = Folder::new().unwrap();
        let pid = rustix::process::Pid::from_child(&folder.guard);
        // It may take a moment until the shell has set its traps: it is there when it has been asked to do more.
        let is_waiting = || {
            let status = std::fs::read_to_string(format!("/proc/{}/status", folder.guard.id())).unwrap();
            let ignored =
                status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap().trim().to_owned();
            u64::from_str_radix(&ignored, 16).unwrap() & 1 << 14 != 0
        };
        while !is_waiting() {
            std::thread::yield_now();
        }
        for signal in [rustix::process::Signal::INT, rustix::process::Signal::TERM] {
            rustix::process::kill_process(pid, signal).unwrap();
        }
        assert!(folder.path().exists());
        folder.remove();
        assert!(!folder.path().exists());
    }
}
