//! LU factorisation with row exchanges, and what follows from it: solutions, determinants, inverses.
//!
//! Right-looking and blocked: the caller factorises a panel of [`PANEL`](super::field::PANEL) columns, then
//! the workers exchange rows of the other columns, solve for their part of U and subtract the panel times it,
//! all in one launch, a chunk of columns at a time. Panels, triangular solutions and products inside a chunk
//! are the [`faer`](https://docs.rs/faer) crate's, in one thread. After Golub and Van Loan, *Matrix
//! Computations*, 4th ed., 3.2.11 and 3.4.

use super::Product;
use super::field::{self, ALONE, SIDES};
use crate::error::{KernelError, check_shape};
use crate::input::Input;
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::lu::partial_pivoting::factor::{lu_in_place, lu_in_place_scratch};
use faer::linalg::matmul::matmul;
use faer::linalg::triangular_solve as triangular;
use faer::{Accum, Spec};
use ndarray::Ix2;
use phalanx::{Pool, Shape, SharedArray};

/// The factorisation `P A = L U` of a square matrix: `L` has a diagonal of ones and no element above 1, `U`
/// is upper triangular, `P` exchanges rows.
///
/// ```
/// use phalanx_kernels::dense::Lu;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = phalanx::Pool::builder().workers(2).build()?;
/// let a = pool.from_shape_fn((500, 500), |(i, j)| if i == j { 600.0 } else { (i * j % 7) as f64 })?;
/// let lu = Lu::new(&pool, &a)?;
/// let b = pool.from_fn(500, |i| i as f64)?;
/// let mut x = pool.zeros(500)?;
/// lu.solve(&pool, &b, &mut x)?;
/// assert!((a.view().dot(&x.view())[7] - 7.0).abs() < 1e-9);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Lu<T> {
    /// Column `j` of both factors is row `j`.
    factors: SharedArray<T, Ix2>,
    /// Row `i` of `P A` is row `order[i]` of `A`.
    order: SharedArray<u64>,
    is_odd: bool,
    /// The first zero on the diagonal of U.
    singular: Option<usize>,
}

impl<T: Product> Lu<T> {
    /// Factorises a matrix of `n x n`. A singular matrix is factorised too; [`Self::solve`] refuses it.
    ///
    /// Cost: `2/3 n^3` operations. The caller alone does the panels, some `96 / n` of all, and all of a
    /// matrix of at most 160 rows. Extra memory: a copy of the matrix, and a panel. The bits do not depend on
    /// the number of workers; they may depend on the CPU.
    ///
    /// # Errors
    /// `Shape` if the matrix is not square; `NotFinite` if it holds NaN or an infinity; `Launch`, `Memory`.
    #[doc(alias = "lu_factor", alias = "dgetrf")]
    pub fn new(pool: &Pool, a: &impl Input<Elem = T, Dim = Ix2>) -> Result<Lu<T>, KernelError> {
        let n = field::check_square("a matrix to be factorised", a.view().dim())?;
        let mut factors = field::columns_of(pool, "the matrix", a)?;
        let mut order: Vec<u64> = (0..n as u64).collect();
        let width = field::panel_of(n, n);
        let mut panel = pool.zeros::<T>(if width < n { n * width } else { 0 })?;
        let mut moves = pool.zeros::<u64>(1 + 4 * width.min(n))?;
        let mut is_odd = false;
        for k in (0..n).step_by(width) {
            let columns = width.min(n - k);
            let own = &mut factors.as_mut_slice()[k * n..(k + columns) * n];
            let (rows, odd) = factorise_panel(own, n, k);
            is_odd ^= odd;
            reorder(&mut order[k..], &rows);
            if columns == n {
                break;
            }
            for (to, from) in panel.as_mut_slice().chunks_exact_mut(n - k).zip(own.chunks_exact(n)) {
                to.copy_from_slice(&from[k..]);
            }
            put_moves(&rows, moves.as_mut_slice());
            let operands = (factors.split_mut(), 0..n, panel.whole(), moves.whole(), [n, k, columns]);
            pool.launch().chunk(width).for_each(
                operands,
                |(mut part, span, panel, moves, [n, k, columns])| {
                    let Some(part) = part.as_slice_mut() else { return };
                    update(part, span.start, panel, moves, [n, k, columns]);
                },
            )?;
        }
        let singular = (0..n).position(|i| factors.as_slice()[i * n + i] == T::ZERO);
        Ok(Lu { factors, order: pool.from_slice(&order)?, is_odd, singular })
    }

    /// Returns the number of rows.
    pub fn side(&self) -> usize {
        self.order.len()
    }

