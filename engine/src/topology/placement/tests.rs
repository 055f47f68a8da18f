use super::super::machine::Pu;
use super::*;
use proptest::prelude::*;

fn machine(text: &str) -> Machine {
    Machine::from_synthetic(text).unwrap()
}

fn shape(name: &str) -> Machine {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/shapes/{name}.xml"));
    Machine::from_xml_file(&path).unwrap()
}

fn all(machine: &Machine) -> Limits {
    Limits::of(machine.cpuset().clone())
}

fn request(placement: Placement, workers: Option<usize>) -> Request {
    Request { placement, workers, threads_per_worker: 1 }
}

/// The cpusets of a plan, as text.
fn sets(machine: &Machine, limits: &Limits, request: &Request) -> Vec<String> {
    let plan = plan(machine, limits, request).unwrap();
    plan.workers.iter().map(|worker| worker.cpuset.to_string()).collect()
}

#[test]
fn one_worker_per_core_holds_all_its_pus() {
    let smt = shape("smt");
    let plan = plan(&smt, &all(&smt), &Request::default()).unwrap();
    assert_eq!(plan.workers.len(), 8);
    assert_eq!(plan.workers[5].cpuset.to_string(), "5,13");
    assert_eq!((plan.workers[5].node, plan.workers[5].core), (Some(1), Some(5)));
    assert_eq!(
        plan.reason,
        "8 workers: 8 physical cores, 16 of 16 PUs allowed by the affinity mask, no CPU quota"
    );
}

#[test]
fn cores_are_counted_inside_the_mask() {
    let smt = shape("smt");
    let limits = Limits::of("0,1,8,12".parse().unwrap());
    assert_eq!(sets(&smt, &limits, &Request::default()), ["0,8", "1", "12"]);
    let limits = Limits { cpuset: Some("0,1,8,12".parse().unwrap()), ..limits };
    let plan = plan(&smt, &limits, &Request::default()).unwrap();
    assert_eq!(plan.reason, "3 workers: 3 physical cores, 4 of 16 PUs allowed by the cpuset, no CPU quota");
}

#[test]
fn the_quota_caps_the_default_and_not_the_wish() {
    let smt = shape("smt");
    let limits = Limits { quota_cpus: Some(2.5), ..all(&smt) };
    let by_default = plan(&smt, &limits, &Request::default()).unwrap();
    assert_eq!(by_default.workers.len(), 3);
    assert!(by_default.reason.ends_with(", capped by a CPU quota of 2.5 CPUs"), "{}", by_default.reason);
    let asked = plan(&smt, &limits, &request(Placement::PerCore, Some(6))).unwrap();
    assert_eq!(asked.workers.len(), 6);
    assert!(
        asked.reason.contains("more than the CPU quota of 2.5 CPUs lets run at once"),
        "{}",
        asked.reason
    );
    let tiny = Limits { quota_cpus: Some(0.01), ..all(&smt) };
    assert_eq!(plan(&smt, &tiny, &Request::default()).unwrap().workers.len(), 1);
    let large = Limits { quota_cpus: Some(1e300), ..all(&smt) };
    assert_eq!(plan(&smt, &large, &Request::default()).unwrap().workers.len(), 8);
}

#[test]
fn policies_choose_as_they_say() {
    let m = machine("package:2 numa:1 l3:2 core:2 pu:2");
    let first = |placement, workers| sets(&m, &all(&m), &request(placement, Some(workers)));
    assert_eq!(first(Placement::PerCore, 3), ["0-1", "2-3", "4-5"]);
    assert_eq!(first(Placement::Compact, 3), ["0", "1", "2"]);
    assert_eq!(first(Placement::Scatter, 4), ["0-1", "8-9", "4-5", "12-13"]);
    assert_eq!(first(Placement::PerPu, 8), ["0", "2", "4", "6", "8", "10", "12", "14"]);
    assert_eq!(first(Placement::PerPu, 10), ["0", "1", "2", "3", "4", "6", "8", "10", "12", "14"]);
    assert_eq!(first(Placement::PerL3, 4), ["0-3", "4-7", "8-11", "12-15"]);
    assert_eq!(first(Placement::PerNode, 2), ["0-7", "8-15"]);
    assert_eq!(first(Placement::Cpus(vec![9, 2, 15]), 3), ["9", "2", "15"]);
    assert_eq!(first(Placement::Unbound, 2), ["0-15", "0-15"]);
    let natural = |placement| plan(&m, &all(&m), &request(placement, None)).unwrap().workers.len();
    let placements = [
        Placement::PerCore,
        Placement::PerPu,
        Placement::Compact,
        Placement::Scatter,
        Placement::PerL3,
        Placement::PerNode,
        Placement::Unbound,
    ];
    assert_eq!(placements.map(natural), [8, 16, 16, 8, 4, 2, 8]);
}

