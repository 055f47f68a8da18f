//! The places that a placement policy sees on a machine, in the order in which workers take them.

use super::cpuset::CpuSet;
use super::machine::{Machine, Pu};
use super::placement::{Placement, PlacementError, Request, counted};
use std::cmp::Reverse;

/// What a policy offers.
pub(super) struct Places {
    /// One set of PUs per place, in the order in which workers take them. The sets are disjoint.
    pub sets: Vec<CpuSet>,
    /// How many workers come if no number is asked for.
    pub natural: usize,
    /// What the places are, for the reason.
    pub what: String,
    /// What else is worth saying.
    pub notes: Vec<String>,
    /// Whether chosen places go back to topology order.
    is_sorted_after_choice: bool,
}

impl Places {
    /// Returns the first `count` places (all if there are not as many).
    pub fn choose(&self, machine: &Machine, count: usize) -> Vec<CpuSet> {
        let mut chosen: Vec<CpuSet> = self.sets.iter().take(count).cloned().collect();
        if self.is_sorted_after_choice {
            chosen.sort_by_key(|set| {
                let first = set.first();
                (first.and_then(|pu| machine.pu(pu)).map(|pu| pu.core), first)
            });
        }
        chosen
    }
}

/// Finds the places for a request inside the allowed PUs, beside pools that have reserved some of them.
pub(super) fn find_beside(
    machine: &Machine,
    allowed: &CpuSet,
    reserved: &CpuSet,
    request: &Request,
) -> Result<Places, PlacementError> {
    let reserved = allowed.intersection(reserved);
    if reserved.is_empty() || request.placement == Placement::Unbound {
        return find(machine, allowed, request);
    }
    let is_listed = matches!(request.placement, Placement::Cpus(_));
    let free = allowed.difference(&reserved);
    if !is_listed && !free.is_empty() {
        let mut places = find(machine, &free, request)?;
        if request.workers.is_none_or(|workers| workers <= places.sets.len()) {
            places.notes.push(format!("without {}, which other pools have reserved", listed(&reserved)));
            return Ok(places);
        }
    }
    let mut places = find(machine, allowed, request)?;
    if !is_listed {
        places.sets.sort_by_key(|set| set.intersects(&reserved));
    }
    let used = places.sets.iter().take(request.workers.unwrap_or(usize::MAX));
    let shared = used.fold(CpuSet::new(), |all, set| all.union(&set.intersection(&reserved)));
    if !shared.is_empty() {
        let them = if shared.len() == 1 { "it" } else { "them" };
        places.notes.push(format!("{} shared with pools that have reserved {them}", listed(&shared)));
    }
    Ok(places)
}

/// `CPU 3`, `CPUs 0-3`.
fn listed(pus: &CpuSet) -> String {
    if pus.len() == 1 { format!("CPU {pus}") } else { format!("CPUs {pus}") }
}

/// Finds the places for a request inside the allowed PUs.
fn find(machine: &Machine, allowed: &CpuSet, request: &Request) -> Result<Places, PlacementError> {
    let threads = request.threads_per_worker;
    let cores = Unit::cores(machine, allowed);
    let unknown = " (physical cores unknown)";
    let core_word = if machine.is_core_known() {
        counted(cores.len(), "physical core")
    } else {
        counted(cores.len(), "PU") + unknown
    };
    let mut notes = kinds_note(machine, &cores);
    let finder = Finder { machine, threads };
    let (sets, what) = match &request.placement {
        Placement::PerCore => (finder.fastest_first(finder.grouped(cores, &mut notes)), core_word),
        Placement::Scatter => (finder.scattered(finder.grouped(cores, &mut notes)), core_word),
        Placement::PerPu | Placement::Compact => {
            let on =
                if machine.is_core_known() { " on ".to_owned() + &core_word } else { unknown.to_owned() };
            let what = counted(allowed.len(), "PU") + &on;
            let units = finder.grouped(Unit::pus(&cores), &mut notes);
            if request.placement == Placement::Compact {
                (finder.fastest_first(units), what)
            } else {
                (finder.cores_before_siblings(units), what)
            }
        }
        Placement::PerL3 => {
            notes.clear();
            let (sets, what) = finder.per_l3(&cores);
            (sets, what)
        }
        Placement::PerNode => {
            notes.clear();
            let sets = merged(&cores, |unit| finder.pu(unit).map(|pu| pu.node));
            let what = if machine.nodes().is_empty() {
                "the whole machine (no NUMA node known)".to_owned()
            } else {
                counted(sets.len(), "NUMA node") + " with PUs"
            };
            (sets, what)
        }
        Placement::Cpus(list) => {
            check_list(machine, allowed, list)?;
            notes.clear();
            let sets = list.chunks(threads).map(|part| part.iter().copied().collect()).collect();
            (sets, counted(list.len(), "listed PU"))
        }
        Placement::Unbound => return Ok(unbound(allowed, (cores.len() / threads).max(1), core_word)),
    };
    let is_sorted_after_choice = request.placement == Placement::PerPu;
    Ok(Places { natural: sets.len(), sets, what, notes, is_sorted_after_choice })
}

