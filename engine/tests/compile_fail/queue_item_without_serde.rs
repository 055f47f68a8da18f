//! A struct goes through a queue only with serde's traits.
use phalanx::*;

struct Job {
    n: u32,
}

fn main() -> Result<(), Error> {
    let queue = Queue::new()?;
    queue.put(&Job { n: 1 })?;
    Ok(())
}
