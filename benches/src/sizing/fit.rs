//! Laws of scaling, fitted to times of several pool sizes.
//!
//! Both laws say what a run costs in worker-seconds, `N T(N)`, and are linear in their parameters then:
//!
//! ```text
//! Amdahl (1967):   N T(N) = T(1) (1 + serial (N - 1))
//! Gunther's USL:   N T(N) = T(1) (1 + sigma (N - 1) + kappa N (N - 1))
//! ```
//!
//! which is the usual `N / C(N) - 1 = sigma (N - 1) + kappa N (N - 1)` without the need to have measured one
//! worker exactly: `T(1)` is fitted too. Least squares of relative errors; no parameter may be negative, so
//! every subset of them is tried (an active set of two is small) and the best one that obeys is kept.

use std::fmt;

/// A size, and the time that a run took with it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Workers.
    pub size: usize,
    /// The median time.
    pub seconds: f64,
}

/// A speed-up this much above the number of workers is no noise.
const SUPER: f64 = 1.05;
/// Times this near to each other show no effect of the size.
const FLAT: f64 = 1e-9;

/// Why a law cannot be fitted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Unfit {
    /// As many parameters as sizes: the law would pass through any times.
    FewSizes {
        /// Different sizes that were measured.
        sizes: usize,
        /// How many it takes.
        needed: usize,
    },
    /// All sizes take the same time.
    Flat,
    /// A size is faster than linear, which neither law knows.
    SuperLinear {
        /// The size.
        size: usize,
        /// Its speed-up over the smallest size.
        speedup: f64,
        /// What would be linear.
        linear: f64,
    },
    /// A time is zero, negative or no number.
    NoTime,
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unfit::FewSizes { sizes, needed } => {
                let sizes = if *sizes == 1 { "1 size".to_owned() } else { format!("{sizes} sizes") };
                write!(f, "{sizes}, and it takes {needed} for a fit that the times could contradict")
            }
            Unfit::Flat => write!(f, "all sizes take the same time"),
            Unfit::SuperLinear { size, speedup, linear } => write!(
                f,
                "{size} workers are {speedup:.2} x as fast where {linear:.2} x is linear: more cache, or noise"
            ),
            Unfit::NoTime => write!(f, "a time is zero or no number"),
        }
    }
}

/// Amdahl's law with its parameters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Amdahl {
    /// Seconds of one worker.
    pub one: f64,
    /// The share of them that no second worker helps with, 0 to 1.
    pub serial: f64,
}

impl Amdahl {
    /// Sizes that a fit takes.
    pub const NEEDS: usize = 3;

    /// Fits the law.
    pub fn fit(points: &[Point]) -> Result<Amdahl, Unfit> {
        let points = fittable(points, Amdahl::NEEDS)?;
        let all = |n: f64| [1.0, n - 1.0, 0.0];
        let [one, shared, _] = least_squares(&points, &[0, 1], all).ok_or(Unfit::NoTime)?;
        if shared <= one {
            return Ok(Amdahl { one, serial: shared / one });
        }
        // More workers take longer: the nearest that the law knows is that they change nothing.
        let [one, ..] = least_squares(&points, &[0], |n| [n, 0.0, 0.0]).ok_or(Unfit::NoTime)?;
        Ok(Amdahl { one, serial: 1.0 })
    }

    /// The time with so many workers.
    pub fn seconds(&self, size: f64) -> f64 {
        self.one * (self.serial + (1.0 - self.serial) / size)
    }

    /// The speed-up that no number of workers reaches; infinite without a serial share.
    pub fn limit(&self) -> f64 {
        1.0 / self.serial
    }
}

/// Gunther's universal scalability law with its parameters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Usl {
    /// Seconds of one worker.
    pub one: f64,
    /// Contention: what workers wait for each other.
    pub sigma: f64,
    /// Coherence: what they tell each other, pair by pair.
    pub kappa: f64,
}

impl Usl {
    /// Sizes that a fit takes.
    pub const NEEDS: usize = 4;

    /// Fits the law.
    pub fn fit(points: &[Point]) -> Result<Usl, Unfit> {
        let points = fittable(points, Usl::NEEDS)?;
        let all = |n: f64| [1.0, n - 1.0, n * (n - 1.0)];
        let subsets: [&[usize]; 4] = [&[0, 1, 2], &[0, 1], &[0, 2], &[0]];
        let tried = subsets.iter().filter_map(|subset| least_squares(&points, subset, all));
        let allowed = tried.filter(|[one, sigma, kappa]| *one > 0.0 && *sigma >= 0.0 && *kappa >= 0.0);
        let error = |parameters: &[f64; 3]| residual(&points, parameters, all);
        let best = allowed.min_by(|a, b| error(a).total_cmp(&error(b)));
        let [one, sigma, kappa] = best.ok_or(Unfit::NoTime)?;
        Ok(Usl { one, sigma: sigma / one, kappa: kappa / one })
    }

