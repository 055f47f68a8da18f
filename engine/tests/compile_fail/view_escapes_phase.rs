//! A view lives for one phase.
use phalanx::*;

fn main() -> Result<(), Error> {
    let pool = Pool::new()?;
    let mut y = pool.zeros::<f64>(100)?;
    pool.region(&mut y, |team, mut y| {
        let mut kept: Option<&mut [f64]> = None;
        team.phase(y.split_mut(), |y| kept = Some(y))?;
        team.barrier()?;
        Ok(kept.map_or(0, |y| y.len()))
    })?;
    Ok(())
}
