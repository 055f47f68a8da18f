//! Whether the driver has a core to itself, wherever it is.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use crate::pool::Pool;
use crate::topology::{CpuSet, Limits, bind_to};

#[test]
fn a_driver_on_the_core_of_a_worker_has_none_to_itself() {
    let pool = Pool::builder().workers(1).build().unwrap();
    let crew = &pool.core.launcher.crew;
    let limits = Limits::detect();
    let Some(taken) = crew.cpus_of(0).cloned().filter(|_| limits.quota_cpus.is_none()) else { return };
    for cpu in limits.allowed.iter() {
        std::thread::scope(|scope| {
            let looks = scope.spawn(|| {
                assert!(bind_to(Some(&CpuSet::single(cpu)), None).is_empty());
                crew.is_on_spare_core()
            });
            // Where the worker's core is the only one, the driver has none anywhere.
            assert_eq!(looks.join().unwrap(), !taken.contains(cpu), "CPU {cpu}, worker on {taken}");
        });
    }
}
