//! The C library, which allows one caller at a time: built by the machine's compiler, loaded by each worker.
//!
//! # Safety
//! `solver.c` keeps everything in static storage, so two calls at the same time would be a data race. Its
//! only function is called in [`period`] alone, behind a lock that belongs to the process, as the library's
//! storage does: however often a process loads it, it is there once. The library has neither constructors nor
//! destructors, calls nothing but the mathematical library, and is never unloaded.
#![allow(unsafe_code)]

use libloading::Library;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, OnceLock};

const SOURCE: &str = include_str!("solver.c");
/// Error of one step, absolute and relative.
const TOLERANCE: f64 = 1e-9;

/// `double vdp_period(double mu, double tolerance)`.
type Period = unsafe extern "C" fn(f64, f64) -> f64;

/// This process's own, once it is loaded.
static PERIOD: OnceLock<Mutex<Period>> = OnceLock::new();

/// Builds the library in `folder`. Returns its path, or `None` where there is no C compiler.
///
/// # Errors
/// If the compiler does not accept the source, or the folder cannot be written.
pub fn build(folder: &Path) -> Result<Option<PathBuf>, String> {
    let (source, library) = (folder.join("solver.c"), folder.join("libsolver.so"));
    std::fs::write(&source, SOURCE).map_err(|error| format!("{}: {error}", source.display()))?;
    let mut compiler = Command::new("cc");
    compiler.args(["-O2", "-shared", "-fPIC", "-o"]).args([&library, &source]).arg("-lm");
    match compiler.output() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("cc cannot be started: {error}")),
        Ok(output) if output.status.success() => Ok(Some(library)),
        Ok(output) => Err(format!("cc: {}", String::from_utf8_lossy(&output.stderr))),
    }
}

/// Loads the library into this process: an initializer of pools.
///
/// # Errors
/// If it cannot be loaded, or is another.
pub fn load(path: PathBuf) -> Result<(), String> {
    let fails = |error| format!("{}: {error}", path.display());
    // SAFETY: nothing runs when it is loaded; see the module.
    let library = unsafe { Library::new(&path) }.map_err(fails)?;
    // SAFETY: the function has this type in `solver.c`, from which the library was just built.
    let period = *unsafe { library.get::<Period>(b"vdp_period\0") }.map_err(fails)?;
    // The function is kept longer than any owner of the library would be.
    std::mem::forget(library);
    PERIOD.get_or_init(|| Mutex::new(period));
    Ok(())
}

/// The period of van der Pol's oscillator for this `mu`, above 0.
///
/// # Panics
/// If the library is not loaded.
pub fn period(mu: f64) -> f64 {
    let period = PERIOD.get().expect("the initializer has loaded it");
    // A panic of another caller cannot have left anything half done: C does not panic.
    let period = period.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    // SAFETY: the lock is held, so no other call runs in this process; any numbers will do.
    unsafe { period(mu, TOLERANCE) }
}
