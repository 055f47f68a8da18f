//! A kernel that takes what it captured with it does not travel either; the message says what to do.
use phalanx::*;

fn main() -> Result<(), Error> {
    let pool = Pool::new()?;
    let mut y = pool.zeros::<f64>(100)?;
    let a = 2.0;
    pool.for_each(y.split_mut(), move |y| y.iter_mut().for_each(|y| *y *= a))?;
    Ok(())
}
