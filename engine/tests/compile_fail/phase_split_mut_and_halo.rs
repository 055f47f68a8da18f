//! Neighbours cannot be read while their ranks write them.
use phalanx::*;

fn main() -> Result<(), Error> {
    let pool = Pool::new()?;
    let mut y = pool.zeros::<f64>(100)?;
    pool.region(&mut y, |team, mut y| {
        team.phase((y.split_mut(), y.halo(1, Edge::Clamp)), |_| ())?;
        Ok(0)
    })?;
    Ok(())
}
