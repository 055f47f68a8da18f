//! The rule (J. H. Conway, 1970) and the pattern: W. Gosper's gun, which sends out a glider every 30
//! generations.

use ndarray::{Array2, ArrayView2, ArrayViewMut2};

/// Rows and columns of a block, which has one gun.
pub const BLOCK: usize = 256;
/// Where a block's gun begins.
const AT: [usize; 2] = [100, 100];
/// Run lengths: `b` dead, `o` alive, `$` the end of a row.
const GUN: &str =
    "24bo$22bobo$12b2o6b2o12b2o$11bo3bo4b2o12b2o$2o8bo5bo3b2o$2o8bo3bob2o4bobo$10bo5bo7bo$11bo3bo$12b2o";

/// The cells of the gun that are alive, from its corner on.
pub fn gun() -> Vec<[usize; 2]> {
    let (mut cells, mut at, mut count) = (Vec::new(), [0, 0], 0);
    for letter in GUN.chars() {
        match letter {
            digit @ '0'..='9' => count = 10 * count + digit as usize - '0' as usize,
            '$' => (at, count) = ([at[0] + 1, 0], 0),
            cell => {
                let run = at[1]..at[1] + count.max(1);
                at[1] = run.end;
                cells.extend(run.filter(|_| cell == 'o').map(|column| [at[0], column]));
                count = 0;
            }
        }
    }
    cells
}

/// A block as it begins.
pub fn block() -> Array2<u8> {
    let mut block = Array2::zeros((BLOCK, BLOCK));
    gun().iter().for_each(|[row, column]| block[[AT[0] + row, AT[1] + column]] = 1);
    block
}

/// Sets `next` to the cells of `now` after a generation; `now` has one cell more on all sides.
pub fn advance(mut next: ArrayViewMut2<'_, u8>, now: &ArrayView2<'_, u8>) {
    pulp::Arch::new().dispatch(|| {
        let row = |i: usize| now.row(i).to_slice().expect("rows are whole in a row");
        for (i, mut next) in next.rows_mut().into_iter().enumerate() {
            line(next.as_slice_mut().expect("rows are whole in a row"), [row(i), row(i + 1), row(i + 2)]);
        }
    });
}

/// A row, with the rows above and below.
#[inline(always)]
fn line(next: &mut [u8], rows: [&[u8]; 3]) {
    let n = next.len();
    let [above, here, below] = rows.map(|row| &row[..n + 2]);
    for j in 0..n {
        let sum = |row: &[u8]| row[j] + row[j + 1] + row[j + 2];
        // Three of nine are alive, or four with the one in the middle.
        let near = sum(above) + sum(here) + sum(below);
        next[j] = u8::from(near == 3) | (u8::from(near == 4) & here[j + 1]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same with nine looks at each cell of a torus.
    fn plain(now: &Array2<u8>) -> Array2<u8> {
        let (rows, columns) = now.dim();
        Array2::from_shape_fn(now.dim(), |(i, j)| {
            let near = [rows - 1, 0, 1].map(|di| {
                [columns - 1, 0, 1].map(|dj| now[[(i + di) % rows, (j + dj) % columns]]).iter().sum::<u8>()
            });
            let others = near.iter().sum::<u8>() - now[[i, j]];
            u8::from(others == 3 || others == 2 && now[[i, j]] == 1)
        })
    }

    fn framed(now: &Array2<u8>) -> Array2<u8> {
        let (rows, columns) = now.dim();
        Array2::from_shape_fn((rows + 2, columns + 2), |(i, j)| {
            now[[(i + rows - 1) % rows, (j + columns - 1) % columns]]
        })
    }

    #[test]
    fn a_generation_is_the_rule() {
        for (rows, columns) in [(1, 1), (3, 5), (40, 67)] {
            let dice = |(i, j): (usize, usize)| u8::from((i * 31 + j * 17 + i * j) % 7 < 3);
            let now = Array2::from_shape_fn((rows, columns), dice);
            let mut next = Array2::zeros(now.dim());
            advance(next.view_mut(), &framed(&now).view());
            assert_eq!(next, plain(&now), "{rows} x {columns}");
        }
    }

    /// 36 cells, and five more with each glider.
    #[test]
    fn the_gun_sends_out_a_glider_every_thirty_generations() {
        let mut now = block();
        for generation in 0..=150 {
            if generation % 30 == 0 {
                assert_eq!(now.iter().map(|cell| u32::from(*cell)).sum::<u32>(), 36 + generation / 6);
            }
            let mut next = Array2::zeros(now.dim());
            advance(next.view_mut(), &framed(&now).view());
            now = next;
        }
    }
}
