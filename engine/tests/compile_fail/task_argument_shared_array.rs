//! An array that can be written has one owner: tasks read it frozen.
use phalanx::*;

fn main() -> Result<(), Error> {
    let pool = Pool::new()?;
    let array = pool.zeros::<f64>(10)?;
    pool.apply(|array: SharedArray<f64>| array.as_slice()[0], array)?;
    Ok(())
}
