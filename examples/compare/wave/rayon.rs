use rayon::prelude::*;

pub fn main() {
    let start = |i| (-((f64::from(i) - 1000.0) / 50.0).powi(2)).exp();
    let mut u: Vec<f64> = (0..5000).into_par_iter().map(start).collect();
    let mut before = u.clone();
    let (speed, steps) = (0.25, 200);
    for _ in 0..steps {
        before.par_iter_mut().enumerate().for_each(|(i, after)| {
            // The string is fixed at both ends.
            let left = if i > 0 { u[i - 1] } else { 0.0 };
            let right = if i + 1 < u.len() { u[i + 1] } else { 0.0 };
            *after = 2.0 * u[i] - *after + speed * (left - 2.0 * u[i] + right);
        });
        std::mem::swap(&mut u, &mut before);
    }
    let highest = u.par_iter().copied().reduce(|| f64::MIN, f64::max);
    println!("{highest:.6} high, {:.6} at 1000, {:.6} at 1100", u[1000], u[1100]);
}
