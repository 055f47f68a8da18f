//! Orders that hold every number once, for any team, and favour none.

use super::*;
use crate::testing::{pool, pools};

fn order(pool: &Pool, len: usize, seed: u64) -> Vec<u64> {
    let mut out = pool.zeros::<u64>(len).unwrap();
    permutation(pool, &mut out, seed).unwrap();
    out.to_vec()
}

#[test]
fn every_number_occurs_once_for_any_team() {
    for len in [0, 1, 2, 3, 1000, 16_383, 16_384, 16_385, 40_000, 65_536] {
        let first = order(&pools()[0], len, 3);
        assert!(pools().iter().all(|pool| order(pool, len, 3) == first), "{len}");
        let mut sorted = first.clone();
        sorted.sort();
        assert!(sorted.into_iter().eq(0..len as u64), "{len}");
        assert!(
            len < 100
                || (order(pool(), len, 4) != first
                    && first.iter().zip(0..).filter(|(a, b)| *a == b).count() < 12)
        );
    }
}

#[test]
fn a_choice_is_the_beginning_of_the_order() {
    for bound in [100, 20_000] {
        let whole = order(pool(), bound, 8);
        let mut some = pool().zeros::<u64>(50).unwrap();
        choice(pool(), &mut some, 8, bound as u64).unwrap();
        assert_eq!(some.as_slice(), &whole[..50]);
    }
    let mut some = pool().zeros::<u64>(3000).unwrap();
    choice(pool(), &mut some, 8, u64::MAX).unwrap();
    let mut sorted = some.to_vec();
    sorted.sort();
    assert!(sorted.is_sorted_by(|a, b| a < b), "all different");
    let refused = choice(pool(), &mut some, 8, 2999);
    assert!(matches!(refused, Err(KernelError::Argument { .. })), "{refused:?}");
}

#[test]
fn all_orders_and_places_are_about_as_frequent() {
    let mut seen = std::collections::BTreeMap::new();
    (0..12_000).for_each(|seed| *seen.entry(shuffled(seed, 4)).or_insert(0) += 1);
    assert!(seen.len() == 24 && seen.values().all(|count| (390..=610).contains(count)), "{seen:?}");
    // Where place 5 of a long order leads, over seeds, and where the places of one lead: in 16 sixteenths.
    let bound = 20_000;
    let sixteenth = |number: u64| (number * 16 / bound) as usize;
    let (mut seeds, mut places, mut steps) = ([0; 16], [0; 16], [0; 16]);
    for i in 0..16_000 {
        seeds[sixteenth(placed(&philox::keys(i), half_of(bound), bound, 5))] += 1;
    }
    let one = order(pool(), bound as usize, 77);
    one[..16_000].iter().for_each(|number| places[sixteenth(*number)] += 1);
    one.windows(2).take(16_000).for_each(|pair| steps[sixteenth((pair[1] + bound - pair[0]) % bound)] += 1);
    for counts in [seeds, places, steps] {
        assert!(counts.iter().all(|count| (850..=1150).contains(count)), "{counts:?}");
    }
}
