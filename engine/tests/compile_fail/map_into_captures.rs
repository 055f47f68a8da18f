//! An element kernel is conjured from its type alone, so it cannot hold a value.
use phalanx::*;

fn main() -> Result<(), Error> {
    let pool = Pool::new()?;
    let mut y = pool.zeros::<f64>(100)?;
    let x = pool.zeros::<f64>(100)?;
    let a = 2.0;
    pool.map_into(y.split_out(), x.split(), move |x| x * a)?;
    Ok(())
}
