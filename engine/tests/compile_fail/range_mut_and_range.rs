//! Two ranges of one array, of which one is written, even if they share no row: `divide_at` gives such.
use phalanx::*;

fn main() -> Result<(), Error> {
    let pool = Pool::new()?;
    let mut a = pool.zeros::<f64>(10)?;
    pool.for_each((a.range_mut(1..5).split_mut(), a.range(5..9).split()), |(to, from)| to.copy_from_slice(from))?;
    Ok(())
}
