//! The kernel of a fold cannot capture; only what combines may.
use phalanx::*;

fn main() -> Result<(), Error> {
    let pool = Pool::new()?;
    let x = pool.zeros::<f64>(100)?;
    let limit = 2.0;
    pool.fold(
        x.split(),
        Vec::new,
        move |large, x| large.extend(x.iter().filter(|x| **x > limit)),
        |large: &mut Vec<f64>, more| large.extend(more),
    )?;
    Ok(())
}
