//! Which cores of a machine belong to which of its drivers: a pure function of the drivers' affinity masks.
//!
//! A driver's own mask does not tell whether its cores are its own or everybody's: only the masks of its
//! neighbours do. Their ranks tell nothing.
#![deny(clippy::arithmetic_side_effects)]

use crate::topology::{CpuSet, Machine};

/// Why a driver has the cores that it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    /// It is the only driver of its machine.
    Alone,
    /// The launcher gave each driver cores of its own.
    Private,
    /// All may run on the same cores, so these were cut.
    Cut,
    /// There are more drivers than cores, so some share one.
    Crowded,
}

impl Rule {
    pub(super) fn text(self) -> &'static str {
        match self {
            Rule::Alone => "the only driver here",
            Rule::Private => "cores given by the launcher",
            Rule::Cut => "cores divided among the drivers here",
            Rule::Crowded => "fewer cores than drivers here",
        }
    }
}

/// The cores of driver `me` of those on one machine, whose masks these are. `None` if masks overlap, but are
/// not equal.
pub(super) fn share(machine: &Machine, masks: &[CpuSet], me: usize) -> Option<(CpuSet, Rule)> {
    let mine = masks.get(me)?;
    if masks.len() == 1 {
        return Some((mine.clone(), Rule::Alone));
    }
    let apart =
        |(k, mask): (usize, &CpuSet)| masks.iter().skip(k.saturating_add(1)).all(|o| !o.intersects(mask));
    if masks.iter().enumerate().all(apart) {
        return Some((mine.clone(), Rule::Private));
    }
    masks.iter().all(|mask| mask == mine).then(|| cut(machine, mine, masks.len(), me))
}

/// Part `me` of `parts`: neighbouring cores, in the order of the topology.
fn cut(machine: &Machine, mask: &CpuSet, parts: usize, me: usize) -> (CpuSet, Rule) {
    let cores = machine.cores().iter().map(|core| core.cpuset.intersection(mask));
    let mut cores: Vec<CpuSet> = cores.filter(|core| !core.is_empty()).collect();
    // PUs that the description does not know.
    let known = cores.iter().fold(CpuSet::new(), |all, core| all.union(core));
    cores.extend(mask.difference(&known).iter().map(CpuSet::single));
    let Some(last) = cores.len().checked_sub(1) else { return (mask.clone(), Rule::Crowded) };
    let bound = |part: usize| part.saturating_mul(cores.len()).checked_div(parts).unwrap_or(0);
    let (from, to) = (bound(me), bound(me.saturating_add(1)));
    if cores.len() < parts {
        return (cores[from.min(last)].clone(), Rule::Crowded);
    }
    let own = cores[from..to.max(from.saturating_add(1)).min(cores.len())].iter();
    (own.fold(CpuSet::new(), |all, core| all.union(core)), Rule::Cut)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn set(text: &str) -> CpuSet {
        text.parse().expect("a list")
    }

    fn shares(machine: &Machine, masks: &[&str]) -> Option<Vec<String>> {
        let masks: Vec<CpuSet> = masks.iter().map(|mask| set(mask)).collect();
        (0..masks.len()).map(|me| Some(share(machine, &masks, me)?.0.to_string())).collect()
    }

    fn two_packages() -> Machine {
        Machine::from_synthetic("pack:2 l3:2 core:4 pu:2").expect("a machine of 32 PUs")
    }

    #[test]
    fn masks_that_are_apart_stay_as_they_are() {
        let masks = ["0-7", "8-15", "16-31"];
        assert_eq!(shares(&two_packages(), &masks).expect("private"), masks);
        assert_eq!(shares(&two_packages(), &["3"]).expect("alone"), ["3"]);
    }

    #[test]
    fn equal_masks_are_cut_between_packages_and_never_through_a_core() {
        let all = "0-31";
        assert_eq!(shares(&two_packages(), &[all, all]).expect("cut"), ["0-15", "16-31"]);
        assert_eq!(shares(&two_packages(), &[all; 4]).expect("cut"), ["0-7", "8-15", "16-23", "24-31"]);
        // 16 cores for 3: each PU goes with its sibling.
        assert_eq!(shares(&two_packages(), &[all; 3]).expect("cut"), ["0-9", "10-19", "20-31"]);
    }

    #[test]
    fn masks_that_overlap_in_part_are_refused() {
        assert_eq!(shares(&two_packages(), &["0-7", "4-11"]), None);
        assert_eq!(shares(&two_packages(), &["0-7", "0-7", "0-3"]), None);
    }

    #[test]
    fn more_drivers_than_cores_each_have_one() {
        assert_eq!(shares(&two_packages(), &["0-3"; 3]).expect("crowded"), ["0-1", "0-1", "2-3"]);
        let (_, rule) = share(&two_packages(), &[set("0-3"), set("0-3"), set("0-3")], 2).expect("crowded");
        assert_eq!(rule, Rule::Crowded);
    }

    proptest! {
        #[test]
        fn a_cut_gives_every_pu_to_one_driver(parts in 2usize..20, pus in prop::collection::btree_set(0u32..32, 1..32)) {
            let (machine, mask) = (two_packages(), pus.iter().copied().collect::<CpuSet>());
            let masks = vec![mask.clone(); parts];
            let shares: Vec<(CpuSet, Rule)> =
                (0..parts).map(|me| share(&machine, &masks, me).expect("equal masks are cut")).collect();
            prop_assert!(shares.iter().all(|(share, _)| !share.is_empty()));
            let all = shares.iter().fold(CpuSet::new(), |all, (share, _)| all.union(share));
            prop_assert_eq!(&all, &mask);
            if shares[0].1 == Rule::Cut {
                prop_assert_eq!(shares.iter().map(|(share, _)| share.len()).sum::<usize>(), mask.len());
            }
        }
    }
}
