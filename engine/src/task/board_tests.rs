//! The board's words on the heap, with threads in the place of members.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use super::*;
use crate::task::board::models::Heap;
use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;

#[test]
fn every_task_is_claimed_once_by_whom_its_state_names() {
    const TASKS: usize = 20_000;
    let heap = Heap::new(3);
    let board = heap.board;
    let (seen, is_over) = (Mutex::new(Vec::new()), AtomicBool::new(false));
    std::thread::scope(|scope| {
        for rank in 0..3usize {
            let (seen, is_over) = (&seen, &is_over);
            scope.spawn(move || {
                let mut own = Vec::new();
                loop {
                    let last_look = is_over.load(Ordering::Acquire);
                    match board.claim(rank as u32 + 2) {
                        Some((index, running)) => {
                            assert_eq!(board.state(index), running);
                            assert_eq!(running.member(), rank as u32 + 2);
                            own.push(board.slot(index).items.load(Ordering::Relaxed));
                            assert!(board.change(index, running, running.of(TaskStage::Done)));
                            board.put_done(rank, index);
                        }
                        None if last_look => break,
                        None => std::thread::yield_now(),
                    }
                }
                seen.lock().unwrap().extend(own);
            });
        }
        let (mut free, mut taken): (Vec<usize>, _) = ((0..SLOTS).collect(), [0u64; 3]);
        let (mut next, mut done) = (0u64, 0);
        while done < TASKS {
            while (next as usize) < TASKS
                && let Some(index) = free.pop()
            {
                board.slot(index).items.store(next, Ordering::Relaxed);
                if board.queue(index, next).is_none() {
                    free.push(index);
                    break;
                }
                next += 1;
            }
            for (rank, taken) in taken.iter_mut().enumerate() {
                while board.done_since(rank, *taken).unwrap() > 0 {
                    let index = board.done_slot(rank, *taken).unwrap();
                    assert_eq!(board.state(index).stage(), Some(TaskStage::Done));
                    board.free(index);
                    free.push(index);
                    (*taken, done) = (*taken + 1, done + 1);
                }
            }
        }
        is_over.store(true, Ordering::Release);
    });
    let seen = seen.into_inner().unwrap();
    assert_eq!(seen.len(), TASKS);
    assert_eq!(seen.into_iter().collect::<BTreeSet<_>>().len(), TASKS);
}

#[test]
fn a_task_that_was_taken_back_is_passed_over() {
    let heap = Heap::new(1);
    let board = heap.board;
    let states: Vec<_> = (0..5).map(|index| board.queue(index, index as u64).unwrap()).collect();
    for index in [0, 2, 4] {
        assert!(board.change(index, states[index], states[index].of(TaskStage::Free)));
    }
    assert_eq!(board.claim(7).map(|(index, _)| index), Some(1));
    assert_eq!(board.claim(7).map(|(index, _)| index), Some(3));
    assert_eq!(board.claim(7), None);
    assert_eq!(board.waiting(), 0);
}

#[test]
fn a_ring_full_of_tasks_that_were_taken_back_takes_new_ones() {
    let heap = Heap::new(1);
    let board = heap.board;
    for position in 0..3 * SLOTS as u64 {
        let state = board.queue(0, position).unwrap();
        assert!(board.change(0, state, state.of(TaskStage::Free)));
    }
    assert!(board.queue(0, 3 * SLOTS as u64).is_some());
    assert_eq!(board.claim(7).map(|(index, _)| index), Some(0));
}

#[test]
fn nonsense_on_the_ring_is_no_task() {
    let heap = Heap::new(1);
    let board = heap.board;
    board.queue(0, 0).unwrap();
    board.ring()[0].store(u64::MAX, Ordering::Relaxed);
    assert_eq!(board.claim(7), None);
    board.done(0).slots[0].store(u32::MAX, Ordering::Relaxed);
    assert_eq!(board.done_slot(0, 0), None);
}
