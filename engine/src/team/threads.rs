//! The threads of a member that has more than one.

use crate::spawn::last_words;
use crate::team::current;
use crate::team::welcome::Welcome;
use crate::topology::{CpuSet, bind_to};

/// The worker's own threads, where it has more than one: each on the worker's CPUs.
pub(crate) fn rayon_pool(welcome: &Welcome) -> Result<Option<rayon::ThreadPool>, String> {
    if welcome.threads < 2 {
        return Ok(None);
    }
    let (rank, cpus) = (welcome.rank, welcome.cpus.clone());
    rayon::ThreadPoolBuilder::new()
        .num_threads(welcome.threads as usize)
        .thread_name(move |index| format!("phalanx {rank}.{index}"))
        .start_handler(move |index| {
            current::become_member();
            last_words::guard_this_thread();
            if let Some(cpu) = index.checked_rem(cpus.len()).and_then(|index| cpus.get(index)) {
                // A refusal was reported by the worker already.
                let _refused = bind_to(Some(&CpuSet::single(*cpu)), None);
            }
        })
        .build()
        .map(Some)
        .map_err(|error| format!("cannot start {} threads: {error}", welcome.threads))
}
