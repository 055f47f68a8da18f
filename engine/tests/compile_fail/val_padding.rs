//! `Val` carries plain data only.
#[derive(Clone, Copy)]
#[repr(C)]
struct Padded {
    small: u8,
    large: u64,
}

use phalanx::*;

fn main() -> Result<(), Error> {
    let pool = Pool::new()?;
    let mut y = pool.zeros::<f64>(100)?;
    let value = Val(Padded { small: 1, large: 2 });
    pool.for_each((y.split_mut(), value), |(_y, _value)| ())?;
    Ok(())
}
