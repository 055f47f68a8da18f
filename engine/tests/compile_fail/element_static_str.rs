//! `&'static str` is not plain data: its bytes mean nothing, or not any bytes are a value, in another
//! process.
use phalanx::*;

fn main() -> Result<(), Error> {
    let pool = Pool::new()?;
    pool.zeros::<&'static str>(10)?;
    Ok(())
}
