//! Queues between threads of one process.

use super::Bare;
use crate::channel::core::{SMALL, Taken};
use crate::channel::*;
use crate::sync::Patience;
use std::time::Duration;

const LONG: Duration = Duration::from_secs(20);

#[test]
fn items_come_out_as_they_went_in() {
    let queue = Queue::<(u32, String, Option<Vec<i64>>)>::new().unwrap();
    let items: Vec<_> =
        (0..100).map(|i| (i, "x".repeat(i as usize * 10), Some(vec![-1; i as usize]))).collect();
    items.iter().for_each(|item| queue.put(item).unwrap());
    assert_eq!(queue.len(), 100);
    let back: Vec<_> = queue.try_iter().map(Result::unwrap).collect();
    assert_eq!(back, items);
    assert!(queue.is_empty());
}

#[test]
fn every_item_comes_out_once_and_in_its_writers_order() {
    let queue =
        Queue::<(usize, usize, Vec<u8>)>::with_options(QueueOptions { maxsize: 50, ..Default::default() })
            .unwrap();
    let (writers, readers, each) = (3, 3, 3000);
    let got: Vec<Vec<(usize, usize, Vec<u8>)>> = std::thread::scope(|s| {
        let writing: Vec<_> = (0..writers)
            .map(|w| {
                let queue = queue.clone();
                s.spawn(move || {
                    for i in 0..each {
                        let len = if i % 50 == 0 { 10_000 + i } else { i % 97 };
                        queue.put(&(w, i, vec![w as u8 ^ i as u8; len])).unwrap();
                    }
                })
            })
            .collect();
        let reading: Vec<_> =
            (0..readers).map(|_| s.spawn(|| queue.iter().map(Result::unwrap).collect())).collect();
        writing.into_iter().for_each(|w| w.join().unwrap());
        queue.close();
        reading.into_iter().map(|r| r.join().unwrap()).collect()
    });
    let mut seen = vec![vec![0; each]; writers];
    for items in got {
        let mut last = vec![None; writers];
        for (w, i, bytes) in items {
            assert!(bytes.iter().all(|&b| b == w as u8 ^ i as u8), "a torn item");
            // Small and large items of one writer may overtake each other only between readers.
            assert!(last[w] < Some(i), "writer {w}: {i} after {:?}", last[w]);
            last[w] = Some(i);
            seen[w][i] += 1;
        }
    }
    assert!(seen.iter().flatten().all(|&n| n == 1));
    assert!(matches!(queue.try_put(&(0, 0, vec![])), Err(QueueError::Closed)));
}

#[test]
fn a_bound_on_items_holds_and_room_wakes_a_writer() {
    let queue = Queue::<u64>::bounded(2).unwrap();
    queue.put(&1).unwrap();
    queue.put(&2).unwrap();
    assert!(queue.is_full());
    assert!(matches!(queue.try_put(&3), Err(QueueError::Full { items: 2, maxsize: 2, .. })));
    assert!(matches!(queue.put_timeout(&3, Duration::from_millis(5)), Err(QueueError::Full { .. })));
    std::thread::scope(|s| {
        s.spawn(|| queue.put_timeout(&3, LONG).unwrap());
        assert_eq!(queue.get_timeout(LONG).unwrap(), 1);
        assert_eq!(queue.get_timeout(LONG).unwrap(), 2);
        assert_eq!(queue.get_timeout(LONG).unwrap(), 3);
    });
    assert!(matches!(queue.try_get(), Err(QueueError::Empty)));
    assert!(matches!(queue.get_timeout(Duration::from_millis(5)), Err(QueueError::Empty)));
}

#[test]
fn bytes_are_a_bound_too_and_the_largest_item_fits_at_any_position() {
    let queue = Queue::<Vec<u8>>::with_capacity_bytes(1 << 16).unwrap();
    let largest = queue.capacity_bytes() - 8;
    let too_big = queue.put(&vec![0; largest + 1]).unwrap_err();
    assert!(matches!(too_big, QueueError::TooBig { item, capacity } if item == capacity + 1), "{too_big}");
    for round in 0..20 {
        queue.put(&vec![round; 100 + round as usize]).unwrap();
        assert!(matches!(queue.try_put(&vec![0; largest]), Err(QueueError::Full { .. })));
        assert_eq!(queue.get().unwrap(), vec![round; 100 + round as usize]);
        queue.try_put(&vec![round; largest]).unwrap();
        assert!(matches!(queue.try_put(&vec![0; 1]), Err(QueueError::Full { .. })));
        assert_eq!(queue.get().unwrap(), vec![round; largest]);
    }
}

/// A reader dies with the item that fills most of the queue: it is lost, and another of its size fits in its
/// place, though there is nothing to be taken that would free it.
#[test]
fn what_the_dead_held_is_room_again() {
    let bare = Bare::new(1 << 20, u64::MAX, 0);
    let item = vec![7; 700 << 10];
    bare.core.put(&item, Patience::Try).unwrap();
    let mut buffer = [const { std::mem::MaybeUninit::uninit() }; SMALL];
    assert!(matches!(bare.core.take(&mut buffer, false, Patience::Try), Ok(Taken::Claimed(_))));
    bare.dies(crate::base::member::current_member());
    bare.core.put(&item, Patience::Try).unwrap();
}

