//! HDF5 from the system's packages, where it is installed: compressed datasets, read by threads and by
//! processes.
//!
//! # Safety
//! The functions of `datasets.c` share nothing but HDF5 itself. That lets any threads call it, one at a time,
//! if it is built for threads: [`load`] asks it, and refuses another. Paths are C strings, lengths are those
//! that were written (a dataset of another length is not read), and the sum is returned through a pointer to
//! a local of the caller. HDF5's constructors and destructors are the system's, and it is never unloaded.
#![allow(unsafe_code)]

use libloading::Library;
use std::ffi::{CString, c_char, c_int};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

const SOURCE: &str = include_str!("datasets.c");
/// Where Debian has it.
const HEADERS: &str = "/usr/include/hdf5/serial";

type Write = unsafe extern "C" fn(*const c_char, c_int, usize) -> c_int;
type Sum = unsafe extern "C" fn(*const c_char, c_int, usize, *mut f64) -> c_int;
type Expected = unsafe extern "C" fn(c_int, usize) -> f64;
type IsForThreads = unsafe extern "C" fn() -> c_int;

/// Numbers of a dataset.
const LEN: usize = 1 << 18;

/// The library's functions, and the file that they read.
struct Api {
    write: Write,
    sum: Sum,
    expected: Expected,
    file: CString,
}

/// This process's own, once it is loaded.
static API: OnceLock<Api> = OnceLock::new();

/// Builds the C part in `folder`. Returns its path, or `None` where HDF5 is not installed.
///
/// # Errors
/// If the compiler does not accept the source, or the folder cannot be written.
pub fn build(folder: &Path) -> Result<Option<PathBuf>, String> {
    if !Path::new(HEADERS).join("hdf5.h").exists() {
        return Ok(None);
    }
    let (source, library) = (folder.join("datasets.c"), folder.join("libdatasets.so"));
    std::fs::write(&source, SOURCE).map_err(|error| format!("{}: {error}", source.display()))?;
    let mut compiler = Command::new("cc");
    compiler.args(["-O2", "-shared", "-fPIC", "-I", HEADERS, "-o"]).args([&library, &source]);
    let output = compiler.arg("-lhdf5_serial").output();
    let output = output.map_err(|error| format!("cc cannot be started: {error}"))?;
    match output.status.success() {
        true => Ok(Some(library)),
        false => Err(format!("cc: {}", String::from_utf8_lossy(&output.stderr))),
    }
}

/// Loads the library into this process, for that file: an initializer of pools.
///
/// # Errors
/// If it cannot be loaded, or is not built for threads.
pub fn load((library, file): (PathBuf, PathBuf)) -> Result<(), String> {
    let fails = |error| format!("{}: {error}", library.display());
    // SAFETY: what runs when it is loaded is HDF5's own; see the module.
    let loaded = unsafe { Library::new(&library) }.map_err(fails)?;
    // SAFETY: the function has this type in `datasets.c`, from which the library was just built.
    let is_for_threads = *unsafe { loaded.get::<IsForThreads>(b"h5_is_for_threads\0") }.map_err(fails)?;
    // SAFETY: as above.
    let write = *unsafe { loaded.get::<Write>(b"h5_write\0") }.map_err(fails)?;
    // SAFETY: as above.
    let sum = *unsafe { loaded.get::<Sum>(b"h5_sum\0") }.map_err(fails)?;
    // SAFETY: as above.
    let expected = *unsafe { loaded.get::<Expected>(b"h5_expected\0") }.map_err(fails)?;
    // The functions are kept longer than any owner of the library would be.
    std::mem::forget(loaded);
    // SAFETY: it only asks, and takes nothing.
    if unsafe { is_for_threads() } == 0 {
        return Err("this HDF5 is not built for threads".to_owned());
    }
    let file = CString::new(file.as_os_str().as_bytes()).map_err(|error| error.to_string())?;
    API.get_or_init(|| Api { write, sum, expected, file });
    Ok(())
}

/// Writes the file, of so many datasets of [`LEN`] numbers.
///
/// # Errors
/// If HDF5 cannot.
///
/// # Panics
/// If the library is not loaded.
pub fn write(datasets: c_int) -> Result<(), String> {
    let api = API.get().expect("the library is loaded");
    // SAFETY: the path is a C string; see the module.
    match unsafe { (api.write)(api.file.as_ptr(), datasets, LEN) } {
        0 => Ok(()),
        _ => Err("HDF5 cannot write the file".to_owned()),
    }
}

/// The sum of a dataset's numbers, read from the file; not a number if it cannot be read.
///
/// # Panics
/// If the library is not loaded.
pub fn sum(dataset: c_int) -> f64 {
    let (api, mut sum) = (API.get().expect("the initializer has loaded it"), 0.0);
    // SAFETY: the path is a C string, the pointer one to a local; see the module.
    let failed = unsafe { (api.sum)(api.file.as_ptr(), dataset, LEN, &raw mut sum) };
    if failed == 0 { sum } else { f64::NAN }
}

/// The same, from what was written.
///
/// # Panics
/// If the library is not loaded.
pub fn expected(dataset: c_int) -> f64 {
    let api = API.get().expect("the library is loaded");
    // SAFETY: any numbers will do.
    unsafe { (api.expected)(dataset, LEN) }
}
