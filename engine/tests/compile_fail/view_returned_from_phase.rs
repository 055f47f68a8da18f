//! A phase gives results, never its views.
use phalanx::*;

fn main() -> Result<(), Error> {
    let pool = Pool::new()?;
    let mut y = pool.zeros::<f64>(100)?;
    pool.region(&mut y, |team, mut y| {
        let kept = team.phase(y.split_mut(), |y| y)?;
        Ok(kept.len())
    })?;
    Ok(())
}
