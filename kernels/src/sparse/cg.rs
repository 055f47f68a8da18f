//! The method of conjugate gradients.
//!
//! One region for the whole solution: an iteration is four steps of the team, and no launch. After Hestenes
//! and Stiefel, Journal of Research of the National Bureau of Standards 49 (1952), in the form of Saad,
//! *Iterative Methods for Sparse Linear Systems*, 2nd ed., algorithm 6.18:
//!
//! ```text
//! r = b - A x;  p = r
//! until |r| is small:
//!     q = A p;      alpha = (r, r) / (p, q)       one reduction: q and (p, q) in the same pass
//!     x += alpha p; r -= alpha q                  one reduction: with the new (r, r)
//!     beta = new (r, r) / old (r, r);  p = r + beta p
//! ```
//!
//! r and p are kept in units of a power of two near the largest element of the first residual, so that inner
//! products neither overflow nor underflow, however large or small the system's numbers are; that causes no
//! rounding. Once the updated r has shrunk further than rounding lets `b - A x` shrink, it no longer
//! represents it. The method then restarts from the current x, and stops if a restart makes no progress.

use super::Csr;
use super::solver::{SolverOptions, SolverOutcome, check_system};
use super::spmv::Rows;
use super::system::{Alone, System, Together, wide};
use crate::error::KernelError;
use crate::inline::is_inline;
use crate::input::Input;
use crate::number::Real;
use crate::scale::{exponent_of, power};
use ndarray::Ix1;
use phalanx::{Pool, SharedArray};

/// Solves `A x = b` for a symmetric, positive definite matrix. `x` holds the initial guess on entry and the
/// solution on return.
///
/// Inner products are summed in float64 over the matrix's parts, so iterations, residual and solution have
/// the same bits for any number of workers. The magnitude of the numbers does not matter: a system scaled by
/// a power of two takes the same iterations. Symmetry is not checked. Cost of an iteration: one pass over the
/// matrix and ten over vectors, `2 entries + 10 rows` operations. Extra memory: three vectors.
///
/// # Errors
/// - `Shape` if the matrix is not square or a vector does not match it; `Argument` if a tolerance is negative
///   or NaN. `x` is unchanged.
/// - `Breakdown` if the matrix proves not to be positive definite, if NaN or infinities appear, also in the
///   solution, or if the solution underflows its type. `x` holds the last iterate.
/// - `NotConverged` after `max_iterations`, or if rounding keeps the residual above the tolerance. `x` holds
///   the last iterate.
/// - `Launch`, `Memory`.
///
/// ```
/// use phalanx_kernels::sparse::{SolverOptions, Csr, conjugate_gradient};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = phalanx::Pool::builder().workers(2).build()?;
/// let a = Csr::from_coo(&pool, (2, 2), &[0, 0, 1, 1], &[0, 1, 0, 1], &[4.0, 1.0, 1.0, 3.0])?;
/// let mut x = pool.zeros::<f64>(2)?;
/// let options = SolverOptions { relative: 1e-12, ..Default::default() };
/// let outcome = conjugate_gradient(&pool, &a, &[1.0, 2.0], &mut x, options)?;
/// assert_eq!(outcome.iterations, 2);
/// assert!((x.as_slice()[0] - 1.0 / 11.0).abs() < 1e-12);
/// # Ok(())
/// # }
/// ```
#[doc(alias = "cg")]
pub fn conjugate_gradient<T: Real>(
    pool: &Pool,
    a: &Csr<T>,
    b: &(impl Input<Elem = T, Dim = Ix1> + ?Sized),
    x: &mut SharedArray<T, Ix1>,
    options: SolverOptions,
) -> Result<SolverOutcome, KernelError> {
    check_system(a, &b.shape(), x.shape(), options)?;
    let rows = a.shape().0;
    let limits = [options.relative, options.absolute, options.max_iterations as f64];
    if is_inline(a.entries().saturating_add(rows)) {
        let b = b.elements();
        let Ok(ended) = solve(&mut Alone::new(Rows::of(a), &b, x.as_mut_slice()), limits);
        return outcome(ended);
    }
    let b = b.share(pool)?;
    let (mut r, mut p, mut q) = (pool.zeros::<T>(rows)?, pool.zeros::<T>(rows)?, pool.zeros::<T>(rows)?);
    let matrix = (&a.offsets, &a.columns, &a.values, &a.bounds);
    let ended = pool.region(
        (matrix, (&*b, x), (&mut r, &mut p, &mut q), limits),
        |team, (matrix, ends, work, limits)| solve(&mut Together::new(team, matrix, ends, work), limits),
    )?;
    outcome(ended)
}

/// What the numbers say with which a solution ended.
fn outcome(ended: [f64; 4]) -> Result<SolverOutcome, KernelError> {
    let (iterations, residual) = (ended[1] as usize, ended[2]);
    match ended[0] {
        CONVERGED => Ok(SolverOutcome { iterations, residual }),
        EXHAUSTED => Err(KernelError::NotConverged { solver: "conjugate gradients", iterations, residual }),
        _ => Err(KernelError::Breakdown {
            solver: "conjugate gradients",
            iterations,
            why: format!(
                "p * A p is {:e} and the residual {residual:e}, which a symmetric, positive definite matrix, finite vectors \
                 and a solution that their type can hold do not give",
                ended[3]
            ),
        }),
    }
}

