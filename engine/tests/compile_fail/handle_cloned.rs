//! Two handles of one array could be granted for writing twice.
use phalanx::*;

fn main() -> Result<(), Error> {
    let pool = Pool::new()?;
    let mut y = pool.zeros::<f64>(100)?;
    pool.region(&mut y, |_team, y| {
        let _two = (y.clone(), y);
        Ok(0)
    })?;
    Ok(())
}
