//! What is made of sparse matrices: transposes, sums, products, scaled and triangular ones.
//!
//! Products are made row by row, as F. G. Gustavson, ACM TOMS 4 (1978): for each row of the left matrix the
//! rows of the right one that it names are added up in a dense line.

use super::Csr;
use super::spmv::Rows;
use crate::error::{KernelError, check_shape};
use crate::input::Input;
use crate::number::Real;
use ndarray::{Ix1, Ix2};
use phalanx::{Pool, SharedArray};
use std::ops::Range;

impl<T: Real> Csr<T> {
    /// Creates a matrix from a dense one, without its zeros. NaN is kept.
    ///
    /// Cost: the caller reads the dense matrix once.
    ///
    /// # Errors
    /// As for [`Self::from_coo`].
    pub fn from_dense(pool: &Pool, a: &impl Input<Elem = T, Dim = Ix2>) -> Result<Csr<T>, KernelError> {
        let view = a.view();
        let (mut rows, mut columns, mut values) = (Vec::new(), Vec::new(), Vec::new());
        for ((i, j), value) in view.indexed_iter().filter(|(_, value)| **value != T::ZERO) {
            rows.push(i as u64);
            columns.push(j as u64);
            values.push(*value);
        }
        Csr::from_coo(pool, view.dim(), &rows, &columns, &values)
    }

    /// Returns the matrix in dense form.
    ///
    /// # Errors
    /// `Memory`.
    #[doc(alias = "toarray", alias = "todense")]
    pub fn to_dense(&self, pool: &Pool) -> Result<SharedArray<T, Ix2>, KernelError> {
        self.check_values()?;
        let mut dense = pool.zeros_nd::<T, _>(self.shape())?;
        for (i, mut to) in dense.view_mut().rows_mut().into_iter().enumerate() {
            let (columns, values) = self.row(i);
            columns.iter().zip(values).for_each(|(j, value)| to[*j as usize] = *value);
        }
        Ok(dense)
    }

