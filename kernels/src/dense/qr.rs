//! QR factorisation by Householder reflections, and least squares.
//!
//! The caller factorises a panel, whose reflections the workers apply to the other columns as one block
//! `I - V T V'`. After Golub and Van Loan, *Matrix Computations*, 4th ed., 5.2.3; R. Schreiber and C. Van
//! Loan, SIAM J. Sci. Stat. Comput. 10 (1989).

use super::Product;
use super::field::{self, ALONE, PANEL, SIDES};
use crate::error::{KernelError, check_shape};
use crate::inline::is_inline;
use crate::input::Input;
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::householder;
use faer::linalg::qr::no_pivoting::factor::{qr_in_place, qr_in_place_scratch};
use faer::linalg::triangular_solve as triangular;
use faer::{Conj, MatMut, MatRef, Spec};
use ndarray::Ix2;
use phalanx::{Pool, Shape, SharedArray};

/// The factorisation `A = Q R` of a matrix of `m x n`: the columns of `Q` are orthonormal, `R` is upper
/// triangular. With `k = min(m, n)`, `Q` is `m x k` and `R` is `k x n`.
///
/// ```
/// use phalanx_kernels::dense::Qr;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = phalanx::Pool::builder().workers(2).build()?;
/// let a = pool.from_shape_fn((400, 3), |(i, j)| (i as f64 / 400.0).powi(j as i32))?;
/// let (qr, mut q, mut r) = (Qr::new(&pool, &a)?, pool.zeros_nd((400, 3))?, pool.zeros_nd((3, 3))?);
/// qr.write_q(&pool, &mut q)?;
/// qr.write_r(&pool, &mut r)?;
/// assert!((q.view().dot(&r.view()) - a.view()).iter().all(|off| off.abs() < 1e-12));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Qr<T> {
    /// Column `j` is row `j`: R on and above the diagonal, the reflections below it.
    factors: SharedArray<T, Ix2>,
    /// For each panel, the triangle `T` of its block of reflections, by columns.
    blocks: SharedArray<T>,
    /// Columns of a panel.
    width: usize,
}

impl<T: Product> Qr<T> {
    /// Factorises a matrix.
    ///
    /// Cost: `2 n^2 (m - n/3)` operations for `m >= n`. The caller alone does the panels, some `64 / n` of
    /// all, and all of a matrix of up to 160 x 160 elements. Extra memory: a copy of the matrix. The bits do
    /// not depend on the number of workers; they may depend on the CPU.
    ///
    /// # Errors
    /// `NotFinite` if the matrix holds NaN or an infinity; `Launch`, `Memory`.
    #[doc(alias = "dgeqrf")]
    pub fn new(pool: &Pool, a: &impl Input<Elem = T, Dim = Ix2>) -> Result<Qr<T>, KernelError> {
        let (m, n) = a.view().dim();
        let mut factors = field::columns_of(pool, "the matrix", a)?;
        let (least, width) = (m.min(n), field::panel_of(m, n).min(m.min(n).max(1)));
        let mut blocks = pool.zeros::<T>(least * width)?;
        for k in (0..least).step_by(width) {
            let columns = width.min(least - k);
            let block = &mut blocks.as_mut_slice()[k * width..][..columns * columns];
            factorise_panel(&mut factors.as_mut_slice()[k * m..(k + columns) * m], m, k, block);
            let next = k + columns;
            if next == n {
                break;
            }
            if is_inline((n - next) * m) {
                let (panel, rest) = factors.as_mut_slice()[k * m..].split_at_mut(columns * m);
                apply_panel(rest, panel, blocks.as_slice(), [m, k, columns, width]);
                continue;
            }
            let (panel, rest) = factors.range_mut(k..).divide_at(columns);
            let operands =
                (rest.split_mut(), panel.into_ref().whole_flat(), blocks.whole(), [m, k, columns, width]);
            pool.launch().chunk(PANEL).for_each(operands, |(mut part, panel, blocks, geometry)| {
                let Some(part) = part.as_slice_mut() else { return };
                apply_panel(part, panel, blocks, geometry);
            })?;
        }
        Ok(Qr { factors, blocks, width })
    }

    /// Returns the number of rows and of columns of the matrix.
    pub fn shape(&self) -> (usize, usize) {
        let (n, m) = self.factors.dim();
        (m, n)
    }

