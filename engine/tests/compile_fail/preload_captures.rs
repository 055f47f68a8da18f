//! What is preloaded captures nothing either.
use phalanx::*;

fn main() -> Result<(), Error> {
    let level = 3;
    Pool::builder().preload(move || assert_eq!(level, 3)).build()?;
    Ok(())
}