    /// Returns the transposed matrix. Its compressed rows are the compressed columns (CSC) of this one, so
    /// that `offsets`, `columns` and `values` of the result are what other libraries call `indptr`,
    /// `indices` and `data` of a CSC matrix. To read one, call [`Self::from_parts`] and then this.
    ///
    /// Cost: two passes of the caller over the entries (a counting sort), which write at random.
    ///
    /// # Errors
    /// `Argument` if there are more than 2^32 rows; `Shape` if the values were replaced; `Memory`.
    ///
    /// ```
    /// use phalanx_kernels::sparse::Csr;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pool = phalanx::Pool::builder().workers(2).build()?;
    /// let a = Csr::from_coo(&pool, (2, 3), &[0, 1, 1], &[2, 0, 2], &[1.0, 2.0, 3.0])?;
    /// assert_eq!(a.transpose(&pool)?.row(2), (&[0, 1][..], &[1.0, 3.0][..]));
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "tocsc")]
    pub fn transpose(&self, pool: &Pool) -> Result<Csr<T>, KernelError> {
        self.check_values()?;
        let (m, n) = self.shape();
        if m as u128 > 1 << 32 {
            let why = "its rows become columns, which are numbered in 32 bits";
            return Err(KernelError::argument("the shape of a sparse matrix", why));
        }
        let mut offsets = pool.zeros::<u64>(n + 1)?;
        let counts = offsets.as_mut_slice();
        self.columns.as_slice().iter().for_each(|column| counts[*column as usize + 1] += 1);
        for column in 0..n {
            counts[column + 1] += counts[column];
        }
        let mut next: Vec<u64> = counts[..n].to_vec();
        let (mut columns, mut values) =
            (pool.zeros::<u32>(self.entries())?, pool.zeros::<T>(self.entries())?);
        let (to_columns, to_values) = (columns.as_mut_slice(), values.as_mut_slice());
        for row in 0..m {
            let (of_row, values) = self.row(row);
            for (column, value) in of_row.iter().zip(values) {
                let next = &mut next[*column as usize];
                (to_columns[*next as usize], to_values[*next as usize]) = (row as u32, *value);
                *next += 1;
            }
        }
        Csr::from_parts((n, m), offsets, columns, values)
    }

    /// Writes the diagonal to `out`; places without an entry are 0.
    ///
    /// # Errors
    /// `Shape` if `out` does not have `min(m, n)` elements, or the values were replaced.
    pub fn diagonal(&self, out: &mut SharedArray<T, Ix1>) -> Result<(), KernelError> {
        self.check_values()?;
        check_shape("the diagonal of a sparse matrix", &[self.shape().0.min(self.shape().1)], out.shape())?;
        for (i, to) in out.as_mut_slice().iter_mut().enumerate() {
            *to = self.find(i, i).unwrap_or(T::ZERO);
        }
        Ok(())
    }

    /// Returns the stored value of a place.
    ///
    /// # Panics
    /// If there is no such row.
    pub fn find(&self, row: usize, column: usize) -> Option<T> {
        let (columns, values) = self.row(row);
        let column = u32::try_from(column).ok()?;
        columns.binary_search(&column).ok().map(|at| values[at])
    }

    /// Multiplies each row by a factor of its own.
    ///
    /// # Errors
    /// `Shape` if there is not one factor per row, or the values were replaced; `Launch`, `Memory`.
    pub fn scale_rows(
        &mut self,
        pool: &Pool,
        factors: &(impl Input<Elem = T, Dim = Ix1> + ?Sized),
    ) -> Result<(), KernelError> {
        check_shape("the factors of rows", &[self.shape().0], &factors.shape())?;
        let factors = factors.share(pool)?;
        self.scale(pool, &factors, true)
    }

    /// Multiplies each column by a factor of its own.
    ///
    /// # Errors
    /// `Shape` if there is not one factor per column, or the values were replaced; `Launch`, `Memory`.
    pub fn scale_columns(
        &mut self,
        pool: &Pool,
        factors: &(impl Input<Elem = T, Dim = Ix1> + ?Sized),
    ) -> Result<(), KernelError> {
        check_shape("the factors of columns", &[self.shape().1], &factors.shape())?;
        let factors = factors.share(pool)?;
        self.scale(pool, &factors, false)
    }

    fn scale(&mut self, pool: &Pool, factors: &SharedArray<T>, by_row: bool) -> Result<(), KernelError> {
        self.check_values()?;
        if self.entries() == 0 {
            return Ok(());
        }
        let cut = self.entry_cut();
        let operands = (
            self.values.split_at_mut(&cut),
            0..cut.len() - 1,
            (self.offsets.whole(), self.columns.whole(), self.bounds.whole()),
            factors.whole(),
            by_row,
        );
        pool.for_each(operands, |(values, part, (offsets, columns, bounds), factors, by_row)| {
            let rows = bounds[part.start] as usize..bounds[part.end] as usize;
            let first = offsets[rows.start] as usize;
            for row in rows {
                for at in offsets[row] as usize..offsets[row + 1] as usize {
                    let factor = factors[if by_row { row } else { columns[at] as usize }];
                    values[at - first] = values[at - first] * factor;
                }
            }
        })?;
        Ok(())
    }

    /// Where the entries of each part begin.
    pub(super) fn entry_cut(&self) -> Vec<usize> {
        self.parts.iter().map(|row| self.offsets.as_slice()[*row] as usize).collect()
    }

    /// Returns `alpha A + beta B`, with an entry wherever one of both has one.
    ///
    /// Cost: one pass over both, shared out, and one to count.
    ///
    /// # Errors
    /// `Shape` if the shapes differ or values were replaced; `Launch`, `Memory`.
    ///
    /// ```
    /// use phalanx_kernels::sparse::Csr;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pool = phalanx::Pool::builder().workers(2).build()?;
    /// let a = Csr::from_coo(&pool, (1, 3), &[0, 0], &[0, 1], &[1.0, 2.0])?;
    /// let b = Csr::from_coo(&pool, (1, 3), &[0, 0], &[1, 2], &[5.0, 7.0])?;
    /// assert_eq!(a.plus(&pool, 1.0, &b, 10.0)?.row(0), (&[0, 1, 2][..], &[1.0, 52.0, 70.0][..]));
    /// # Ok(())
    /// # }
    /// ```
    pub fn plus(&self, pool: &Pool, alpha: T, other: &Csr<T>, beta: T) -> Result<Csr<T>, KernelError> {
        self.check_values()?;
        other.check_values()?;
        let (shape, of_other) = (self.shape(), other.shape());
        check_shape("the other sparse matrix of a sum", &[shape.0, shape.1], &[of_other.0, of_other.1])?;
        make(pool, self, other, shape.1, [alpha, beta], |left, right, row, _, factors, out| {
            sum_row(left.row(row), right.row(row), factors, out);
        })
    }

    /// Returns the product `A B`, with an entry wherever one of the summands has one.
    ///
    /// Cost: one multiplication for each pair of an entry of `A` and one of the row of `B` that it names,
    /// made twice: to count, and to write. Each worker needs a dense line of the result.
    ///
    /// # Errors
    /// `Shape` if `B` does not have as many rows as `A` has columns, or values were replaced; `Launch`,
    /// `Memory`.
    ///
    /// ```
    /// use phalanx_kernels::sparse::Csr;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pool = phalanx::Pool::builder().workers(2).build()?;
    /// let a = Csr::from_coo(&pool, (2, 2), &[0, 0, 1], &[0, 1, 1], &[1.0, 2.0, 3.0])?;
    /// assert_eq!(a.times(&pool, &a)?.row(0), (&[0, 1][..], &[1.0, 8.0][..]));
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "spgemm", alias = "matmul")]
    pub fn times(&self, pool: &Pool, other: &Csr<T>) -> Result<Csr<T>, KernelError> {
        self.check_values()?;
        other.check_values()?;
        let (shape, of_other) = (self.shape(), other.shape());
        check_shape(
            "the right factor of a sparse product",
            &[shape.1, of_other.1],
            &[of_other.0, of_other.1],
        )?;
        make(pool, self, other, of_other.1, [T::ONE; 2], |left, right, row, line, _, out| {
            product_row(left, right, row, line, out);
        })
    }
}

