//! The result of a region travels back as plain bytes.
use phalanx::*;

fn main() -> Result<(), Error> {
    let pool = Pool::new()?;
    let mut y = pool.zeros::<f64>(100)?;
    pool.region(&mut y, |_team, _y| Ok(String::new()))?;
    Ok(())
}
