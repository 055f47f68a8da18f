//! Searches look at elements; the rows of a matrix are none.
use phalanx::*;

fn main() -> Result<(), Error> {
    let pool = Pool::new()?;
    let x = pool.zeros_nd::<f64, _>((10, 10))?;
    pool.any(x.split(), |x| x > 2.0)?;
    Ok(())
}
