//! The running program's file: opened once, executed again, compared.

use super::error::StartError;
use super::fingerprint::{EXE, Fingerprint};
use super::handshake::{Hello, MARKER, Role, SHOWN};
use super::starting::Starting;
use crate::sys::{descriptor, process, socket};
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The file of the running program, opened once, so that workers can execute it even after it was removed or
/// replaced.
#[derive(Debug)]
pub(super) struct Executable {
    /// None if /proc is missing: then `path` is the program's own path.
    file: Option<File>,
    path: PathBuf,
    /// Taken when the file was opened; every started process must have the same.
    pub(super) fingerprint: Fingerprint,
    /// The number of threads that native libraries in executed processes are told to use.
    pub(super) native_threads: Option<usize>,
}

/// Variables by which libraries for numeric work choose their number of threads: OpenMP, OpenBLAS, MKL, BLIS,
/// numexpr, rayon.
const THREAD_VARIABLES: [&str; 6] = [
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "RAYON_NUM_THREADS",
];

impl Executable {
    pub(super) fn open() -> Result<Executable, StartError> {
        let fingerprint = Fingerprint::of_this_process();
        // O_PATH: executing needs no permission to read.
        match descriptor::open(OpenOptions::new().read(true).custom_flags(libc::O_PATH), EXE) {
            Ok(file) => {
                let path = format!("/proc/self/fd/{}", file.as_raw_fd()).into();
                Ok(Executable { file: Some(file), path, fingerprint, native_threads: None })
            }
            Err(source) => Executable::by_name().ok_or(StartError::ExeGone { source }),
        }
    }

    /// Without /proc: the name that the kernel was given, if it is absolute and the file still exists. The
    /// handshake checks that it is the same build.
    fn by_name() -> Option<Executable> {
        use std::os::unix::ffi::OsStrExt;
        let name = Path::new(std::ffi::OsStr::from_bytes(rustix::param::linux_execfn().to_bytes()));
        (name.is_absolute() && name.is_file()).then(|| Executable {
            file: None,
            path: name.to_owned(),
            fingerprint: Fingerprint::of_this_process(),
            native_threads: None,
        })
    }

    /// Executes the program again and greets the new process.
    ///
    /// std's spawn does this by `posix_spawn` (a vfork and an exec), because nothing asked for here runs code
    /// of ours between the two; the multi-threaded caller is never forked.
    pub(super) fn spawn(&self, role: Role, name: &str, preload: u64) -> Result<Starting, StartError> {
        let (ours, theirs) =
            socket::pair().map_err(|source| StartError::from_call("making a socket pair", source))?;
        let mut command = Command::new(&self.path);
        // Kernels and initializers see the program's own arguments (see `constructor`).
        command.arg0(shown_name(name)).args(std::env::args_os().skip(1)).env(MARKER, role.marker());
        command.stdin(Stdio::from(theirs));
        for (key, _) in std::env::vars_os().filter(|(key, _)| is_drivers_own(key)) {
            command.env_remove(key);
        }
        if let Some(threads) = self.native_threads {
            for name in THREAD_VARIABLES.iter().filter(|name| std::env::var_os(name).is_none()) {
                command.env(name, threads.to_string());
            }
        }
        // Dropping std's handle neither waits nor kills; from here on the pidfd is the process. `command`
        // holds the worker's end of the socket and must go, or its death would not be end of file.
        let pid = command.spawn().map_err(|source| self.spawn_error(source))?.id();
        drop(command);
        let starting = Starting::adopt(pid, ours)?;
        starting.greet(&Hello::new(process::own_pid(), name, preload), &inherited_descriptors());
        Ok(starting)
    }

    fn spawn_error(&self, source: io::Error) -> StartError {
        match source.raw_os_error() {
            Some(libc::ENOENT) if self.file.is_none() => StartError::ExeGone { source },
            Some(libc::EACCES | libc::EPERM | libc::ENOENT | libc::ENOEXEC | libc::ETXTBSY) => {
                StartError::ExecRefused { source }
            }
            _ => StartError::from_call("spawning a process", source),
        }
    }
}

/// Beginnings of variables that are the driver's alone. hwloc's would change what a library in a worker sees
/// of the machine. Those of MPI's launchers say which rank a process is: a library with MPI in it (parallel
/// HDF5, say) would take the worker for the driver.
const DRIVERS_OWN: [&str; 9] =
    ["HWLOC_", "OMPI_", "OPAL_", "PMIX_", "PMI_", "PRTE_", "HYDI_", "MPI_LOCAL", "PALS_"];

pub(super) fn is_drivers_own(key: &std::ffi::OsStr) -> bool {
    let is_of_step = key.as_encoded_bytes() == b"SLURM_PROCID" || key.as_encoded_bytes() == b"SLURM_LOCALID";
    is_of_step || DRIVERS_OWN.iter().any(|beginning| key.as_encoded_bytes().starts_with(beginning.as_bytes()))
}

/// What `ps` shows for a started process, before its arguments.
fn shown_name(name: &str) -> OsString {
    let mut shown = std::env::args_os().next().unwrap_or_default();
    shown.push(SHOWN);
    shown.push(format!("{name}]"));
    shown
}

/// Descriptors of this process that survive an exec because they were not opened close-on-exec. Workers close
/// exactly these numbers; otherwise they would keep the host's pipes and files open as long as they live.
fn inherited_descriptors() -> Vec<i32> {
    let Ok(entries) = std::fs::read_dir("/proc/self/fd") else { return Vec::new() };
    let numbers = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    numbers.filter(|&number| number > 2 && process::survives_exec(number)).collect()
}