    /// Sets `x` to the solution of `A x = b`: one right-hand side if both are vectors of `n` elements, `k` if
    /// they are matrices of `n x k`.
    ///
    /// Cost: `2 n^2 k` operations. A worker solves 32 right-hand sides at a time, so one vector is solved by
    /// the caller alone. A system close to singular has a solution with few correct digits, which is not
    /// reported.
    ///
    /// # Errors
    /// `Shape` if `b` or `x` does not match; `Singular` if an element of U's diagonal is 0; `Launch`,
    /// `Memory`.
    #[doc(alias = "lu_solve", alias = "dgetrs")]
    pub fn solve<D: Shape>(
        &self,
        pool: &Pool,
        b: &impl Input<Elem = T, Dim = D>,
        x: &mut SharedArray<T, D>,
    ) -> Result<(), KernelError> {
        let solve = |columns: &mut _| self.solve_columns(pool, columns);
        field::solve_sides(pool, self.side(), b, x, self.check("solve"), solve)
    }

    /// Solves for the rows of `columns`, in place.
    fn solve_columns(&self, pool: &Pool, columns: &mut SharedArray<T, Ix2>) -> Result<(), KernelError> {
        let sides = columns.dim().0;
        if sides <= SIDES {
            back(columns.as_mut_slice(), self.factors.as_slice(), self.order.as_slice());
            return Ok(());
        }
        let operands = (columns.split_mut(), self.factors.whole_flat(), self.order.whole());
        pool.launch().chunk(SIDES).for_each(operands, |(mut part, factors, order)| {
            let Some(part) = part.as_slice_mut() else { return };
            back(part, factors, order);
        })?;
        Ok(())
    }

    /// Sets `out` to the inverse. Solving systems is cheaper and more accurate than multiplying by it.
    ///
    /// Cost: `2 n^3` operations, all shared out.
    ///
    /// # Errors
    /// As for [`Self::solve`].
    #[doc(alias = "inv")]
    pub fn inverse(&self, pool: &Pool, out: &mut SharedArray<T, Ix2>) -> Result<(), KernelError> {
        let n = self.side();
        check_shape("the inverse of a matrix", &[n, n], out.shape())?;
        self.check("inverse")?;
        let mut columns = pool.zeros_nd::<T, _>((n, n))?;
        columns.as_mut_slice().iter_mut().step_by(n + 1).for_each(|one| *one = T::ONE);
        self.solve_columns(pool, &mut columns)?;
        super::transpose(pool, &columns, out)
    }

    /// Returns the determinant; 1 for a matrix without rows. It may overflow or vanish where
    /// [`Self::log_determinant`] does not.
    #[doc(alias = "det")]
    pub fn determinant(&self) -> T {
        let sign = if self.is_odd { -T::ONE } else { T::ONE };
        self.diagonal().fold(sign, |product, u| product * u)
    }

    /// Returns the sign of the determinant and the natural logarithm of its absolute value: 0 and minus
    /// infinity for a singular matrix.
    #[doc(alias = "slogdet")]
    pub fn log_determinant(&self) -> (T, T) {
        if self.singular.is_some() {
            return (T::ZERO, T::LOWEST);
        }
        let odd = self.is_odd ^ (self.diagonal().filter(|u| *u < T::ZERO).count() % 2 == 1);
        let log = self.diagonal().fold(T::ZERO, |sum, u| sum + u.abs().ln());
        (if odd { -T::ONE } else { T::ONE }, log)
    }

    /// Returns where the rows of `P A` were: row `i` is row `order[i]` of `A`.
    pub fn order(&self) -> &SharedArray<u64> {
        &self.order
    }

    /// Writes both factors to a matrix of `n x n`: U on and above the diagonal, L without its ones below.
    ///
    /// # Errors
    /// `Shape` if `out` has another shape; `Launch`.
    pub fn write_factors(&self, pool: &Pool, out: &mut SharedArray<T, Ix2>) -> Result<(), KernelError> {
        super::transpose(pool, &self.factors, out)
    }

    fn diagonal(&self) -> impl Iterator<Item = T> {
        self.factors.as_slice().iter().step_by(self.side() + 1).copied()
    }

    fn check(&self, kernel: &'static str) -> Result<(), KernelError> {
        self.singular.map_or(Ok(()), |at| Err(KernelError::Singular { kernel, at }))
    }
}

/// Factorises columns of `n` elements from row `k` on. Returns which row came where, both counted from `k`,
/// and whether the exchanges are odd in number.
fn factorise_panel<T: Product>(columns: &mut [T], n: usize, k: usize) -> (Vec<usize>, bool) {
    let panel = field::of_mut(columns, n).subrows_mut(k, n - k);
    let (mut rows, mut inverse) = (vec![0_usize; n - k], vec![0_usize; n - k]);
    let scratch = lu_in_place_scratch::<usize, T>(n - k, panel.ncols(), ALONE, Spec::default());
    let mut memory = MemBuffer::new(scratch);
    let stack = MemStack::new(&mut memory);
    let (info, _) = lu_in_place(panel, &mut rows, &mut inverse, ALONE, stack, Spec::default());
    (rows, info.transposition_count % 2 == 1)
}

fn reorder<T: Copy>(elements: &mut [T], rows: &[usize]) {
    let old = elements.to_vec();
    elements.iter_mut().zip(rows).for_each(|(to, from)| *to = old[*from]);
}

