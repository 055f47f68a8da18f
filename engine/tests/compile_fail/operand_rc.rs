//! `Rc<f64>` does not travel.
use std::rc::Rc;
use phalanx::*;

fn main() -> Result<(), Error> {
    let pool = Pool::new()?;
    let mut y = pool.zeros::<f64>(100)?;
    let value: Rc<f64> = Rc::new(1.0);
    pool.for_each((y.split_mut(), value), |(_y, _value)| ())?;
    Ok(())
}
