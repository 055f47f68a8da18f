//! Every benchmark, on every runtime.

use super::benchmark::{Benchmark, Measured};
use super::class::Class;
use super::team::{Runtime, Team};
use super::verification::Verdict;
use super::{Name, Npb};
use clap::{Args, Command, FromArgMatches};
use phalanx::Pool;

/// Fails unless class S verifies on every runtime with 1, 2 and 3 workers.
fn verifies(benchmark: &dyn Benchmark) {
    assert_verified("serial", benchmark.run(Class::S, &Team::Serial));
    for workers in 1..=3 {
        let threads = rayon::ThreadPoolBuilder::new().num_threads(workers).build().unwrap();
        assert_verified(&format!("rayon, {workers}"), benchmark.run(Class::S, &Team::Rayon(&threads)));
        let pool = Pool::builder().workers(workers).build().unwrap();
        assert_verified(&format!("phalanx, {workers}"), benchmark.run(Class::S, &Team::Phalanx(&pool)));
    }
}

fn assert_verified(what: &str, measured: crate::harness::Outcome<Measured>) {
    let measured = measured.unwrap_or_else(|error| panic!("{what}: {error}"));
    assert!(!measured.checks.is_empty(), "{what}: nothing was compared");
    let wrong: Vec<&String> =
        measured.checks.iter().filter(|check| !check.holds).map(|check| &check.what).collect();
    assert!(wrong.is_empty(), "{what}: {wrong:?}");
    assert_eq!(measured.verdict(), Verdict::Successful);
    assert!(measured.seconds > 0.0 && measured.operations > 0.0);
}

macro_rules! class_s {
    ($($name:ident: $benchmark:expr),* $(,)?) => { $(
        #[test]
        fn $name() {
            verifies(&$benchmark);
        }
    )* };
}
class_s! {
    ft: super::ft::Ft,
    mg: super::mg::Mg,
    ep: super::ep::Ep,
    is: super::is::Is,
    cg: super::cg::Cg,
    sp: super::sp::Sp,
    bt: super::bt::Bt,
    lu: super::lu::Lu,
}

#[test]
fn more_workers_than_planes_divide_evenly_still_agree() {
    for benchmark in [&super::sp::Sp as &dyn Benchmark, &super::bt::Bt, &super::lu::Lu] {
        for workers in [5, 12] {
            let threads = rayon::ThreadPoolBuilder::new().num_threads(workers).build().unwrap();
            let what = format!("{} on {workers} threads", benchmark.name());
            assert_verified(&what, benchmark.run(Class::S, &Team::Rayon(&threads)));
        }
    }
    let pool = Pool::builder().workers(5).build().unwrap();
    assert_verified("lu, 5 workers", super::lu::Lu.run(Class::S, &Team::Phalanx(&pool)));
}

#[test]
fn a_sweep_refuses_more_workers_than_slabs() {
    let threads = rayon::ThreadPoolBuilder::new().num_threads(13).build().unwrap();
    let error = super::lu::Lu.run(Class::S, &Team::Rayon(&threads)).unwrap_err();
    assert!(error.to_string().contains("at most 12 workers"), "{error}");
}

#[test]
fn a_class_and_several_runtimes_are_taken() {
    let read = |line: &str| {
        let matches = Npb::augment_args(Command::new("npb")).try_get_matches_from(line.split(' '))?;
        Npb::from_arg_matches(&matches)
    };
    let npb = read("npb cg --class a --runtime rayon,serial").unwrap();
    assert_eq!((npb.name, npb.class), (Name::Cg, Class::A));
    assert_eq!(npb.runtime, [Runtime::Rayon, Runtime::Serial]);
    assert!(read("npb cg --class X").is_err());
    assert!(read("npb xy").is_err());
}
