//! An array is granted, not passed.
use phalanx::*;

fn main() -> Result<(), Error> {
    let pool = Pool::new()?;
    let mut y = pool.zeros::<f64>(100)?;
    pool.for_each(&mut y, |_y| ())?;
    Ok(())
}
