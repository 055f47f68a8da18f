//! Arrays made by workers: where their pages are, what they cost, and when they go.
//!
//! Tests here look at this process's descriptors and memory, so they run one at a time.
// Helpers of tests fail as tests do.
#![allow(clippy::unwrap_used)]

use parking_lot::{Mutex, MutexGuard};
use phalanx::{
    AllocError, ArrayOptions, Backend, Error, HugePages, LaunchError, PagePlacement, Pool, Schedule,
    SharedArray, StartMethod,
};
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;

/// Bytes of one of the kernel's pages.
fn page_bytes() -> usize {
    rustix::param::page_size()
}

fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock()
}

fn pool(workers: usize) -> Pool {
    Pool::builder().workers(workers).build().unwrap()
}

/// The shared object of exactly this size that this process holds, through a descriptor of the test's own.
fn object_of(len_bytes: usize) -> Option<File> {
    let links = fs::read_dir("/proc/self/fd").unwrap().flatten().map(|entry| entry.path());
    let ours = links
        .filter(|link| fs::read_link(link).is_ok_and(|to| to.to_string_lossy().contains("memfd:phalanx")));
    ours.filter_map(|link| File::open(link).ok())
        .find(|file| file.metadata().unwrap().len() == len_bytes as u64)
}

/// Bytes that the object's pages take now.
fn allocated(object: &File) -> u64 {
    object.metadata().unwrap().blocks() * 512
}

/// Bytes of the object that a process maps, and those of them that are in its page tables.
fn mapped(pid: u32, object: &File) -> Option<(u64, u64)> {
    let inode = object.metadata().unwrap().ino().to_string();
    let text = fs::read_to_string(format!("/proc/{pid}/smaps")).unwrap();
    let mut lines = text.lines().skip_while(|line| !line.split_whitespace().any(|word| word == inode));
    lines.next()?;
    let kib = |line: &str| line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() << 10;
    let size = kib(lines.next()?);
    Some((size, kib(lines.find(|line| line.starts_with("Rss:"))?)))
}

#[test]
fn every_page_is_there_before_anybody_touches_it() {
    let _alone = alone();
    for pool in [pool(3), Pool::builder().workers(2).backend(Backend::Threads).build().unwrap()] {
        let len = (5 << 20) + 12_345;
        let array = pool.zeros::<u8>(len).unwrap();
        let object = object_of(len).unwrap();
        assert_eq!(allocated(&object), len.next_multiple_of(page_bytes()) as u64);
        let residency = array.residency();
        assert_eq!(residency.absent_bytes, 0, "{residency:?}");
        assert_eq!(residency.nodes.iter().map(|(_, bytes)| bytes).sum::<u64>(), allocated(&object));
        assert!(array.as_slice().iter().all(|byte| *byte == 0));
    }
}

#[test]
fn each_worker_maps_its_own_block_and_nothing_else() {
    let _alone = alone();
    let pool = pool(4);
    let len = 16 << 20;
    let _array = pool.zeros_nd::<u8, _>((len / 4096, 4096)).unwrap();
    let object = object_of(len).unwrap();
    let total: u64 = pool.worker_pids().into_iter().map(|pid| mapped(pid, &object).unwrap().1).sum();
    assert_eq!(total, len as u64, "each page is mapped in one worker");
    for pid in pool.worker_pids() {
        assert_eq!(mapped(pid, &object), Some((len as u64, len as u64 / 4)));
    }
}

#[test]
fn a_first_sweep_takes_no_page_fault() {
    let _alone = alone();
    let pool = pool(2);
    let len = 32 << 20;
    let mut array = pool.zeros::<u8>(len).unwrap();
    let mut faults = SharedArray::<u64>::zeros(2).unwrap();
    let sweep = pool.launch().schedule(Schedule::Static);
    sweep
        .for_each((array.split_mut(), faults.atomic()), |(bytes, faults)| {
            let before = minor_faults();
            bytes.fill(1);
            let rank = phalanx::current_rank().unwrap();
            faults[rank].fetch_add(minor_faults() - before, std::sync::atomic::Ordering::Relaxed);
        })
        .unwrap();
    // Reading /proc takes a few itself at first.
    let seen: u64 = faults.as_slice().iter().sum();
    assert!(seen < (len / page_bytes() / 100) as u64, "{seen} faults for {} pages", len / page_bytes());
}

