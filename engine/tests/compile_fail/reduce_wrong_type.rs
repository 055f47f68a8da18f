//! Kernel, identity and combine agree on one type.
use phalanx::*;

fn main() -> Result<(), Error> {
    let pool = Pool::new()?;
    let x = pool.zeros::<f64>(100)?;
    let _sum: f64 = pool.reduce(x.split(), 0u64, |x| x.len() as u64, |a, b| a + b)?;
    Ok(())
}
