use crate::lloyd::{Cloud, Until};
use crate::points::{Made, below};
use crate::{check, seeds};
use common::Meter;
use ndarray::Ix2;
use phalanx::{Backend, Pool, SharedArray};
use phalanx_kernels::random::Draw;

fn pool(workers: usize) -> Pool {
    Pool::builder().workers(workers).backend(Backend::Threads).build().unwrap()
}

/// Lloyd's method as the textbook has it. Returns centroids, sizes, inertia.
fn naive(points: &[Vec<f64>], start: &[Vec<f64>], moves: usize) -> (Vec<Vec<f64>>, Vec<u64>, f64) {
    let mut centroids = start.to_vec();
    for step in 0..=moves {
        let (mut sums, mut sizes) = (vec![vec![0.0; start[0].len()]; start.len()], vec![0u64; start.len()]);
        let mut inertia = 0.0;
        for point in points {
            let square = |c: &Vec<f64>| point.iter().zip(c).map(|(x, c)| (x - c).powi(2)).sum::<f64>();
            let squares: Vec<f64> = centroids.iter().map(square).collect();
            let best = (0..start.len()).min_by(|a, b| squares[*a].total_cmp(&squares[*b])).unwrap();
            sums[best].iter_mut().zip(point).for_each(|(sum, x)| *sum += x);
            sizes[best] += 1;
            inertia += squares[best];
        }
        if step == moves {
            return (centroids, sizes, inertia);
        }
        for ((centroid, sum), size) in centroids.iter_mut().zip(&sums).zip(&sizes).filter(|(_, n)| **n > 0) {
            *centroid = sum.iter().map(|x| x / *size as f64).collect();
        }
    }
    unreachable!("the last step returns")
}

fn rows<T: Draw>(flat: &[T], dims: usize) -> Vec<Vec<f64>> {
    flat.chunks(dims).map(|row| row.iter().map(|x| crate::block::f64_of(*x)).collect()).collect()
}

fn compare<T: Draw, const LANES: usize>(made: Made, clusters: usize, away: f64, close: f64) {
    let mut fits = Vec::new();
    for workers in [1, 2, 3] {
        let (pool, meter) = (pool(workers), Meter::new("test", 0));
        let mut points: SharedArray<T, Ix2> = made.in_memory(&pool).unwrap();
        points.as_mut_slice().iter_mut().for_each(|x| *x = *x + T::from_f64(away));
        let cloud = Cloud::<T, LANES>::new(&pool, &points, &meter).unwrap();
        let start = seeds::choose::<T, LANES>(&pool, &points, clusters, 7).unwrap();
        let fit = cloud.fit(&pool, &start, Until { iterations: 12, tolerance: 0.0 }).unwrap();
        check::check(&pool, &cloud, &fit).unwrap();
        let moves = fit.inertia.len() - 1;
        let (centroids, sizes, inertia) =
            naive(&rows(points.as_slice(), made.dims), &rows(&start, made.dims), moves);
        let mine = cloud.centroids(&fit);
        for (a, b) in rows(&mine, made.dims).iter().flatten().zip(centroids.iter().flatten()) {
            assert!((a - b).abs() <= close * (1.0 + b.abs()), "{made:?}: {a} {b}");
        }
        assert_eq!(fit.sizes, sizes, "{made:?}");
        let last = fit.inertia[moves];
        assert!((last - inertia).abs() <= close * inertia, "{made:?}: {last} {inertia}");
        let labels = cloud.labels(&pool, &fit).unwrap();
        let of = |k: usize| labels.as_slice().iter().filter(|label| **label as usize == k).count() as u64;
        assert_eq!((0..clusters).map(of).collect::<Vec<_>>(), sizes);
        fits.push((fit, mine, labels.as_slice().to_vec()));
    }
    assert!(fits.windows(2).all(|pair| pair[0] == pair[1]), "the same bits for any number of workers");
}

#[test]
fn it_agrees_with_the_textbook() {
    let made = |rows, dims, groups| Made { rows, dims, groups, seed: 3 };
    for (rows, dims, groups) in [(5000, 2, 5), (3001, 7, 4), (1500, 33, 9), (40, 1, 3)] {
        compare::<f64, 8>(made(rows, dims, groups), groups, 0.0, 1e-9);
        compare::<f64, 8>(made(rows, dims, groups), groups, 1e6, 1e-7);
        compare::<f32, 16>(made(rows, dims, groups), groups, 0.0, 1e-5);
    }
    compare::<f32, 16>(made(17, 3, 2), 17, 0.0, 1e-5);
    compare::<f64, 8>(made(1, 1, 1), 1, 0.0, 1e-9);
}

#[test]
fn what_has_no_clusters_is_refused() {
    let (pool, meter) = (pool(2), Meter::new("test", 0));
    let same = pool.from_shape_fn((100, 2), |_| 1.5f32).unwrap();
    let why = seeds::choose::<f32, 16>(&pool, &same, 2, 1).unwrap_err().to_string();
    assert_eq!(why, "only 1 different points were found for 2 clusters");
    for wrong in [f32::NAN, f32::INFINITY] {
        let mut points = Made { rows: 9, dims: 2, groups: 1, seed: 1 }.in_memory::<f32>(&pool).unwrap();
        points.as_mut_slice()[7] = wrong;
        let why = Cloud::<f32, 16>::new(&pool, &points, &meter).err().unwrap().to_string();
        assert!(why.starts_with("some coordinates are NaN"), "{why}");
    }
}

#[test]
fn a_centroid_without_points_stays() {
    let (pool, meter) = (pool(2), Meter::new("test", 0));
    let points = Made { rows: 1000, dims: 2, groups: 1, seed: 1 }.in_memory::<f64>(&pool).unwrap();
    let cloud = Cloud::<f64, 8>::new(&pool, &points, &meter).unwrap();
    let start = [points.as_slice()[0], points.as_slice()[1], 1e3, 1e3];
    let fit = cloud.fit(&pool, &start, Until { iterations: 5, tolerance: 0.0 }).unwrap();
    assert_eq!((fit.sizes.as_slice(), &cloud.centroids(&fit)[2..]), (&[1000, 0][..], &[1e3, 1e3][..]));
    assert!((0..1000).all(|i| below(5, i, 7) < 7));
}
