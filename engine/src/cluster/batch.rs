//! What a batch system tells a program: that its time is nearly over, and which part of an array job it is.
#![deny(clippy::arithmetic_side_effects)]

use super::error::ClusterError;
use super::meeting::Call;
use super::member::{Cluster, read, write};
use super::pool::ClusterPool;
use crate::sys::stop_signal;
use std::ops::Range;
use std::panic::Location;

impl Cluster {
    /// Returns whether the job is to end soon: whether any driver has been sent SIGTERM or SIGUSR1 since it
    /// first called this. All drivers return the same, so that all save the same step. Called by all drivers
    /// together; costs a message to and from every other driver.
    ///
    /// Batch systems send these signals before a job's time is over: Slurm sends SIGTERM when it is, and
    /// `#SBATCH --signal=USR1@120` sends SIGUSR1 two minutes before. From the first call on, neither ends
    /// the driver any more. A handler that the program has set before is called as well. Workers of every pool take no notice of SIGUSR1; SIGTERM ends them.
    ///
    /// # Errors
    /// [`ClusterError::Disagree`].
    ///
    /// ```
    /// use phalanx::cluster::{self, ClusterError};
    ///
    /// cluster::run(|cluster| {
    ///     for step in 0..10 {
    ///         // ... compute ...
    ///         if cluster.should_stop()? {
    ///             println!("saving step {step}");
    ///             break;
    ///         }
    ///     }
    ///     Ok::<(), ClusterError>(())
    /// })?;
    /// # Ok::<(), ClusterError>(())
    /// ```
    #[doc(alias("SIGTERM", "SIGUSR1", "signal", "preemption"))]
    #[track_caller]
    pub fn should_stop(&self) -> Result<bool, ClusterError> {
        let own = stop_signal::is_told();
        let Some(link) = &self.link else { return Ok(own) };
        let said = link.say(Call::ShouldStop, 0, &write(&own)?, Location::caller(), |_, _| true)?;
        said.iter().try_fold(false, |any, bytes| Ok(read::<bool>(bytes)? || any))
    }
}

impl ClusterPool {
    /// Returns whether the job is to end soon: whether driver 0, which leads, has been sent SIGTERM or SIGUSR1
    /// since it first asked. As [`Cluster::should_stop`], without asking the other drivers.
    pub fn should_stop(&self) -> bool {
        stop_signal::is_told()
    }
}

/// Returns this task's part of the indices `0..len` in a Slurm array job (`sbatch --array=0-9`), for jobs that need
/// nothing of each other: neighbouring indices, nearly as many for each task. Outside of an array job it is all of
/// them.
///
/// It reads `SLURM_ARRAY_TASK_ID`, `_COUNT`, `_MIN` and `_STEP`. No MPI is needed, and no cluster: each task of the
/// array is a program of its own. ([`Cluster::part`] is another thing: the part of one driver among those of one
/// job.) With a [journal](crate::Tasks::journal) for each part, a task that is run again repeats nothing.
///
/// # Errors
/// [`ClusterError::ArrayTask`] if a variable is missing or no number, or if the array's numbers do not go in equal
/// steps, as those of `--array=1,3,7`: then nobody can tell which part is whose.
///
/// ```
/// use phalanx::cluster;
///
/// let files: Vec<String> = (0..1000).map(|n| format!("scan-{n}.npy")).collect();
/// for file in &files[cluster::array_part(files.len())?] {
///     // ...
/// #   assert!(file.ends_with(".npy"));
/// }
/// # Ok::<(), cluster::ClusterError>(())
/// ```
#[doc(alias("SLURM_ARRAY_TASK_ID", "sbatch", "job array"))]
pub fn array_part(len: usize) -> Result<Range<usize>, ClusterError> {
    part_by(len, |name| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned()))
}

const ID: &str = "SLURM_ARRAY_TASK_ID";
const COUNT: &str = "SLURM_ARRAY_TASK_COUNT";
const MIN: &str = "SLURM_ARRAY_TASK_MIN";
const STEP: &str = "SLURM_ARRAY_TASK_STEP";

