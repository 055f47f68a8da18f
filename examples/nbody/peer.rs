//! The same bodies in C with OpenMP, built when it is asked for.

use crate::sphere::Bodies;
use common::{Result, refuse};
use phalanx_kernels::{Number, Real};
use std::fs;
use std::io::{BufWriter, Write as _};
use std::process::{Command, Stdio};

/// How the twin is built. `-ffast-math` allows it other bits: sums in another order, and approximate roots.
pub const FLAGS: [&str; 4] = ["-O3", "-march=native", "-ffast-math", "-fopenmp"];

/// Builds the twin and runs it on these bodies. Returns its seconds and the kinetic energy at its end.
pub fn run<T: Real>(
    [positions, velocities]: &Bodies<T>,
    masses: &[T],
    (steps, step, softening): (u64, f64, f64),
    threads: usize,
) -> Result<[f64; 2]> {
    let folder = tempfile::tempdir()?;
    let [source, program] = ["openmp.c", "openmp"].map(|name| folder.path().join(name));
    fs::write(&source, include_str!("openmp.c"))?;
    let mut compiler = Command::new("cc");
    compiler.args(FLAGS).arg(&source).arg("-o").arg(&program).arg("-lm");
    if size_of::<T>() == 4 {
        compiler.args(["-DREAL=float", "-DSINGLE"]);
    }
    let built =
        compiler.output().map_err(|error| refuse(format!("--peer needs a C compiler: cc: {error}")))?;
    if !built.status.success() {
        return Err(format!("cc: {}", String::from_utf8_lossy(&built.stderr).trim()).into());
    }

    let arguments = [masses.len().to_string(), steps.to_string(), step.to_string(), softening.to_string()];
    let mut twin = Command::new(&program);
    twin.args(arguments).env("OMP_NUM_THREADS", threads.to_string());
    let mut twin = twin.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    // It runs on without its file: so nothing is left behind, however this program ends.
    folder.close()?;
    let mut input = BufWriter::new(twin.stdin.take().ok_or("the twin has no input")?);
    let rows = positions.as_slice().chunks_exact(3).zip(velocities.as_slice().chunks_exact(3)).zip(masses);
    for ((x, v), m) in rows {
        for value in x.iter().chain(v).chain([m]) {
            input.write_all(&Number::to_f64(*value).to_ne_bytes())?;
        }
    }
    drop(input.into_inner()?);
    let output = twin.wait_with_output()?;
    let text = String::from_utf8(output.stdout)?;
    let numbers: Vec<f64> = text.split_whitespace().filter_map(|number| number.parse().ok()).collect();
    numbers.try_into().map_err(|_| format!("the twin ended with {}: {text:?}", output.status).into())
}
