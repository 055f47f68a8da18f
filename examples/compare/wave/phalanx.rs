use phalanx::{Edge, Pool};
use phalanx_kernels::reduce::max;

pub fn main() -> Result<(), phalanx::Error> {
    let pool = Pool::new()?;
    let mut u = pool.from_fn(5000, |i| (-((i as f64 - 1000.0) / 50.0).powi(2)).exp())?;
    let mut before = pool.from_slice(u.as_slice())?;
    let (speed, steps) = (0.25, 200);
    pool.region((&mut u, &mut before, speed, steps), |team, (mut u, mut before, speed, steps)| {
        for _ in 0..steps {
            // The string is fixed at both ends.
            team.for_each((before.split_mut(), u.halo(1, Edge::Fill(0.0))), |(after, u)| {
                for (after, u) in after.iter_mut().zip(u.windows(3)) {
                    *after = 2.0 * u[1] - *after + speed * (u[0] - 2.0 * u[1] + u[2]);
                }
            })?;
            std::mem::swap(&mut u, &mut before);
        }
        Ok(())
    })?;
    let highest = max(&pool, &u)?;
    println!("{highest:.6} high, {:.6} at 1000, {:.6} at 1100", u.as_slice()[1000], u.as_slice()[1100]);
    Ok(())
}