impl<'a, T: Real> Rows<'a, T> {
    /// Columns and values of one row.
    pub(super) fn row(&self, row: usize) -> (&'a [u32], &'a [T]) {
        let place = self.offsets[row] as usize..self.offsets[row + 1] as usize;
        (&self.columns[place.clone()], &self.values[place])
    }
}

/// A dense line in which a row is summed up.
#[derive(Default)]
struct Line<T> {
    sums: Vec<T>,
    /// The row, counted from 1, that has written a sum last.
    seen: Vec<u64>,
}

/// Makes a matrix row by row from the rows of two, in two passes.
fn make<T, F>(
    pool: &Pool,
    left: &Csr<T>,
    right: &Csr<T>,
    columns: usize,
    factors: [T; 2],
    row: F,
) -> Result<Csr<T>, KernelError>
where
    T: Real,
    F: Fn(Rows<'_, T>, Rows<'_, T>, usize, &mut Line<T>, [T; 2], &mut Vec<(u32, T)>) + Copy + Send + Sync,
{
    let count = left.parts.len() - 1;
    let given = || {
        let of_left = (left.offsets.whole(), left.columns.whole(), left.values.whole());
        let of_right = (right.offsets.whole(), right.columns.whole(), right.values.whole());
        (0..count, left.bounds.whole(), of_left, of_right, factors, columns)
    };
    let rows = left.shape().0;
    let mut lengths = pool.zeros::<u64>(rows)?;
    pool.launch().retry(3).retry_in_place().for_each(
        (lengths.split_at_mut(&left.parts), given()),
        move |(lengths, (part, bounds, a, b, factors, columns))| {
            let mut to = lengths.iter_mut();
            each_row(part, bounds, (a, b), columns, factors, row, |made| {
                if let Some(length) = to.next() {
                    *length = made.len() as u64;
                }
            });
        },
    )?;
    let offsets = offsets_of(pool, lengths.as_slice())?;
    let end = offsets.as_slice()[rows] as usize;
    let (mut of_rows, mut values) = (pool.zeros::<u32>(end)?, pool.zeros::<T>(end)?);
    let cut: Vec<usize> = left.parts.iter().map(|row| offsets.as_slice()[*row] as usize).collect();
    pool.launch().retry(3).retry_in_place().for_each(
        (of_rows.split_at_mut(&cut), values.split_at_mut(&cut), given()),
        move |(of_rows, values, (part, bounds, a, b, factors, columns))| {
            let mut to = of_rows.iter_mut().zip(values);
            each_row(part, bounds, (a, b), columns, factors, row, |made| {
                for (entry, (column, value)) in made.iter().zip(&mut to) {
                    (*column, *value) = *entry;
                }
            });
        },
    )?;
    Csr::from_parts((rows, columns), offsets, of_rows, values)
}

/// Where each row begins, by the rows' lengths.
fn offsets_of(pool: &Pool, lengths: &[u64]) -> Result<SharedArray<u64>, KernelError> {
    let mut offsets = pool.zeros::<u64>(lengths.len() + 1)?;
    let mut end = 0;
    for (offset, length) in offsets.as_mut_slice()[1..].iter_mut().zip(lengths) {
        end += length;
        *offset = end;
    }
    Ok(offsets)
}

type Slices<'a, T> = (&'a [u64], &'a [u32], &'a [T]);

/// Makes the rows of some parts one after the other.
fn each_row<T: Real>(
    part: Range<usize>,
    bounds: &[u64],
    (a, b): (Slices<'_, T>, Slices<'_, T>),
    columns: usize,
    factors: [T; 2],
    row: impl Fn(Rows<'_, T>, Rows<'_, T>, usize, &mut Line<T>, [T; 2], &mut Vec<(u32, T)>),
    mut put: impl FnMut(&[(u32, T)]),
) {
    let left = Rows { offsets: a.0, columns: a.1, values: a.2 };
    let right = Rows { offsets: b.0, columns: b.1, values: b.2 };
    let mut line = Line { sums: vec![T::ZERO; columns], seen: vec![0; columns] };
    let mut made = Vec::new();
    for index in bounds[part.start] as usize..bounds[part.end] as usize {
        made.clear();
        row(left, right, index, &mut line, factors, &mut made);
        put(&made);
    }
}

