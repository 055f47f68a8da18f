//! Padding bytes hold nothing that may be shared: `Pod` refuses them, and so an array of such structs.
#[derive(Clone, Copy)]
#[repr(C)]
struct Padded {
    small: u8,
    large: u64,
}

use phalanx::*;

fn main() -> Result<(), Error> {
    let pool = Pool::new()?;
    pool.zeros::<Padded>(10)?;
    Ok(())
}
