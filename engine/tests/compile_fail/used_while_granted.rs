//! A grant borrows the array until the launch has returned.
use phalanx::*;

fn main() -> Result<(), Error> {
    let pool = Pool::new()?;
    let mut y = pool.zeros::<f64>(100)?;
    let grant = y.split_mut();
    y.as_mut_slice()[0] = 1.0;
    pool.for_each(grant, |_y| ())?;
    Ok(())
}
