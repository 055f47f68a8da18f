//! Calls over what processes share: queues, locks, semaphores, managers, and processes themselves.

use crate::tally::Tally;
use crate::tasks::Call;
use crate::trouble::{Kind, Trouble};
use common::Dice;
use phalanx::channel::{JoinableQueue, QueueError};
use phalanx::manager::{CallError, CounterProxy};
use phalanx::process::JoinError;
use phalanx::sync::{Counter, Lock, LockError, Semaphore};
use phalanx::{Manager, Pool, Process, Queue, TaskError};
use rustix::process::{Pid, Signal, kill_process};
use std::time::Duration;

pub const CALLS: [Call; 5] = [
    ("a queue", queue),
    ("a lock and a counter", lock),
    ("a semaphore", semaphore),
    ("a manager", manager),
    ("a process", process),
];

type Item = (u64, u64, Vec<u8>);

/// Items of one writer, each with bytes that follow from its number.
fn fill(writer: u64, i: u64) -> Vec<u8> {
    vec![(writer * 31 + i) as u8; (i as usize * 53) % 3000]
}

fn puts((queue, writer, items): (Queue<Item>, u64, u64)) {
    for i in 0..items {
        // A full queue or a closed one means that the reader has gone: this run's result does not count then.
        if queue.put_timeout(&(writer, i, fill(writer, i)), Duration::from_secs(5)).is_err() {
            return;
        }
    }
}

