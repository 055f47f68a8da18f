//! Maps with a journal: what is done is written to a file, and a program that was killed resumes from there.
#![deny(clippy::arithmetic_side_effects)]

use super::build;
use super::error::JournalError;
use super::file::{Digest, Identity, JournalFile, Recorded};
use super::value::{SYNC_EVERY, read_back, write_down};
use crate::code::{self, NoCapture};
use crate::task::entry::{Argument, Output};
use crate::task::error::TaskError;
use crate::task::options::Tasks;
use std::any::type_name;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Maps whose results are kept in a file; returned by [`Tasks::journal`].
#[must_use = "options do nothing until a call is made"]
pub struct JournaledTasks<'p> {
    tasks: Tasks<'p>,
    path: PathBuf,
    any_build: bool,
    sync_every: Duration,
}

impl<'p> Tasks<'p> {
    /// Keeps the results of a map in a file. After the program was killed, at whatever moment, the same call
    /// resumes from the file: items whose results are there do not run again.
    ///
    /// A result is in the file at most 10 ms after it was collected, and then survives the death of any
    /// process, including this one. A kill therefore costs the items that were running and those that had
    /// just ended. A power cut also costs what had not reached the disk, to which the file is synced once a
    /// second ([`JournaledTasks::sync_every`]) and before the call returns. A record that was half written,
    /// or is damaged, counts as not written.
    ///
    /// A journal belongs to one function, one build of the program, and the same items in the same order; any
    /// other call is refused, and the file stays as it is. It also stays when the map has ended, and answers
    /// the same call at once: remove it to compute again.
    ///
    /// Items are compared in their encoded form. A `HashMap` encodes its entries in another order in each
    /// run, so items that contain one are refused as different: use a `BTreeMap`.
    ///
    /// Costs a copy of each result in the driver, one write per 10 ms, and one encoding of every item before
    /// the first one runs, for their digest.
    ///
    /// ```
    /// # fn main() -> Result<(), phalanx::Error> {
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let path = dir.path().join("squares.journal");
    /// fn square(n: u64) -> u64 {
    ///     n * n
    /// }
    ///
    /// let pool = phalanx::Pool::builder().workers(2).build()?;
    /// let squares = pool.tasks().journal(&path).map(square, 0..1000)?;
    /// // Nothing is left to do: these come from the file.
    /// assert_eq!(pool.tasks().journal(&path).map(square, 0..1000)?, squares);
    /// // Other items are another call.
    /// assert!(pool.tasks().journal(&path).map(square, 0..1001).is_err());
    /// # Ok(())
    /// # }
    /// ```
    pub fn journal(self, path: impl AsRef<Path>) -> JournaledTasks<'p> {
        let path = path.as_ref().to_owned();
        JournaledTasks { tasks: self, path, any_build: false, sync_every: SYNC_EVERY }
    }
}

