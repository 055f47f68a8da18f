// An error of another type is turned into one that travels, or has no way out of the body.
use phalanx::Pool;

fn main() -> Result<(), phalanx::Error> {
    let pool = Pool::builder().workers(2).build()?;
    let outcome = pool.try_region((), |team, ()| {
        team.barrier()?;
        Ok("7".parse::<u64>()?)
    });
    println!("{outcome:?}");
    Ok(())
}