#[test]
fn fast_cores_come_first() {
    let hybrid = shape("hybrid");
    let per_core = plan(&hybrid, &all(&hybrid), &Request::default()).unwrap();
    assert_eq!(per_core.workers.len(), 12);
    assert!(
        per_core.reason.contains("4 cores of the fastest kind come first, 8 slower"),
        "{}",
        per_core.reason
    );
    for placement in [Placement::PerCore, Placement::Scatter] {
        let sets = sets(&hybrid, &all(&hybrid), &request(placement, Some(5)));
        assert_eq!(sets[..4], ["0-1", "2-3", "4-5", "6-7"]);
    }
    assert_eq!(sets(&hybrid, &Limits::of("6-9".parse().unwrap()), &Request::default()), ["6-7", "8", "9"]);
    // Where the slow cores have the lower numbers, the fast ones still come first.
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/shapes/hybrid.xml");
    let swapped = std::fs::read_to_string(path)
        .unwrap()
        .replace("cpukind cpuset=\"0x0000ff00\"", "cpukind cpuset=\"0x0\"")
        .replace("cpukind cpuset=\"0x000000ff\"", "cpukind cpuset=\"0x0000ff00\"")
        .replace("cpukind cpuset=\"0x0\"", "cpukind cpuset=\"0x000000ff\"");
    let swapped = Machine::from_xml(&swapped).unwrap();
    assert_eq!(sets(&swapped, &all(&swapped), &request(Placement::Compact, Some(2))), ["8", "9"]);
}

#[test]
fn workers_share_places_round_robin_and_say_so() {
    let m = machine("core:2 pu:1");
    let plan = plan(&m, &all(&m), &request(Placement::PerCore, Some(5))).unwrap();
    let sets: Vec<String> = plan.workers.iter().map(|worker| worker.cpuset.to_string()).collect();
    assert_eq!(sets, ["0", "1", "0", "1", "0"]);
    assert_eq!(plan.places, 2);
    assert!(
        plan.reason.ends_with("2 places are shared round robin, up to 3 workers each"),
        "{}",
        plan.reason
    );
    assert_eq!(plan.workers[0].steal_order, [2, 4, 1, 3], "those on the same core first");
}

#[test]
fn thousands_of_workers_fit_and_a_million_does_not() {
    let m = machine("core:2 pu:1");
    let full = plan(&m, &all(&m), &request(Placement::PerCore, Some(MAX_WORKERS))).unwrap();
    assert_eq!(full.workers.len(), MAX_WORKERS);
    let error = plan(&m, &all(&m), &request(Placement::PerCore, Some(1_000_000))).unwrap_err();
    assert_eq!(error, PlacementError::TooManyWorkers { asked: 1_000_000, limit: MAX_WORKERS });
}

#[test]
fn bad_wishes_are_refused() {
    let m = machine("core:4 pu:1");
    let limits = Limits::of("0-2".parse().unwrap());
    let error = |request: &Request| plan(&m, &limits, request).unwrap_err();
    assert_eq!(error(&request(Placement::PerCore, Some(0))), PlacementError::NoWorkers);
    assert_eq!(error(&Request { threads_per_worker: 0, ..Request::default() }), PlacementError::NoThreads);
    assert_eq!(error(&request(Placement::Cpus(vec![]), None)), PlacementError::EmptyList);
    assert_eq!(error(&request(Placement::Cpus(vec![1, 0, 1]), None)), PlacementError::RepeatedCpu { cpu: 1 });
    assert!(matches!(error(&request(Placement::Cpus(vec![0, 9]), None)), PlacementError::UnknownCpus { .. }));
    assert!(matches!(
        error(&request(Placement::Cpus(vec![0, 3]), None)),
        PlacementError::ForbiddenCpus { .. }
    ));
    assert!(matches!(
        plan(&m, &Limits::of("64".parse().unwrap()), &Request::default()),
        Err(PlacementError::NothingAllowed { .. })
    ));
}

