//! Compressed sparse rows.
#![deny(clippy::arithmetic_side_effects)]

use crate::error::{KernelError, check_shape};
use crate::input::{Input, flat};
use crate::number::{Integer, Number};
use ndarray::Ix1;
use phalanx::{Pool, SharedArray};

/// Entries and rows that a part has about, where the matrix has enough of them: some 50 KiB of values and
/// columns.
const PART_WORK: usize = 4096;
/// Parts of a matrix at most: as many as a reduction has leaves.
const MOST_PARTS: usize = 256;

/// A sparse matrix in compressed rows (CSR), in shared memory.
///
/// The columns of a row ascend without duplicates. They are stored as `u32`, since the number of bytes sets
/// the speed of a product. Entries whose value is zero are kept.
#[derive(Debug)]
pub struct Csr<T> {
    shape: (usize, usize),
    /// Row `i` has the entries `offsets[i]..offsets[i + 1]`; ascending, from 0 to the number of entries.
    pub(super) offsets: SharedArray<u64, Ix1>,
    /// Invariant: every one is below the number of columns.
    pub(super) columns: SharedArray<u32, Ix1>,
    pub(super) values: SharedArray<T, Ix1>,
    /// Part `k` has the rows `parts[k]..parts[k + 1]`.
    pub(super) parts: Vec<usize>,
    /// The same where workers can read it.
    pub(super) bounds: SharedArray<u64, Ix1>,
}

impl<T: Number> Csr<T> {
    /// Creates a matrix of `shape` (rows, columns) from entries in any order: `values[k]` belongs to row
    /// `rows[k]` and column `columns[k]`.
    ///
    /// Entries with the same row and column are summed in the order in which they are given. Cost: the caller
    /// sorts the entries by row in two passes (a counting sort), then the workers sort each row by column.
    /// Extra memory: about twice that of the result.
    ///
    /// # Errors
    /// `Shape` if `rows`, `columns` and `values` have different lengths; `Index` for the first entry outside
    /// the matrix; `Argument` if there are more than 2^32 columns, or more rows than can be counted;
    /// `Launch`, `Memory`.
    ///
    /// ```
    /// use phalanx_kernels::sparse::Csr;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pool = phalanx::Pool::builder().workers(2).build()?;
    /// let a = Csr::from_coo(&pool, (2, 3), &[1, 0, 1, 1], &[2, 0, 0, 2], &[5.0, 1.0, 2.0, 0.5])?;
    /// assert_eq!(a.row(1), (&[0, 2][..], &[2.0, 5.5][..]));
    /// assert_eq!(a.entries(), 3);
    /// # Ok(())
    /// # }
    /// ```
    pub fn from_coo<I, J>(
        pool: &Pool,
        shape: (usize, usize),
        rows: &(impl Input<Elem = I, Dim = Ix1> + ?Sized),
        columns: &(impl Input<Elem = J, Dim = Ix1> + ?Sized),
        values: &(impl Input<Elem = T, Dim = Ix1> + ?Sized),
    ) -> Result<Csr<T>, KernelError>
    where
        I: Integer + TryInto<usize>,
        J: Integer + TryInto<usize>,
    {
        check_shape("the rows of entries", &[values.len()], &rows.shape())?;
        check_shape("the columns of entries", &[values.len()], &columns.shape())?;
        offsets_of(shape.0)?;
        if shape.1 as u128 > 1 << 32 {
            return Err(KernelError::argument(
                "the shape of a sparse matrix",
                "columns are numbered in 32 bits",
            ));
        }
        let (rows, columns, values) = (flat(pool, rows)?, flat(pool, columns)?, flat(pool, values)?);
        check_places("the row of an entry", &rows, shape.0)?;
        check_places("the column of an entry", &columns, shape.1)?;
        let sorted = by_row(pool, shape, &rows, &columns, &values)?;
        sorted.merge_duplicates(pool)
    }

