//! Kills, stops and continues workers at random instants.

use common::Dice;
use phalanx::Pool;
use rustix::process::{Pid, Signal, kill_process};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// What a hunt did.
#[derive(Clone, Copy, Debug, Default)]
pub struct Prey {
    pub kills: u64,
    pub stops: u64,
}

/// A thread that hunts until [`Hunter::end`].
pub struct Hunter {
    ended: Arc<AtomicBool>,
    hand: JoinHandle<Prey>,
}

impl Hunter {
    /// Disturbs the workers of `pool` about every `every` microseconds.
    pub fn start(pool: &Arc<Pool>, every: u64, seed: u64) -> Hunter {
        let (pool, ended) = (pool.clone(), Arc::new(AtomicBool::new(false)));
        let hand = std::thread::spawn({
            let ended = ended.clone();
            move || hunt(&pool, every, &mut Dice::new(seed), &ended)
        });
        Hunter { ended, hand }
    }

    /// Ends the hunt and continues any worker that is stopped.
    pub fn end(self) -> Prey {
        self.ended.store(true, Ordering::Relaxed);
        self.hand.join().unwrap_or_default()
    }
}

fn hunt(pool: &Pool, every: u64, dice: &mut Dice, ended: &AtomicBool) -> Prey {
    let mut prey = Prey::default();
    while !ended.load(Ordering::Relaxed) {
        std::thread::sleep(Duration::from_micros(dice.below(2 * every)));
        let pids = pool.worker_pids();
        if pids.is_empty() {
            continue;
        }
        let one = pids[dice.below(pids.len() as u64) as usize];
        match dice.below(20) {
            0 => prey.kills += pids.iter().filter(|pid| send(**pid, Signal::KILL)).count() as u64,
            1..5 => {
                if send(one, Signal::STOP) {
                    prey.stops += 1;
                    std::thread::sleep(Duration::from_micros(dice.below(30_000)));
                    // Sometimes it is killed while stopped.
                    let killed = dice.below(4) == 0 && send(one, Signal::KILL);
                    prey.kills += u64::from(killed);
                    send(one, Signal::CONT);
                }
            }
            _ => prey.kills += u64::from(send(one, Signal::KILL)),
        }
    }
    prey
}

/// Sends a signal to a child of this process. Returns false if it is no longer one.
fn send(pid: u32, signal: Signal) -> bool {
    let Some(target) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return false };
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let parent = stat.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(1)?.parse::<u32>().ok());
    parent == Some(std::process::id()) && kill_process(target, signal).is_ok()
}