/// One place for all workers.
fn unbound(allowed: &CpuSet, natural: usize, what: String) -> Places {
    let notes = vec!["not bound to them".to_owned()];
    Places { sets: vec![allowed.clone()], natural, what, notes, is_sorted_after_choice: false }
}

/// What a place is made of: a core or a PU.
#[derive(Clone)]
struct Unit {
    cpuset: CpuSet,
    /// Position in topology order.
    at: usize,
    /// The number of this PU within its core.
    sibling: usize,
    efficiency: u32,
}

impl Unit {
    fn cores(machine: &Machine, allowed: &CpuSet) -> Vec<Self> {
        let inside = machine.cores().iter().map(|core| (core.cpuset.intersection(allowed), core.efficiency));
        inside
            .filter(|(cpuset, _)| !cpuset.is_empty())
            .enumerate()
            .map(|(at, (cpuset, efficiency))| Self { cpuset, at, sibling: 0, efficiency })
            .collect()
    }

    fn pus(cores: &[Self]) -> Vec<Self> {
        let mut at = 0;
        let mut units = Vec::new();
        for core in cores {
            for (sibling, pu) in core.cpuset.iter().enumerate() {
                units.push(Self { cpuset: CpuSet::single(pu), at, sibling, efficiency: core.efficiency });
                at += 1;
            }
        }
        units
    }
}

struct Finder<'a> {
    machine: &'a Machine,
    threads: usize,
}

/// The levels of a machine, as a key that is equal for units inside the same object. Outermost first.
const LEVELS: [fn(&Pu) -> Option<u64>; 4] = [
    |pu| Some(pu.package as u64),
    |pu| pu.node.map(u64::from),
    |pu| pu.l3.map(|at| at as u64),
    |pu| pu.l2.map(|at| at as u64),
];

impl Finder<'_> {
    fn pu(&self, unit: &Unit) -> Option<&Pu> {
        self.machine.pu(unit.cpuset.first()?)
    }

    /// Puts `threads` neighbours together, inside the innermost object where they fit; units are of one kind
    /// where possible. What does not fill a place is left over, unless it is all there is.
    fn grouped(&self, units: Vec<Unit>, notes: &mut Vec<String>) -> Vec<Unit> {
        if self.threads == 1 {
            return units;
        }
        let mut groups = Vec::new();
        let mut left = Vec::new();
        for kind in split(units, |unit| u64::from(unit.efficiency)) {
            left.extend(self.group_level(kind, 0, &mut groups));
        }
        let mut left = take_groups(left, self.threads, &mut groups);
        if groups.is_empty() {
            notes.push(format!("fewer than {} of them for a worker's threads", self.threads));
            let size = left.len().max(1);
            left = take_groups(left, size, &mut groups);
        }
        if !left.is_empty() {
            notes.push(format!("{} left over by groups of {}", left.len(), self.threads));
        }
        groups.sort_by_key(|group| group.at);
        groups
    }

    /// Groups inside one object; returns what is left over.
    fn group_level(&self, units: Vec<Unit>, level: usize, groups: &mut Vec<Unit>) -> Vec<Unit> {
        let Some(key) = LEVELS.get(level) else {
            return take_groups(units, self.threads, groups);
        };
        let mut left = Vec::new();
        for part in split(units, |unit| self.pu(unit).and_then(key).map_or(u64::MAX, |key| key)) {
            left.extend(self.group_level(part, level + 1, groups));
        }
        take_groups(left, self.threads, groups)
    }

    fn fastest_first(&self, mut units: Vec<Unit>) -> Vec<CpuSet> {
        units.sort_by_key(|unit| (Reverse(unit.efficiency), unit.at));
        sets(units)
    }

    fn cores_before_siblings(&self, mut units: Vec<Unit>) -> Vec<CpuSet> {
        units.sort_by_key(|unit| (unit.sibling, Reverse(unit.efficiency), unit.at));
        sets(units)
    }

    fn scattered(&self, units: Vec<Unit>) -> Vec<CpuSet> {
        let mut kinds = split(units, |unit| u64::from(unit.efficiency));
        kinds.sort_by_key(|kind| Reverse(kind.first().map(|unit| unit.efficiency)));
        sets(kinds.into_iter().flat_map(|kind| self.scatter_level(kind, 0)).collect())
    }

    /// One unit of each object of this level in turn.
    fn scatter_level(&self, units: Vec<Unit>, level: usize) -> Vec<Unit> {
        let Some(key) = LEVELS.get(level) else {
            return units;
        };
        let parts = split(units, |unit| self.pu(unit).and_then(key).map_or(u64::MAX, |key| key));
        let mut parts: Vec<_> =
            parts.into_iter().map(|part| self.scatter_level(part, level + 1).into_iter()).collect();
        let mut dealt = Vec::new();
        loop {
            let before = dealt.len();
            dealt.extend(parts.iter_mut().filter_map(Iterator::next));
            if dealt.len() == before {
                return dealt;
            }
        }
    }

    fn per_l3(&self, cores: &[Unit]) -> (Vec<CpuSet>, String) {
        let l3 = |unit: &Unit| self.pu(unit).and_then(|pu| pu.l3);
        let with_l3 = cores.iter().filter(|unit| l3(unit).is_some()).count();
        let sets =
            merged(cores, |unit| self.pu(unit).map(|pu| (pu.l3, pu.l3.is_none().then_some(pu.package))));
        let what = match with_l3 {
            0 => counted(sets.len(), "package") + " (no L3 cache known)",
            all if all == cores.len() => counted(sets.len(), "L3 cache"),
            _ => counted(sets.len(), "place") + ", one per L3 cache and one per package for cores without",
        };
        (sets, what)
    }
}