fn part_by(len: usize, variable: impl Fn(&str) -> Option<String>) -> Result<Range<usize>, ClusterError> {
    if variable(ID).is_none() {
        return Ok(0..len);
    }
    let refuse = |variable: &'static str, value: Option<String>, why: &str| ClusterError::ArrayTask {
        variable,
        value: value.unwrap_or_else(|| "nothing".into()),
        why: why.into(),
    };
    let number = |name: &'static str| {
        let value = variable(name);
        let number = value.as_ref().and_then(|value| value.trim().parse::<u64>().ok());
        number.ok_or_else(|| refuse(name, value, "it has to be a number"))
    };
    let (id, count, min) = (number(ID)?, number(COUNT)?, number(MIN)?);
    // Slurm does not always say it: 1.
    let step = if variable(STEP).is_some() { number(STEP)? } else { 1 };
    let bad = |name, why| Err(refuse(name, variable(name), why));
    if count == 0 || step == 0 {
        return bad(if count == 0 { COUNT } else { STEP }, "it cannot be 0");
    }
    let Some(distance) = id.checked_sub(min) else {
        return bad(ID, "it is less than the array's least number");
    };
    let place = distance.checked_div(step).filter(|place| *place < count && distance.is_multiple_of(step));
    let Some(place) = place else {
        return bad(ID, "the array's numbers do not go in equal steps; use --array=0-9, or --array=0-18:2");
    };
    let bound = |place: u64| {
        let product = (len as u128).saturating_mul(u128::from(place));
        usize::try_from(product.checked_div(u128::from(count)).unwrap_or(0)).unwrap_or(len)
    };
    Ok(bound(place)..bound(place.saturating_add(1)))
}

#[cfg(all(test, not(loom)))]
#[allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
mod tests {
    use super::*;

    fn part(len: usize, variables: &[(&str, &str)]) -> Result<Range<usize>, ClusterError> {
        part_by(len, |name| variables.iter().find(|(own, _)| *own == name).map(|(_, value)| (*value).into()))
    }

    fn array(id: &str, count: &str, min: &str, step: &str) -> Result<Range<usize>, ClusterError> {
        part(100, &[(ID, id), (COUNT, count), (MIN, min), (STEP, step)])
    }

    #[test]
    fn the_parts_of_an_array_are_everything_once() {
        assert_eq!(part(100, &[]).unwrap(), 0..100);
        for (count, min, step) in [(10, 0, 1), (3, 1, 1), (7, 5, 3), (200, 0, 1), (1, 9, 1)] {
            let of = |k: u64| {
                let id = (min + k * step).to_string();
                array(&id, &count.to_string(), &min.to_string(), &step.to_string()).unwrap()
            };
            let all: Vec<usize> = (0..count).flat_map(of).collect();
            assert_eq!(all, (0..100).collect::<Vec<_>>(), "{count} from {min} by {step}");
        }
        assert_eq!(part(100, &[(ID, "3"), (COUNT, "4"), (MIN, "0")]).unwrap(), 75..100);
        assert_eq!(part(usize::MAX, &[(ID, "1"), (COUNT, "2"), (MIN, "0")]).unwrap().end, usize::MAX);
        assert_eq!(part(0, &[(ID, "1"), (COUNT, "2"), (MIN, "0")]).unwrap(), 0..0);
    }

    #[test]
    fn values_that_say_nothing_are_errors() {
        for (id, count, min, step, named) in [
            ("x", "4", "0", "1", ID),
            ("-1", "4", "0", "1", ID),
            ("1", "", "0", "1", COUNT),
            ("1", "0", "0", "1", COUNT),
            ("1", "4", "0", "0", STEP),
            ("1", "4", "0", "2", ID),
            ("1", "4", "2", "1", ID),
            // 1,3,7: Slurm says three from 1 on.
            ("7", "3", "1", "1", ID),
            ("18446744073709551615", "3", "1", "1", ID),
        ] {
            let error = array(id, count, min, step).unwrap_err();
            assert!(
                matches!(&error, ClusterError::ArrayTask { variable, .. } if *variable == named),
                "{error}"
            );
        }
        let error = part(100, &[(ID, "1"), (MIN, "0")]).unwrap_err().to_string();
        assert!(error.starts_with("SLURM_ARRAY_TASK_COUNT is nothing: it has to be a number"), "{error}");
    }
}
