//! Pinning and page placement, as the kernel sees them, on whatever machine this runs.
//!
//! On one node much of it is trivially true; `.ci/numa` runs the same binary in virtual machines of many
//! shapes. Every test prints what it saw, so that a skipped one shows.
//!
//! # Safety
//! One system call asks where pages are; it reads addresses of live elements, follows none, and writes into a
//! vector of the same length.
#![allow(unsafe_code)]
// Helpers of tests fail as tests do.
#![allow(clippy::unwrap_used)]

use parking_lot::{Mutex, MutexGuard};
use phalanx::topology::{
    self, Binding, CpuSet, Limits, Machine, MemoryPolicy, Placement, Plan, Request, WorkerPlace,
};
use phalanx::{ArrayOptions, Backend, PagePlacement, Pool, Schedule, SharedArray};

/// Bytes of one of the kernel's pages.
fn page_bytes() -> usize {
    rustix::param::page_size()
}

/// Pages a worker, so that blocks hold several chunks.
const PAGES_EACH: usize = 256;
/// CPU numbers that a row of a report can hold.
const ROW: usize = 2 + 1024;

/// Pools of several tests on the same cores would only wait for each other.
fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock()
}

fn machine() -> Machine {
    Machine::detect().unwrap()
}

/// Every kind of placement that this machine can have.
fn placements(limits: &Limits) -> Vec<Placement> {
    let backwards: Vec<u32> = limits.allowed.iter().collect::<Vec<_>>().into_iter().rev().collect();
    vec![
        Placement::PerCore,
        Placement::PerPu,
        Placement::Compact,
        Placement::Scatter,
        Placement::PerL3,
        Placement::PerNode,
        Placement::Cpus(backwards),
        Placement::Unbound,
    ]
}

fn plan_of(machine: &Machine, limits: &Limits, placement: &Placement) -> Plan {
    topology::plan(machine, limits, &Request { placement: placement.clone(), ..Request::default() }).unwrap()
}

/// What each worker says of itself: its mask, PU and node.
fn seats(pool: &Pool) -> Vec<(CpuSet, u32, u32)> {
    let mut said = SharedArray::<u32, _>::zeros((pool.workers(), ROW)).unwrap();
    pool.launch()
        .schedule(Schedule::Static)
        .chunk(1)
        .for_each(said.split_mut(), |mut row| {
            let (pu, node) = topology::current_pu().unwrap();
            (row[(0, 0)], row[(0, 1)]) = (pu, node);
            for cpu in topology::bound_cpuset().unwrap().iter() {
                row[(0, 2 + cpu as usize)] = 1;
            }
        })
        .unwrap();
    let rows = said.view();
    rows.outer_iter()
        .map(|row| ((0..1024).filter(|cpu| row[2 + *cpu as usize] == 1).collect(), row[0], row[1]))
        .collect()
}

#[test]
fn every_worker_is_bound_to_the_cpus_that_were_planned_for_it() {
    let _alone = alone();
    let (machine, limits) = (machine(), Limits::detect());
    println!("{machine}");
    for placement in placements(&limits) {
        let plan = plan_of(&machine, &limits, &placement);
        for backend in [Backend::Processes, Backend::Threads] {
            let pool = Pool::builder().placement(placement.clone()).backend(backend).build().unwrap();
            assert_eq!(pool.workers(), plan.workers.len(), "{placement}");
            let refused: Vec<String> =
                pool.stats().workers.into_iter().flat_map(|worker| worker.refused).collect();
            if refused.iter().any(|what| what.contains("binding to CPUs")) {
                println!("SKIPPED: {placement}: {}", refused.join("; "));
                continue;
            }
            for (rank, ((mask, pu, node), place)) in seats(&pool).into_iter().zip(&plan.workers).enumerate() {
                let wanted = if plan.is_bound { &place.cpuset } else { &limits.allowed };
                assert_eq!(mask, *wanted, "{placement}, {backend}, worker {rank}");
                assert!(mask.contains(pu), "{placement}, {backend}, worker {rank} on PU {pu}");
                if let Some(planned) = place.node.filter(|_| plan.is_bound) {
                    assert_eq!(node, planned, "{placement}, {backend}, worker {rank}");
                }
            }
        }
        println!("{placement}: {}", plan.reason);
    }
}

