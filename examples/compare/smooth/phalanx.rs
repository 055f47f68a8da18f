use crate::splitmix::unit;
use phalanx::{Edge, Error, Pool, SharedArray};

/// The sum of all steps between neighbours.
fn roughness(pool: &Pool, x: &SharedArray<f64>) -> Result<f64, Error> {
    let neighbours = (x.range(..x.len() - 1).split(), x.range(1..).split());
    let add_steps = |(x, next): (&[f64], &[f64])| x.iter().zip(next).map(|(x, next)| (next - x).abs()).sum();
    Ok(pool.reduce(neighbours, 0.0, add_steps, |a, b| a + b)?)
}

pub fn main() -> Result<(), Error> {
    let pool = Pool::new()?;
    let signal = pool.from_fn(50_000, |i| (i as f64 / 500.0).sin() + unit(i as u64))?;
    let mut smooth = pool.zeros::<f64>(signal.len())?;
    let weights = [1.0, 4.0, 6.0, 4.0, 1.0].map(|weight| weight / 16.0);
    let operands = (smooth.split_out(), signal.halo(2, Edge::Clamp), weights);
    pool.for_each(operands, |(smooth, signal, weights)| {
        for (smooth, near) in smooth.iter_mut().zip(signal.windows(5)) {
            *smooth = near.iter().zip(weights).map(|(x, weight)| weight * x).sum();
        }
    })?;
    println!("roughness {:.6}, then {:.6}", roughness(&pool, &signal)?, roughness(&pool, &smooth)?);
    Ok(())
}