    /// Writes the first `min(m, n)` columns of Q to a matrix of `m x min(m, n)`.
    ///
    /// Cost: `4 m k^2` operations at most, `k = min(m, n)`.
    ///
    /// # Errors
    /// `Shape` if `out` has another shape; `Launch`, `Memory`.
    #[doc(alias = "dorgqr")]
    pub fn write_q(&self, pool: &Pool, out: &mut SharedArray<T, Ix2>) -> Result<(), KernelError> {
        let (m, n) = self.shape();
        let least = m.min(n);
        check_shape("the orthogonal factor", &[m, least], out.shape())?;
        let mut columns = pool.zeros_nd::<T, _>((least, m))?;
        columns.as_mut_slice().iter_mut().step_by(m + 1).for_each(|one| *one = T::ONE);
        self.apply(pool, &mut columns, false)?;
        super::transpose(pool, &columns, out)
    }

    /// Writes R to a matrix of `min(m, n) x n`.
    ///
    /// # Errors
    /// `Shape` if `out` has another shape.
    pub fn write_r(&self, _pool: &Pool, out: &mut SharedArray<T, Ix2>) -> Result<(), KernelError> {
        let (m, n) = self.shape();
        check_shape("the triangular factor", &[m.min(n), n], out.shape())?;
        let factors = self.factors.view();
        for ((i, j), r) in out.view_mut().indexed_iter_mut() {
            *r = if j >= i { factors[(j, i)] } else { T::ZERO };
        }
        Ok(())
    }

    /// Sets `x` to the vector that makes `|A x - b|` least, for `m >= n` and columns of `A` that are
    /// independent: one right-hand side of `m` elements and `x` of `n`, or `m x k` and `n x k`.
    ///
    /// Cost: `4 m n k` operations; a worker takes 32 right-hand sides at a time, so one vector is solved by
    /// the caller alone.
    ///
    /// # Errors
    /// `Shape` if `b` or `x` does not match; `Argument` if `m < n`; `Singular` if an element of R's diagonal
    /// is at most `max(m, n)` roundings of its largest: then use [`Svd`](super::Svd). `Launch`, `Memory`.
    pub fn solve<D: Shape>(
        &self,
        pool: &Pool,
        b: &impl Input<Elem = T, Dim = D>,
        x: &mut SharedArray<T, D>,
    ) -> Result<(), KernelError> {
        let (m, n) = self.shape();
        let sides = field::sides_of("the right-hand side of least squares", m, &b.shape())?;
        let mut shape = b.shape();
        shape[0] = n;
        check_shape("the solution of least squares", &shape, x.shape())?;
        if m < n {
            let why =
                format!("{n} unknowns have many solutions for {m} equations; Svd::solve picks the shortest");
            return Err(KernelError::argument("the matrix of least squares", why));
        }
        self.check()?;
        if x.is_empty() {
            return Ok(());
        }
        let mut columns = field::columns_of_sides(pool, b, m, sides)?;
        self.apply(pool, &mut columns, true)?;
        let factors = self.factors.as_slice();
        if sides <= SIDES {
            back(columns.as_mut_slice(), factors, m);
        } else {
            let operands = (columns.split_mut(), self.factors.whole_flat(), m);
            pool.launch().chunk(SIDES).for_each(operands, |(mut part, factors, m)| {
                let Some(part) = part.as_slice_mut() else { return };
                back(part, factors, m);
            })?;
        }
        field::put_sides(pool, &columns, x)
    }

    /// Multiplies rows of `columns` by Q, or by its transpose.
    pub(super) fn apply(
        &self,
        pool: &Pool,
        columns: &mut SharedArray<T, Ix2>,
        is_transposed: bool,
    ) -> Result<(), KernelError> {
        let (m, n) = self.shape();
        let geometry = [m, m.min(n), self.width, usize::from(is_transposed)];
        let sides = columns.dim().0;
        if columns.is_empty() || m.min(n) == 0 {
            return Ok(());
        }
        if sides <= SIDES {
            apply_all(columns.as_mut_slice(), self.factors.as_slice(), self.blocks.as_slice(), geometry);
            return Ok(());
        }
        let operands = (columns.split_mut(), self.factors.whole_flat(), self.blocks.whole(), geometry);
        pool.launch().chunk(SIDES).for_each(operands, |(mut part, factors, blocks, geometry)| {
            let Some(part) = part.as_slice_mut() else { return };
            apply_all(part, factors, blocks, geometry);
        })?;
        Ok(())
    }

    /// That the columns are independent, as far as rounding lets see.
    fn check(&self) -> Result<(), KernelError> {
        let (m, n) = self.shape();
        let diagonal = || self.factors.as_slice().iter().step_by(m + 1).take(n).map(|r| r.abs());
        let largest = diagonal().fold(T::ZERO, |most, r| if r > most { r } else { most });
        let least = T::from_f64(m.max(n) as f64) * T::epsilon() * largest;
        match diagonal().position(|r| r <= least) {
            None => Ok(()),
            Some(at) => Err(KernelError::Singular { kernel: "least squares", at }),
        }
    }
}

