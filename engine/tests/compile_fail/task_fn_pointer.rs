//! A task's function is named by its type, so it is the function itself, not a pointer to one.
use phalanx::*;

fn main() -> Result<(), Error> {
    let pool = Pool::new()?;
    let square: fn(u64) -> u64 = |n| n * n;
    pool.map(square, 0..10)?;
    Ok(())
}
