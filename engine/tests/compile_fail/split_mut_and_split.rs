//! What some write nobody else may read in the same launch, not even its own chunk twice.
use phalanx::*;

fn main() -> Result<(), Error> {
    let pool = Pool::new()?;
    let mut y = pool.zeros::<f64>(100)?;
    pool.for_each((y.split_mut(), y.split()), |(_y, _x)| ())?;
    Ok(())
}
