//! A seat belongs to the thread that took it.
use phalanx::*;

fn main() -> Result<(), Error> {
    let pool = Pool::new()?;
    let seat = pool.join_here()?;
    std::thread::scope(|scope| {
        scope.spawn(move || drop(seat));
    });
    Ok(())
}
