//! An array cannot go away while it is lent.
use phalanx::*;

fn main() -> Result<(), Error> {
    let pool = Pool::new()?;
    let mut y = pool.zeros::<f64>(100)?;
    let grant = y.split_mut();
    drop(y);
    pool.for_each(grant, |_y| ())?;
    Ok(())
}
