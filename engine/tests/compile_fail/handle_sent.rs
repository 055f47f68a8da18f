//! Only the thread that runs the body may grant.
use phalanx::*;

fn main() -> Result<(), Error> {
    let pool = Pool::new()?;
    let mut y = pool.zeros::<f64>(100)?;
    pool.region(&mut y, |_team, y| {
        std::thread::scope(|scope| scope.spawn(move || y.rows()).join().unwrap());
        Ok(0)
    })?;
    Ok(())
}
