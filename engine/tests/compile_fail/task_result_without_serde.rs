//! A struct is the result of a task only with serde's traits.
use phalanx::*;

struct Job {
    n: u32,
}

fn main() -> Result<(), Error> {
    let pool = Pool::new()?;
    pool.apply(|n: u32| Job { n }, 1)?;
    Ok(())
}
