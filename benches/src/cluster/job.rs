//! Jobs with one MPI: ours, and those of the peers, in turn.

use super::driver::Driver;
use super::installed::{Installed, samples};
use crate::harness::{Outcome, Setup};
use crate::report::{Goal, Record, Report, Target};
use crate::watchdog;
use std::path::{Path, PathBuf};

/// Lengths of messages, in bytes.
pub const EXCHANGE: [(usize, &str); 7] = [
    (8, "cluster_exchange_8"),
    (64, "cluster_exchange_64"),
    (1 << 10, "cluster_exchange_1024"),
    (8 << 10, "cluster_exchange_8192"),
    (64 << 10, "cluster_exchange_65536"),
    (256 << 10, "cluster_exchange_262144"),
    (1 << 20, "cluster_exchange_1048576"),
];
/// What Phalanx may take longer than bare MPI, in nanoseconds.
const ABOVE: f64 = 2000.0;
/// How many times as long a sum of one value may take.
const FACTOR: f64 = 1.5;
/// Runs of one job: of short messages, of heat, and of files.
const RUNS: usize = 1000;
const SWEEPS: usize = 200;
const FILES: usize = 3;
/// Tasks: how many, of how many microseconds, and how many the peer sends at once.
const TASKS: [(&str, usize, usize, usize); 2] =
    [("cluster_map_squares", 1_000_000, 0, 1000), ("cluster_map_1ms", 1000, 1000, 1)];

/// The samples of one program's runs, by name.
pub type Named = Vec<(String, Vec<f64>)>;

/// Jobs with one MPI.
pub struct Job<'a> {
    /// The MPI.
    pub mpi: &'a Installed,
    /// Words that replace its launcher's.
    pub launch: Option<&'a str>,
    /// This program.
    pub own: PathBuf,
    /// The same messages in C.
    pub peer: Option<PathBuf>,
    /// Words that run the tasks of mpi4py.futures.
    pub futures: Option<Vec<String>>,
}

