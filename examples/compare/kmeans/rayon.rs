use crate::splitmix::unit;
use rayon::prelude::*;
use std::array::from_fn;

type Point = [f64; 2];
const CLUSTERS: usize = 4;

fn nearest(centers: &[Point; CLUSTERS], [x, y]: Point) -> usize {
    let distances = centers.map(|[cx, cy]| (x - cx).powi(2) + (y - cy).powi(2));
    (0..CLUSTERS).min_by(|&a, &b| distances[a].total_cmp(&distances[b])).unwrap_or(0)
}

pub fn main() {
    let point = |i: u64| {
        let (cluster, at) = (i as f64 % 4.0, 2 * i);
        [cluster + unit(at), (cluster - 1.0).powi(2) + unit(at + 1)]
    };
    let points: Vec<Point> = (0..20_000).into_par_iter().map(point).collect();
    let mut centers: [Point; CLUSTERS] = from_fn(|k| points[k]);
    let mut sizes = [0.0; CLUSTERS];
    for _ in 0..10 {
        let zero = || [[0.0; 3]; CLUSTERS];
        let sums = points
            .par_iter()
            .fold(zero, |mut sums, &[x, y]| {
                let sum = &mut sums[nearest(&centers, [x, y])];
                *sum = [sum[0] + x, sum[1] + y, sum[2] + 1.0];
                sums
            })
            .reduce(zero, |a, b| from_fn(|k| from_fn(|i| a[k][i] + b[k][i])));
        centers = sums.map(|[x, y, n]| [x / n, y / n]);
        sizes = sums.map(|[_, _, n]| n);
    }
    for ([x, y], size) in centers.iter().zip(sizes) {
        println!("{size} points around {x:.6} {y:.6}");
    }
}
