//! Official results and the rules by which a run's are compared with them.
//!
//! The values are facts published with NASA's reference implementations; `data/npb_verification.json` names
//! the source. The benchmarks' own programs compare by the same rules and tolerances.

use super::class::Class;
use crate::harness::Outcome;
use serde::Deserialize;
use std::collections::BTreeMap;

/// By class letter.
type ByClass<T> = BTreeMap<String, T>;

/// What the file holds.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
struct Facts {
    ep: ByClass<Sums>,
    is: ByClass<Ranks>,
    cg: ByClass<Zeta>,
    mg: ByClass<Norm>,
    ft: ByClass<Checksums>,
    sp: ByClass<Norms>,
    bt: ByClass<Norms>,
    lu: ByClass<WithSurface>,
}

/// EP: the sums of Gaussian deviates.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Sums {
    /// Of the first of each pair.
    pub sx: f64,
    /// Of the second.
    pub sy: f64,
}

/// IS: ranks of five keys after the first iteration's change.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Ranks {
    /// Where the keys are.
    pub index: [usize; 5],
    /// Their ranks, from which each iteration's follow.
    pub rank: [i64; 5],
}

#[derive(Debug, Deserialize)]
struct Zeta {
    zeta: f64,
}

#[derive(Debug, Deserialize)]
struct Norm {
    rnm2: f64,
}

#[derive(Debug, Deserialize)]
struct Checksums {
    checksums: Vec<[f64; 2]>,
}

/// SP, BT: root mean squares at the end, of five quantities.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Norms {
    /// Of the right-hand side.
    #[serde(rename = "xcr")]
    pub residual: [f64; 5],
    /// Of the difference from the exact solution.
    #[serde(rename = "xce")]
    pub error: [f64; 5],
}

/// LU: the same, and a surface integral.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct WithSurface {
    /// The norms.
    #[serde(flatten)]
    pub norms: Norms,
    /// The integral.
    #[serde(rename = "xci")]
    pub surface: f64,
}

fn facts() -> Outcome<Facts> {
    serde_json::from_str(include_str!("../../data/npb_verification.json"))
        .map_err(|error| format!("the table of official values is damaged: {error}").into())
}

/// EP's sums; `None` for a class without published values, as in all of these.
pub fn ep(class: Class) -> Outcome<Option<Sums>> {
    Ok(facts()?.ep.remove(class.letter()))
}

/// IS's ranks.
pub fn is(class: Class) -> Outcome<Option<Ranks>> {
    Ok(facts()?.is.remove(class.letter()))
}

/// CG's zeta.
pub fn cg(class: Class) -> Outcome<Option<f64>> {
    Ok(facts()?.cg.remove(class.letter()).map(|fact| fact.zeta))
}

/// MG's L2 norm of the residual.
pub fn mg(class: Class) -> Outcome<Option<f64>> {
    Ok(facts()?.mg.remove(class.letter()).map(|fact| fact.rnm2))
}

/// FT's checksums, real and imaginary part of each iteration's.
pub fn ft(class: Class) -> Outcome<Option<Vec<[f64; 2]>>> {
    Ok(facts()?.ft.remove(class.letter()).map(|fact| fact.checksums))
}

/// SP's norms.
pub fn sp(class: Class) -> Outcome<Option<Norms>> {
    Ok(facts()?.sp.remove(class.letter()))
}

/// BT's norms.
pub fn bt(class: Class) -> Outcome<Option<Norms>> {
    Ok(facts()?.bt.remove(class.letter()))
}

/// LU's norms and surface integral.
pub fn lu(class: Class) -> Outcome<Option<WithSurface>> {
    Ok(facts()?.lu.remove(class.letter()))
}

/// One comparison with an official value.
#[derive(Clone, Debug)]
pub struct Check {
    /// What was compared, with both values.
    pub what: String,
    /// Whether they agree.
    pub holds: bool,
}

impl Check {
    /// Two numbers that may differ by a fraction of the official one. NaN never agrees.
    pub fn relative(name: &str, got: f64, official: f64, tolerance: f64) -> Check {
        let error = ((got - official) / official).abs();
        Check {
            what: format!(
                "{name} is {got:.13e}, officially {official:.13e}: off by {error:.1e} of it, allowed {tolerance:.0e}"
            ),
            holds: error <= tolerance,
        }
    }

