use crate::splitmix::bits;
use phalanx::Pool;
use std::cmp::Reverse;

type Record = (u64, usize);

/// The five highest scores, of equal ones those with the lower number.
fn keep_best(records: &mut Vec<Record>) {
    records.sort_unstable_by_key(|&(score, number)| (Reverse(score), number));
    records.truncate(5);
}

pub fn main() -> Result<(), phalanx::Error> {
    let pool = Pool::new()?;
    let scores = pool.from_fn(200_000, |i| bits(i as u64) % 50_000)?;
    let best = pool.fold(
        (scores.split(), 0..scores.len()),
        Vec::new,
        |best, (scores, numbers)| {
            best.extend(scores.iter().copied().zip(numbers));
            keep_best(best);
        },
        |best, more| {
            best.extend(more);
            keep_best(best);
        },
    )?;
    for (score, number) in best {
        println!("record {number} has {score}");
    }
    Ok(())
}