    /// Creates a matrix from its compressed form: `offsets` (one more than there are rows), `columns` and
    /// `values`.
    ///
    /// Cost: the arrays are moved, not copied, and checked in one pass.
    ///
    /// # Errors
    /// `Shape` if lengths do not match; `Argument` if offsets do not ascend from 0 to the number of entries
    /// or columns do not ascend within a row; `Index` for a column outside the matrix; `Memory`.
    pub fn from_parts(
        shape: (usize, usize),
        offsets: SharedArray<u64, Ix1>,
        columns: SharedArray<u32, Ix1>,
        values: SharedArray<T, Ix1>,
    ) -> Result<Csr<T>, KernelError> {
        check_shape("the offsets of a sparse matrix", &[offsets_of(shape.0)?], offsets.shape())?;
        check_shape("the columns of a sparse matrix", &[values.len()], columns.shape())?;
        let ends = offsets.as_slice();
        if ends[0] != 0 || ends[shape.0] != values.len() as u64 || !ends.is_sorted() {
            let why = format!("they must ascend from 0 to the {} entries", values.len());
            return Err(KernelError::argument("the offsets of a sparse matrix", why));
        }
        check_places("a column of a sparse matrix", columns.as_slice(), shape.1)?;
        let ascends = |row: &[u64]| {
            columns.as_slice()[row[0] as usize..row[1] as usize].is_sorted_by(|left, right| left < right)
        };
        if let Some(row) = ends.windows(2).position(|row| !ascends(row)) {
            let why = format!("those of row {row} do not ascend; use from_coo, which sorts and sums");
            return Err(KernelError::argument("the columns of a sparse matrix", why));
        }
        Self::assemble(shape, offsets, columns, values)
    }

    /// The parts are made last, from offsets that are right.
    fn assemble(
        shape: (usize, usize),
        offsets: SharedArray<u64, Ix1>,
        columns: SharedArray<u32, Ix1>,
        values: SharedArray<T, Ix1>,
    ) -> Result<Csr<T>, KernelError> {
        let parts = cut(offsets.as_slice());
        let bounds = SharedArray::from_fn(parts.len(), |part| parts[part] as u64)?;
        Ok(Csr { shape, offsets, columns, values, parts, bounds })
    }