fn sum_row<T: Real>(
    left: (&[u32], &[T]),
    right: (&[u32], &[T]),
    [alpha, beta]: [T; 2],
    out: &mut Vec<(u32, T)>,
) {
    let mut left = left.0.iter().zip(left.1).peekable();
    let mut right = right.0.iter().zip(right.1).peekable();
    loop {
        let entry = match (left.peek(), right.peek()) {
            (Some((i, a)), Some((j, b))) if i == j => (**i, alpha * **a + beta * **b),
            (Some((i, a)), Some((j, _))) if i < j => (**i, alpha * **a),
            (Some((i, a)), None) => (**i, alpha * **a),
            (_, Some((j, b))) => (**j, beta * **b),
            (None, None) => return,
        };
        left.next_if(|(column, _)| **column == entry.0);
        right.next_if(|(column, _)| **column == entry.0);
        out.push(entry);
    }
}

fn product_row<T: Real>(
    left: Rows<'_, T>,
    right: Rows<'_, T>,
    row: usize,
    line: &mut Line<T>,
    out: &mut Vec<(u32, T)>,
) {
    let mark = row as u64 + 1;
    let (columns, values) = left.row(row);
    for (middle, a) in columns.iter().zip(values) {
        let (columns, values) = right.row(*middle as usize);
        for (column, b) in columns.iter().zip(values) {
            let place = *column as usize;
            if line.seen[place] != mark {
                (line.seen[place], line.sums[place]) = (mark, *a * *b);
                out.push((*column, T::ZERO));
            } else {
                line.sums[place] = line.sums[place] + *a * *b;
            }
        }
    }
    out.sort_unstable_by_key(|(column, _)| *column);
    out.iter_mut().for_each(|(column, value)| *value = line.sums[*column as usize]);
}

/// Which part of a sparse matrix counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Half {
    /// The diagonal and what is below it.
    Lower,
    /// The diagonal and what is above it.
    Upper,
}

/// Sets `x` to the solution of `A x = b` for a triangular matrix; entries in the other half are not read.
///
/// Cost: `2 entries` operations **in the calling thread**: each unknown needs those before it.
///
/// # Errors
/// `Shape` if the shapes do not match; `Singular` with the first row that has no diagonal, or a zero there;
/// `Memory`.
///
/// ```
/// use phalanx_kernels::sparse::{self, Csr, Half};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = phalanx::Pool::builder().workers(2).build()?;
/// let a = Csr::from_coo(&pool, (2, 2), &[0, 1, 1], &[0, 0, 1], &[2.0, 1.0, 4.0])?;
/// let mut x = pool.zeros(2)?;
/// sparse::solve_triangular(&a, Half::Lower, &[2.0, 9.0], &mut x)?;
/// assert_eq!(x.as_slice(), [1.0, 2.0]);
/// # Ok(())
/// # }
/// ```
#[doc(alias = "spsolve_triangular")]
pub fn solve_triangular<T: Real>(
    a: &Csr<T>,
    half: Half,
    b: &(impl Input<Elem = T, Dim = Ix1> + ?Sized),
    x: &mut SharedArray<T, Ix1>,
) -> Result<(), KernelError> {
    let (m, n) = a.shape();
    a.check_values()?;
    check_shape("the matrix of a linear system", &[m, m], &[m, n])?;
    check_shape("the right-hand side of a linear system", &[m], &b.shape())?;
    check_shape("the solution of a linear system", &[m], x.shape())?;
    let is_missing = |row: &usize| a.find(*row, *row).is_none_or(|pivot| pivot == T::ZERO);
    if let Some(at) = (0..m).find(is_missing) {
        return Err(KernelError::Singular { kernel: "sparse::solve_triangular", at });
    }
    let b = b.view();
    let x = x.as_mut_slice();
    let mut solve = |row: usize| {
        let (columns, values) = a.row(row);
        let (mut sum, mut pivot) = (b[row], T::ONE);
        for (column, value) in columns.iter().zip(values) {
            let column = *column as usize;
            match half {
                _ if column == row => pivot = *value,
                Half::Lower if column < row => sum = sum - *value * x[column],
                Half::Upper if column > row => sum = sum - *value * x[column],
                _ => {}
            }
        }
        x[row] = sum / pivot;
    };
    match half {
        Half::Lower => (0..m).for_each(&mut solve),
        Half::Upper => (0..m).rev().for_each(&mut solve),
    }
    Ok(())
}

#[cfg(test)]
#[path = "ops_tests.rs"]
mod tests;
