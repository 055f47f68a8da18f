//! Queues and pipes between real processes, and what becomes of them when one dies in the middle.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use phalanx::channel::{
    Connection, Delivery, JoinableQueue, Pipe, Queue, QueueError, QueueOptions, Receiver, SimpleQueue,
};
use phalanx::sync::Counter;
use phalanx::{Backend, LaunchError, Pool};
use std::time::Duration;

const LONG: Duration = Duration::from_secs(20);

fn pools() -> Vec<Pool> {
    vec![
        Pool::builder().workers(3).build().unwrap(),
        Pool::builder().workers(3).backend(Backend::Threads).build().unwrap(),
    ]
}

fn processes(workers: usize) -> Pool {
    Pool::builder().workers(workers).build().unwrap()
}

/// Ends the calling worker as a crash would: nothing is unwound, nothing given back.
fn die() -> ! {
    std::process::abort()
}

#[test]
fn workers_fill_a_queue_that_the_driver_reads() {
    for pool in pools() {
        let queue = Queue::<(usize, String)>::new().unwrap();
        pool.for_each((0..1000, &queue), |(range, queue)| {
            for i in range {
                queue.put(&(i, i.to_string())).unwrap();
            }
        })
        .unwrap();
        let mut all: Vec<_> = queue.try_iter().map(Result::unwrap).collect();
        all.sort_unstable();
        assert_eq!(all.len(), 1000);
        assert!(all.iter().enumerate().all(|(i, (n, text))| i == *n && *text == n.to_string()));
    }
}

/// Rank 0 writes, the others read; every item is seen once, small ones and large ones.
#[test]
fn one_worker_feeds_the_others_through_a_narrow_queue() {
    for pool in pools() {
        let (jobs, sums, count) = (
            Queue::<Vec<u64>>::bounded(4).unwrap(),
            SimpleQueue::<u64>::new().unwrap(),
            Counter::new(0).unwrap(),
        );
        pool.broadcast((&jobs, &sums, &count), |rank, (jobs, sums, count)| {
            if rank == 0 {
                for i in 0..600u64 {
                    let len = if i % 20 == 0 { 100_000 } else { i as usize };
                    jobs.put(&vec![i; len]).unwrap();
                }
                jobs.close();
                return;
            }
            let mut sum = 0;
            for job in jobs {
                sum += job.unwrap().iter().sum::<u64>();
                count.add(1);
            }
            sums.put(&sum).unwrap();
        })
        .unwrap();
        let expected: u64 = (0..600u64).map(|i| i * if i % 20 == 0 { 100_000 } else { i }).sum();
        assert_eq!(sums.get().unwrap() + sums.get().unwrap(), expected, "{pool:?}");
        assert_eq!(count.get(), 600);
        assert!(matches!(jobs.get(), Err(QueueError::Closed)));
    }
}

#[test]
fn a_writer_that_dies_leaves_no_item_and_blocks_nobody() {
    let pool = processes(2);
    let queue = Queue::<Vec<u8>>::new().unwrap();
    queue.put(&vec![1; 10]).unwrap();
    // The worker is killed from outside while it puts 50 MB again and again.
    let died = std::thread::scope(|s| {
        let pid = pool.worker_pids()[0];
        let launch = s.spawn(|| {
            pool.broadcast(&queue, |rank, queue| {
                if rank == 0 {
                    let large = vec![7u8; 50 << 20];
                    loop {
                        queue.put(&large).unwrap();
                    }
                }
            })
        });
        let expected = vec![7u8; 50 << 20];
        let mut whole = 0;
        assert_eq!(queue.get().unwrap(), vec![1; 10]);
        while whole < 3 {
            let item = queue.get_timeout(LONG).unwrap();
            assert!(item == expected, "a torn item");
            whole += 1;
        }
        std::process::Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap();
        launch.join().unwrap()
    });
    assert!(matches!(died, Err(LaunchError::WorkerDied { .. })), "{died:?}");
    // What it had finished is whole, what it had not is not there, and the queue serves the next.
    assert!(queue.try_iter().all(|item| item.unwrap() == vec![7; 50 << 20]), "a torn item");
    pool.broadcast(&queue, |rank, queue| queue.put(&vec![rank as u8; 5000]).unwrap()).unwrap();
    let mut firsts = [queue.get_timeout(LONG).unwrap()[0], queue.get_timeout(LONG).unwrap()[0]];
    firsts.sort_unstable();
    assert_eq!(firsts, [0, 1]);
    assert!(queue.is_empty() && queue.memory_bytes() <= 16 << 20);
}

