//! Who started this process: MPI's launchers say so in the environment.

use std::ffi::OsString;

/// What names the library to load instead of the ones that go with the launcher.
const OVERRIDE: &str = "PHALANX_MPI";

const OPEN_MPI: &str = "libmpi.so.40";
const STANDARD: &str = "libmpi_abi.so.1";
/// MPICH and its kin; Debian names its own.
const MPICH: [&str; 2] = ["libmpi.so.12", "libmpich.so.12"];

/// A launcher that started this process as one of several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Launcher {
    pub(super) name: &'static str,
    /// How many processes it says there are.
    pub(super) size: Option<usize>,
    /// The libraries that can talk to it, best first.
    pub(super) libraries: Vec<String>,
}

impl Launcher {
    /// Reads the environment. `None` if no launcher of MPI started this process.
    pub(super) fn detect(variable: impl Fn(&str) -> Option<OsString>) -> Option<Launcher> {
        let number = |name: &str| variable(name)?.to_str()?.parse::<usize>().ok();
        let is_set = |name: &str| variable(name).is_some();
        let of_slurm = number("SLURM_STEP_NUM_TASKS");
        let (name, size, mut libraries) = if is_set("OMPI_COMM_WORLD_SIZE") {
            ("Open MPI's mpirun", number("OMPI_COMM_WORLD_SIZE"), vec![OPEN_MPI, STANDARD])
        } else if is_set("PMI_RANK") || is_set("PMI_SIZE") {
            let size = number("PMI_SIZE").or(of_slurm);
            ("a launcher with PMI", size, vec![MPICH[0], MPICH[1], STANDARD])
        } else if is_set("PMIX_RANK") {
            ("a launcher with PMIx", of_slurm, vec![OPEN_MPI, STANDARD, MPICH[0], MPICH[1]])
        } else if of_slurm.is_some_and(|tasks| tasks > 1) {
            ("srun", of_slurm, vec![STANDARD, MPICH[0], MPICH[1], OPEN_MPI])
        } else if is_set(OVERRIDE) {
            (OVERRIDE, None, Vec::new())
        } else {
            return None;
        };
        let forced = variable(OVERRIDE).map(|path| path.to_string_lossy().into_owned());
        let known = libraries.drain(..).map(str::to_owned).collect();
        Some(Launcher { name, size, libraries: forced.map_or(known, |path| vec![path]) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn launcher(variables: &[(&str, &str)]) -> Option<Launcher> {
        Launcher::detect(|name| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into()))
    }

    #[test]
    fn each_launcher_is_known_by_its_variables_and_brings_its_libraries() {
        assert_eq!(launcher(&[]), None);
        // A batch script: one process, whatever the job has.
        assert_eq!(launcher(&[("SLURM_NTASKS", "8"), ("SLURM_PROCID", "0")]), None);
        assert_eq!(launcher(&[("SLURM_STEP_NUM_TASKS", "1"), ("SLURM_PROCID", "0")]), None);
        let first = |variables: &[(&str, &str)]| {
            let launcher = launcher(variables).expect("one is named");
            (launcher.size, launcher.libraries[0].clone())
        };
        assert_eq!(first(&[("OMPI_COMM_WORLD_SIZE", "4"), ("PMIX_RANK", "1")]), (Some(4), OPEN_MPI.into()));
        assert_eq!(first(&[("PMI_RANK", "1"), ("PMI_SIZE", "3")]), (Some(3), MPICH[0].into()));
        assert_eq!(first(&[("PMIX_RANK", "1"), ("SLURM_STEP_NUM_TASKS", "2")]), (Some(2), OPEN_MPI.into()));
        assert_eq!(first(&[("SLURM_STEP_NUM_TASKS", "2")]), (Some(2), STANDARD.into()));
    }

    #[test]
    fn the_override_replaces_the_libraries_and_makes_a_job_of_its_own() {
        let cray = ("PHALANX_MPI", "/opt/libmpi_gnu_123.so.12");
        let launched = launcher(&[("PMI_RANK", "0"), ("PMI_SIZE", "2"), cray]).expect("PMI");
        assert_eq!((launched.size, launched.libraries), (Some(2), vec![cray.1.to_owned()]));
        let alone = launcher(&[cray]).expect("the override");
        assert_eq!((alone.size, alone.libraries), (None, vec![cray.1.to_owned()]));
    }
}
