use crate::splitmix::bits;
use ndarray::Zip;
use phalanx::{Edge, Pool};
use phalanx_kernels::reduce::sum;

const SIZE: usize = 64;

pub fn main() -> Result<(), phalanx::Error> {
    let pool = Pool::new()?;
    let mut cells = pool.from_shape_fn((SIZE, SIZE), |(i, j)| (bits((i * SIZE + j) as u64) % 2) as u8)?;
    let mut next = pool.zeros_nd::<u8, _>((SIZE, SIZE))?;
    for _ in 0..30 {
        pool.for_each((next.split_out(), cells.halo_nd([1, 1], Edge::Wrap)), |(mut next, cells)| {
            Zip::from(&mut next).and(cells.view.windows((3, 3))).for_each(|next, near| {
                *next = match near.sum() {
                    3 => 1,
                    4 => near[(1, 1)],
                    _ => 0,
                }
            });
        })?;
        std::mem::swap(&mut cells, &mut next);
    }
    println!("{} cells are alive", sum(&pool, &cells)?);
    Ok(())
}