#[test]
fn a_reader_that_dies_while_it_waits_takes_nothing_along() {
    let pool = processes(2);
    let (queue, ready) = (Queue::<u64>::new().unwrap(), SimpleQueue::<u32>::new().unwrap());
    let died = std::thread::scope(|s| {
        let launch = s.spawn(|| {
            pool.broadcast((&queue, &ready), |rank, (queue, ready)| {
                if rank == 0 {
                    ready.put(&std::process::id()).unwrap();
                    queue.get().unwrap();
                }
            })
        });
        let pid = ready.get().unwrap();
        while !is_asleep(pid) {
            std::thread::yield_now();
        }
        std::process::Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap();
        launch.join().unwrap()
    });
    assert!(matches!(died, Err(LaunchError::WorkerDied { .. })), "{died:?}");
    for i in 0..100 {
        queue.put(&i).unwrap();
    }
    assert!((0..100).all(|i| queue.get_timeout(LONG).unwrap() == i));
}

fn is_asleep(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('S'))
}

#[test]
fn what_a_dead_reader_had_claimed_comes_back_or_is_counted() {
    for (delivery, back) in [(Delivery::AtLeastOnce, true), (Delivery::AtMostOnce, false)] {
        let pool = processes(2);
        let queue = Queue::with_options(QueueOptions { delivery, ..QueueOptions::default() }).unwrap();
        (0..10u32).for_each(|i| queue.put(&i).unwrap());
        let died = pool.broadcast(&queue, |rank, queue| {
            if rank == 0 {
                let claims = (queue.claim().unwrap(), queue.claim().unwrap());
                assert_eq!((*claims.0, *claims.1), (0, 1));
                die();
            }
        });
        assert!(matches!(died, Err(LaunchError::WorkerDied { .. })), "{died:?}");
        let rest: Vec<u32> = queue.try_iter().map(Result::unwrap).collect();
        assert_eq!(rest, (if back { 0 } else { 2 }..10).collect::<Vec<_>>());
        assert_eq!(queue.lost(), if back { 0 } else { 2 });
    }
}

#[test]
fn items_in_dead_hands_hold_up_no_join() {
    let pool = processes(2);
    let queue = JoinableQueue::<u32>::new().unwrap();
    (0..4).for_each(|i| queue.put(&i).unwrap());
    let died = pool.broadcast(&queue, |rank, queue| {
        if rank == 0 {
            queue.get().unwrap();
            queue.get().unwrap();
            queue.task_done().unwrap();
            die();
        }
    });
    assert!(matches!(died, Err(LaunchError::WorkerDied { .. })), "{died:?}");
    assert_eq!(queue.unfinished(), 2);
    for _ in 0..2 {
        queue.get().unwrap();
        queue.task_done().unwrap();
    }
    assert!(matches!(queue.join(), Err(QueueError::Lost { items: 1 })));
    assert_eq!((queue.take_lost(), queue.lost()), (1, 1));
    queue.join().unwrap();
}

#[test]
fn a_pipe_ends_when_the_only_user_of_its_other_side_dies() {
    let pool = processes(2);
    let (ours, theirs): (Connection<u32>, Connection<u32>) = Pipe::new().unwrap();
    std::thread::scope(|s| {
        let launch = s.spawn(|| {
            pool.broadcast(&theirs, |rank, theirs| {
                if rank == 0 {
                    while let Ok(n) = theirs.recv() {
                        match n {
                            0 => die(),
                            n => theirs.send(&(n * n)).unwrap(),
                        }
                    }
                }
            })
        });
        for n in 1..100 {
            ours.send(&n).unwrap();
            assert_eq!(ours.recv_timeout(LONG).unwrap(), n * n);
        }
        ours.send(&0).unwrap();
        assert!(launch.join().unwrap().is_err());
    });
    // Rank 1 received the pipe as well and lives.
    assert!(matches!(ours.try_recv(), Err(QueueError::Empty)));
    drop(pool);
    assert!(matches!(ours.recv(), Err(QueueError::EndOfFile { died: Some(_) })));
}

#[test]
fn a_region_passes_items_around() {
    let pool = processes(2);
    let (numbers, sum) = (Queue::<u64>::bounded(3).unwrap(), SimpleQueue::<u64>::new().unwrap());
    pool.region((&numbers, &sum), |team, (numbers, sum)| {
        if team.rank() == 0 {
            (1..=1000).for_each(|i| numbers.put(&i).unwrap());
            numbers.close();
        } else {
            sum.put(&numbers.iter().map(Result::unwrap).sum()).unwrap();
        }
        Ok(0u64)
    })
    .unwrap();
    assert_eq!(sum.get().unwrap(), 500_500);
}

#[test]
fn ends_of_a_pipe_are_operands_too() {
    let pool = processes(1);
    let (sender, receiver) = Pipe::ends::<Vec<f32>>().unwrap();
    pool.broadcast(&sender, |_, sender| sender.send(&vec![0.5; 1000]).unwrap()).unwrap();
    let read = |receiver: &Receiver<Vec<f32>>| receiver.try_recv();
    assert_eq!(read(&receiver).unwrap(), vec![0.5; 1000]);
}
