use crate::splitmix::bits;
use rayon::prelude::*;

const SIZE: usize = 64;

pub fn main() {
    let mut cells: Vec<u8> = (0..SIZE * SIZE).into_par_iter().map(|i| (bits(i as u64) % 2) as u8).collect();
    let mut next = vec![0; SIZE * SIZE];
    for _ in 0..30 {
        next.par_chunks_mut(SIZE).enumerate().for_each(|(i, row)| {
            let rows = [i + SIZE - 1, i, i + 1].map(|i| &cells[i % SIZE * SIZE..][..SIZE]);
            for (j, next) in row.iter_mut().enumerate() {
                let columns = [j + SIZE - 1, j, j + 1].map(|j| j % SIZE);
                let near: u8 = rows.iter().flat_map(|row| columns.map(|j| row[j])).sum();
                *next = match near {
                    3 => 1,
                    4 => rows[1][j],
                    _ => 0,
                }
            }
        });
        std::mem::swap(&mut cells, &mut next);
    }
    let live: u64 = cells.par_iter().map(|&cell| u64::from(cell)).sum();
    println!("{live} cells are alive");
}