/// Moves full groups of `size` out of `units`; returns the rest.
fn take_groups(units: Vec<Unit>, size: usize, groups: &mut Vec<Unit>) -> Vec<Unit> {
    let full = units.len() / size * size;
    for group in units[..full].chunks(size) {
        let mut whole = group[0].clone();
        for unit in &group[1..] {
            whole.cpuset = whole.cpuset.union(&unit.cpuset);
        }
        groups.push(whole);
    }
    units[full..].to_vec()
}

/// Splits into parts of equal key, in the order of each part's first unit.
fn split(units: Vec<Unit>, key: impl Fn(&Unit) -> u64) -> Vec<Vec<Unit>> {
    let mut place_of = rustc_hash::FxHashMap::default();
    let mut parts: Vec<Vec<Unit>> = Vec::new();
    for unit in units {
        let at = *place_of.entry(key(&unit)).or_insert(parts.len());
        if at == parts.len() {
            parts.push(Vec::new());
        }
        parts[at].push(unit);
    }
    parts
}

/// The union of the units of each key, in the order of each key's first unit.
fn merged<K: Eq + std::hash::Hash>(units: &[Unit], key: impl Fn(&Unit) -> K) -> Vec<CpuSet> {
    let mut place_of = rustc_hash::FxHashMap::default();
    let mut sets: Vec<CpuSet> = Vec::new();
    for unit in units {
        let at = *place_of.entry(key(unit)).or_insert(sets.len());
        if at == sets.len() {
            sets.push(CpuSet::new());
        }
        sets[at].extend(unit.cpuset.iter());
    }
    sets
}

fn sets(units: Vec<Unit>) -> Vec<CpuSet> {
    units.into_iter().map(|unit| unit.cpuset).collect()
}

fn kinds_note(machine: &Machine, cores: &[Unit]) -> Vec<String> {
    let fastest = cores.iter().map(|unit| unit.efficiency).max().unwrap_or(0);
    let fast = cores.iter().filter(|unit| unit.efficiency == fastest).count();
    if !machine.is_hybrid() || fast == cores.len() {
        return Vec::new();
    }
    vec![format!("{} of the fastest kind come first, {} slower", counted(fast, "core"), cores.len() - fast)]
}

fn check_list(machine: &Machine, allowed: &CpuSet, list: &[u32]) -> Result<(), PlacementError> {
    if list.is_empty() {
        return Err(PlacementError::EmptyList);
    }
    let unknown: CpuSet = list.iter().copied().filter(|&cpu| machine.pu(cpu).is_none()).take(64).collect();
    if !unknown.is_empty() {
        return Err(PlacementError::UnknownCpus { cpus: unknown, machine: machine.cpuset().clone() });
    }
    let mut seen = CpuSet::new();
    if let Some(&cpu) = list.iter().find(|&&cpu| !seen.insert(cpu)) {
        return Err(PlacementError::RepeatedCpu { cpu });
    }
    let outside = seen.difference(allowed);
    if !outside.is_empty() {
        return Err(PlacementError::ForbiddenCpus { cpus: outside, allowed: allowed.clone() });
    }
    Ok(())
}
