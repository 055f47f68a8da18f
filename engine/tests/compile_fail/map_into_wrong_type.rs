//! The kernel gives what the output holds.
use phalanx::*;

fn main() -> Result<(), Error> {
    let pool = Pool::new()?;
    let mut y = pool.zeros::<f64>(100)?;
    let x = pool.zeros::<f64>(100)?;
    pool.map_into(y.split_out(), x.split(), |x| x as f32)?;
    Ok(())
}
