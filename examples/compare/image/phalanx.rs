use crate::splitmix::bits;
use ndarray::Zip;
use phalanx::{Edge, Pool, azip};
use phalanx_kernels::reduce::count_if;

const SHAPE: (usize, usize) = (200, 300);

pub fn main() -> Result<(), phalanx::Error> {
    let pool = Pool::new()?;
    let noisy = |(i, j)| (i / 4 + j / 3) as u8 + (bits((i * SHAPE.1 + j) as u64) % 100) as u8;
    let image = pool.from_shape_fn(SHAPE, noisy)?;
    let mut blurred = pool.zeros_nd::<u8, _>(SHAPE)?;
    pool.for_each((blurred.split_out(), image.halo_nd([1, 1], Edge::Clamp)), |(mut blurred, image)| {
        Zip::from(&mut blurred).and(image.view.windows((3, 3))).for_each(|blurred, near| {
            *blurred = (near.iter().map(|&pixel| u32::from(pixel)).sum::<u32>() / 9) as u8;
        });
    })?;

    let mut histogram = pool.zeros::<u64>(8)?;
    pool.for_each((blurred.split_flat(), histogram.reduce(0, |a, b| a + b)), |(pixels, histogram)| {
        for &pixel in pixels {
            histogram[usize::from(pixel) / 32] += 1;
        }
    })?;
    println!("{:?}", histogram.as_slice());

    let limit = 110;
    azip!(pool, [limit], (pixel in blurred.split_flat_mut()) {
        *pixel = if *pixel > limit { 255 } else { 0 };
    })?;
    let bright = count_if(&pool, &blurred, |pixel| pixel == 255)?;
    println!("{bright} pixels are brighter than {limit}");
    Ok(())
}