impl Job<'_> {
    fn ours(&self, drivers: usize, words: &[String]) -> Outcome<Named> {
        let mut all = vec![self.own.display().to_string(), Driver::NAME.to_owned()];
        all.extend_from_slice(words);
        self.run(drivers, &all)
    }

    fn theirs(&self, words: &[String]) -> Outcome<Option<Named>> {
        let Some(peer) = &self.peer else { return Ok(None) };
        let mut all = vec![peer.display().to_string()];
        all.extend_from_slice(words);
        self.run(2, &all).map(Some)
    }

    fn run(&self, count: usize, words: &[String]) -> Outcome<Named> {
        watchdog::note(format!("{} under {}", words.join(" "), self.mpi.name));
        Ok(samples(&self.mpi.run(self.launch, count, words)?))
    }

    /// One-way times of these lengths, o and g, by the peer.
    pub fn constants(&self, sizes: &[usize]) -> Outcome<Option<Named>> {
        let mut words = vec!["loggp".to_owned(), RUNS.to_string()];
        words.extend(sizes.iter().map(usize::to_string));
        self.theirs(&words)
    }

    /// Rows between neighbours.
    pub fn exchange(&self, setup: &Setup, report: &mut Report) -> Outcome<()> {
        let mut words = vec!["exchange".to_owned(), RUNS.to_string()];
        words.extend(EXCHANGE.iter().map(|(bytes, _)| bytes.to_string()));
        let (mut ours, mut theirs) = (Named::new(), Named::new());
        for _ in 0..setup.rounds {
            add(&mut ours, self.ours(2, &words)?);
            add(&mut theirs, self.theirs(&words)?.unwrap_or_default());
        }
        for (bytes, bench) in EXCHANGE {
            let name = format!("exchange_{bytes}");
            let goal = Goal::AbovePeer(ABOVE, self.mpi.variants().1);
            self.report(bench, (&ours, &name), (&theirs, &name), Some(goal), report)?;
        }
        Ok(())
    }

    /// Calls of all drivers.
    pub fn collectives(&self, setup: &Setup, report: &mut Report) -> Outcome<()> {
        let goal = || Some(Goal::BelowPeer(FACTOR, self.mpi.variants().1));
        let calls = [
            ("cluster_all_reduce", "all_reduce", "allreduce", goal()),
            ("cluster_barrier", "barrier", "barrier", goal()),
            // With a launch, and a round of messages more.
            ("cluster_reduce", "reduce", "allreduce", None),
        ];
        for (bench, own, other, goal) in calls {
            let (mut ours, mut theirs) = (Named::new(), Named::new());
            for _ in 0..setup.rounds {
                add(&mut ours, self.ours(2, &[own.into(), RUNS.to_string()])?);
                add(&mut theirs, self.theirs(&[other.into(), RUNS.to_string()])?.unwrap_or_default());
            }
            self.report(bench, (&ours, own), (&theirs, other), goal, report)?;
        }
        Ok(())
    }

    fn report(
        &self,
        bench: &'static str,
        (ours, own): (&Named, &str),
        (theirs, other): (&Named, &str),
        goal: Option<Goal>,
        report: &mut Report,
    ) -> Outcome<()> {
        let (variant, peer) = self.mpi.variants();
        let mut group = vec![Record::of(bench, variant, 2, needed(ours, own)?, "ns")];
        group.extend(taken(theirs, other).map(|samples| Record::of(bench, peer, 2, samples, "ns")));
        let targets: Vec<Target> = goal.map(|goal| Target { bench, variant, goal }).into_iter().collect();
        report.group(&group, &targets);
        Ok(())
    }

    /// Time of a sweep.
    pub fn heat(&self, cells: usize, setup: &Setup, report: &mut Report) -> Outcome<()> {
        let words = ["heat".to_owned(), SWEEPS.to_string(), cells.to_string()];
        let with = |workers: usize| [&words[..], &["--team".into(), workers.to_string()]].concat();
        let (own, peer) = self.mpi.variants();
        let mut columns =
            [format!("{own}-2x1"), format!("{own}-1x2"), format!("{peer}-2")].map(|name| (name, vec![]));
        for _ in 0..setup.rounds {
            let runs = [Some(self.ours(2, &with(1))?), Some(self.ours(1, &with(2))?), self.theirs(&words)?];
            let mut first = None;
            for (run, column) in runs.into_iter().zip(&mut columns) {
                let Some(run) = run else { continue };
                let sum = needed(&run, "check")?.first().copied().unwrap_or(f64::NAN);
                let error = sum / *first.get_or_insert(sum) - 1.0;
                if error.is_nan() || error.abs() > 1e-9 {
                    return Err(
                        format!("{}: the sum of the plate is {sum}, and was {first:?}", column.0).into()
                    );
                }
                column.1.extend(needed(&run, "heat")?.into_iter().map(|ns| ns / SWEEPS as f64));
            }
        }
        let measured = columns.into_iter().filter(|(_, samples)| !samples.is_empty());
        let record =
            |(name, samples): (String, Vec<f64>)| Record::of("cluster_heat", &name, 2, samples, "ns");
        report.group(&measured.map(record).collect::<Vec<_>>(), &[]);
        Ok(())
    }

    /// Time of all tasks, with two workers.
    pub fn map(&self, setup: &Setup, report: &mut Report) -> Outcome<()> {
        for (bench, count, us, chunk) in TASKS {
            let (mut ours, mut theirs) = (Vec::new(), Vec::new());
            let sum = (0..count as u64).fold(0u64, |sum, n| sum.wrapping_add(n * n)) as f64;
            let right = |run: &Named| match needed(run, "check")?.first() {
                Some(found) if *found == sum => needed(run, "map"),
                found => Err(format!("{bench}: the sum is {found:?}, not {sum}").into()),
            };
            for _ in 0..setup.rounds {
                ours.extend(right(&self.ours(2, &["map".into(), count.to_string(), us.to_string()])?)?);
                if let Some(futures) = &self.futures {
                    let numbers = [count, us, chunk].map(|number| number.to_string());
                    // One of the three deals out, and works on nothing.
                    theirs.extend(right(&self.run(3, &[&futures[..], &numbers[..]].concat())?)?);
                }
            }
            let own = self.mpi.variants().0;
            let mut group = vec![Record::of(bench, own, 2, ours, "ns")];
            if !theirs.is_empty() {
                group.push(Record::of(bench, &format!("mpi4py-{}", self.mpi.name), 2, theirs, "ns"));
            }
            report.group(&group, &[]);
        }
        Ok(())
    }

    /// Files, beside one driver alone.
    pub fn npy(&self, mib: usize, folder: &Path, setup: &Setup, report: &mut Report) -> Outcome<()> {
        let words = [
            "npy".into(),
            FILES.to_string(),
            mib.to_string(),
            "--folder".into(),
            folder.display().to_string(),
        ];
        let (mut two, mut one) = (Named::new(), Named::new());
        for _ in 0..setup.rounds {
            add(&mut two, self.ours(2, &words)?);
            add(&mut one, self.ours(1, &words)?);
        }
        for (bench, name) in [("cluster_npy_save", "npy_save"), ("cluster_npy_load", "npy_load")] {
            let variant = |drivers: usize| format!("{}-{drivers}", self.mpi.variants().0);
            let both = [(2, &two), (1, &one)];
            let records =
                both.map(|(n, named)| Ok(Record::of(bench, &variant(n), n, needed(named, name)?, "GB/s")));
            report.group(&records.into_iter().collect::<Outcome<Vec<_>>>()?, &[]);
        }
        Ok(())
    }
}

fn add(all: &mut Named, more: Named) {
    for (name, samples) in more {
        match all.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) => known.extend(samples),
            None => all.push((name, samples)),
        }
    }
}

fn taken(named: &Named, name: &str) -> Option<Vec<f64>> {
    named.iter().find(|(known, _)| known == name).map(|(_, samples)| samples.clone())
}

/// The samples of that name, or an error that says that there are none.
pub fn needed(named: &Named, name: &str) -> Outcome<Vec<f64>> {
    taken(named, name).ok_or_else(|| format!("a job printed no samples of {name}").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_of_several_jobs_are_put_together_by_name() {
        let mut all = Named::new();
        add(&mut all, vec![("a".into(), vec![1.0]), ("b".into(), vec![2.0])]);
        add(&mut all, vec![("b".into(), vec![3.0])]);
        assert_eq!(needed(&all, "b").unwrap(), [2.0, 3.0]);
        assert!(needed(&all, "c").unwrap_err().to_string().contains("no samples of c"));
    }
}
