//! The combining function cannot capture either.
use phalanx::*;

fn main() -> Result<(), Error> {
    let pool = Pool::new()?;
    let x = pool.zeros::<f64>(100)?;
    let a = 2.0;
    pool.reduce(x.split(), 0.0, |x| x.iter().sum::<f64>(), |b, c| a * (b + c))?;
    Ok(())
}
