use super::matrix::{Outline, Sparse, WIDTH};
use super::*;

/// A full matrix, entry by entry from the definition.
fn dense(size: &Size) -> Vec<Vec<f64>> {
    let outline = Outline::new(size);
    let starts = outline.starts();
    let nonzeros = starts[starts.len() - 1] as usize;
    let (mut columns, mut values) = (vec![0; nonzeros], vec![0.0; nonzeros]);
    outline.fill(&mut columns, &mut values);
    let mut full = vec![vec![0.0; size.rows]; size.rows];
    for (row, full) in full.iter_mut().enumerate() {
        let range = starts[row] as usize..starts[row + 1] as usize;
        assert!(columns[range.clone()].windows(2).all(|pair| pair[0] < pair[1]), "columns ascend");
        for (column, value) in columns[range.clone()].iter().zip(&values[range]) {
            full[usize::from(*column)] = *value;
        }
    }
    full
}

#[test]
fn the_matrix_is_symmetric_with_a_shifted_diagonal() {
    let size = Size { rows: 100, nonzer: 5, iterations: 1, shift: 10.0 };
    let full = dense(&size);
    for (row, values) in full.iter().enumerate() {
        let sum = values[row] + size.shift - 0.1;
        assert!(
            (0.025..6.0).contains(&sum),
            "1/2 squared, weighed 1/10 at least, and others' squares: {sum}"
        );
        assert!(values.iter().zip(&full).all(|(value, other)| (value - other[row]).abs() < 1e-15));
    }
}

#[test]
fn parts_are_even_in_non_zeros() {
    let size = Size::of(Class::S);
    let starts = Outline::new(&size).starts();
    let values = vec![0.0; starts[starts.len() - 1] as usize];
    let matrix = Sparse { starts: &starts, columns: &[], values: &values, blocks: 1 };
    for parts in [1, 2, 3, 7, 1400, 3000] {
        let bounds = matrix.balanced(parts);
        assert_eq!((bounds.len(), bounds[0], bounds[parts]), (parts + 1, 0, size.rows));
        assert!(bounds.is_sorted());
        let longest = (0..size.rows).map(|row| starts[row + 1] - starts[row]).max().unwrap();
        for pair in bounds.windows(2) {
            let own = starts[pair[1]] - starts[pair[0]];
            assert!(own <= values.len() as u64 / parts as u64 + 1 + longest);
        }
    }
}

#[test]
fn a_product_over_several_column_blocks_is_the_plain_sum() {
    // Three blocks, rows with 0 to 40 non-zeros spread over them.
    let columns: Vec<usize> = (0..40).map(|at| at * 4801).collect();
    let (mut starts, mut offsets, mut values, mut wanted) = (vec![0], Vec::new(), Vec::new(), Vec::new());
    let p: Vec<f64> = (0..3 * WIDTH).map(|at| (at % 1013) as f64).collect();
    for row in 0..=40 {
        let mut sum = 0.0;
        for block in 0..3 {
            for column in columns[..row].iter().filter(|column| **column / WIDTH == block) {
                offsets.push((column % WIDTH) as u16);
                values.push(row as f64);
                sum += row as f64 * p[*column];
            }
            starts.push(values.len() as u64);
        }
        wanted.push(sum);
    }
    let matrix = Sparse { starts: &starts, columns: &offsets, values: &values, blocks: 3 };
    let mut slab = Slab::new(3..41);
    let pq = slab.product(&matrix, &p);
    // All are integers, so the order of sums does not matter.
    assert_eq!(pq, (3..41).map(|row| p[row] * wanted[row]).sum::<f64>());
}

#[test]
fn a_zeta_slightly_off_is_refused() {
    let official = verification::cg(Class::S).unwrap().unwrap();
    assert!(compared(Class::S, official).unwrap().iter().all(|check| check.holds));
    assert!(!compared(Class::S, official * (1.0 + 2e-10)).unwrap().iter().all(|check| check.holds));
}
