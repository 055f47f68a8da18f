use super::*;
use crate::testing::{Dice, pool, pools};
use proptest::prelude::*;

fn shared<T: phalanx::Element>(values: &[T]) -> SharedArray<T> {
    SharedArray::from_slice(values).unwrap()
}

fn plan(low: f64, high: f64) -> Plan {
    let (low_key, exponent) = f64::plan_grid(low, high);
    Plan { centre: 0.0, low_key, exponent }
}

fn intervals(ends: &[(f64, f64)]) -> Intervals {
    let mut wanted =
        Intervals { len: ends.len() as u64, low: [0; MOST_INTERVALS], high: [0; MOST_INTERVALS] };
    for (i, (low, high)) in ends.iter().enumerate() {
        (wanted.low[i], wanted.high[i]) = (low.key(), high.key());
    }
    wanted
}

/// The naive twins of all sweeps over floats.
fn check(pool: &phalanx::Pool, x: &[f64]) {
    let (array, plan) = (shared(x), plan(-2.0, 2.0));
    let (got, table) = summarise(pool.launch(), &array, &plan).unwrap();
    let kept: Vec<(usize, f64)> = x.iter().copied().enumerate().filter(|(_, x)| !x.is_nan()).collect();
    assert_eq!((got.count, table[NAN]), (x.len() as u64, (x.len() - kept.len()) as u64));
    let mut counts = vec![0; TABLE];
    x.iter().for_each(|x| counts[x.bin(f64::grid(&plan))] += 1);
    assert_eq!(table, counts);
    let sum: f64 = kept.iter().map(|(_, x)| x).sum();
    assert!((got.sum - sum).abs() <= 1e-12 * kept.iter().map(|(_, x)| x.abs()).sum::<f64>());
    let best = |better: fn(f64, f64) -> bool| {
        kept.iter().copied().reduce(|a, b| if better(b.1, a.1) { b } else { a })
    };
    let (low, high) = (best(|a, b| a < b), best(|a, b| a > b));
    assert_eq!(got.argmin, low.map_or(NOWHERE, |low| low.0 as u64));
    assert_eq!(got.argmax, high.map_or(NOWHERE, |high| high.0 as u64));
    let ends = [(-1.0, -0.5), (0.25, 0.25), (0.5, 0.75)];
    let wanted = intervals(&ends);
    let inside = |x: &f64| ends.iter().any(|(low, high)| (low..=high).contains(&x));
    let mut keys: Vec<u64> = x.iter().copied().filter(inside).map(f64::key).collect();
    let mut found = gather(pool.launch(), &array, &wanted, keys.len()).unwrap();
    keys.sort_unstable();
    found.sort_unstable();
    assert_eq!(found, keys);
    let cells = refine(pool.launch(), &array, &wanted).unwrap();
    assert_eq!(cells.len(), 3 * CELLS);
    for (interval, (low, high)) in ends.iter().enumerate() {
        let cells = &cells[interval * CELLS..(interval + 1) * CELLS];
        let want = x.iter().filter(|x| (low..=high).contains(x)).count() as u64;
        assert_eq!(cells.iter().map(|cell| cell.count).sum::<u64>(), want);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn any_values(x in prop::collection::vec(prop_oneof![8 => -3.0f64..3.0, 2 => Just(0.25), 1 => Just(f64::NAN), 1 => Just(f64::INFINITY).prop_map(|x| x)], 1..400)) {
        let finite: Vec<f64> = x.iter().map(|x| if x.is_infinite() { 9.0 } else { *x }).collect();
        check(pool(), &finite);
    }

    #[test]
    fn small_types(x in prop::collection::vec(any::<i16>(), 1..400)) {
        let (counts, extremes) = tally(pool().launch(), &shared(&x)).unwrap();
        for value in [i16::MIN, -1, 0, 1, i16::MAX, x[0]] {
            prop_assert_eq!(counts[value.code()], x.iter().filter(|&&x| x == value).count() as u64);
        }
        let low = x.iter().min().unwrap();
        prop_assert_eq!(extremes.argmin, x.iter().position(|x| x == low).unwrap() as u64);
    }
}

#[test]
fn several_chunks_and_the_same_bits_for_every_number_of_workers() {
    let x = Dice(8).units(200_003);
    check(pool(), &x);
    let (array, plan) = (shared(&x), plan(-1.0, 1.0));
    let first = summarise(pools()[0].launch(), &array, &plan).unwrap();
    for pool in &pools()[1..] {
        let other = summarise(pool.launch(), &array, &plan).unwrap();
        assert_eq!(bytemuck::bytes_of(&other.0), bytemuck::bytes_of(&first.0));
        assert_eq!(other.1, first.1);
    }
}

#[test]
fn lengths_around_a_chunk() {
    let chunk = LEAST_CHUNK / 8;
    for len in [0, 1, chunk - 1, chunk, chunk + 1, 2 * chunk + 1] {
        check(pool(), &Dice(len as u64).units(len));
    }
}

#[test]
fn bad_intervals_and_counts_are_refused() {
    let x = shared(&[1.0, 2.0, 3.0]);
    for wrong in [
        intervals(&[(2.0, 1.0)]),
        intervals(&[(0.0, 2.0), (1.0, 3.0)]),
        Intervals { len: 15, ..intervals(&[]) },
    ] {
        assert!(matches!(
            refine(pool().launch(), &x, &wrong),
            Err(KernelError::Argument { what: "wanted", .. })
        ));
        assert!(matches!(
            gather(pool().launch(), &x, &wrong, 1),
            Err(KernelError::Argument { what: "wanted", .. })
        ));
    }
    let wanted = intervals(&[(1.5, 3.5)]);
    assert!(matches!(gather(pool().launch(), &x, &wanted, 1), Err(KernelError::Shape { .. })));
}
