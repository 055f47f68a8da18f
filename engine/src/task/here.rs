//! Items that run in the calling thread, either because there are no workers, or because the map is so fast
//! that this takes less time. Everything that holds on workers holds here too: a panic becomes an error, the
//! function sees a rank, progress is reported, and a closed pool refuses.
#![deny(clippy::arithmetic_side_effects)]

use crate::base::atomic::AtomicU64;
use crate::spawn::panic_note::{self, PanicNote};
use crate::task::error::TaskError;
use crate::task::job::Gathered;
use crate::task::tasks::Tasks;
use crate::team::{current, program};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The outcome of a run.
pub(crate) struct Tally {
    pub(crate) items: usize,
    pub(crate) has_errors: bool,
}

/// Calls `function` on every item, one after the other.
pub(crate) fn run<A, R, T>(
    tasks: &Tasks<'_>,
    function: impl Fn(A) -> R,
    items: impl Iterator<Item = A>,
    finish: fn(Gathered<R>) -> Result<T, TaskError>,
    fail_fast: bool,
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
        match call(|| function(item)) {
            Ok(value) => gathered.values.push(value),
            Err(error) => {
                gathered.errors.insert(number, error.of_item(number));
            }
        }
        tell(tasks, count, len);
        if fail_fast && !gathered.errors.is_empty() {
            break;
        }
    }
    let tally = Tally { items: count, has_errors: !gathered.errors.is_empty() };
    (finish(gathered), tally)
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
        let PanicNote { message, location, backtrace } = panic_note::take(payload);
        TaskError::Panicked { item: 0, message, location, backtrace }
    })
}
