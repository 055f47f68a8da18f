//! Who receives results: one task's, or those of a whole map, put in order.

use crate::task::codec;
use crate::task::entry::Output;
use crate::task::error::TaskError;
use crate::task::parcel::{Arrival, Receiver};
use crate::task::result::{Completed, Completion};
use parking_lot::Mutex;
use std::collections::BTreeMap;
// Plain atomics on purpose: this is process-local bookkeeping outside every checked protocol.
use std::sync::atomic::{AtomicUsize, Ordering};

/// The results of an arrival, item by item.
pub(crate) fn decode<R: Output>(arrival: Arrival<'_>) -> impl Iterator<Item = (usize, Result<R, TaskError>)> {
    let mut rest = arrival.results;
    let mut faults = arrival.faults.into_iter().peekable();
    let first = arrival.first;
    (0..arrival.items).map(move |item| {
        if let Some(fault) = faults.next_if(|fault| fault.item as usize == item) {
            if codec::is_plain::<R>() {
                let _filler = codec::split::<R>(&mut rest);
            }
            return (first + item, Err(fault.into_error(first)));
        }
        let own = codec::split::<R>(&mut rest).ok_or_else(|| "its bytes are not all there".to_string());
        let value = own.and_then(|own| codec::guarded("Deserialize", || codec::read::<R>(own)));
        let what = "the result";
        (first + item, value.map_err(|why| TaskError::Codec { item: first + item, what, why }))
    })
}

/// Receives one task's result.
pub(crate) struct Single<R> {
    completion: Completion<R>,
}

impl<R> Single<R> {
    pub(crate) fn new() -> Single<R> {
        Single { completion: Completion::new() }
    }
}

impl<R: Output> Receiver for Single<R> {
    fn deliver(&self, arrival: Arrival<'_>) {
        if let Some((_, value)) = decode(arrival).next() {
            self.completion.complete(value);
        }
    }

    fn fail(&self, _first: usize, _items: usize, error: TaskError) {
        self.completion.complete(Err(error));
    }

    fn is_open(&self) -> bool {
        !self.completion.is_done()
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

/// Called with the items that are done so far.
pub(crate) type Progress = Box<dyn Fn(usize) + Send + Sync>;

/// What a map's result is made of.
pub(crate) struct Shape<R, T> {
    pub(crate) finish: fn(Gathered<R>) -> Result<T, TaskError>,
    /// The first error ends it.
    pub(crate) fail_fast: bool,
    pub(crate) progress: Option<Progress>,
}

/// Receives the results of a map.
pub(crate) struct Many<R, T> {
    completion: Completion<T>,
    /// Items in all; more than there can be until that is known.
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
}

impl<R: Output, T: Send> Many<R, T> {
    /// For about `hint` items; how many they are is told by [`Self::set_len`].
    pub(crate) fn new(hint: usize, shape: Shape<R, T>) -> Many<R, T> {
        let gathered = Gathered { values: Vec::with_capacity(hint), errors: BTreeMap::new() };
        let state = State { gathered, next: 0, ahead: BTreeMap::new(), done: 0 };
        let len = AtomicUsize::new(usize::MAX);
        Many { completion: Completion::new(), len, shape, state: Mutex::new(state) }
    }

    /// There are so many items, all of them submitted.
    pub(crate) fn set_len(&self, len: usize) {
        let state = self.state.lock();
        self.len.store(len, Ordering::Relaxed);
        self.advance(state, 0);
    }

    /// Notes that items are done, and completes the map with the last.
    fn advance(&self, mut state: parking_lot::MutexGuard<'_, State<R>>, items: usize) {
        state.done += items;
        let done = state.done;
        let ends_early = self.shape.fail_fast && !state.gathered.errors.is_empty();
        let gathered = (done >= self.len.load(Ordering::Relaxed) || ends_early).then(|| {
            let empty = Gathered { values: Vec::new(), errors: BTreeMap::new() };
            std::mem::replace(&mut state.gathered, empty)
        });
        drop(state);
        if let Some(progress) = &self.shape.progress {
            progress(done);
        }
        if let Some(gathered) = gathered
            && !self.completion.is_done()
        {
            self.completion.complete((self.shape.finish)(gathered));
        }
    }
}

impl<R> State<R> {
    /// Takes what follows without a gap from what came too early.
    fn close_gap(&mut self) {
        while let Some((items, values)) = self.ahead.remove(&self.next) {
            self.gathered.values.extend(values);
            self.next += items;
        }
    }
}

impl<R: Output, T: Send> Receiver for Many<R, T> {
    fn deliver(&self, arrival: Arrival<'_>) {
        let (first, items) = (arrival.first, arrival.items);
        let mut state = self.state.lock();
        let mut early = Vec::new();
        let State { gathered: Gathered { values, errors }, next, .. } = &mut *state;
        let in_order = first == *next;
        let target = if in_order { values } else { &mut early };
        let are_numbers = arrival.faults.is_empty() && codec::append_numbers(arrival.results, items, target);
        if !are_numbers {
            for (item, value) in decode::<R>(arrival) {
                match value {
                    Ok(value) => target.push(value),
                    Err(error) => {
                        errors.insert(item, error);
                    }
                }
            }
        }
        if in_order {
            *next += items;
            state.close_gap();
        } else {
            state.ahead.insert(first, (items, early));
        }
        self.advance(state, items);
    }

    fn fail(&self, first: usize, items: usize, error: TaskError) {
        let mut state = self.state.lock();
        for item in first..first + items {
            state.gathered.errors.insert(item, error.clone().of_item(item));
        }
        state.ahead.insert(first, (items, Vec::new()));
        state.close_gap();
        self.advance(state, items);
    }

    fn is_open(&self) -> bool {
        !self.completion.is_done()
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

/// Each item's value or error.
pub(crate) fn each<R>(gathered: Gathered<R>) -> Result<Vec<Result<R, TaskError>>, TaskError> {
    let Gathered { values, mut errors } = gathered;
    let len = values.len() + errors.len();
    let mut values = values.into_iter();
    let of_item = |item| match errors.remove(&item) {
        Some(error) => Err(error),
        // As many as there are items without an error.
        None => values.next().ok_or(TaskError::Taken),
    };
    Ok((0..len).map(of_item).collect())
}
