//! A view lives for one call of the kernel.
use phalanx::*;

fn main() -> Result<(), Error> {
    let pool = Pool::new()?;
    let y = pool.zeros::<f64>(100)?;
    static KEPT: std::sync::Mutex<Vec<&'static [f64]>> = std::sync::Mutex::new(Vec::new());
    pool.for_each(y.split(), |y| KEPT.lock().unwrap().push(y))?;
    Ok(())
}
