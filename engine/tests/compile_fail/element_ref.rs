//! A reference is an address, and addresses stay at home.
use phalanx::*;

fn main() -> Result<(), Error> {
    let pool = Pool::new()?;
    let x = 1.0;
    pool.from_fn(10, |_| &x)?;
    Ok(())
}