impl JournaledTasks<'_> {
    /// Accepts a journal that another build of the program wrote, if its function has the same name and its
    /// items are the same. Whether the function still computes the same is then up to you.
    pub fn any_build(mut self) -> Self {
        self.any_build = true;
        self
    }

    /// Sets how often the file is synced to the disk, in case of a power cut; zero: with every write.
    /// Default: once a second. The thread that collects results waits for the disk meanwhile.
    pub fn sync_every(mut self, pause: Duration) -> Self {
        self.sync_every = pause;
        self
    }

    /// Like [`Tasks::map`]. All items are held in memory. After an error that ends the map, the journal keeps
    /// what was done until then.
    ///
    /// # Errors
    /// See [`JournalError`].
    pub fn map<A, R, F, I>(self, function: F, items: I) -> Result<Vec<R>, JournalError>
    where
        A: Argument,
        R: Output,
        F: Fn(A) -> R + Copy + Send + Sync + 'static,
        I: IntoIterator<Item = A>,
    {
        const { NoCapture::<F>::OK };
        let results = self.run(function, items, |error| Err(error.into()))?;
        results.into_iter().map(|result| result.map_err(Into::into)).collect()
    }

    /// Like [`Tasks::try_map`]. Items that failed are not in the journal: the next call runs them again.
    ///
    /// # Errors
    /// See [`JournalError`]; an item's own error is in its place.
    pub fn try_map<A, R, F, I>(self, function: F, items: I) -> Result<Vec<Result<R, TaskError>>, JournalError>
    where
        A: Argument,
        R: Output,
        F: Fn(A) -> R + Copy + Send + Sync + 'static,
        I: IntoIterator<Item = A>,
    {
        const { NoCapture::<F>::OK };
        self.run(function, items, Ok)
    }

    /// Runs what is left. `on_error` says of an item's error whether the others go on.
    fn run<A, R, F, I>(
        self,
        function: F,
        items: I,
        on_error: fn(TaskError) -> Result<TaskError, JournalError>,
    ) -> Result<Vec<Result<R, TaskError>>, JournalError>
    where
        A: Argument,
        R: Output,
        F: Fn(A) -> R + Copy + Send + Sync + 'static,
        I: IntoIterator<Item = A>,
    {
        let items: Vec<A> = items.into_iter().collect();
        let identity = self.identity::<A, R, F>(function, &items)?;
        let (mut file, records) =
            JournalFile::resume(&self.path, &identity, self.any_build, self.sync_every)?;
        let mut results = read_results::<R>(records, items.len())?;
        let missing: Vec<(u64, A)> =
            (0..).zip(items).filter(|(item, _)| results[*item as usize].is_none()).collect();
        let indices: Vec<usize> = missing.iter().map(|(item, _)| *item as usize).collect();
        // With its index, since results come as items end: none waits for an earlier one to be written.
        let with_index = move |(item, argument): (u64, A)| (item, function(argument));
        let mut stream = self.tasks.imap_unordered(with_index, missing);
        // A stream that ends early, such as one that is cancelled, says why once.
        let mut last_error = TaskError::Taken;
        loop {
            let next = match stream.next_timeout(Duration::ZERO) {
                Some(Err(TaskError::NotReady { .. })) => {
                    file.flush()?;
                    stream.next()
                }
                next => next,
            };
            match next {
                None => break,
                Some(Ok((item, result))) => {
                    file.add(item, &write_down(|| result_of(item), &result)?)?;
                    if let Some(place) = results.get_mut(item as usize) {
                        *place = Some(Ok(result));
                    }
                }
                Some(Err(error)) => {
                    let Some(&item) = error.item().and_then(|at| indices.get(at)) else {
                        return Err(error.into());
                    };
                    last_error = on_error(error.of_item(item))?;
                    results[item] = Some(Err(last_error.clone()));
                }
            }
        }
        file.finish()?;
        let of_item = |(item, result): (usize, Option<_>)| {
            result.unwrap_or_else(|| Err(last_error.clone().of_item(item)))
        };
        Ok(results.into_iter().enumerate().map(of_item).collect())
    }

    /// What the journal of this call is of.
    fn identity<A, R, F>(&self, function: F, items: &[A]) -> Result<Identity, JournalError>
    where
        A: Argument,
        R: Output,
        F: Fn(A) -> R + Copy + Send + Sync + 'static,
    {
        let mut digest = Digest::default();
        for (item, argument) in items.iter().enumerate() {
            digest.add(&write_down(|| format!("the argument of item {item}"), argument)?);
        }
        let build = build::digest()?;
        // All closures of one function have one name; where their code is tells them apart.
        let code = code::offset_of(code::pointer_to(function) as usize).unwrap_or_default();
        let function = format!("{} ({} -> {})", type_name::<F>(), type_name::<A>(), type_name::<R>());
        Ok(Identity { build, code, items: digest.finish(), count: items.len() as u64, function })
    }
}

fn result_of(item: u64) -> String {
    format!("the result of item {item}")
}

/// The results that a journal holds, in their places.
fn read_results<R: Output>(
    records: Vec<Recorded>,
    count: usize,
) -> Result<Vec<Option<Result<R, TaskError>>>, JournalError> {
    let mut results: Vec<_> = std::iter::repeat_with(|| None).take(count).collect();
    for (item, bytes) in records {
        let item = usize::try_from(item).unwrap_or(usize::MAX);
        let Some(place) = results.get_mut(item) else { continue };
        let result = read_back(|| result_of(item as u64), &bytes)?;
        *place = Some(Ok(result));
    }
    Ok(results)
}
