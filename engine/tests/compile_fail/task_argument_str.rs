//! An argument owns its data: `String`, not `&str`.
use phalanx::*;

fn main() -> Result<(), Error> {
    let pool = Pool::new()?;
    pool.map(|word: &str| word.len(), ["one", "two"])?;
    Ok(())
}
