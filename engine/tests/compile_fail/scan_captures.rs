//! The function of a scan cannot hold a value.
use phalanx::*;

fn main() -> Result<(), Error> {
    let pool = Pool::new()?;
    let mut y = pool.zeros::<f64>(100)?;
    let x = pool.zeros::<f64>(100)?;
    let a = 2.0;
    pool.scan(y.split_out(), x.split(), 0.0, move |b, c| a * (b + c))?;
    Ok(())
}
