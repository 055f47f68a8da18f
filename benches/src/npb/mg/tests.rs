use super::runtime::{Problem, phalanx, rayon, serial};
use super::*;
use crate::npb::verification::Verdict;
use ::phalanx::Pool;

#[test]
fn a_norm_that_is_off_by_more_than_allowed_fails() {
    let problem = problem(Class::S);
    let mut solved = serial(problem);
    let verdict = |solved: &Solved| measured(Class::S, &problem, solved).map(|measured| measured.verdict());
    assert!(matches!(verdict(&solved), Ok(Verdict::Successful)));
    solved.norm *= 1.0 + 3e-8;
    assert!(matches!(verdict(&solved), Ok(Verdict::Unsuccessful)));
    solved.norm = f64::NAN;
    assert!(matches!(verdict(&solved), Ok(Verdict::Unsuccessful)));
}

#[test]
fn one_cycle_too_few_fails() {
    let whole = problem(Class::S);
    let solved = serial(Problem { cycles: whole.cycles - 1, ..whole });
    let verdict = measured(Class::S, &whole, &solved).map(|measured| measured.verdict());
    assert!(matches!(verdict, Ok(Verdict::Unsuccessful)));
}

#[test]
fn the_other_smoother_fails() {
    let whole = problem(Class::S);
    let solved = serial(Problem { weights: problem(Class::B).weights, ..whole });
    let verdict = measured(Class::S, &whole, &solved).map(|measured| measured.verdict());
    assert!(matches!(verdict, Ok(Verdict::Unsuccessful)));
}

/// Levels with several bands of rows and with more ranks than divide the planes.
#[test]
fn all_runtimes_agree_on_a_larger_cube() {
    let problem = Problem { top: 8, cycles: 1, ..problem(Class::B) };
    let alone = serial(problem).norm;
    for workers in [2, 3] {
        let threads = ::rayon::ThreadPoolBuilder::new().num_threads(workers).build().unwrap();
        let pool = Pool::builder().workers(workers).build().unwrap();
        for norm in [rayon(problem, &threads).norm, phalanx(problem, &pool).unwrap().norm] {
            assert!((norm - alone).abs() <= 1e-12 * alone, "{workers}: {norm:e} {alone:e}");
        }
    }
}
