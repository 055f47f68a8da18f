//! A journal that the program writes itself: which steps of a job are done.
#![deny(clippy::arithmetic_side_effects)]

use super::build;
use super::error::JournalError;
use super::file::{Digest, Identity, JournalFile};
use super::value::{SYNC_EVERY, read_back, write_down};
use rustc_hash::FxHashMap;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::any::type_name;
use std::path::Path;

/// A file that records which steps of a job are done, so that a job of many launches or regions can resume
/// after the program was killed, at whatever moment.
///
/// A step is whatever the program numbers: a block of rows, a file, a time. [`Self::note`] records that it
/// is done, and may keep a value of it. What the step writes must survive the program: for instance, it can
/// be an array over a file ([`create_npy`](crate::SharedArray::create_npy)). A step that was running when
/// the program was killed runs again, so it must only write (`split_out`), or read what no step writes.
///
/// A journal belongs to one build of the program and to one job, identified by a value that contains
/// everything its results depend on. For maps, [`Tasks::journal`](crate::Tasks::journal) does all this.
///
/// ```
/// # fn main() -> Result<(), phalanx::Error> {
/// # let dir = tempfile::tempdir().unwrap();
/// # let (path, file) = (dir.path().join("roots.journal"), dir.path().join("roots.npy"));
/// use phalanx::{Journal, Pool, SharedArray};
///
/// let pool = Pool::builder().workers(2).build()?;
/// // SAFETY: no other program uses the file.
/// let mut roots = unsafe { SharedArray::<f64>::create_npy(&file, 1000) }?;
/// let mut journal = Journal::open(&path, &("square roots", 1000))?;
/// for block in 0..10 {
///     if journal.is_done(block) {
///         continue;
///     }
///     let rows = 100 * block..100 * (block + 1);
///     pool.for_each((roots.range_mut(rows.clone()).split_out(), rows), |(roots, at)| {
///         for (root, i) in roots.iter_mut().zip(at) {
///             *root = (i as f64).sqrt();
///         }
///     })?;
///     journal.note(block, &())?;
/// }
/// assert_eq!(journal.len(), 10);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Journal {
    file: JournalFile,
    done: FxHashMap<usize, Vec<u8>>,
}

impl Journal {
    /// Opens the journal at `path`, or creates it. `job` is all that the results depend on: parameters,
    /// names and sizes of inputs.
    ///
    /// # Errors
    /// See [`JournalError`], in particular `OtherItems` if the journal belongs to another job, and
    /// `OtherBuild`.
    pub fn open<J: Serialize>(path: impl AsRef<Path>, job: &J) -> Result<Journal, JournalError> {
        Journal::resume(path.as_ref(), job, false)
    }

    /// Like [`Self::open`], but accepts a journal that another build of the program wrote. Whether it still
    /// computes the same is then up to you.
    ///
    /// # Errors
    /// As [`Self::open`], without `OtherBuild`.
    pub fn open_of_any_build<J: Serialize>(path: impl AsRef<Path>, job: &J) -> Result<Journal, JournalError> {
        Journal::resume(path.as_ref(), job, true)
    }

    fn resume<J: Serialize>(path: &Path, job: &J, any_build: bool) -> Result<Journal, JournalError> {
        let mut digest = Digest::default();
        digest.add(&write_down(|| "the job".into(), job)?);
        let function = format!("a job given by {}", type_name::<J>());
        let identity =
            Identity { build: build::digest()?, code: 0, items: digest.finish(), count: 1, function };
        let (file, records) = JournalFile::resume(path, &identity, any_build, SYNC_EVERY)?;
        Ok(Journal { file, done: records.into_iter().map(|(step, bytes)| (step as usize, bytes)).collect() })
    }

    /// Returns whether a step is done.
    pub fn is_done(&self, step: usize) -> bool {
        self.done.contains_key(&step)
    }

    /// Returns how many steps are done.
    pub fn len(&self) -> usize {
        self.done.len()
    }

    /// Returns whether no step is done.
    pub fn is_empty(&self) -> bool {
        self.done.is_empty()
    }

    /// Records that a step is done, with a value to keep (`&()` if there is none). When this returns, the
    /// record survives the death of any process. It is synced to the disk by the first call that comes a
    /// second after the last sync, by [`Self::sync`], or when the journal is dropped. Where a power cut
    /// matters, first sync what the step wrote ([`File::sync_all`](std::fs::File::sync_all)).
    ///
    /// # Errors
    /// [`JournalError::Io`] if it cannot be written; [`JournalError::Value`] for a value with handles.
    pub fn note<T: Serialize>(&mut self, step: usize, value: &T) -> Result<(), JournalError> {
        let bytes = write_down(|| value_of(step), value)?;
        self.file.add(step as u64, &bytes)?;
        self.file.flush()?;
        self.done.insert(step, bytes);
        Ok(())
    }

    /// Returns the value that was kept for a step; `None` if the step is not done.
    ///
    /// # Errors
    /// [`JournalError::Value`] if it is of another type.
    pub fn get<T: DeserializeOwned>(&self, step: usize) -> Result<Option<T>, JournalError> {
        self.done.get(&step).map(|bytes| read_back(|| value_of(step), bytes)).transpose()
    }

    /// Waits until all records are on the disk.
    ///
    /// # Errors
    /// [`JournalError::Io`].
    pub fn sync(&mut self) -> Result<(), JournalError> {
        self.file.sync()
    }
}

fn value_of(step: usize) -> String {
    format!("the value of step {step}")
}
