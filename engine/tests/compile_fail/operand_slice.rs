//! A slice lies in this process alone; shared arrays are granted.
use phalanx::*;

fn main() -> Result<(), Error> {
    let pool = Pool::new()?;
    let mut y = pool.zeros::<f64>(100)?;
    let x = [1.0; 100];
    pool.for_each((y.split_mut(), &x[..]), |(_y, _x)| ())?;
    Ok(())
}
