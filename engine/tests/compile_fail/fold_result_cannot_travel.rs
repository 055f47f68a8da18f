//! What a fold returns is encoded: a type that serde does not know cannot travel.
use phalanx::*;

struct Total(f64);

fn main() -> Result<(), Error> {
    let pool = Pool::new()?;
    let x = pool.zeros::<f64>(100)?;
    pool.fold(x.split(), || Total(0.0), |total, x| total.0 += x[0], |total, more| total.0 += more.0)?;
    Ok(())
}
