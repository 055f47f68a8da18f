//! The body of a region cannot capture.
use phalanx::*;

fn main() -> Result<(), Error> {
    let pool = Pool::new()?;
    let mut y = pool.zeros::<f64>(100)?;
    let a = 2.0;
    pool.region(&mut y, |team, _y| team.all_reduce(a, |a, b| a + b))?;
    Ok(())
}
