//! A phase opens grants; a plain value is captured.
use phalanx::*;

fn main() -> Result<(), Error> {
    let pool = Pool::new()?;
    let mut y = pool.zeros::<f64>(100)?;
    pool.region(&mut y, |team, mut y| {
        team.phase((y.split_mut(), 2.0), |(_y, _a)| ())?;
        Ok(0)
    })?;
    Ok(())
}
