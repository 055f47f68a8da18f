//! A kernel runs in another process and cannot capture: what it needs is an operand.
use phalanx::*;

fn main() -> Result<(), Error> {
    let pool = Pool::new()?;
    let mut y = pool.zeros::<f64>(100)?;
    let a = 2.0;
    pool.for_each(y.split_mut(), |y| y.iter_mut().for_each(|y| *y *= a))?;
    Ok(())
}
