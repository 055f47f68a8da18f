//! The receivers of results: of one task, or of a whole map, whose results are put in order.
#![deny(clippy::arithmetic_side_effects)]

use crate::task::codec;
use crate::task::completion::{Completion, Progress};
use crate::task::entry::Output;
use crate::task::error::{Failure, TaskError};
use crate::task::queued::{Arrival, Receiver};
use crate::task::result::Completed;
use parking_lot::Mutex;
use std::collections::BTreeMap;
// Plain atomics on purpose: this is process-local bookkeeping outside every checked protocol.
use std::sync::atomic::{AtomicUsize, Ordering};

/// Tells an error that a result holds from a result.
pub(crate) type Sift<R> = fn(R) -> Result<R, Failure>;

/// Decodes the results of an arrival, item by item, without those that are run again.
pub(crate) fn decode<R: Output>(
    arrival: Arrival<'_>,
    sift: Sift<R>,
) -> impl Iterator<Item = (usize, Result<R, TaskError>)> {
    let (first, repeats) = (arrival.first, arrival.repeats);
    decode_all(arrival, sift).filter(move |(number, value)| match (repeats, value) {
        (Some(repeats), Err(error)) => !repeats.takes(number.saturating_sub(first), error),
        _ => true,
    })
}

fn decode_all<R: Output>(
    arrival: Arrival<'_>,
    sift: Sift<R>,
) -> impl Iterator<Item = (usize, Result<R, TaskError>)> {
    let mut rest = arrival.results;
    let mut faults = arrival.faults.into_iter().peekable();
    let (first, host) = (arrival.first, arrival.host);
    (0..arrival.items).map(move |item| {
        let number = first.saturating_add(item);
        if let Some(fault) = faults.next_if(|fault| fault.item as usize == item) {
            if codec::is_plain::<R>() {
                let _filler = codec::split::<R>(&mut rest);
            }
            return (number, Err(fault.into_error(first, host)));
        }
        let own =
            codec::split_result::<R>(&mut rest).ok_or_else(|| "its bytes are not all there".to_string());
        let value = own.and_then(|own| codec::guarded("Deserialize", || codec::read_result::<R>(own)));
        let what = "the result";
        let value = value.map_err(|why| TaskError::Codec { item: number, what, why });
        let failed = |error| TaskError::Failed { item: number, host: host.into(), error };
        (number, value.and_then(|value| sift(value).map_err(failed)))
    })
}

/// Puts items that follow each other together, with the number of the first.
pub(crate) fn runs<V>(items: impl Iterator<Item = (usize, V)>) -> Vec<(usize, Vec<V>)> {
    let mut runs: Vec<(usize, Vec<V>)> = Vec::new();
    for (number, value) in items {
        match runs.last_mut() {
            Some((first, values)) if first.saturating_add(values.len()) == number => values.push(value),
            _ => runs.push((number, vec![value])),
        }
    }
    runs
}

/// Receives one task's result.
pub(crate) struct Single<R> {
    completion: Completion<R>,
}

impl<R> Single<R> {
    pub(crate) fn new(progress: Option<Progress>) -> Single<R> {
        Single { completion: Completion::new(progress) }
    }
}

impl<R: Output> Receiver for Single<R> {
    fn deliver(&self, arrival: Arrival<'_>) {
        if let Some((_, value)) = decode(arrival, Ok).next() {
            self.completion.reach(1);
            self.completion.complete(value);
        }
    }

    fn fail(&self, _first: usize, _items: usize, error: TaskError) {
        self.completion.reach(1);
        self.completion.complete(Err(error));
    }

    fn is_open(&self) -> bool {
        self.completion.is_open()
    }

    fn pass_on(&self) -> bool {
        self.completion.pass_on()
    }

    fn make_calls(&self) {
        self.completion.make_calls();
    }
}

impl<R: Output> Completed<R> for Single<R> {
    fn completion(&self) -> &Completion<R> {
        &self.completion
    }
}

/// Values in the order of the items, without those of items that have an error; and the errors.
pub(crate) struct Gathered<R> {
    pub(crate) values: Vec<R>,
    pub(crate) errors: BTreeMap<usize, TaskError>,
}

/// How a map's result is built.
pub(crate) struct Shape<R, T> {
    pub(crate) finish: fn(Gathered<R>) -> Result<T, TaskError>,
    /// Whether the first error ends the map.
    pub(crate) fail_fast: bool,
    pub(crate) sift: Sift<R>,
}

/// Receives the results of a map.
pub(crate) struct Many<R, T> {
    completion: Completion<T>,
    /// Total number of items; larger than any real number until it is known.
    len: AtomicUsize,
    shape: Shape<R, T>,
    state: Mutex<State<R>>,
}

struct State<R> {
    gathered: Gathered<R>,
    /// Items whose results are in `values` or `errors`, without a gap.
    next: usize,
    /// Values of later items, by the first of them, with their number of items.
    ahead: BTreeMap<usize, (usize, Vec<R>)>,
    /// Items done, anywhere.
    done: usize,
    /// The gathered results are being handed over: later ones are ignored.
    is_over: bool,
}

impl<R: Output, T: Send> Many<R, T> {
    /// For about `hint` items; [`Self::set_len`] sets the actual number.
    pub(crate) fn new(hint: usize, shape: Shape<R, T>, progress: Option<Progress>) -> Many<R, T> {
        let mut values = Vec::new();
        // The input's own estimate, which may be wrong: failing to reserve is not an error.
        let _room = values.try_reserve(hint);
        let gathered = Gathered { values, errors: BTreeMap::new() };
        let state = State { gathered, next: 0, ahead: BTreeMap::new(), done: 0, is_over: false };
        let len = AtomicUsize::new(usize::MAX);
        Many { completion: Completion::new(progress), len, shape, state: Mutex::new(state) }
    }