#[test]
fn threads_get_neighbouring_cores() {
    let m = machine("package:2 numa:1 l3:2 core:3 pu:2");
    let of = |placement, workers, threads_per_worker| {
        let plan = plan(&m, &all(&m), &Request { placement, workers, threads_per_worker }).unwrap();
        let sets: Vec<String> = plan.workers.iter().map(|worker| worker.cpuset.to_string()).collect();
        (sets, plan.reason)
    };
    // Three cores per L3: a pair inside each L3, the two single ones of a package together.
    let (sets, _) = of(Placement::PerCore, None, 2);
    assert_eq!(sets, ["0-3", "4-5,10-11", "6-9", "12-15", "16-17,22-23", "18-21"]);
    let (sets, reason) = of(Placement::PerCore, None, 5);
    assert_eq!(sets, ["0-9", "12-21"]);
    assert!(reason.contains("2 left over by groups of 5"), "{reason}");
    let (sets, reason) = of(Placement::PerCore, None, 40);
    assert_eq!(sets, ["0-23"]);
    assert!(reason.contains("fewer than 40 of them for a worker's threads"), "{reason}");
    let (sets, _) = of(Placement::Compact, Some(2), 2);
    assert_eq!(sets, ["0-1", "2-3"]);
    let (sets, _) = of(Placement::Cpus(vec![0, 6, 12]), None, 2);
    assert_eq!(sets, ["0,6", "12"]);
}

#[test]
fn memory_comes_from_the_nearest_node_that_has_some() {
    let m = shape("memory-less");
    let made = plan(&m, &all(&m), &Request::default()).unwrap();
    assert_eq!((made.workers[0].node, made.workers[0].memory_node), (Some(0), Some(1)));
    assert_eq!((made.workers[3].node, made.workers[3].memory_node), (Some(1), Some(1)));
    // The node without PUs places nobody, and helps where the own node may not be used.
    let m = shape("cpu-less");
    assert_eq!(plan(&m, &all(&m), &request(Placement::PerNode, None)).unwrap().workers.len(), 2);
    let limits = Limits { nodes: Some("1-2".parse().unwrap()), ..all(&m) };
    let made = plan(&m, &limits, &Request::default()).unwrap();
    assert_eq!((made.workers[0].node, made.workers[0].memory_node), (Some(0), Some(2)));
}

#[test]
fn eight_nodes_steal_by_distance() {
    let m = shape("eight-nodes");
    let made = plan(&m, &all(&m), &Request::default()).unwrap();
    let order = &made.workers[0].steal_order;
    assert_eq!(order[0], 1, "the other core of the node");
    assert_eq!(order[1..3], [2, 3], "distance 11");
    assert_eq!(order[3..7], [4, 5, 6, 7], "distance 12, same package");
    assert_eq!(order[7..], [8, 9, 10, 11, 12, 13, 14, 15], "the other package");
    assert_eq!(made.workers[5].steal_order[7..], [8, 9, 10, 11, 12, 13, 14, 15]);
    assert_eq!(made.workers[9].steal_order[7..], [0, 1, 2, 3, 4, 5, 6, 7]);
}

#[test]
fn one_pu_has_one_worker_with_nobody_to_steal_from() {
    let m = shape("one-pu");
    let made = plan(&m, &all(&m), &Request::default()).unwrap();
    assert_eq!(made.workers.len(), 1);
    assert!(made.workers[0].steal_order.is_empty());
    assert_eq!(
        made.reason,
        "1 worker: 1 physical core, 1 of 1 PU allowed by the affinity mask, no CPU quota"
    );
}