    /// The time with so many workers.
    pub fn seconds(&self, size: f64) -> f64 {
        self.one * (1.0 + self.sigma * (size - 1.0) + self.kappa * size * (size - 1.0)) / size
    }

    /// The size with the largest speed-up, at least 1; infinite where workers tell each other nothing.
    pub fn peak(&self) -> f64 {
        match (self.kappa > 0.0, self.sigma < 1.0) {
            (true, true) => ((1.0 - self.sigma) / self.kappa).sqrt().max(1.0),
            (false, true) => f64::INFINITY,
            (_, false) => 1.0,
        }
    }
}

/// The share that one worker must have done alone to explain this speed-up (Karp and Flatt, 1990).
pub fn karp_flatt(speedup: f64, size: usize) -> Option<f64> {
    let n = size as f64;
    (size > 1 && speedup > 0.0).then(|| (1.0 / speedup - 1.0 / n) / (1.0 - 1.0 / n))
}

/// The points by size, each size once, unless no law can say anything of them.
fn fittable(points: &[Point], needed: usize) -> Result<Vec<Point>, Unfit> {
    let mut sorted = points.to_vec();
    sorted.sort_by_key(|point| point.size);
    sorted.dedup_by_key(|point| point.size);
    if sorted.iter().any(|point| point.seconds <= 0.0 || !point.seconds.is_finite() || point.size == 0) {
        return Err(Unfit::NoTime);
    }
    if sorted.len() < needed {
        return Err(Unfit::FewSizes { sizes: sorted.len(), needed });
    }
    let first = sorted[0];
    if sorted.iter().all(|point| (point.seconds / first.seconds - 1.0).abs() < FLAT) {
        return Err(Unfit::Flat);
    }
    let gain = |point: &Point| (first.seconds / point.seconds, point.size as f64 / first.size as f64);
    let beyond = sorted
        .iter()
        .map(|point| (point, gain(point)))
        .find(|(_, (speedup, linear))| speedup > &(SUPER * linear));
    match beyond {
        Some((point, (speedup, linear))) => Err(Unfit::SuperLinear { size: point.size, speedup, linear }),
        None => Ok(sorted),
    }
}

/// Parameters for the columns in `subset`, 0 for the others, that make the relative errors of `N T(N)` least.
/// `None` where the columns depend on each other.
fn least_squares(points: &[Point], subset: &[usize], columns: impl Fn(f64) -> [f64; 3]) -> Option<[f64; 3]> {
    // Modified Gram-Schmidt on rows divided by their own right side.
    let scale = points.first()?.seconds * points.first()?.size as f64;
    let cost = |point: &Point| point.size as f64 * point.seconds / scale;
    let column = |which: usize| -> Vec<f64> {
        points.iter().map(|point| columns(point.size as f64)[which] / cost(point)).collect()
    };
    let dot = |a: &[f64], b: &[f64]| -> f64 { a.iter().zip(b).map(|(a, b)| a * b).sum() };
    let mut basis: Vec<Vec<f64>> = subset.iter().map(|which| column(*which)).collect();
    let mut rest = vec![1.0; points.len()];
    let count = basis.len();
    let (mut upper, mut right) = (vec![vec![0.0; count]; count], vec![0.0; count]);
    for k in 0..count {
        let before = dot(&column(subset[k]), &column(subset[k])).sqrt();
        let norm = dot(&basis[k], &basis[k]).sqrt();
        if norm <= 1e-10 * before {
            return None;
        }
        basis[k].iter_mut().for_each(|x| *x /= norm);
        upper[k][k] = norm;
        let unit = basis[k].clone();
        for later in k + 1..count {
            upper[k][later] = dot(&unit, &basis[later]);
            let share = upper[k][later];
            basis[later].iter_mut().zip(&unit).for_each(|(x, unit)| *x -= share * unit);
        }
        right[k] = dot(&unit, &rest);
        let share = right[k];
        rest.iter_mut().zip(&unit).for_each(|(x, unit)| *x -= share * unit);
    }
    let mut parameters = [0.0; 3];
    for k in (0..count).rev() {
        let known: f64 = (k + 1..count).map(|later| upper[k][later] * parameters[subset[later]]).sum();
        parameters[subset[k]] = (right[k] - known) / upper[k][k];
    }
    Some(parameters.map(|parameter| parameter * scale))
}

/// The sum of squared relative errors.
fn residual(points: &[Point], parameters: &[f64; 3], columns: impl Fn(f64) -> [f64; 3]) -> f64 {
    let error = |point: &Point| {
        let said: f64 = columns(point.size as f64).iter().zip(parameters).map(|(x, p)| x * p).sum();
        said / (point.size as f64 * point.seconds) - 1.0
    };
    points.iter().map(|point| error(point).powi(2)).sum()
}