/// Writes the rows that changed as pairs, target and source, after their number. A panel of `w` columns moves
/// at most `2 w`.
fn put_moves(rows: &[usize], moves: &mut [u64]) {
    let (count, pairs) = moves.split_at_mut(1);
    let moved = rows.iter().enumerate().filter(|(to, from)| to != *from);
    count[0] = 0;
    for (pair, (to, from)) in pairs.chunks_exact_mut(2).zip(moved) {
        pair.copy_from_slice(&[to as u64, *from as u64]);
        count[0] += 1;
    }
}

/// What a panel at row and column `k` means for some columns of the matrix, from column `first` on.
fn update<T: Product>(part: &mut [T], first: usize, panel: &[T], moves: &[u64], [n, k, columns]: [usize; 3]) {
    if first == k {
        return;
    }
    let pairs = moves[1..].chunks_exact(2).take(moves[0] as usize);
    let mut carried = Vec::with_capacity(moves[0] as usize);
    for column in part.chunks_exact_mut(n) {
        let column = &mut column[k..];
        carried.clear();
        carried.extend(pairs.clone().map(|pair| column[pair[1] as usize]));
        pairs.clone().zip(&carried).for_each(|(pair, value)| column[pair[0] as usize] = *value);
    }
    if first < k {
        return;
    }
    let below = field::of_mut(part, n).subrows_mut(k, n - k);
    let (mut upper, lower) = below.split_at_row_mut(columns);
    let (square, rest) = field::of(&panel[..(n - k) * columns], n - k).split_at_row(columns);
    triangular::solve_unit_lower_triangular_in_place(square, upper.as_mut(), ALONE);
    matmul(lower, Accum::Add, rest, upper.as_ref(), -T::ONE, ALONE);
}

/// Solves for some right-hand sides, in place.
fn back<T: Product>(sides: &mut [T], factors: &[T], order: &[u64]) {
    let n = order.len();
    let mut old = vec![T::ZERO; n];
    for side in sides.chunks_exact_mut(n) {
        old.copy_from_slice(side);
        side.iter_mut().zip(order).for_each(|(to, from)| *to = old[*from as usize]);
    }
    let factors = field::of(factors, n);
    let mut sides = field::of_mut(sides, n);
    triangular::solve_unit_lower_triangular_in_place(factors, sides.as_mut(), ALONE);
    triangular::solve_upper_triangular_in_place(factors, sides, ALONE);
}

/// Sets `x` to the solution of `A x = b` for a square matrix, by [`Lu`]. Keep the factorisation to solve
/// several systems with one matrix.
///
/// # Errors
/// As for [`Lu::new`] and [`Lu::solve`].
///
/// ```
/// use phalanx_kernels::{KernelError, dense};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = phalanx::Pool::builder().workers(2).build()?;
/// let a = ndarray::array![[2.0, 1.0], [1.0, 3.0]];
/// let mut x = pool.zeros::<f64>(2)?;
/// dense::solve(&pool, &a, &[3.0, 5.0], &mut x)?;
/// assert!((x.as_slice()[0] - 0.8).abs() < 1e-15 && (x.as_slice()[1] - 1.4).abs() < 1e-15);
/// let singular = ndarray::array![[1.0, 2.0], [2.0, 4.0]];
/// let refused = dense::solve(&pool, &singular, &[3.0, 5.0], &mut x);
/// assert!(matches!(refused, Err(KernelError::Singular { at: 1, .. })));
/// # Ok(())
/// # }
/// ```
pub fn solve<T: Product, D: Shape>(
    pool: &Pool,
    a: &impl Input<Elem = T, Dim = Ix2>,
    b: &impl Input<Elem = T, Dim = D>,
    x: &mut SharedArray<T, D>,
) -> Result<(), KernelError> {
    let n = field::check_square("the matrix of a linear system", a.view().dim())?;
    field::sides_of("the right-hand side of a linear system", n, &b.shape())?;
    check_shape("the solution of a linear system", &b.shape(), x.shape())?;
    Lu::new(pool, a)?.solve(pool, b, x)
}

/// Sets `out` to the inverse of a square matrix. See [`Lu::inverse`].
///
/// # Errors
/// As for [`Lu::new`] and [`Lu::inverse`].
#[doc(alias = "inv")]
pub fn inverse<T: Product>(
    pool: &Pool,
    a: &impl Input<Elem = T, Dim = Ix2>,
    out: &mut SharedArray<T, Ix2>,
) -> Result<(), KernelError> {
    check_shape("the inverse of a matrix", &a.shape(), out.shape())?;
    Lu::new(pool, a)?.inverse(pool, out)
}

/// Returns the determinant of a square matrix. See [`Lu::determinant`].
///
/// # Errors
/// As for [`Lu::new`].
#[doc(alias = "det")]
pub fn determinant<T: Product>(pool: &Pool, a: &impl Input<Elem = T, Dim = Ix2>) -> Result<T, KernelError> {
    Ok(Lu::new(pool, a)?.determinant())
}

#[cfg(test)]
#[path = "lu_tests.rs"]
mod tests;
