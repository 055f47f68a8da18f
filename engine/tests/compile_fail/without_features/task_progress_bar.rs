//! A method that requires a cargo feature names it.
use phalanx::*;

fn main() -> Result<(), Error> {
    let pool = Pool::new()?;
    pool.tasks().progress_bar("squares").map(|n: u64| n * n, 1..=3)?;
    Ok(())
}
