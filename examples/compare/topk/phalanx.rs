use crate::splitmix::bits;
use phalanx::Pool;
use std::cmp::Reverse;

type Record = (u64, usize);

/// Keeps the five highest scores, of equal ones those with the lower number.
fn keep_best(best: &mut Vec<Record>, more: impl IntoIterator<Item = Record>) {
    best.extend(more);
    best.sort_unstable_by_key(|&(score, number)| (Reverse(score), number));
    best.truncate(5);
}

pub fn main() -> Result<(), phalanx::Error> {
    let pool = Pool::new()?;
    let scores = pool.from_fn(200_000, |i| bits(i as u64) % 50_000)?;
    let best = pool.fold(
        (scores.split(), 0..scores.len()),
        Vec::new,
        |best, (scores, numbers)| keep_best(best, scores.iter().copied().zip(numbers)),
        keep_best,
    )?;
    for (score, number) in best {
        println!("record {number} has {score}");
    }
    Ok(())
}
