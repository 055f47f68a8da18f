//! Inputs are arrays or ranges of the output's elements, granted by `split()`.
use phalanx::*;

fn main() -> Result<(), Error> {
    let pool = Pool::new()?;
    let mut y = pool.zeros_nd::<f64, _>((10, 10))?;
    let x = pool.zeros_nd::<f64, _>((10, 10))?;
    pool.map_into(y.split_out(), x.whole(), |x| x)?;
    Ok(())
}
