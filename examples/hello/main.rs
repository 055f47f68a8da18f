//! The smallest whole program: two shared arrays, one launch that changes one of them, one that reads it.

use phalanx::Pool;

fn main() -> Result<(), phalanx::Error> {
    let pool = Pool::new()?;
    println!("{}", pool.reason());
    let x = pool.from_fn(10_000_000, |i| i as f64)?;
    let mut y = pool.zeros::<f64>(x.len())?;
    pool.for_each((y.split_mut(), x.split(), 2.5), |(y, x, a)| {
        for (y, x) in y.iter_mut().zip(x) {
            *y += a * x;
        }
    })?;
    let sum = pool.reduce(y.split(), 0.0, |y| y.iter().sum(), |a, b| a + b)?;
    println!("the sum is {sum}");
    Ok(())
}
