//! How a program ends: 0 done, 1 a wrong result or a failure, 2 wrong input.

use std::error::Error;
use std::fmt;
use std::io::Write as _;
use std::process::ExitCode;

/// Exit code for a file or option that cannot be used; clap ends with the same for options.
const WRONG_INPUT: u8 = 2;

/// What programs return. Any error is printed as one line.
pub type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// A file or an option that cannot be used, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Refused(String);

/// Returns the error for input that cannot be used, which ends the program with exit code 2.
pub fn refuse(why: impl Into<String>) -> Box<dyn Error> {
    Refused(why.into()).into()
}

/// Runs a program and returns its exit code. An error is printed as `name: why` on standard error.
pub fn run(name: &str, work: impl FnOnce() -> Result<()>) -> ExitCode {
    let Err(why) = work() else { return ExitCode::SUCCESS };
    eprintln!("{name}: {why}");
    if why.is::<Refused>() { ExitCode::from(WRONG_INPUT) } else { ExitCode::FAILURE }
}

/// As [`print!`], but stays quiet where standard output is closed: who closed it has seen enough.
#[macro_export]
macro_rules! out {
    ($($text:tt)*) => { $crate::write_out(format_args!($($text)*)) };
}

/// As [`out!`], with an end of line.
#[macro_export]
macro_rules! outln {
    () => { $crate::out!("\n") };
    ($($text:tt)*) => { $crate::out!("{}\n", format_args!($($text)*)) };
}

/// What [`out!`] calls.
pub fn write_out(text: fmt::Arguments<'_>) {
    let _closed = std::io::stdout().lock().write_fmt(text);
}
