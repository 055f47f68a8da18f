//! A range of rows alone does not say what the kernel may do with it.
use phalanx::*;

fn main() -> Result<(), Error> {
    let pool = Pool::new()?;
    let a = pool.zeros::<f64>(10)?;
    pool.for_each(a.range(1..5), |_rows| ())?;
    Ok(())
}
