use phalanx::Pool;
use phalanx_kernels::reduce::sum;

pub fn main() -> Result<(), phalanx::Error> {
    let pool = Pool::new()?;
    let (start, end, n) = (0.0, 3.0, 100_000);
    let step = (end - start) / n as f64;
    let areas = pool.from_fn_with(n, (start, step), |i, (start, step): (f64, f64)| {
        let x = start + (i as f64 + 0.5) * step;
        (-x * x).exp() * step
    })?;
    let area = sum(&pool, &areas)?;

    let mut sums = pool.zeros::<f64>(n)?;
    pool.scan(sums.split_out(), areas.split(), 0.0, |a, b| a + b)?;
    let half = sums.as_slice().partition_point(|&sum| sum < area / 2.0);
    println!("the area is {area:.9}, half of it up to {:.4}", start + half as f64 * step);
    Ok(())
}
