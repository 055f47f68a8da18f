use crate::splitmix::unit;
use ndarray::s;
use phalanx::Pool;

const SIZE: usize = 256;

pub fn main() -> Result<(), phalanx::Error> {
    let pool = Pool::new()?;
    let a = pool.from_shape_fn((SIZE, SIZE), |(i, j)| unit((i * SIZE + j) as u64))?;
    let tile = (64, 64);

    let mut peaks = pool.zeros::<f64>(4 * 4)?;
    pool.for_each((peaks.split_out(), a.tiles(tile)), |(peak, a)| {
        peak[0] = a.view.iter().copied().fold(f64::MIN, f64::max);
    })?;
    let lowest = peaks.as_slice().iter().copied().fold(f64::MAX, f64::min);
    println!("the lowest peak of a tile is {lowest:.9}");

    let mut transposed = pool.zeros_nd::<f64, _>((SIZE, SIZE))?;
    let turned = transposed.slice_mut(s![.., ..]).permuted_axes([1, 0]);
    pool.for_each((turned.tiles_out(tile), a.tiles(tile)), |(mut turned, a)| turned.view.assign(&a.view))?;
    println!("row 1 of the transposed matrix sums up to {:.6}", transposed.view().row(1).sum());
    Ok(())
}
