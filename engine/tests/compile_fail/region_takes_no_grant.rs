//! A region takes whole arrays; grants are made in its phases.
use phalanx::*;

fn main() -> Result<(), Error> {
    let pool = Pool::new()?;
    let mut y = pool.zeros::<f64>(100)?;
    pool.region(y.split_mut(), |_team, _y| Ok(0))?;
    Ok(())
}