#[test]
fn memory_goes_back_when_the_queue_empties() {
    let queue = Queue::<Vec<u64>>::with_capacity_bytes(256 << 20).unwrap();
    let mut before = 0;
    for i in 0..64 {
        queue.put(&vec![i; 1 << 17]).unwrap();
        assert!(queue.memory_bytes() > before);
        before = queue.memory_bytes();
    }
    for i in 0..64 {
        assert_eq!(queue.get().unwrap(), vec![i; 1 << 17]);
    }
    assert!(queue.memory_bytes() <= 16 << 20, "{}", queue.memory_bytes());
    // One that is never empty keeps to few chunks all the same.
    queue.put(&vec![0; 1 << 17]).unwrap();
    for i in 1..600 {
        queue.put(&vec![i; 1 << 17]).unwrap();
        assert_eq!(queue.get().unwrap()[5], i - 1);
    }
    assert!(queue.memory_bytes() <= 18 << 20, "{}", queue.memory_bytes());
}

#[test]
fn closing_lets_blocked_writers_and_readers_go() {
    let (full, empty) = (Queue::<u8>::bounded(1).unwrap(), Queue::<u8>::new().unwrap());
    full.put(&1).unwrap();
    std::thread::scope(|s| {
        let writer = s.spawn(|| full.put(&2));
        let reader = s.spawn(|| empty.get());
        full.close();
        empty.close();
        assert!(matches!(writer.join().unwrap(), Err(QueueError::Closed)));
        assert!(matches!(reader.join().unwrap(), Err(QueueError::Closed)));
    });
    assert_eq!(full.get().unwrap(), 1);
    assert!(matches!(full.get(), Err(QueueError::Closed)));
    full.close();
}

#[test]
fn an_item_that_is_not_done_comes_back_first() {
    let queue = Queue::<u32>::new().unwrap();
    (0..3).for_each(|i| queue.put(&i).unwrap());
    let (first, second) = (queue.claim().unwrap(), queue.claim().unwrap());
    assert_eq!((*first, *second, queue.len()), (0, 1, 1));
    drop(second);
    assert_eq!(queue.get().unwrap(), 1);
    drop(first);
    let first = queue.claim().unwrap();
    queue.close();
    assert_eq!(queue.get().unwrap(), 2);
    std::thread::scope(|s| {
        // The claimed item may come back, so the queue has not ended.
        let last = s.spawn(|| queue.get());
        drop(first);
        assert_eq!(last.join().unwrap().unwrap(), 0);
    });
    assert!(matches!(queue.get(), Err(QueueError::Closed)));
}

#[test]
fn a_joinable_queue_waits_for_what_is_in_hands() {
    let queue = JoinableQueue::<u32>::new().unwrap();
    queue.join().unwrap();
    assert!(matches!(queue.task_done(), Err(QueueError::TooManyDone)));
    (0..5).for_each(|i| queue.put(&i).unwrap());
    assert!(!queue.join_timeout(Duration::from_millis(1)).unwrap());
    for _ in 0..5 {
        queue.get().unwrap();
    }
    assert_eq!(queue.unfinished(), 5);
    std::thread::scope(|s| {
        let joined = s.spawn(|| queue.join());
        (0..5).for_each(|_| queue.task_done().unwrap());
        joined.join().unwrap().unwrap();
    });
    assert!(matches!(queue.task_done(), Err(QueueError::TooManyDone)));
}

#[test]
fn a_pipe_talks_both_ways_and_ends() {
    let (a, b) = Pipe::duplex::<u32, Vec<f64>>().unwrap();
    a.send(&3).unwrap();
    b.send(&vec![0.5; 3]).unwrap();
    assert_eq!((b.recv().unwrap(), a.recv().unwrap()), (3, vec![0.5; 3]));
    assert!(!a.poll(Duration::ZERO).unwrap());
    b.send_bytes(b"raw").unwrap();
    assert!(a.poll(LONG).unwrap());
    assert_eq!(a.recv_bytes().unwrap(), b"raw");
    let again = b.clone();
    b.send(&vec![]).unwrap();
    drop(b);
    assert!(a.recv().unwrap().is_empty());
    assert!(matches!(a.try_recv(), Err(QueueError::Empty)));
    std::thread::scope(|s| {
        let waiting = s.spawn(|| a.recv());
        drop(again);
        assert!(matches!(waiting.join().unwrap(), Err(QueueError::EndOfFile { died: None })));
    });
    assert!(a.poll(LONG).unwrap());
    assert!(matches!(a.send(&1), Err(QueueError::EndOfFile { .. })));
}

#[test]
fn a_one_way_pipe_goes_one_way() {
    let (receiving, sending) = Pipe::simplex::<u8>().unwrap();
    sending.send(&7).unwrap();
    assert_eq!(receiving.recv().unwrap(), 7);
    assert!(matches!(receiving.send(&1), Err(QueueError::WrongWay { can: "receives" })));
    assert!(matches!(sending.recv(), Err(QueueError::WrongWay { .. })));
    sending.close();
    assert!(matches!(receiving.recv(), Err(QueueError::EndOfFile { .. })));
}
