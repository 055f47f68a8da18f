//! A struct is an argument of a task only with serde's traits.
use phalanx::*;

struct Job {
    n: u32,
}

fn main() -> Result<(), Error> {
    let pool = Pool::new()?;
    pool.apply(|job: Job| job.n, Job { n: 1 })?;
    Ok(())
}
