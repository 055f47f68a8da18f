//! Progress bars follow what is done.

use super::*;
use crate::Pool;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

#[test]
fn a_bar_ends_when_all_is_done() {
    let bar = ProgressBar::hidden();
    let show = shows(bar.clone());
    show(3, None);
    assert_eq!((bar.position(), bar.is_finished()), (3, false));
    show(4, Some(5));
    assert_eq!((bar.position(), bar.length(), bar.is_finished()), (4, Some(5), false));
    show(5, Some(5));
    assert!(bar.is_finished());
}

#[test]
fn a_bar_leaves_an_earlier_progress_its_calls() {
    let pool = Pool::builder().workers(2).build().unwrap();
    let seen = Arc::new(AtomicUsize::new(0));
    let note = seen.clone();
    let tasks = pool.tasks().progress(move |done, _| note.store(done, Ordering::Relaxed));
    tasks.progress_bar("doubles").map(|n: u64| n * 2, 0..100).unwrap();
    assert_eq!(seen.load(Ordering::Relaxed), 100);
}
