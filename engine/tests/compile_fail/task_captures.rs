//! A task's function runs in another process, so it cannot hold a value: pass it as part of the argument.
use phalanx::*;

fn main() -> Result<(), Error> {
    let pool = Pool::new()?;
    let factor = 3;
    pool.map(move |n: u64| n * factor, 0..10)?;
    Ok(())
}