    /// Sums neighbouring entries of one place and closes the gaps.
    #[expect(
        clippy::arithmetic_side_effects,
        reason = "offsets ascend to the number of entries, which lie in memory"
    )]
    fn merge_duplicates(mut self, pool: &Pool) -> Result<Csr<T>, KernelError> {
        let rows = self.shape.0;
        let mut lengths = SharedArray::<u64>::zeros(rows)?;
        let entry_bounds: Vec<usize> =
            self.parts.iter().map(|row| self.offsets.as_slice()[*row] as usize).collect();
        let count = self.parts.len() - 1;
        pool.for_each(
            (
                lengths.split_at_mut(&self.parts),
                self.columns.split_at_mut(&entry_bounds),
                self.values.split_at_mut(&entry_bounds),
                0..count,
                self.bounds.whole(),
                self.offsets.whole(),
            ),
            |(lengths, columns, values, part, bounds, offsets)| {
                let rows = bounds[part.start] as usize..bounds[part.end] as usize;
                let first = offsets[rows.start] as usize;
                let mut sorter = Sorter::default();
                for (length, row) in lengths.iter_mut().zip(rows) {
                    let place = offsets[row] as usize - first..offsets[row + 1] as usize - first;
                    *length = sorter.sort_row(&mut columns[place.clone()], &mut values[place]) as u64;
                }
            },
        )?;
        let mut offsets = SharedArray::<u64>::zeros(offsets_of(rows)?)?;
        let mut end = 0;
        for (offset, length) in offsets.as_mut_slice()[1..].iter_mut().zip(lengths.as_slice()) {
            end += length;
            *offset = end;
        }
        if end as usize == self.values.len() {
            return Ok(self);
        }
        let mut columns = pool.zeros::<u32>(end as usize)?;
        let mut values = pool.zeros::<T>(end as usize)?;
        let places: Vec<usize> = self.parts.iter().map(|row| offsets.as_slice()[*row] as usize).collect();
        pool.for_each(
            (
                columns.split_at_mut(&places),
                values.split_at_mut(&places),
                (self.columns.split_at(&entry_bounds), self.values.split_at(&entry_bounds)),
                0..count,
                self.bounds.whole(),
                (self.offsets.whole(), offsets.whole()),
            ),
            |(columns, values, (wide_columns, wide_values), part, bounds, (wide, tight))| {
                let rows = bounds[part.start] as usize..bounds[part.end] as usize;
                let (from, to) = (wide[rows.start] as usize, tight[rows.start] as usize);
                for row in rows {
                    let len = (tight[row + 1] - tight[row]) as usize;
                    let (from, to) = (wide[row] as usize - from, tight[row] as usize - to);
                    columns[to..to + len].copy_from_slice(&wide_columns[from..from + len]);
                    values[to..to + len].copy_from_slice(&wide_values[from..from + len]);
                }
            },
        )?;
        Self::assemble(self.shape, offsets, columns, values)
    }

    /// Returns the number of rows and of columns.
    pub fn shape(&self) -> (usize, usize) {
        self.shape
    }

    /// Returns the number of stored entries.
    pub fn entries(&self) -> usize {
        self.columns.len()
    }

    /// Returns where each row begins, followed by the number of entries.
    pub fn offsets(&self) -> &SharedArray<u64, Ix1> {
        &self.offsets
    }

    /// Returns the column of each entry.
    pub fn columns(&self) -> &SharedArray<u32, Ix1> {
        &self.columns
    }

    /// Returns the values of the entries.
    pub fn values(&self) -> &SharedArray<T, Ix1> {
        &self.values
    }

    /// That there is a value for each entry still: the array of values can be exchanged.
    pub(super) fn check_values(&self) -> Result<(), KernelError> {
        check_shape("the values of a sparse matrix", self.columns.shape(), self.values.shape())
    }

    /// Returns the values of the entries, to be changed in place. If they are replaced by an array of another
    /// length, products refuse the matrix.
    pub fn values_mut(&mut self) -> &mut SharedArray<T, Ix1> {
        &mut self.values
    }

    /// Returns the columns and values of one row.
    ///
    /// # Panics
    /// If there is no such row.
    #[expect(clippy::arithmetic_side_effects, reason = "a row that there is not has no offset either")]
    pub fn row(&self, row: usize) -> (&[u32], &[T]) {
        let offsets = self.offsets.as_slice();
        let place = offsets[row] as usize..offsets[row + 1] as usize;
        (&self.columns.as_slice()[place.clone()], &self.values.as_slice()[place])
    }
}

/// How many offsets so many rows have.
fn offsets_of(rows: usize) -> Result<usize, KernelError> {
    let why = || format!("{rows} rows are too many to count their ends");
    rows.checked_add(1).ok_or_else(|| KernelError::argument("the shape of a sparse matrix", why()))
}

/// Refuses places outside `0..len`.
fn check_places<I: Integer + TryInto<usize>>(
    what: &'static str,
    places: &[I],
    len: usize,
) -> Result<(), KernelError> {
    let outside = |place: &I| (*place).try_into().map_or(true, |place: usize| place >= len);
    match places.iter().position(outside) {
        None => Ok(()),
        Some(at) => Err(KernelError::Index { what, at, index: places[at].to_string(), len }),
    }
}

/// The entries in the order of their rows, within a row as they were given.
#[expect(clippy::arithmetic_side_effects, reason = "counts of entries in memory, whose rows are checked")]
fn by_row<T: Number, I, J>(
    pool: &Pool,
    shape: (usize, usize),
    rows: &[I],
    columns: &[J],
    values: &[T],
) -> Result<Csr<T>, KernelError>
where
    I: Integer + TryInto<usize>,
    J: Integer + TryInto<usize>,
{
    // Checked before; a place that does not fit cannot occur.
    let place = |row: I| row.try_into().unwrap_or(0);
    let mut offsets = SharedArray::<u64>::zeros(offsets_of(shape.0)?)?;
    let counts = offsets.as_mut_slice();
    rows.iter().for_each(|row| counts[place(*row) + 1] += 1);
    for row in 0..shape.0 {
        counts[row + 1] += counts[row];
    }
    let mut next: Vec<usize> = counts[..shape.0].iter().map(|start| *start as usize).collect();
    let mut sorted_columns = pool.zeros::<u32>(values.len())?;
    let mut sorted_values = pool.zeros::<T>(values.len())?;
    let (to_columns, to_values) = (sorted_columns.as_mut_slice(), sorted_values.as_mut_slice());
    for ((row, column), value) in rows.iter().zip(columns).zip(values) {
        let next = &mut next[place(*row)];
        to_columns[*next] = (*column).try_into().unwrap_or(0) as u32;
        to_values[*next] = *value;
        *next += 1;
    }
    Csr::assemble(shape, offsets, sorted_columns, sorted_values)
}

