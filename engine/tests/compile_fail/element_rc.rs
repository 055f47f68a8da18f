//! `Rc<f64>` is not plain data: its bytes mean nothing, or not any bytes are a value, in another process.
use std::rc::Rc;
use phalanx::*;

fn main() -> Result<(), Error> {
    let pool = Pool::new()?;
    pool.zeros::<Rc<f64>>(10)?;
    Ok(())
}