/// Writers that may be killed between any two bytes: what arrives is whole, in order, once.
fn queue(pool: &Pool, dice: &mut Dice, tally: &mut Tally) -> Result<(), Trouble> {
    let (queue, items) = (Queue::<Item>::bounded(1 + dice.below(20) as usize)?, 1 + dice.below(60));
    let writers: Vec<_> = (0..3).map(|w| pool.apply_async(puts, (queue.clone(), w, items))).collect();
    let mut next = [0; 3];
    loop {
        let is_over = writers.iter().all(|writer| writer.ready());
        match queue.get_timeout(Duration::from_millis(2)) {
            Ok((writer, i, bytes)) => {
                let is_right = i == next[writer as usize] && bytes == fill(writer, i);
                if !is_right {
                    tally.wrong("a queue", &format!("item {i} of writer {writer} is out of order or torn"));
                }
                next[writer as usize] = i + 1;
            }
            Err(QueueError::Empty) if is_over => break,
            Err(QueueError::Empty) => {}
            Err(error) => return Err(error.into()),
        }
    }
    for (writer, got) in writers.into_iter().zip(next) {
        match writer.get() {
            Ok(()) if got == items => {}
            Ok(()) => tally.wrong("a queue", &format!("{got} items of {items} arrived")),
            Err(TaskError::WorkerDied { .. }) => tally.expected(Kind::Died),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Two numbers that are right only together, and how often they were changed.
fn lock(pool: &Pool, dice: &mut Dice, tally: &mut Tally) -> Result<(), Trouble> {
    let (pair, torn) = (Lock::new([0_u64; 2])?, Counter::new(0)?);
    let rounds = 1 + dice.below(200);
    let outcome = pool.broadcast((0..1, &pair, &torn, rounds), |_, (_, pair, torn, rounds)| {
        for _ in 0..rounds {
            let mut guard = match pair.lock() {
                Ok(guard) => guard,
                Err(error @ LockError::OwnerDied(_)) => {
                    // The dead one may have changed one of the two.
                    let Some(mut guard) = error.into_guard() else { return };
                    guard[1] = guard[0];
                    guard.clear_poison();
                    guard
                }
                Err(_) => return,
            };
            if guard[0] != guard[1] {
                torn.add(1);
            }
            guard[0] += 1;
            guard[1] += 1;
        }
    });
    let sum = match pair.lock() {
        Ok(guard) => guard[0],
        Err(error) => error.into_guard().map_or(0, |guard| guard[0]),
    };
    if torn.get() != 0 {
        tally.wrong("a lock and a counter", "somebody saw a half-done change of an owner that was not dead");
    }
    outcome?;
    if sum != rounds * pool.workers() as u64 {
        tally.wrong("a lock and a counter", &format!("{sum} changes instead of {rounds} of each worker"));
    }
    Ok(())
}

/// Permits held by dead processes come back, and there are never more than at first.
fn semaphore(pool: &Pool, dice: &mut Dice, tally: &mut Tally) -> Result<(), Trouble> {
    let permits = 1 + dice.below(3) as u32;
    let gate = Semaphore::new(permits)?;
    let outcome = pool.broadcast((0..1, &gate), |_, (_, gate)| {
        for _ in 0..50 {
            let Ok(_permit) = gate.acquire() else { return };
            std::hint::spin_loop();
        }
    });
    // Every process has ended: all permits are back, and can be acquired in one step.
    match gate.acquire_many_timeout(permits, Duration::from_secs(5)) {
        Ok(all) => drop(all),
        Err(error) => tally.wrong("a semaphore", &error.to_string()),
    }
    if gate.available() != permits {
        tally.wrong("a semaphore", &format!("{} permits instead of {permits}", gate.available()));
    }
    Ok(outcome?)
}

fn counts((count, rounds): (CounterProxy, u64)) -> u64 {
    (0..rounds).map_while(|_| count.add(1).ok()).count() as u64
}

/// Calls of workers to a manager in the program or in a process of its own, which may be killed too.
fn manager(pool: &Pool, dice: &mut Dice, tally: &mut Tally) -> Result<(), Trouble> {
    let apart = dice.below(3) == 0;
    let made = if apart { Manager::in_process() } else { Manager::new() };
    let manager = match made {
        Ok(manager) => manager,
        Err(error) => {
            tally.wrong("a manager", &error.to_string());
            return Ok(());
        }
    };
    let count = manager.counter(0).map_err(Trouble::from)?;
    let rounds = 1 + dice.below(60);
    let callers: Vec<_> = (0..3).map(|_| pool.apply_async(counts, (count.clone(), rounds))).collect();
    let is_killed = apart && dice.below(2) == 0;
    if is_killed {
        std::thread::sleep(Duration::from_micros(dice.below(3000)));
        kill(manager.pid(), tally);
    }
    let (mut done, mut lost) = (0, 0);
    for caller in callers {
        match caller.get() {
            Ok(calls) => done += calls,
            Err(TaskError::WorkerDied { .. }) => lost += 1,
            Err(error) => return Err(error.into()),
        }
    }
    match count.get() {
        Ok(sum) if (done..=done + lost * rounds).contains(&(sum as u64)) => {}
        Ok(sum) => tally.wrong("a manager", &format!("{sum} calls counted, {done} came back, {lost} died")),
        Err(CallError::ServerDied) if is_killed => tally.expected(Kind::Died),
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

fn adds((from, to, queue): (u64, u64, JoinableQueue<u64>)) -> u64 {
    let sum = (from..to).sum();
    // The program may have ended with the queue meanwhile.
    let _ = queue.put(&sum);
    sum
}

/// Processes that are killed at any instant of their lives, their start included.
fn process(_: &Pool, dice: &mut Dice, tally: &mut Tally) -> Result<(), Trouble> {
    let queue = JoinableQueue::new()?;
    let to = dice.below(100_000);
    let child = Process::spawn(adds, (0, to, queue.clone())).map_err(Trouble::from)?;
    let is_killed = dice.below(2) == 0;
    if is_killed {
        std::thread::sleep(Duration::from_micros(dice.below(1500)));
        child.kill();
        tally.kills += 1;
    }
    match child.join() {
        Ok(sum) if sum == (0..to).sum::<u64>() => {}
        Ok(sum) => tally.wrong("a process", &format!("{sum} is wrong")),
        Err(JoinError::Died { .. }) if is_killed => tally.expected(Kind::Died),
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

fn kill(pid: u32, tally: &mut Tally) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        tally.kills += u64::from(kill_process(pid, Signal::KILL).is_ok());
    }
}