/// Working space for sorting rows.
#[derive(Default)]
struct Sorter<T> {
    row: Vec<(u32, T)>,
}

impl<T: Number> Sorter<T> {
    /// Sorts a row by column, keeping the order of equal ones, and sums these; returns how many are left, at
    /// the front.
    #[expect(clippy::arithmetic_side_effects, reason = "places in a row that is indexed")]
    fn sort_row(&mut self, columns: &mut [u32], values: &mut [T]) -> usize {
        if columns.is_sorted_by(|left, right| left < right) {
            return columns.len();
        }
        self.row.clear();
        self.row.extend(columns.iter().copied().zip(values.iter().copied()));
        self.row.sort_by_key(|(column, _)| *column);
        let mut last = 0;
        for (index, (column, value)) in self.row.iter().enumerate() {
            if index > 0 && columns[last] == *column {
                values[last] = values[last].plus(*value);
                continue;
            }
            last += usize::from(index > 0);
            (columns[last], values[last]) = (*column, *value);
        }
        last + 1
    }
}

/// Rows cut into parts of about equal numbers of entries and rows together.
#[expect(clippy::arithmetic_side_effects, reason = "offsets and rows lie in memory")]
fn cut(offsets: &[u64]) -> Vec<usize> {
    let rows = offsets.len() - 1;
    let work = |row: usize| offsets[row] as usize + row;
    let count = (work(rows) / PART_WORK).clamp(1, MOST_PARTS);
    let mut bounds = vec![0];
    for part in 1..count {
        let share = (work(rows) as u128 * part as u128 / count as u128) as usize;
        let (mut low, mut high) = (bounds[part - 1], rows);
        while low < high {
            let middle = low.midpoint(high);
            if work(middle) < share { low = middle + 1 } else { high = middle }
        }
        bounds.push(low);
    }
    bounds.push(rows);
    bounds
}

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "a test may fail by panicking")]
mod tests {
    use super::*;
    use crate::testing::{Dice, pool, pools};
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn from_coo_agrees_with_a_map(
            m in 1usize..200, n in 1usize..50, entries in 0usize..20_000, seed: u64, which in 0usize..4,
        ) {
            let mut dice = Dice(seed);
            let rows: Vec<u32> = (0..entries).map(|_| (dice.roll() % m as u64) as u32).collect();
            let columns: Vec<i64> = (0..entries).map(|_| (dice.roll() % n as u64) as i64).collect();
            let values = dice.units(entries);
            let mut naive = BTreeMap::<(usize, u32), f64>::new();
            for ((row, column), value) in rows.iter().zip(&columns).zip(&values) {
                let place = (*row as usize, *column as u32);
                naive.entry(place).and_modify(|sum| *sum += value).or_insert(*value);
            }
            let a = Csr::from_coo(&pools()[which], (m, n), &rows, &columns, &values).unwrap();
            prop_assert_eq!(a.entries(), naive.len());
            let seen: Vec<_> = (0..m)
                .flat_map(|row| a.row(row).0.iter().zip(a.row(row).1).map(move |(c, v)| ((row, *c), *v)))
                .collect();
            prop_assert!(seen.into_iter().eq(naive));
        }