const CONVERGED: f64 = 0.0;
const EXHAUSTED: f64 = 1.0;
const BROKE_DOWN: f64 = 2.0;

/// What decides how a solution goes on: the same numbers in all members of a team. Norms are in units of
/// `2^exponent`.
struct Course {
    relative: f64,
    absolute: f64,
    most: f64,
    /// Iterations made.
    done: f64,
    exponent: i32,
    /// The largest element of the residual when the method began last, and whether it was no smaller than the
    /// time before.
    began: f64,
    stuck: bool,
    /// The square of the residual's norm below which it is no longer believed.
    doubtful: f64,
    /// The norm of a residual that is small enough.
    enough: f64,
}

/// What comes next.
enum Next {
    Iterate,
    /// The residual is too small to be believed.
    BeginAnew,
    End([f64; 4]),
}

impl Course {
    fn new([relative, absolute, most]: [f64; 3]) -> Course {
        let (began, stuck) = (f64::INFINITY, false);
        Course { relative, absolute, most, done: 0.0, exponent: 0, began, stuck, doubtful: 0.0, enough: 0.0 }
    }

    /// Chooses units for b and for the residual by their largest elements, unless these end everything.
    fn units<T: Real>(&mut self, [b, r]: [f64; 2]) -> Result<[i32; 2], [f64; 4]> {
        if !b.is_finite() || !r.is_finite() {
            return Err([BROKE_DOWN, self.done, r, 0.0]);
        }
        if r == 0.0 {
            return Err([CONVERGED, self.done, 0.0, 0.0]);
        }
        (self.stuck, self.began) = (2.0 * r > self.began, r);
        self.exponent = exponent_of(T::from_f64(r));
        Ok([exponent_of(T::from_f64(b)), self.exponent])
    }

    /// Determines what is small enough, from the squares of the norms of b and of the first residual, each in
    /// its own units.
    fn aim<T: Real>(&mut self, [bb, rr]: [f64; 2], [of_b, of_r]: [i32; 2]) {
        self.doubtful = rr * wide(T::epsilon()).powi(2);
        let relative = self.relative * bb.sqrt() * power::<f64>(of_b - of_r);
        self.enough = relative.max(self.absolute * power::<f64>(-of_r));
    }

    fn next(&self, rr: f64) -> Next {
        match rr.sqrt() {
            _ if rr < self.doubtful => Next::BeginAnew,
            norm if norm <= self.enough => Next::End(self.ended(CONVERGED, rr, 0.0)),
            _ if self.stuck || self.done >= self.most => Next::End(self.ended(EXHAUSTED, rr, 0.0)),
            _ => Next::Iterate,
        }
    }

    /// The numbers with which a solution ends.
    fn ended(&self, how: f64, rr: f64, pq: f64) -> [f64; 4] {
        [how, self.done, rr.sqrt() * power::<f64>(self.exponent), pq]
    }
}

/// What an end is, by the largest elements of the right-hand side and the solution. One that is not finite is
/// none, nor one of which the least number of its type leaves fewer than ten bits, unless nothing was sought
/// or done.
fn seen<T: Real>(ended: [f64; 4], [b, x]: [f64; 2]) -> [f64; 4] {
    let vanished =
        b > 0.0 && ended[1] > 0.0 && x < 1024.0 * wide(T::epsilon()) * wide(T::min_positive_value());
    if (x.is_finite() && !vanished) || ended[0] != CONVERGED {
        return ended;
    }
    [BROKE_DOWN, ended[1], if vanished { b } else { f64::INFINITY }, ended[3]]
}

/// The method. Returns how it ended, the iterations, the residual, and the last `(p, A p)`.
fn solve<T: Real, S: System<T>>(system: &mut S, limits: [f64; 3]) -> Result<[f64; 4], S::Error> {
    let mut course = Course::new(limits);
    let ended = 'ended: loop {
        let units = match course.units::<T>(system.residual()?) {
            Ok(units) => units,
            Err(ended) => break ended,
        };
        let [bb, mut rr] = system.begin(units)?;
        course.aim::<T>([bb, rr], units);
        loop {
            match course.next(rr) {
                Next::Iterate => {}
                Next::BeginAnew => break,
                Next::End(ended) => break 'ended ended,
            }
            let pq = system.product()?;
            if !can_go_on(pq, rr) {
                return Ok(course.ended(BROKE_DOWN, rr, pq));
            }
            let (alpha, before) = (rr / pq, rr);
            rr = system.advance(T::from_f64(alpha * power::<f64>(units[1])), T::from_f64(alpha))?;
            system.turn(T::from_f64(rr / before))?;
            course.done += 1.0;
        }
    };
    Ok(seen::<T>(ended, system.largest()?))
}

/// Whether a step makes sense. Not where a number is NaN.
fn can_go_on(pq: f64, rr: f64) -> bool {
    pq > 0.0 && pq.is_finite() && rr.is_finite()
}

#[cfg(test)]
#[path = "cg_tests.rs"]
mod tests;
