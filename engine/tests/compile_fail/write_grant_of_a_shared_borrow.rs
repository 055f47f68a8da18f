//! Who lends for writing must own or borrow mutably.
use phalanx::*;

fn main() -> Result<(), Error> {
    let pool = Pool::new()?;
    let mut y = pool.zeros::<f64>(100)?;
    let shared = &y;
    pool.for_each(shared.split_mut(), |_y| ())?;
    Ok(())
}