#[test]
fn names_of_placements_are_read_back() {
    for placement in placements(&machine("core:4 pu:1")) {
        assert_eq!(placement.to_string().parse::<Placement>().unwrap(), placement);
    }
    assert!(matches!("spread".parse::<Placement>(), Err(PlacementError::UnknownPlacement { .. })));
    assert!(matches!("cpus:1-x".parse::<Placement>(), Err(PlacementError::List(_))));
}

fn placements(machine: &Machine) -> Vec<Placement> {
    let mut list: Vec<u32> = machine.cpuset().iter().collect();
    list.reverse();
    vec![
        Placement::PerCore,
        Placement::PerPu,
        Placement::Compact,
        Placement::Scatter,
        Placement::PerL3,
        Placement::PerNode,
        Placement::Unbound,
        Placement::Cpus(list),
    ]
}

/// How far apart two PUs are, derived from the sets of the machine alone.
fn far(machine: &Machine, a: &Pu, b: &Pu) -> (u8, u32) {
    let around = |set: &CpuSet| set.contains(a.os_index) && set.contains(b.os_index);
    let in_cache = |level| machine.caches().iter().any(|cache| cache.level == level && around(&cache.cpuset));
    let class = if machine.cores().iter().any(|core| around(&core.cpuset)) {
        0
    } else if in_cache(2) {
        1
    } else if in_cache(3) {
        2
    } else if a.node.is_some() && a.node == b.node {
        3
    } else if machine.packages().iter().any(|package| around(&package.cpuset)) {
        4
    } else {
        5
    };
    let numa = match (a.node, b.node) {
        (Some(a), Some(b)) if a != b => machine.distance(a, b).unwrap_or(u32::MAX),
        _ => 0,
    };
    (class, numa)
}

/// Every promise of a plan.
pub(super) fn check(machine: &Machine, limits: &Limits, request: &Request, plan: &Plan) {
    let allowed = limits.allowed.intersection(machine.cpuset());
    let count = plan.workers.len();
    assert!(count >= 1 && request.workers.is_none_or(|asked| asked == count));
    if let (None, Some(quota)) = (request.workers, limits.quota_cpus) {
        assert!(count as f64 <= quota.ceil().max(1.0), "the quota caps");
    }
    let mut used = CpuSet::new();
    for (rank, worker) in plan.workers.iter().enumerate() {
        assert!(!worker.cpuset.is_empty() && worker.cpuset.is_subset(&allowed), "inside the mask");
        if plan.is_bound && rank < plan.places {
            assert!(!worker.cpuset.intersects(&used), "no PU is used twice");
            used = used.union(&worker.cpuset);
        } else if plan.is_bound {
            assert_eq!(worker.cpuset, plan.workers[rank % plan.places].cpuset, "round robin");
        }
        let nodes: Vec<_> = worker.cpuset.iter().map(|pu| machine.pu(pu).unwrap().node).collect();
        match worker.node {
            Some(node) => {
                assert!(nodes.iter().all(|&of_pu| of_pu == Some(node)), "the node is the core's node")
            }
            None => assert!(nodes.contains(&None) || nodes.iter().any(|node| *node != nodes[0])),
        }
        if let Some(core) = worker.core {
            assert!(machine.cores()[core].cpuset.intersects(&worker.cpuset));
        }
        let mut others = worker.steal_order.clone();
        others.sort_unstable();
        assert!(others.iter().copied().eq((0..count).filter(|&other| other != rank)), "everybody else once");
        if plan.is_bound {
            let first = |rank: usize| machine.pu(plan.workers[rank].cpuset.first().unwrap()).unwrap();
            let distances = worker.steal_order.iter().map(|&other| far(machine, first(rank), first(other)));
            assert!(distances.is_sorted(), "nearest first");
        }
    }
    assert!(plan.reason.starts_with(&format!("{count} worker")));
}

