//! Ranks cannot meet while one of them has a view.
use phalanx::*;

fn main() -> Result<(), Error> {
    let pool = Pool::new()?;
    let mut y = pool.zeros::<f64>(100)?;
    pool.region(&mut y, |team, mut y| {
        team.phase(y.split_mut(), |_y| team.barrier())??;
        Ok(0)
    })?;
    Ok(())
}
