//! What a manager calls holds no value: pass it as the call's argument.
use phalanx::*;

fn main() -> Result<(), Error> {
    let numbers = Manager::new()?.host(vec![1, 2])?;
    let more = 3;
    numbers.call(move |numbers, ()| numbers.push(more), ())?;
    Ok(())
}
