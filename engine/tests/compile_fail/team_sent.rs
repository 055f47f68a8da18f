//! Only the thread that runs the body can meet the other ranks.
use phalanx::*;

fn main() -> Result<(), Error> {
    let pool = Pool::new()?;
    let mut y = pool.zeros::<f64>(100)?;
    pool.region(&mut y, |team, _y| {
        std::thread::scope(|scope| {
            scope.spawn(move || team.barrier());
        });
        Ok(0)
    })?;
    Ok(())
}