        #[test]
        fn parts_cover_all_rows_and_are_even(lengths in prop::collection::vec(0u64..200, 0..3000)) {
            let mut offsets = vec![0];
            for length in &lengths {
                offsets.push(offsets[offsets.len() - 1] + length);
            }
            let parts = cut(&offsets);
            prop_assert!(parts.is_sorted() && parts[0] == 0 && parts[parts.len() - 1] == lengths.len());
            let work = |row: usize| offsets[row] as usize + row;
            let share = work(lengths.len()) / (parts.len() - 1);
            prop_assert!(parts.windows(2).all(|part| work(part[1]) - work(part[0]) <= share + 201));
        }
    }

    #[test]
    fn the_first_entry_outside_is_named() {
        let error = Csr::from_coo(pool(), (3, 3), &[0, 3, -1], &[0, 0, 0], &[1.0; 3]).unwrap_err();
        assert!(matches!(error, KernelError::Index { at: 1, len: 3, .. }), "{error}");
        let error = Csr::from_coo(pool(), (3, 3), &[0, 1, 2], &[0, 0, -1], &[1.0; 3]).unwrap_err();
        assert!(
            matches!(error, KernelError::Index { at: 2, .. }) && error.to_string().contains("-1"),
            "{error}"
        );
        let error = Csr::from_coo(pool(), (3, 3), &[0, 1], &[0, 0, 1], &[1.0; 3]).unwrap_err();
        assert!(matches!(error, KernelError::Shape { .. }), "{error}");
    }

    #[test]
    fn a_matrix_without_rows_or_entries_is_a_matrix() {
        let none: [u32; 0] = [];
        let a = Csr::from_coo(pool(), (0, 0), &none, &none, &[0.0f32; 0]).unwrap();
        assert_eq!((a.shape(), a.entries()), ((0, 0), 0));
        let a = Csr::from_coo(pool(), (5, 0), &none, &none, &[0.0f32; 0]).unwrap();
        assert_eq!(a.row(4), (&[][..], &[][..]));
    }

    #[test]
    fn sizes_beyond_all_memory_are_refused() {
        let none: [u32; 0] = [];
        for rows in [usize::MAX, usize::MAX - 1, 1 << 59] {
            assert!(Csr::from_coo(pool(), (rows, 1), &none, &none, &[0.0; 0]).is_err(), "{rows} rows");
            let (offsets, columns) = (SharedArray::zeros(1).unwrap(), SharedArray::zeros(0).unwrap());
            assert!(
                Csr::<f64>::from_parts((rows, 1), offsets, columns, SharedArray::zeros(0).unwrap()).is_err()
            );
        }
    }

    #[test]
    fn a_matrix_whose_values_were_exchanged_is_refused() {
        let mut a = Csr::from_coo(pool(), (2, 2), &[0, 1], &[0, 1], &[1.0, 1.0]).unwrap();
        *a.values_mut() = SharedArray::zeros(1).unwrap();
        let (mut x, mut y) = (SharedArray::zeros(2).unwrap(), SharedArray::zeros(2).unwrap());
        let refused = super::super::spmv(pool(), 1.0, &a, &[1.0, 1.0], 0.0, &mut y);
        assert!(matches!(refused, Err(KernelError::Shape { .. })));
        let refused = super::super::conjugate_gradient(pool(), &a, &[1.0, 1.0], &mut x, Default::default());
        assert!(matches!(refused, Err(KernelError::Shape { .. })));
    }

    #[test]
    fn compressed_parts_are_checked() {
        let make = |offsets: &[u64], columns: &[u32]| {
            let values = SharedArray::from_fn(columns.len(), |i| i as f64)?;
            let (offsets, columns) = (SharedArray::from_slice(offsets)?, SharedArray::from_slice(columns)?);
            Csr::from_parts((2, 4), offsets, columns, values)
        };
        assert_eq!(make(&[0, 2, 3], &[1, 3, 0]).unwrap().row(0), (&[1, 3][..], &[0.0, 1.0][..]));
        assert!(matches!(make(&[0, 2], &[1, 3]), Err(KernelError::Shape { .. })));
        assert!(matches!(make(&[0, 3, 2], &[1, 3]), Err(KernelError::Argument { .. })));
        assert!(matches!(make(&[0, 2, 2], &[3, 1]), Err(KernelError::Argument { .. })));
        assert!(matches!(make(&[0, 2, 2], &[1, 4]), Err(KernelError::Index { at: 1, .. })));
    }
}
