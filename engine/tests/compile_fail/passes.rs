//! The right way round.
use phalanx::*;

fn main() -> Result<(), Error> {
    let pool = Pool::builder().backend(Backend::Inline).build()?;
    let x = pool.from_fn(100, |i| i as f64)?;
    let mut y = pool.zeros::<f64>(100)?;
    pool.for_each((y.split_mut(), x.split(), 2.0), |(y, x, a)| {
        for (y, x) in y.iter_mut().zip(x) {
            *y += a * x
        }
    })?;
    pool.map_into(y.split_out(), x.split(), |x| x * x)?;
    let last = pool.region(&mut y, |team, mut y| team.phase(y.split_mut(), |y| y[y.len() - 1]))?;
    assert_eq!(last, 99.0 * 99.0);
    Ok(())
}