prop_compose! {
    fn any_machine()(
        packages in 1u32..4, nodes in 1u32..4, l3 in 1u32..3, l2 in 1u32..3, cores in 1u32..4, pus in 1u32..3,
        has_nodes: bool, has_l3: bool, is_spread: bool, is_memory_less: bool,
    ) -> Machine {
        let mut text = format!("package:{packages} ");
        let mut total = packages * l2 * cores * pus;
        if has_nodes {
            text += &format!("numa:{nodes}{} ", if is_memory_less { "(memory=0)" } else { "" });
            total *= nodes;
        }
        if has_l3 {
            text += &format!("l3:{l3} ");
            total *= l3;
        }
        text += &format!("l2:{l2} core:{cores} pu:{pus}");
        if is_spread {
            // Siblings half a machine apart, as Linux numbers them.
            let list: Vec<String> =
                (0..total).map(|at| (at / pus + at % pus * (total / pus)).to_string()).collect();
            text += &format!("(indexes={})", list.join(","));
        }
        machine(&text)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn every_plan_keeps_its_promises(
        machine in any_machine(),
        mask in prop::collection::vec(any::<bool>(), 1..400),
        asked in prop::option::of(1usize..40),
        threads_per_worker in 1usize..5,
        quota_cpus in prop::option::of(0.1f64..20.0),
    ) {
        let allowed: CpuSet = machine.cpuset().iter().filter(|&pu| mask[pu as usize % mask.len()]).collect();
        let limits = Limits { quota_cpus, ..Limits::of(allowed.clone()) };
        for placement in placements(&machine) {
            let placement = match placement {
                Placement::Cpus(list) => Placement::Cpus(list.into_iter().filter(|&pu| allowed.contains(pu)).collect()),
                other => other,
            };
            let request = Request { placement, workers: asked, threads_per_worker };
            match plan(&machine, &limits, &request) {
                Ok(plan) => check(&machine, &limits, &request, &plan),
                Err(error) => prop_assert!(allowed.is_empty(), "{}", error),
            }
        }
    }
}

#[test]
fn cores_of_other_pools_are_left_out_while_others_suffice() {
    let smt = machine("package:1 core:4 pu:2");
    let reserved = |text: &str| Limits { reserved: text.parse().unwrap(), ..all(&smt) };
    let beside = |text, workers| {
        let plan = plan(&smt, &reserved(text), &request(Placement::PerCore, workers)).unwrap();
        let sets: Vec<_> = plan.workers.iter().map(|worker| worker.cpuset.to_string()).collect();
        (sets.join(" "), plan.reason)
    };
    let (sets, reason) = beside("0-1,4-5", None);
    assert_eq!(sets, "2-3 6-7");
    assert_eq!(
        reason,
        "2 workers: 2 physical cores, 8 of 8 PUs allowed by the affinity mask, no CPU quota; without CPUs 0-1,4-5, \
         which other pools have reserved"
    );
    assert_eq!(beside("0-1,4-5", Some(2)).0, "2-3 6-7");
    let (sets, reason) = beside("0-1,4-5", Some(3));
    assert_eq!(sets, "2-3 6-7 0-1", "the free ones first");
    assert!(reason.ends_with("; CPUs 0-1 shared with pools that have reserved them"), "{reason}");
    let (sets, reason) = beside("0-7", None);
    assert_eq!(sets, "0-1 2-3 4-5 6-7");
    assert!(reason.ends_with("; CPUs 0-7 shared with pools that have reserved them"), "{reason}");
}

#[test]
fn a_list_is_taken_as_it_is_and_says_what_it_shares() {
    let smt = machine("package:1 core:4 pu:2");
    let limits = Limits { reserved: "0-3".parse().unwrap(), ..all(&smt) };
    let listed = |list: Vec<u32>| plan(&smt, &limits, &request(Placement::Cpus(list), None)).unwrap();
    let shared = listed(vec![2, 7]);
    assert_eq!(shared.workers[0].cpuset.to_string(), "2");
    assert!(shared.reason.ends_with("; CPU 2 shared with pools that have reserved it"), "{}", shared.reason);
    assert!(!listed(vec![6, 7]).reason.contains("reserved"));
    let unbound = plan(&smt, &limits, &request(Placement::Unbound, None)).unwrap();
    assert_eq!((unbound.workers.len(), unbound.reason.contains("reserved")), (4, false));
}
