//! An exit function captures nothing: what it is to know is in its worker.
use phalanx::*;

fn main() -> Result<(), Error> {
    let level = 3;
    Pool::builder().at_exit(move || level).build()?;
    Ok(())
}