    /// Sets the number of items, all of which are submitted.
    pub(crate) fn set_len(&self, len: usize) {
        let state = self.state.lock();
        self.len.store(len, Ordering::Relaxed);
        self.advance(state, 0);
    }

    /// Notes that items are done, and completes the map with the last.
    fn advance(&self, mut state: parking_lot::MutexGuard<'_, State<R>>, items: usize) {
        state.done = state.done.saturating_add(items);
        let done = state.done;
        let ends_early = self.shape.fail_fast && !state.gathered.errors.is_empty();
        let ends = !state.is_over && (done >= self.len.load(Ordering::Relaxed) || ends_early);
        let gathered = ends.then(|| {
            state.is_over = true;
            let empty = Gathered { values: Vec::new(), errors: BTreeMap::new() };
            std::mem::replace(&mut state.gathered, empty)
        });
        drop(state);
        self.completion.reach(done);
        if let Some(gathered) = gathered {
            self.completion.complete((self.shape.finish)(gathered));
        }
    }

    /// Takes numbers as they lie. Returns false, and does nothing, if the arrival holds something else.
    fn take_numbers(&self, arrival: &Arrival<'_>) -> bool {
        let (first, items) = (arrival.first, arrival.items);
        if !codec::is_plain::<R>() || !arrival.faults.is_empty() {
            return false;
        }
        let mut state = self.state.lock();
        let mut early = Vec::new();
        let State { gathered, next, .. } = &mut *state;
        let is_next = first == *next;
        let target = if is_next { &mut gathered.values } else { &mut early };
        if !codec::append_numbers(arrival.results, items, target) {
            return false;
        }
        if is_next {
            *next = next.saturating_add(items);
            state.close_gap();
        } else {
            state.ahead.insert(first, (items, early));
        }
        self.advance(state, items);
        true
    }
}

impl<R> State<R> {
    /// Takes early results that now follow without a gap.
    fn close_gap(&mut self) {
        while let Some((items, values)) = self.ahead.remove(&self.next) {
            self.gathered.values.extend(values);
            self.next = self.next.saturating_add(items);
        }
    }
}

impl<R: Output, T: Send> Receiver for Many<R, T> {
    fn deliver(&self, arrival: Arrival<'_>) {
        if !self.is_open() || self.take_numbers(&arrival) {
            return;
        }
        // A type's own code reads it: not under the lock.
        let runs = runs(decode(arrival, self.shape.sift));
        let mut state = self.state.lock();
        let mut items = 0usize;
        for (first, run) in runs {
            let (len, mut values) = (run.len(), Vec::with_capacity(run.len()));
            for (item, value) in run.into_iter().enumerate() {
                match value {
                    Ok(value) => values.push(value),
                    Err(error) => {
                        state.gathered.errors.insert(first.saturating_add(item), error);
                    }
                }
            }
            items = items.saturating_add(len);
            state.ahead.insert(first, (len, values));
        }
        state.close_gap();
        self.advance(state, items);
    }

    fn fail(&self, first: usize, items: usize, error: TaskError) {
        if !self.is_open() {
            return;
        }
        let mut state = self.state.lock();
        for item in first..first.saturating_add(items) {
            state.gathered.errors.insert(item, error.clone().of_item(item));
        }
        state.ahead.insert(first, (items, Vec::new()));
        state.close_gap();
        self.advance(state, items);
    }

    fn is_open(&self) -> bool {
        self.completion.is_open()
    }

    fn pass_on(&self) -> bool {
        self.completion.pass_on()
    }

    fn make_calls(&self) {
        self.completion.make_calls();
    }
}

impl<R: Output, T: Send> Completed<T> for Many<R, T> {
    fn completion(&self) -> &Completion<T> {
        &self.completion
    }
}

/// All values, or the error of the first item that has one.
pub(crate) fn all_or_first<R>(gathered: Gathered<R>) -> Result<Vec<R>, TaskError> {
    match gathered.errors.into_values().next() {
        Some(error) => Err(error),
        None => Ok(gathered.values),
    }
}

/// As [`all_or_first`], of what a function returned with success.
pub(crate) fn all_or_first_of<R, E>(gathered: Gathered<Result<R, E>>) -> Result<Vec<R>, TaskError> {
    let values = all_or_first(gathered)?;
    // Errors were told from values as they came.
    values.into_iter().map(|value| value.map_err(|_| TaskError::Taken)).collect()
}

/// As [`each`], of what a function returned with success.
pub(crate) fn each_of<R, E>(
    gathered: Gathered<Result<R, E>>,
) -> Result<Vec<Result<R, TaskError>>, TaskError> {
    let flat = |value: Result<Result<R, E>, TaskError>| value?.map_err(|_| TaskError::Taken);
    Ok(each(gathered)?.into_iter().map(flat).collect())
}

/// Tells the errors that a function returned from its values.
pub(crate) fn sift_errors<R, E>(value: Result<R, E>) -> Result<Result<R, E>, Failure>
where
    E: std::fmt::Debug + Send + Sync + 'static,
{
    value.map(Ok).map_err(Failure::new)
}

/// Each item's value or error.
pub(crate) fn each<R>(gathered: Gathered<R>) -> Result<Vec<Result<R, TaskError>>, TaskError> {
    let Gathered { values, mut errors } = gathered;
    let len = values.len().saturating_add(errors.len());
    let mut values = values.into_iter();
    let of_item = |item| match errors.remove(&item) {
        Some(error) => Err(error),
        // As many as there are items without an error.
        None => values.next().ok_or(TaskError::Taken),
    };
    Ok((0..len).map(of_item).collect())
}
