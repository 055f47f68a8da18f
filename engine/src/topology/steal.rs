//! From whom a worker steals first: the nearest, in the order of the machine.

use super::cpuset::CpuSet;
use super::machine::{Machine, Pu};

/// How near two places are; smaller is nearer. Objects first, then the NUMA distance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Nearness(u8, u32);

/// How near two PUs are. An unknown NUMA distance counts as the largest.
pub(super) fn nearness(machine: &Machine, a: &Pu, b: &Pu) -> Nearness {
    let is_same = |x: Option<usize>, y: Option<usize>| x.is_some() && x == y;
    let object = if a.core == b.core {
        0
    } else if is_same(a.l2, b.l2) {
        1
    } else if is_same(a.l3, b.l3) {
        2
    } else if a.node.is_some() && a.node == b.node {
        3
    } else if a.package == b.package {
        4
    } else {
        5
    };
    let distance = match (a.node, b.node) {
        (Some(from), Some(to)) if from == to => 0,
        (Some(from), Some(to)) => machine.distance(from, to).unwrap_or(u32::MAX),
        _ => 0,
    };
    Nearness(object, distance)
}

/// The steal order of every worker. `seats[rank]` is the place of a worker in `places`.
pub(super) fn orders(machine: &Machine, places: &[CpuSet], seats: &[usize]) -> Vec<Vec<usize>> {
    // A place stands for its first PU.
    let firsts: Vec<Option<&Pu>> = places.iter().map(|set| machine.pu(set.first()?)).collect();
    let classes: Vec<(Vec<usize>, usize)> =
        (0..places.len()).map(|from| classes_from(machine, &firsts, from)).collect();
    let count = seats.len();
    (0..count)
        .map(|rank| {
            // The other ranks in a ring, dealt to their class: a stable bucket sort.
            let (class_of, class_count) = &classes[seats[rank]];
            let mut buckets: Vec<Vec<usize>> = vec![Vec::new(); *class_count];
            for other in (rank + 1..count).chain(0..rank) {
                buckets[class_of[seats[other]]].push(other);
            }
            buckets.concat()
        })
        .collect()
}

/// The nearness of every place to one, as a dense rank (0 is nearest), and the number of ranks.
fn classes_from(machine: &Machine, firsts: &[Option<&Pu>], from: usize) -> (Vec<usize>, usize) {
    let keys: Vec<Nearness> = firsts
        .iter()
        .map(|to| match (firsts[from], to) {
            (Some(a), Some(b)) => nearness(machine, a, b),
            _ => Nearness(u8::MAX, u32::MAX),
        })
        .collect();
    let mut sorted = keys.clone();
    sorted.sort_unstable();
    sorted.dedup();
    (keys.iter().map(|key| sorted.binary_search(key).unwrap_or(0)).collect(), sorted.len())
}
