//! An element kernel is the function itself, not a pointer to one.
use phalanx::*;

fn main() -> Result<(), Error> {
    let pool = Pool::new()?;
    let mut y = pool.zeros::<f64>(100)?;
    let x = pool.zeros::<f64>(100)?;
    let square: fn(f64) -> f64 = |x| x * x;
    pool.map_into(y.split_out(), x.split(), square)?;
    Ok(())
}
