//! `String` does not travel.
use phalanx::*;

fn main() -> Result<(), Error> {
    let pool = Pool::new()?;
    let mut y = pool.zeros::<f64>(100)?;
    let value: String = String::new();
    pool.for_each((y.split_mut(), value), |(_y, _value)| ())?;
    Ok(())
}