/// Factorises columns of `m` elements from row `k` on.
fn factorise_panel<T: Product>(columns: &mut [T], m: usize, k: usize, block: &mut [T]) {
    let panel = field::of_mut(columns, m).subrows_mut(k, m - k);
    let (rows, side) = panel.shape();
    let block = MatMut::from_column_major_slice_mut(block, side, side);
    let scratch = qr_in_place_scratch::<T>(rows, side, side, ALONE, Spec::default());
    let mut memory = MemBuffer::new(scratch);
    qr_in_place(panel, block, ALONE, MemStack::new(&mut memory), Spec::default());
}

/// Applies the transposed reflections of the panel at row `k` to some columns.
fn apply_panel<T: Product>(part: &mut [T], panel: &[T], blocks: &[T], [m, k, columns, width]: [usize; 4]) {
    let basis = field::of(panel, m).subrows(k, m - k);
    let block = &blocks[k * width..][..columns * columns];
    let target = field::of_mut(part, m).subrows_mut(k, m - k);
    reflect(basis, block, target, true);
}

fn apply_all<T: Product>(
    part: &mut [T],
    factors: &[T],
    blocks: &[T],
    [m, least, width, is_transposed]: [usize; 4],
) {
    let steps = least.div_ceil(width);
    for step in 0..steps {
        let step = if is_transposed == 1 { step } else { steps - 1 - step };
        let k = step * width;
        let columns = width.min(least - k);
        let basis = field::of(&factors[k * m..(k + columns) * m], m).subrows(k, m - k);
        let target = field::of_mut(part, m).subrows_mut(k, m - k);
        reflect(basis, &blocks[k * width..][..columns * columns], target, is_transposed == 1);
    }
}

/// One block of reflections applied from the left.
fn reflect<T: Product>(basis: MatRef<'_, T>, block: &[T], target: MatMut<'_, T>, is_transposed: bool) {
    let side = basis.ncols();
    let block = MatRef::from_column_major_slice(block, side, side);
    let scratch = householder::apply_block_householder_transpose_on_the_left_in_place_scratch::<T>(
        basis.nrows(),
        side,
        target.ncols(),
    );
    let mut memory = MemBuffer::new(scratch);
    let stack = MemStack::new(&mut memory);
    if is_transposed {
        householder::apply_block_householder_transpose_on_the_left_in_place_with_conj(
            basis,
            block,
            Conj::No,
            target,
            ALONE,
            stack,
        );
    } else {
        householder::apply_block_householder_on_the_left_in_place_with_conj(
            basis,
            block,
            Conj::No,
            target,
            ALONE,
            stack,
        );
    }
}

/// Solves `R x = c` for the first rows of some columns of `m` elements.
fn back<T: Product>(sides: &mut [T], factors: &[T], m: usize) {
    let factors = field::of(factors, m);
    let n = factors.ncols();
    let sides = field::of_mut(sides, m).subrows_mut(0, n);
    triangular::solve_upper_triangular_in_place(factors.subrows(0, n), sides, ALONE);
}

/// Sets `x` to the vector that makes `|A x - b|` least, by [`Qr`], for at least as many equations as
/// unknowns and independent columns. [`Svd::solve`](super::Svd::solve) is for all other matrices.
///
/// # Errors
/// As for [`Qr::new`] and [`Qr::solve`].
///
/// ```
/// use phalanx_kernels::dense;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = phalanx::Pool::builder().workers(2).build()?;
/// // The line through (0, 1), (1, 3), (2, 5).
/// let a = ndarray::array![[1.0, 0.0], [1.0, 1.0], [1.0, 2.0]];
/// let mut line = pool.zeros::<f64>(2)?;
/// dense::least_squares(&pool, &a, &[1.0, 3.0, 5.0], &mut line)?;
/// assert!((line.as_slice()[0] - 1.0).abs() < 1e-14 && (line.as_slice()[1] - 2.0).abs() < 1e-14);
/// # Ok(())
/// # }
/// ```
#[doc(alias = "lstsq")]
pub fn least_squares<T: Product, D: Shape>(
    pool: &Pool,
    a: &impl Input<Elem = T, Dim = Ix2>,
    b: &impl Input<Elem = T, Dim = D>,
    x: &mut SharedArray<T, D>,
) -> Result<(), KernelError> {
    field::sides_of("the right-hand side of least squares", a.view().dim().0, &b.shape())?;
    Qr::new(pool, a)?.solve(pool, b, x)
}

#[cfg(test)]
#[path = "qr_tests.rs"]
mod tests;
