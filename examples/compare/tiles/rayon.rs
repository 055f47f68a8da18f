use crate::splitmix::unit;
use ndarray::{Array2, Zip};

const SIZE: usize = 256;
const TILE: (usize, usize) = (64, 64);

pub fn main() {
    let mut a = Array2::zeros((SIZE, SIZE));
    Zip::indexed(&mut a).par_for_each(|(i, j), a| *a = unit((i * SIZE + j) as u64));

    let peaks =
        Zip::from(a.exact_chunks(TILE)).par_map_collect(|a| a.iter().copied().fold(f64::MIN, f64::max));
    let lowest = peaks.iter().copied().fold(f64::MAX, f64::min);
    println!("the lowest peak of a tile is {lowest:.9}");

    let mut transposed = Array2::zeros((SIZE, SIZE));
    let mut turned = transposed.view_mut().reversed_axes();
    Zip::from(turned.exact_chunks_mut(TILE))
        .and(a.exact_chunks(TILE))
        .par_for_each(|mut to, a| to.assign(&a));
    println!("row 1 of the transposed matrix sums up to {:.6}", transposed.row(1).sum());
}
