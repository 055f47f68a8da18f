//! Peers that are programs of their own: C with OpenMP, compiled here and now, and Python. None has to be
//! there.

use super::folder::Folder;
use crate::harness::Outcome;
use crate::sizing::workload::is_near;
use phalanx::topology::CpuSet;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

const OPENMP: &str = include_str!("openmp.c");
const PYTHON: &str = include_str!("peers.py");
/// Lines of a message that are shown.
const SHOWN: usize = 2;

/// A runtime outside.
pub struct Outside {
    /// The variant's name.
    pub name: &'static str,
    /// What it is, with its version.
    pub what: String,
    words: Vec<String>,
}

/// What was found, and the folder that it lies in.
pub struct Found {
    /// In the order of the variants.
    pub peers: Vec<Outside>,
    /// A sentence for each that is not there.
    pub absent: Vec<String>,
    _folder: Folder,
}

/// Looks for all of these: `openmp`, `numpy`, `multiprocessing`, `joblib`.
pub fn find(wanted: impl Fn(&str) -> bool) -> Outcome<Found> {
    let folder = Folder::new()?;
    let path = folder.path().to_owned();
    let mut found = Found { peers: Vec::new(), absent: Vec::new(), _folder: folder };
    if wanted("openmp") {
        match compile(path.clone()) {
            Ok(peer) => found.peers.push(peer),
            Err(why) => found.absent.push(format!("openmp: {why}")),
        }
    }
    let modules = ["numpy", "multiprocessing", "joblib"];
    if modules.iter().any(|name| wanted(name)) {
        python(path, &modules.map(|name| (name, wanted(name))), &mut found);
    }
    Ok(found)
}

fn compile(folder: PathBuf) -> Result<Outside, String> {
    let (source, program) = (folder.join("openmp.c"), folder.join("openmp"));
    std::fs::write(&source, OPENMP).map_err(|error| format!("cannot write its source: {error}"))?;
    // No contraction: the same operations as the other runtimes.
    let flags = ["-O3", "-march=native", "-ffp-contract=off", "-fopenmp", "-o"];
    let output = Command::new("cc").args(flags).arg(&program).arg(&source).arg("-lm").output();
    let output = output.map_err(|error| format!("cc cannot be started: {error}"))?;
    if !output.status.success() {
        return Err(format!("cc does not compile it: {}", said(&output.stderr)));
    }
    let version = Command::new("cc").arg("--version").output();
    let version =
        version.ok().and_then(|own| Some(String::from_utf8_lossy(&own.stdout).lines().next()?.to_owned()));
    Ok(Outside {
        name: "openmp",
        what: format!("{}, {}", version.unwrap_or("cc".into()), flags[..4].join(" ")),
        words: vec![program.display().to_string()],
    })
}

fn python(folder: PathBuf, modules: &[(&'static str, bool)], found: &mut Found) {
    let script = folder.join("peers.py");
    let probed = std::fs::write(&script, PYTHON)
        .and_then(|()| Command::new("python3").arg(&script).arg("probe").stdin(Stdio::null()).output());
    let told = match probed {
        Ok(Output { status, stdout, .. }) if status.success() => {
            String::from_utf8_lossy(&stdout).into_owned()
        }
        Ok(output) => {
            found.absent.push(format!("python3 does not run: {}", said(&output.stderr)));
            return;
        }
        Err(error) => {
            found.absent.push(format!("python3 cannot be started: {error}"));
            return;
        }
    };
    for (name, _) in modules.iter().filter(|(_, wanted)| *wanted) {
        match told.lines().find_map(|line| line.strip_prefix(name)) {
            Some(version) => found.peers.push(Outside {
                name,
                what: format!("{name}{version}, python3"),
                words: vec!["python3".into(), script.display().to_string(), (*name).into()],
            }),
            None => found.absent.push(format!("{name}: python3 does not have it")),
        }
    }
}

fn said(messages: &[u8]) -> String {
    let text = String::from_utf8_lossy(messages);
    let lines: Vec<&str> = text.trim().lines().rev().take(SHOWN).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join("; ")
}

/// What a program is to do.
pub struct Order<'o> {
    /// The workload.
    pub workload: &'o str,
    /// How many elements.
    pub elements: usize,
    /// The cores, one a worker.
    pub places: &'o [CpuSet],
    /// For the samples.
    pub budget: Duration,
    /// The sum that it should print.
    pub check: f64,
}

impl Outside {
    /// Whether it has a workload.
    pub fn has(&self, workload: &str) -> bool {
        match self.name {
            "openmp" => true,
            "numpy" => ["triad", "sum", "map"].contains(&workload),
            "multiprocessing" => ["empty", "map"].contains(&workload),
            _ => workload == "empty",
        }
    }

    /// Runs it, and returns its samples once its answer was right.
    pub fn samples(&self, order: &Order<'_>) -> Outcome<Vec<Duration>> {
        let place = |place: &CpuSet| {
            let cpus: Vec<String> = place.iter().map(|cpu| cpu.to_string()).collect();
            format!("{{{}}}", cpus.join(","))
        };
        let places: Vec<String> = order.places.iter().map(place).collect();
        let output = Command::new(&self.words[0])
            .args(&self.words[1..])
            .arg(order.workload)
            .args([order.elements.to_string(), order.places.len().to_string()])
            .arg(order.budget.as_secs_f64().to_string())
            .env("OMP_PLACES", places.join(","))
            .env("OMP_PROC_BIND", "true")
            .env("OMP_WAIT_POLICY", "active")
            .stdin(Stdio::null())
            .output()
            .map_err(|error| format!("{} cannot be started: {error}", self.name))?;
        if !output.status.success() {
            return Err(format!("{} failed, {}: {}", self.name, output.status, said(&output.stderr)).into());
        }
        read(&String::from_utf8_lossy(&output.stdout), order.check)
            .map_err(|error| format!("{} of {}: {error}", order.workload, self.name).into())
    }
}

/// Reads samples, and compares the sum at the end.
fn read(text: &str, check: f64) -> Result<Vec<Duration>, String> {
    let (samples, got) = text.trim().rsplit_once("check ").ok_or("it printed no check")?;
    let got: f64 = got.parse().map_err(|_| format!("its check is no number: {got}"))?;
    if !is_near(got, check, 1e-10 * check.abs()) {
        return Err(format!("a wrong answer: the sum is {got} and should be {check}"));
    }
    let sample = |line: &str| {
        let ns = line.parse::<f64>().ok().filter(|ns| *ns > 0.0 && ns.is_finite());
        ns.map(|ns| Duration::from_secs_f64(ns * 1e-9)).ok_or(format!("it printed `{line}` for a time"))
    };
    let samples = samples.lines().map(sample).collect::<Result<Vec<_>, _>>()?;
    if samples.is_empty() { Err("it printed no times".into()) } else { Ok(samples) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_count_only_with_the_right_answer() {
        assert_eq!(read("1000\n2500.5\ncheck 2.0\n", 2.0).unwrap().len(), 2);
        let bad =
            ["1000\ncheck 2.1\n", "1000\n", "x\ncheck 2\n", "check 2\n", "0\ncheck 2", "", "5\ncheck nan"];
        for bad in bad {
            assert!(read(bad, 2.0).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_not_wanted_is_not_looked_for() {
        let found = find(|_| false).unwrap();
        assert!(found.peers.is_empty() && found.absent.is_empty());
    }
}
