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

/// Mapper, converter and writer as tasks, handed on by queues that travel as arguments.
#[test]
fn queues_travel_as_arguments_of_tasks() {
    let pool = processes(2);
    let (numbers, texts) = (Queue::<u32>::bounded(10).unwrap(), Queue::<String>::bounded(10).unwrap());
    let mapper = pool.apply_async(
        |(numbers, n): (Queue<u32>, u32)| {
            (0..n).for_each(|i| numbers.put(&(i * i)).unwrap());
            numbers.close();
        },
        (numbers.clone(), 500),
    );
    let converter = pool.apply_async(
        |(numbers, texts): (Queue<u32>, Queue<String>)| {
            numbers.iter().for_each(|number| texts.put(&number.unwrap().to_string()).unwrap());
            texts.close();
        },
        (numbers, texts.clone()),
    );
    let written: Vec<String> = texts.iter().map(Result::unwrap).collect();
    assert_eq!(written, (0..500u32).map(|i| (i * i).to_string()).collect::<Vec<_>>());
    mapper.get().unwrap();
    converter.get().unwrap();
}

#[test]
fn a_side_of_a_pipe_moves_into_a_task_and_ends_with_it() {
    for backend in [Backend::Processes, Backend::Threads] {
        let pool = Pool::builder().workers(1).backend(backend).build().unwrap();
        let (ours, theirs): (Connection<u32>, Connection<u32>) = Pipe::new().unwrap();
        let echo = pool.apply_async(
            |(theirs, rounds): (Connection<u32>, u32)| {
                for _ in 0..rounds {
                    theirs.send(&(theirs.recv().unwrap() + 1)).unwrap();
                }
                // The last words are heard although the side goes.
                theirs.send(&0).unwrap();
            },
            (theirs, 50),
        );
        for n in 0..50 {
            ours.send(&n).unwrap();
            assert_eq!(ours.recv_timeout(LONG).unwrap(), n + 1);
        }
        assert_eq!(ours.recv_timeout(LONG).unwrap(), 0);
        assert!(matches!(ours.recv_timeout(LONG), Err(QueueError::EndOfFile { .. })), "{backend:?}");
        echo.get().unwrap();
        // What the task was sent is let go when its result has been taken off the board.
        while ours.send(&1).is_ok() {
            std::thread::yield_now();
        }
        assert!(matches!(ours.send(&1), Err(QueueError::EndOfFile { .. })));

        // And the other way about: the task hears that we are gone.
        let (ours, theirs): (Connection<u32>, Connection<u32>) = Pipe::new().unwrap();
        let count = |theirs: Connection<u32>| (0..).take_while(|_| theirs.recv().is_ok()).count() as u64;
        let counted = pool.apply_async(count, theirs);
        (0..20).for_each(|n| ours.send(&n).unwrap());
        drop(ours);
        assert_eq!(counted.get().unwrap(), 20);
    }
}

#[test]
fn what_cannot_go_through_a_queue_is_refused_with_its_reason() {
    let queue = Queue::<Counter>::new().unwrap();
    let refused = queue.put(&Counter::new(0).unwrap()).unwrap_err();
    assert!(matches!(refused, QueueError::Handle { what: "counter", .. }), "{refused}");
    assert!(queue.is_empty());
    let (requests, _taken) = Queue::<(u32, Option<phalanx::Sender<u32>>)>::pair().unwrap();
    let (reply, answers) = Queue::<u32>::pair().unwrap();
    let refused = requests.send(&(1, Some(reply))).unwrap_err();
    assert!(
        matches!(refused, QueueError::Handle { .. }) && refused.to_string().contains("sending end"),
        "{refused}"
    );
    assert!(matches!(answers.recv(), Err(QueueError::EndOfFile { .. })), "it was given back");
    requests.send(&(2, None)).unwrap();
    let queue = Queue::<Result<u32, Refuses>>::new().unwrap();
    queue.put(&Ok(1)).unwrap();
    assert!(matches!(queue.put(&Err(Refuses)), Err(QueueError::Encode { .. })));
    assert_eq!(queue.get().unwrap(), Ok(1));
    assert!(queue.is_empty());
}

#[derive(Debug, PartialEq, serde::Deserialize)]
struct Refuses;

impl serde::Serialize for Refuses {
    fn serialize<S: serde::Serializer>(&self, _to: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("not this one"))
    }
}

#[test]
fn a_thousand_queues_have_room_for_a_gigabyte_each() {
    let queues: Vec<_> = (0..1000).map(|_| Queue::<usize>::new().unwrap()).collect();
    for (n, queue) in queues.iter().enumerate() {
        assert_eq!(queue.capacity_bytes(), 1 << 30);
        queue.put(&n).unwrap();
    }
    assert!(queues.iter().enumerate().all(|(n, queue)| queue.get().unwrap() == n));
}