    /// Two complex numbers (real and imaginary part), compared by the magnitude of their difference's
    /// quotient.
    pub fn complex(name: &str, got: [f64; 2], official: [f64; 2], tolerance: f64) -> Check {
        let off = (got[0] - official[0]).hypot(got[1] - official[1]);
        let error = off / official[0].hypot(official[1]);
        Check {
            what: format!(
                "{name} is {:.12e} {:+.12e}i, officially {:.12e} {:+.12e}i: off by {error:.1e} of it, allowed {tolerance:.0e}",
                got[0], got[1], official[0], official[1]
            ),
            holds: error <= tolerance,
        }
    }

    /// Two integers.
    pub fn exact(name: &str, got: i64, official: i64) -> Check {
        Check { what: format!("{name} is {got}, officially {official}"), holds: got == official }
    }

    /// A property of the result.
    pub fn property(what: &str, holds: bool) -> Check {
        Check { what: what.into(), holds }
    }
}

/// What all comparisons of a run come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// All hold.
    Successful,
    /// One does not.
    Unsuccessful,
    /// There is nothing official to compare with.
    NoValues,
}

impl Verdict {
    /// Of these comparisons; none means that there are no official values.
    pub fn of(checks: &[Check]) -> Verdict {
        match checks {
            [] => Verdict::NoValues,
            checks if checks.iter().all(|check| check.holds) => Verdict::Successful,
            _ => Verdict::Unsuccessful,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::ValueEnum;

    #[test]
    fn the_table_has_the_classes_that_are_published() {
        for class in Class::value_variants() {
            let class = *class;
            assert!(ep(class).is_ok_and(|fact| fact.is_some()), "{class:?}");
            assert!(is(class).is_ok_and(|fact| fact.is_some()), "{class:?}");
            assert!(cg(class).is_ok_and(|fact| fact.is_some()), "{class:?}");
            assert!(mg(class).is_ok_and(|fact| fact.is_some()), "{class:?}");
            let up_to_c = class != Class::D;
            assert!(ft(class).is_ok_and(|fact| fact.is_some() == up_to_c), "{class:?}");
            assert!(sp(class).is_ok_and(|fact| fact.is_some() == up_to_c), "{class:?}");
            assert!(lu(class).is_ok_and(|fact| fact.is_some() == up_to_c), "{class:?}");
            assert!(bt(class).is_ok_and(|fact| fact.is_some() == up_to_c), "{class:?}");
        }
    }

    #[test]
    fn what_is_just_within_holds_and_what_is_just_beyond_does_not() {
        for sign in [1.0, -1.0] {
            assert!(Check::relative("x", sign * (1.0 + 0.9e-8), sign, 1e-8).holds);
            assert!(!Check::relative("x", sign * (1.0 + 1.1e-8), sign, 1e-8).holds);
        }
        assert!(Check::complex("x", [3.0, 4.0 + 4.9e-12], [3.0, 4.0], 1e-12).holds);
        assert!(!Check::complex("x", [3.0, 4.0 + 5.1e-12], [3.0, 4.0], 1e-12).holds);
        assert!(!Check::exact("x", 1, 2).holds);
    }

    #[test]
    fn nan_and_infinity_never_hold() {
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert!(!Check::relative("x", bad, 1.0, 1e-8).holds);
            assert!(!Check::complex("x", [bad, 1.0], [1.0, 1.0], 1e-8).holds);
            assert!(!Check::complex("x", [1.0, bad], [1.0, 1.0], 1e-8).holds);
        }
    }

    #[test]
    fn one_bad_check_fails_all_and_none_is_no_success() {
        let (good, bad) = (Check::property("a", true), Check::property("b", false));
        assert_eq!(Verdict::of(&[good.clone(), good.clone()]), Verdict::Successful);
        assert_eq!(Verdict::of(&[good, bad]), Verdict::Unsuccessful);
        assert_eq!(Verdict::of(&[]), Verdict::NoValues);
    }
}
