//! As `task_captures`, as one writes it first.
use phalanx::*;

fn main() -> Result<(), Error> {
    let pool = Pool::new()?;
    let factor = 3;
    pool.map(|n: u64| n * factor, 0..10)?;
    Ok(())
}