/// Page faults of this thread so far that needed no disk.
fn minor_faults() -> u64 {
    let text = fs::read_to_string("/proc/thread-self/stat").unwrap();
    text.rsplit(')').next().unwrap().split_whitespace().nth(7).unwrap().parse().unwrap()
}

#[test]
fn a_dropped_array_gives_its_pages_back_while_workers_sleep_and_is_unmapped_at_the_next_launch() {
    let _alone = alone();
    let pool = pool(2);
    let len = (9 << 20) + page_bytes();
    let array = pool.zeros::<u8>(len).unwrap();
    let object = object_of(len).unwrap();
    assert_eq!(allocated(&object), len as u64);
    drop(array);
    assert_eq!(allocated(&object), 0, "at once");
    for pid in pool.worker_pids() {
        assert_eq!(mapped(pid, &object), Some((len as u64, 0)), "still mapped, without a page");
    }
    // A static launch, which waits for every worker; in others one that comes late is left out.
    pool.launch().schedule(Schedule::Static).for_each(0..2, |_| ()).unwrap();
    for pid in pool.worker_pids() {
        assert_eq!(mapped(pid, &object), None);
    }
}

#[test]
fn data_exists_once_however_many_workers_have_read_all_of_it() {
    let _alone = alone();
    let pool = pool(4);
    let before = pool.memory();
    let len = 64 << 20;
    let array = pool.from_fn(len / 8, |i| i as u64).unwrap();
    pool.for_each((0..64, array.whole()), |(_, all)| {
        std::hint::black_box(all.iter().step_by(page_bytes() / 8).sum::<u64>());
    })
    .unwrap();
    let grown = pool.memory().pss.saturating_sub(before.pss) as f64 / len as f64;
    assert!((0.98..1.04).contains(&grown), "{grown:.3} x the data");
}

#[test]
fn placements_hold_every_page_and_a_node_that_is_not_there_is_an_error() {
    let _alone = alone();
    let pool = pool(2);
    let len = 4 << 20;
    let node = SharedArray::<u8>::zeros(len).unwrap().residency().nodes[0].0;
    for placement in [PagePlacement::Local, PagePlacement::Interleave, PagePlacement::Bind(node)] {
        let array =
            pool.zeros_with::<u8, _>((2, len / 2), &ArrayOptions::new().placement(placement)).unwrap();
        assert_eq!(array.residency().absent_bytes, 0, "{placement:?}");
    }
    let error = pool.zeros_with::<u8, _>(len, &ArrayOptions::new().placement(PagePlacement::Bind(1023)));
    assert!(matches!(error, Err(Error::Alloc(AllocError::Node { node: 1023, .. }))), "{error:?}");
    let keen = ArrayOptions::new().huge_pages(HugePages::Try);
    let array = pool.zeros_with::<u8, _>(len + 1, &keen).unwrap();
    assert_eq!(array.residency().absent_bytes, 0);
    println!("{:?}", array.pages());
}

#[test]
fn more_than_there_is_room_for_is_an_error_and_the_pool_goes_on() {
    let _alone = alone();
    let pool = pool(2);
    let error = pool.zeros::<f64>(1 << 44).unwrap_err();
    assert!(matches!(error, Error::Alloc(AllocError::NoSpace { .. } | AllocError::Limit { .. })), "{error}");
    let error = pool.zeros_nd::<f64, _>((1 << 40, 1 << 40)).unwrap_err();
    assert!(matches!(error, Error::Alloc(AllocError::TooBig { .. })), "{error}");
    assert_eq!(pool.zeros::<u8>(2 << 20).unwrap().as_slice()[1 << 20], 0);
}

#[test]
fn shapes_of_every_kind_are_made_filled_and_copied() {
    let _alone = alone();
    let pool = pool(3);
    for rows in [0usize, 1, 2, 1000] {
        for columns in [0usize, 1, 1023] {
            let array = pool.from_shape_fn((rows, columns), |(i, j)| (10_000 * i + j) as u32).unwrap();
            assert_eq!(array.dim(), (rows, columns));
            assert!(array.view().indexed_iter().all(|((i, j), x)| *x == (10_000 * i + j) as u32));
            let turned = array.view().reversed_axes();
            assert_eq!(pool.from_ndarray(&turned).unwrap().view(), turned);
        }
    }
    let deep = pool.from_shape_fn((40, 30, 20, 40), |(a, b, c, d)| [a, b, c, d].map(|i| i as u8)).unwrap();
    assert!(deep.view().indexed_iter().all(|((a, b, c, d), x)| *x == [a, b, c, d].map(|i| i as u8)));
    let long: Vec<u32> = (0..3_000_000).collect();
    assert_eq!(pool.from_slice(&long).unwrap().as_slice(), long);
    assert_eq!(pool.from_slice::<u8>(&[]).unwrap().len(), 0);
}

