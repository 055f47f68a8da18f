use rayon::prelude::*;

/// Running sums: of each block, then what lies before each block is added.
fn running_sums(x: &[f64]) -> Vec<f64> {
    let block = x.len().div_ceil(rayon::current_num_threads()).max(1);
    let totals: Vec<f64> = x.par_chunks(block).map(|block| block.iter().sum()).collect();
    let add = |sum: &mut f64, x: &f64| {
        *sum += x;
        Some(*sum)
    };
    let before: Vec<f64> = std::iter::once(0.0).chain(totals.iter().scan(0.0, add)).collect();
    let blocks = x.par_chunks(block).zip(before);
    blocks.flat_map_iter(|(block, before)| block.iter().scan(before, add)).collect()
}

pub fn main() {
    let (start, end, n) = (0.0, 3.0, 100_000);
    let step = (end - start) / n as f64;
    let area_at = |i: usize| {
        let x: f64 = start + (i as f64 + 0.5) * step;
        (-x * x).exp() * step
    };
    let areas: Vec<f64> = (0..n).into_par_iter().map(area_at).collect();
    let area: f64 = areas.par_iter().sum();

    let sums = running_sums(&areas);
    let half = sums.partition_point(|&sum| sum < area / 2.0);
    println!("the area is {area:.9}, half of it up to {:.4}", start + half as f64 * step);
}
