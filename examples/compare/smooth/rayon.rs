use crate::splitmix::unit;
use rayon::prelude::*;

/// The sum of all steps between neighbours.
fn roughness(x: &[f64]) -> f64 {
    x.par_windows(2).map(|pair| (pair[1] - pair[0]).abs()).sum()
}

pub fn main() {
    let signal: Vec<f64> = (0..50_000).into_par_iter().map(|i| (i as f64 / 500.0).sin() + unit(i)).collect();
    let weights = [1.0, 4.0, 6.0, 4.0, 1.0].map(|weight| weight / 16.0);
    let at = |i: usize| signal[i.saturating_sub(2).min(signal.len() - 1)];
    let smooth: Vec<f64> = (0..signal.len())
        .into_par_iter()
        .map(|i| weights.iter().enumerate().map(|(k, weight)| weight * at(i + k)).sum())
        .collect();
    println!("roughness {:.6}, then {:.6}", roughness(&signal), roughness(&smooth));
}
