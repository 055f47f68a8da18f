//! One region publishes at a time, so the publisher is borrowed exclusively.
use phalanx::*;

fn main() -> Result<(), Error> {
    let pool = Pool::new()?;
    let u = pool.zeros::<f64>(100)?;
    let (publisher, _snapshot) = pool.snapshot::<f64, _>(100)?;
    pool.region((&u, &publisher), |team, (u, mut publisher)| {
        publisher.publish(team, 1, u.split())?;
        Ok(0)
    })?;
    Ok(())
}
