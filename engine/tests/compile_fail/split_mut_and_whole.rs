//! What some write nobody else may read in the same launch.
use phalanx::*;

fn main() -> Result<(), Error> {
    let pool = Pool::new()?;
    let mut y = pool.zeros::<f64>(100)?;
    pool.for_each((y.split_mut(), y.whole()), |(_y, _all)| ())?;
    Ok(())
}
