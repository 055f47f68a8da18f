//! Journals: what is done is written to a file, and a program that was killed resumes from there.
//! `maps` are maps with a journal, `steps` is a journal that the program writes itself.

mod build;
mod error;
mod file;
mod maps;
mod steps;
#[cfg(all(test, not(loom)))]
mod tests;
mod value;

pub use error::JournalError;
pub use maps::JournaledTasks;
pub use steps::Journal;
