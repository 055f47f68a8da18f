//! The same steps in C with OpenMP, built when it is asked for.

use crate::modes::Grid;
use common::{Result, refuse};
use std::process::Command;

/// How the twin is built.
const FLAGS: [&str; 3] = ["-O3", "-march=native", "-fopenmp"];

/// Builds the twin, runs it, and prints its seconds beside ours.
pub fn run(grid: Grid, steps: u64, threads: usize, ours: f64) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let [source, program] = ["openmp.c", "openmp"].map(|name| folder.path().join(name));
    std::fs::write(&source, include_str!("openmp.c"))?;
    let built = Command::new("cc").args(FLAGS).arg(&source).arg("-o").arg(&program).arg("-lm").output();
    let built = built.map_err(|error| refuse(format!("--peer needs a C compiler: cc: {error}")))?;
    if !built.status.success() {
        return Err(format!("cc: {}", String::from_utf8_lossy(&built.stderr).trim()).into());
    }
    let mut twin = Command::new(&program);
    twin.args([grid.side.to_string(), grid.dimensions.to_string(), steps.to_string()]);
    twin.env("OMP_NUM_THREADS", threads.to_string()).env("OMP_PROC_BIND", "close");
    let text = String::from_utf8(twin.output()?.stdout)?;
    let numbers: Vec<f64> = text.split_whitespace().filter_map(|number| number.parse().ok()).collect();
    let &[seconds, first] = numbers.as_slice() else {
        return Err(format!("the twin printed {text:?}").into());
    };
    let mut row = vec![0.0; grid.row()];
    grid.exact(0, &grid.cosines(), grid.amplitudes(steps), &mut row);
    if (first - row[0]).abs() > 1e-9 {
        return Err(format!("the twin's first cell is {first}, and not {}", row[0]).into());
    }
    common::outln!("OpenMP      {seconds:.3} s, {:.2} x (cc {})", seconds / ours, FLAGS.join(" "));
    Ok(())
}