/// On which node each page of the array lies.
fn nodes_of(array: &SharedArray<u64>) -> Vec<i32> {
    // Maps all pages here, without which the kernel knows none of them for this process.
    assert_eq!(array.residency().absent_bytes, 0);
    let pages: Vec<*const u64> =
        array.as_slice().iter().step_by(page_bytes() / 8).map(std::ptr::from_ref).collect();
    let mut nodes = vec![-1; pages.len()];
    let nowhere = std::ptr::null::<i32>();
    // SAFETY: see the module.
    let rc = unsafe {
        libc::syscall(libc::SYS_move_pages, 0, pages.len(), pages.as_ptr(), nowhere, nodes.as_mut_ptr(), 0)
    };
    assert_eq!(rc, 0, "{}", std::io::Error::last_os_error());
    nodes
}

/// Whether workers may say from which node they want memory.
fn may_place(pool: &Pool) -> bool {
    let stats = pool.stats();
    let refused =
        stats.workers.iter().flat_map(|worker| &worker.refused).find(|what| what.contains("memory"));
    if let Some(what) = refused {
        println!("SKIPPED: {what}");
    }
    refused.is_none()
}

/// Compares each page's node with that of the worker which sweeps it.
fn check_first_touch(pool: &Pool, places: &[WorkerPlace], what: &str) {
    let mut array = pool.zeros::<u64>(pool.workers() * PAGES_EACH * (page_bytes() / 8)).unwrap();
    pool.launch()
        .schedule(Schedule::Static)
        .for_each(array.split_mut(), |part| {
            let rank = phalanx::current_rank().unwrap() as u64;
            part.fill(rank);
        })
        .unwrap();
    let mut seen = vec![0; places.len()];
    for (page, node) in nodes_of(&array).into_iter().enumerate() {
        let rank = array.as_slice()[page * (page_bytes() / 8)] as usize;
        seen[rank] += 1;
        if let Some(wanted) = places[rank].memory_node {
            assert_eq!(node, wanted as i32, "{what}: page {page} of worker {rank}");
        }
    }
    assert!(seen.iter().all(|pages| *pages >= PAGES_EACH / 2), "{what}: {seen:?}");
    println!("{what}: {:?}", array.residency().nodes);
}

#[test]
fn pages_of_a_pools_array_lie_beside_the_worker_that_owns_them() {
    let _alone = alone();
    let (machine, limits) = (machine(), Limits::detect());
    for placement in placements(&limits) {
        let plan = plan_of(&machine, &limits, &placement);
        for backend in [Backend::Processes, Backend::Threads] {
            let pool = Pool::builder().placement(placement.clone()).backend(backend).build().unwrap();
            if may_place(&pool) {
                check_first_touch(&pool, &plan.workers, &format!("{placement}, {backend}"));
            }
        }
    }
}

#[test]
fn rows_of_a_matrix_lie_beside_their_worker() {
    let _alone = alone();
    let (machine, limits) = (machine(), Limits::detect());
    let plan = plan_of(&machine, &limits, &Placement::PerNode);
    let pool = Pool::builder().placement(Placement::PerNode).build().unwrap();
    if !may_place(&pool) {
        return;
    }
    // Rows of a page and a half: pages on a boundary belong to the row that they begin in.
    let array = pool.zeros_nd::<u64, _>((pool.workers() * 512, page_bytes() / 8 * 3 / 2)).unwrap();
    let mut wanted = std::collections::BTreeMap::<u32, u64>::new();
    for place in &plan.workers {
        if let Some(node) = place.memory_node {
            *wanted.entry(node).or_default() += 512 * page_bytes() as u64 * 3 / 2;
        }
    }
    let slack = 64 * page_bytes() as u64 * 3 / 2 + 2 * page_bytes() as u64;
    for (node, bytes) in wanted {
        let have = array.residency().on_node(node);
        assert!(have.abs_diff(bytes) <= slack, "node {node}: {have} of {bytes} bytes");
    }
}

/// Nodes that have memory and may be used.
fn memory_nodes(machine: &Machine, limits: &Limits) -> Vec<u32> {
    let may = |node: u32| limits.nodes.as_ref().is_none_or(|nodes| nodes.contains(node));
    machine
        .nodes()
        .iter()
        .filter(|node| node.has_memory() && may(node.os_index))
        .map(|node| node.os_index)
        .collect()
}

