//! Items that run in the calling thread, either because there are no workers, or because the map is so fast
//! that this takes less time. Everything that holds on workers holds here too: a panic becomes an error, the
//! function sees a rank, progress is reported, and a closed pool refuses.
#![deny(clippy::arithmetic_side_effects)]

use crate::base::atomic::AtomicU64;
use crate::handle::travel::{self, CodecError};
use crate::spawn::panic_note::{self, ToldPanic};
use crate::spawn::segments::resolver;
use crate::task::entry::Argument;
use crate::task::error::TaskError;
use crate::task::job::{Gathered, Shape, Sift};
use crate::task::options::Tasks;
use crate::team::in_process::InProcess;
use crate::team::{current, program};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The outcome of a run.
pub(crate) struct Tally {
    pub(crate) items: usize,
    pub(crate) has_errors: bool,
}

/// Calls `function` on every item, one after the other.
pub(crate) fn run<A: Argument, R, T>(
    tasks: &Tasks<'_>,
    function: impl Fn(A) -> R,
    items: impl Iterator<Item = A>,
    shape: &Shape<R, T>,
) -> (Result<T, TaskError>, Tally) {
    if tasks.is_closed() {
        return (Err(TaskError::PoolClosed), Tally { items: 0, has_errors: true });
    }
    let (least, most) = items.size_hint();
    let len = most.filter(|most| *most == least);
    let mut gathered = Gathered { values: Vec::new(), errors: BTreeMap::new() };
    let mut count = 0usize;
    for (number, item) in items.enumerate() {
        count = number.saturating_add(1);
        let outcome = match tasks.is_cancelled() {
            true => Err(TaskError::Cancelled { item: number }),
            false => run_item(tasks, &function, shape.sift, number, item),
        };
        match outcome {
            Ok(value) => gathered.values.push(value),
            Err(error) => {
                gathered.errors.insert(number, error);
            }
        }
        tell(tasks, count, len);
        if shape.fail_fast && !gathered.errors.is_empty() {
            break;
        }
    }
    let tally = Tally { items: count, has_errors: !gathered.errors.is_empty() };
    ((shape.finish)(gathered), tally)
}

/// Calls `function` on item `number`, as often as the call's options want it.
pub(crate) fn run_item<A: Argument, R>(
    tasks: &Tasks<'_>,
    function: &impl Fn(A) -> R,
    sift: Sift<R>,
    number: usize,
    item: A,
) -> Result<R, TaskError> {
    let outcome = |item: A| {
        let value = call(|| function(item)).map_err(|error| error.of_item(number))?;
        sift(value).map_err(|error| TaskError::Failed { item: number, host: "".into(), error })
    };
    // Here nothing dies alone.
    let Some(retry) = tasks.options.retry.as_ref().filter(|retry| retry.is_meant.is_some()) else {
        return outcome(item);
    };
    let lost = |error: CodecError| {
        let (what, why) = ("the argument", error.to_string());
        TaskError::Codec { item: number, what, why }
    };
    let (bytes, _keep_alive) = travel::encode(&item).map_err(lost)?;
    let mut result = outcome(item);
    let mut tries = 0;
    while let Err(error) = &result
        && retry.wants(tries, error)
    {
        // There is no worker that could do something else meanwhile.
        retry.pause(tries).into_iter().for_each(std::thread::sleep);
        let (item, _leases) = travel::decode::<A>(&bytes, &mut resolver(&mut InProcess)).map_err(lost)?;
        result = outcome(item);
        tries = u32::saturating_add(tries, 1);
    }
    result
}

/// Reports the progress of a call that this thread makes or follows.
pub(crate) fn tell(tasks: &Tasks<'_>, done: usize, all: Option<usize>) {
    if let Some(progress) = &tasks.options.progress {
        program::call("a progress callback", || progress(done, all.filter(|all| *all >= done)));
    }
}

/// Calls code meant for a worker: as rank 0, unless a worker or a kernel is the caller.
pub(crate) fn call<R>(call: impl FnOnce() -> R) -> Result<R, TaskError> {
    let stop = AtomicU64::new(0);
    let _rank = (!current::is_inside()).then(|| current::enter(0, 1, &stop, 1, None));
    catch_unwind(AssertUnwindSafe(call)).map_err(|payload| {
        let ToldPanic { message, location, backtrace } = panic_note::take(payload).told();
        TaskError::Panicked { item: 0, host: "".into(), message, location, backtrace: backtrace.into() }
    })
}
