//! A chunk granted for reading cannot be written.
use phalanx::*;

fn main() -> Result<(), Error> {
    let pool = Pool::new()?;
    let x = pool.zeros::<f64>(100)?;
    pool.for_each(x.split(), |x| x[0] = 1.0)?;
    Ok(())
}