#[test]
fn a_worker_that_dies_while_pages_are_reserved_leaves_nothing_and_the_pool_heals() {
    let _alone = alone();
    for method in [StartMethod::Spawn, StartMethod::ForkServer] {
        let pool = Pool::builder().workers(2).start_method(method).build().unwrap();
        let len = (64 << 20) + 8192;
        let mut failed = 0;
        for round in 0..6 {
            let victim = pool.worker_pids()[round % 2];
            if victim == 0 {
                continue;
            }
            // Stopped, it cannot finish its part before it is killed.
            signal(victim, rustix::process::Signal::STOP);
            std::thread::scope(|scope| {
                let making = scope.spawn(|| pool.zeros::<u8>(len));
                while object_of(len).is_none() && !making.is_finished() {
                    std::thread::yield_now();
                }
                signal(victim, rustix::process::Signal::KILL);
                match making.join().unwrap() {
                    Ok(array) => assert_eq!(array.residency().absent_bytes, 0),
                    Err(Error::Launch(LaunchError::WorkerDied { .. })) => failed += 1,
                    Err(other) => panic!("{other}"),
                }
            });
            assert!(object_of(len).is_none(), "nothing is left of it");
            pool.for_each(0..2, |_| ()).unwrap();
        }
        println!("{method:?}: {failed} of 6 were errors");
    }
}

/// Set in the child of the test below.
const CHILD_VARIABLE: &str = "PHALANX_TEST_PLACEMENT_CHILD";

#[test]
fn a_memory_limit_is_an_error_before_the_kernel_kills_a_worker() {
    let name = "a_memory_limit_is_an_error_before_the_kernel_kills_a_worker";
    if std::env::var_os(CHILD_VARIABLE).is_none() {
        let _alone = alone();
        let Some(group) = Cgroup::make(128 << 20) else {
            return println!("SKIPPED: no memory cgroup can be made here");
        };
        let output = std::process::Command::new("sh")
            .args(["-c", "echo $$ > \"$0\" && exec \"$@\"", group.0.join("cgroup.procs").to_str().unwrap()])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", name, "--nocapture"])
            .env(CHILD_VARIABLE, "1")
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        return;
    }
    let pool = pool(2);
    match pool.zeros::<u8>(200 << 20).unwrap_err() {
        Error::Alloc(AllocError::NoSpace { free, source_name, .. }) => {
            assert!(free <= 128 << 20 && source_name.contains("cgroup"), "{free} {source_name}");
        }
        error => panic!("{error}"),
    }
    // Several that fit alone but not together.
    let mut held = Vec::new();
    let error = loop {
        match pool.zeros::<u8>(10 << 20) {
            Ok(array) => held.push(array),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, Error::Alloc(AllocError::NoSpace { .. })), "{error}");
    assert!((4..=12).contains(&held.len()), "{}", held.len());
    drop(held);
    assert_eq!(pool.zeros::<u8>(10 << 20).unwrap().as_slice()[0], 0);
    assert_eq!(pool.stats().respawns, 0, "nobody was killed");
}

/// A memory cgroup (v1 or v2) below the root, removed when dropped.
struct Cgroup(std::path::PathBuf);

impl Cgroup {
    fn make(limit: u64) -> Option<Cgroup> {
        let tops = [("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max")];
        tops.iter().find_map(|(top, limit_file)| {
            let dir = std::path::Path::new(top).join(format!("phalanx-place-{}", std::process::id()));
            fs::create_dir(&dir).ok()?;
            let group = Cgroup(dir);
            fs::write(group.0.join(limit_file), limit.to_string()).ok()?;
            Some(group)
        })
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        let _left = fs::remove_dir(&self.0);
    }
}

fn signal(pid: u32, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_raw(pid as i32).unwrap();
    // It may be gone already.
    let _gone = rustix::process::kill_process(pid, signal);
}
