//! Phases do not nest.
use phalanx::*;

fn main() -> Result<(), Error> {
    let pool = Pool::new()?;
    let mut y = pool.zeros::<f64>(100)?;
    pool.region(&mut y, |team, mut y| {
        team.phase(y.split(), |_| team.phase(0..10, |_| ()))??;
        Ok(0)
    })?;
    Ok(())
}
