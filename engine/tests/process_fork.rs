//! Processes forked from the program itself, which must have one thread at the first start: hence no test
//! harness.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use phalanx::sync::{Counter, Lock};
use phalanx::{JoinError, Process, StartMethod, active_children, current_process};
use std::sync::OnceLock;

/// Made by `main` before any process.
static PREPARED: OnceLock<String> = OnceLock::new();

fn fork() -> phalanx::ProcessBuilder {
    Process::builder().start_method(StartMethod::Fork)
}

fn inherits_what_was_prepared() {
    let process =
        fork().name("heir").spawn(|()| (PREPARED.get().cloned(), current_process().name), ()).unwrap();
    assert_eq!(process.join().unwrap(), (Some("prepared".to_string()), "heir".to_string()));
}

fn knows_no_children_of_the_program() {
    let process = fork().spawn(|()| active_children().len(), ()).unwrap();
    assert_eq!(process.join().unwrap(), 0);
}

fn uses_shared_objects_and_can_be_killed() {
    let (lock, count) = (Lock::new(1u32).unwrap(), Counter::new(0).unwrap());
    let work = |(lock, count): (Lock<u32>, Counter)| {
        *lock.lock().unwrap() += 1;
        count.add(1);
        loop {
            std::thread::park();
        }
    };
    let process: Process = fork().spawn(work, (lock.clone(), count.clone())).unwrap();
    while count.get() == 0 {
        std::thread::yield_now();
    }
    process.kill();
    assert!(matches!(process.join(), Err(JoinError::Died { .. })));
    assert_eq!(*lock.lock().unwrap(), 2);
}

/// A library with MPI in it would take the process for the driver.
fn is_no_rank_of_the_launchers() {
    let mine =
        || std::env::vars().map(|(key, _)| key).filter(|key| key.starts_with("PMI_")).collect::<Vec<_>>();
    let process = fork().spawn(move |()| (mine(), std::env::var("PREPARED_BY").ok()), ()).unwrap();
    assert_eq!(process.join().unwrap(), (vec![], Some("main".to_string())));
    assert_eq!(mine(), ["PMI_RANK"]);
}

fn main() {
    PREPARED.set("prepared".into()).unwrap();
    #[allow(unsafe_code)]
    // SAFETY: the program has one thread.
    unsafe {
        std::env::set_var("PMI_RANK", "3");
        std::env::set_var("PREPARED_BY", "main");
    }
    inherits_what_was_prepared();
    // The program has threads by now, but the copy is there.
    knows_no_children_of_the_program();
    uses_shared_objects_and_can_be_killed();
    is_no_rank_of_the_launchers();
    assert_eq!(active_children(), []);
    println!("processes forked from the program: 4 tests ok");
}
