//! The predicate of a search cannot capture.
use phalanx::*;

fn main() -> Result<(), Error> {
    let pool = Pool::new()?;
    let x = pool.zeros::<f64>(100)?;
    let limit = 2.0;
    pool.find_first(x.split(), |x| x > limit)?;
    Ok(())
}