#[test]
fn bind_and_interleave_put_pages_where_they_were_asked_to_be_or_say_why_not() {
    let _alone = alone();
    let nodes = memory_nodes(&machine(), &Limits::detect());
    let pool = Pool::builder().workers(2).build().unwrap();
    let len = 12 * PAGES_EACH * page_bytes() / 8;
    for node in &nodes {
        let options = ArrayOptions::new().placement(PagePlacement::Bind(*node));
        for array in
            [pool.zeros_with(len, &options), Ok(SharedArray::<u64>::zeros_with(len, &options).unwrap())]
        {
            let residency = array.unwrap().residency();
            println!("bind to {node}: {residency:?}");
            assert!(
                !residency.notes.is_empty() || residency.on_node(*node) == 8 * len as u64,
                "{residency:?}"
            );
        }
    }
    let array = pool.zeros_with::<u64, _>(len, &ArrayOptions::new().placement(PagePlacement::Interleave));
    let residency = array.unwrap().residency();
    println!("interleave over {nodes:?}: {residency:?}");
    if residency.notes.is_empty() {
        let share = 8 * len as u64 / nodes.len() as u64;
        for node in &nodes {
            let have = residency.on_node(*node);
            assert!(have.abs_diff(share) <= page_bytes() as u64, "node {node}: {have} of {share}");
        }
    }
}

#[test]
fn an_array_made_without_a_pool_lies_beside_the_caller() {
    let _alone = alone();
    let (machine, limits) = (machine(), Limits::detect());
    for pu in limits.allowed.iter() {
        let wanted = machine.pu(pu).and_then(|pu| machine.memory_node(pu.node?));
        std::thread::spawn(move || {
            if topology::bind_thread(&CpuSet::single(pu)) != Binding::Bound
                || topology::bind_memory(MemoryPolicy::Local) != Binding::Bound
            {
                return println!("SKIPPED: PU {pu}: binding is refused here");
            }
            let residency = SharedArray::<u8>::zeros(1 << 20).unwrap().residency();
            println!("PU {pu}: {:?}, planned {wanted:?}", residency.nodes);
            if let Some(node) = wanted {
                assert_eq!(residency.on_node(node), 1 << 20, "PU {pu}: {residency:?}");
            }
        })
        .join()
        .unwrap();
    }
}

#[test]
fn a_full_node_spills_over_and_the_report_shows_it() {
    let _alone = alone();
    let (machine, limits) = (machine(), Limits::detect());
    let nodes = memory_nodes(&machine, &limits);
    let Some(small) = nodes.iter().filter_map(|node| free_bytes(*node)).min_by_key(|(_, free)| *free) else {
        return println!("SKIPPED: free memory of nodes cannot be read");
    };
    let (node, free) = small;
    let others: u64 = nodes.iter().filter(|n| **n != node).filter_map(|n| Some(free_bytes(*n)?.1)).sum();
    let asked = free + (32 << 20);
    if free > 1 << 30 || others < 2 * (asked - free) + (128 << 20) {
        return println!(
            "SKIPPED: node {node} has {free} bytes free, the others {others}: too much, or no room beside"
        );
    }
    let pool = Pool::builder().workers(2).build().unwrap();
    let options = ArrayOptions::new().placement(PagePlacement::Bind(node));
    let array = pool.zeros_with::<u8, _>(asked as usize, &options).unwrap();
    let residency = array.residency();
    println!("asked node {node} for {asked} bytes with {free} free: {residency:?}");
    assert_eq!(residency.absent_bytes, 0);
    assert!(residency.on_node(node) < asked && residency.nodes.len() > 1, "{residency:?}");
}

/// A node and the bytes free there.
fn free_bytes(node: u32) -> Option<(u32, u64)> {
    let text = std::fs::read_to_string(format!("/sys/devices/system/node/node{node}/meminfo")).ok()?;
    let line = text.lines().find(|line| line.contains("MemFree:"))?;
    let kib: u64 = line.split_whitespace().nth_back(1)?.parse().ok()?;
    Some((node, kib << 10))
}
