use crate::splitmix::unit;
use phalanx::Pool;

pub fn main() -> Result<(), phalanx::Error> {
    let pool = Pool::new()?;
    let x = pool.from_fn(500_000, |i| unit(i as u64))?;
    match pool.position_first(x.split(), |x| x > 0.9999)? {
        Some(first) => println!("the first is x[{first}] = {:.6}", x.as_slice()[first]),
        None => println!("there is none"),
    }
    println!("any below 0: {}", pool.any(x.split(), |x| x < 0.0)?);
    println!("all below 1: {}", pool.all(x.split(), |x| x < 1.0)?);
    Ok(())
}
