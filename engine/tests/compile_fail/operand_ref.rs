//! A reference to a local value does not travel.
use phalanx::*;

fn main() -> Result<(), Error> {
    let pool = Pool::new()?;
    let mut y = pool.zeros::<f64>(100)?;
    let a = 2.0;
    pool.for_each((y.split_mut(), &a), |(_y, _a)| ())?;
    Ok(())
}
