use super::runtime::serial;
use super::*;
use crate::npb::verification::Verdict;

fn verdict(evolved: &Evolved) -> Verdict {
    measured(Class::S, problem(Class::S), evolved).map_or(Verdict::NoValues, |measured| measured.verdict())
}

#[test]
fn any_wrong_checksum_fails() {
    let good = serial(problem(Class::S)).unwrap();
    assert_eq!(verdict(&good), Verdict::Successful);
    for step in 0..good.checksums.len() {
        for bad in [1.0 + 3e-12, -1.0, f64::NAN] {
            let mut evolved = good.clone();
            evolved.checksums[step] *= bad;
            assert_eq!(verdict(&evolved), Verdict::Unsuccessful, "{step} {bad}");
        }
    }
    let mut short = good;
    short.checksums.pop();
    assert_eq!(verdict(&short), Verdict::Unsuccessful);
}
