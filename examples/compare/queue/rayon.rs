use crate::splitmix::bits;
use rayon::prelude::*;
use std::sync::mpsc::channel;
use std::thread;

/// Steps to 1 in the Collatz sequence.
fn steps(mut n: u64) -> u64 {
    let mut steps = 0;
    while n != 1 {
        n = if n.is_multiple_of(2) { n / 2 } else { 3 * n + 1 };
        steps += 1;
    }
    steps
}

pub fn main() {
    let (produced, numbers) = channel();
    let (counted, results) = channel();
    let producer = thread::spawn(move || {
        for i in 0..2000 {
            produced.send(bits(i) % 1_000_000 + 1).expect("somebody counts");
        }
    });
    let counter = thread::spawn(move || {
        numbers.into_iter().par_bridge().for_each_with(counted, |counted, number| {
            counted.send((steps(number), number)).expect("somebody chooses");
        });
    });
    let longest = results.into_iter().max().unwrap_or_default();
    for stage in [producer, counter] {
        stage.join().expect("no stage panics");
    }
    println!("{} takes {} steps", longest.1, longest.0);
}
