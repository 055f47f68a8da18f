//! Whole lines, some at a time.

use ndarray::{ArrayView, Axis, Dimension, RemoveAxis};

/// Elements of a tile, about.
const TILE: usize = 1 << 15;
/// Elements that a tile has along the last axis at least, where there are so many: whole lines of the caches.
const LEAST_WIDTH: usize = 16;

/// The shape of tiles that hold whole lines along `axis`; it depends on the array's shape alone.
pub(super) fn tile_of<D: Dimension>(shape: &D, axis: usize) -> D {
    let mut tile = shape.clone();
    let mut room = (TILE / shape[axis].max(1)).max(1);
    for at in (0..shape.ndim()).rev() {
        let length = shape[at].max(1);
        let least = if at + 1 == shape.ndim() { LEAST_WIDTH } else { 1 };
        tile[at] = if at == axis { length } else { room.max(least).min(length) };
        if at != axis {
            room = (room / tile[at]).max(1);
        }
    }
    tile
}

/// The lines of a view one after the other, each made contiguous, in the order of the other axes. Where lines
/// are not contiguous, memory is read row by row.
pub(super) fn lines_of<T: Copy, U: Copy + Default, D: Dimension + RemoveAxis>(
    x: &ArrayView<'_, T, D>,
    axis: usize,
    f: impl Fn(T) -> U,
) -> Vec<U> {
    let len = x.len_of(Axis(axis));
    if axis + 1 == x.ndim() {
        return x.lanes(Axis(axis)).into_iter().flatten().map(|x| f(*x)).collect();
    }
    let mut lines = vec![U::default(); x.len()];
    for at in 0..len {
        let row = x.index_axis(Axis(axis), at);
        lines.iter_mut().skip(at).step_by(len).zip(row).for_each(|(to, x)| *to = f(*x));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array3, Ix3};

    #[test]
    fn tiles_hold_whole_lines_and_are_not_large() {
        for shape in [[1, 1, 1], [1000, 3, 7], [3, 100_000, 50], [200, 200, 200], [5, 5, 1_000_000]] {
            for axis in 0..3 {
                let tile = tile_of(&Ix3(shape[0], shape[1], shape[2]), axis);
                assert_eq!(tile[axis], shape[axis]);
                assert!((0..3).all(|at| tile[at] > 0 && tile[at] <= shape[at]));
                assert!(tile.size() <= TILE.max(LEAST_WIDTH * shape[axis]));
            }
        }
    }

    #[test]
    fn lines_are_those_of_ndarray() {
        let x = Array3::from_shape_fn((3, 4, 5), |(i, j, k)| 100 * i + 10 * j + k);
        for axis in 0..3 {
            let expected: Vec<usize> = x.lanes(Axis(axis)).into_iter().flatten().copied().collect();
            assert_eq!(lines_of(&x.view(), axis, |x| x), expected);
        }
    }
}
