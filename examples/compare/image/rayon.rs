use crate::splitmix::bits;
use rayon::prelude::*;

const ROWS: usize = 200;
const COLUMNS: usize = 300;

pub fn main() {
    let noisy = |at| (at / COLUMNS / 4 + at % COLUMNS / 3) as u8 + (bits(at as u64) % 100) as u8;
    let image: Vec<u8> = (0..ROWS * COLUMNS).into_par_iter().map(noisy).collect();
    let mut blurred = vec![0_u8; ROWS * COLUMNS];
    blurred.par_chunks_mut(COLUMNS).enumerate().for_each(|(i, row)| {
        let rows = [i.saturating_sub(1), i, (i + 1).min(ROWS - 1)].map(|i| &image[i * COLUMNS..][..COLUMNS]);
        for (j, blurred) in row.iter_mut().enumerate() {
            let columns = [j.saturating_sub(1), j, (j + 1).min(COLUMNS - 1)];
            let near = rows.iter().flat_map(|row| columns.map(|j| u32::from(row[j])));
            *blurred = (near.sum::<u32>() / 9) as u8;
        }
    });

    let count = |mut histogram: [u64; 8], &pixel: &u8| {
        histogram[usize::from(pixel) / 32] += 1;
        histogram
    };
    let histogram = blurred
        .par_iter()
        .fold(|| [0; 8], count)
        .reduce(|| [0; 8], |a, b| std::array::from_fn(|i| a[i] + b[i]));
    println!("{histogram:?}");

    let limit = 110;
    blurred.par_iter_mut().for_each(|pixel| *pixel = if *pixel > limit { 255 } else { 0 });
    let bright = blurred.par_iter().filter(|&&pixel| pixel == 255).count();
    println!("{bright} pixels are brighter than {limit}");
}
