use crate::splitmix::bits;
use phalanx::channel::{Receiver, Sender};
use phalanx::{Process, Queue};

/// Steps to 1 in the Collatz sequence.
fn steps(mut n: u64) -> u64 {
    let mut steps = 0;
    while n != 1 {
        n = if n.is_multiple_of(2) { n / 2 } else { 3 * n + 1 };
        steps += 1;
    }
    steps
}

fn produce(numbers: Sender<u64>) {
    for i in 0..2000 {
        numbers.send(&(bits(i) % 1_000_000 + 1)).expect("somebody counts");
    }
}

fn count((numbers, counted): (Receiver<u64>, Sender<(u64, u64)>)) {
    for number in numbers {
        let number = number.expect("numbers arrive whole");
        counted.send(&(steps(number), number)).expect("somebody chooses");
    }
}

pub fn main() -> Result<(), phalanx::Error> {
    let (produced, numbers) = Queue::pair()?;
    let (counted, results) = Queue::pair()?;
    let producer = Process::spawn(produce, produced)?;
    let first = Process::spawn(count, (numbers.clone(), counted.clone()))?;
    let second = Process::spawn(count, (numbers, counted))?;
    let mut longest = (0, 0);
    for result in results {
        longest = longest.max(result?);
    }
    for process in [producer, first, second] {
        process.join()?;
    }
    println!("{} takes {} steps", longest.1, longest.0);
    Ok(())
}
