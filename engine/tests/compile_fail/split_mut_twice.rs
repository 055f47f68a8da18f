//! One array cannot be lent for writing twice.
use phalanx::*;

fn main() -> Result<(), Error> {
    let pool = Pool::new()?;
    let mut y = pool.zeros::<f64>(100)?;
    pool.for_each((y.split_mut(), y.split_mut()), |(_y, _z)| ())?;
    Ok(())
}
